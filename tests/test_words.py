"""Text that a terminal would obey is made readable; everything else stays."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
