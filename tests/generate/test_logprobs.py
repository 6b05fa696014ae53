from __future__ import annotations

import pytest

from r2_router.generate.logprobs import LogProbs


def choice(*values: object) -> dict:
    return {"logprobs": {"content": [{"token": "x", "logprob": value} for value in values]}}


def test_the_mean_is_over_all_tokens_that_came() -> None:
    told = LogProbs()
    assert told.mean is None
    told.take(choice(-0.5))
    told.take(choice(-1.5, -4.0))
    assert told.mean == pytest.approx(-2.0)


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"logprobs": None},
        {"logprobs": []},
        {"logprobs": {"content": "none"}},
        {"logprobs": {"content": [None, 7, {"logprob": "high"}, {"logprob": True}, {"logprob": float("nan")}]}},
    ],
)
def test_what_is_no_number_says_nothing(strange: dict) -> None:
    told = LogProbs()
    told.take(strange)
    assert told.mean is None


def test_an_impossible_token_counts_no_more_than_it_can_and_none_is_above_certain() -> None:
    told = LogProbs()
    told.take(choice(-9999.0, 0.25))
    assert told.mean == -50.0
