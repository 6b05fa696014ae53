"""`r2-router ledger prune` and what `doctor` says of the ledger."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import UTC, datetime, timedelta

import pytest

from r2_router.cli import doctor, main
from r2_router.ledger import Entry, Ledger, stats


def write(days_ago: int) -> None:
    with Ledger(now=lambda: datetime.now(UTC) - timedelta(days=days_ago)) as ledger:
        ledger.record(Entry(face="cli", outcome="answered", model="small", budget=100, cost_usd=0.25))


def said_of_the_ledger() -> str:
    [finding] = list(doctor._ledger())  # pyright: ignore[reportPrivateUsage]
    assert finding.state == "ok"
    return finding.text


@pytest.fixture
def old(home) -> None:
    for days_ago in (100, 50, 0):
        write(days_ago)


@pytest.mark.usefixtures("old")
def test_old_entries_go_and_the_sums_stay(capsys):
    assert main(["ledger", "prune", "--days", "60"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Removed 1 entries from before ")
    assert err == ""
    assert len(Ledger().entries()) == 2
    assert stats(Ledger()).cost_usd == 0.75


@pytest.mark.usefixtures("old")
def test_the_setting_says_how_many_days(monkeypatch, capsys):
    monkeypatch.setenv("R2_LEDGER_DAYS", "7")
    assert main(["ledger", "prune", "--json"]) == 0
    pruned = json.loads(capsys.readouterr().out)
    assert pruned["removed"] == 2
    assert pruned["first_kept"] == (datetime.now(UTC).date() - timedelta(days=6)).isoformat()


@pytest.mark.usefixtures("old")
def test_without_a_number_nothing_goes(capsys):
    assert main(["ledger", "prune"]) == 1
    assert "--days 90, or set R2_LEDGER_DAYS" in capsys.readouterr().err
    assert len(Ledger().entries()) == 3


@pytest.mark.parametrize("days", ["0", "-1", "many"])
def test_days_that_are_none_are_wrong_usage(days):
    with pytest.raises(SystemExit) as caught:
        main(["ledger", "prune", f"--days={days}"])
    assert caught.value.code == 2


def test_an_empty_ledger_is_left_alone(home, capsys):
    assert main(["ledger", "prune", "--days", "1"]) == 0
    assert "Removed 0 entries" in capsys.readouterr().out
    assert not (home / "data").exists()


@pytest.mark.usefixtures("old")
def test_doctor_says_how_large_it_is_and_how_long_it_keeps(monkeypatch):
    first = (datetime.now(UTC) - timedelta(days=100)).date().isoformat()
    assert f"ledger.sqlite3: 3 entries since {first}, 0." in said_of_the_ledger()
    assert "MB, kept for ever (R2_LEDGER_DAYS" in said_of_the_ledger()
    monkeypatch.setenv("R2_LEDGER_DAYS", "90")
    assert said_of_the_ledger().endswith("MB, kept for 90 days")


def test_doctor_finds_a_ledger_that_cannot_be_read(home, monkeypatch):
    (home / "data").mkdir()
    (home / "data" / "ledger.sqlite3").write_bytes(b"no database" * 1000)
    findings = doctor.examine(Namespace(checkpoint="nowhere", pool=None, embed_url=None))
    [fault] = [f for f in findings if f.part == "ledger"]
    assert fault.state == "fault"
    assert "move it away" in fault.text
