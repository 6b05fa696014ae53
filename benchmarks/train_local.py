"""Retrains checkpoints/local: `R2_DATA_DIR=FOLDER python benchmarks/train_local.py [OUTPUT]`.

FOLDER holds exam_queries.parquet. What it does is `sweep_table.py join` and `r2-router train`; on one machine the same
files come out, byte for byte.
"""

import os
import sys
import tempfile
from pathlib import Path

from pyarrow import parquet
from sweep_table import joined

from r2_router.cli import main as command
from r2_router.config.folders import shipped


def main() -> None:
    data = os.environ.get("R2_DATA_DIR", "")
    if not data:
        sys.exit("R2_DATA_DIR is not set; point it at the folder that holds exam_queries.parquet.")
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else shipped("checkpoints") / "local"
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "sweep.parquet"
        parquet.write_table(joined(Path(data)), table)
        card = Path(__file__).with_name("local_card.toml")
        options = ["--pool", "local", "--name", "local", "--card", str(card), "--output", str(output), "--force"]
        options += ["--penalty-by", "queries"]  # its kinds are those of everyday exams: see results/penalty.json
        sys.exit(command(["train", "--data", str(table), *options]))


if __name__ == "__main__":
    main()
