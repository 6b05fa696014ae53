"""`r2-router stats`: the numbers, the plot, and an empty ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from r2_router.cli import main
from r2_router.ledger import Entry, Ledger

Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> str:
        assert main(["stats", *arguments]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return run


def write(time: datetime, **changes: object) -> str:
    """One entry in the user's ledger."""
    fields = {"face": "cli", "outcome": "answered", "model": "small", "budget": 100, "query": "q"}
    with Ledger(now=lambda: time) as ledger:
        return ledger.record(Entry(**{**fields, **changes}))  # type: ignore[arg-type]


DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)


def bars(out: str) -> dict[str, str]:
    """Day -> bar."""
    plot = out.partition("Spend a day (UTC)\n")[2].partition("\n\n")[0]
    return {line.split()[0]: line[12:52].rstrip() for line in plot.splitlines()}


def test_an_empty_ledger_says_so(run, home):
    assert run() == "In all: no calls in the ledger.\n"
    assert run("--since", "2026-11-01") == "Since 2026-11-01: no calls in the ledger.\n"
    assert json.loads(run("--json"))["calls"] == 0
    assert not (home / "data").exists()


def test_decisions_alone_are_told_apart_from_calls(run):
    write(DAY, outcome="decided")
    assert run() == "In all: no calls in the ledger. Decisions without a call: 1.\n"


def test_spend_and_saving_come_first(run):
    write(DAY, cost_usd=0.25, baseline_cost_usd=1.0)
    write(DAY, cost_usd=0.5)  # compared with nothing
    write(DAY, outcome="failed", cost_usd=0.0)
    write(DAY, outcome="decided")
    assert run().splitlines()[:3] == [
        "In all: 3 calls (2 answered, 1 failed). Decisions without a call: 1.",
        "Spent $0.75.",
        "Of that $0.25 for 1 answer that always the strongest model, unlimited, was expected to give for $1.00: "
        "$0.75 (75%) saved.",
    ]


def test_a_choice_that_cost_more_says_so(run):
    write(DAY, cost_usd=0.5, baseline_cost_usd=0.4)
    write(DAY, cost_usd=0.25, baseline_cost_usd=0.2)
    assert "Of that $0.75 for 2 answers" in (out := run())
    assert "for $0.60: $0.15 (25%) more." in out


def test_bars_are_to_scale_and_leave_no_day_out(run):
    write(DAY, cost_usd=1.0)
    write(DAY + timedelta(days=2), cost_usd=0.5)
    write(DAY + timedelta(days=3), cost_usd=0.0001)
    assert bars(run()) == {
        "2026-11-20": "█" * 40,
        "2026-11-21": "",
        "2026-11-22": "█" * 20,
        "2026-11-23": "▏",
    }


def test_bars_show_the_last_month_of_days(run):
    write(DAY, cost_usd=100.0)
    write(DAY + timedelta(days=90), cost_usd=1.0)
    shown = bars(run())
    assert len(shown) == 31
    assert min(shown) == "2027-01-19"
    assert shown["2027-02-18"] == "█" * 40


def test_free_answers_have_days_without_bars(run):
    write(DAY, cost_usd=0.0)
    assert bars(run()) == {"2026-11-20": ""}


def test_tables_show_models_and_calibration(run):
    answer_id = write(
        DAY,
        predicted_quality=0.8,
        predicted_output_tokens=50.0,
        output_tokens=75,
        predicted_cost_usd=0.001,
        cost_usd=0.002,
        baseline_cost_usd=0.004,
        latency_s=1.5,
        prompt_tokens=1000,
        cache_read_tokens=840,
        cache_write_tokens=100,
        cache_saved_usd=0.0125,
    )
    with Ledger() as ledger:
        ledger.set_quality(answer_id, 0.4)
    told = run()
    assert "Of 1,000 prompt tokens, 84% came from prompt caches: $0.0125 saved." in told
    lines = [line.split() for line in told.splitlines()]
    assert ["small", "1", "1", "$0.002", "$0.002", "75", "84%", "1.50", "s"] in lines
    cells = ["0.50", "±0.40", "n=1", "1.50", "±25", "n=1", "2.00", "±$0.001", "n=1"]
    assert ["small", "100", "1", *cells] in lines
    assert ["all", "1", *cells] in lines


def test_what_is_unknown_is_a_dash(run):
    write(DAY)
    lines = [line.split() for line in run().splitlines()]
    assert ["small", "100", "1", "-", "-", "-"] in lines


@pytest.mark.parametrize(("since", "calls"), [("2026-11-20", 2), ("2026-11-21", 1), ("2026-11-22", 0)])
def test_since_a_date(run, since, calls):
    write(datetime(2026, 11, 20, tzinfo=UTC))
    write(datetime(2026, 11, 21, tzinfo=UTC))
    assert json.loads(run("--json", "--since", since))["calls"] == calls


def test_since_a_number_of_days_includes_today(run):
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    write(midnight - timedelta(days=2, seconds=1))
    write(midnight - timedelta(days=2))
    write(midnight)
    assert json.loads(run("--json", "--since", "3d"))["calls"] == 2


@pytest.mark.parametrize("since", ["yesterday", "0d", "-1d", "d", "2026-13-01", "99999999999999d"])
def test_a_since_that_is_neither_is_wrong_usage(run, capsys, since):
    with pytest.raises(SystemExit) as caught:
        run(f"--since={since}")
    assert caught.value.code == 2
    assert f"'{since}' is neither a date" in capsys.readouterr().err


def test_json_is_one_object_on_one_line(run):
    write(DAY, cost_usd=0.25)
    out = run("--json")
    assert out.count("\n") == 1
    assert json.loads(out)["days"][0]["cost_usd"] == 0.25


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals here")
def test_a_terminal_gets_drawn_tables_and_names_as_they_are():
    import pty

    write(DAY, model="[red]model[/red]", cost_usd=0.25)
    ours, theirs = pty.openpty()
    program = "import argparse; from r2_router.cli import stats; stats.run(argparse.Namespace(json=False, since=None))"
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, "-c", program], stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = bytearray()
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:  # Linux says so when the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    assert b"[red]model[/red]" in shown
    assert b"\x1b[1m" in shown


@pytest.mark.slow
def test_statistics_load_no_arrays(home: Path):
    program = (
        "import argparse, sys; from r2_router.cli import stats; stats.run(argparse.Namespace(json=True, since=None));"
        "assert not {'numpy', 'rich', 'httpx'} & set(sys.modules)"
    )
    write(DAY, cost_usd=0.25)
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_a_damaged_ledger_is_an_error_with_a_next_step(home: Path, capsys):
    (home / "data").mkdir()
    (home / "data" / "ledger.sqlite3").write_bytes(b"no database" * 1000)
    assert main(["stats"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: The ledger ")
    assert "move it away" in err
