"""One request, four faces: the same decision, the same warnings, the same words."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client
from support.made_up import LetterEmbedder, make_checkpoint, make_pool
from support.mcp_client import serve, words

from r2_magic.base import Configured
from r2_magic.magic import R2Magics
from r2_router import Decision, R2Router
from r2_router.cli import build_parser, common
from r2_router.errors import InputError, NoCandidateError
from r2_router.routing.explanation import explain, reasons
from r2_router.routing.wishes import wish_options

LONG = "x y z " * 400  # longer than LetterEmbedder embeds whole


@pytest.fixture
def router(tmp_path: Path) -> R2Router:
    folder = make_checkpoint(data_card={"estimated_from": "public ratings"}).save(tmp_path / "ckpt")
    return R2Router.from_pretrained(folder, pool=make_pool(), embedder=LetterEmbedder(), worth_usd=0.01)


@pytest.fixture
def magics(router: R2Router) -> Generator[Configured]:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    made = R2Magics(shell)
    made.session.router = lambda *_: router  # type: ignore[method-assign]
    yield made
    InteractiveShell.clear_instance()


wishes = st.fixed_dictionaries(
    {},
    optional={
        "max_cost_usd": st.sampled_from([1e-6, 1e-5, 1e-4, 1.0]),
        "max_tokens": st.sampled_from([1, 15, 40, 1000]),
        "min_quality": st.sampled_from([0.05, 0.4, 0.9, 1.0]),
        "models": st.sampled_from(["model-0", "MODEL", "vendor/model-1", "model-[12]", "modle"]),
        "exclude": st.sampled_from(["model-2", "*-0", "vendor/model"]),
        "model": st.sampled_from(["model-1", "vendor/model-2", "model"]),
        "budget": st.sampled_from(["40", "Unlimited", "30", "5000", "lots", "99999999999999999999"]),
    },
).flatmap(
    lambda limits: st.sampled_from(
        [limits, {**limits, "worth_usd": 0.0}, {**limits, "worth_usd": 5.0}, {**limits, "lambda_val": 0.5}]
    )
)


def outcome(work: Callable[[], Decision]) -> dict[str, Any]:
    """A decision with its words, or the words of the error."""
    try:
        decision = work()
    except (InputError, NoCandidateError) as error:
        return {"error": str(error)}
    return {"decision": decision.to_dict(), "why": reasons(explain(decision))}


@given(wishes, st.sampled_from(["What is 2 + 2?", LONG]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_request_is_the_same_through_every_face(
    router: R2Router, magics: Configured, wished: dict[str, Any], query: str
) -> None:
    options = [part for name, value in wished.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    python = outcome(lambda: router.route_text(query, **wished))

    args = build_parser("route").parse_args(["route", "--query", query, *options])
    assert outcome(lambda: router.decide(common.read_requests(args)[0])) == python

    from r2_magic import options as magic_options

    cell = magics._filled(magic_options.parse(options))
    assert outcome(lambda: magics.decide(query, cell)) == python

    if "model" in wished or "budget" in wished:
        return  # of the choosing tools, none forces
    result = anyio.run(_through_mcp, router, query, wished)
    if "error" in python:
        assert (result.is_error, words(result)) == (True, python["error"])
        return
    found = result.structured_content
    assert found is not None
    assert (found["model"], found["budget"]) == (python["decision"]["model"], python["decision"]["budget"])
    assert found["warnings"] == python["decision"]["warnings"]
    assert f"Why: {found['why']}" == python["why"][0]
    for sentence in (*python["why"], *python["decision"]["warnings"]):
        assert sentence in words(result)


async def _through_mcp(router: R2Router, query: str, wished: dict[str, Any]) -> Any:
    async with Client(serve(router)) as client:
        return await client.call_tool("route", {"query": query, **wished})


def test_names_are_a_list_an_id_or_a_beginning_for_an_agent_too(router: R2Router) -> None:
    for models in (["model-1", "model-2"], "model-1,model-2", "vendor/model-1, vendor/model-2"):
        found = anyio.run(_through_mcp, router, "hello", {"models": models, "top_k": 100}).structured_content
        assert {found["model"], *(c["model"] for c in found["others"])} == {"model-1", "model-2"}


def test_every_wish_is_an_option_of_every_face(router: R2Router, magics: Configured) -> None:
    from r2_magic import options as magic_options

    flags = {f"--{name.replace('_', '-')}" for name in wish_options()}
    route = next(a for a in build_parser()._actions if a.choices and "route" in a.choices).choices["route"]
    assert flags <= set(route._option_string_actions)
    assert flags <= set(magic_options.names())
    import inspect

    for method in (R2Router.route_text, R2Router.stream, R2Router.route_and_generate, R2Router.explain, R2Router.route):
        assert set(wish_options()) <= set(inspect.signature(method).parameters)
        for wish in wish_options().values():
            assert wish.help in (method.__doc__ or "")


# -- warnings ------------------------------------------------------------------------------------------------


def test_a_decision_warns_of_all_that_is_to_be_known(router: R2Router) -> None:
    decision = router.route_text(LONG)
    assert decision.warnings() == [
        "Estimated from public ratings; nothing of this pool measured yet.",
        *(["Unlike the queries this checkpoint was trained on: take the numbers with care."] * (not decision.familiar)),
        "The query is long: only its beginning and end were embedded (2,400 characters in all).",
        f"{decision.model} cannot be asked now: {decision.not_ready}.",
    ]
    low = router.route_text("hello", worth_usd=0.0, max_cost_usd=None)
    assert any("A good answer is unlikely" in w for w in low.warnings()) == (low.predicted_quality < 0.5)


def test_where_all_is_well_nothing_is_said(tmp_path: Path) -> None:
    from r2_router.pools.pool import Pool

    pool = Pool("up", {m.name: replace(m, base_url="http://127.0.0.1:9") for m in make_pool()})
    folder = make_checkpoint().save(tmp_path / "ckpt")
    router = R2Router.from_pretrained(folder, pool=pool, embedder=LetterEmbedder(), worth_usd=1.0)
    decision = router.route_text("hello")
    assert decision.predicted_quality >= 0.5
    assert decision.warnings() == [] or decision.familiar is False


# -- a decision is data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("twin_of", [copy.copy, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_a_decision_can_be_copied_and_pickled(router: R2Router, twin_of: Callable[[Decision], Decision]) -> None:
    decision = router.route_text("hello", max_tokens=30, exclude="model-2")
    twin = twin_of(decision)
    assert twin.to_dict() == decision.to_dict()
    assert [e.to_dict() for e in twin.excluded] == [e.to_dict() for e in decision.excluded]
    assert (twin.leverage, twin.familiar, twin.warnings()) == (
        decision.leverage,
        decision.familiar,
        decision.warnings(),
    )
    assert json.dumps(explain(twin).to_dict()) == json.dumps(explain(decision).to_dict())


def test_the_keys_of_a_decision_are_what_it_holds(router: R2Router) -> None:
    decision = router.route_text("hello")
    for key in (*decision, "best", "excluded", "to_dict", "all_options", "nothing"):
        assert (key in decision) == (key in list(decision))
    assert decision["all_options"] is decision["candidates"]
    assert dict(decision)["model"] == decision.model


def test_a_router_says_what_it_is(router: R2Router) -> None:
    assert repr(router) == "<R2Router checkpoint='made-up', pool='made-up' (3 models), embedder='made-up-embedder'>"
    for name in ("desk", "settings", "face", "default"):
        assert not hasattr(router, name)
