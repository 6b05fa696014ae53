"""Settings, keys and folders: where each value comes from."""
