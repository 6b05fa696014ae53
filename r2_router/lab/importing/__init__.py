"""Answers that exist already, as training tables."""
