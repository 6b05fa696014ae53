"""What was learned from the use of a pool, run by run: a line of JSON each, beside the folder of the checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from r2_router.checkpoints.format import HEADS_NAME, JSON_NAME
from r2_router.config.safe_files import read_plain, replace_file
from r2_router.records import Record

_KEPT = 100  # runs
_MOST_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Record):
    """One run at `time` (UTC, ISO form), by the user or `automatic`: the answers with text that the ledger had by then,
    the labels and preferences, and what changed, by model; or the `fault` that ended it; or it was `undone`."""

    time: str
    automatic: bool = False
    answers: int = 0
    labels: int = 0
    preferences: int = 0
    changes: Sequence[Mapping[str, Any]] = ()
    fault: str = ""
    undone: bool = False


def log_of(folder: Path) -> Path:
    """The file of the runs whose checkpoint is in `folder`."""
    return folder.with_name(f"{folder.name}.jsonl")


def runs(folder: Path) -> list[Run]:
    """The last runs, oldest first; a line that is none is left out, as is all of a file that cannot be read."""
    try:
        text = read_plain(log_of(folder), _MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return []
    found: list[Run] = []
    names = {field.name for field in fields(Run)}
    for line in text.splitlines():
        with suppress(ValueError, TypeError, RecursionError):
            said = json.loads(line)
            found.append(Run(**{name: said[name] for name in names if name in said}))
    return found


def note(folder: Path, run: Run) -> None:
    """Add a run. Raises OSError where it cannot be written."""
    lines = [json.dumps(each.to_dict(), ensure_ascii=False) for each in [*runs(folder), run][-_KEPT:]]
    replace_file(log_of(folder), ("\n".join(lines) + "\n").encode())


def forget(folder: Path) -> bool:
    """Remove the checkpoint in `folder`; whether there was one. Raises OSError."""
    if not folder.is_dir():
        return False
    (folder / JSON_NAME).unlink(missing_ok=True)  # first: without it there is none, for whoever looks meanwhile
    shutil.rmtree(folder)
    return True


@dataclass(frozen=True, slots=True)
class Written:
    """What was learned, as it is written: the file of the runs, and those of the checkpoint, if there is one."""

    runs: bytes
    about: bytes | None
    heads: bytes | None

    @classmethod
    def read(cls, folder: Path) -> Written:
        """As it lies in and beside `folder`. Raises OSError."""
        about, heads = ((folder / name) for name in (JSON_NAME, HEADS_NAME))
        whole = about.is_file() and heads.is_file()
        return cls(log_of(folder).read_bytes(), *((about.read_bytes(), heads.read_bytes()) if whole else (None, None)))

    def write(self, folder: Path) -> None:
        """Put it in and beside `folder`; the JSON, which seals the heads, after them. Raises OSError."""
        if self.about is None or self.heads is None:
            forget(folder)
        else:
            replace_file(folder / HEADS_NAME, self.heads, private=False)
            replace_file(folder / JSON_NAME, self.about, private=False)
        replace_file(log_of(folder), self.runs)


def counted(run: Run) -> int:
    """What the ledger had to teach by then."""
    return run.answers + run.labels + run.preferences
