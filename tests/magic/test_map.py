"""`%r2 map`, labels, and the notebook's budget: real router, real HTTP."""

from __future__ import annotations

import pytest

from r2_router.errors import InputError, SpendLimitError
from r2_router.ledger import Ledger


def test_prompts_are_routed_for_nothing_and_what_answers_would_cost_is_said(shell, server) -> None:
    shell.ip.user_ns["prompts"] = ["What is 2 + 2?", "Name a river.", ""]
    ran = shell.run("%r2 map prompts[:3] -o routed")
    assert ran.error is None
    assert "3 prompts routed (1 cannot be routed: see `error`)" in ran.printed
    assert "--max-usd USD answers them." in ran.printed
    assert server.bodies == []
    routed = shell.ip.user_ns["routed"]
    rows = routed if isinstance(routed, list) else routed.to_dict("records")
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert rows[0]["predicted_cost_usd"] > 0


def test_prompts_are_answered_within_the_limit(shell, server) -> None:
    shell.ip.user_ns["names"] = {"first": "Name a river."}
    ran = shell.run('%r2 map [names["first"], "Name a king."] --max-usd 0.5 -o answers')
    assert ran.error is None
    assert "2 of 2 answered for $" in ran.printed
    answers = shell.ip.user_ns["answers"]
    rows = answers if isinstance(answers, list) else answers.to_dict("records")
    assert [row["answer"] for row in rows] == ["Rome is the **capital**."] * 2
    assert len(server.bodies) == 2


def test_no_answer_is_begun_beyond_the_limit(shell, server) -> None:
    ran = shell.run('%r2 map ["Name a river.", "Name a king."] --max-usd 0.0000000001')
    assert ran.error is None
    assert "0 of 2 answered for $0.00, 2 left out" in ran.printed
    assert server.bodies == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%r2 map", "Which prompts?"),
        ("%r2 map nothing_here", "NameError"),
        ("%r2 map 'one text'", "is str, and no list or column of prompts"),
        ("%r2 map 7 --max-usd 1", "is int, and no list"),
        ("%r2 map ['hi'] --max-usd nan", "--max-usd is an amount in dollars"),
        ("%r2 map ['hi'] --max-usd=-1", "--max-usd is an amount in dollars"),
    ],
)
def test_what_is_no_prompts_is_said(shell, line: str, said: str) -> None:
    ran = shell.run(line)
    assert isinstance(ran.error, InputError)
    assert said in str(ran.error)


def test_the_limit_said_is_what_the_notebooks_budget_leaves(shell) -> None:
    shell.run("%config R2Magics.budget = 0.25")
    assert "and at most $0.25." in shell.run("%r2 map ['Name a river.'] --max-usd 3").printed


def test_the_last_answer_is_judged(shell) -> None:
    assert "There is no answer yet" in str(shell.run("%r2 good").error)
    shell.run("%%r2\nhello")
    ran = shell.run("%r2 bad")
    assert "quality 0." in ran.printed
    with Ledger() as ledger:
        [entry] = ledger.entries("outcome = 'answered'")
        assert entry.quality == 0.0
        shell.run("%r2 good 0.7")
        assert ledger.entries("outcome = 'answered'")[0].quality == 0.7


def test_the_notebook_keeps_its_budget_and_says_what_is_spent(shell, server) -> None:
    shell.run("%config R2Magics.budget = 0.5")
    ran = shell.run("%%r2\nhello")
    assert "spent here: $" in ran.bundles[-1]["text/plain"]
    assert "of $0.5" in ran.bundles[-1]["text/plain"]
    shell.run("%config R2Magics.budget = 0.0000000001")
    asked = len(server.bodies)
    refused = shell.run("%%r2\nhello again")
    assert isinstance(refused.error, SpendLimitError)
    assert "R2Magics.budget leaves less: all cells together may cost" in str(refused.error)
    assert len(server.bodies) == asked
