"""The one process that keeps the file of a batch whose answers come from many machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from r2_router.batches.batch_file import BatchFile
from r2_router.batches.mapped import Mapped


class Keeper:
    """An actor: holds the file at `path` and the limit of the batch. What it says was kept is on the disk."""

    def __init__(self, path: Path, max_usd: float | None) -> None:
        self._file = BatchFile(path).__enter__()
        self._file.max_usd = max_usd
        self._full = False

    def take(self, indices: Sequence[int]) -> list[int]:
        """Which of these prompts are to be answered: none that is done, and none at all once the limit refused one.

        Whoever takes them is the only one at work on them: calls for them that are under way are a dead worker's, and
        count as spent in full.
        """
        if self._full:
            return []
        left = [index for index in indices if not self._file.holds(index)]
        self._file.give_up_calls(left)
        return left

    def begin(self, index: int, most_usd: float) -> bool:
        """As BatchFile.begin."""
        allowed = self._file.begin(index, most_usd)
        self._full = self._full or not allowed
        return allowed

    def write(self, row: dict[str, Any], cost_usd: float, failed: bool, kept: bool) -> None:
        """As BatchFile.write."""
        self._file.write(row, cost_usd, failed=failed, kept=kept)

    def progress(self) -> tuple[int, float]:
        """Prompts that are done, dollars spent."""
        return sum(self._file.counts()), self._file.spent_usd

    def close(self) -> None:
        """Let the next process have the file."""
        self._file.close()


class KeptLimit:
    """The limit of a batch (batches.each.RunLimit) as a worker sees it: `keeper` is the handle of the Keeper."""

    def __init__(self, ray: Any, keeper: Any) -> None:
        self._ray, self._keeper = ray, keeper

    def begin(self, index: int, most_usd: float) -> bool:
        return self._ray.get(self._keeper.begin.remote(index, most_usd))

    def over(self, mapped: Mapped, *, kept: bool) -> None:
        row, failed = mapped.row(), mapped.answer is None
        self._ray.get(self._keeper.write.remote(row, mapped.cost_usd, failed, kept))
