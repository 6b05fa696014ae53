"""Who learns best from its own answers, one a query? `R2_DATA_DIR=FOLDER python benchmarks/replay.py [TABLE ...]`.

Each table is a stream of QUERIES in random order, SHUFFLES times. Every candidate's answer is known here, a router
sees that of the candidate it chose, and no other. A perfect answer is worth TIMES the mean answer of the dearest
candidate; the value of an answer is its quality less its cost in perfect answers, and regret what is lost of the best
candidate's for each query (`oracle`), and of the candidate that is best for all of them, known afterwards. Three
protocols: `as it is`; `a model joins` midway, the one that would have been the best constant; `a model gets worse`
midway, the same one, whose answers are then wrong half of the time. In the last two the best constant is that of each
half.

All are greedy but those that explore by their nature, and learn once a day of DAY queries but those that learn from
each answer. Ours is what `r2-router learn` calls; "a week" is its `--half-life 7`. The rivals: paretobandit
(Apache-2.0, from PyPI; `pip install paretobandit`), with its own settings for a cold and a warm start, 25 principal
components as it has them, learned from MixEval's queries, and the value as its reward; ridge heads and nearest
neighbours as in `r2_router.lab.evaluation.baselines`, from the values seen; UCB1 over candidates. Without a prior each
candidate is first asked FEW times. With it ridge and neighbours learn what is left of the value beside what the prior
expects, UCB takes it for PRIOR_ANSWERS answers, paretobandit for the values of 100 queries that are no part of the
stream.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from common import publish_part
from common import table as shown
from learning import TABLES, answered
from numpy.typing import NDArray
from prior import cost_usd
from prior_data import diverse
from sklearn.decomposition import PCA

from r2_router.arrays import Floats
from r2_router.checkpoints.format import Checkpoint
from r2_router.lab.data.table import Table
from r2_router.lab.evaluation.baselines import Neighbours, paper_heads
from r2_router.lab.learning.from_base import learn_from
from r2_router.pools.pool import Pool
from r2_router.routing.predict import Predictor

QUERIES, SHUFFLES, TIMES = 600, 5, 20
DAY, FEW, PRIOR_ANSWERS, OTHERS = 60, 3, 10, 100
HALF_LIFE = 90.0  # days, as `r2-router learn` has it
T_95 = 2.776  # Student's t for SHUFFLES - 1 = 4 degrees of freedom
PROTOCOLS = ("as it is", "a model joins", "a model gets worse")

Chosen: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Stream:
    """n queries in their order: their vectors (n, d), the `value` (n, K) of each candidate's answer in perfect ones and
    what the prior expected of it, and who is `there` (n, K). `others`: vectors and expected values of other queries."""

    table: Table
    vectors: Floats
    base: Checkpoint
    pool: Pool
    worth: float
    value: Floats
    expected: Floats
    there: NDArray[np.bool_]
    others: tuple[Floats, Floats]
    components: Any
    seed: int

    def expect(self, checkpoint: Checkpoint, rows: NDArray[np.intp]) -> Floats:
        return values(checkpoint, self.table.take(rows), self.vectors[rows], self.pool, self.worth)


def values(checkpoint: Checkpoint, table: Table, vectors: Floats, pool: Pool, worth: float) -> Floats:
    """(n, K): what a checkpoint expects of the answers, in perfect ones."""
    quality, tokens = Predictor(checkpoint).foretell(vectors)
    return quality - cost_usd(table, pool, tokens) / worth


def streams(name: str, data: Path, seed: int) -> dict[str, tuple[Stream, list[slice]]]:
    """The stream of each protocol, and the parts within which nothing changes."""
    table, vectors, base, pool = LOADED.setdefault(name, TABLES[name](data))
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(table))
    rows, others = rows[:QUERIES], rows[QUERIES : QUERIES + OTHERS]
    worth = TIMES * float(cost_usd(table, pool, table.output_tokens).mean(axis=0).max())
    few = table.take(rows)
    cost = cost_usd(few, pool, few.output_tokens) / worth
    value = few.quality - cost
    there = np.ones(value.shape, np.bool_)
    plain = Stream(
        few, vectors[rows], base, pool, worth, value, values(base, few, vectors[rows], pool, worth), there,
        (vectors[others], values(base, table.take(others), vectors[others], pool, worth)), components(data), seed,
    )  # fmt: skip
    best = table.candidates[int(np.argmax(value.mean(axis=0)))][0]
    own, half = np.array([model == best for model, _ in table.candidates]), QUERIES // 2
    late = np.arange(QUERIES) >= half
    wrong = (rng.random(value.shape) < 0.5) & own & late[:, None]
    worse = np.where(wrong, 0.0, few.quality)
    halves = [slice(0, half), slice(half, QUERIES)]
    return {
        "as it is": (plain, [slice(0, QUERIES)]),
        "a model joins": (replace(plain, there=~own | late[:, None]), halves),
        "a model gets worse": (replace(plain, table=replace(few, quality=worse), value=worse - cost), halves),
    }


LOADED: dict[str, tuple[Table, Floats, Checkpoint, Pool]] = {}


@cache
def components(data: Path) -> Any:
    """25 whitened principal components of queries of another table."""
    return PCA(25, whiten=True, random_state=0).fit(diverse(data).vectors)


# -- learners: a stream -> the candidate chosen for each query (n,), of which value[k, chosen[k]] was seen ------------

Expect: TypeAlias = Callable[[Stream, int, Chosen], Floats]


def daily(expect: Expect, few: int) -> Callable[[Stream], Chosen]:
    """The best expected, learned anew each day; who has answered less than `few` times is asked first."""

    def choose(stream: Stream) -> Chosen:
        chosen, asked = np.empty(len(stream.table), np.intp), np.zeros(stream.value.shape[1], np.intp)
        expected = np.empty(0)
        for k, there in enumerate(stream.there):
            if k % DAY == 0:
                expected = expect(stream, k, chosen[:k])
            new = there & (asked < few)
            by = np.where(new, -asked, -np.inf) if new.any() else np.where(there, expected[k % DAY], -np.inf)
            chosen[k] = np.argmax(by)
            asked[chosen[k]] += 1
        return chosen

    return choose


def ours(prior: bool, half_life: float = HALF_LIFE) -> Callable[[Stream], Chosen]:
    def expect(stream: Stream, k: int, chosen: Chosen) -> Floats:
        base = stream.base if prior else alike(stream.base)
        if k:
            weights = 0.5 ** ((k - np.arange(k)) / DAY / half_life)
            seen = answered(stream.table.take(np.arange(k)), chosen)
            base = learn_from(base, seen, stream.vectors[:k], weights=weights)
        return stream.expect(base, np.arange(k, k + DAY))

    return daily(expect, 0 if prior else FEW)


def alike(base: Checkpoint) -> Checkpoint:
    """`base` without what it knows: all candidates as good and as long as the mean of them, whatever the query."""
    count, middle = len(base.candidates), np.zeros(base.embedder.dim) if (m := Predictor(base).middle) is None else m
    typical = base.bias + base.weights @ middle.astype(np.float32)
    bias = np.concatenate([np.full(len(part), part.mean()) for part in (typical[:count], typical[count:])])
    return replace(base, weights=np.zeros_like(base.weights), bias=bias.astype(np.float32))


def fitted(how: Callable[[Floats, Floats, Floats], Floats], prior: bool) -> Callable[[Stream], Chosen]:
    """`how`: known vectors, others, values (NaN where not seen) -> values of the others."""

    def expect(stream: Stream, k: int, chosen: Chosen) -> Floats:
        beside = stream.expected if prior else np.zeros(stream.value.shape)
        seen, came = (np.arange(k), chosen), np.full((k, beside.shape[1]), np.nan)
        came[seen] = stream.value[seen] - beside[seen]
        found, known = beside[k : k + DAY].copy(), ~np.isnan(came).all(axis=0)
        if k:
            found[:, known] += how(stream.vectors[:k], stream.vectors[k : k + DAY], came[:, known])
        return found

    return daily(expect, 0 if prior else FEW)


def ucb(prior: bool) -> Callable[[Stream], Chosen]:
    """UCB1 (Auer et al. 2002) over candidates."""

    def choose(stream: Stream) -> Chosen:
        counts = np.full(stream.value.shape[1], float(PRIOR_ANSWERS if prior else 0))
        sums, chosen = counts * stream.others[1].mean(axis=0), np.empty(len(stream.table), np.intp)
        for k, there in enumerate(stream.there):
            least = np.maximum(counts, 1e-9)
            bound = sums / least + np.sqrt(2 * np.log(max(counts.sum(), 2.0)) / least)
            chosen[k] = np.argmax(np.where(there, bound, -np.inf))
            counts[chosen[k]] += 1
            sums[chosen[k]] += stream.value[k, chosen[k]]
        return chosen

    return choose


def pareto(prior: bool) -> Callable[[Stream], Chosen]:
    """paretobandit as it is, each candidate a model of its registry; the value has the price in it, so it adds none."""

    def choose(stream: Stream) -> Chosen:
        from pareto_bandit import BanditRouter
        from pareto_bandit.config import BEST_K3_HPARAMS, BEST_K3_TABULA_RASA_HPARAMS
        from pareto_bandit.feature_service import FeatureService
        from pareto_bandit.types import RouterConfig

        hyper = BEST_K3_HPARAMS if prior else BEST_K3_TABULA_RASA_HPARAMS
        price = {"input_cost_per_m": 1.0, "output_cost_per_m": 1.0}
        router = BanditRouter.create(
            {str(j): dict(price) for j in np.flatnonzero(stream.there[0])},
            priors="none",
            feature_service=FeatureService.for_precomputed(26),
            config=RouterConfig(reward_min=-1.0, reward_max=1.0),
            cost_penalty=0.0,
            alpha=hyper["alpha"],
            forgetting_factor=hyper["forgetting_factor"],
            bandit_seed=stream.seed,
        )
        read, others = (with_bias(stream.components.transform(v)) for v in (stream.vectors, stream.others[0]))
        known: set[int] = set()
        chosen = np.empty(len(stream.table), np.intp)
        for k, there in enumerate(stream.there):
            for j in {*np.flatnonzero(there).tolist()} - known:
                if k:
                    router.register_model(str(j), **price)
                for features, value in zip(others, stream.others[1][:, j], strict=True) if prior else ():
                    router.update(str(j), features, float(np.clip(value, -1, 1)), advance_time=False)
                known.add(j)
            model, log = router.route(read[k])
            chosen[k] = int(model)
            router.process_feedback(log.request_id, float(np.clip(stream.value[k, chosen[k]], -1, 1)))
        return chosen

    return choose


def with_bias(features: Floats) -> Floats:
    return np.column_stack([features, np.ones(len(features))])


def near(known: Floats, others: Floats, targets: Floats) -> Floats:
    return Neighbours(known, others).expect(targets)


LEARNERS: dict[str, Callable[[Stream], Chosen]] = {
    "ours, with the prior": ours(prior=True),
    "ours, with the prior, a week": ours(prior=True, half_life=7.0),
    "ours, without": ours(prior=False),
    "the prior, learning nothing": daily(lambda stream, k, _: stream.expected[k : k + DAY], 0),
    "paretobandit, with the prior": pareto(prior=True),
    "paretobandit, without": pareto(prior=False),
    "ridge, with the prior": fitted(paper_heads, prior=True),
    "ridge, without": fitted(paper_heads, prior=False),
    "nearest neighbours, with the prior": fitted(near, prior=True),
    "nearest neighbours, without": fitted(near, prior=False),
    "UCB, with the prior": ucb(prior=True),
    "UCB, without": ucb(prior=False),
}


def replayed(name: str, data: Path) -> dict[str, Any]:
    """By protocol and learner: the mean value of an answer, regret, and how far ours with the prior is above it."""
    found: dict[str, dict[str, list[tuple[float, float, float]]]] = {protocol: {} for protocol in PROTOCOLS}
    for seed in range(SHUFFLES):
        for protocol, (stream, parts) in streams(name, data, seed).items():
            rows = np.arange(len(stream.table))
            open_value = np.where(stream.there, stream.value, -np.inf)
            oracle = float(open_value.max(axis=1).mean())
            constant = float(sum(open_value[part].sum(axis=0).max() for part in parts) / len(rows))
            for learner, choose in LEARNERS.items():
                got = float(stream.value[rows, choose(stream)].mean())
                found[protocol].setdefault(learner, []).append((got, oracle - got, constant - got))
            for learner, got in (("best constant, known afterwards", constant), ("oracle", oracle)):
                found[protocol].setdefault(learner, []).append((got, oracle - got, constant - got))
        print(f"{name}: shuffle {seed + 1} of {SHUFFLES}", file=sys.stderr)
    return {protocol: {way: summed(got, of["ours, with the prior"]) for way, got in of.items()}
            for protocol, of in found.items()}  # fmt: skip


def summed(got: list[tuple[float, float, float]], ours_got: list[tuple[float, float, float]]) -> dict[str, Any]:
    """Means over the shuffles, each with half its 95 % interval; the difference from ours within each shuffle."""
    columns = {k: np.array(v) for k, v in zip(("value", "oracle", "constant"), zip(*got, strict=True), strict=True)}
    columns["ours_over"] = np.array([mine[0] - other[0] for mine, other in zip(ours_got, got, strict=True)])
    half = T_95 / np.sqrt(SHUFFLES)
    return {name: [float(v.mean()), float(half * v.std(ddof=1))] for name, v in columns.items()}


def main() -> None:
    stated, asked = os.environ.get("R2_DATA_DIR", ""), set(sys.argv[1:])
    if not stated or not asked <= {*TABLES}:
        sys.exit(__doc__)
    for name in (name for name in TABLES if not asked or name in asked):
        result = replayed(name, Path(stated))
        for protocol, of in result.items():
            print(f"== {name}, {protocol}")
            head = ("who", "value", "regret to the oracle", "to the best constant", "ours over it")
            shown([head, *((way, *(f"{m:.3f} ±{h:.3f}" for m, h in each.values())) for way, each in of.items())])
        publish_part("replay", "R2_DATA_DIR=FOLDER python benchmarks/replay.py", [name], result)


if __name__ == "__main__":
    main()
