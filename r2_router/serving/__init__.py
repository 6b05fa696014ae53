"""What a face that speaks HTTP stands on: sockets, and what a request passes before it is looked at."""
