"""Text that a terminal would obey is made readable; everything else stays."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router import words
from r2_router.words import for_terminal, visible, whole_characters


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J\x90\x7f\0\b", r"\x9b2J\x90\x7f\x00\x08"),
        ("a\rb", r"a\rb"),
        ("a\r\nb\tc\n", "a\nb\tc\n"),
        ("\u202eabc\u2066d\u2069\u200f", r"\u202eabc\u2066d\u2069\u200f"),
        ("\u2028\ud83d", r"\u2028\ud83d"),
        ("naïve 日本語 \u3000 \u00a0 👩\u200d💻 שלום \\x1b", "naïve 日本語 \u3000 \u00a0 👩\u200d💻 שלום \\x1b"),
    ],
)
def test_what_a_terminal_obeys_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert "".join(map(visible, text.replace("\r\n", "\n"))) == shown  # piece by piece too


@given(st.text(st.characters(codec=None)))
def test_visible_text_holds_no_control_and_can_be_encoded(text: str) -> None:
    shown = visible(text)
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    shown.encode()
    assert visible(shown) == shown


def test_only_a_terminal_gets_another_text() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert for_terminal("\x1b[0m", io.StringIO()) == "\x1b[0m"
    assert for_terminal("\x1b[0m", Terminal()) == r"\x1b[0m"


def test_half_characters_are_joined_or_replaced() -> None:
    assert whole_characters("\ud83d\ude00 \ud83d") == "😀 \ufffd"


def test_earlier_messages_are_named_by_their_beginning_and_safe_to_show() -> None:
    said = words.read_with(
        [("Write a Go function\nimplementing an LRU cache with O(1) get and put", 0.914), ("add tests", 0.08)]
    )
    assert said == "Read together with 'Write a Go function implementing an LRU cache …' (91 %), 'add tests' (8 %)."
    assert words.read_with([("one", None)] * 5) == "Read together with 'one', 'one', 'one' and 2 more."
    assert "\x1b" not in words.read_with([("\x1b[2J\u202e", None)])


@given(st.text())
def test_an_excerpt_is_one_short_line(text: str) -> None:
    shown = words.excerpt(text)
    assert len(shown) <= 50
    assert shown == words.visible(shown)
    assert "\n" not in shown


def test_an_excerpt_of_a_long_text_costs_no_more() -> None:
    assert words.excerpt("a" * 10**7) == "a" * 48 + " …"
    assert words.excerpt(" " * 1000 + "a") == "a"


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (0, "$0.00"),
        (0.12, "$0.12"),
        (0.29, "$0.29"),
        (0.120_01, "$0.121"),
        (0.000_218_9, "$0.000219"),
        (1.231, "$1.24"),
    ],
)
def test_what_may_be_spent_is_not_rounded_down(amount: float, said: str) -> None:
    assert words.usd_at_most(amount) == said
