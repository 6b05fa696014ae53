"""estimate_tokens against the counts of a real tokenizer, on text it was not fitted to."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.routing.tokens import MOST_A_CHARACTER, estimate_tokens

COUNTS = json.loads((Path(__file__).parent / "data" / "token_counts.json").read_text(encoding="utf-8"))
SAMPLES = {sample["kind"]: sample for sample in COUNTS["samples"]}


@pytest.mark.parametrize("kind", SAMPLES)
def test_within_30_percent_of_a_real_tokenizer(kind: str):
    sample = SAMPLES[kind]
    assert estimate_tokens(sample["text"]) == pytest.approx(sample["tokens"], rel=0.3)


def test_chinese_and_base64_have_no_spaces_but_many_tokens():
    assert estimate_tokens("机器学习" * 100) > 150
    assert estimate_tokens("QmFzZTY0" * 100) > 300


@given(st.text())
def test_zero_only_for_no_text(text: str):
    assert (estimate_tokens(text) == 0) == (text == "")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200), st.integers(2, 5))
def test_grows_with_the_text(text: str, times: int):
    joined = "\n".join([text] * times)
    assert estimate_tokens(joined) >= estimate_tokens(text)


@given(st.text())
def test_a_character_has_no_more_tokens_than_it_may(text: str):
    assert estimate_tokens(text) <= MOST_A_CHARACTER * len(text)


def test_half_a_surrogate_pair_is_counted():
    assert estimate_tokens("\ud83d") == 1


@pytest.mark.parametrize(
    "unit",
    [" ", "\n ", " \t", "a", "A ", "((a", "_", "9 ", "中", "é", "😀", *(s["text"] for s in COUNTS["samples"])],
    ids=lambda unit: ascii(unit[:6]),
)
def test_time_is_proportional_to_length(unit: str):
    text = (unit * (200_000 // len(unit.encode()) + 1))[:200_000]
    start = time.process_time()
    estimate_tokens(text)
    assert time.process_time() - start < 5  # 0.02 s on a quiet machine; a quadratic pattern takes a minute


def test_a_text_counted_before_has_the_same_count() -> None:
    text = "Wörter, words and 语言 in one text. " * 50
    assert estimate_tokens(text) == estimate_tokens(text) > estimate_tokens(text[:-40])
