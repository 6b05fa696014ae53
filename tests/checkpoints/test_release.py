"""Released directories: read exactly, refused by name, fetched whole."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from support.file_server import FileServer, file_server, status, whole
from support.release_fixture import (
    BUDGETS,
    DIM,
    LIMITED,
    MODELS,
    SCORE,
    TOKENS,
    config,
    fit_ridge,
    model_folder,
    pin,
    write_config,
    write_release,
)

from r2_router.checkpoints import release as upstream  # the fixtures are called release
from r2_router.checkpoints.format import Checkpoint
from r2_router.checkpoints.release import fetch_release, is_release, pinned_release, read_release
from r2_router.errors import CheckpointError, DownloadError
from r2_router.net import download

Ridges = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ridges]:
    folder = tmp_path_factory.mktemp("release")
    return folder, write_release(folder)


@pytest.fixture
def release(written: tuple[Path, Ridges], tmp_path: Path) -> Path:
    """A released directory of its own, to be damaged."""
    return Path(shutil.copytree(written[0], tmp_path / "release"))


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


def refuse(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match) as caught:
        read_release(folder)
    assert str(folder) in str(caught.value)


# -- what is read --------------------------------------------------------------------------------------------


def test_the_heads_are_the_stored_bits_in_the_release_order(written: tuple[Path, Ridges]) -> None:
    folder, ridges = written
    checkpoint = read_release(folder)
    budgets = (*BUDGETS, "unlimited")
    assert checkpoint.candidates == tuple((model, budget) for model in MODELS for budget in budgets)
    expected = [ridge for model in MODELS for ridge in (*ridges[model][LIMITED].values(), ridges[model][SCORE])]
    expected += [ridges[model][TOKENS] for model in MODELS]
    assert checkpoint.weights.tobytes() == np.stack([ridge.coef_ for ridge in expected]).tobytes()
    assert checkpoint.bias.tobytes() == np.array([ridge.intercept_ for ridge in expected]).tobytes()
    assert [checkpoint.candidates[j] for j in checkpoint.token_heads] == [(m, "unlimited") for m in MODELS]


def test_budgets_stay_in_the_order_they_are_stored(tmp_path: Path) -> None:
    write_release(tmp_path, models=["one"], budgets=(200, 10, 4000))
    checkpoint = read_release(tmp_path)
    assert [budget for _, budget in checkpoint.candidates] == [200, 10, 4000, "unlimited"]
    assert checkpoint.token_floor.tolist() == [200, 10, 4000, 10]
    assert checkpoint.token_ceiling.tolist() == [200, 10, 4000, 32768]


def test_what_the_heads_mean(written: tuple[Path, Ridges]) -> None:
    checkpoint = read_release(written[0])
    assert checkpoint.name == "made-up-release"
    assert checkpoint.token_scale == "linear"
    assert (checkpoint.embedder.id, checkpoint.embedder.dim) == ("made-up/embedder", DIM)
    assert "last-token" in checkpoint.embedder.revision
    assert checkpoint.pool == "paper"
    assert checkpoint.strongest == ""
    assert checkpoint.instruction.place == "system"
    assert "at most 50 tokens" in checkpoint.instruction.render(50)
    assert checkpoint.instruction.cap(50) == 50
    assert checkpoint.release == {
        "order": list(MODELS),
        "prices": {"small": [0.1, 0.4], "middle": [0.2, 0.8], "large": [0.1 * 3, 0.4 * 3]},
        "ids": {model: f"vendor/{model}" for model in MODELS},
        "default_lambda": 0.999,
    }


def test_a_release_survives_save_and_load(written: tuple[Path, Ridges], tmp_path: Path) -> None:
    checkpoint = read_release(written[0])
    again = Checkpoint.load(checkpoint.save(tmp_path / "checkpoint"))
    assert again.weights.tobytes() == checkpoint.weights.tobytes()
    assert again.bias.tobytes() == checkpoint.bias.tobytes()
    for name in (
        "name",
        "candidates",
        "token_heads",
        "embedder",
        "instruction",
        "pool",
        "release",
        "data_card",
    ):
        assert getattr(again, name) == getattr(checkpoint, name), name


def test_float64_heads_are_rounded_to_float32(tmp_path: Path) -> None:
    ridges = write_release(tmp_path, models=["one"], dtype=np.float64)
    checkpoint = read_release(tmp_path)
    assert checkpoint.weights.dtype == np.float32
    np.testing.assert_array_equal(checkpoint.weights[-1], ridges["one"][TOKENS].coef_.astype(np.float32))


def test_a_ridge_without_intercept_has_bias_zero(release: Path) -> None:
    from sklearn.linear_model import Ridge

    ridge = Ridge(fit_intercept=False).fit(np.eye(DIM, dtype=np.float32), np.ones(DIM, dtype=np.float32))
    joblib.dump(ridge, model_folder(release, "small") / SCORE)
    assert read_release(release).bias[len(BUDGETS)] == 0.0


def test_a_model_without_files_is_left_out_as_the_release_does(release: Path) -> None:
    shutil.rmtree(model_folder(release, "middle"))
    checkpoint = read_release(release)
    assert checkpoint.models == ("small", "large")
    assert checkpoint.data_card["left_out"] == ["middle"]
    assert checkpoint.release is not None
    assert list(checkpoint.release["prices"]) == checkpoint.release["order"] == ["small", "large"]


def test_optional_settings_have_the_release_defaults(release: Path) -> None:
    settings = config()
    del settings["default_lambda"], settings["router_name"]
    write_config(release, settings)
    checkpoint = read_release(release)
    assert checkpoint.release is not None
    assert checkpoint.release["default_lambda"] == 0.99999
    assert checkpoint.name == "r2-router-release"


def test_only_the_pinned_files_are_called_the_release(
    written: tuple[Path, Ridges], release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "pinned_release", lambda: pin(written[0]))
    assert read_release(written[0]).data_card["commit"] == "0" * 40
    write_config(release, config() | {"default_lambda": 0.5})
    assert "commit" not in read_release(release).data_card


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_hugging_face_cache_is_read_through_its_links(release: Path, tmp_path: Path) -> None:
    repo = tmp_path / "models--someone--router"
    snapshot = repo / "snapshots" / "abc"
    (repo / "blobs").mkdir(parents=True)
    for i, file in enumerate(f for f in release.rglob("*") if f.is_file()):
        blob = Path(shutil.move(file, repo / "blobs" / str(i)))
        link = snapshot / file.relative_to(release)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    assert read_release(snapshot).models == MODELS


def test_is_release_tells_a_released_directory(written: tuple[Path, Ridges], tmp_path: Path) -> None:
    assert is_release(written[0])
    assert is_release(str(written[0]))
    assert not is_release(tmp_path)
    assert not is_release(tmp_path / "missing")
    assert not is_release(read_release(written[0]).save(tmp_path / "ours"))


@pytest.mark.slow
def test_reading_needs_neither_joblib_nor_scikit_learn(written: tuple[Path, Ridges]) -> None:
    code = (
        "import sys; from r2_router.checkpoints.release import read_release; read_release(sys.argv[1]);"
        "print(sorted({'joblib', 'sklearn', 'scipy', 'httpx', 'pickle5'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(written[0])], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


# -- config.json that cannot be used ------------------------------------------------------------------------


def change(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda settings: settings.update(fields)


def change_model(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda settings: settings["models"]["middle"].update(fields)


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (change(models={}), "lists no models"),
        (change(models=None), "of models must be a JSON object"),
        (change(models=["small"]), "of models must be a JSON object"),
        (change(models={"small": "x"}), "the value of model 'small' must be a JSON object"),
        (change(embedding_dim="6"), "embedding_dim must be a positive integer"),
        (change(embedding_dim=True), "embedding_dim must be a positive integer"),
        (change(embedding_dim=0), "embedding_dim must be a positive integer"),
        (change(embedding_dim=7), "a head over 6 dimensions where config.json says 7"),
        (change(embedding_model=None), "embedding_model must be a short text"),
        (change(embedding_model="a\nb"), "embedding_model must be a short text"),
        (change(router_name=3), "router_name must be a short text"),
        (change(default_lambda=1.5), "default_lambda must be a number from 0 to 1"),
        (change(default_lambda=math.nan), "default_lambda must be a number from 0 to 1"),
        (
            change_model(input_price_per_million=math.nan),
            "input_price_per_million of model 'middle' must be a number",
        ),
        (change_model(output_price_per_million=math.inf), "output_price_per_million of model 'middle'"),
        (change_model(output_price_per_million=-0.1), "output_price_per_million of model 'middle'"),
        (change_model(output_price_per_million=10**400), "output_price_per_million of model 'middle'"),
        (change_model(output_price_per_million="0.1"), "output_price_per_million of model 'middle'"),
        (change_model(output_price_per_million=True), "output_price_per_million of model 'middle'"),
        (change_model(output_price_per_million=None), "output_price_per_million of model 'middle'"),
        (change_model(openrouter_id=None), "openrouter_id of model 'middle' must be a short text"),
        (change_model(checkpoint_dir=7), "checkpoint_dir of model 'middle' must be a short text"),
        *(
            (change_model(checkpoint_dir=path), "checkpoint_dir of model 'middle' must be")
            for path in ("", ".", "..", "../..", "a/b", "/etc", "C:\\x", "C:", "..\\..", "a\0b", "x" * 201)
        ),
        (
            lambda settings: settings["models"].update({"a\x1b": settings["models"]["small"]}),
            "a model name that",
        ),
        (lambda settings: settings["models"].update({"": settings["models"]["small"]}), "a model name that"),
    ],
)
def test_a_wrong_config_is_refused_by_the_name_of_its_fault(
    release: Path, edit: Callable[[dict[str, Any]], object], fault: str
) -> None:
    settings = config()
    edit(settings)
    write_config(release, settings)
    refuse(release, fault)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"{", "is not valid JSON"),
        (b"\xff\xfe{", "is not valid JSON"),
        (b"[" * 200_000, "is not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b" " * (2 << 20), "is larger than 1 MiB"),
    ],
)
def test_a_config_that_is_no_config_is_refused(release: Path, data: bytes, fault: str) -> None:
    (release / "config.json").write_bytes(data)
    refuse(release, fault)


def test_no_config_names_the_way_to_one(tmp_path: Path) -> None:
    refuse(tmp_path, "config.json is missing. .*r2-router import release")
    refuse(tmp_path / "missing", "config.json is missing")


# -- heads that cannot be used ------------------------------------------------------------------------------


def test_no_model_at_all_is_an_error(release: Path) -> None:
    shutil.rmtree(release / "checkpoints")
    refuse(release, "holds none of the 3 models config.json lists")


@pytest.mark.parametrize("name", [SCORE, TOKENS])
def test_half_a_model_is_an_error(release: Path, name: str) -> None:
    (model_folder(release, "large") / name).unlink()
    refuse(release, f"{name} is missing: the release is incomplete")


def unfitted() -> Any:
    from sklearn.linear_model import Ridge

    return Ridge()


def two_targets() -> Any:
    from sklearn.linear_model import Ridge

    return Ridge().fit(np.eye(DIM), np.eye(DIM)[:, :2])


def changed(**state: object) -> Any:
    ridge = fit_ridge(np.random.default_rng(3), DIM)
    ridge.__dict__.update(state)
    return ridge


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        (LIMITED, lambda: fit_ridge(np.random.default_rng(0), DIM), "holds no dict of budgets"),
        (LIMITED, dict, "holds 0 budgets"),
        (LIMITED, lambda: {"ten_score": changed()}, "has the key 'ten_score', which is no budget"),
        (LIMITED, lambda: {"0_score": changed()}, "has the key '0_score'"),
        (LIMITED, lambda: {"-5_score": changed()}, "has the key '-5_score'"),
        (LIMITED, lambda: {"٣_score": changed()}, "has the key '٣_score'"),
        (LIMITED, lambda: {"10_score": 1.0}, "holds something else than a Ridge"),
        (LIMITED, lambda: {f"{i + 1}_score": 1 for i in range(1001)}, "holds 1001 budgets"),
        (SCORE, lambda: {"10_score": changed()}, "holds something else than a Ridge"),
        (SCORE, unfitted, "was not fitted to one target"),
        (SCORE, two_targets, "an array that is no vector"),
        (SCORE, lambda: changed(coef_=[1.0] * DIM), "opcode EMPTY_LIST"),
        (SCORE, lambda: changed(coef_="x"), "was not fitted to one target"),
        (SCORE, lambda: changed(intercept_=None), "was not fitted to one target"),
        (SCORE, lambda: changed(intercept_=np.zeros(1, np.float32)), "was not fitted to one target"),
        (SCORE, lambda: changed(coef_=np.zeros(DIM + 1, np.float32)), "a head over 7 dimensions"),
        (TOKENS, lambda: changed(coef_=np.zeros(0, np.float32)), "a head over 0 dimensions"),
        (TOKENS, lambda: changed(coef_=np.full(DIM, np.nan, np.float32)), "a weight that is not finite"),
        (TOKENS, lambda: changed(coef_=np.full(DIM, 1e300)), "a weight that is not finite"),
        (TOKENS, lambda: changed(intercept_=math.inf), "a weight that is not finite"),
    ],
)
def test_heads_out_of_shape_are_refused(release: Path, name: str, value: Callable[[], object], fault: str) -> None:
    joblib.dump(value(), model_folder(release, "middle") / name)
    refuse(release, fault)


def test_a_budget_out_of_range_is_refused(release: Path) -> None:
    joblib.dump({"9999999_score": changed()}, model_folder(release, "middle") / LIMITED)
    assert ("middle", 9999999) in read_release(release).candidates
    joblib.dump({"99999999_score": changed()}, model_folder(release, "middle") / LIMITED)
    refuse(release, "which is no budget")


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_link_that_leaves_the_directory_is_refused(release: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.move(model_folder(release, "small"), outside)
    model_folder(release, "small").symlink_to(outside)
    refuse(release, "is a link that leaves the released directory")
    model_folder(release, "small").unlink()
    shutil.copytree(outside, model_folder(release, "small"))
    (model_folder(release, "small") / TOKENS).unlink()
    (model_folder(release, "small") / TOKENS).symlink_to(outside / TOKENS)
    refuse(release, f"{TOKENS} is a link that leaves the released directory")


@pytest.mark.skipif(os.name == "nt", reason="needs named pipes")
def test_a_pipe_in_place_of_a_file_is_not_waited_for(release: Path) -> None:
    file = model_folder(release, "small") / LIMITED
    file.unlink()
    os.mkfifo(file)
    refuse(release, "is missing: the release is incomplete")


def test_a_release_of_endless_size_is_refused(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "_MAX_TOTAL_BYTES", 5000)
    refuse(release, "is one too many")


# -- fetching ------------------------------------------------------------------------------------------------


@pytest.fixture
def pinned(written: tuple[Path, Ridges], server: FileServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up release, served on loopback and pinned."""
    release = pin(written[0], server.folder(written[0]))
    monkeypatch.setattr(upstream, "pinned_release", lambda: release)
    monkeypatch.setattr(download, "_BACKOFF_SECONDS", 0.0)
    return written[0]


def test_a_fetched_release_is_the_pinned_one(pinned: Path, server: FileServer, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    folder = fetch_release(tmp_path / "fetched", progress=lambda *step: told.append(step))
    assert read_release(folder).data_card["commit"] == "0" * 40
    assert read_release(folder).weights.tobytes() == read_release(pinned).weights.tobytes()
    assert [done for done, _, _ in told] == list(range(1, 11))
    assert {total for _, total, _ in told} == {10}
    assert len(server.requests) == 10


def test_fetching_goes_on_where_it_stopped(pinned: Path, server: FileServer, tmp_path: Path) -> None:
    last = f"/{sorted(f.relative_to(pinned).as_posix() for f in pinned.rglob('*') if f.is_file())[-2]}"
    data = (pinned / last[1:]).read_bytes()
    server.on(last, whole(data, cut=100), status(404))
    with pytest.raises(DownloadError, match=rf"{Path(last).name} could not be fetched .*HTTP 404"):
        fetch_release(tmp_path)
    before = len(server.requests)
    server.on(last, whole(data))
    fetch_release(tmp_path)
    assert [path for path, _ in server.requests[before:]] == [last, "/config.json"]
    assert server.requests[before][1]["range"] == "bytes=100-"
    assert read_release(tmp_path).models == MODELS


def test_a_mirror_must_serve_the_pinned_bytes(pinned: Path, server: FileServer, tmp_path: Path) -> None:
    server.on("/mirror/config.json", whole(b"{}"))
    for file in pinned.rglob("*.joblib"):
        server.on(f"/mirror/{file.relative_to(pinned).as_posix()}", whole(file.read_bytes()))
    with pytest.raises(DownloadError, match=r"config\.json could not be fetched .*sends another file"):
        fetch_release(tmp_path, base_url=server.url("/mirror/"))
    assert not (tmp_path / "config.json").exists()
    server.on("/mirror/config.json", whole((pinned / "config.json").read_bytes()))
    fetch_release(tmp_path, base_url=server.url("/mirror"))
    assert read_release(tmp_path).models == MODELS


@pytest.mark.slow
def test_a_damaged_file_is_fetched_again(pinned: Path, server: FileServer, tmp_path: Path) -> None:
    fetch_release(tmp_path)
    (model_folder(tmp_path, "small") / SCORE).write_bytes(b"damaged")
    before = len(server.requests)
    fetch_release(tmp_path)
    assert len(server.requests) == before + 1
    assert read_release(tmp_path).models == MODELS


def test_the_pinned_release_is_whole_and_safe() -> None:
    release = pinned_release()
    assert len(release.commit) == 40
    assert all(source.startswith("https://") and release.commit in source for source in release.sources)
    assert len(release.sha256) == 34
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in release.sha256.values())
    assert {Path(name).name for name in release.sha256} == {"config.json", LIMITED, SCORE, TOKENS}
    assert not any(part in ("", "..") or ":" in part for name in release.sha256 for part in name.split("/"))


# -- the real release ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_real_release_is_fetched_file_by_file(release_dir: Path, server: FileServer, tmp_path: Path) -> None:
    base = server.folder(release_dir)
    assert read_release(fetch_release(tmp_path, base_url=base)).data_card["commit"] == pinned_release().commit
    assert {path for path, _ in server.requests} == {f"/{name}" for name in pinned_release().sha256}


def test_the_real_release_has_eleven_models(release_dir: Path) -> None:
    checkpoint = read_release(release_dir)
    assert checkpoint.name == "r2-router-release"
    assert (len(checkpoint.models), len(checkpoint.candidates), checkpoint.weights.shape) == (
        11,
        176,
        (187, 1024),
    )
    assert checkpoint.embedder.id == "Qwen/Qwen3-0.6B"
    assert checkpoint.data_card["left_out"] == []
    assert checkpoint.release is not None
    assert checkpoint.release["prices"]["GLM-4.5-Air"] == [0.13, 0.85]


@pytest.mark.slow
def test_the_real_heads_predict_the_golden_qualities_and_tokens(release_dir: Path) -> None:
    checkpoint = read_release(release_dir)
    embeddings = np.load(release_dir / "golden_embeddings.npy").astype(np.float32)
    rows = [json.loads(line) for line in (release_dir / "golden_routes.jsonl").read_text().splitlines()]
    assert len(rows) == len(embeddings) == 40
    tokens_row = {j: len(checkpoint.candidates) + i for i, j in enumerate(checkpoint.token_heads)}
    compared = 0
    for row in rows:
        raw = checkpoint.weights @ embeddings[row["row"]] + checkpoint.bias
        for model, budget, quality, tokens, _, _ in row["options"]:
            j = checkpoint.candidates.index((model, budget))
            assert float(np.clip(raw[j], 0, 1)) == pytest.approx(quality, abs=5e-5 + 2e-6)
            if budget == "unlimited":
                assert max(0.0, float(raw[tokens_row[j]])) == pytest.approx(tokens, abs=0.05 + 0.01)
            compared += 1
    assert compared == 40 * 176


def test_the_real_heads_equal_scikit_learn(release_dir: Path) -> None:
    from sklearn.exceptions import InconsistentVersionWarning

    checkpoint = read_release(release_dir)
    embeddings = np.load(release_dir / "golden_embeddings.npy").astype(np.float32)
    settings = json.loads((release_dir / "config.json").read_text())
    quality, tokens = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)  # ours is not the version that fitted them
        for model in settings["models"].values():
            folder = release_dir / "checkpoints" / model["checkpoint_dir"]
            quality += [*joblib.load(folder / LIMITED).values(), joblib.load(folder / SCORE)]
            tokens += [joblib.load(folder / TOKENS)]
    ridges = quality + tokens
    assert checkpoint.weights.tobytes() == np.stack([ridge.coef_ for ridge in ridges]).tobytes()
    assert checkpoint.bias.tobytes() == np.array([ridge.intercept_ for ridge in ridges]).tobytes()
    predicted = np.stack([ridge.predict(embeddings) for ridge in ridges])
    ours = checkpoint.weights @ embeddings.T + checkpoint.bias[:, None]
    np.testing.assert_allclose(ours, predicted, rtol=1e-5, atol=1e-6)
