"""Small checkpoints and pools made of known numbers, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from r2_router import R2Router
from r2_router.checkpoints.format import Checkpoint, EmbedderInfo, Instruction, Precision
from r2_router.config.settings import load_settings
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.routing.decision import Decision
from r2_router.routing.worth import trade_off

DIM = 8
HOSTILE = ("[red]bold[/red]", "<script>alert(1)</script>", 'a "quoted" & `ticked` $x$_1')


def make_checkpoint(
    seed: int = 0, models: int = 3, budgets: tuple[int, ...] = (10, 40, 100), **changes: object
) -> Checkpoint:
    """A checkpoint of random heads over DIM dimensions: `models` models at each budget and unlimited."""
    rng = np.random.default_rng(seed)
    candidates = [(f"model-{m}", b) for m in range(models) for b in (*budgets, "unlimited")]
    count = len(candidates)
    ask = np.array([200.0 if b == "unlimited" else float(b) for _, b in candidates])
    fields: dict[str, object] = {
        "name": "made-up",
        "candidates": tuple(candidates),
        "weights": rng.normal(0, 0.3, (2 * count, DIM)).astype(np.float32),
        "bias": np.concatenate([np.full(count, 0.5), np.log(ask * 0.6)]).astype(np.float32),
        "token_heads": tuple(range(count)),
        "token_scale": "log",
        "token_floor": (ask * 0.1).astype(np.float32),
        "token_ceiling": ask.astype(np.float32),
        "embedder": EmbedderInfo("made-up-embedder", DIM),
        "instruction": Instruction("Keep it under {words} words."),
        "quality_error": np.full(count, 0.3, dtype=np.float32),
        "precision": make_precision(rng),
    }
    return Checkpoint(**{**fields, **changes})  # type: ignore[arg-type]


def make_precision(rng: np.random.Generator, n: int = 30, alpha: float = 2.0) -> Precision:
    X = rng.normal(size=(n, DIM))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    center = X.mean(axis=0)
    _, s, Vt = np.linalg.svd(X - center, full_matrices=False)
    factor = np.sqrt(s**2 / (s**2 + alpha))[:, None] * Vt
    return Precision(factor.astype(np.float32), center.astype(np.float32), alpha, n, leverage_limit=1.0)


def make_pool(models: int = 3, **changes: object) -> Pool:
    """Models that cost more the higher their number; `changes` go into the last one."""
    made = {
        f"model-{m}": Model(f"model-{m}", f"vendor/model-{m}", 0.1 * (m + 1), 0.4 * (m + 1) ** 2) for m in range(models)
    }
    if changes:
        last = f"model-{models - 1}"
        made[last] = replace(made[last], **changes)
    return Pool("made-up", made)


def unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class LetterEmbedder:
    """A real, if simple, embedder: how often each of DIM groups of letters occurs."""

    id = "made-up-embedder"
    local = True
    max_chars = 1000

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        counts = np.array([[1 + sum(ord(ch) % DIM == k for ch in text) for k in range(DIM)] for text in texts])
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


def decide(names: tuple[str, ...] = HOSTILE, *, usd_per_million: float = 0.1, **wishes: object) -> Decision:
    """The choice among models of these names, each twice, three times ... as dear as the first."""
    candidates = tuple((name, b) for name in names for b in (10, 40, 100, "unlimited"))
    checkpoint = make_checkpoint(models=len(names), candidates=candidates)
    models = {
        name: Model(name, f"vendor/{i}", usd_per_million * (i + 1), 4 * usd_per_million * (i + 1))
        for i, name in enumerate(names)
    }
    vector = unit(np.random.default_rng(7).normal(size=DIM))
    router = R2Router(
        checkpoint,
        Pool("made-up", models),
        settings=load_settings(),
        embedder=LetterEmbedder(),
        trade_off=trade_off(worth_usd=0.01),
    )
    return router.route(vector, **wishes)
