"""Text -> decision with the embedded default: warm, cold, and `r2-router route` as a whole process.

python benchmarks/text.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

from common import duration, in_home, publish, spread, table, timed

from r2_router import R2Router

TWENTY_WORDS = "Explain in a few plain sentences why the sky looks blue at noon but turns orange and red near sunset."
COLD = (
    "import time; start = time.perf_counter(); from r2_router import R2Router;"
    "router = R2Router.from_pretrained(); router.preload(); router.route_text('hello');"
    "print(time.perf_counter() - start)"
)


def main() -> None:
    assert len(TWENTY_WORDS.split()) == 20
    router = R2Router.from_pretrained()
    router.route_text(TWENTY_WORDS)
    long = (TWENTY_WORDS * 11_000)[: 1 << 20]
    rows = {
        "text -> decision, 20 words, warm": timed(lambda: router.route_text(TWENTY_WORDS), rounds=300),
        "of it embedding, 1 MB (cut to 4,000 characters)": timed(lambda: router.embed([long]), rounds=20),
        "of it embedding, 20 words": timed(lambda: router.embed([TWENTY_WORDS]), rounds=300),
        "import and first decision, cold": [float(run([sys.executable, "-c", COLD])) for _ in range(7)],
        "r2-router route, whole process": timed(
            lambda: run([sys.executable, "-m", "r2_router.cli", "route", TWENTY_WORDS]), rounds=9
        ),
    }
    spreads = {name: spread(seconds) for name, seconds in rows.items()}
    table(
        [("", "median", "fastest", "p99")]
        + [(k, *(duration(v[s]) for s in ("median_s", "min_s", "p99_s"))) for k, v in spreads.items()]
    )
    print("\ngoals: warm under 5 ms, whole process under 1.2 s")
    publish("text", "python benchmarks/text.py", spreads)


def run(command: list[str]) -> str:
    """Standard output of a command in a home of its own."""
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(command, capture_output=True, text=True, check=True, env=in_home(home)).stdout


if __name__ == "__main__":
    main()
