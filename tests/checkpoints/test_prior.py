"""The prior: composed with a pool it is what its formula says; folders that are none are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2_router.checkpoints.prior import ESTIMATED_FROM, PRIOR_JSON, Head, Prior, compose
from r2_router.config.folders import shipped
from r2_router.embedders.use import UseEmbedder
from r2_router.errors import CheckpointError, InputError
from r2_router.pools.ability import CEILING, HALFWAY, LOGITS_PER_POINT, Ability
from r2_router.pools.pool import Pool
from r2_router.pools.thoughts import expected_thoughts
from r2_router.records import UNLIMITED
from r2_router.routing.predict import Predictor
from tests.support.made_up import DIM, make_checkpoint, make_pool, unit

BUDGETS = (30, 200, UNLIMITED)
KINDS = ("coding", "math")


def made_prior(seed: int = 0, **changes: object) -> Prior:
    rng = np.random.default_rng(seed)

    def head(rows: int, bias: float = 0.0) -> Head:
        return Head(rng.normal(0, 0.3, (rows, DIM)).astype(np.float32), np.full(rows, bias, dtype=np.float32))

    plain = make_checkpoint()
    fields: dict[str, object] = {
        "name": "prior",
        "budgets": BUDGETS,
        "categories": KINDS,
        "mixture": head(len(KINDS), 0.2),
        "difficulty": head(1, 0.4),
        "gain": head(len(BUDGETS), -0.3),
        "length": head(len(BUDGETS), 4.0),
        "thoughts": head(1),
        "token_floor": np.full(len(BUDGETS), 2, dtype=np.float32),
        "token_ceiling": np.array([20, 140, 9000], dtype=np.float32),
        "error": 1.5,
        "embedder": plain.embedder,
        "instruction": plain.instruction,
        "probe_texts": ("one", "two"),
        "probe_vectors": np.stack([unit(rng.normal(size=DIM)) for _ in range(2)]),
    }
    return Prior(**{**fields, **changes})  # type: ignore[arg-type]


def ability(rating: float, *, error: float = 5.0, **by_category: float) -> Ability:
    return Ability(rating=rating, by_category=by_category, source="rated", said=f"rated {rating:.0f}", error=error)


def abilities_of(pool: Pool) -> dict[str, Ability]:
    return {name: ability(1200.0 + 60 * i, coding=1250.0 + 40 * i) for i, name in enumerate(pool.models)}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_quality_is_what_the_formula_says(seed, models):
    prior, pool = made_prior(seed), make_pool(models)
    abilities = abilities_of(pool)
    query = unit(np.random.default_rng(seed).normal(size=DIM))
    predictor = Predictor(compose(prior, pool, abilities))
    found = predictor.quality(predictor.outputs(query)).reshape(models, len(BUDGETS))

    mix, ease, gain = (head(query[None])[0] for head in (prior.mixture, prior.difficulty, prior.gain))
    for m, known in enumerate(abilities.values()):
        mixed = (1 - mix.sum()) * known.rating + sum(
            share * known.by_category.get(kind, known.rating) for share, kind in zip(mix, KINDS, strict=True)
        )
        z = LOGITS_PER_POINT * (mixed - HALFWAY) + ease[0] + gain
        np.testing.assert_allclose(found[m], CEILING / (1 + np.exp(-z)), atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 5.0))
def test_tokens_are_the_natural_length_times_verbosity_within_what_a_budget_leaves(seed, verbosity):
    prior = made_prior(seed)
    pool = make_pool(2, verbosity=verbosity)
    query = unit(np.random.default_rng(seed).normal(size=DIM))
    predictor = Predictor(compose(prior, pool, abilities_of(pool)))
    usual, wordy = predictor.tokens(predictor.outputs(query)).reshape(2, len(BUDGETS))
    natural = np.exp(prior.length(query[None])[0].astype(np.float64))
    for found, times in ((usual, 1.0), (wordy, verbosity)):
        expected = np.clip(natural * times, prior.token_floor, prior.token_ceiling)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_model_that_thinks_writes_its_thoughts_on_top_and_more_of_them_where_it_is_hard():
    zero = Head(np.zeros((1, DIM), dtype=np.float32), np.zeros(1, dtype=np.float32))
    hard = unit(np.eye(DIM)[0])
    longer = replace(zero, weights=hard[None].copy())
    flat = Head(np.zeros((len(BUDGETS), DIM), dtype=np.float32), np.full(len(BUDGETS), np.log(100), dtype=np.float32))
    prior = made_prior(thoughts=longer, length=flat, probe_vectors=np.stack([unit(np.eye(DIM)[1])] * 2))
    pool = make_pool(2, thinking_tokens=4000)
    predictor = Predictor(compose(prior, pool, abilities_of(pool)))
    typical, harder = (predictor.tokens(predictor.outputs(v)).reshape(2, -1) for v in (prior.probe_vectors[0], hard))
    thoughts = expected_thoughts(pool.models["model-1"])
    assert 0 < thoughts < 4000
    np.testing.assert_allclose(typical[1], typical[0] + thoughts, rtol=1e-4)
    assert (harder[1] > typical[1]).all()
    assert expected_thoughts(pool.models["model-0"]) == 0


def test_doubt_about_a_model_widens_its_error():
    prior, pool = made_prior(), make_pool(2)
    known = {"model-0": ability(1300.0, error=5.0), "model-1": ability(1300.0, error=80.0)}
    sure, guessed = compose(prior, pool, known).quality_error.reshape(2, -1)[:, 0]
    np.testing.assert_allclose((sure, guessed), np.hypot(1.5, LOGITS_PER_POINT * np.array([5.0, 80.0])), rtol=1e-6)


def test_it_names_the_strongest_and_where_its_numbers_are_from():
    pool = make_pool(3)
    checkpoint = compose(made_prior(), pool, abilities_of(pool))
    assert checkpoint.strongest == "model-2"
    assert checkpoint.estimated_from == ESTIMATED_FROM
    assert checkpoint.data_card["abilities"]["model-0"] == "rated 1200"
    assert (checkpoint.pool, checkpoint.models) == (pool.name, tuple(pool.models))


def test_a_pool_of_which_nothing_is_known_is_refused():
    pool = make_pool(2)
    with pytest.raises(InputError, match="Nothing is known of model-1"):
        compose(made_prior(), pool, {"model-0": ability(1200.0)})
    with pytest.raises(InputError, match="empty"):
        compose(made_prior(), Pool("none", {}), {})


def test_saved_and_loaded_it_composes_the_same(tmp_path):
    prior, pool = made_prior(), make_pool(3)
    again = Prior.load(prior.save(tmp_path / "prior"))
    one, two = (compose(each, pool, abilities_of(pool)) for each in (prior, again))
    np.testing.assert_array_equal(one.weights, two.weights)
    np.testing.assert_array_equal(one.bias, two.bias)
    assert (again.budgets, again.categories, again.error) == (BUDGETS, KINDS, 1.5)
    assert again.probe_texts == prior.probe_texts


def test_a_folder_that_is_no_prior_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=f"No prior at .*{PRIOR_JSON} is missing"):
        Prior.load(tmp_path)
    folder = made_prior().save(tmp_path / "prior")
    meta = json.loads((folder / PRIOR_JSON).read_text())
    for change, fault in (
        ({"format": "r2-checkpoint"}, "is not an R2-Router prior"),
        ({"version": 99}, "format version 99"),
        ({"heads_sha256": "0"}, "sha256 differs"),
        ({"budgets": [30, 30, "unlimited"]}, "names no budgets, or one twice"),
        ({"categories": ["coding"]}, "mixture of shape"),
        ({"categories": ["overall", "math"]}, "category it may not"),
        ({"error": -1}, "has error"),
        ({"embedder": None}, "lacks or misstates a field"),
    ):
        (folder / PRIOR_JSON).write_text(json.dumps({**meta, **change}))
        with pytest.raises(CheckpointError, match=fault):
            Prior.load(folder)


# -- the one that ships --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours():
    return Prior.load(shipped("checkpoints") / "prior")


def test_it_is_small_enough_to_commit():
    assert sum(file.stat().st_size for file in (shipped("checkpoints") / "prior").iterdir()) < 250_000


def test_its_card_names_sources_licences_and_limits(ours):
    assert {"about", "measured", "sources", "texts", "limits", "repeat"} <= set(ours.data_card)
    assert "CC BY 4.0" in " ".join(ours.data_card["sources"])


@pytest.mark.slow
def test_what_it_was_made_to_know(ours):
    """The clear cases: what is hard and long, what is easy and short, what loses by being brief."""
    hello, proof, essay, fact = UseEmbedder().embed(
        [
            "Good morning to you!",
            "Prove that every prime congruent to 1 mod 4 is a sum of two squares.",
            "Write an essay about the history of chess.",
            "What is the capital of Portugal?",
        ]
    )
    ease = {name: ours.difficulty(v[None])[0, 0] for name, v in (("hello", hello), ("proof", proof))}
    assert ease["hello"] > 1 > -0.5 > ease["proof"]
    long = {name: float(np.exp(ours.length(v[None])[0, -1])) for name, v in (("essay", essay), ("fact", fact))}
    assert long["essay"] > 300 > 40 > long["fact"]
    assert ours.gain(proof[None])[0, 0] < ours.gain(fact[None])[0, 0] - 0.5
    mix = dict(zip(ours.categories, ours.mixture(proof[None])[0], strict=True))
    assert max(mix, key=mix.__getitem__) == "math"


@pytest.mark.slow
def test_the_embedded_embedder_is_its_own(ours):
    vectors = UseEmbedder().embed(ours.probe_texts)
    np.testing.assert_allclose(vectors, ours.probe_vectors, atol=1e-4)
