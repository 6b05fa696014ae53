"""The picture of the page is the picture of a notebook: element by element, word by word, colour by colour."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.made_up import HOSTILE, make_pool
from support.mcp_client import QUERY, make_router

from r2_magic.curve import curve_page, curves_of
from r2_router import R2Router
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool

from .shown import INSTALL, MISSING, Shown, called, showing

if MISSING and not os.environ.get("R2_NO_SKIP"):  # where nothing may be skipped, what is missing is a fault
    pytest.skip(f"{', '.join(MISSING)} not installed: {INSTALL}", allow_module_level=True)

pytestmark = pytest.mark.slow

WIDE = {"width": 900, "height": 900}  # room for the picture as wide as a notebook's
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
HAIR = 0.11  # pixels: both write one decimal
STYLES = """selector => [...document.querySelector(selector).querySelectorAll('*')].map(e => {
  const s = getComputedStyle(e);
  const drawn = [s.color, s.fill, s.stroke, s.strokeWidth, s.strokeOpacity, s.strokeDasharray, s.opacity];
  return [e.localName, ...drawn, s.fontSize];
})"""


def named(tmp_path: Path, names: tuple[str, ...]) -> R2Router:
    candidates = tuple((name, b) for name in names for b in (10, 40, 100, "unlimited"))
    pool = Pool("made-up", {n: Model(n, f"vendor/{i}", 0.1 * (i + 1), 0.5 * (i + 1)) for i, n in enumerate(names)})
    return make_router(tmp_path, pool, models=len(names), candidates=candidates)


def notebook(router: R2Router, **wishes: Any) -> str:
    decision = router.route_text(QUERY, **wishes)
    return curve_page(curves_of(decision), decision.best)


@pytest.fixture
def shown(running: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Generator[tuple[Shown, R2Router, Any]]:
    router, wishes = request.param
    router = router(tmp_path)
    html, result = called(router, "explain_candidates", query=QUERY, worth_usd=0.01, **wishes)
    with showing(running, html, viewport=WIDE) as shown:
        shown.open()
        shown.tell(result, query=QUERY)
        shown.view.locator("#main").wait_for()
        yield shown, router, wishes
        assert not shown.faults


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param((lambda path: make_router(path, models=9, seed=3), {}), id="more models than colours"),
        pytest.param((lambda path: make_router(path, models=2, seed=5), {"max_tokens": 77}), id="at a limit"),
        pytest.param((lambda path: make_router(path, models=1), {"max_tokens": 10}), id="a single point"),
        pytest.param((lambda path: named(path, HOSTILE), {}), id="markup in names"),
        pytest.param((lambda path: named(path, ("通义千问-大", "深度求索", "ハイク")), {}), id="Chinese and Japanese"),
        pytest.param((lambda path: make_router(path, free(3), models=3), {}), id="nothing costs anything"),
    ],
    indirect=True,
)
def test_it_is_drawn_alike(shown: tuple[Shown, R2Router, Any]) -> None:
    page, router, wishes = shown
    for worth in (0.01, 0.0, 1e-5, 3.0):
        page.set_worth(worth)
        there = ElementTree.fromstring(svg_in(notebook(router, worth_usd=worth, **wishes)))
        here = ElementTree.fromstring(page.view.evaluate("() => document.getElementById('picture').outerHTML"))
        for was in here.findall("circle[@class='r2-was']"):  # only here something was the choice before
            here.remove(was)
        same(here, there)
    names = page.view.locator("#legend li").all_inner_texts()
    assert names == [c.strip() for c in sorted({c.model for c in router.route_text(QUERY, **wishes).candidates})]


@pytest.mark.parametrize("shown", [(lambda path: make_router(path, models=9, seed=3), {})], indirect=True)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_alike_in_light_and_dark(shown: tuple[Shown, R2Router, Any], theme: str) -> None:
    page, router, wishes = shown
    page.notify("host-context-changed", {"theme": theme})
    page.view.wait_for_function("t => document.documentElement.style.colorScheme === t", arg=theme)
    ink, paper = page.view.evaluate(
        "() => (({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
    )
    other = page.page.context.browser.new_page(viewport=WIDE)
    html = notebook(router, worth_usd=0.01, **wishes)
    other.set_content(f'<body style="color: {ink}; background: {paper}">{html}')
    for mine, its in (("#picture", ".r2-curve"), ("#legend", ".r2-legend")):
        here, there = page.view.evaluate(STYLES, mine), other.evaluate(STYLES, its)
        assert [e[:-1] for e in here] == [e[:-1] for e in there]
    assert {e[-1] for e in page.view.evaluate(STYLES, "#picture") if e[0] == "text"} == {"12px"}
    other.close()


def free(count: int) -> Pool:
    return Pool("made-up", {m.name: Model(m.name, m.id, 0.0, 0.0) for m in make_pool(count)})


def svg_in(page: str) -> str:
    found = re.search(r"<svg class=\"r2-curve\".*?</svg>", page, re.DOTALL)
    assert found
    return found[0]


def same(here: ElementTree.Element, there: ElementTree.Element) -> None:
    """The same elements with the same words, at the same places but for a hair."""
    tag = here.tag.rpartition("}")[2]
    assert tag == there.tag
    mine = {k: v for k, v in here.attrib.items() if k != "id"}
    assert mine.keys() == there.attrib.keys(), tag
    for name, value in mine.items():
        assert NUMBER.sub("#", value) == NUMBER.sub("#", there.attrib[name]), name
        places = zip(NUMBER.findall(value), NUMBER.findall(there.attrib[name]), strict=True)
        assert all(abs(float(a) - float(b)) < HAIR for a, b in places), (tag, name, value, there.attrib[name])
    assert (here.text or "").strip() == (there.text or "").strip()
    assert len(here) == len(there), tag
    for mine_, its in zip(here, there, strict=True):
        same(mine_, its)
