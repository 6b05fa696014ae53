"""Training tables, questions and vectors."""
