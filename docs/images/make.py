"""Draws docs/images/route.svg: what `r2-router route` shows on a terminal.

python docs/images/make.py
"""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from r2_router import R2Router
from r2_router.cli import render

QUERY = "Write a Python function that returns the n-th prime."


def main() -> None:
    off = {"markup": False, "highlight": False, "emoji": False}  # as cli.common.console
    screen = Console(record=True, width=108, file=io.StringIO(), force_terminal=True, color_system="truecolor", **off)
    render.console = lambda: screen
    render.is_terminal = lambda: True
    router = R2Router.from_pretrained()
    render.show_decision(router, router.route_text(QUERY), top=6, excluded=False)
    title = f'r2-router route "{QUERY}"'
    screen.save_svg(str(Path(__file__).with_name("route.svg")), title=title)


if __name__ == "__main__":
    main()
