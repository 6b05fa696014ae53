"""What tests of benchmarks share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Their folder, whose modules can be imported, as from a script in it."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    return BENCHMARKS
