"""How well the length that a query states is read, and whether answers keep it.

IFEval's queries carry their length constraints in machine-readable form; RouterArena's ask for an explanation "within
3 sentences"; Arena-Hard's have the lengths of real answers. Needs R2_DATA_DIR.

python benchmarks/stated_length.py [--show]
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from common import duration, publish, spread, table, timed

from r2_router import R2Router
from r2_router.routing.length_phrases import Asked
from r2_router.routing.stated_length import stated_length, statements

DATA = Path(os.environ.get("R2_DATA_DIR", "."))
TWENTY_WORDS = "Explain in plain and simple terms why the sky looks blue at noon but turns orange and red near sunset."
STATED = "Explain in at most three short sentences why the sky looks blue at noon but turns orange and red at sunset."
SHOW = "--show" in sys.argv

_UNITS = {
    "length_constraints:number_words": ("num_words", ("word",)),
    "length_constraints:number_sentences": ("num_sentences", ("sentence", "line")),
    "length_constraints:number_paragraphs": ("num_paragraphs", ("paragraph", "stanza")),
    "length_constraints:nth_paragraph_first_word": ("num_paragraphs", ("paragraph",)),
    "detectable_format:number_bullet_lists": ("num_bullets", ("bullet", "point")),
}


def rows(name: str) -> list[dict[str, Any]]:
    return pq.read_table(DATA / name).to_pylist()


def constraints(row: dict[str, Any]) -> list[tuple[str, str, int, tuple[str, ...]]]:
    """(kind, relation, count, units) of each length constraint of an IFEval query."""
    found: list[tuple[str, str, int, tuple[str, ...]]] = []
    for kind, arguments in json.loads(row["constraints"]):
        if kind in _UNITS:
            key, units = _UNITS[kind]
            found.append((kind.split(":")[1], arguments.get("relation", "exactly"), arguments[key], units))
    return found


def agrees(asked: Asked, relation: str, count: int) -> bool:
    """Whether a statement says what the constraint does, one more or less allowed ("less than 31" is at most 30)."""
    ends = {"at least": (asked.low,), "less than": (asked.high,), "exactly": (asked.low, asked.high)}[relation]
    return all(math.isfinite(end) and abs(end - count) <= 1 for end in ends)


def ifeval() -> dict[str, Any]:
    """Recall of each kind of constraint, and precision over all queries."""
    recalled: dict[str, list[bool]] = {}
    right = wrong = 0
    for row in (r for r in rows("everyday_queries.parquet") if r["constraints"]):
        known, read = constraints(row), statements(row["query"])
        for kind, relation, count, units in known:
            hit = any(a.unit in units and agrees(a, relation, count) for a in read)
            recalled.setdefault(kind, []).append(hit)
            if SHOW and not hit:
                print("MISSED", kind, relation, count, "|", row["query"][:600].replace("\n", " / "))
        for asked in read:
            hit = any(asked.unit in units and agrees(asked, relation, count) for _, relation, count, units in known)
            right, wrong = right + hit, wrong + (not hit)
            if SHOW and not hit:
                print("UNLABELLED", asked, known, "|", row["query"][:600].replace("\n", " / "))
    return {
        "queries": sum(bool(r["constraints"]) for r in rows("everyday_queries.parquet")),
        "recall": {kind: [sum(hits), len(hits)] for kind, hits in recalled.items()},
        "recall_all": statistics.mean(hit for hits in recalled.values() for hit in hits),
        "statements_that_are_a_constraint": [right, right + wrong],
    }


def kept(lengths: Iterable[tuple[str, int]]) -> dict[str, Any]:
    """Of the answers to queries that state a length: how many lie under the floor, within, over the ceiling."""
    under = within = over = 0
    for query, tokens in lengths:
        stated = stated_length(query)
        if stated is not None:
            under += tokens < stated.floor_tokens
            over += tokens > stated.ceiling_tokens
            within += stated.floor_tokens <= tokens <= stated.ceiling_tokens
    return {"answers": under + within + over, "under": under, "within": within, "over": over}


def router_arena() -> dict[str, Any]:
    answers = rows("routerarena_part.parquet")
    queries = {r["query_id"]: r["query"] for r in answers}
    marked = {q for q in queries.values() if "within 3 sentences" in q}
    found = {q for q in queries.values() if stated_length(q)}
    for q in found - marked if SHOW else ():
        print("ARENA", statements(q), "|", q[:300].replace("\n", " / "), "...", q[-300:].replace("\n", " / "))
    by_model = {
        m: kept((r["query"], r["output_tokens"]) for r in answers if r["model"] == m and r["query"] in marked)
        for m in sorted({r["model"] for r in answers})
    }
    return {
        "queries": len(queries),
        "ask": len(marked),
        "read_of_them": len(found & marked),
        "read_of_others": len(found - marked),
        "answers": by_model,
    }


def foreseen() -> dict[str, Any]:
    """Expected tokens of RouterArena's answers with the length that the query states and without, and the real ones.

    Of the prior and of the checkpoint of the local models, its strongest model unlimited; `off_by`: the median factor.
    """
    answers = [r for r in rows("routerarena_part.parquet") if "within 3 sentences" in r["query"]]
    queries = sorted({r["query"] for r in answers})
    real = {q: [r["output_tokens"] for r in answers if r["query"] == q] for q in queries}
    found: dict[str, Any] = {"real_median": statistics.median(r["output_tokens"] for r in answers)}
    for name in ("prior", "local"):
        router = R2Router.from_pretrained(name, pool="local")
        vectors, model = router.embed(queries), router.checkpoint.strongest
        for way, texts in (("without", None), ("with", queries)):
            decisions = router.route_batch(vectors, queries=texts, model=model, budget="unlimited")
            tokens = [d.predicted_output_tokens for d in decisions]
            off = [abs(math.log(t / max(1, n))) for q, t in zip(queries, tokens, strict=True) for n in real[q]]
            found[f"{name}_{way}"] = {"median": statistics.median(tokens), "off_by": math.exp(statistics.median(off))}
    return found


def natural() -> dict[str, Any]:
    """Answers of hosted LLMs at their natural length to the queries of Arena-Hard that state one."""
    queries = {r["query_id"]: r["query"] for r in rows("everyday_queries.parquet")}
    answers = [
        (queries[r["query_id"]], r["output_tokens"])
        for r in rows("natural_lengths.parquet")
        if r["query_id"] in queries
    ]
    arena = {q for i, q in queries.items() if i.startswith("arena")}
    if SHOW:
        for q in sorted(arena):
            if statements(q):
                print(
                    "HARD",
                    [t for query, t in answers if query == q],
                    stated_length(q),
                    "|",
                    q[:200].replace("\n", " / "),
                    "...",
                    q[-500:].replace("\n", " / "),
                )
    return {
        "queries": len(arena),
        "stating": sum(stated_length(q) is not None for q in arena),
        "answers": kept(answers),
    }


def exams() -> dict[str, Any]:
    """Questions of exams, of which hardly one asks for a length: what is read of them, other than "briefly ..."."""
    counted: dict[str, Any] = {}
    for name in ("diverse_queries", "exam_queries", "mmlu_pro", "zeroeval"):
        queries = set(pq.read_table(DATA / f"{name}.parquet", columns=["query"]).column("query").to_pylist())
        read = [q for q in queries if any(a.unit != "short" for a in statements(q))]
        for query in read if SHOW else ():
            print(
                "EXAM",
                statements(query),
                "|",
                query[:150].replace("\n", " / "),
                "...",
                query[-150:].replace("\n", " / "),
            )
        counted[name] = {"queries": len(queries), "read": len(read)}
    return counted


def main() -> None:
    stated_length(STATED)
    long = (STATED * 11_000)[: 1 << 20]
    speed = {
        "20 words that state none": timed(lambda: stated_length(TWENTY_WORDS), rounds=300, calls=20),
        "20 words that state one": timed(lambda: stated_length(STATED), rounds=300, calls=20),
        "1 MB": timed(lambda: stated_length(long), rounds=50),
    }
    spreads = {name: spread(seconds) for name, seconds in speed.items()}
    found = {
        "ifeval": ifeval(),
        "routerarena": router_arena(),
        "arena_hard": natural(),
        "exams": exams(),
        "foreseen": foreseen(),
        "seconds": spreads,
    }
    table([("", "median")] + [(name, duration(s["median_s"])) for name, s in spreads.items()])
    print(json.dumps({k: v for k, v in found.items() if k != "seconds"}, indent=1))
    if not SHOW:
        publish("stated_length", "python benchmarks/stated_length.py", found)


if __name__ == "__main__":
    main()
