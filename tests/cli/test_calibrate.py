"""`r2-router calibrate` over ledgers whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.made_up import make_checkpoint

from r2_router.cli import main
from r2_router.ledger import Entry, Ledger


def write(quality: float | None = None, **changes: object) -> None:
    fields = {"face": "cli", "outcome": "answered", "model": "small", "budget": 100, "query": "q", "checkpoint": "mine"}
    with Ledger() as ledger:
        answer_id = ledger.record(Entry(**{**fields, **changes}))  # type: ignore[arg-type]
        if quality is not None:
            ledger.set_quality(answer_id, quality)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["calibrate", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_an_empty_ledger_says_what_to_do(capsys, home):
    assert run(capsys) == 'No whole answer in the ledger. `r2-router ask "..."` gets one.\n'
    assert not (home / "data").exists()


def test_without_labels_it_says_how_to_give_them(capsys):
    write(predicted_output_tokens=50.0, output_tokens=60)
    out = run(capsys)
    assert "1 whole answers, 0 of them with a label." in out
    assert "r2-router feedback --list" in out
    assert "Quality\n" not in out
    assert "Nothing is shown to be off." in out


def test_tables_and_what_is_off(capsys):
    for i in range(12):
        write(
            float(i % 2),
            predicted_quality=0.9,
            predicted_output_tokens=50.0,
            output_tokens=100 + i,
            predicted_cost_usd=0.001,
            cost_usd=0.001,
        )
    out = run(capsys)
    rows = [line.split() for line in out.splitlines()]
    assert ["small", "100", "12", "0.90", "0.50", "0.56", "0.50", "-0.73", "to", "-0.07", "-"] in rows
    assert ["all", "12", "0.90", "0.50", "0.56", "0.50", "-0.73", "to", "-0.07", "-"] in rows
    assert "Brier score 0.410; always saying the mean would score 0.250." in out
    assert "Quality of small @ 100 is 0.50 where 0.90 was predicted (n=12" in out
    assert "Tokens of small @ 100: 2.1 times as predicted" in out
    assert "train --from-ledger" in out
    assert "chose to judge" in out


def test_json_is_one_object_on_one_line(capsys):
    write(1.0, predicted_quality=0.5)
    out = run(capsys, "--json")
    assert out.count("\n") == 1
    assert json.loads(out)["overall"]["quality"]["bias"] == 0.5


def test_a_checkpoint_by_name_or_folder(capsys, tmp_path: Path):
    make_checkpoint(name="mine").save(tmp_path / "folder")
    write(output_tokens=5, predicted_output_tokens=5.0)
    write(output_tokens=5, predicted_output_tokens=5.0, checkpoint="other")
    assert json.loads(run(capsys, "--json"))["answered"] == 2
    for given in ("mine", str(tmp_path / "folder")):
        assert json.loads(run(capsys, "--json", "--checkpoint", given))["answered"] == 1
    assert "checkpoint 'nobody'" in run(capsys, "--checkpoint", "nobody")


def test_since_leaves_out_what_was_before(capsys):
    write()
    assert "since 2999-01-01" in run(capsys, "--since", "2999-01-01")
    with pytest.raises(SystemExit) as caught:
        main(["calibrate", "--since", "yesterday"])
    assert caught.value.code == 2


def test_a_damaged_ledger_is_an_error_with_a_next_step(home: Path, capsys):
    (home / "data").mkdir()
    (home / "data" / "ledger.sqlite3").write_bytes(b"no database" * 1000)
    assert main(["calibrate"]) == 1
    assert "move it away" in capsys.readouterr().err
