"""The heads on disk: found, read without running anything, verified."""
