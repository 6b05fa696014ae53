"""A model's text as Markdown: nothing in it runs, in any dialect, at any length; and it looks as it should."""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.payloads import PAYLOADS
from support.rendered import IGNORED, dangers

from r2_magic.safe_markdown import safe_markdown

SHORT = [payload for payload in PAYLOADS if len(payload) < 1000]
PIECES = (
    *("<img src=x onerror=pwned(0)>", "<script>", "</script>", "<!--", "-->", "<b", ">", "<", "&lt;", "&#60;", "&"),
    *("`", "``", "```", "~~~", "````", "```html", "\n```\n", "\n~~~\n", "\n", "\n\n", "\n\n\n", " ", "    ", "\t"),
    *("- ", "* ", "1. ", "> ", "# ", "---", "===", "|", "\n|---|\n", "| a | b |\n|---|---|\n", "[^1]: ", ": "),
    *("[a]", "(javascript:pwned(0))", "](", "]: ", "[", "]", "![", "(http://a.example", ' "t"', ")", "<javascript:x>"),
    *("$", "$$", "\\(", "\\)", "\\[", "\\]", "\\begin{a}", "\\end{a}", "\\", "{", "}", "@@0@@", "@", "\\href{x}{y}"),
    *("*", "**", "_", "~~", "x", "a b", '"', "'", "=", "\r", "\x0c", "\u2028", "\x85", "\x00", "\u00a0", "{{", "!"),
)


def renderings(markdown: str) -> list[str]:
    """The pages that readers of other dialects make of `markdown`, raw HTML allowed."""
    return [_nbconvert()(markdown), _commonmark().render(markdown)]


@cache
def _nbconvert() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nbconvert.filters import markdown2html
    return markdown2html


@cache
def _commonmark() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.mark.slow
def test_the_check_sees_what_is_dangerous() -> None:
    raw = [payload for payload in PAYLOADS if "attachment:" not in payload and any(map(dangers, renderings(payload)))]
    assert len(raw) > 80
    assert dangers("<p onclick=x>") == ["p[onclick=x]"]
    assert dangers("<a href='javascript:x'>") == ["href=javascript:x"]


@pytest.mark.slow
@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda text: repr(text[:40]))
def test_no_payload_leaves_markup_at_any_length(payload: str) -> None:
    ends = range(len(payload) + 1) if len(payload) < 1000 else (len(payload),)
    for written in {safe_markdown(payload[:end]) for end in ends}:
        for page in renderings(written):
            assert not dangers(page), (written, page)


@pytest.mark.slow
@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_no_text_leaves_markup(text: str) -> None:
    written = safe_markdown(text)
    for page in renderings(written):
        assert not dangers(page), (written, page)


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    assert isinstance(safe_markdown(text), str)


@pytest.mark.parametrize(
    "text",
    [
        "Rome is the **capital**.",
        "a *b* c, `code`, ~~gone~~\n\nsnake_case, 3 > 2 & 5",
        "# Title\n\ntext\n\n- a\n- b\n  - c\n\n1. x\n2. y",
        '```python\nprint("<b>")\n```',
        "> quoted\n>\n> ```sh\n> ls\n> ```",
        "| a | b |\n| --- | ---: |\n| 1 | 2 |",
        "[docs](https://example.org/a?b=c), $x^2$",
        "$$\\frac{1}{2}$$",
    ],
)
def test_ordinary_markdown_stays_as_it_is(text: str) -> None:
    assert safe_markdown(text) == text


@pytest.mark.parametrize("payload", [p for p in SHORT if p.startswith("<") and p.isprintable()])
def test_html_is_shown_as_it_was_typed(payload: str) -> None:
    from html import unescape

    (page, _) = renderings(safe_markdown(payload))
    shown = unescape(re.sub(r"<[^>]*>", "", page)).replace("¶", "").strip()
    assert shown.split() == unescape(payload.replace("\\'", "'")).split()


def test_an_image_is_a_link_and_titles_are_dropped() -> None:
    assert safe_markdown('![a cat](https://example.org/c.png "t")') == "[image: a cat](https://example.org/c.png)"
    assert safe_markdown("[![i](http://a.example)](http://b.example)") == "[i](http://b.example)"
    assert safe_markdown("[r][1]\n\n[1]: https://example.org 't'") == "[r](https://example.org)"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (r"\(a_b\) and \[c\]", "$a_b$ and $$c$$"),
        ("text:\n$$\na\n- b\n$$\nmore", "text:\n\n$$a\n- b$$\n\nmore"),
        ("$a<b$", "$a< b$"),
        (r"\begin{align*}a&=b\\c&=d\end{align*}", r"$$\begin{align*}a&=b\\c&=d\end{align*}$$"),
        ("H$_2$O", "H$_2$O"),
        ('http://a.example/$"onfocus=x$', "http://a.example/$''onfocus=x$"),
        ("- $$\n  x\n  $$", "- $$x$$"),
    ],
)
def test_formulas_are_between_dollars(text: str, written: str) -> None:
    assert safe_markdown(text) == written


@pytest.mark.parametrize(
    "text",
    [
        "$5 and $6",
        "from $5-$6, US$5/A$7",
        "5$ or 6$",
        "$HOME/$USER",
        "it costs $ 5 or 6 $",
        "$\\href{javascript:x}{y}$",
        "$\\def\\x{y}$",
        "$a`$`",
        "$a{b$",
        "\\(x",
        "\\begin{a}",
        "$$$$",
    ],
)
def test_what_is_no_formula_is_hidden_from_those_who_look_for_one(text: str) -> None:
    written = safe_markdown(text)
    bare = re.sub(rf'<span class="{IGNORED}">&#\d+;</span>', "", written)
    assert "$" not in bare
    assert "\\" not in bare


def test_what_would_take_long_is_shown_as_typed() -> None:
    assert safe_markdown("a " * 60_000).startswith("```\na a")
    assert safe_markdown("> " * 100 + "deep").startswith("```\n> >")
    assert safe_markdown("[" * 1500 + "[a](http://a.example)").count("[") == 0
