"""What reading a conversation brings: `R2_DATA_DIR=FOLDER python benchmarks/conversations.py`.

Continuations: conversations made of left-out queries of the sweep (benchmarks/sweep_table.py) and of phrases such as
"go on", which are taken to be as hard as what they lean on; heads learned on the other four fifths. What counts is the
measured net value, for the query the last message is about, of the (model, budget) that each way of reading chooses,
in points of what a perfect answer is worth, against reading the last message alone.
Pairs: hand-made chats over the shipped checkpoint: is the harder of two expected to gain more from the strongest model?
Singles: what an earlier message would wrongly count for, were each query of a table the last message of a chat.
Time: a decision in chats of up to 200 turns. Results go into benchmarks/results/conversations.json; a minute or two.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from common import publish, spread, table, timed
from pyarrow import parquet
from sweep_table import sweep_table

from r2_router import R2Router
from r2_router.checkpoints.format import EmbedderInfo, Instruction
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.data.folds import random_folds
from r2_router.lab.data.vectors import embed_cached
from r2_router.lab.evaluation.cross_validation import cost_usd
from r2_router.lab.learning.training import train
from r2_router.pools.pool import load_pool
from r2_router.routing import conversation
from r2_router.routing.conversation import Reader, leaning, shares
from r2_router.routing.predict import Predictor
from r2_router.routing.tokens import estimate_tokens

PHRASES = (  # not those that the constants of conversation.py were chosen with
    "merge it", "proceed", "next", "keep going", "sounds good, do it", "please finish it", "run it again",
    "what about edge cases?", "simplify", "use fewer words", "rewrite it as a table", "convert it to TypeScript",
    "and the second one?", "is that right?", "more examples", "undo that", "noch einmal", "gut, mach das",
    "auf Englisch bitte", "genauer bitte", "warum nicht?", "vas-y", "explique mieux", "traduis en anglais",
    "adelante", "hazlo más simple", "y ahora en inglés", "好的，继续", "用英文写", "详细一点",
)  # fmt: skip
WORTHS = (1e-4, 3e-4, 1e-3)
SEEDS = 3
Outputs = Callable[[list[str]], np.ndarray]


# -- ways to read: the outputs (H,) of a conversation, its user messages the oldest first -----------------------


class Ways:
    """Every way of reading, over one fold's heads; `vectors` of all texts are known beforehand."""

    def __init__(self, predictor: Predictor, vectors: dict[str, np.ndarray]) -> None:
        self.predictor, self.vectors = predictor, vectors
        self.limit = predictor.checkpoint.precision.leverage_limit
        self.reader = Reader(predictor, self.embed)
        self.leverage: dict[str, float] = {}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        missing = [text for text in texts if text not in self.vectors]
        if missing:
            self.vectors.update(zip(missing, UseEmbedder().embed(missing), strict=True))
        return np.stack([self.vectors[text] for text in texts])

    def _outputs(self, text: str) -> np.ndarray:
        return self.predictor.outputs(self.embed([text])[0])

    def last(self, turns: list[str]) -> np.ndarray:
        return self._outputs(turns[-1])

    def joined(self, turns: list[str]) -> np.ndarray:
        return self._outputs("\n".join(turns))

    def read(self, turns: list[str]) -> np.ndarray:
        return self.predictor.outputs(self.reader.read([turns[::-1]])[0].vector)

    def prefixed(self, turns: list[str]) -> np.ndarray:
        return self._outputs(conversation._prefixed(turns[::-1]))

    def average(self, turns: list[str], decay: float = 0.5) -> np.ndarray:
        weights = decay ** np.arange(len(turns))
        return weights / weights.sum() @ self.predictor.outputs(self.embed(turns[::-1]))

    def mixed(self, lean: Callable[[str, float], float]) -> Outputs:
        def outputs(turns: list[str]) -> np.ndarray:
            leans = [lean(text, self._leverage(text)) for text in turns[::-1]]
            return shares(leans) @ self.predictor.outputs(self.embed(turns[::-1]))

        return outputs

    def _leverage(self, text: str) -> float:
        if text not in self.leverage:
            self.leverage[text] = (self.predictor.leverage(self.vectors[text]) or 0.0) / self.limit
        return self.leverage[text]

    def all(self) -> dict[str, Outputs]:
        return {
            "the last message alone": self.last,
            "all messages as one text": self.joined,
            "average, each half of the next": self.average,
            "brevity alone": self.mixed(lambda text, _: math.exp(-estimate_tokens(text) / 25)),
            "leverage alone": self.mixed(lambda _, leverage: leaning(4, leverage)),
            "prefixed until 12 tokens": self.prefixed,
            "brevity and leverage": self.read,
        }


# -- continuations and changes of topic ------------------------------------------------------------------------


def conversations(queries: list[str], random: np.random.Generator) -> dict[str, list[list[str]]]:
    """One conversation of each kind about each query."""
    others = [queries[k] for k in random.permutation(len(queries))]
    said = random.choice(PHRASES, (len(queries), 3)).tolist()
    each = list(zip(queries, others, said, strict=True))
    return {
        "continued": [[q, a] for q, _, (a, _, _) in each],
        "continued twice": [[q, a, b] for q, _, (a, b, _) in each],
        "changed, then continued": [[o, q, a] for q, o, (a, _, _) in each],
        "changed": [[o, q] for q, o, _ in each],
        "continued, then changed": [[o, a, q] for q, o, (a, _, _) in each],
    }


def continuations(data: Path, more: Callable[[Ways], dict[str, Outputs]] = Ways.all) -> dict:
    pool, embedder = load_pool("local", user_file=False), UseEmbedder()
    whole = sweep_table(data)
    whole = whole.take(np.flatnonzero(whole.complete))
    vectors = embed_cached(embedder, whole.queries)
    known = dict(zip([*whole.queries, *PHRASES], [*vectors, *embedder.embed(PHRASES)], strict=True))
    told = Instruction(**{"text": "", **(whole.about.get("instruction") or {})})
    true_cost = cost_usd(whole, pool, whole.output_tokens)
    gains: dict[str, dict[str, list[float]]] = {}
    for seed in range(SEEDS):
        for number, (kept, out) in enumerate(random_folds(whole, 5, seed)):
            learned = train(
                whole.take(kept), vectors[kept], embedder=EmbedderInfo(embedder.id, 512), instruction=told, name="fold"
            )
            predictor = Predictor(learned)
            queries = [whole.queries[i] for i in out]
            held = whole.take(out)
            truth = np.stack([w * held.quality - true_cost[out] for w in WORTHS]) / np.array(WORTHS)[:, None, None]
            chats = conversations(queries, np.random.default_rng((seed, number)))
            for way, outputs in more(Ways(predictor, known)).items():
                for kind, made in chats.items():
                    expected = np.stack([outputs(turns) for turns in made])
                    quality = predictor.quality(expected)
                    cost = cost_usd(held, pool, predictor.tokens_of(expected))
                    got = [
                        np.take_along_axis(net, (w * quality - cost).argmax(axis=1)[:, None], 1)[:, 0]
                        for w, net in zip(WORTHS, truth, strict=True)
                    ]
                    gains.setdefault(kind, {}).setdefault(way, []).extend((100 * np.mean(got, axis=0)).tolist())
    return gains
