"""What this process may take of the machine it runs on."""

from __future__ import annotations

import os
import sys


def cores() -> int:
    """The cores this process may use, at least 1."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def arithmetic_threads() -> int:
    """A thread for each core, or as many as whoever started this process allows (OMP_NUM_THREADS)."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores(), int(allowed)) if allowed.isdecimal() and int(allowed) else cores()
