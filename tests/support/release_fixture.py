"""Writes a small directory in the release's layout: real scikit-learn Ridge regressors, dumped by joblib."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from r2_router.checkpoints.release import Release

DIM = 6
BUDGETS = (10, 50, 200)
MODELS = ("small", "middle", "large")
LIMITED, SCORE, TOKENS = (
    "limited_score_predictors.joblib",
    "unlimited_score_predictor.joblib",
    "unlimited_token_predictor.joblib",
)


def fit_ridge(rng: np.random.Generator, dim: int, scale: float = 1.0, dtype: type = np.float32) -> Any:
    """A Ridge fitted to random float32 data, as the release's are."""
    from sklearn.linear_model import Ridge

    X = rng.normal(size=(40, dim)).astype(dtype)
    return Ridge(alpha=10.0).fit(X, (scale * rng.uniform(size=40)).astype(dtype))


def model_folder(folder: Path, model: str) -> Path:
    return folder / "checkpoints" / f"{model}_ridge"


def write_release(
    folder: Path,
    *,
    models: Sequence[str] = MODELS,
    budgets: Sequence[int] = BUDGETS,
    dim: int = DIM,
    seed: int = 0,
    dtype: type = np.float32,
    protocol: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Write config.json and checkpoints/ into `folder`; the Ridge regressors by model and file name."""
    import joblib

    rng = np.random.default_rng(seed)
    written: dict[str, dict[str, Any]] = {}
    for model in models:
        place = model_folder(folder, model)
        place.mkdir(parents=True)
        written[model] = {
            LIMITED: {f"{budget}_score": fit_ridge(rng, dim, dtype=dtype) for budget in budgets},
            SCORE: fit_ridge(rng, dim, dtype=dtype),
            TOKENS: fit_ridge(rng, dim, 500.0, dtype=dtype),
        }
        for name, value in written[model].items():
            joblib.dump(value, place / name, protocol=protocol)
    write_config(folder, config(models, dim))
    return written


def config(models: Sequence[str] = MODELS, dim: int = DIM) -> dict[str, Any]:
    """A config.json as the release writes it."""
    return {
        "router_name": "Made Up",
        "embedding_model": "made-up/embedder",
        "embedding_dim": dim,
        "default_lambda": 0.999,
        "models": {
            model: {
                "openrouter_id": f"vendor/{model}",
                "input_price_per_million": 0.1 * (i + 1),
                "output_price_per_million": 0.4 * (i + 1),
                "checkpoint_dir": model_folder(Path(), model).name,
                "available": True,
            }
            for i, model in enumerate(models)
        },
    }


def write_config(folder: Path, value: object) -> None:
    (folder / "config.json").write_text(json.dumps(value))


def pin(folder: Path, *sources: str) -> Release:
    """A pinned release that is `folder`, as config/release.toml would describe it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    digests = {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    return Release("https://code.example/made-up", "0" * 40, "MIT", sources, digests)
