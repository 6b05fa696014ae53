"""Collect: ask every model every query under every budget, and keep what was paid for."""
