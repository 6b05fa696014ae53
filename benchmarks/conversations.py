"""What reading a conversation brings: `R2_DATA_DIR=FOLDER python benchmarks/conversations.py`.

Continuations: conversations made of left-out queries of the sweep (benchmarks/sweep_table.py) and of phrases such as
"go on", which are taken to be as hard as what they lean on; heads learned on the other four fifths. What counts is the
measured net value, for the query the last message is about, of the (model, budget) that each way of reading chooses,
in points of what a perfect answer is worth, against reading the last message alone.
Pairs: hand-made chats over the shipped checkpoint: is the harder of two expected to gain more from the strongest model?
Singles: what an earlier message would wrongly count for, were each query of a table the last message of a chat.
Time: a decision in chats of up to 200 turns, also where prompt caches are to be thought of. Results go into
benchmarks/results/conversations.json; a minute or two.
"""

import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from common import duration, publish, spread, table, timed
from pyarrow import parquet
from sweep_table import sweep_table

from r2_router import R2Router
from r2_router.checkpoints.format import EmbedderInfo
from r2_router.embedders import Embedder
from r2_router.embedders.use import UseEmbedder
from r2_router.lab.data.folds import random_folds
from r2_router.lab.data.vectors import embed_cached
from r2_router.lab.evaluation.cross_validation import cost_usd
from r2_router.lab.learning.training import train
from r2_router.pools.pool import Pool, load_pool
from r2_router.records import UNLIMITED, Budget
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
LAST, MEANT = "the last message alone", "the message meant, alone"  # the second is all that reading can reach
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
        reading = self.reader.read(turns[::-1], self.embed(turns[-1:])[0])
        return self.predictor.easiest_outputs() if reading.closing else self.predictor.outputs(reading.vector)

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
            LAST: self.last,
            "all messages as one text": self.joined,
            "average, each half of the next": self.average,
            "brevity alone": self.mixed(lambda text, _: math.exp(-estimate_tokens(text) / 25)),
            "leverage alone": self.mixed(lambda _, leverage: leaning(4, leverage)),
            "prefixed until 12 tokens": self.prefixed,
            "brevity and leverage": self.read,
        }


# -- hand-made pairs -------------------------------------------------------------------------------------------

LRU = "Write a Go function implementing an LRU cache with O(1) get and put, thread-safe, with generics and tests."
PROOF = "Prove that the square root of 2 plus the square root of 3 is irrational, and say where each step is needed."
SQL = "Write a SQL query that finds, for each customer, the longest run of consecutive days with at least one order."
PUZZLE = "Five people sit in a row. Anna is left of Ben, Carl is between Dora and Emil, Ben is last. Who can be first?"
PARSER = "Implement a parser for arithmetic expressions with precedence and parentheses in Python, without eval."
ODDS = "Two fair dice are thrown until the sum is 7 or 8. What is the probability that it ends with an 8?"
CAPITAL, SPIDER = "What is the capital of France?", "How many legs does a spider have?"
HARDER = (
    (LRU, "commit it"), (PROOF, "go on"), (ODDS, "are you sure?"), (SQL, "auf Deutsch bitte"), (CAPITAL, LRU),
    (PARSER, "add tests"), (SPIDER, ODDS), (PARSER, "thanks", "now fix it"), (PUZZLE, "explain it, please"),
    (PROOF, "weiter"), (CAPITAL, "thanks", SQL),
)  # fmt: skip
EASIER = (
    (LRU, CAPITAL), (CAPITAL, "again"), (PROOF, "thanks"), (SQL, "danke!"), (SPIDER, "and in French, please"),
    (ODDS, SPIDER), (SPIDER, "go on"), (CAPITAL, "one more time, please"), (PARSER, LRU, CAPITAL),
)  # fmt: skip


def pairs() -> dict:
    """The share of pairs whose harder chat is expected to gain more from the strongest model than the other."""
    router = R2Router.from_pretrained(pool=load_pool("local", user_file=False))
    predictor, checkpoint = Predictor(router.checkpoint), router.checkpoint
    unlimited = {m: checkpoint.candidates.index((m, UNLIMITED)) for m in checkpoint.models}
    strong, cheap = (
        unlimited[checkpoint.strongest],
        unlimited[min(router.models, key=lambda m: m.output_usd_per_million or 0.0).name],
    )

    def gain(outputs: Outputs, turns: Sequence[str]) -> float:
        quality = predictor.quality(outputs([*turns]))
        return float(quality[strong] - quality[cheap])

    found = {}
    for way, outputs in Ways(predictor, {}).all().items():
        low = [gain(outputs, turns) for turns in EASIER]
        right = [gain(outputs, turns) > value for turns in HARDER for value in low]
        found[way] = float(np.mean(right))
    return found


# -- single prompts --------------------------------------------------------------------------------------------


def singles(data: Path) -> dict:
    """Of real prompts, those that would lean on an earlier message were there one, and by how much in the mean."""
    router = R2Router.from_pretrained(pool=load_pool("local", user_file=False))
    predictor, random = Predictor(router.checkpoint), np.random.default_rng(0)
    found = {}
    for name, column in (("everyday_queries", "source"), ("diverse_queries", "category")):
        rows = parquet.read_table(data / f"{name}.parquet", columns=["query", column]).to_pydict()
        groups: dict[str, list[str]] = {}
        for group, query in zip(rows[column], rows["query"], strict=True):
            groups.setdefault(group, []).append(query)
        for group, queries in groups.items():
            texts = random.permutation(queries)[:150].tolist()
            leans = [lean_of(predictor, *pair) for pair in zip(texts, router.embed(texts), strict=True)]
            found[f"{name.split('_')[0]}: {group}"] = {
                "queries": len(texts),
                "read_with": float(np.mean([lean >= 0.05 for lean in leans])),
                "weight": float(np.mean([lean if lean >= 0.05 else 0.0 for lean in leans])),
            }
    return found


def lean_of(predictor: Predictor, text: str, vector: np.ndarray) -> float:
    leverage, limit = predictor.leverages(vector)
    return leaning(estimate_tokens(text), leverage / limit)


# -- time --------------------------------------------------------------------------------------------------------


def times() -> dict:
    """Seconds of a decision: of a text, of chats, and of the next turn of the longest."""
    pool = load_pool("local", user_file=False)
    wide = Pool("wide", {m.name: replace(m, context_window=10**6) for m in pool})
    router = R2Router.from_pretrained(pool=wide)
    turns = [f"Question {i}: why does test {i} fail after the last change, and what is to be done?" for i in range(200)]
    answer = {"role": "assistant", "content": "It fails because the fixture is shared. Make it new each time. " * 10}

    def chat(count: int, *ends: str) -> list:
        said = [*turns[: count - len(ends)], *ends]
        return [m for turn in said for m in ({"role": "user", "content": turn}, answer)][:-1]

    brief = [f"{word} {i}" for i in range(10) for word in ("go on", "again", "fix it")]
    chats = {
        "a text": chat(1),
        "2 turns, the last one brief": chat(2, "go on"),
        "50 turns, the last one brief": chat(50, "go on"),
        "200 turns, the last one long": chat(200),
        "200 turns, the last one brief": chat(200, "go on"),
        "200 turns, the last 30 brief": chat(200, *brief),
    }
    router.route_messages(chats["a text"])
    found = {}
    for name, messages in chats.items():
        fresh = R2Router.from_pretrained(pool=wide, embedder=router.embedder)
        start = time.perf_counter()
        fresh.route_messages(messages)
        cold = time.perf_counter() - start
        found[name] = {"cold_s": cold, **spread(timed(partial(fresh.route_messages, messages), rounds=50))}
    return {**found, **warm_times(router.embedder, chats["200 turns, the last one brief"])}


def warm_times(embedder: Embedder, chat: list) -> dict:
    """The same where a provider's rule is known, its model has answered all turns but the last, and a ledger is asked
    what other processes know: of this chat, and among those of a thousand others."""
    served = {"base_url": "https://api.openai.com/v1", "context_window": 10**6}
    pool = Pool("warm", {m.name: replace(m, id="gpt-5.6-luna", **served) for m in load_pool("local", user_file=False)})
    found = {}
    for name, others in (("200 turns, warm", 0), ("200 turns, warm, a busy ledger", 1000)):
        with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, R2_HOME=home):
            router = R2Router.from_pretrained(pool=pool, embedder=embedder)
            model, instruction = router.models[0], router.checkpoint.instruction
            memory = router._memory
            for i in range(others):
                memory.answered([{"role": "user", "content": f"{i} {LRU * 100}"}], instruction, Read(model.name), model)
            memory.answered(chat[:-2], instruction, Read(model.name), model)
            router.ledger.flush()
            fresh = R2Router.from_pretrained(pool=pool, embedder=embedder)
            start = time.perf_counter()
            decision = fresh.route_messages(chat)
            cold = time.perf_counter() - start
            if decision.prompt_cache is None:
                raise RuntimeError(f"{name}: nothing is known to be cached")
            found[name] = {"cold_s": cold, **spread(timed(partial(fresh.route_messages, chat), rounds=50))}
            router.ledger.close()
            fresh.ledger.close()
    return found


class Read(NamedTuple):
    """An answer, as far as the memory of prompts asks it."""

    model: str
    budget: Budget = UNLIMITED
    prompt_tokens: int = 20_000
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    usage_estimated: bool = False
    ended_at: float = 0.0


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


def continuations(data: Path) -> dict:
    pool, embedder = load_pool("local", user_file=False), UseEmbedder()
    whole = sweep_table(data)
    whole = whole.take(np.flatnonzero(whole.complete))
    vectors = embed_cached(embedder, whole.queries)
    known = dict(zip([*whole.queries, *PHRASES], [*vectors, *embedder.embed(PHRASES)], strict=True))
    told = whole.instruction
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
            meant = predictor.outputs(vectors[out].astype(np.float32))
            for way, outputs in {**Ways(predictor, known).all(), MEANT: lambda _: None}.items():
                for kind, made in chats.items():
                    expected = meant if way == MEANT else np.stack([outputs(turns) for turns in made])
                    quality = predictor.quality(expected)
                    cost = cost_usd(held, pool, predictor.tokens(expected))
                    got = [
                        np.take_along_axis(net, (w * quality - cost).argmax(axis=1)[:, None], 1)[:, 0]
                        for w, net in zip(WORTHS, truth, strict=True)
                    ]
                    gains.setdefault(way, {}).setdefault(kind, []).extend((100 * np.mean(got, axis=0)).tolist())
    return {way: {kind: over(values, gains[LAST][kind]) for kind, values in of.items()} for way, of in gains.items()}


def over(values: list[float], last: list[float]) -> list[float]:
    """Mean difference and half its 95 % interval; the seeds are of the same queries, so they count as one."""
    difference = np.array(values) - np.array(last)
    return [float(difference.mean()), float(1.96 * difference.std() / math.sqrt(len(difference) / SEEDS))]


def main() -> None:
    data = os.environ.get("R2_DATA_DIR", "")
    if not data:
        sys.exit(__doc__)
    found = {"time": times(), "pairs": pairs(), "singles": singles(Path(data)), "points": continuations(Path(data))}
    kinds = list(found["points"][LAST])
    table([
        ["points of worth over the last message alone", *kinds, "pairs right"],
        *(
            [way, *(f"{mean:+.1f} ±{half:.1f}" for mean, half in (of[kind] for kind in kinds)),
             f"{found['pairs'][way]:.1%}" if way in found["pairs"] else ""]
            for way, of in found["points"].items()
        ),
    ])  # fmt: skip
    print()
    table([["prompts", "read with", "weight"],
           *([k, f"{v['read_with']:.1%}", f"{v['weight']:.3f}"] for k, v in found["singles"].items())])  # fmt: skip
    print()
    table([["a decision", "first", "then"],
           *([k, duration(v["cold_s"]), duration(v["median_s"])] for k, v in found["time"].items())])  # fmt: skip
    publish("conversations", "R2_DATA_DIR=FOLDER python benchmarks/conversations.py", found)


if __name__ == "__main__":
    main()
