"""Any scikit-learn regressor as heads: how it is named, what is exported, what is refused."""

from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from support.made_up_table import make_lab

from r2_router.checkpoints.format import Checkpoint, EmbedderInfo, Instruction
from r2_router.errors import InputError
from r2_router.lab.learning.regressors import fit, make_regressor, regress
from r2_router.lab.learning.training import train
from r2_router.routing.predict import Predictor

INSTRUCTION = Instruction("Under {words} words.", cap_extra=5)
LEARN = partial(train, embedder=EmbedderInfo("e", 6), instruction=INSTRUCTION, name="made-up")
LINEAR = ("Ridge(alpha=3)", "RidgeCV(alphas=[0.1, 1, 10])", "BayesianRidge", "LinearRegression", "PLSRegression",
          "sklearn.linear_model.ElasticNet(alpha=0.001)", "DummyRegressor")  # fmt: skip
OTHERS = ("KernelRidge(kernel='rbf')", "KNeighborsRegressor(n_neighbors=7)", "sklearn.tree.DecisionTreeRegressor")


@pytest.fixture(scope="module")
def lab():
    return make_lab(120)


# -- names ---------------------------------------------------------------------------------------------------


def test_a_class_by_its_name_or_path_with_arguments():
    assert make_regressor("Ridge").unfitted.alpha == 1.0
    made = make_regressor(" sklearn.linear_model.RidgeCV(alphas=[1, 2.5], fit_intercept=True) ")
    assert (made.unfitted.alphas, made.unfitted.fit_intercept) == ([1, 2.5], True)
    assert made.spec == " sklearn.linear_model.RidgeCV(alphas=[1, 2.5], fit_intercept=True) "
    assert make_regressor("RandomForestRegressor").unfitted.random_state == 0
    assert make_regressor("RandomForestRegressor(random_state=5)").unfitted.random_state == 5


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("Rige", "has no regressor Rige. Did you mean Ridge"),
        ("LogisticRegression", "has no regressor LogisticRegression"),
        ("sklearn.linear_model.LogisticRegression", "is no regressor"),
        ("nowhere.Ridge", "No module named 'nowhere'"),
        ("sklearn.linear_model.Nobody", "no attribute 'Nobody'"),
        ("os.getcwd", "is no regressor"),
        ("Ridge(size=3)", "unexpected keyword argument 'size'"),
        ("Ridge(3)", "arguments by name"),
        ("Ridge(**{})", "arguments by name"),
        ("Ridge(alpha=open('f'))", "arguments by name"),
        ("Ridge(alpha=1).fit", "arguments by name"),
        ("(lambda: Ridge)()", "arguments by name"),
        ("Ridge(", "arguments by name"),
        ("1 + 1", "arguments by name"),
    ],
)
def test_what_names_no_regressor_is_refused(spec, words):
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        make_regressor(spec)


@pytest.mark.slow
@given(st.text(max_size=30))
def test_no_text_upsets_it(text):
    """Names under sklearn alone: a path is imported, as the user asked."""
    with suppress(InputError):
        make_regressor(text.replace(".", "_"))


# -- heads ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("spec", LINEAR)
def test_a_linear_one_is_exported_and_foretells_the_same(lab, spec, tmp_path):
    table, vectors = lab
    learned = regress(table, vectors, heads=make_regressor(spec), instruction=INSTRUCTION)
    checkpoint = Checkpoint.load(LEARN(table, vectors, heads=make_regressor(spec)).save(tmp_path))
    new = make_lab(50, seed=4)[1]
    quality, tokens = learned.expect(new.astype(np.float64))
    predictor = Predictor(checkpoint)
    outputs = predictor.outputs(new)
    np.testing.assert_allclose(predictor.quality(outputs), quality, atol=1e-4)
    np.testing.assert_allclose(np.array([predictor.tokens(row) for row in outputs]), tokens, rtol=1e-3)
    assert checkpoint.metrics["heads_by"] == spec
    np.testing.assert_allclose(checkpoint.quality_error, learned.quality_error, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("spec", OTHERS)
def test_one_that_is_not_linear_foretells_but_is_not_exported(lab, spec):
    table, vectors = lab
    quality, _ = regress(table, vectors, heads=make_regressor(spec), instruction=INSTRUCTION).expect(vectors)
    assert np.mean((quality - table.quality) ** 2) < 0.5 * table.quality.var()
    with pytest.raises(InputError, match="are not linear, and a checkpoint holds one matrix, never a program"):
        LEARN(table, vectors, heads=make_regressor(spec))


@pytest.mark.slow
def test_a_link_that_is_no_line_is_noticed_whatever_attributes_it_has(lab):
    """PoissonRegressor has coef_ and intercept_, and expects their exponential."""
    table, vectors = lab
    with pytest.raises(InputError, match="not linear"):
        LEARN(table, vectors, heads=make_regressor("PoissonRegressor(alpha=0.01, solver='newton-cholesky')"))


@pytest.mark.slow
def test_leverage_is_that_of_the_training_vectors(lab):
    table, vectors = lab
    own, other = LEARN(table, vectors), LEARN(table, vectors, heads=make_regressor("BayesianRidge"))
    assert other.precision.leverage_limit == own.precision.leverage_limit
    np.testing.assert_array_equal(other.precision.factor, own.precision.factor)


@pytest.mark.slow
def test_errors_are_those_of_queries_left_out(lab):
    table, vectors = lab
    checkpoint = LEARN(table, vectors, heads=make_regressor("LinearRegression"))
    new, new_vectors = make_lab(2000, seed=5)
    quality, _ = regress(table, vectors, heads=make_regressor("LinearRegression"), instruction=INSTRUCTION).expect(
        new_vectors
    )
    real = np.sqrt(np.mean((quality - new.quality) ** 2, axis=0))
    np.testing.assert_allclose(checkpoint.quality_error, real, rtol=0.2)


@pytest.mark.slow
def test_expected_tokens_are_means_within_bounds(lab):
    table, vectors = lab
    new, new_vectors = make_lab(2000, seed=5)
    learned = regress(table, vectors, heads=make_regressor("Ridge"), instruction=INSTRUCTION)
    _, tokens = learned.expect(new_vectors)
    assert (tokens >= learned.floor - 1e-9).all()
    assert (tokens <= learned.ceiling + 1e-9).all()
    assert tokens.mean(axis=0) == pytest.approx(new.output_tokens.mean(axis=0), rel=0.12)


@pytest.mark.parametrize("unfitted", [Ridge(alpha=2.0), make_regressor("BayesianRidge").unfitted])
def test_each_head_learns_from_the_queries_it_was_measured_on(unfitted):
    rng = np.random.default_rng(0)
    vectors, targets = rng.normal(size=(60, 4)), rng.normal(size=(60, 3))
    targets[:20, 1] = np.nan
    found = fit(unfitted, vectors, targets).expect(vectors)
    for column, rows in ((0, slice(0, None)), (1, slice(20, None)), (2, slice(0, None))):
        alone = type(unfitted)(**unfitted.get_params()).fit(vectors[rows], targets[rows, column])
        np.testing.assert_allclose(found[:, column], alone.predict(vectors), atol=1e-8)


def test_one_that_cannot_learn_says_so(lab):
    table, vectors = lab
    with pytest.raises(InputError, match=r"Ridge cannot learn these heads: .*alpha"):
        LEARN(table, vectors, heads=make_regressor("Ridge(alpha=-1)"))
    zero = replace(table, quality=table.quality - 1)
    with pytest.raises(InputError, match="PoissonRegressor cannot learn these heads"):
        regress(zero, vectors, heads=make_regressor("PoissonRegressor"), instruction=INSTRUCTION)
