"""Reads a released R2-Router directory into a Checkpoint, and fetches the release itself.

The release is config.json (models, ids, prices) and checkpoints/<folder>/ with three joblib files a model.
Each holds scikit-learn Ridge regressors; `unpickle` reads them without running them. The weights stay the
float32 bits that were stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from r2_router.checkpoints.format import Checkpoint, EmbedderInfo, Instruction
from r2_router.checkpoints.unpickle import MAX_FILE_BYTES, Ridge, load_ridges
from r2_router.config.folders import shipped
from r2_router.errors import CheckpointError, InputError
from r2_router.net.download import fetch, open_client
from r2_router.pools.model import Model
from r2_router.pools.pool import DEFAULT_API_KEY_ENV, DEFAULT_BASE_URL, Pool
from r2_router.records import UNLIMITED, Budget

CONFIG = "config.json"
HEADS = "checkpoints"
_LIMITED = "limited_score_predictors.joblib"
_SCORE = "unlimited_score_predictor.joblib"
_TOKENS = "unlimited_token_predictor.joblib"

_MAX_CONFIG_BYTES = 1 << 20
_MAX_TOTAL_BYTES = 256 << 20
_MAX_BUDGETS = 1_000  # of one model
_DEFAULT_LAMBDA = 0.99999  # the release's own, where its config names none
_CEILING = 32_768  # tokens: the context window the release's inference scripts give their models

# What the release asks of a model under a budget, in our words.
_INSTRUCTION = Instruction(
    text=(
        "Answer in at most {budget} tokens. Reply with the answer alone, in the format the question asks "
        "for, and leave out any explanation."
    ),
    place="system",
)

_NOT_RECORDED = (
    "the training queries and their number",
    "residuals, so predictions have no standard error and queries no leverage",
    "the embedder's output for known sentences, so a wrong embedder is not noticed on load",
    f"quantiles of output tokens: unlimited answers are bounded by the smallest budget and {_CEILING}",
)

Head = tuple[NDArray[np.float32], np.float32]


@dataclass(frozen=True, slots=True)
class Release:
    """The pinned release: its commit, the URL bases it is fetched from, and file -> SHA-256."""

    repository: str
    commit: str
    license: str
    sources: tuple[str, ...]
    sha256: Mapping[str, str]


def pinned_release() -> Release:
    """The release this version knows, from config/release.toml."""
    import tomllib

    table = tomllib.loads((shipped("config") / "release.toml").read_text(encoding="utf-8"))
    return Release(
        repository=table["repository"],
        commit=table["commit"],
        license=table["license"],
        sources=tuple(table["sources"]),
        sha256=table["sha256"],
    )


def is_release(path: str | os.PathLike[str]) -> bool:
    """Whether `path` looks like a released directory: config.json beside checkpoints/."""
    return (Path(path) / CONFIG).is_file() and (Path(path) / HEADS).is_dir()


def fetch_release(
    folder: Path, *, progress: Callable[[int, int, str], None] | None = None, base_url: str | None = None
) -> Path:
    """Fetch the pinned release into `folder` and return it; files already there and right are kept.

    Each file is checked against its pinned SHA-256, wherever it came from. `base_url` replaces the pinned
    sources. `progress(done, total, file)` counts files.

    Raises DownloadError, naming the file, when one cannot be had; a second call resumes.
    """
    release = pinned_release()
    bases = release.sources if base_url is None else (base_url,)
    with open_client() as client:
        for done, (name, sha256) in enumerate(release.sha256.items(), start=1):
            urls = [f"{base.rstrip('/')}/{name}" for base in bases]
            fetch(urls, folder / name, sha256=sha256, max_bytes=MAX_FILE_BYTES, client=client)
            if progress:
                progress(done, len(release.sha256), name)
    return folder


def read_release(path: str | os.PathLike[str]) -> Checkpoint:
    """The released directory at `path` as a Checkpoint; nothing in it is run.

    Candidates come in the release's own order: its models as config.json lists them, each one's budgets as
    stored, then "unlimited". A model without files is left out, as the release does.

    Raises CheckpointError, naming file and fault, for anything missing, damaged, hostile or out of shape.
    """
    folder = _Folder(Path(path))
    try:
        config = _read_config(folder)
        heads = {model.name: _read_model(folder, model, config.dim) for model in config.models}
        present = {name: found for name, found in heads.items() if found is not None}
        if not present:
            folder.refuse(HEADS, f"holds none of the {len(heads)} models {CONFIG} lists")
        return _checkpoint(folder, config, present)
    except OSError as error:
        raise CheckpointError(f"{folder.path} cannot be read: {error.strerror or error}.") from None


# -- files ---------------------------------------------------------------------------------------------------


class _Folder:
    """A released directory: reads files that lie in it, and keeps their hashes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sha256: dict[str, str] = {}
        self._unread = _MAX_TOTAL_BYTES
        root = Path(os.path.realpath(path))
        self._roots = [root]
        if root.parent.name == "snapshots":  # a Hugging Face cache, whose files are links into blobs/
            self._roots.append(root.parents[1] / "blobs")

    def refuse(self, name: str, fault: str) -> NoReturn:
        raise CheckpointError(f"{self.path / name} {fault}.")

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of the regular file `name`, at most `limit` of them."""
        file = self.path / name
        if not file.is_file():
            self.refuse(name, "is missing: the release is incomplete")
        if not any(file.resolve().is_relative_to(root) for root in self._roots):
            self.refuse(name, "is a link that leaves the released directory")
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            self.refuse(name, f"is larger than {limit >> 20} MiB: not a released file")
        self._unread -= len(data)
        if self._unread < 0:
            self.refuse(name, f"is one too many: more than {_MAX_TOTAL_BYTES >> 20} MiB are no release")
        self.sha256[name] = hashlib.sha256(data).hexdigest()
        return data


@dataclass(frozen=True, slots=True)
class _Model:
    """One entry of the release's config: prices are USD per million tokens, input and output."""

    name: str
    folder: str
    id: str
    prices: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Config:
    router: str
    embedder: str
    dim: int
    default_lambda: float
    models: tuple[_Model, ...]


def _read_config(folder: _Folder) -> _Config:
    if not folder.has(CONFIG):
        raise CheckpointError(
            f"No released R2-Router at {folder.path}: {CONFIG} is missing. Give the directory that holds it "
            f"and {HEADS}/ (r2_router/ in the repository), or fetch one: "
            f"`r2-router import release --output DIR`."
        )
    data = folder.read(CONFIG, _MAX_CONFIG_BYTES)
    try:
        config: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        folder.refuse(CONFIG, f"is not valid JSON: {error}")
    fields = _Fields(folder, config, "")
    models = _Fields(folder, fields.values.get("models"), " of models")
    if not models.values:
        folder.refuse(CONFIG, "lists no models")
    return _Config(
        router=fields.text("router_name", "R2-Router"),
        embedder=fields.text("embedding_model"),
        dim=fields.integer("embedding_dim"),
        default_lambda=fields.number("default_lambda", _DEFAULT_LAMBDA, largest=1.0),
        models=tuple(_model(folder, name, entry) for name, entry in models.values.items()),
    )


def _model(folder: _Folder, name: str, entry: object) -> _Model:
    fields = _Fields(folder, entry, f" of model {name[:80]!r}")
    prices = fields.number("input_price_per_million"), fields.number("output_price_per_million")
    return _Model(name, fields.folder("checkpoint_dir"), fields.text("openrouter_id"), prices)


class _Fields:
    """The checked fields of one object in config.json; a wrong one is refused by its name."""

    def __init__(self, folder: _Folder, value: object, owner: str) -> None:
        self._folder, self._owner = folder, owner
        if not isinstance(value, dict):
            folder.refuse(CONFIG, f"is wrong: the value{owner} must be a JSON object")
        self.values = cast("dict[str, object]", value)

    def _refuse(self, key: str, need: str) -> NoReturn:
        self._folder.refuse(CONFIG, f"is wrong: {key}{self._owner} must be {need}")

    def text(self, key: str, default: str | None = None) -> str:
        value = self.values.get(key, default)
        if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
            self._refuse(key, "a short text")
        return value

    def integer(self, key: str) -> int:
        value = self.values.get(key)
        if type(value) is not int or value <= 0:
            self._refuse(key, "a positive integer")
        return value

    def number(self, key: str, default: float | None = None, largest: float = 1e9) -> float:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= largest:
            self._refuse(key, f"a number from 0 to {largest:g}")
        return float(value)

    def folder(self, key: str) -> str:
        """The name of a folder directly inside checkpoints/: no path, no drive, nothing that climbs."""
        name = self.text(key)
        if name in (".", "..") or any(sign in name for sign in "/\\:"):
            self._refuse(key, f"the plain name of a folder inside {HEADS}/, not a path")
        return name


# -- heads ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Heads:
    """The heads of one model, quality by budget ("unlimited" last), and its tokens when unlimited."""

    quality: Mapping[Budget, Head]
    tokens: Head


def _read_model(folder: _Folder, model: _Model, dim: int) -> _Heads | None:
    """The heads of `model`, None if its limited heads are absent, which is how the release skips a model."""
    limited, score, tokens = (f"{HEADS}/{model.folder}/{name}" for name in (_LIMITED, _SCORE, _TOKENS))
    if not folder.has(limited):
        return None
    quality = _limited_heads(folder, limited, dim)
    quality[UNLIMITED] = _single_head(folder, score, dim)
    return _Heads(quality, _single_head(folder, tokens, dim))


def _limited_heads(folder: _Folder, name: str, dim: int) -> dict[Budget, Head]:
    """Budget -> head from the release's dict of "<budget>_score" -> Ridge, in its order."""
    ridges = _load(folder, name)
    if not isinstance(ridges, dict):
        folder.refuse(name, "holds no dict of budgets")
    ridges = cast("dict[str, object]", ridges)
    if not 0 < len(ridges) <= _MAX_BUDGETS:
        folder.refuse(name, f"holds {len(ridges)} budgets")
    heads: dict[Budget, Head] = {}
    for key, ridge in ridges.items():
        match = re.fullmatch(r"([1-9][0-9]{0,6})_score", key)
        if match is None:
            folder.refuse(name, f"has the key {key[:80]!r}, which is no budget")
        heads[int(match[1])] = _head(folder, name, ridge, dim)
    return heads


def _single_head(folder: _Folder, name: str, dim: int) -> Head:
    return _head(folder, name, _load(folder, name), dim)


def _load(folder: _Folder, name: str) -> object:
    return load_ridges(folder.read(name, MAX_FILE_BYTES), str(folder.path / name))


def _head(folder: _Folder, name: str, ridge: object, dim: int) -> Head:
    """coef_ (d,) and intercept_ of a fitted Ridge, as float32."""
    if not isinstance(ridge, Ridge):
        folder.refuse(name, "holds something else than a Ridge")
    weights, bias = ridge.state.get("coef_"), ridge.state.get("intercept_")
    if not isinstance(weights, np.ndarray) or not isinstance(bias, (np.floating, float)):
        folder.refuse(name, "holds a Ridge that was not fitted to one target")
    weights, bias = cast("NDArray[Any]", weights), float(cast("float", bias))
    if weights.shape != (dim,):
        folder.refuse(name, f"has a head over {weights.size} dimensions where {CONFIG} says {dim}")
    with np.errstate(over="ignore"):
        head = weights.astype(np.float32), np.float32(bias)
    if not all(np.isfinite(part).all() for part in head):
        folder.refuse(name, "has a weight that is not finite")
    return head


# -- the checkpoint ------------------------------------------------------------------------------------------


def _checkpoint(folder: _Folder, config: _Config, heads: Mapping[str, _Heads]) -> Checkpoint:
    candidates: tuple[tuple[str, Budget], ...] = tuple(
        (name, budget) for name, model in heads.items() for budget in model.quality
    )
    smallest = min(budget for _, budget in candidates if budget != UNLIMITED)
    rows = [head for model in heads.values() for head in model.quality.values()]
    rows += [model.tokens for model in heads.values()]
    # A limited answer is expected to use its budget. The release counts an unlimited one as free where its
    # head falls below zero; here it costs at least the smallest budget.
    floor = [smallest if budget == UNLIMITED else budget for _, budget in candidates]
    ceiling = [max(_CEILING, smallest) if budget == UNLIMITED else budget for _, budget in candidates]
    try:
        return Checkpoint(
            name=_slug(config.router) + "-release",
            candidates=candidates,
            weights=np.stack([weights for weights, _ in rows]),
            bias=np.array([bias for _, bias in rows], dtype=np.float32),
            token_heads=tuple(j for j, (_, budget) in enumerate(candidates) if budget == UNLIMITED),
            token_scale="linear",
            token_floor=np.array(floor, dtype=np.float32),
            token_ceiling=np.array(ceiling, dtype=np.float32),
            embedder=EmbedderInfo(config.embedder, config.dim, "last-token pooling, unit length"),
            instruction=_INSTRUCTION,
            pool="paper",
            release=_compat(config, heads),
            data_card=_data_card(folder, config, heads),
        )
    except CheckpointError as error:
        raise CheckpointError(f"{folder.path}: {error}") from None


def _compat(config: _Config, heads: Mapping[str, _Heads]) -> dict[str, Any]:
    """What compat mode needs beside the heads to decide exactly as the release does."""
    models = [model for model in config.models if model.name in heads]
    return {
        "order": [model.name for model in models],
        "prices": {model.name: list(model.prices) for model in models},
        "ids": {model.name: model.id for model in models},
        "default_lambda": config.default_lambda,
    }


def _data_card(folder: _Folder, config: _Config, heads: Mapping[str, _Heads]) -> dict[str, Any]:
    release = pinned_release()
    if folder.sha256 == release.sha256:
        source = {"source": release.repository, "commit": release.commit, "license": release.license}
    else:
        source = {"source": "a directory in the release's layout, not the pinned release itself"}
    return {
        **source,
        "method": "ridge regression, one head a model and budget, fitted with scikit-learn",
        "left_out": [model.name for model in config.models if model.name not in heads],
        "not_recorded": list(_NOT_RECORDED),
    }


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "r2-router"


def release_pool(checkpoint: Checkpoint) -> Pool:
    """The models and prices that a released checkpoint states itself. Raises InputError for one of ours."""
    release = checkpoint.release
    if release is None:
        raise InputError(f"compat=True reproduces the seed release; checkpoint '{checkpoint.name}' is not one.")
    prices = cast("dict[str, list[float]]", release["prices"])
    ids = cast("dict[str, str]", release["ids"])
    return Pool(
        "release",
        {
            name: Model(name, ids[name], price[0], price[1], base_url=DEFAULT_BASE_URL, api_key_env=DEFAULT_API_KEY_ENV)
            for name, price in prices.items()
        },
    )
