"""A pool of one's own from what is here: keys that are set, servers that run, the models they offer."""
