"""The proposal as people see it: every number, no markup obeyed, a picture that fits."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from support.offers import KEY, Offers, entry

from r2_router.config.settings import load_settings
from r2_router.setup.prepare import Setup, look
from r2_router.show import tables
from r2_router.show.plot import HEIGHT, WIDTH, Mark, plot
from r2_router.show.proposal import COLUMNS, change_lines, found_lines, frontier_plot, notes, proposal_rows


@pytest.fixture
def found(here: Offers) -> Setup:
    return look(load_settings())


def test_a_row_tells_rating_prices_and_what_an_answer_costs(found: Setup) -> None:
    rows = proposal_rows(found.chosen)
    assert {len(row) for row in rows} == {len(COLUMNS)}
    opus = next(row for row in rows if row[1] == "gemini-4-argon")
    assert opus[2:7] == ("openrouter", "1524", "2", "10", "$0.0132")
    assert "2026-10-20" in opus[7]


def test_a_guessed_speed_is_marked_and_explained(found: Setup) -> None:
    (own,) = (row for row in proposal_rows(found.chosen) if row[2] == "ollama")
    assert own[6].startswith("~$")
    assert any(line.startswith("~ a guess") for line in notes(found))


def test_where_things_are_from_is_said_without_the_key(found: Setup) -> None:
    said = "\n".join(found_lines(found))
    assert "OPENROUTER_API_KEY (environment)" in said
    assert "12 models" in said
    assert KEY not in said


def test_the_picture_has_every_letter_and_keeps_its_size(found: Setup) -> None:
    lines = frontier_plot(found.ways, found.chosen)
    assert len(lines) == HEIGHT + 3
    assert max(map(len, lines)) <= WIDTH + 40
    drawn = "".join(lines[1 : HEIGHT + 1])
    for sign in "abc"[: len(found.chosen)]:
        assert sign in drawn


def test_one_point_is_a_picture_too() -> None:
    lines = plot("rating", [Mark(0.0, 1300.0, "a")], "{:.0f}".format)
    assert sum("a" in line for line in lines[1 : HEIGHT + 1]) == 1


def test_what_changes_is_a_line_each(found: Setup) -> None:
    assert change_lines(found.plan) == [f"+ {way.model.name}" for way in found.chosen]


def test_markup_in_a_name_is_shown_as_it_is(here: Offers, monkeypatch: pytest.MonkeyPatch) -> None:
    here.hosted_list.body = {"data": [entry("x/[red]bold[blink]", 1, 2), entry("x/<script>alert(1)<script>", 1, 3)]}
    rows = proposal_rows(look(load_settings(), models="x/*").chosen)
    stream = io.StringIO()
    monkeypatch.setattr(tables, "is_terminal", lambda **_: True)
    monkeypatch.setattr(
        tables, "console", lambda **_: Console(file=stream, width=200, force_terminal=True, markup=False)
    )
    tables.show_table(COLUMNS, rows)
    assert "[red]bold[blink]" in stream.getvalue()
