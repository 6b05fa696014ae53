"""The house in one picture, and the walk of a query through it.

python docs/house.py            renews docs/images/house.svg and what docs/architecture.md says of both
python docs/house.py --walk     prints the walk of a real query
"""

from __future__ import annotations

import argparse
from pathlib import Path
from xml.sax.saxutils import escape

import blocks
from floors import FACES, FLOORS, circles, floor, imports, room
from walk import QUERY, Walk, walks

DOCS = Path(__file__).resolve().parent
PICTURE = DOCS / "images" / "house.svg"
PAGE = DOCS / "architecture.md"
COMMAND = "python docs/house.py"

_FACES = {"r2_magic": "%%r2 in a notebook", "r2_mcp": "the MCP server"}


def edges() -> list[tuple[str, str]]:
    """Which room imports which, each pair once, from the top of the house down."""
    found = {(room(i.importer), room(i.imported)) for i in imports()}
    pairs = [(above, below) for above, below in found if above and below and above != below]
    return sorted(pairs, key=lambda pair: (-floor(pair[0]), pair[0], -floor(pair[1])))


def direct(pairs: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """The pairs that no way over other rooms implies."""
    below: dict[str, set[str]] = {}
    for start, end in pairs:
        below.setdefault(start, set()).add(end)

    def reach(name: str, seen: set[str]) -> set[str]:
        for target in below.get(name, set()) - seen:
            seen.add(target)
            reach(target, seen)
        return seen

    return {
        (start, end) for start, end in pairs if not any(end in reach(other, set()) for other in below[start] - {end})
    }


# -- the picture -----------------------------------------------------------------------------------------------

_WIDTH, _ROW, _BOX, _TOP = 860, 38, 28, 20
_LEFT, _RIGHT = 20, 560  # of the boxes; arrows run to the right of them

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2933; } .name { font-weight: 600; } .about { fill: #52606d; }
.ground { fill: #ffffff; } .room { fill: #e8f0fa; stroke: #3b6ea8; } .face { fill: #fdf0d9; stroke: #b7791f; }
.way { fill: none; stroke: #3b6ea8; stroke-width: 1.4; } .far { fill: none; stroke: #9fb3c8; stroke-width: .5; }
.up { fill: none; stroke: #c53030; stroke-width: 2; } .head { fill: #3b6ea8; }
@media (prefers-color-scheme: dark) {
text { fill: #e4e7eb; } .about { fill: #9aa5b1; } .ground { fill: #14181d; } .room { fill: #1d2c3f; stroke: #6ea3dc; }
.face { fill: #3a2d14; stroke: #d9a441; } .way { stroke: #6ea3dc; } .far { stroke: #3e4c59; } .head { fill: #6ea3dc; }
.up { stroke: #fc8181; }
}
"""


def picture() -> str:
    """The house as SVG: a box a room, the highest on top; an arrow for an import, thin where others imply it."""
    pairs = edges()
    strong = direct(pairs)
    storeys = len(FLOORS) + 1
    height = 2 * _TOP + storeys * _ROW - (_ROW - _BOX)
    boxes = [_box(name, about) for name, about in FLOORS.items()] + [
        _box(face, about, column, len(_FACES)) for column, (face, about) in enumerate(_FACES.items())
    ]
    ways = sorted(pairs, key=lambda pair: pair in strong)
    arrows = [_arrow(pair, pair in strong) for pair in ways]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            "<title>The rooms of r2-mcp on their floors, and which imports which</title>",
            f"<style>{_STYLE}</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" '
            'markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>',
            f'<rect class="ground" width="{_WIDTH}" height="{height}" rx="8"/>',
            *arrows,
            *boxes,
            "</svg>\n",
        ]
    )


def _y(name: str) -> float:
    """The middle of a room's storey."""
    return _TOP + (len(FLOORS) - floor(name)) * _ROW + _BOX / 2


def _box(name: str, about: str, column: int = 0, columns: int = 1) -> str:
    gap = 12
    width = (_RIGHT - _LEFT - gap * (columns - 1)) / columns
    x, y = _LEFT + column * (width + gap), _y(name)
    return (
        f'<rect class="{"face" if name in FACES else "room"}" x="{x:g}" y="{y - _BOX / 2:g}" width="{width:g}" '
        f'height="{_BOX}" rx="5"/>'
        f'<text x="{x + 10:g}" y="{y + 4.5:g}"><tspan class="name">{escape(name)}</tspan>'
        f'<tspan class="about" dx="10">{escape(about)}</tspan></text>'
    )


def _arrow(pair: tuple[str, str], strong: bool) -> str:
    """A bow on the right from the importer down to the imported; the further, the wider."""
    start, end = _y(pair[0]), _y(pair[1])
    rooms = abs(floor(pair[0]) - floor(pair[1]))
    bow = _RIGHT + 24 + rooms * 21
    kind = "up" if floor(pair[0]) <= floor(pair[1]) else "way" if strong else "far"
    head = ' marker-end="url(#head)"' if kind != "far" else ""
    path = f"M{_RIGHT} {start + 4:g} C{bow} {start + 4:g} {bow} {end - 4:g} {_RIGHT + 1} {end - 4:g}"
    return f'<path class="{kind}" d="{path}"{head}/>'


# -- the page --------------------------------------------------------------------------------------------------


def floors_table() -> str:
    """Every room, the highest first: what it is for, and whom it imports."""
    below: dict[str, list[str]] = {}
    for start, end in edges():
        below.setdefault(start, []).append(end)
    rooms = {**_FACES, **dict(reversed(FLOORS.items()))}
    return blocks.table(
        ("room", "what it is for", "imports"),
        ((f"`{name}`", about, ", ".join(below.get(name, [])) or "-") for name, about in rooms.items()),
    )


def walks_table(found: dict[str, Walk]) -> str:
    """The rooms a query enters, in the order it enters them, and who calls upward."""
    rows: list[tuple[str, str, str]] = []
    for name, seen in found.items():
        rooms = " → ".join(f"{entered} {stays}" for entered, stays in seen.stays.items())
        climbs = [f"{low} → `{function}` {count}" for (low, function), count in seen.climbs.items()]
        rows.append((f"`{name}`", rooms, "; ".join(climbs) or "none"))
    return blocks.table(("asked", "rooms in the order they are entered, and stays in each", "climbs"), rows)


def page() -> str:
    """docs/architecture.md with its tables as they are now."""
    known = {"floors": floors_table(), "walks": walks_table(walks())}
    return blocks.written(PAGE.read_text(encoding="utf-8"), known)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walk", action="store_true", help="print the walk of a real query, renew nothing")
    if parser.parse_args().walk:
        print(QUERY)
        for name, seen in walks().items():
            print(f"\n{name}: {sum(seen.stays.values())} stays, {sum(seen.climbs.values())} climbs")
            print("\n".join(f"  {line}" for line in seen.lines()))
        return
    for group in circles((i.importer, i.imported) for i in imports()):
        print(f"circle: {', '.join(group)}")
    PICTURE.write_text(picture(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    print(f"{PICTURE.relative_to(DOCS.parent)}\n{PAGE.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
