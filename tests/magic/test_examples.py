"""The notebooks in examples/ run from top to bottom, with a real local model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("default")  # the kernel's client has warnings of its own

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str) -> list[Any]:
    """The code cells of a notebook after it ran; raises where a cell fails."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.slow
def test_the_first_cell(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_MODELS_DIR", str(smollm2.parent))
    cells = run("1_first_cell.ipynb")
    ranking, text, facts = next(cell for cell in cells if "capital of Italy" in cell.source).outputs
    assert "<table" in ranking.data["text/html"]
    assert text.data["text/markdown"].strip()
    assert " tokens" in facts.data["text/plain"]


@pytest.mark.slow
def test_choose_your_trade_off() -> None:
    cells = run("2_choose_your_trade_off.ipynb")
    shown = [output.get("data", {}) for cell in cells for output in cell.outputs]
    assert sum("image/png" in data for data in shown) == 1
    assert sum('<svg class="r2-curve"' in data.get("text/html", "") for data in shown) == 1
    flips = next(cell for cell in cells if "frontier" in cell.source).outputs[0].data["text/plain"]
    assert flips.count("from $") > 1
    agreed = next(cell for cell in cells if "expected = " in cell.source)
    assert agreed.outputs[0].data["text/plain"] == "True"


@pytest.mark.slow
def test_your_own_models(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_MODELS_DIR", str(smollm2.parent))
    *_, easy, hard = run("3_your_own_models.ipynb")
    qualities = [float(re.search(r"(0\.\d\d) ±", cell.outputs[0].data["text/plain"])[1]) for cell in (easy, hard)]
    assert qualities[0] > qualities[1] + 0.3, "the router did not learn what the model can do"


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda file: file.stem)
def test_a_notebook_is_stored_without_outputs(file: Path) -> None:
    import nbformat

    notebook = nbformat.read(file, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
