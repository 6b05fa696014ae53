"""Quality of requests that are more than text, by the categories of the public ratings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from r2_router import R2Router
from r2_router.checkpoints.find import composed
from r2_router.pools.ability import CEILING, LOGITS_PER_POINT
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.routing.need_quality import categories, rated, shift
from r2_router.routing.needs import check_form, read_needs

RATING = {"overall": 1400.0, "instruction_following": 1450.0, "longer_query": 1370.0}
OTHER = {"overall": 1300.0, "instruction_following": 1310.0, "longer_query": 1300.0}
POOL = Pool(
    "mine",
    {
        "keeps": Model("keeps", "a/keeps", 1.0, 2.0, rating=RATING),
        "drops": Model("drops", "a/drops", 1.0, 2.0, rating=OTHER),
        "plain": Model("plain", "a/plain", 1.0, 2.0, rating={"overall": 1400.0}),
    },
)
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


def test_which_requests_fall_into_a_category() -> None:
    json_ = read_needs((), check_form(response_format=FORMAT))
    tools = read_needs((), check_form(tools=[{"type": "function"}]))
    assert categories(json_, 0) == ("instruction_following",)
    assert categories(tools, 499) == ()
    assert categories(tools, 500) == ("longer_query",)


def test_points_over_the_overall_rating_become_logits_where_there_are_any() -> None:
    checkpoint = composed(POOL)
    named = rated(checkpoint, ("instruction_following", "longer_query", "no_such_category"))
    assert named == ("instruction_following", "longer_query")
    by_model = dict(zip((m for m, _ in checkpoint.candidates), shift(checkpoint, named[:1]), strict=True))
    assert by_model == pytest.approx({"keeps": 20 * LOGITS_PER_POINT, "drops": -20 * LOGITS_PER_POINT, "plain": 0.0})
    both = dict(zip((m for m, _ in checkpoint.candidates), shift(checkpoint, named), strict=True))
    assert both["keeps"] == pytest.approx((20 - 15) / 2 * LOGITS_PER_POINT)


@pytest.mark.slow
def test_a_format_is_judged_by_how_models_follow_instructions_and_a_text_as_before() -> None:
    router = R2Router.from_pretrained("prior", pool=POOL)

    def quality(model: str, **form: Any) -> float:
        decision = router.route_text("Which city is this?", model=model, budget="unlimited", **form)
        return decision.predicted_quality

    def logit(q: float) -> float:
        return math.log(q / (CEILING - q))

    gain = logit(quality("keeps", response_format=FORMAT)) - logit(quality("keeps"))
    assert gain == pytest.approx(20 * LOGITS_PER_POINT, rel=1e-4)
    assert quality("plain", response_format=FORMAT) == quality("plain")
    told = router.route_text("Which city is this?", model="keeps", response_format=FORMAT)
    assert told.rated_for == ("instruction_following",)
    assert not any("Not measured" in sentence for sentence in told.warnings())
    tools = router.route_text("Which city is this?", tools=[{"type": "function"}])
    assert any("Not measured for tools" in sentence for sentence in tools.warnings())
    assert np.isfinite(quality("keeps"))
