"""HTML that reads well in light and dark themes, in a saved notebook, and without its style."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape

from r2_router.pages.picture import part

# A click on a heading sorts by its column. Where a front end takes handlers out, the table just stays as it is.
_SORT = (
    "const h=event.target.closest('th'),b=this.parentNode.tBodies[0],i=h.cellIndex,d=h.dataset.d==='1'?-1:1;"
    "h.dataset.d=d;const v=r=>{const c=r.cells[i],n=c.dataset.v;return n===undefined?c.textContent:+n};"
    "[...b.rows].sort((p,q)=>(v(p)>v(q)?1:v(p)<v(q)?-1:0)*d).forEach(r=>b.append(r))"
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell: its text, the number it is sorted by, and markup shown before the text; one that `shortens` gives
    way where a page is narrow, and tells its text on hover."""

    text: str
    value: float | None = None
    before: str = ""
    shortens: bool = False


def page(*parts: str) -> str:
    """The parts of one output, with the style they need; a dollar in them is money, never LaTeX."""
    return f'<div class="r2-output tex2jax_ignore mathjax_ignore"><style>{_style()}</style>{"".join(parts)}</div>'


def paragraph(text: str, kind: str = "") -> str:
    return f"<p{_class(kind)}>{escape(text)}</p>"


def heading(text: str) -> str:
    return f"<p><strong>{escape(text)}</strong></p>"


def items(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def prose(text: str) -> str:
    """A text that keeps its lines."""
    return f'<div class="r2-text">{escape(text)}</div>'


def side_by_side(columns: Sequence[tuple[str, str, str]]) -> str:
    """Columns of a heading, a line about it, and a text that keeps its lines; under one another where it is narrow."""
    parts = (
        f"<section>{heading(head)}{paragraph(about, 'r2-note')}{prose(text)}</section>" for head, about, text in columns
    )
    return f'<div class="r2-side">{"".join(parts)}</div>'


def folded(summary: str, lines: Sequence[str]) -> str:
    """Lines that show when their summary is clicked; nothing where there are none."""
    return f"<details><summary>{escape(summary)}</summary>{items(lines)}</details>" if lines else ""


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Cell]],
    *,
    numbers: Collection[int] = (),
    chosen: int | None = None,
) -> str:
    """A table; the columns at the positions `numbers` stand to the right; row `chosen` stands out, also in bold."""
    head = "".join(f'<th scope="col"{_class(_side(i, numbers))}>{escape(name)}</th>' for i, name in enumerate(columns))
    body = "".join(_row(row, numbers, chosen=i == chosen) for i, row in enumerate(rows))
    return (
        f'<table class="r2-table"><caption>{escape(caption)}</caption>'
        f'<thead onclick="{escape(_SORT)}"><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def quality_bar(quality: float, error: float | None) -> str:
    """A bar from 0 to 1 with its standard error as a band; said in words beside it, so hidden from readers."""
    parts = [f'<i style="width:{100 * quality:.1f}%"></i>']
    if error is not None:
        low, high = max(0.0, quality - error), min(1.0, quality + error)
        parts.append(f'<b style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></b>')
    return f'<span class="r2-bar" aria-hidden="true">{"".join(parts)}</span>'


def _row(row: Sequence[str | Cell], numbers: Collection[int], *, chosen: bool) -> str:
    attributes = ' class="r2-chosen" aria-current="true"' if chosen else ""
    cells = (cell if isinstance(cell, Cell) else Cell(cell) for cell in row)
    return f"<tr{attributes}>{''.join(_cell(c, _side(i, numbers), chosen=chosen) for i, c in enumerate(cells))}</tr>"


def _cell(cell: Cell, kind: str, *, chosen: bool) -> str:
    text = f"<strong>{escape(cell.text)}</strong>" if chosen else escape(cell.text)
    value = "" if cell.value is None else f' data-v="{cell.value!r}"'
    if cell.shortens:
        kind, value = "r2-name", f' title="{escape(cell.text)}"'
    return f"<td{_class(kind)}{value}>{cell.before}{text}</td>"


def _side(i: int, numbers: Collection[int]) -> str:
    return "r2-number" if i in numbers else ""


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


@cache
def _style() -> str:
    return part("style.css") + part("picture.css")
