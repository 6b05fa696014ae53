"""A key shows in no form in which a server, a log or a tool may repeat it."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.config.redaction import plain_url, redact, shown, without_password
from r2_router.config.settings import Secret

KEY = "sk-or-v1-0a1B2c3D4e5F6a7B8c9D0e1F2a3B4c5D/+"
keys = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=80)


@pytest.mark.parametrize(
    "said",
    [
        KEY,
        KEY.upper(),
        KEY.swapcase(),
        KEY[:12],
        KEY[10:30],
        KEY[-9:],
        f"{KEY[:12]}****{KEY[-4:]}",
        quote(KEY, safe=""),
        KEY.encode().hex(),
        KEY.encode().hex().upper(),
    ],
)
def test_a_key_is_hidden_whole_and_in_parts(said: str) -> None:
    assert redact(f"before {said} after", Secret(KEY)) == "before [key] after"


@pytest.mark.parametrize("before", ["", "u:", "Bearer ", '{"k": "'])
def test_base64_of_what_holds_a_key(before: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        said = encode(f"{before}{KEY}".encode()).decode()
        left = redact(said, Secret(KEY)).replace("[key]", "")
        assert KEY not in base64.urlsafe_b64decode(left + "=" * (-len(left) % 4)).decode(errors="replace")
        assert len(left) <= 4 * (len(before) // 3 + 1)


@pytest.mark.slow
@given(keys, st.text(max_size=20), st.text(max_size=20), st.integers(0, 72))
def test_no_eight_characters_of_a_key_are_left(key: str, before: str, after: str, start: int) -> None:
    part = key[start : start + 24]
    left = redact(f"{before} {part} {after}", Secret(key)).replace("[key]", "\0").lower()
    if len(part) >= 8 and key.lower().find(part.lower()) >= 0:
        assert part.lower() not in left
    assert not any(key[i : i + 8].lower() in left for i in range(len(key) - 7))


@pytest.mark.slow
@given(st.text(max_size=200))
def test_text_without_the_key_stays(text: str) -> None:
    if not any(KEY[i : i + 8].lower() in text.lower() for i in range(len(KEY) - 7)):
        assert redact(text, Secret("\\" * 40)) == text or "\\" in text
    assert redact(text, None) == text


def test_a_short_key_is_hidden_only_whole() -> None:
    assert redact("EMPTY is empty", Secret("EMPTY")) == "[key] is empty"
    assert redact("the SECRET-123 of a secret", Secret("secret-123")) == "the [key] of a secret"


def test_what_is_shown_is_a_short_line() -> None:
    assert shown("a\n\tb\x1b[31m\u202e c") == "a b [31m c"
    assert shown("x" * 900, None, 20) == "x" * 19 + "…"


def test_addresses_lose_what_may_be_secret() -> None:
    assert plain_url("https://u:p@example.org/a?k=1#f") == "https://example.org/a"
    assert without_password("see https://u:p@example.org/simple now") == "see https://example.org/simple now"
