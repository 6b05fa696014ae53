"""From a table to heads."""
