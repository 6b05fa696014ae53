"""Which addresses are this machine."""

from __future__ import annotations

import pytest

from r2_router.net.loopback import is_loopback


@pytest.mark.parametrize("host", ["localhost", "api.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.example.com", "10.0.0.1", "0.0.0.0", "::2", "example.com"])
def test_elsewhere(host: str) -> None:
    assert not is_loopback(host)
