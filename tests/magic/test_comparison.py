"""`%%r2 --compare` and `%r2 what-if`: real router, real HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from support.chat_server import by_model, fails, meets, resets, says
from support.made_up import decide

from r2_magic.comparison import alternatives
from r2_magic.what_if import what_if_view
from r2_router.errors import InputError, ProviderError
from r2_router.generate import run
from r2_router.ledger import Ledger
from r2_router.ledger.labels import preferences


def ranked_ids(shell: Any, query: str = "hello") -> list[str]:
    """The last part of the ids of the two models that are compared."""
    decision = shell.run(f"%%r2 --route-only\n{query}").result
    models = {m.name: m for m in shell.ip.magics_manager.registry["R2Magics"].router().models}
    return [models[c.model].id.rpartition("/")[2] for c in alternatives(decision.candidates, 2)]


def test_two_models_answer_and_the_preferred_one_is_noted_and_gone_on_with(shell, server) -> None:
    answers = ["It is <b>Rome</b>, for $5 and $6.", "Rome."]
    ids = ranked_ids(shell, "What is the capital of Italy?")
    server.then(by_model(**{ids[0]: meets(2, says(answers[0])), ids[1]: says(answers[1])}))  # at the same time
    ran = shell.run("%%r2 --compare 2 -o both\nWhat is the capital of Italy?")
    both = ran.result
    assert shell.ip.user_ns["both"] is both
    assert [answer.text for answer in both.answers] == answers  # the router's choice first, whoever was faster
    assert both[0].model != both[1].model
    assert len({body["model"] for body in server.bodies}) == 2
    [shown] = ran.bundles
    assert "&lt;b&gt;Rome&lt;/b&gt;, for $5 and $6." in shown["text/html"]
    assert "mathjax_ignore" in shown["text/html"]
    for text in shown.values():
        assert text.count("expected quality") == 2
        assert [text.count(answer.model) for answer in both.answers] == [1, 1]
        assert "%r2 prefer 1" in text
    said = shell.run("%r2 prefer 2")
    assert said.printed.startswith(both[1].model)
    [(better, worse)] = preferences(Ledger())
    assert (better.model, worse.model) == (both[1].model, both[0].model)
    shell.run("%%r2 --history 1 --budget unlimited\nAnd of France?")
    sent = [m["content"] for m in server.bodies[-1]["messages"] if m["role"] != "system"]
    assert sent == ["What is the capital of Italy?", "Rome.", "And of France?"]


def test_one_that_fails_is_said_and_the_other_is_shown(shell, server) -> None:
    first, second = ranked_ids(shell)
    server.then(by_model(**{first: fails(400, "no"), second: says("Rome.")}))
    ran = shell.run("%%r2 --compare 2\nhello")
    assert [answer.text for answer in ran.result.answers] == ["Rome."]
    failed = ran.result.compared[0]
    assert "400" in failed.facts
    assert ran.bundles[0]["text/plain"].count(failed.candidate.model) == 1
    assert isinstance(shell.run("%r2 prefer 1").error, InputError)  # that one gave no answer
    assert "only answer" in shell.run("%r2 prefer 2").printed
    assert preferences(Ledger()) == []
    server.then(fails(400, "no"))
    assert isinstance(shell.run("%%r2 --compare 2\nhello").error, ProviderError)
    assert isinstance(shell.run("%r2 prefer 2").error, InputError)  # not of the comparison before


def test_one_that_breaks_off_is_shown_as_far_as_it_came(shell, server) -> None:
    first, second = ranked_ids(shell)
    server.then(by_model(**{first: resets("half an ", "answer"), second: says("Rome.")}))
    ran = shell.run("%%r2 --compare 2\nhello")
    assert [answer.text for answer in ran.result.answers] == ["Rome."]
    shown = ran.bundles[0]["text/plain"]
    assert "half an answer" in shown
    assert "broken off" in shown
    assert isinstance(shell.run("%r2 prefer 1").error, InputError)
    server.then(resets("half an ", "answer"))
    ran = shell.run("%%r2 --compare 2 -o kept\nhello")
    assert isinstance(ran.error, ProviderError)
    assert ran.bundles[0]["text/plain"].count("half an answer") == 2
    assert [each.text for each in shell.ip.user_ns["kept"].compared] == ["half an answer"] * 2


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


@pytest.mark.parametrize("set_by", ["notebook", "day"])
def test_a_limit_that_leaves_room_for_one_alone_lets_them_wait_for_each_other(
    shell, server, monkeypatch: pytest.MonkeyPatch, set_by: str
) -> None:
    """What an answer may cost is held while it comes; most cost less."""
    router = shell.ip.magics_manager.registry["R2Magics"].router()
    picked = alternatives(router.route_text("hello").candidates, 3)
    wishes = [{"model": c.model, "budget": c.budget} for c in picked]
    most = [run(router.stream("hello", **wish).quote(router.guard))[1] for wish in wishes]
    limit = max(most) + 0.8 * min(most)  # for the dearest alone; the answers cost far less than they may
    if set_by == "notebook":
        shell.run(f"%config R2Magics.budget = {limit!r}")
    else:
        monkeypatch.setenv("R2_MAX_USD_PER_DAY", repr(limit))
        shell.run("%r2 reset")
    ran = shell.run("%%r2 --compare 3\nhello")
    assert [each.facts for each in ran.result.compared if not each.whole] == []
    assert len(ran.result) == len(server.requests) == 3


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
