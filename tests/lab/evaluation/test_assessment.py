"""The whole evaluation on made-up tables: invariants, folds by category, a given checkpoint."""

import json
from functools import partial

import numpy as np
import pytest
from support.made_up_table import LAB_POOL, make_lab

from r2_router.checkpoints.format import EmbedderInfo, Instruction
from r2_router.errors import InputError
from r2_router.lab.evaluation.assessment import evaluate
from r2_router.lab.learning.training import train

pytestmark = pytest.mark.slow

LEARN = partial(train, embedder=EmbedderInfo("e", 6), instruction=Instruction("Under {words} words."), name="made-up")


@pytest.fixture(scope="module")
def lab():
    return make_lab(160)


@pytest.fixture(scope="module")
def report(lab):
    return evaluate(*lab, LAB_POOL, LEARN, seeds=2, ood=True).report


def test_the_report_is_json_and_says_that_the_router_pays(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["verdict"].startswith("Choosing by query beats")
    assert report["checkpoint"] is None
    assert report["warning"] == ""


def test_progress_counts_every_fold_of_both_kinds(lab):
    told = []
    evaluate(*lab, LAB_POOL, LEARN, folds=3, seeds=2, ood=True, progress=lambda done, of: told.append((done, of)))
    assert told == [(done, 8) for done in range(1, 9)]  # 3 folds of 2 seeds, then 2 categories


def test_nobody_beats_the_oracle(report):
    """At any worth w, the best point of the oracle's curve is worth most, constants included."""
    curves = {name: np.array(points) for name, points in report["curves"].items()}
    curves["constants"] = np.array([[c["cost_usd"], c["quality"]] for c in report["constants"]])
    low, high = report["worth_range_usd"]
    for worth in np.geomspace(low, high, 9):
        best = {name: (points[:, 1] - points[:, 0] / worth).max() for name, points in curves.items()}
        assert best["oracle"] >= max(best.values()) - 1e-2
    assert report["methods"]["oracle"]["peak"][0] == max(m["peak"][0] for m in report["methods"].values())


def test_shares_of_choices_add_up(report):
    for kind, names in (("by_model", {"small", "large"}), ("by_budget", {"20", "unlimited"})):
        shares = report["choices"][kind]
        assert set(shares) == names
        np.testing.assert_allclose(np.sum(list(shares.values()), axis=0), 1.0, atol=1e-3)


def test_gain_by_category_averages_to_the_gain(report):
    rows = report["gain_by_category"]
    assert {row["category"]: row["queries"] for row in rows} == {"odd": 80, "even": 80}
    mean = np.average([row["mean"] for row in rows], weights=[row["queries"] for row in rows])
    assert mean == pytest.approx(report["gain_over_best_constant"]["mean"], abs=1e-3)


def test_whole_categories_can_be_left_out(report):
    assert report["ood"]["protocol"]["folds"] == 2
    assert report["ood"]["protocol"]["seeds"] == 1


def test_no_checkpoint_of_the_ood_split_saw_the_category_it_judges(lab):
    table, vectors = lab
    seen = []

    def learn(part, unit):
        seen.append(set(part.categories))
        return LEARN(part, unit)

    evaluate(table, vectors, LAB_POOL, learn, seeds=1, ood=True)
    assert sorted(map(sorted, seen[-2:])) == [["even"], ["odd"]]  # which is learned from first is not said


def test_leaving_categories_out_needs_some():
    table, vectors = make_lab(80)
    only = table.take(np.flatnonzero(np.array(table.categories) == "odd"))
    with pytest.raises(InputError, match="needs a column `category`"):
        evaluate(only, vectors[1::2], LAB_POOL, LEARN, seeds=1, ood=True)


def test_a_checkpoint_judged_by_its_own_queries_is_warned_of(lab):
    table, vectors = lab
    own = evaluate(table, vectors, LAB_POOL, LEARN(table, vectors), seeds=1).report
    assert own["checkpoint"] == "made-up"
    assert "queries it knows" in own["warning"]
    other_table, other_vectors = make_lab(60, seed=5)
    other = evaluate(other_table, other_vectors, LAB_POOL, LEARN(table, vectors), seeds=1).report
    assert "Nobody knows whether" in other["warning"]


def test_a_table_of_unlimited_answers_has_no_reactive_router():
    report = evaluate(*make_lab(80, budgets=(None,)), LAB_POOL, LEARN, seeds=1).report
    assert set(report["methods"]) == {"router", "mix", "knn", "paper", "oracle"}
