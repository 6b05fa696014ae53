"""What is a prior worth before any label? `R2_DATA_DIR=FOLDER python benchmarks/prior.py [PART ...]`.

Parts: difficulty, levels, lengths, presets, thinking, robustness, speed, among_models. Every constant of train_prior.py
that is not assumed was chosen on these. Results go into benchmarks/results/prior.json.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import train_prior as tp
from common import publish_part, timed
from prior_data import Source, embedded, everything, measured_table
from pyarrow import parquet
from routing import listed_pool
from sweep_table import sweep_table
from threadpoolctl import threadpool_limits

from r2_router.arrays import Floats
from r2_router.checkpoints.prior import Prior, compose
from r2_router.config.folders import shipped
from r2_router.lab.data.folds import category_folds, random_folds
from r2_router.lab.data.table import Table
from r2_router.lab.evaluation.compare import Expectation, compare
from r2_router.lab.evaluation.cross_validation import cost_usd
from r2_router.lab.learning.ridge import Ridge
from r2_router.pools.ability import CEILING, Ability, abilities
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool, load_pool
from r2_router.pools.ratings import load_ratings
from r2_router.records import UNLIMITED
from r2_router.routing.candidates import CandidateTable
from r2_router.routing.predict import Predictor
from r2_router.routing.worth import typical_answer

SEEDS = 5
LABELS = (20, 50, 100, 200)
PENALTIES = (30.0, 100.0, 300.0, 1000.0)
MOST_QUERIES = 3000  # of a table, drawn at random: what comparing more of them costs
OWN_ALPHA = 10.0
MULTIPLES = (1, 2, 5, 10, 20, 50, 100, 200)
PRESETS = {"economy": 5, "balanced": 20, "quality": 200}
GATEWAY = "https://openrouter.ai/api/v1"

# Pools of five, cheap to strong, USD per million tokens as listed in 2026.
POOLS: Mapping[str, Mapping[str, tuple[str, float, float]]] = {
    "two makers": {
        "opus": ("anthropic/claude-opus-4.6", 5, 25),
        "gpt": ("openai/gpt-5.1", 1.25, 10),
        "haiku": ("anthropic/claude-haiku-4.5", 1, 5),
        "mini": ("openai/gpt-4.1-mini", 0.4, 1.6),
        "nano": ("openai/gpt-4.1-nano", 0.1, 0.4),
    },
    "open weights beside it": {
        "opus": ("anthropic/claude-opus-4.6", 5, 25),
        "sonnet": ("anthropic/claude-sonnet-4.5", 3, 15),
        "flash": ("google/gemini-2.5-flash", 0.3, 2.5),
        "deepseek": ("deepseek/deepseek-v3.2", 0.27, 0.4),
        "llama": ("meta-llama/llama-3.1-8b-instruct", 0.02, 0.05),
    },
    "older": {
        "sonnet": ("anthropic/claude-3.7-sonnet", 3, 15),
        "gpt-4o": ("openai/gpt-4o", 2.5, 10),
        "haiku": ("anthropic/claude-3.5-haiku", 0.8, 4),
        "gpt-4o-mini": ("openai/gpt-4o-mini", 0.15, 0.6),
        "llama": ("meta-llama/llama-3.1-8b-instruct", 0.02, 0.05),
    },
}


def auc(right: Floats, foretold: Floats) -> float:
    """The chance that a right answer was foretold better than a wrong one."""
    known = ~np.isnan(right)
    y, p = right[known] > 0.5, foretold[known]
    ranks = np.searchsorted(np.sort(p), p) + 1.0
    return float((ranks[y].sum() - y.sum() * (y.sum() + 1) / 2) / (y.sum() * (~y).sum()))


def mean_auc(source: Source, head: Floats, vectors: Floats | None = None) -> float:
    foretold = (source.vectors if vectors is None else vectors) @ head
    return float(np.mean([auc(column, foretold) for column in source.quality.T]))


# -- difficulty, a source left out ---------------------------------------------------------------------------


def difficulty(data: Path) -> dict[str, Any]:
    sources = everything(data)
    judged = (*tp.ACROSS_KINDS, *tp.WITHIN_KINDS)

    def left_out(alpha: float = tp.ALPHA, drop: str = "", **how: Any) -> dict[str, float]:
        return {name: mean_auc(sources[name], tp.difficulty(sources, (name, drop), alpha, **how)) for name in judged}

    every = (*tp.ACROSS_KINDS, *tp.WITHIN_KINDS)
    arena = sources["routerarena_part"]
    heads = {
        "the recipe of day zero: mmlu_pro and diverse, penalty 300": tp.difficulty(
            sources, (), 300.0, across=("mmlu_pro", "diverse"), within=(), assumed=False
        ),
        "as shipped, without it": tp.difficulty(sources, ("routerarena_part",)),
        "shipped default (checkpoints/local)": own_mean_quality(),
    }
    return {
        "by_penalty": {str(alpha): left_out(alpha) for alpha in PENALTIES},
        "by_source_dropped": {name: left_out(drop=name) for name in every},
        "without_assumed_requests": left_out(assumed=False),
        "all_across_kinds": left_out(across=every, within=()),
        "all_within_kinds": left_out(across=(), within=every),
        "with_text_statistics": with_statistics(sources, judged),
        "routerarena": {
            name: dict(zip(arena.models, [auc(c, arena.vectors @ head) for c in arena.quality.T], strict=True))
            for name, head in heads.items()
        },
    }


def own_mean_quality() -> Floats:
    """The mean quality head of the shipped local checkpoint, unlimited answers."""
    from r2_router.checkpoints.find import load_checkpoint

    local = load_checkpoint("local")
    rows = [j for j, (_, budget) in enumerate(local.candidates) if budget == UNLIMITED]
    return local.weights[rows].astype(np.float64).mean(axis=0)


def statistics(text: str) -> list[float]:
    """Length, share of digits and of symbols, options, lines, code."""
    many = max(len(text), 1)
    options = sum(
        line.lstrip("( ")[:1].isupper() and line.lstrip("( ")[1:2] in (".", ")", ":") for line in text.split("\n")
    )
    signs = sum(text.count(sign) for sign in "{}[]()<>=+*/^_\\$#;")
    digits = sum(map(str.isdigit, text))
    return [
        np.log(many),
        digits / many,
        signs / many,
        float(options > 1),
        text.count("\n") / many,
        float("def " in text),
    ]


def with_statistics(sources: Mapping[str, Source], judged: tuple[str, ...], scale: float = 0.1) -> dict[str, float]:
    """As left out one by one, with text statistics as further columns: what a second block of features would add."""
    raw = {name: np.array([statistics(text) for text in sources[name].texts]) for name in judged}
    together = np.concatenate([raw["mmlu_pro"], raw["diverse"]])
    columns = {
        name: scale * np.clip((rows - together.mean(axis=0)) / together.std(axis=0), -3, 3)
        for name, rows in raw.items()
    }
    X = {name: np.concatenate([sources[name].vectors, columns[name]], axis=1) for name in judged}
    found: dict[str, float] = {}
    for name in judged:
        kept = [other for other in judged if other != name]
        y = [tp.ease(sources[other], within_kinds=other in tp.WITHIN_KINDS) for other in kept]
        rows = np.concatenate([X[other] - X[other].mean(axis=0) for other in kept])
        target = np.concatenate([each - np.nanmean(each) for each in y])
        known = ~np.isnan(target)
        head = tp.ridge(rows[known], target[known][:, None], tp.ALPHA, np.ones(known.sum()))[0][0]
        found[name] = mean_auc(sources[name], head, X[name])
    return found


# -- levels: rating to accuracy ------------------------------------------------------------------------------


def levels(data: Path) -> dict[str, Any]:
    """How well a rating tells a model's mean quality on a table, and how steep that is."""
    found: dict[str, Any] = {}
    for name in ("zeroeval", "mmlu_pro", "routerarena_part"):
        source = everything(data)[name]
        quality, expected = tp.rated(source)
        mean = np.nanmean(quality, axis=0)
        logit = np.log(mean / (1 - mean))
        found[name] = {
            "models": len(mean),
            "correlation": float(np.corrcoef(expected, logit)[0, 1]),
            "logits_for_100_points": float(np.polyfit(expected / tp.LOGITS_PER_POINT / 100, logit, 1)[0]),
            "error_of_mean_quality": float(
                np.sqrt(np.mean((CEILING / (1 + np.exp(-expected - tp.level(source))) - mean) ** 2))
            ),
        }
    return found


# -- among models nobody measured ----------------------------------------------------------------------------


def among_models(data: Path) -> dict[str, Any]:
    return {name: routed(name, data) for name in ("zeroeval", "mmlu_pro")}


def rated_models(name: str, data: Path) -> tuple[Table, Floats, Pool, dict[str, Ability]]:
    """The models of a public table that have a rating: their answers, the queries' vectors, a pool at listed prices,
    and what their ratings say."""
    source, prices, ratings = everything(data)[name], listed_pool(), load_ratings()
    rated = {model: rating for model in source.models if (rating := ratings.find(model))}
    table = measured_table(name, data).among([source.models.index(model) for model in rated])
    known = {
        m: Ability(rating=r.overall, by_category=r.by_category, source="rated", said="", error=r.error)
        for m, r in rated.items()
    }
    return table, source.vectors, Pool("rated", {m: prices.models[m] for m in rated}), known


def routed(name: str, data: Path) -> dict[str, Any]:
    """Route among a table's rated models with a prior that never saw the table: no query, no model of it."""
    table, vectors, pool, known = rated_models(name, data)
    rows = np.sort(np.random.default_rng(0).permutation(np.flatnonzero(table.complete))[:MOST_QUERIES])
    table, vectors = table.take(rows), vectors[rows]
    prior = tp.build(data, (name,))
    predictor = Predictor(compose(prior, pool, known))
    columns = [j for j, (_, budget) in enumerate(predictor.checkpoint.candidates) if budget == UNLIMITED]
    outputs = predictor.outputs(vectors.astype(np.float32))
    foretold = predictor.quality(outputs)[:, columns], predictor.head_tokens(outputs)[:, columns]
    flat = tuple(np.broadcast_to(part.mean(axis=0), part.shape) for part in foretold)
    plain = {
        m: Ability(rating=a.rating, by_category={}, source="rated", said="", error=a.error) for m, a in known.items()
    }
    one = Predictor(compose(prior, pool, plain))
    overall = one.quality(one.outputs(vectors.astype(np.float32)))[:, columns]
    ways = {
        "prior": foretold,
        "prior, not looking at the query": flat,
        "prior, overall ratings only": (overall, foretold[1]),
    }
    return judged(table, pool, [{**ways, **own_heads(table, vectors, seed)} for seed in range(SEEDS)])


def own_heads(table: Table, vectors: Floats, seed: int) -> dict[str, tuple[Floats, Floats]]:
    """What ridge heads foretell that are learned from the pool's own labels, for each count of labelled queries."""
    found: dict[str, tuple[Floats, Floats]] = {}
    logs = np.log(np.maximum(table.output_tokens, 1.0))
    for kept, out in random_folds(table, 5, seed):
        drawn = np.random.default_rng(seed).permutation(kept)
        blind = table.quality[kept].mean(axis=0), table.output_tokens[kept].mean(axis=0)
        for count in (*LABELS, len(kept)):
            name = f"own heads, {'all' if count == len(kept) else count} labels"
            pair = found.setdefault(name, (np.empty(table.quality.shape), np.empty(table.quality.shape)))
            fit = Ridge.of(vectors[drawn[:count]])
            for part, targets in zip(pair, (table.quality, logs), strict=True):
                weights, bias = fit.weights(targets[drawn[:count]], OWN_ALPHA)
                part[out] = vectors[out] @ weights.T + bias
            pair[1][out] = np.exp(np.minimum(pair[1][out], 10.0))
        pair = found.setdefault("blind", (np.empty(table.quality.shape), np.empty(table.quality.shape)))
        for part, mean in zip(pair, blind, strict=True):
            part[out] = mean
    return found


def judged(table: Table, pool: Pool, seeds: list[dict[str, tuple[Floats, Floats]]]) -> dict[str, Any]:
    """AUDC (padded) of each way, and the prior's above each other's, with the paired bootstrap over queries."""
    cost = cost_usd(table, pool, table.output_tokens)

    def priced(pair: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        return np.clip(pair[0], 0, 1), cost_usd(table, pool, pair[1])

    expectations = [
        Expectation(
            *priced(seed["prior"]),
            *priced(seed["blind"]),
            {way: priced(pair) for way, pair in seed.items() if way not in ("prior", "blind")},
        )
        for seed in seeds
    ]
    with threadpool_limits(1):
        metrics = compare(table.candidates, table.quality, cost, expectations).metrics
    methods = {"prior": metrics["methods"]["router"], "blind mix": metrics["methods"]["mix"]}
    methods |= {
        way: m for way, m in metrics["methods"].items() if way not in ("router", "mix", "mix_unlimited", "reactive")
    }
    over = {"blind mix": metrics["audc_gain_over_mix"], **metrics["audc_gains"]}
    return {
        "queries": len(table),
        "candidates": len(table.candidates),
        "ways": {
            way: {"audc_padded": m["audc_padded"], "peak": m["peak"], "prior_over": over.get(way)}
            for way, m in methods.items()
        },
        "random": metrics["random"],
        "gain_over_best_constant": {k: v for k, v in metrics["gain_over_best_constant"].items() if k != "by_worth_usd"},
    }


# -- length: curves of two models over the third -------------------------------------------------------------


def lengths(data: Path) -> dict[str, Any]:
    sweep, pool = sweep_table(data), load_pool("local", user_file=False)
    vectors = embedded(sweep.queries)
    models = list(dict.fromkeys(model for model, _ in sweep.candidates))
    found: dict[str, Any] = {}
    for model in models:
        columns = [j for j, (name, _) in enumerate(sweep.candidates) if name == model]
        others = [other for other in models if other not in (model, "SmolLM2-135M-Instruct")] or [models[0]]
        own = sweep.among(columns)
        kinds = transferred(sweep, own, others, vectors, category_folds(sweep))
        seeds = [
            {
                **transferred(sweep, own, others, vectors, random_folds(sweep, 5, seed)),
                **{f"kinds left out, {way}": pair for way, pair in kinds.items()},
                **own_heads(own, vectors, seed),
            }
            for seed in range(SEEDS)
        ]
        result = judged(own, pool, [{"prior": each.pop("as for itself"), **each} for each in seeds])
        unlimited = next(j for j, (_, budget) in enumerate(own.candidates) if budget == UNLIMITED)
        result["no length choice"] = {
            "quality": float(own.quality[:, unlimited].mean()),
            "cost_usd": float(cost_usd(own, pool, own.output_tokens)[:, unlimited].mean()),
        }
        found[model] = result
    return found


def transferred(
    sweep: Table, own: Table, others: list[str], vectors: Floats, folds: Any
) -> dict[str, tuple[Floats, Floats]]:
    """What the curves of `others` foretell of the model of `own`, of which only its mean quality is known."""
    budgets = [budget for _, budget in own.candidates]
    columns = {other: [sweep.candidates.index((other, budget)) for budget in budgets] for other in others}
    unlimited = budgets.index(UNLIMITED)
    curves = np.mean([sweep.quality[:, c] - sweep.quality[:, c[unlimited]][:, None] for c in columns.values()], axis=0)
    logs = np.mean([np.log(np.maximum(sweep.output_tokens[:, c], 1.0)) for c in columns.values()], axis=0)
    level = own.quality[:, unlimited].mean()
    z = np.log(level / (1 - level))
    whole, half, tokens = (np.empty(curves.shape) for _ in range(3))
    for kept, out in folds:
        fit = Ridge.of(vectors[kept])
        weights, bias = fit.weights(curves[kept], tp.GAIN_ALPHA)
        gain = vectors[out] @ weights.T + bias
        whole[out] = z + 2 * tp.CURVE_LOGITS * gain
        half[out] = z + tp.CURVE_LOGITS * (gain - curves[kept].mean(axis=0))
        weights, bias = fit.weights(logs[kept], OWN_ALPHA)
        tokens[out] = np.exp(vectors[out] @ weights.T + bias)
    logistic: Callable[[Floats], Floats] = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    return {"as for itself": (logistic(whole), tokens), "as for a strong model": (logistic(half), tokens)}


# -- presets and paraphrases ---------------------------------------------------------------------------------


def five(name: str) -> tuple[Predictor, CandidateTable, float]:
    """A pool of five with the shipped prior: predictor, candidates, what a typical answer of its strongest costs."""
    pool = Pool(
        name,
        {n: Model(n, id_, a, b, base_url=GATEWAY, api_key_env="KEY") for n, (id_, a, b) in POOLS[name].items()},
    )
    return composed_with(pool)


def composed_with(pool: Pool) -> tuple[Predictor, CandidateTable, float]:
    """The shipped prior over a pool: predictor, candidates, what a typical answer of its strongest costs."""
    checkpoint = compose(Prior.load(shipped("checkpoints") / "prior"), pool, abilities(pool, load_ratings()))
    predictor, table = Predictor(checkpoint), CandidateTable(checkpoint, pool)
    return predictor, table, typical_answer(predictor, table)[1]


class Expected:
    """What is expected of n texts: quality and cost (n, C)."""

    def __init__(self, predictor: Predictor, table: CandidateTable, texts: tuple[str, ...]) -> None:
        self.table = table
        outputs = predictor.outputs(embedded(texts).astype(np.float32))
        self.quality = predictor.quality(outputs)
        tokens = predictor.head_tokens(outputs)
        self.cost = np.array([table.cost(t, max(10.0, len(x) / 4)) for t, x in zip(tokens, texts, strict=True)])

    def choose(self, worth: float, tenfold_gain: float, typical: Floats | None = None) -> np.ndarray:
        """The best of each, a tenfold price having to promise `tenfold_gain`; with `typical`, the net worths (C,) of a
        typical query's candidates, the best of these unless another is better by NEAR in quality."""
        doubt = self.table.doubt(self.cost) * (tenfold_gain / self.table.tenfold_gain)
        net = worth * (self.quality - doubt) - self.cost
        if typical is None:
            return net.argmax(axis=1)
        near = net >= net.max(axis=1, keepdims=True) - NEAR * worth
        return np.where(near, typical, -np.inf).argmax(axis=1)

    def lost(self, worth: float, chosen: np.ndarray) -> float:
        """What the choices are expected to be worth below the best, in quality."""
        net = worth * self.quality - self.cost
        return float(np.mean(net.max(axis=1) - net[np.arange(len(chosen)), chosen]) / worth)


def everyday_texts(data: Path) -> tuple[str, ...]:
    texts = parquet.read_table(data / "everyday_queries.parquet", columns=["query"]).column(0).to_pylist()
    return tuple(texts[::5])


def presets(data: Path) -> dict[str, Any]:
    """What each multiple of the strongest model's typical answer buys: expected quality, cost, who is chosen."""
    texts, found = everyday_texts(data), {}
    for name in POOLS:
        predictor, table, usd = five(name)
        expected, candidates = Expected(predictor, table, texts), predictor.checkpoint.candidates
        strongest = next(
            i for i, (m, b) in enumerate(candidates) if m == predictor.checkpoint.strongest and b == UNLIMITED
        )
        base = expected.quality[:, strongest].mean(), expected.cost[:, strongest].mean()
        rows = {}
        for times in MULTIPLES:
            chosen = expected.choose(times * usd, table.tenfold_gain)
            at = np.arange(len(texts)), chosen
            rows[str(times)] = {
                "quality": float(expected.quality[at].mean()),
                "cost_of_strongest": float(expected.cost[at].mean() / base[1]),
                "strongest": float(np.mean([candidates[i][0] == predictor.checkpoint.strongest for i in chosen])),
                "models": dict(Counter(candidates[i][0] for i in chosen).most_common()),
                "limited": float(np.mean([candidates[i][1] != UNLIMITED for i in chosen])),
            }
        found[name] = {"typical_usd": usd, "strongest_quality": float(base[0]), "by_multiple": rows}
    return found


TWO_WAYS = {  # asked to think and not, by one price
    "sonnet": ("anthropic/claude-sonnet-4.5", 3, 15),
    "deepseek": ("deepseek/deepseek-v3.2", 0.27, 0.40),
    "flash-lite": ("google/gemini-2.5-flash-lite", 0.10, 0.40),
}


def thinking(data: Path) -> dict[str, Any]:
    """What the ratings say of the same model thinking and not, by category; and where the prior, which knows no more
    than that and the price, would have it think."""
    ratings = load_ratings()
    both = [ways for name in ratings.twins if (ways := ratings.both_ways(name))]
    by_category: dict[str, dict[str, float]] = {}
    for category in dict.fromkeys(name for on, _ in both for name in on.by_category):
        over = [
            on.by_category[category] - off.by_category[category]
            for on, off in both
            if category in on.by_category and category in off.by_category
        ]
        by_category[category] = {
            "models": len(over),
            "points": float(np.mean(over)),
            "error": float(np.std(over, ddof=1) / np.sqrt(len(over))),
        }
    return {"by_category": by_category, "choices": {name: asked_to_think(data, name) for name in TWO_WAYS}}


def asked_to_think(data: Path, name: str) -> dict[str, dict[str, float]]:
    """At each preset, for how many everyday requests thinking is chosen over not thinking, by the same model."""
    id_, price_in, price_out = TWO_WAYS[name]
    on, off = ({"reasoning": {"enabled": enabled}} for enabled in (True, False))
    models = {
        way: Model(way, id_, price_in, price_out, base_url=GATEWAY, api_key_env="KEY", request=request)
        for way, request in (("thinking", on), ("not thinking", off))
    }
    predictor, table, usd = composed_with(Pool(name, models))
    expected = Expected(predictor, table, everyday_texts(data))
    found: dict[str, dict[str, float]] = {}
    for preset, times in PRESETS.items():
        chosen = expected.choose(times * usd, table.tenfold_gain)
        thinks = np.array([table.models[m].name == "thinking" for m in table.model_index])
        found[preset] = {
            "thinking": float(thinks[chosen].mean()),
            "quality": float(expected.quality[np.arange(len(chosen)), chosen].mean()),
        }
    return found


GAINS = (0.0, 0.01, 0.02, 0.03)
NEAR = 0.03


def robustness(data: Path) -> dict[str, Any]:
    """The 100 pairs: how often a paraphrase gets the same model, and the same model and budget, by what a tenfold price
    must promise; and by another rule for near-ties, that a typical query decides them."""
    columns = parquet.read_table(data / "routerarena_part.parquet", columns=["query", "paraphrase"]).to_pydict()
    pairs = {q: p for q, p in zip(columns["query"], columns["paraphrase"], strict=True) if p}
    found: dict[str, Any] = {}
    for name in POOLS:
        predictor, table, usd = five(name)
        one, two = (Expected(predictor, table, texts) for texts in (tuple(pairs), tuple(pairs.values())))
        others = Expected(predictor, table, everyday_texts(data))
        middle = predictor.outputs(predictor.middle)
        for preset, times in PRESETS.items():
            worth = times * usd
            usual = table.cost(predictor.tokens(middle), 100)
            rules: dict[str, tuple[float, Floats | None]] = {f"{gain:g}": (gain, None) for gain in GAINS}
            for gain in (0.0, table.tenfold_gain):
                doubt = table.doubt(usual) * (gain / table.tenfold_gain)
                rules[f"{gain:g}, near-ties as typical"] = gain, worth * (predictor.quality(middle) - doubt) - usual
            found.setdefault(name, {})[preset] = {
                rule: stability(table, worth, [side.choose(worth, *how) for side in (one, two, others)], others)
                for rule, how in rules.items()
            }
    return found


def stability(table: CandidateTable, worth: float, chosen: list[np.ndarray], others: Expected) -> dict[str, float]:
    """How alike the choices of two paraphrases are; how far from constant, there and on everyday requests."""
    a, b, c = (table.model_index[each] for each in chosen)
    return {
        "same_model": float(np.mean(a == b)),
        "same_pair": float(np.mean(chosen[0] == chosen[1])),
        "largest_share": float(np.bincount(a).max() / len(a)),
        "largest_share_everyday": float(np.bincount(c).max() / len(c)),
        "quality_lost_everyday": others.lost(worth, chosen[2]),
    }


def speed(_: Path) -> dict[str, float]:
    """Milliseconds to compose 50 models, and to load the prior."""
    folder = shipped("checkpoints") / "prior"
    prior = Prior.load(folder)
    models = {f"m{i}": Model(f"m{i}", f"m{i}", 1.0, 2.0) for i in range(50)}
    pool = Pool("fifty", models)
    known = {
        m: Ability(rating=1200.0 + 5 * i, by_category={}, source="rated", said="", error=5.0)
        for i, m in enumerate(models)
    }
    return {
        "compose_50_models_ms": 1e3 * float(np.median(timed(lambda: compose(prior, pool, known), rounds=30))),
        "load_ms": 1e3 * float(np.median(timed(lambda: Prior.load(folder), rounds=30))),
    }


PARTS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "difficulty": difficulty,
    "levels": levels,
    "lengths": lengths,
    "presets": presets,
    "thinking": thinking,
    "robustness": robustness,
    "speed": speed,
    "among_models": among_models,
}


def main() -> None:
    stated, names = os.environ.get("R2_DATA_DIR", ""), sys.argv[1:] or list(PARTS)
    if not stated or not set(names) <= set(PARTS):
        sys.exit(__doc__)
    for name in names:
        found = PARTS[name](Path(stated))
        print(f"== {name}\n{json.dumps(found, indent=1)}")
        publish_part("prior", "R2_DATA_DIR=FOLDER python benchmarks/prior.py", [name], found)


if __name__ == "__main__":
    main()
