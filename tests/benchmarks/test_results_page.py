"""The figures in the README and in docs/results.md are those of benchmarks/results/."""

import runpy
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_figures_shown_are_the_ones_measured(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    page = runpy.run_path(str(BENCHMARKS / "results_page.py"))
    known = page["blocks"]()
    for path in page["PAGES"]:
        text = path.read_text(encoding="utf-8")
        assert "<!-- end -->" in text
        assert page["written"](text, known) == text, f"{path.name} is behind: python benchmarks/results_page.py"
