"""This machine, as an address: what is asked here goes through no proxy, and needs no encryption."""

from __future__ import annotations

import ipaddress

UNPROXIED = ("all://localhost", "all://127.0.0.1", "all://[::1]")  # patterns of httpx


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an IP address, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
