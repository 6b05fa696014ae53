"""The gateway: the chat APIs that programs speak, answered by the router. One file an API; `app` puts them together."""
