"""checkpoints/local, as committed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from r2_router.checkpoints.format import Checkpoint
from r2_router.config.folders import shipped
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.data.probes import PROBES
from r2_router.lab.data.questions import read_questions
from r2_router.lab.evaluation.cross_validation import verdict
from r2_router.pools.pool import load_pool
from r2_router.routing.predict import Predictor

FOLDER = shipped("checkpoints") / "local"
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "train_local.py"


@pytest.fixture(scope="module")
def local():
    return Checkpoint.load(FOLDER)


@pytest.mark.slow
def test_the_embedded_embedder_is_the_one_it_was_trained_with(local):
    embedder = UseEmbedder()
    vectors = embedder.embed(local.probe_texts)
    local.check_probes(vectors, embedder.id)
    assert (local.embedder.id, local.embedder.dim) == (embedder.id, vectors.shape[1])
    assert local.probe_texts == PROBES
    np.testing.assert_allclose(vectors, local.probe_vectors, atol=1e-4)


def test_every_model_is_in_its_pool(local):
    pool = load_pool(local.pool, user_file=False)
    assert set(local.models) == set(pool.models)
    assert local.strongest in local.models


def test_it_is_small_enough_to_commit():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 1_250_000


def test_the_card_says_what_it_rests_on(local):
    card = local.data_card
    assert {"about", "measured", "models", "sources", "limits", "repeat", "table", "counts"} <= set(card)
    counts = card["counts"]
    missing = sum(cell["queries"] for cell in counts["missing_cells"])
    assert counts["queries"] * len(local.candidates) - missing + counts["repeated_rows"] == counts["rows"]
    assert sum(counts["queries_by_category"].values()) == counts["queries"]


def test_the_verdict_is_what_the_numbers_say(local):
    metrics = local.metrics
    assert metrics["verdict"] == verdict(metrics)
    low, high = metrics["gain_over_best_constant"]["interval_95"]
    assert low <= metrics["gain_over_best_constant"]["mean"] <= high
    assert ("beats" in metrics["verdict"]) == (low > 0)
    assert local.data_card["verdict"] == metrics["verdict"]
    methods = {name: method["audc_padded"][0] for name, method in metrics["methods"].items()}
    gain = metrics["audc_gain_over_mix"]["mean"]
    assert methods["router"] - methods["mix"] == pytest.approx(gain, abs=1e-3)
    assert methods["oracle"] == max(methods.values())


@pytest.mark.slow
def test_no_text_of_a_measured_query_is_in_it(data_dir):
    text = (FOLDER / "checkpoint.json").read_text(encoding="utf-8")
    for question in read_questions(data_dir / "exam_queries.parquet"):
        assert question.query not in text


@pytest.mark.slow
def test_retraining_gives_the_same_predictions(local, data_dir, tmp_path):
    # Matrices this small gain nothing from a second thread, and lose much on a busy machine.
    environment = {**os.environ, "R2_DATA_DIR": str(data_dir), "OPENBLAS_NUM_THREADS": "1"}
    run = [sys.executable, str(SCRIPT), str(tmp_path / "again")]
    subprocess.run(run, check=True, env=environment, capture_output=True, timeout=300)
    again = Checkpoint.load(tmp_path / "again")
    was, now = (Predictor(checkpoint) for checkpoint in (local, again))
    vectors = local.probe_vectors
    np.testing.assert_allclose(now.outputs(vectors), was.outputs(vectors), atol=1e-3)
    np.testing.assert_allclose(again.quality_error, local.quality_error, atol=1e-3)
    assert now.leverage(vectors[0]) == pytest.approx(was.leverage(vectors[0]), abs=1e-3)
    assert again.metrics["verdict"].split(":")[0] == local.metrics["verdict"].split(":")[0]
    cards = [{**checkpoint.data_card, "table": None, "verdict": None} for checkpoint in (again, local)]
    assert cards[0] == cards[1]
