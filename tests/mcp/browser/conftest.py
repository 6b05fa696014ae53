"""What tests of the page share."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from .shown import browser


@pytest.fixture(scope="module")
def running() -> Generator[Any]:
    with browser() as found:
        yield found
