"""A batch on Ray: many machines, one limit, one output."""
