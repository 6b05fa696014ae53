"""Draws docs/images/route.svg: what `r2-router route` shows on a terminal.

python docs/images/make.py
"""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from r2_router import R2Router
from r2_router.show import terminal

QUERY = "Write a Python function that returns the n-th prime."


def main() -> None:
    off = {"markup": False, "highlight": False, "emoji": False}  # as show.tables.console
    screen = Console(record=True, width=108, file=io.StringIO(), force_terminal=True, color_system="truecolor", **off)
    terminal.console = lambda: screen
    terminal.is_terminal = lambda: True
    terminal.show_decision(R2Router.from_pretrained().route_text(QUERY), top=6, excluded=False)
    title = f'r2-router route "{QUERY}"'
    screen.save_svg(str(Path(__file__).with_name("route.svg")), title=title)


if __name__ == "__main__":
    main()
