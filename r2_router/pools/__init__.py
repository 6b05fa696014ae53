"""Who can answer, at what price."""
