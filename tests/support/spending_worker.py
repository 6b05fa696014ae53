"""Asks a server under a day limit until nothing is left: `python spending_worker.py URL LEDGER LIMIT NAME`."""

from __future__ import annotations

import asyncio
import sys

from r2_router.errors import R2Error, SpendLimitError
from r2_router.ledger import Ledger, LoopGuard, SpendGuard
from support.generations import candidate, generation, model, options

PRICES = {"input_usd_per_million": 100.0, "output_usd_per_million": 1000.0}
LANES = 3  # calls at once


async def main(url: str, path: str, limit: str, name: str) -> None:
    ledger = Ledger(path)
    guard = LoopGuard(SpendGuard(ledger, per_day=float(limit)), ledger)
    models = {name: model(name, url, **PRICES) for name in "ab"}
    limits = options(first_token_s=1.0, idle_s=0.5, sampling={"user": name})

    async def lane() -> None:
        while True:
            asked = generation(url, [candidate("a"), candidate("b")], models=models, guard=guard, options=limits)
            try:
                await asked.result()
            except SpendLimitError:
                return
            except R2Error as error:
                if isinstance(error, SpendLimitError) or "R2_MAX_USD_PER_DAY" in str(error):
                    return

    await asyncio.gather(*(lane() for _ in range(LANES)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
