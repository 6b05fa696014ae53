"""The figures in the README and in docs/results.md are those of benchmarks/results/."""

import runpy


def test_the_figures_shown_are_the_ones_measured(benchmarks):
    page = runpy.run_path(str(benchmarks / "results_page.py"))
    known = page["blocks"]()
    for path in page["PAGES"]:
        text = path.read_text(encoding="utf-8")
        assert "<!-- end -->" in text
        assert page["written"](text, known) == text, f"{path.name} is behind: python benchmarks/results_page.py"
