"""docs/everyday.md shows what benchmarks/everyday.py found for the prompts as they stand."""

import json
import runpy
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_page_is_the_result_and_the_result_is_of_these_prompts(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    script = runpy.run_path(str(BENCHMARKS / "everyday.py"))
    found = json.loads((BENCHMARKS / "results" / "everyday.json").read_text(encoding="utf-8"))
    page = script["PAGE"].read_text(encoding="utf-8")
    assert script["written"](page, script["blocks"](found)) == page, "python benchmarks/everyday.py"
    assert [row["query"] for row in found["choices"]] == [prompt["query"] for prompt in script["prompts"]()]
