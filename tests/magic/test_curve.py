"""What `%r2 curve` draws: every point with its numbers, the choice, on light and dark pages, with any names."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from support.made_up import HOSTILE, decide

from r2_magic.curve import curve_bundle, curves_of, text_plot
from r2_router.pages.picture import spec
from r2_router.routing.considered import Candidate
from r2_router.words import asked_for, usd

CJK = ("通义千问-大", "深度求索", "ハイク")


def named(c: Candidate) -> str:
    return f"{c.model}, {asked_for(c.budget)}:"


def svg_of(page: str) -> ElementTree.Element:
    found = re.search(r"<svg class=\"r2-curve\".*?</svg>", page, re.DOTALL)
    assert found
    return ElementTree.fromstring(found[0])


@pytest.mark.parametrize("names", [HOSTILE, CJK])
def test_every_point_tells_its_numbers(names: tuple[str, ...]) -> None:
    decision = decide(names)
    svg = svg_of(curve_bundle(decision)["text/html"])
    titles = [title.text or "" for title in svg.iter("title")]
    assert len(titles) == len(decision.candidates) == 12
    for c in decision.candidates:
        (title,) = (t for t in titles if t.startswith(named(c)))
        assert f"quality {c.predicted_quality:.2f}" in title
        assert f" {usd(c.predicted_cost_usd)}, " in title
    assert {element.tag for element in svg.iter()} == {"svg", "g", "path", "text", "polyline", "title", "circle"}
    assert not [name for element in svg.iter() for name in element.attrib if name.startswith("on")]


@pytest.mark.parametrize("names", [HOSTILE, CJK])
def test_the_legend_and_the_characters_name_every_model(names: tuple[str, ...]) -> None:
    shown = curve_bundle(decide(names))
    assert "<script" not in shown["text/html"]
    assert shown["text/html"].count("<li>") == len(names)
    plot = shown["text/plain"]
    assert plot.count("●") == 2  # in the plot, and in its legend
    assert all(name in plot for name in names)
    assert all(len(line) < 100 for line in plot.splitlines())


def test_the_choice_is_ringed_where_its_point_stands() -> None:
    decision = decide(CJK)
    svg = svg_of(curve_bundle(decision)["text/html"])
    (ring,) = svg.iterfind("circle[@class='r2-ring']")
    here = f"translate({ring.get('cx')},{ring.get('cy')})"
    (point,) = (g for g in svg.iter("g") if g.get("transform") == here)
    assert (point.findtext("title") or "").startswith(named(decision.best))


def test_costs_are_apart_by_factors_and_better_is_higher() -> None:
    decision = decide(CJK)
    svg = svg_of(curve_bundle(decision)["text/html"])
    points = {
        g.findtext("title") or "": g.get("transform") or "" for g in svg.iter("g") if g.get("class") == "r2-point"
    }
    by_cost = sorted(decision.candidates, key=lambda c: c.predicted_cost_usd)
    places = [next(p for title, p in points.items() if title.startswith(named(c))) for c in by_cost]
    across, down = np.array([re.findall(r"[\d.]+", place) for place in places], float).T
    logs = np.log([c.predicted_cost_usd for c in by_cost])
    qualities = np.array([c.predicted_quality for c in by_cost])
    assert np.allclose((across - across[0]) / np.ptp(across), (logs - logs[0]) / np.ptp(logs), atol=1e-3)
    assert np.allclose((down - down[0]) / np.ptp(down), (qualities[0] - qualities) / np.ptp(qualities), atol=1e-3)


@pytest.mark.parametrize("price", [0.0, 0.1])
def test_a_single_point_and_free_models_are_drawn(price: float) -> None:
    decision = decide(("only",), usd_per_million=price, max_tokens=10)
    assert len(decision.candidates) == 1
    assert "●" in text_plot(curves_of(decision), decision.best)
    svg = svg_of(curve_bundle(decision)["text/html"])
    assert len(list(svg.iter("title"))) == 1
    assert "nan" not in ElementTree.tostring(svg, "unicode")


@pytest.mark.parametrize("colour", spec().colours)
def test_colours_are_seen_on_light_and_dark_pages(colour: str) -> None:
    for page in ("#ffffff", "#111111", "#1e1e1e"):
        light, dark = sorted((luminance(colour), luminance(page)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3  # the contrast WCAG asks of graphics


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
