"""The two servers that setup finds."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from support.offers import KEY, KEY_VARIABLE, Offers, offers


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Offers]:
    """A provider whose key is set and a server on this machine."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with offers(home) as both:
        yield both
