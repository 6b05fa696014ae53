"""What one answer may cost before its user is asked, and after."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from r2_router.errors import SpendLimitError
from r2_router.generate.generation import NoLimit
from r2_router.ledger.consent_guard import ConsentGuard

CANDIDATE: Any = SimpleNamespace(label="m @ 10", predicted_cost_usd=0.001)


def reserve(guard: ConsentGuard, usd: float) -> Any:
    return asyncio.run(guard.reserve(CANDIDATE, usd))


def test_what_is_not_above_it_passes_unasked() -> None:
    guard = ConsentGuard(NoLimit(), 0.05)
    reserve(guard, 0.05)
    with pytest.raises(SpendLimitError, match=r"R2_CONFIRM_ABOVE_USD lets \$0.05 pass unasked") as found:
        reserve(guard, 0.0501)
    error = found.value
    assert (error.period, error.variable) == ("call", "R2_CONFIRM_ABOVE_USD")
    assert (error.call_usd, error.limit_usd, error.spent_usd) == (0.0501, 0.05, 0.0)


def test_what_costs_nothing_needs_no_word() -> None:
    reserve(ConsentGuard(NoLimit(), 0.0), 0.0)


def test_failed_tries_count_towards_what_was_agreed() -> None:
    guard = ConsentGuard(NoLimit(), 0.0)
    guard.agree(0.12)
    guard.settle(reserve(guard, 0.12), 0.03)
    reserve(guard, 0.09)
    with pytest.raises(SpendLimitError, match=r"the user agreed to \$0.12") as found:
        reserve(guard, 0.1)
    assert found.value.spent_usd == 0.03


def test_to_agree_to_less_takes_nothing_away() -> None:
    guard = ConsentGuard(NoLimit(), 0.05)
    guard.agree(0.01)
    reserve(guard, 0.05)


def test_the_question_says_what_is_expected_and_does_not_round_the_most_down() -> None:
    question = ConsentGuard(NoLimit(), 0.05).question(CANDIDATE, 0.120_01)
    assert question.startswith("m @ 10 is expected to cost $0.001, and may cost up to $0.121: ")


def test_the_limits_beneath_are_asked_and_settled() -> None:
    class Books(NoLimit):
        told: list[tuple[str, float]] = []  # noqa: RUF012  (of one test)

        async def reserve(self, candidate: Any, worst_case_usd: float, /) -> None:
            self.told.append(("reserved", worst_case_usd))

        def settle(self, reservation: None, cost_usd: float, /) -> None:
            self.told.append(("settled", cost_usd))

    books = Books()
    guard = ConsentGuard(books, 1.0)
    guard.settle(reserve(guard, 0.5), 0.25)
    assert books.told == [("reserved", 0.5), ("settled", 0.25)]
