from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from support.made_up import DIM, make_checkpoint, unit

from r2_router.checkpoints.format import HEADS_NAME, JSON_NAME, Checkpoint, Instruction
from r2_router.errors import CheckpointError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return with_probes().save(tmp_path / "checkpoint")


def with_probes() -> Checkpoint:
    vectors = np.stack([unit(v) for v in np.random.default_rng(1).normal(size=(2, DIM))])
    return make_checkpoint(probe_texts=("one", "two"), probe_vectors=vectors)


def edit(folder: Path, change: dict[str, Any]) -> None:
    file = folder / JSON_NAME
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))


def swap_heads(folder: Path, data: bytes) -> None:
    """Replace the tensors and seal them, as whoever makes a hostile checkpoint would."""
    (folder / HEADS_NAME).write_bytes(data)
    edit(folder, {"heads_sha256": hashlib.sha256(data).hexdigest()})


def tensors(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / HEADS_NAME)


def test_what_is_saved_is_what_is_loaded(saved: Path) -> None:
    before, after = with_probes(), Checkpoint.load(saved)
    assert after.candidates == before.candidates
    assert after.instruction == before.instruction
    assert after.embedder == before.embedder
    assert after.token_heads == before.token_heads
    for name in ("weights", "bias", "token_floor", "token_ceiling", "quality_error", "probe_vectors"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert after.precision is not None
    assert before.precision is not None
    np.testing.assert_array_equal(after.precision.factor, before.precision.factor)
    assert after.precision.leverage_limit == before.precision.leverage_limit


def test_saving_twice_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    again = with_probes().save(tmp_path / "again")
    for name in (JSON_NAME, HEADS_NAME):
        assert (saved / name).read_bytes() == (again / name).read_bytes()
    assert sorted(p.name for p in again.iterdir()) == [JSON_NAME, HEADS_NAME]


def test_the_json_is_readable_and_names_version_models_and_budgets(saved: Path) -> None:
    meta = json.loads((saved / JSON_NAME).read_text())
    assert meta["format"] == "r2-checkpoint"
    assert meta["version"] == 2
    assert meta["models"] == ["model-0", "model-1", "model-2"]
    assert meta["budgets"] == [10, 40, 100, "unlimited"]


def test_version_1_is_read_as_it_was_written(saved: Path) -> None:
    meta = json.loads((saved / JSON_NAME).read_text())
    for added in ("quality_scale", "quality_ceiling", "tenfold_gain"):
        del meta[added]
    (saved / JSON_NAME).write_text(json.dumps({**meta, "version": 1}))
    read = Checkpoint.load(saved)
    assert (read.quality_scale, read.quality_ceiling, read.tenfold_gain) == ("linear", 1.0, 0.0)


def test_a_missing_checkpoint_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="r2-router import release"):
        Checkpoint.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, r"format version 3.*pip install -U"),
        ({"version": "1"}, "names no format version"),
        ({"format": "other"}, "not an R2-Router checkpoint"),
        ({"name": None}, "has no name"),
        ({"candidates": [["a", 10]]}, "heads for 1 candidates"),
        ({"candidates": [["a", -1]] * 12}, "budget -1"),
        ({"candidates": [["a", True]] * 12}, "budget True"),
        ({"candidates": [["../../etc/passwd\n", 10]] * 12}, "model name"),
        ({"candidates": [["a", 10]] * 12}, "names a candidate twice"),
        ({"candidates": "abc"}, "lacks or misstates a field"),
        ({"candidates": [["a"]]}, "lacks or misstates a field"),
        ({"token_heads": [*range(11), 99]}, "token head without candidate"),
        ({"token_heads": [0] * 12}, "two token heads"),
        ({"token_scale": "cubic"}, "token scale"),
        ({"quality_scale": "cubic"}, "quality scale"),
        ({"quality_ceiling": 0}, "quality ceiling"),
        ({"tenfold_gain": -0.1}, "tenfold gain"),
        ({"quality_ceiling": "1"}, "lacks or misstates a field"),
        ({"embedder": {"id": "x", "dim": 9}}, r"weights of shape \(24, 8\), not \(24, 9\)"),
        ({"embedder": {"id": "x", "dim": 10**12}}, "embedding dimension"),
        ({"embedder": {"id": "x", "dim": 8, "os.system": "rm"}}, "lacks or misstates a field"),
        ({"instruction": None}, "lacks or misstates a field"),
        ({"instruction": {"text": 3}}, "instruction that cannot be used"),
        ({"instruction": {"text": "", "place": "nowhere"}}, "instruction that cannot be used"),
        ({"instruction": {"text": "", "words_per_token": -1}}, "instruction that cannot be used"),
        ({"instruction": {"text": "", "cap_extra": -1}}, "cap of budget -1 tokens"),
        ({"instruction": {"text": "", "temperature": 3}}, "temperature 3"),
        ({"precision": {"alpha": -1.0, "n": 1, "leverage_limit": 1.0}}, "precision without"),
        ({"probe_texts": ["only one"]}, "probe_vectors of shape"),
        ({"heads_sha256": "0" * 64}, "sha256 differs"),
    ],
)
def test_a_checkpoint_whose_json_does_not_fit_is_refused_by_name(
    saved: Path, change: dict[str, Any], message: str
) -> None:
    edit(saved, change)
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.load(saved)


@pytest.mark.parametrize("text", ["", "{", "[1,2]", "[" * 100_000, '{"format": "r2-checkpoint"}', "\x00"])
def test_json_that_is_not_json_is_refused(saved: Path, text: str) -> None:
    (saved / JSON_NAME).write_text(text)
    with pytest.raises(CheckpointError):
        Checkpoint.load(saved)


def test_tensors_of_another_shape_type_or_value_are_refused(saved: Path) -> None:
    good = tensors(saved)
    nan, half = good["weights"].copy(), good["weights"].astype(np.float16)
    nan[3, 2] = np.nan
    for change, message in (
        ({"weights": nan}, "weights that is not finite"),
        ({"weights": half}, "weights of type float16"),
        ({"weights": good["weights"][:, :4].copy()}, "weights of shape"),
        ({"bias": good["bias"][:5].copy()}, "heads for 12 candidates"),
        ({"token_floor": -good["token_floor"]}, "token floor that is not positive"),
        ({"token_ceiling": good["token_floor"] * 0.5}, "ceiling under its floor"),
        ({"quality_error": -good["quality_error"]}, "negative error"),
        ({"probe_vectors": good["probe_vectors"] * 2}, "not of unit length"),
        ({"precision_center": good["precision_center"][:3].copy()}, "precision_center of shape"),
    ):
        swap_heads(saved, save({**good, **change}))
        with pytest.raises(CheckpointError, match=message):
            Checkpoint.load(saved)
    swap_heads(saved, save({name: array for name, array in good.items() if name != "bias"}))
    with pytest.raises(CheckpointError, match="bias"):
        Checkpoint.load(saved)


def test_truncated_and_overlong_tensor_files_are_refused(saved: Path) -> None:
    whole = (saved / HEADS_NAME).read_bytes()
    (saved / HEADS_NAME).write_bytes(whole[:-1])
    with pytest.raises(CheckpointError, match="sha256 differs"):
        Checkpoint.load(saved)
    for data, message in (
        (whole[:-1], "cannot be read"),
        (whole[:4], "truncated"),
        (b"", "truncated"),
        (struct.pack("<Q", 1 << 60) + whole[8:], "unreasonable header"),
        (struct.pack("<Q", 64) + b"{" * 64, "cannot be read"),
    ):
        swap_heads(saved, data)
        with pytest.raises(CheckpointError, match=message):
            Checkpoint.load(saved)
    (saved / HEADS_NAME).unlink()
    with pytest.raises(CheckpointError, match="incomplete"):
        Checkpoint.load(saved)


@pytest.mark.slow
@given(data=st.binary(max_size=200))
def test_no_bytes_at_all_are_loaded_or_crash(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = make_checkpoint().save(tmp_path_factory.mktemp("fuzz"))
    swap_heads(folder, data)
    with pytest.raises(CheckpointError):
        Checkpoint.load(folder)


def test_probes_refuse_another_embedder() -> None:
    checkpoint = with_probes()
    probes = checkpoint.probe_vectors
    assert probes is not None
    checkpoint.check_probes(probes, "the right one")
    with pytest.raises(CheckpointError, match=r"some server is not the embedder.*made-up-embedder"):
        checkpoint.check_probes(-probes, "some server")
    with pytest.raises(CheckpointError, match="gives 4 dimensions"):
        checkpoint.check_probes(probes[:, :4], "some server")


def test_an_unlimited_candidate_needs_a_token_head() -> None:
    good = make_checkpoint(budgets=())
    with pytest.raises(CheckpointError, match="no token head for model-0, unlimited"):
        replace(good, token_heads=(1, 2), weights=good.weights[:5], bias=good.bias[:5])


def test_instructions_name_words_or_tokens_and_cap_limited_budgets() -> None:
    words = Instruction("Under {words} words.", cap_extra=5)
    assert words.render(40) == "Under 28 words."
    assert words.render("unlimited") == ""
    assert words.cap(40) == 45
    assert words.cap("unlimited") is None
    assert Instruction("At most {budget} tokens {oddly}.").render(7) == "At most 7 tokens {oddly}."
    assert Instruction("{words}").render(1) == "1"
