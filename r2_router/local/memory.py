"""How much memory a process may still take."""

from __future__ import annotations

import re
from pathlib import Path


def available_bytes() -> int:
    """What can be taken without swapping, and without passing the limit of the container this runs in."""
    import psutil

    free = psutil.virtual_memory().available
    left = container_bytes()
    return free if left is None else min(free, left)


def container_bytes(root: Path = Path("/")) -> int | None:
    """What the control group (Linux, version 2) of this process leaves; None if it sets no limit."""
    try:
        group = re.search(r"^0::/(.*)$", (root / "proc/self/cgroup").read_text(), re.MULTILINE)
        if group is None:
            return None
        folder = root / "sys/fs/cgroup" / group[1]
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        cache = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):  # not Linux, no version 2, or the limit is "max"
        return None
    return max(0, limit - used + (int(cache[1]) if cache else 0))  # files kept in memory give way
