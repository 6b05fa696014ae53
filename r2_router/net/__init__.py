"""What goes over the network: downloads, kept connections, how long a server asks to wait."""
