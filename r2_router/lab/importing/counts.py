"""What an import read, kept and left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from r2_router.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCounts(Record):
    """`rows` written to `table`, of `queries` and `models`; `ungraded` of them have no quality; what was left out, by
    reason; further `notes`."""

    table: str
    rows: int
    queries: int
    models: int
    ungraded: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """In words."""
        lines = [f"{self.rows:,} rows of {self.queries:,} queries and {self.models:,} models."]
        if self.ungraded:
            lines.append(f"{self.ungraded:,} of them have no quality; training leaves those out.")
        lines += [f"Left out: {count:,} {reason}" for reason, count in self.left_out.items() if count]
        return [*lines, *self.notes, f"Table: {self.table}"]


def reasons(counts: Counter[str]) -> dict[str, int]:
    """Reasons, the most frequent first."""
    return dict(counts.most_common())
