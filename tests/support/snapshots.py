"""Files that say how something looks, held against how it looks now. A difference names the command that renews."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

WRITE = "WRITE_SNAPSHOTS"
_LINES_SHOWN = 60


def assert_snapshot(file: Path, text: str, renew: str = "") -> None:
    """Fail unless `file` holds `text`; a missing file is a failure too, and nothing is written unasked.

    `renew` is the command that writes the file anew. Without one it is this very test with WRITE_SNAPSHOTS=1,
    which writes the file, so that the change is seen in the diff; under CI=true that is refused.
    """
    if os.environ.get(WRITE) and not renew:
        if os.environ.get("CI"):
            pytest.fail(f"{WRITE} is set under CI, where snapshots are compared and never written: unset it.")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
        return
    command = renew or f'{WRITE}=1 python -m pytest "{_this_test()}"'
    if not file.is_file():
        pytest.fail(f"{file} is missing. Write it with:\n\n    {command}\n\nand commit it.", pytrace=False)
    saved = file.read_text(encoding="utf-8")
    if saved != text:
        lines = list(difflib.unified_diff(saved.splitlines(), text.splitlines(), file.name, "now", lineterm="", n=1))
        shown = "\n".join([*lines[:_LINES_SHOWN], *(["..."] if len(lines) > _LINES_SHOWN else [])])
        pytest.fail(
            f"{file} is behind. If the change is meant, renew it with:\n\n    {command}\n\n{shown}", pytrace=False
        )


def _this_test() -> str:
    """The id of the running test."""
    return os.environ.get("PYTEST_CURRENT_TEST", "tests").rpartition(" (")[0] or "tests"
