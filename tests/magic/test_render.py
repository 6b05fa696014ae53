"""What a ranking, an answer and a curve look like, also with hostile names and half an answer."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_up import HOSTILE, decide, make_pool

from r2_magic.answer import bundle, code_in
from r2_magic.history import History
from r2_magic.interpolate import interpolate
from r2_magic.render import explanation_view, models_view, ranking_view
from r2_router.errors import InputError
from r2_router.routing.explanation import explain


class Structure(HTMLParser):
    """The tags that are open, and the text of the page; fails on one that is closed wrongly."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_are_shown_as_they_are_and_cannot_be_markup() -> None:
    view = ranking_view(decide(), top=12)
    page = Structure(view.html)
    for name in HOSTILE:
        assert name in page.text
        assert name in view.text
    assert "script" not in page.tags


def test_what_the_library_displays_is_what_the_magic_shows() -> None:
    decision = decide(max_tokens=60)
    page = Structure(decision._repr_html_())
    names = {c.model for c in decision.candidates[:5]}
    assert names & {*HOSTILE}
    assert all(name in page.text for name in names)
    assert "script" not in page.tags
    assert "in `candidates`" in page.text
    assert "over max_tokens 60" in page.text
    explanation = explain(decision)
    assert explanation._repr_html_() == explanation_view(explanation, top=5).html


def test_the_page_stands_without_its_style_and_for_a_screen_reader() -> None:
    view = ranking_view(decide(max_tokens=60), top=3)
    assert view.html.count('scope="col"') == 7
    assert view.html.count('aria-current="true"') == 1
    assert "<strong>1</strong>" in view.html
    assert "<caption>" in view.html
    assert 'aria-hidden="true"' in view.html
    page = Structure(view.html)
    assert "over max_tokens 60" in page.text
    assert page.tags.count("details") == 2
    assert page.tags.count("tr") == 4


def test_plain_text_is_plain_and_aligned() -> None:
    view = ranking_view(decide(), top=4)
    assert "\x1b" not in view.text
    assert "more (--top N shows more)" in view.text
    header, *rows = view.table
    assert all(row.index("±") == rows[0].index("±") for row in rows)
    assert header.split() == ["model", "budget", "quality", "tokens", "cost", "net", "value"]


def test_risk_stands_only_where_there_is_no_net_value_and_long_names_give_way() -> None:
    view = ranking_view(decide(lambda_val=0), top=3)
    assert view.table[0].split()[-1] == "risk"
    assert ">risk</th>" in view.html
    assert ">risk</th>" not in ranking_view(decide(), top=3).html
    assert view.html.count('class="r2-name" title="') == 3


def test_an_explanation_and_a_list_of_models_are_pages_too() -> None:
    view = explanation_view(explain(decide(exclude="a *")), top=5)
    assert "Frontier" in Structure(view.html).text
    assert "not allowed" in view.text
    states = [(model, "no key" if i else "") for i, model in enumerate(make_pool())]
    listed = models_view("made-up", states)
    assert "no: no key" in Structure(listed.html).text
    assert listed.text.count("yes") == 1


# -- answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\n```python\nx = 1\n```\nb", "x = 1"),
        ("```\na\n```\n\n```r\nb\n```", "a\nb"),
        ("```python\ncut of", "cut of"),
        ("  no fence  ", "no fence"),
        ("inline ``` ticks", "inline ``` ticks"),
    ],
)
def test_code_is_found_in_an_answer(text: str, code: str) -> None:
    assert code_in(text) == code


def test_a_fence_that_was_cut_is_closed_for_display_only() -> None:
    shown = bundle("see\n```python\nx =", "markdown")
    assert shown["text/markdown"].endswith("\n```")
    assert shown["text/plain"] == "see\n```python\nx ="
    assert bundle("```\na\n```", "markdown")["text/markdown"] == "```\na\n```"


def test_json_is_shown_in_a_fence_it_cannot_leave() -> None:
    shown = bundle('{"a": "```"}', "json")["text/markdown"]
    assert re.match(r"^(`{4,})json\n", shown)


# -- prompts and turns ---------------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_text_without_known_names_never_changes(text: str, variables: dict[str, str]) -> None:
    unknown = {name: value for name, value in variables.items() if f"{{{name}}}" not in text}
    assert interpolate(text, unknown).text == text


def test_values_are_not_looked_into() -> None:
    assert interpolate("{a}{b}", {"a": "{b}", "b": "{a}"}).text == "{b}{a}"


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        (r"\frac{x}{y} \text{x} \sqrt[3]{x} \frac{\text{x}}{x} e^{x}", None),
        (r"\begin{x}{x}\end{x}", None),
        (r"a\n{x}", r"a\n5"),
        ("{{x}} {x}", "{x} 5"),
        ("{{nobody}} {% if x %}", None),
        ('{"a": {"x": 1}, "b": {}} {x!r} {x:.2f} { x }', None),
        ("data_{x}.csv", "data_5.csv"),
    ],
)
def test_braces_of_others_stay(typed: str, sent: str | None) -> None:
    assert interpolate(typed, {"x": 5, "y": 6}).text == (typed if sent is None else sent)


def test_what_may_have_been_meant_is_noted_once() -> None:
    filled = interpolate("{nobody} {x} {nobody} {x.real} {x+1} {1} {a+b} {len(x)}", {"x": 5})
    assert filled.text == "{nobody} 5 {nobody} {x.real} {x+1} {1} {a+b} {len(x)}"
    [note] = filled.notes
    assert "{nobody}, {x.real}, {x+1}, {len(x)} " in note
    assert "--eval" in note
    assert interpolate(r'{"a": 1} \frac{x}{z} {x} {{x}}', {"x": 5}).notes == ()


def test_expressions_are_put_in_where_they_are_asked_for() -> None:
    variables = {"n": 2, "row": {"k": "v"}, "said": "{n}"}
    typed = "{n + 1} {row['k']!r} {n:.2f} {[i * n for i in range(3)]} {said.upper()} {1} {nobody + 1} {\"a\": 1}"
    assert interpolate(typed, variables, expressions=True).text == (
        "3 'v' 2.00 [0, 2, 4] {N} {1} {nobody + 1} {\"a\": 1}"
    )
    with pytest.raises(InputError, match="ZeroDivisionError"):
        interpolate("{n / 0}", variables, expressions=True)


def test_a_table_that_shows_a_part_of_itself_is_noted() -> None:
    whole, large = np.zeros((3, 3)), np.zeros((2_000, 3))
    assert interpolate("{a}", {"a": whole}).notes == ()
    [note] = interpolate("{a}", {"a": large}).notes
    assert "ndarray of 2,000 x 3" in note
    pandas = pytest.importorskip("pandas")
    [note] = interpolate("{df}", {"df": pandas.DataFrame({"a": range(1_000)})}).notes
    assert ".to_string()" in note


def test_history_gives_the_last_turns_in_order() -> None:
    history = History()
    for i in range(3):
        history.add(f"q{i}", f"a{i}")
    assert [m["content"] for m in history.messages("now", 2)] == ["q1", "a1", "q2", "a2", "now"]
    assert [m["content"] for m in history.messages("now", 0)] == ["now"]
    assert len(history.messages("now", 99)) == 7
