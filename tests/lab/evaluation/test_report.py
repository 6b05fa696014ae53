"""The page and the files: whole, escaped, and in need of nothing else."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser

import pytest
from support.made_up_table import LAB_POOL, make_lab

from r2_router.checkpoints.format import EmbedderInfo, Instruction
from r2_router.lab.evaluation.assessment import evaluate
from r2_router.lab.evaluation.report import write_report
from r2_router.lab.learning.training import train
from r2_router.pools.pool import Pool

pytestmark = pytest.mark.slow

HOSTILE = "<script>alert('x')</script>&\"$x_1$"
LEARN = partial(train, embedder=EmbedderInfo("e", 6), instruction=Instruction("Under {words} words."), name="made-up")


@pytest.fixture(scope="module")
def report():
    """An evaluation of a table whose model and category have hostile names."""
    table, vectors = make_lab(80)
    table = replace(
        table,
        candidates=tuple((HOSTILE if model == "large" else model, budget) for model, budget in table.candidates),
        categories=tuple(HOSTILE if name == "odd" else name for name in table.categories),
    )
    large = replace(LAB_POOL.models["large"], name=HOSTILE)
    return evaluate(
        table, vectors, Pool("lab", {"small": LAB_POOL.models["small"], HOSTILE: large}), LEARN, seeds=1, ood=True
    ).report


class Page(HTMLParser):
    """Tags, attributes that load something, and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loaded, self.text = set(), [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.loaded += [v for k, v in attrs if k in ("src", "href", "xlink:href") and not (v or "").startswith("#")]

    def handle_data(self, data):
        self.text.append(data)


def test_the_folder_holds_page_numbers_and_pictures(report, tmp_path):
    assert write_report(report, tmp_path / "new" / "folder") == []
    folder = tmp_path / "new" / "folder"
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == report
    for name in ("deferral", "calibration"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert ET.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")


def test_the_page_needs_nothing_else_and_runs_nothing(report, tmp_path):
    write_report(report, tmp_path)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "svg" in page.tags
    assert not {"script", "link", "img", "iframe"} & page.tags
    assert page.loaded == []
    assert HOSTILE in page.text  # as text, exactly
    assert report["verdict"] in page.text


def test_without_matplotlib_everything_else_is_written(report, tmp_path, monkeypatch):
    import r2_router.lab.evaluation.plots as plots

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(plots, "import_module", missing)
    (said,) = write_report(report, tmp_path)
    assert "r2-mcp[lab]" in said
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert report["verdict"] in Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
