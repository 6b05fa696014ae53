"""`%%r2 --compare` and `%r2 what-if`: real router, real HTTP."""

from __future__ import annotations

import pytest
from support.chat_server import fails, says
from support.made_up import decide

from r2_magic.comparison import alternatives
from r2_magic.what_if import what_if_view
from r2_router.errors import InputError, ProviderError
from r2_router.ledger import Ledger
from r2_router.ledger.labels import preferences


def test_two_models_answer_and_the_preferred_one_is_noted_and_gone_on_with(shell, server) -> None:
    server.then(says("It is <b>Rome</b>, for $5 and $6."), says("Rome."))
    ran = shell.run("%%r2 --compare 2 -o both\nWhat is the capital of Italy?")
    both = ran.result
    assert shell.ip.user_ns["both"] is both
    assert [answer.text for answer in both.answers] == ["It is <b>Rome</b>, for $5 and $6.", "Rome."]
    assert both[0].model != both[1].model
    assert len({body["model"] for body in server.bodies}) == 2
    [shown] = ran.bundles
    assert "&lt;b&gt;Rome&lt;/b&gt;, for $5 and $6." in shown["text/html"]
    assert "mathjax_ignore" in shown["text/html"]
    for text in shown.values():
        assert text.count("expected quality") == 2
        assert "%r2 prefer 1" in text
    said = shell.run("%r2 prefer 2")
    assert said.printed.startswith(both[1].model)
    [(better, worse)] = preferences(Ledger())
    assert (better.model, worse.model) == (both[1].model, both[0].model)
    shell.run("%%r2 --history 1 --budget unlimited\nAnd of France?")
    sent = [m["content"] for m in server.bodies[-1]["messages"] if m["role"] != "system"]
    assert sent == ["What is the capital of Italy?", "Rome.", "And of France?"]


def test_one_that_fails_is_said_and_the_other_is_shown(shell, server) -> None:
    server.then(fails(400, "no"), says("Rome."))
    ran = shell.run("%%r2 --compare 2\nhello")
    assert [answer.text for answer in ran.result.answers] == ["Rome."]
    assert "400" in ran.bundles[0]["text/plain"]
    assert isinstance(shell.run("%r2 prefer 1").error, InputError)  # that one gave no answer
    assert "only answer" in shell.run("%r2 prefer 2").printed
    assert preferences(Ledger()) == []
    server.then(fails(400, "no"), fails(400, "no"))
    assert isinstance(shell.run("%%r2 --compare 2\nhello").error, ProviderError)


@pytest.mark.parametrize(
    ("before", "cell", "message"),
    [
        ("", "%r2 prefer 1", "--compare 2"),
        ("%%r2 --compare 2\nhello", "%r2 prefer 3", "`%r2 prefer 1`"),
        ("%%r2 --compare 2\nhello", "%r2 prefer", "`%r2 prefer 1`"),
        ("", "%%r2 --compare 2 --model SmolLM2-135M-Instruct --budget 40\nhello", "only candidate"),
    ],
)
def test_what_cannot_be_compared_is_one_line(shell, before: str, cell: str, message: str) -> None:
    if before:
        shell.run(before)
    ran = shell.run(cell)
    assert isinstance(ran.error, InputError)
    assert message in str(ran.error)


def test_the_budget_of_the_notebook_holds_for_all_answers_together(shell, server) -> None:
    magics = shell.ip.magics_manager.registry["R2Magics"]
    shell.run("%config R2Magics.budget = 0.000000001")
    assert shell.run("%%r2 --compare 2\nhello").error is not None
    assert server.requests == []
    assert magics.session.spent_usd == 0


def test_other_models_come_first_then_other_lengths() -> None:
    ranked = decide().candidates
    models = {c.model for c in ranked}
    picked = alternatives(ranked, len(models) + 1)
    assert picked[0] == ranked[0]
    assert len({c.model for c in picked[:-1]}) == len(models)
    assert picked[-1] not in picked[:-1]


def test_what_if_shows_the_steps_of_the_frontier(shell, server) -> None:
    for cell in ("%r2 what-if What is the capital of Italy?", "%%r2 what-if\nhi", "%r2 what-if"):
        [bundle] = shell.run(cell).bundles
        assert "a step up buys" in bundle["text/plain"], cell
        assert '<svg class="r2-curve"' in bundle["text/html"], cell
        assert bundle["text/html"].count('aria-current="true"') == 1
    assert server.requests == []


def test_a_step_is_what_the_dearer_neighbour_gives_and_takes() -> None:
    view = what_if_view(decide(worth_usd=0.001))
    header, *rows = view.table
    assert header.split()[:3] == ["model", "budget", "quality"]
    assert sum(row.startswith("●") for row in rows) == 1
    assert all(" for $" in row for row in rows[1:])
    assert " for $" not in rows[0]
