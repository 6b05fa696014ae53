"""Draws docs/images/route.svg and setup.svg, what those commands show on a terminal, and chats.svg, how chats are read.

What setup proposes is for three keys that are none, so from the lists of models that stand in where a provider's own
cannot be had.

python docs/images/make.py
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from r2_router import R2Router
from r2_router.config.settings import load_settings
from r2_router.setup.prepare import look
from r2_router.show import proposal, tables, terminal
from r2_router.words import bar, excerpt

QUERY = "Write a Python function that returns the n-th prime."


KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")
HARD = "Write a Go function implementing an LRU cache with O(1) get and put, thread-safe, with generics and tests."
CHATS = (
    (HARD, "add a benchmark", "commit it"),
    (HARD, "und jetzt auf Deutsch"),
    (HARD, "What is the capital of France?"),
    (HARD, "What is the capital of France?", "in French, please"),
    (HARD, "thanks"),
)


def screen_of(width: int) -> Console:
    off = {"markup": False, "highlight": False, "emoji": False}  # as show.tables.console
    return Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor", **off)


def draw_route(router: R2Router) -> None:
    screen = screen_of(108)
    terminal.console = lambda: screen
    terminal.is_terminal = lambda: True
    terminal.show_decision(router.route_text(QUERY), top=6, excluded=False)
    title = f'r2-router route "{QUERY}"'
    screen.save_svg(str(Path(__file__).with_name("route.svg")), title=title)


def draw_setup() -> None:
    """The proposal, as the command shows it, for somebody with three keys."""
    screen = screen_of(132)
    tables.console = lambda: screen
    tables.is_terminal = lambda: True
    with tempfile.TemporaryDirectory() as home:
        os.environ.update({"R2_HOME": home, **dict.fromkeys(KEYS, "none")})
        found = look(load_settings())
    tables.show_table(proposal.COLUMNS, proposal.proposal_rows(found.chosen), numbers=proposal.NUMBERS)
    screen.print("\n".join(["", *proposal.frontier_plot(found.ways, found.chosen)]))
    screen.save_svg(str(Path(__file__).with_name("setup.svg")), title="r2-router setup")


def draw_chats(router: R2Router) -> None:
    """What each message counts for, and what is expected of the answer to the last."""
    screen = screen_of(100)
    table = Table("what the user said", "counts for", "the answer", box=None, pad_edge=False, header_style="bold")
    for turns in CHATS:
        said = [({"role": "user", "content": turn}, {"role": "assistant", "content": "..."}) for turn in turns]
        decision = router.route_messages([message for pair in said for message in pair][:-1])
        shares = {turn.text: turn.share or 0.0 for turn in decision.read_with}
        shares[turns[-1]] = 1.0 - sum(shares.values())
        expected = "any will do" if decision.closing else f"quality {decision.predicted_quality:.2f}"
        for turn in turns:
            share, last = shares.get(turn, 0.0), turn == turns[-1]
            counts = "" if decision.closing else f"{bar(share)} {100 * share:3.0f} %"
            of = f"{expected}, {decision.predicted_output_tokens:,.0f} tokens" if last else ""
            table.add_row(excerpt(turn), counts, of, style="bold cyan" if last else "", end_section=last)
        table.add_row()
    screen.print(table)
    screen.save_svg(str(Path(__file__).with_name("chats.svg")), title="how chats are read")


def main() -> None:
    router = R2Router.from_pretrained()
    draw_route(router)
    draw_chats(router)
    draw_setup()


if __name__ == "__main__":
    main()
