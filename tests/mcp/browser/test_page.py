"""The page of MCP Apps: it decides as the router does, shows data as text, and speaks to nobody but its host."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.chat_server import ChatServer, says
from support.made_up import DIM, HOSTILE, make_pool
from support.mcp_client import QUERY, make_router

from r2_router import R2Router
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.routing.explanation import explain
from r2_router.routing.rows import ranking_row

from .shown import INSTALL, MISSING, Shown, called, showing

if MISSING and not os.environ.get("R2_NO_SKIP"):  # where nothing may be skipped, what is missing is a fault
    pytest.skip(f"{', '.join(MISSING)} not installed: {INSTALL}", allow_module_level=True)

pytestmark = pytest.mark.slow

SHOWN = 8


@contextmanager
def opened(
    running: Any, router: R2Router, tool: str = "explain_candidates", **arguments: Any
) -> Generator[tuple[Shown, dict[str, Any]]]:
    """The page of one call, as its host shows it, and the call's result."""
    html, result = called(router, tool, query=QUERY, **arguments)
    with showing(running, html) as shown:
        shown.open()
        shown.tell(result, query=QUERY, **arguments)
        shown.view.locator("#main").wait_for()
        yield shown, result


# -- the decision ------------------------------------------------------------------------------------------------


def free_and_alike(models: int) -> dict[str, Any]:
    """A checkpoint and prices where nearly everything is a tie."""
    count = models * 4
    weights = np.zeros((2 * count, DIM), np.float32)
    bias = np.concatenate([np.repeat([1.5, 0.5], count // 2), np.full(count, np.log(20.0))])
    return {"weights": weights, "bias": bias.astype(np.float32)}


def worths(router: R2Router, **wishes: Any) -> list[float]:
    """Some of every size, and those at which two choices are exactly as good."""
    edges = [p.from_worth_usd for p in explain(router.route_text(QUERY, worth_usd=0.01, **wishes)).frontier]
    chosen = [0.0, *(float(w) for w in 10.0 ** np.random.default_rng(7).uniform(-7, 3, 25)), 1e-5, 0.01, 1.0]
    return [*chosen, *(w for w in edges if w is not None)]


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"max_cost_usd": 2e-5},
        {"max_tokens": 60},
        {"min_quality": 0.4},
        {"min_quality": 0.3, "max_cost_usd": 4e-5, "max_tokens": 77},
        {"exclude": "model-1"},
        {"models": "model-2,model-4", "max_tokens": 30},
    ],
    ids=str,
)
def test_the_page_decides_as_the_router_at_every_worth(running: Any, tmp_path: Path, wishes: dict[str, Any]) -> None:
    router = make_router(tmp_path, models=5, seed=3)
    with opened(running, router, worth_usd=0.01, **wishes) as (shown, _):
        for worth in worths(router, **wishes):
            shown.set_worth(worth)
            same_as_the_router(shown, router, {"worth_usd": worth, **wishes})
        for step in (0, 1, 137, 500, 864, 999, 1000):
            worth = shown.slide(step)
            trade = {"lambda_val": 0.0} if worth is None else {"worth_usd": worth}
            same_as_the_router(shown, router, {**trade, **wishes})
        assert worth is None
        assert not shown.faults


def test_ties_go_to_the_cheaper_the_shorter_the_name(running: Any, tmp_path: Path) -> None:
    pool = make_pool(4)
    free = {"input_usd_per_million": 0.0, "output_usd_per_million": 0.0}
    router = make_router(
        tmp_path, replace(pool, models={m.name: replace(m, **free) for m in pool}), models=4, **free_and_alike(4)
    )
    with opened(running, router, worth_usd=0.01) as (shown, _):
        for worth in (0.0, 1e-4, 0.01, 1.0):
            shown.set_worth(worth)
            same_as_the_router(shown, router, {"worth_usd": worth})


def same_as_the_router(shown: Shown, router: R2Router, wishes: dict[str, Any]) -> None:
    """The same choice, and the same rows below it, in the same words."""
    decision = router.route_text(QUERY, **wishes)
    assert shown.text("#choice") == decision.best.label, wishes
    expected = [ranking_row(i, c)[:7] for i, c in enumerate(decision.candidates[:SHOWN], 1)]
    found = shown.rows()
    assert [row[:3] + row[4:] for row in found] == [[*row[:3], *row[4:]] for row in expected], wishes
    assert all(there[3].startswith(here[3]) for here, there in zip(found, expected, strict=True)), wishes


def test_of_very_many_candidates_the_choice_is_still_right(running: Any, tmp_path: Path) -> None:
    router = make_router(tmp_path, models=300, seed=1)
    with opened(running, router, worth_usd=0.01) as (shown, result):
        ranking = result["_meta"]["io.github.r2-mcp/ranking"]
        assert len(ranking["candidates"]) == 1000 < ranking["total"] == 1200
        assert "200 of them are not drawn" in shown.text("#more")
        for worth in worths(router)[:12]:
            shown.set_worth(worth)
            assert shown.text("#choice") == router.route_text(QUERY, worth_usd=worth).best.label


# -- what is shown -----------------------------------------------------------------------------------------------


def hostile(tmp_path: Path) -> R2Router:
    names = [*HOSTILE, "<img src=http://evil.test/x onerror=alert(1)>", "模型-一", "a" * 120]
    candidates = tuple((name, b) for name in names for b in (10, 40, 100, "unlimited"))
    pool = Pool("made-up", {n: Model(n, f"vendor/{i}", 0.1 * (i + 1), 0.5 * (i + 1)) for i, n in enumerate(names)})
    return make_router(tmp_path, pool, models=len(names), candidates=candidates)


def test_names_are_shown_as_they_are_and_nothing_is_fetched(running: Any, tmp_path: Path) -> None:
    router = hostile(tmp_path)
    with opened(running, router, worth_usd=0.01) as (shown, _):
        legend = shown.view.locator("#legend li").all_inner_texts()
        assert sorted(legend) == sorted(m.name for m in router.models)
        for worth in (0.0, 0.001, 1.0):
            shown.set_worth(worth)
        tags = shown.view.evaluate("() => [...new Set([...document.querySelectorAll('main *')].map(e => e.localName))]")
        assert not {"img", "script", "red", "b", "iframe", "a"} & set(tags)
        assert shown.view.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        assert not shown.faults


@pytest.mark.parametrize(
    "attack",
    [
        "() => { const s = document.createElement('script'); s.text = 'window.ran = 1'; document.body.append(s) }",
        "() => { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">') }",
        "() => { document.body.insertAdjacentHTML('beforeend', '<style>main { display: none }</style>') }",
        "() => fetch('http://evil.test/').catch(() => {})",
    ],
)
def test_the_policy_would_hold_where_data_became_markup(running: Any, tmp_path: Path, attack: str) -> None:
    """Whatever slipped in would neither run nor call home: the page's own policy forbids what the host's allows."""
    with opened(running, make_router(tmp_path)) as (shown, _):
        shown.view.evaluate(attack)
        shown.page.wait_for_timeout(100)
        assert shown.view.evaluate("() => window.ran === undefined")
        assert shown.view.locator("#main").is_visible()
        assert any("Content Security Policy" in fault for fault in shown.faults)
        assert not any(fault.startswith("asked for") for fault in shown.faults)


def test_an_answer_is_shown_with_what_it_took_and_who_was_asked(
    running: Any, answering: R2Router, provider: ChatServer
) -> None:
    provider.then(says("<b>Rome</b>\n", "is $5"))
    with opened(running, answering, "route_and_generate", worth_usd=0.01) as (shown, result):
        said = result["structuredContent"]
        assert shown.text("#text") == "<b>Rome</b>\nis $5"
        assert shown.text("#facts").startswith(f"Answered by {said['model']} @ {said['budget']}, $")
        assert shown.rows()[0][1] == f"▸ {said['model']}"
        shown.set_worth(0.0)
        same = [row for row in shown.rows() if row[1].startswith("▸")]
        assert all(row[1] == f"▸ {said['model']}" for row in same)
        assert not shown.faults


def test_an_error_and_a_cancelled_call_are_told(running: Any, tmp_path: Path) -> None:
    html, result = called(make_router(tmp_path), "explain_candidates", query=" ")
    with showing(running, html) as shown:
        shown.open()
        shown.tell(result, query=" ")
        shown.view.locator("#state", has_text="blank").or_(shown.view.locator("#state", has_text="empty")).wait_for()
        shown.notify("tool-cancelled", {"reason": "the user stopped it"})
        shown.view.locator("#state", has_text="Cancelled: the user stopped it").wait_for()


def test_a_host_that_keeps_the_exact_numbers_to_itself_gets_the_table_alone(running: Any, tmp_path: Path) -> None:
    html, result = called(make_router(tmp_path), "explain_candidates", query=QUERY)
    result.pop("_meta")
    with showing(running, html) as shown:
        shown.open()
        shown.tell(result, query=QUERY)
        shown.view.locator("#main").wait_for()
        said = result["structuredContent"]["candidates"]
        assert [row[1] for row in shown.rows()] == [c["model"] for c in said]
        assert not shown.view.locator("#deciding").is_visible()
        assert not shown.faults


# -- the host ----------------------------------------------------------------------------------------------------


def test_the_page_keeps_to_the_protocol(running: Any, tmp_path: Path) -> None:
    with opened(running, make_router(tmp_path)) as (shown, _):
        [begun] = shown.said("ui/initialize")
        assert begun["params"]["protocolVersion"] == "2026-01-26"
        assert begun["params"]["appInfo"]["name"] == "r2-router"
        assert "inline" in begun["params"]["appCapabilities"]["availableDisplayModes"]
        order = [m["method"] for m in shown.page.evaluate("() => window.host.said") if "size" not in m["method"]]
        assert order == ["ui/initialize", "ui/notifications/initialized"]
        height = shown.said("ui/notifications/size-changed")[-1]["params"]["height"]
        assert (
            height
            == shown.view.evaluate("() => Math.ceil(document.documentElement.getBoundingClientRect().height)")
            > 300
        )
        for number, method in enumerate(("ping", "ui/resource-teardown", "no/such-method"), 100):
            shown.page.evaluate("([id, m]) => window.host.request(id, m)", [number, method])
        shown.page.wait_for_function("() => window.host.replies[102]")
        replies = shown.page.evaluate("() => window.host.replies")
        assert (replies["100"]["result"], replies["101"]["result"]) == ({}, {})
        assert replies["102"]["error"]["code"] == -32601


def test_only_its_host_is_listened_to(running: Any, tmp_path: Path) -> None:
    with opened(running, make_router(tmp_path), worth_usd=0.01) as (shown, _):
        before = shown.text("#choice")
        forged = {
            "jsonrpc": "2.0",
            "method": "ui/notifications/tool-result",
            "params": {"structuredContent": {"text": "forged"}},
        }
        shown.view.evaluate("message => window.postMessage(message, '*')", forged)
        shown.view.evaluate("() => new Promise(done => { window.onmessage = done; window.postMessage('last', '*') })")
        assert shown.text("#choice") == before
        assert not shown.view.locator("#answer").is_visible()


@pytest.mark.parametrize("refuses", [False, True])
def test_a_worth_that_was_set_is_told_to_the_agent(running: Any, tmp_path: Path, *, refuses: bool) -> None:
    html, result = called(make_router(tmp_path), "explain_candidates", query=QUERY, worth_usd=0.01)
    with showing(running, html) as shown:
        shown.open(refuses=refuses)
        shown.tell(result)
        tell = shown.view.locator("#tell")
        assert tell.is_disabled()
        shown.set_worth(0.5)
        tell.click()
        shown.view.locator("#told", has_text="Say: worth_usd 0.5" if refuses else "The agent knows.").wait_for()
        [told] = shown.said("ui/update-model-context")
        assert "worth_usd 0.5, which picks" in told["params"]["content"][0]["text"]
        shown.view.locator("#back").click()
        assert tell.is_disabled()


def test_the_theme_is_the_hosts_and_follows_it(running: Any, tmp_path: Path) -> None:
    html, result = called(make_router(tmp_path), "explain_candidates", query=QUERY)
    with showing(running, html) as shown:
        shown.open("dark")
        shown.tell(result)
        shown.view.locator("#main").wait_for()
        assert colours(shown) == ("rgb(30, 30, 30)", "rgb(242, 239, 230)")  # the second is the host's own
        shown.notify(
            "host-context-changed", {"theme": "light", "styles": {"variables": {"--color-text-primary": "#222"}}}
        )
        shown.view.wait_for_function("() => getComputedStyle(document.body).color === 'rgb(34, 34, 34)'")
        assert colours(shown) == ("rgb(255, 255, 255)", "rgb(34, 34, 34)")


def colours(shown: Shown) -> tuple[str, str]:
    return tuple(
        shown.view.evaluate(
            "() => (({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.body))"
        )
    )


def test_in_a_narrow_pane_names_wrap_and_numbers_stay(running: Any, tmp_path: Path) -> None:
    html, result = called(hostile(tmp_path), "explain_candidates", query=QUERY)
    with showing(running, html, viewport={"width": 360, "height": 700}) as shown:
        shown.open()
        shown.tell(result)
        shown.view.locator("#main").wait_for()
        assert shown.view.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        assert all(row[5].startswith("$") for row in shown.rows())
