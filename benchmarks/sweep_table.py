"""The larger sweep's table, with and without third-party text.

    python benchmarks/sweep_table.py strip COLLECTION     a finished collection -> benchmarks/results/sweep.parquet
    R2_DATA_DIR=FOLDER python benchmarks/sweep_table.py join OUTPUT.parquet     the way back, to train and evaluate on

What is committed holds the text of our own queries only; the exam questions are ids and numbers, their text comes from
exam_queries.parquet in FOLDER.
"""

import os
import sys
import tempfile
from pathlib import Path

from pyarrow import parquet

from r2_router.lab.data.read import read_table
from r2_router.lab.data.table import Table

COMMITTED = Path(__file__).parent / "results" / "sweep.parquet"
OURS = "made-"


def strip(collection: Path) -> None:
    """Write the committed table of a collection: no text but ours, every complete query."""
    table = parquet.read_table(collection / "table.parquet")
    ids, texts = table.column("query_id").to_pylist(), table.column("query").to_pylist()
    counts: dict[str, int] = {}
    for name in ids:
        counts[name] = counts.get(name, 0) + 1
    whole = max(counts.values())
    kept = [i for i, name in enumerate(ids) if counts[name] == whole]
    ours = [text if name.startswith(OURS) else None for name, text in zip(ids, texts, strict=True)]
    table = table.set_column(table.column_names.index("query"), table.schema.field("query"), [ours]).take(kept)
    parquet.write_table(table, COMMITTED, compression="zstd")
    print(f"{COMMITTED}: {len(kept):,} rows, {len(kept) // whole:,} queries x {whole} candidates")


def joined(folder: Path):
    """The whole table, an Arrow table, with the exam's texts out of `folder`."""
    table = parquet.read_table(COMMITTED)
    exam = parquet.read_table(folder / "exam_queries.parquet", columns=["query_id", "query"]).to_pydict()
    known = dict(zip(exam["query_id"], exam["query"], strict=True))
    pairs = zip(table.column("query_id").to_pylist(), table.column("query").to_pylist(), strict=True)
    texts = [text if text is not None else known[name] for name, text in pairs]
    return table.set_column(table.column_names.index("query"), table.schema.field("query"), [texts])


def sweep_table(folder: Path) -> Table:
    """The whole table, as training reads it."""
    with tempfile.TemporaryDirectory() as made:
        parquet.write_table(joined(folder), Path(made) / "sweep.parquet")
        return read_table(Path(made) / "sweep.parquet")


def main() -> None:
    match sys.argv[1:]:
        case ["strip", collection]:
            strip(Path(collection))
        case ["join", output] if os.environ.get("R2_DATA_DIR"):
            parquet.write_table(joined(Path(os.environ["R2_DATA_DIR"])), output)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
