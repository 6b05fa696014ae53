"""Pages that are partly written by a command: what stands between `<!-- NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence


def written(page: str, known: Mapping[str, str]) -> str:
    """`page` with each named place filled from `known`. Raises KeyError for a name that is not in it."""
    return re.sub(
        r"(<!-- ([\w-]+) -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{known[m[2]]}\n{m[3]}", page, flags=re.DOTALL
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
