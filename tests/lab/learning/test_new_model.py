from dataclasses import replace

import numpy as np
import pytest
from support.made_up_table import make_lab

from r2_router.checkpoints.format import Checkpoint, EmbedderInfo, Instruction
from r2_router.errors import InputError
from r2_router.lab.learning.new_model import add_model
from r2_router.lab.learning.training import train
from r2_router.routing.predict import Predictor

SAID = Instruction("Under {words} words.", cap_extra=5)


def base_of(table, vectors, **changes):
    return train(
        table, vectors, embedder=EmbedderInfo("e", vectors.shape[1]), instruction=SAID, name="made-up", **changes
    )


def as_new(table, model="small"):
    """The rows of one model of `table`, as a model nobody knows."""
    columns = [j for j, (name, _) in enumerate(table.candidates) if name == model]
    return replace(
        table,
        candidates=tuple(("new", table.candidates[j][1]) for j in columns),
        quality=table.quality[:, columns],
        output_tokens=table.output_tokens[:, columns],
        input_tokens=table.input_tokens[:, columns],
    )


def test_the_heads_of_the_others_stay_bit_for_bit_and_the_files_load(tmp_path):
    table, vectors = make_lab(200)
    base = base_of(table, vectors, data_card={"about": "made up"})
    few, few_vectors = make_lab(60, seed=3)
    added = Checkpoint.load(add_model(base, as_new(few), few_vectors, data_card={"by": "me"}).save(tmp_path / "c"))
    assert added.models == ("small", "large", "new")
    for name in ("weights", "bias"):
        before, after = getattr(base, name), getattr(added, name)
        np.testing.assert_array_equal(after[:4], before[:4])
        np.testing.assert_array_equal(after[6:10], before[4:])
    assert added.token_heads == (0, 1, 2, 3, 4, 5)
    np.testing.assert_array_equal(added.token_floor[:4], base.token_floor)
    assert added.data_card["about"] == "made up"
    assert added.data_card["added"][0]["model"] == "new"
    assert added.data_card["added"][0]["by"] == "me"
    assert "added" not in base.data_card


def test_a_model_like_a_known_one_is_learned_from_few_queries():
    table, vectors = make_lab(600, dim=60)
    few, few_vectors = make_lab(50, dim=60, seed=3)
    test, test_vectors = make_lab(400, dim=60, seed=9)
    added = add_model(base_of(table, vectors), as_new(few), few_vectors)
    alone = base_of(as_new(few), few_vectors)
    truth = as_new(test).quality

    def error(checkpoint, columns):
        predictor = Predictor(checkpoint)
        return np.mean((predictor.quality(predictor.outputs(test_vectors))[:, columns] - truth) ** 2)

    assert error(added, [4, 5]) < 0.6 * error(alone, [0, 1])
    assert added.data_card["added"][0]["from_base"] > 0.5


def test_two_models_can_be_added_one_after_the_other():
    table, vectors = make_lab(100)
    once = add_model(base_of(table, vectors), as_new(table), vectors)
    other = as_new(table, "large")
    other = replace(other, candidates=tuple(("newer", budget) for _, budget in other.candidates))
    twice = add_model(once, other, vectors)
    assert twice.models == ("small", "large", "new", "newer")
    np.testing.assert_array_equal(twice.weights[:6], once.weights[:6])
    np.testing.assert_array_equal(twice.weights[8:14], once.weights[6:])
    assert [entry["model"] for entry in twice.data_card["added"]] == ["new", "newer"]


def test_an_uneven_new_model_learns_from_what_was_measured():
    table, vectors = make_lab(100)
    new = as_new(table)
    new.quality[:40, 0] = new.output_tokens[:40, 0] = np.nan
    added = add_model(base_of(*make_lab(100)), new, vectors)
    assert np.isfinite(added.weights).all()
    missing = added.data_card["added"][0]["counts"]["missing_cells"]
    assert missing == [{"model": "new", "budget": 20, "queries": 40}]


def test_what_cannot_be_added_is_refused():
    table, vectors = make_lab(100)
    base = base_of(table, vectors)
    with pytest.raises(InputError, match="One model is added at a time"):
        add_model(base, table, vectors)
    known = replace(as_new(table), candidates=(("large", 20), ("large", "unlimited")))
    with pytest.raises(InputError, match="large is in 'made-up' already"):
        add_model(base, known, vectors)
    with pytest.raises(InputError, match="on the logit scale"):
        add_model(replace(base, quality_scale="logit"), as_new(table), vectors)
    other, other_vectors = make_lab(100, dim=7)
    with pytest.raises(InputError, match="7 dimensions do not fit 'made-up', which has 6"):
        add_model(base, as_new(other), other_vectors)
    few, few_vectors = make_lab(19)
    with pytest.raises(InputError, match="training needs 20"):
        add_model(base, as_new(few), few_vectors)
    asked = replace(as_new(table), about={"instruction": {**SAID.to_dict(), "text": "Be brief."}})
    with pytest.raises(InputError, match="another instruction"):
        add_model(base, asked, vectors)
