"""Heads that start from what was believed: a few labels never hurt, many decide."""

from dataclasses import replace

import numpy as np
import pytest
from support.made_up_table import make_lab

from r2_router.checkpoints.format import Checkpoint, EmbedderInfo, Instruction
from r2_router.errors import InputError
from r2_router.lab.learning.from_base import known_of, learn_from
from r2_router.lab.learning.training import train
from r2_router.routing.predict import Predictor

CANDIDATES = (("small", 20), ("small", "unlimited"), ("large", 20), ("large", "unlimited"))


def believed(scale="logit", dim=6):
    """Heads that know nothing of a query: every quality 0.5, 20 or 100 tokens."""
    quality = 0.0 if scale == "logit" else 0.5
    return Checkpoint(
        name="believed",
        candidates=CANDIDATES,
        weights=np.zeros((8, dim), np.float32),
        bias=np.array([quality] * 4 + [np.log(20), np.log(100)] * 2, np.float32),
        token_heads=(0, 1, 2, 3),
        token_scale="log",
        token_floor=np.full(4, 1, np.float32),
        token_ceiling=np.array([25, 5000] * 2, np.float32),
        embedder=EmbedderInfo("e", dim),
        instruction=Instruction("Under {words} words.", cap_extra=5),
        quality_scale=scale,
        quality_error=np.full(4, 1.5, np.float32),
    )


def errors(checkpoint, table, vectors):
    """Mean squared error of the quality, and of the logarithm of the tokens."""
    predictor = Predictor(checkpoint)
    outputs = predictor.outputs(vectors)
    quality = float(np.mean((predictor.quality(outputs) - table.quality) ** 2))
    return quality, float(np.mean((np.log(predictor.head_tokens(outputs)) - np.log(table.output_tokens)) ** 2))


@pytest.mark.parametrize("scale", ["logit", "linear"])
def test_five_labels_never_hurt_and_hundreds_decide(scale):
    test, test_vectors = make_lab(400, seed=9)
    base = believed(scale)
    before = errors(base, test, test_vectors)
    learned = {n: errors(learn_from(base, *make_lab(n, seed=3)), test, test_vectors) for n in (1, 5, 40, 400)}
    assert learned[1][0] < 1.01 * before[0]
    assert learned[5][0] < before[0]
    assert learned[400][0] < learned[40][0] < learned[5][0]
    assert learned[400][1] < learned[40][1] < before[1]
    table, vectors = make_lab(400, seed=3)
    own = train(table, vectors, embedder=base.embedder, instruction=base.instruction, name="own")
    assert learned[400][0] < 1.6 * errors(own, test, test_vectors)[0] < 0.2 * before[0]


def test_tokens_are_foretold_in_the_mean():
    table, vectors = make_lab(300)
    measured = [0, 1, 3]
    learned = Predictor(learn_from(believed(), table.among(measured), vectors))
    tokens = learned.head_tokens(learned.outputs(vectors)).mean(axis=0)
    np.testing.assert_allclose(tokens[measured], table.output_tokens[:, measured].mean(axis=0), rtol=0.15)


def test_what_is_learned_is_surer_and_says_so(tmp_path):
    table, vectors = make_lab(200)
    columns = [0, 1]  # the small model alone
    base = believed()
    learned = learn_from(base, table.among(columns), vectors, data_card={"by": "me"})
    assert (learned.quality_error < base.quality_error).all()
    assert learned.quality_error[:2].max() < learned.quality_error[2:].min()
    learned = Checkpoint.load(learned.save(tmp_path / "c"))
    [entry] = learned.data_card["learned"]
    assert (entry["by"], entry["counts"]["queries"]) == ("me", 200)
    again = learn_from(learned, *make_lab(5))
    assert [each["counts"]["queries"] for each in again.data_card["learned"]] == [200, 5]


def test_answers_of_others_are_left_out_and_said():
    table, _ = make_lab(30)
    other = replace(table, candidates=(("new", 20), *table.candidates[1:]))
    known, unknown = known_of(believed(), other)
    assert (known.candidates, unknown) == (table.candidates[1:], [("new", 20)])
    with pytest.raises(InputError, match="the table answers of none of them"):
        known_of(believed(), other.among([0]))
    with pytest.raises(InputError, match="7 dimensions do not fit 'believed', which has 6"):
        learn_from(believed(), *make_lab(5, dim=7))


def test_a_base_of_plain_token_counts_keeps_them():
    base = replace(believed("linear"), token_scale="linear", bias=np.array([0.5] * 4 + [20, 100] * 2, np.float32))
    learned = learn_from(base, *make_lab(50))
    np.testing.assert_array_equal(learned.bias[4:], base.bias[4:])
    assert (learned.bias[:4] != base.bias[:4]).any()
