"""A ranking in terminals of any width: the model is always named, numbers stay whole."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from support.made_up import DIM, make_checkpoint, unit

from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.router import R2Router
from r2_router.routing.decision import Decision
from r2_router.routing.rows import ranking_row
from r2_router.routing.worth import trade_off
from r2_router.show.ranking import rich_ranking
from r2_router.show.tables import fitted, shortened
from r2_router.words import usd

NAMES = (
    "a-provider/An-Instruct-Model-With-a-Very-Long-Name-2507-70B:free",
    "a-provider/An-Instruct-Model-With-a-Very-Long-Name-2507-8B:free",
    "通义千问-超大杯-思考版-2507-二千三百五十亿参数",
)
WIDTHS = (60, 80, 100, 200)


@pytest.fixture(scope="module")
def decision() -> Decision:
    from r2_router.config.settings import load_settings

    candidates = tuple((name, b) for name in NAMES for b in (10, 40, 100, "unlimited"))
    checkpoint = make_checkpoint(models=len(NAMES), candidates=candidates)
    models = {name: Model(name, f"vendor/{i}", 0.1 * (i + 1), 0.4 * (i + 1)) for i, name in enumerate(NAMES)}
    router = R2Router(
        checkpoint,
        Pool("long", models),
        settings=load_settings(),
        embedder=lambda: pytest.fail("not needed"),
        trade_off=trade_off(worth_usd=0.01) or pytest.fail("no trade-off"),
    )
    return router.route(unit(np.random.default_rng(7).normal(size=DIM)))


def drawn(decision: Decision, width: int, **how: object) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, highlight=False, **how)  # type: ignore[arg-type]
    console.print(rich_ranking(decision.candidates[:12], console.width))
    return out.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_row_names_its_model_budget_quality_and_cost_on_one_line(decision: Decision, width: int) -> None:
    lines = drawn(decision, width).splitlines()
    assert len(lines) == 13
    assert all(cell_len(line) <= width for line in lines)
    for line, (rank, candidate) in zip(lines[1:], enumerate(decision.candidates[:12], 1), strict=True):
        _, model, budget, quality, _, cost, *_ = ranking_row(rank, candidate)
        for number in (budget, quality, cost):
            assert number in line
        head, _, tail = line.partition("…")
        assert model in line or (head.split()[-1] in model and tail.split()[0] in model)


def test_where_there_is_little_room_the_bars_go_first_then_net_value(decision: Decision) -> None:
    at = {width: drawn(decision, width) for width in WIDTHS}
    assert [("█" in at[w], "net value" in at[w]) for w in (200, 80, 60)] == [
        (True, True),
        (False, True),
        (False, False),
    ]
    assert NAMES[0] in at[200]


def test_two_long_names_that_differ_at_the_end_can_be_told_apart(decision: Decision) -> None:
    lines = drawn(decision, 80).splitlines()[1:]
    shown = {re.split(r"\s{2,}", line.strip())[1] for line in lines}
    assert len(shown) == len({c.model for c in decision.candidates})


def test_no_colour_means_no_colour(decision: Decision) -> None:
    assert "\x1b" in drawn(decision, 80, force_terminal=True, color_system="standard")
    assert "\x1b[3" not in drawn(decision, 80, force_terminal=True, no_color=True)


@pytest.mark.parametrize("width", range(1, 30))
def test_a_text_is_shortened_in_its_middle_and_never_wider(width: int) -> None:
    for text in ("abcdefghijklmnopqrstuvwxyz", "通义千问超大杯思考版二千五百", "short"):
        made = shortened(text, width)
        assert cell_len(made) <= max(width, 1)
        assert made == text or made.count("…") == 1


def test_numbers_are_never_shortened() -> None:
    rows = [["a-very-long-name-of-a-model", "123,456,789", "another rather long text"]] * 2
    for width in (20, 30, 40, 80):
        assert all(row[1] == "123,456,789" for row in fitted(rows, width, {1}))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "-"),
        (0.0, "$0.00"),
        (0.01, "$0.01"),
        (0.000218, "$0.000218"),
        (1.2, "$1.20"),
        (-0.00001, "-$0.00001"),
        (1234.5, "$1,234.50"),
        (0.9999, "$1.00"),
    ],
)
def test_money_is_said_in_one_way(amount: float | None, text: str) -> None:
    assert usd(amount) == text
