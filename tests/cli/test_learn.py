"""`r2-router learn`: from answers in the ledger to other choices, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chat_server import ChatServer, chat_server, says
from support.collecting import write_inputs

from r2_router import R2Router
from r2_router.cli import main
from r2_router.generate import sync
from r2_router.ledger import Entry, Ledger

MODEL = "Qwen2.5-Coder-0.5B-Instruct"
QUERY = "What is the capital of {}?"
PLACES = ("France", "Peru", "Chad", "Japan", "Fiji", "Malta", "Cuba", "Iran", "Oman", "Laos", "Mali", "Togo")


def write(count: int, quality: float | None, *, log_text: bool = True) -> None:
    with Ledger(log_text=log_text) as ledger:
        for place in PLACES[:count]:
            fields = {
                "face": "cli",
                "outcome": "answered",
                "model": MODEL,
                "budget": "unlimited",
                "checkpoint": "local",
            }
            ledger.record(Entry(query=QUERY.format(place), quality=quality, output_tokens=9, **fields))  # type: ignore[arg-type]


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert main(["learn", *arguments]) == code
    return capsys.readouterr()


def expected() -> float:
    decision = R2Router.from_pretrained().route_text(QUERY.format("Spain"), model=MODEL, budget="unlimited")
    return decision.best.predicted_quality


@pytest.mark.slow
def test_what_is_learned_is_used_until_it_is_undone(capsys):
    write(12, 0.0)
    before = expected()
    out, err = run(capsys, "--dry-run")
    assert "Nothing was changed" in out
    assert err == ""
    assert expected() == before
    out, _ = run(capsys)
    assert [line.split()[:3] for line in out.splitlines() if MODEL in line] == [[MODEL, "12", "12"]]
    assert "used from now on" in out
    assert expected() < before - 0.05
    again, _ = run(capsys, "--json")
    assert json.loads(again)["changes"][0]["labels"] == 12
    out, _ = run(capsys, "--undo")
    assert out == "What was learned for pool 'local' is forgotten.\n"
    assert expected() == before
    assert run(capsys, "--undo")[0] == "Nothing was learned for 'local'.\n"


@pytest.mark.slow
def test_what_is_learned_does_not_pile_up(capsys):
    write(12, 0.0)
    run(capsys)
    once = expected()
    run(capsys)
    assert expected() == pytest.approx(once, abs=1e-4)


def test_without_text_levels_are_learned_and_it_says_how_more_would_be(capsys):
    write(3, 1.0, log_text=False)
    out, err = run(capsys)
    assert "3 of them tell only how good and how long answers are on the whole" in err
    assert "R2_LOG_TEXT=1 keeps those to come" in err
    [change] = [line.split() for line in out.splitlines() if MODEL in line]
    assert change[1:3] == ["3", "3"]
    assert float(change[3]) < float(change[4])
    assert float(change[5]) > float(change[6])


def test_without_an_answer_nothing_can_be_learned(capsys):
    _, err = run(capsys, code=1)
    assert "The ledger holds no label to learn from." in err


@pytest.mark.slow
def test_a_checkpoint_of_the_users_own_choice_is_said_to_come_first(capsys, monkeypatch):
    monkeypatch.setenv("R2_CHECKPOINT", "local")
    write(2, 1.0)
    out, _ = run(capsys)
    assert "Your settings name checkpoint 'local', so it is not: unset it." in out


# -- a judge ---------------------------------------------------------------------------------------------------


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[tuple[ChatServer, str]]:
    """A pool of the models a and b, and the server where they are asked; some answers of a, whose text was kept."""
    with chat_server(says("GRADE: 0.25")) as server:
        _, file = write_inputs(tmp_path, server.url, 1)
        with Ledger(log_text=True) as ledger:
            for place in PLACES:
                entry = Entry(
                    face="cli",
                    outcome="answered",
                    model="a",
                    budget="unlimited",
                    query=QUERY.format(place),
                    output_tokens=9,
                )
                ledger.record(entry, said="I forgot.")
        yield server, str(file)
        sync.stop()


def test_a_dry_run_says_what_a_judge_would_cost_and_asks_nobody(pool, capsys):
    server, file = pool
    out, err = run(capsys, "--pool", file, "--judge", "b", "--share", "1", "--dry-run")
    assert "b would judge 12 answers, for about $" in err
    assert "Nothing was changed" in out
    assert server.requests == []


@pytest.mark.slow
def test_what_a_judge_says_is_learned_from(pool, capsys):
    server, file = pool
    out, err = run(capsys, "--pool", file, "--judge", "b", "--share", "1")
    assert "b judged 12 of 12 answers, 0.25 in the mean, for $" in err
    assert [line.split()[:3] for line in out.splitlines() if line.startswith("a ")] == [["a", "12", "12"]]
    _, err = run(capsys, "--pool", file, "--judge", "b", "--share", "1")
    assert "No answer waits for b" in err
    assert len(server.requests) == 12
    main(["feedback", "last", "good"])
    assert "(judge:b said 0.25)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--judge", "nobody"], "The judge 'nobody' is not in pool 'pool': a, b."),
        (["--judge", "b", "--max-usd", "-1"], "--max-usd is an amount in dollars"),
        (["--judge", "b", "--max-usd", "nan"], "--max-usd is an amount in dollars"),
    ],
)
def test_a_judge_that_cannot_be_asked_is_named(pool, capsys, options, words):
    server, file = pool
    _, err = run(capsys, "--pool", file, *options, code=1)
    assert words in err
    assert server.requests == []


@pytest.mark.parametrize("share", ["0", "1.5", "some"])
def test_a_share_that_is_none_is_named(capsys, share):
    with pytest.raises(SystemExit):
        main(["learn", "--judge", "b", "--share", share])
    assert f"a number above 0, at most 1; got '{share}'" in capsys.readouterr().err


# -- what was learned when -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_each_run_is_in_the_log_and_so_is_its_end(capsys):
    assert run(capsys, "--log")[0] == "Nothing was learned for 'local'.\n"
    write(12, 0.0)
    run(capsys)
    _, err = run(capsys, "--undo")
    assert "After 50 more answers or labels it learns again by itself: learn_after = 0 ends that." in err
    head, change, undone = run(capsys, "--log")[0].splitlines()
    assert head.endswith("UTC, by you: 12 answers, 12 labels and 0 preferences in the ledger")
    assert change.startswith(f"  {MODEL}: quality 0.")
    assert undone.endswith("by you: forgotten")
    lines = run(capsys, "--log", "--json")[0].splitlines()
    assert [json.loads(line)["undone"] for line in lines] == [False, True]
    main(["doctor"])
    assert "by you: forgotten (`r2-router learn --log`)" in capsys.readouterr().out


@pytest.mark.slow
def test_a_router_that_runs_takes_what_was_learned(capsys):
    write(12, 0.0)
    router = R2Router.from_pretrained()
    before = router.route_text(QUERY.format("Spain"), model=MODEL, budget="unlimited").predicted_quality
    run(capsys)
    router._deciders.take_learned()
    after = router.route_text(QUERY.format("Spain"), model=MODEL, budget="unlimited")
    assert after.predicted_quality < before - 0.05
    assert after.checkpoint == "learned-local"
