"""What pricing warm prompts brings: `python benchmarks/warm_prompts.py`.

400 simulated sessions of 30 turns between a strong and a cheap model of one provider, whose prompt cache is played by
its rule (time to live, minimum, prices of reading and writing) and finds 97 % of what it should. Prices are real, the
sessions and qualities are invented: hard turns .90 against .60, easy ones .95 against .92; a turn is as hard as the one
before it in 80 %; pauses of 20 seconds to 15 minutes; prompts begin at 2,000 to 12,000 tokens and grow by what is said;
where only what is marked is kept, each is marked. What counts is worth times quality less what is billed. Results go
into benchmarks/results/warm_prompts.json; a minute.
"""

import math
import sys
from pathlib import Path

import numpy as np
from common import publish, table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.made_up import make_checkpoint

from r2_router.pools.known_prices import known_prices, snapshot_date
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool
from r2_router.pools.prompt_caches import cache_rule, multiples
from r2_router.routing import warm_prices
from r2_router.routing.candidates import CandidateTable
from r2_router.routing.decision import Limits
from r2_router.routing.rank import rank
from r2_router.routing.warm import Cached
from r2_router.routing.worth import trade_off

SESSIONS, TURNS, FOUND = 400, 30, 0.97
WORTHS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
PAIRS = {
    "Opus 5, Haiku 4.5 at OpenRouter (marked)": (
        "https://openrouter.ai/api/v1",
        "anthropic/claude-opus-5",
        "anthropic/claude-haiku-4.5",
    ),
    "GPT-5.6 Sol, Luna": ("https://api.openai.com/v1", "gpt-5.6-sol", "gpt-5.6-luna"),
    "Gemini 3.1 Pro, 3.1 Flash-Lite": (
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "gemini-3.1-pro-preview",
        "gemini-3.1-flash-lite-preview",
    ),
}
QUALITY = {True: np.array([0.90, 0.60]), False: np.array([0.95, 0.92])}  # hard, easy; strong, cheap
STRONG, CHEAP = 0, 1
WAYS = (
    "always cheap",
    "always strong",
    "pinned to the first",
    "cache-blind",
    "warm, 1 turns",
    "warm, 3 turns",
    "warm, 6 turns",
)


def pair(base_url: str, *ids: str) -> CandidateTable:
    """Strong and cheap at their provider's prices, unlimited."""
    models = {}
    for place, model_id in enumerate(ids):
        prices = known_prices(base_url, model_id)
        if prices is None:
            raise LookupError(model_id)
        name = f"model-{place}"
        models[name] = Model(
            name,
            model_id,
            prices.input_usd_per_million,
            prices.output_usd_per_million,
            base_url=base_url,
            cache_read_usd_per_million=prices.cache_read_usd_per_million,
            cache_write_usd_per_million=prices.cache_write_usd_per_million,
        )
    return CandidateTable(make_checkpoint(models=2, budgets=()), Pool("pair", models))


def session(random: np.random.Generator) -> list[dict]:
    """Turns: how hard, after which pause, of how many prompt and answer tokens; and whether the cache finds it."""
    hard, tokens, turns = random.random() < 0.5, int(random.uniform(2000, 12000)), []
    for _ in range(TURNS):
        hard = hard if random.random() < 0.8 else not hard
        answer = int(random.lognormal(math.log(300 if hard else 80), 0.5))
        tokens += int(random.lognormal(math.log(80), 0.8))
        pause = float(np.exp(random.uniform(math.log(20), math.log(900))))
        turns.append(
            {"hard": hard, "pause": pause, "prompt": tokens, "answer": answer, "found": random.random() < FOUND}
        )
        tokens += answer
    return turns


def choose(
    way: str, prices: CandidateTable, turn: dict, known: list[list[Cached]], worth: float, first: int | None
) -> int:
    """The model (STRONG or CHEAP) that a way takes for a turn; `first` is that of the session's first turn."""
    if way.startswith("always"):
        return STRONG if way.endswith("strong") else CHEAP
    if way.startswith("pinned") and first is not None:
        return first
    warm = None
    if way.startswith("warm") and first is not None:
        warm_prices.TURNS = int(way.split()[1])
        warm = warm_prices.warmth(prices, turn["prompt"], known, {}, marks=True)
    trade = trade_off(worth_usd=worth)
    ranking = rank(
        prices,
        QUALITY[turn["hard"]],
        np.full(2, float(turn["answer"])),
        input_tokens=turn["prompt"],
        trade=trade,
        limits=Limits(),
        warm=warm,
    )
    return int(ranking[0].model == "model-1")


def play(way: str, prices: CandidateTable, turns: list[dict], worth: float) -> tuple[float, float, int]:
    """Net value, dollars billed, and switches of a session."""
    now, value, billed, switches, first, last = 0.0, 0.0, 0.0, 0, None, None
    read_at: list[tuple[int, float] | None] = [None, None]
    for turn in turns:
        now += turn["pause"]
        known = [
            [] if seen is None else [Cached(f"model-{m}", seen[0], now - seen[1])] for m, seen in enumerate(read_at)
        ]
        m = choose(way, prices, turn, known, worth, first)
        cost = bill(prices.models[m], turn, read_at[m], now)
        billed += cost
        value += worth * QUALITY[turn["hard"]][m] - cost
        read_at[m] = (turn["prompt"], now)
        switches += last not in (None, m)
        first, last = m if first is None else first, m
    return value, billed, switches


def bill(model: Model, turn: dict, seen: tuple[int, float] | None, now: float) -> float:
    """What the provider asks for a turn, by its rule; every prompt is marked where marks are needed."""
    rule = cache_rule(model)
    read, write = multiples(model, rule)
    cached = 0
    if seen is not None and now - seen[1] < rule.ttl_s and seen[0] >= rule.min_tokens and turn["found"]:
        cached = seen[0]
    rest = (turn["prompt"] - cached) * (write if turn["prompt"] >= rule.min_tokens else 1.0)
    return ((cached * read + rest) * model.input_usd_per_million + turn["answer"] * model.output_usd_per_million) / 1e6


def main() -> None:
    random = np.random.default_rng(0)
    sessions = [session(random) for _ in range(SESSIONS)]
    found = {}
    for name, told in PAIRS.items():
        prices = pair(*told)
        found[name] = {"models": [m.id for m in prices.models], "worths": {}}
        rows = [[name, *WAYS]]
        for worth in WORTHS:
            results = {way: np.array([play(way, prices, turns, worth) for turns in sessions]) for way in WAYS}
            blind = results["cache-blind"][:, 0]
            found[name]["worths"][str(worth)] = {
                way: {
                    "net_usd": float(r[:, 0].mean()),
                    "over_blind_usd": float((r[:, 0] - blind).mean()),
                    "over_blind_half_95": float(1.96 * (r[:, 0] - blind).std() / math.sqrt(SESSIONS)),
                    "billed_usd": float(r[:, 1].mean()),
                    "switches": float(r[:, 2].mean()),
                }
                for way, r in results.items()
            }
            rows.append([f"{worth:g}", *(f"{r[:, 0].mean():.3f}" for r in results.values())])
        table(rows)
        print()
    publish("warm_prompts", "python benchmarks/warm_prompts.py", {"prices": snapshot_date(), "pairs": found})


if __name__ == "__main__":
    main()
