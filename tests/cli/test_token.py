from __future__ import annotations

import json

import pytest
from support.command import run_command


def test_a_token_is_made_listed_and_ended() -> None:
    made = run_command("token", "add", "alice", "--max-usd-per-day", "1.5", "--preset", "economy")
    token = made.stdout.strip()
    assert (made.returncode, token[:3], len(token.split())) == (0, "r2-", 1)
    assert "shown this once" in made.stderr
    listed = run_command("token", "list")
    assert "alice" in listed.stdout
    assert "$1.50" in listed.stdout
    assert "economy" in listed.stdout
    (known,) = json.loads(run_command("token", "list", "--json").stdout)["tokens"]
    assert (known["name"], known["max_usd_per_day"], known["max_usd_per_month"]) == ("alice", 1.5, None)
    assert token not in listed.stdout + json.dumps(known)
    assert run_command("token", "remove", "alice").returncode == 0
    assert "Nobody has a token" in run_command("token", "list").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("add a/b", "A name has"),
        ("add bob --max-usd-per-day -1", "A limit is an amount"),
        ("add bob --worth-usd nan", "worth_usd must be a finite number"),
        ("remove bob", "Nobody called 'bob'"),
    ],
)
def test_what_cannot_be_done_says_so(words: str, said: str) -> None:
    done = run_command("token", *words.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
