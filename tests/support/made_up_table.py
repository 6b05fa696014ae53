"""Made-up training tables whose truth is known, for tests."""

from __future__ import annotations

import numpy as np

from r2_router.lab.data.table import Table, make_table
from r2_router.pools.model import Model
from r2_router.pools.pool import Pool

# At these prices a long answer of the large model is worth having only where it helps.
LAB_POOL = Pool("lab", {"small": Model("small", "v/small", 0.1, 0.4), "large": Model("large", "v/large", 0.5, 2.0)})


def make_lab(
    n: int = 120, dim: int = 6, *, signal: float = 1.0, budgets: tuple = (20, None), seed: int = 0
) -> tuple[Table, np.ndarray]:
    """A table of n queries × (small, large) × budgets, and its unit vectors (n, dim).

    With `signal` 1 the first coordinate of the vector says which queries the small model, brief, answers well
    and which need the large one; with 0 nothing about the query matters.
    """
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = []
    for i in range(n):
        easy = signal * np.tanh(4 * vectors[i, 0])
        for model, lean in (("small", 0.45), ("large", -0.45)):
            for budget in budgets:
                tokens = rng.lognormal(np.log(150 if budget is None else 0.7 * budget) + 0.5 * easy, 0.6)
                rows.append(
                    {
                        "query_id": f"q{i}",
                        "query": f"text {i}",
                        "model": model,
                        "budget": budget,
                        "quality": float(np.clip(0.5 + lean * easy + rng.normal(0, 0.05), 0, 1)),
                        "output_tokens": int(np.ceil(min(tokens, budget or 4000))),
                        "input_tokens": 30,
                        "category": "odd" if i % 2 else "even",
                    }
                )
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return make_table(columns, "made-up"), vectors.astype(np.float32)
