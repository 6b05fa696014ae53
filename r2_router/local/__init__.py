"""Local models: find their weights, fetch them, serve them on loopback, stop."""
