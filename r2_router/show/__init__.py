"""What a person reads: rankings, reasons and tables, the same in every face."""
