"""The pool that setup proposes, as a cell shows it: its table, and its place on the frontier."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from r2_magic.render import View
from r2_router.pages import html
from r2_router.pages.picture import Axis, colour, cost_axis, framed, height_axis, rules, shape
from r2_router.show.plot import letters
from r2_router.show.proposal import COLUMNS, NUMBERS, change_lines, found_lines, frontier_plot, notes, proposal_rows
from r2_router.show.tables import plain_table
from r2_router.words import usd

if TYPE_CHECKING:
    from r2_router.setup.prepare import Setup
    from r2_router.setup.ways import Way


_OTHER = '<path opacity=".35" d="M-1.5,-1.5H1.5V1.5H-1.5Z"/>'


def proposal_view(found: Setup) -> View:
    """What is here, the models that are proposed, all that are offered in a picture, and what changes."""
    rows = proposal_rows(found.chosen)
    caption = f"Pool '{found.plan.name}'"
    changes, said, here = change_lines(found.plan), notes(found), found_lines(found)
    page = html.page(
        html.table(caption, COLUMNS, rows, numbers=NUMBERS),
        f'<div style="white-space: pre-line">{_picture(found.ways, found.chosen)}</div>',
        *(html.paragraph(line, "r2-note") for line in said),
        html.folded("What is here", here),
        html.folded("What changes", changes),
    )
    picture = frontier_plot(found.ways, found.chosen)
    return View(page, caption, plain_table(COLUMNS, rows, NUMBERS), ["", *picture, "", *here, *said, *changes])


def _picture(ways: Sequence[Way], chosen: Sequence[Way]) -> str:
    """Rating against the cost of a typical answer: an SVG without scripts, whose points tell their numbers."""
    x, y = cost_axis([way.typical_usd for way in ways]), height_axis([way.ability.rating for way in ways])
    others = "".join(_point(way, x, y, _OTHER) for way in ways if way not in chosen)
    signs = zip(chosen, letters(len(chosen)), strict=True)
    picked = "".join(_point(way, x, y, _letter(i, sign)) for i, (way, sign) in enumerate(signs))
    label = f"Rating against the cost of a typical answer, of {len(ways)} models; {len(chosen)} are proposed."
    return framed(label, f"{rules(x, y, 'rating', 'cost of a typical answer')}<g>{others}</g>{picked}")


def _point(way: Way, x: Axis, y: Axis, drawn: str) -> str:
    title = f"{way.model.name}: {way.ability.rating:.0f}, {usd(way.typical_usd)}; {way.ability.said}"
    place = f"translate({x(way.typical_usd)},{y(way.ability.rating)})"
    return f'<g class="r2-point" transform="{place}"><title>{escape(title)}</title>{drawn}</g>\n'


def _letter(i: int, sign: str) -> str:
    return f'<path color="{colour(i)}" d="{shape(i)}"/><text dy="-.7em" text-anchor="middle">{sign}</text>'
