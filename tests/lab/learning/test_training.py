from dataclasses import replace

import numpy as np
import pytest
from support.made_up_table import make_lab

from r2_router.checkpoints.format import Checkpoint, EmbedderInfo, Instruction
from r2_router.errors import InputError
from r2_router.lab.data.table import make_table
from r2_router.lab.learning.heads import Heads
from r2_router.lab.learning.training import train
from r2_router.routing.predict import Predictor

KIND = {"instruction": Instruction("Under {words} words.", cap_extra=5), "name": "made-up", "pool": "lab"}


def learn(table, vectors, **changes):
    return train(table, vectors, embedder=EmbedderInfo("e", vectors.shape[-1]), **KIND, **changes)


def predictions(checkpoint, vectors):
    predictor = Predictor(checkpoint)
    outputs = predictor.outputs(vectors)
    return predictor.quality(outputs), np.array([predictor.tokens(row) for row in outputs])


def without(table, row, column):
    """The same measurements but one."""
    columns = {name: [] for name in ("query_id", "query", "model", "budget", "quality", "output_tokens")}
    for i, query in enumerate(table.queries):
        for j, (model, budget) in enumerate(table.candidates):
            if (i, j) != (row, column):
                cell = (table.query_ids[i], query, model, budget, table.quality[i, j], table.output_tokens[i, j])
                for name, value in zip(columns, cell, strict=True):
                    columns[name].append(value)
    return make_table(columns, "t")


def test_what_the_query_says_is_learned():
    table, vectors = make_lab(400)
    new, new_vectors = make_lab(200, seed=9)
    quality, tokens = predictions(learn(table, vectors), new_vectors)
    assert np.mean((quality - new.quality) ** 2) < 0.25 * new.quality.var(axis=0).mean()
    correlation = np.corrcoef(np.log(tokens[:, 1]), np.log(new.output_tokens[:, 1]))[0, 1]
    assert correlation > 0.4


def test_where_the_query_says_nothing_heads_shrink_to_the_means():
    table, vectors = make_lab(150, signal=0.0)
    quality, _ = predictions(learn(table, vectors), vectors)
    assert np.abs(quality - table.quality.mean(axis=0)).max() < 0.03


def test_how_hard_a_query_is_is_learned_even_where_candidates_do_not_differ():
    table, vectors = make_lab(300, signal=0.0)
    new, new_vectors = make_lab(300, signal=0.0, seed=9)
    for each, at in ((table, vectors), (new, new_vectors)):
        each.quality[:] += 0.3 * at[:, :1]
    checkpoint = learn(table, vectors)
    alpha = checkpoint.metrics["alpha"]
    assert alpha["level"] < 10 < alpha["difference"]
    quality, _ = predictions(checkpoint, new_vectors)
    assert np.mean((quality - new.quality) ** 2) < 0.25 * new.quality.var(axis=0).mean()
    apart = quality - quality.mean(axis=1, keepdims=True)
    assert apart.std(axis=0).max() < 0.02


@pytest.mark.slow
def test_expected_tokens_are_means_not_medians():
    table, vectors = make_lab(400)
    new, new_vectors = make_lab(2000, seed=5)
    _, tokens = predictions(learn(table, vectors), new_vectors)
    unlimited = [j for j, (_, budget) in enumerate(table.candidates) if budget == "unlimited"]
    ratio = tokens.mean(axis=0)[unlimited] / new.output_tokens.mean(axis=0)[unlimited]
    medians = np.median(new.output_tokens, axis=0)[unlimited] / new.output_tokens.mean(axis=0)[unlimited]
    assert np.abs(ratio - 1).max() < 0.08
    assert medians.max() < 0.9


def test_tokens_are_bounded_by_what_was_seen_and_by_the_cut():
    table, vectors = make_lab()
    checkpoint = learn(table, vectors)
    np.testing.assert_allclose(checkpoint.token_floor, np.quantile(table.output_tokens, 0.05, axis=0), rtol=1e-6)
    longest = table.output_tokens.max(axis=0)
    assert checkpoint.token_ceiling.tolist() == [25, longest[1], 25, longest[3]]


def test_answers_of_no_tokens_do_no_harm():
    table, vectors = make_lab()
    table.output_tokens[:30, 0] = 0
    checkpoint = learn(table, vectors)
    assert checkpoint.token_floor[0] == 1
    assert np.isfinite(checkpoint.weights).all()


def test_precision_is_the_inverse_of_the_ridge_matrix():
    table, vectors = make_lab(50, dim=9)
    checkpoint = learn(table, vectors)
    p = checkpoint.precision
    X = (vectors - vectors.mean(axis=0)).astype(np.float64)
    inverse = np.linalg.inv(X.T @ X + p.alpha * np.eye(9))
    factor = p.factor.astype(np.float64)
    np.testing.assert_allclose((np.eye(9) - factor.T @ factor) / p.alpha, inverse, atol=1e-6)
    offset = vectors[3].astype(np.float64) - p.center
    assert Predictor(checkpoint).leverage(vectors[3]) == pytest.approx(1 / 50 + offset @ inverse @ offset, rel=1e-4)


def test_leverage_limit_is_what_training_queries_had_without_themselves():
    table, vectors = make_lab(60, dim=5)
    p = learn(table, vectors).precision
    without_themselves = []
    for i in range(60):
        rest = np.delete(vectors, i, axis=0).astype(np.float64)
        center = rest.mean(axis=0)
        X, offset = rest - center, vectors[i] - center
        without_themselves.append(1 / 59 + offset @ np.linalg.inv(X.T @ X + p.alpha * np.eye(5)) @ offset)
    assert p.leverage_limit == pytest.approx(np.quantile(without_themselves, 0.99), rel=1e-4)


def test_quality_errors_are_those_of_queries_left_out():
    table, vectors = make_lab(400)
    new, new_vectors = make_lab(2000, seed=5)
    checkpoint = learn(table, vectors)
    quality, _ = predictions(checkpoint, new_vectors)
    real = np.sqrt(np.mean((quality - new.quality) ** 2, axis=0))
    np.testing.assert_allclose(checkpoint.quality_error, real, rtol=0.1)


def test_a_missing_cell_changes_little_and_is_counted():
    table, vectors = make_lab()
    full, less = learn(table, vectors), learn(without(table, 7, 2), vectors)
    assert less.data_card["counts"]["missing_cells"] == [{"model": "large", "budget": 20, "queries": 1}]
    np.testing.assert_allclose(less.weights, full.weights, atol=0.05)
    assert not np.array_equal(less.weights[2], full.weights[2])


def test_a_kind_left_out_is_foretold_from_the_others_alone():
    table, vectors = make_lab(60, dim=4)
    rows = vectors.astype(np.float64)
    kinds, targets = np.arange(60) % 3, table.quality.copy()
    targets[kinds != 0, 1] = np.nan  # measured on one kind: there is nothing to foretell it from
    heads = Heads(rows, ~np.isnan(targets))
    found = heads.kinds_left_out(targets, [0.5], kinds)[0]
    for kind in range(3):
        known, out = rows[kinds != kind], rows[kinds == kind]
        centre, mean = known.mean(axis=0), targets[kinds != kind, 0].mean()
        X = known - centre
        weights = np.linalg.solve(X.T @ X + 0.5 * np.eye(4), X.T @ (targets[kinds != kind, 0] - mean))
        np.testing.assert_allclose(found[kinds == kind, 0], mean + (out - centre) @ weights, atol=1e-9)
    assert np.isnan(found[:, 1]).all()


def test_the_penalty_is_chosen_by_kinds_where_there_are_any():
    two_kinds, vectors = make_lab(60)
    table = replace(two_kinds, categories=tuple(f"kind {i % 6}" for i in range(60)))
    by_kinds, by_queries = learn(table, vectors), learn(table, vectors, penalty_by="queries")
    assert by_kinds.metrics["penalty_by"] == "kinds"
    assert "penalty_by" not in by_queries.metrics
    assert by_kinds.metrics["alpha"]["difference"] != by_queries.metrics["alpha"]["difference"]
    assert learn(two_kinds, vectors).metrics == by_queries.metrics


def test_one_budget_and_one_candidate_are_enough():
    table, vectors = make_lab(budgets=(20,))
    checkpoint = learn(table, vectors)
    assert checkpoint.candidates == (("small", 20), ("large", 20))
    assert checkpoint.strongest == ""
    alone = {name: ["x"] * 30 for name in ("query", "model")} | {
        "query_id": list(range(30)),
        "budget": [None] * 30,
        "quality": list(table.quality[:30, 0]),
        "output_tokens": [9] * 30,
    }
    assert learn(make_table(alone, "t"), vectors[:30]).candidates == (("x", "unlimited"),)


@pytest.mark.parametrize("dim", [1, 3, 200])
def test_any_dimension(dim):
    table, vectors = make_lab(40, dim=dim)
    checkpoint = learn(table, vectors)
    assert checkpoint.weights.shape == (8, dim)
    assert len(checkpoint.precision.factor) <= min(40, dim)


def test_strongest_is_the_best_without_a_limit():
    table, vectors = make_lab()
    table.quality[:, 1], table.quality[:, 3], table.quality[:, 0] = 0.4, 0.6, 0.9
    assert learn(table, vectors).strongest == "large"


def test_what_is_saved_is_what_was_trained(tmp_path):
    table, vectors = make_lab()
    trained = learn(table, vectors, probe_texts=("text 0",), probe_vectors=vectors[:1], data_card={"about": "made up"})
    loaded = Checkpoint.load(trained.save(tmp_path / "c"))
    np.testing.assert_array_equal(loaded.weights, trained.weights)
    assert loaded.data_card["about"] == "made up"
    assert set(loaded.metrics["alpha"]) == {
        "quality",
        "level",
        "difference",
        "tokens_level",
        "tokens_difference",
    }
    assert loaded.pool == "lab"
    loaded.check_probes(vectors[:1], "e")
    again = learn(table, vectors, probe_texts=("text 0",), probe_vectors=vectors[:1], data_card={"about": "made up"})
    again.save(tmp_path / "again")
    for file in ("checkpoint.json", "heads.safetensors"):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "c" / file).read_bytes()


def test_too_few_queries_is_an_error_that_names_the_candidate():
    table, vectors = make_lab(19)
    with pytest.raises(InputError, match="small @ 20 has 19 measured queries; training needs 20"):
        learn(table, vectors)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: v[:-1], "embeddings of shape"),
        (lambda v: v[0], "embeddings of shape"),
        (lambda v: v * 3, "unit length"),
        (lambda v: np.where(v == v[0, 0], np.nan, v), "finite"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(spoil, message):
    table, vectors = make_lab()
    with pytest.raises(InputError, match=message):
        learn(table, spoil(vectors))
