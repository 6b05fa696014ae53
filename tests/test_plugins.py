"""Embedders and graders of other packages: the example plugin, installed for real and used from the command line."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest
from support.chat_server import chat_server, says
from support.collecting import write_inputs
from uv import find_uv_bin

from r2_router import R2Router
from r2_router.embedders import make_embedder
from r2_router.errors import EmbedderError, InputError
from r2_router.lab.grading import make_grader

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder the example is installed into, without a network: its build backend is part of uv."""
    target = tmp_path_factory.mktemp("plugins")
    command = [find_uv_bin(), "pip", "install", "--offline", "--no-deps", "--python", sys.executable]
    env = {**os.environ, "UV_CACHE_DIR": str(tmp_path_factory.mktemp("uv"))}
    example = str(ROOT / "examples" / "plugin")
    subprocess.run([*command, "--target", str(target), example], check=True, capture_output=True, env=env)
    return target


def command(installed: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(installed), str(ROOT)))}
    line = [sys.executable, "-m", "r2_router.cli", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env=env, check=False)


def write_table(file: Path) -> Path:
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("query_id", "query", "model", "budget", "quality", "output_tokens"))
        for i in range(40):
            text = f"What is {i} + {i}?" if i % 2 else f"Sing of garden {i}"
            for model in ("a", "b"):
                writer.writerow((i, text, model, "", 0.9 if (model == "a") == bool(i % 2) else 0.1, 30))
    return file


def test_a_checkpoint_learned_with_a_plugins_embedder_routes_with_it(installed: Path, tmp_path: Path) -> None:
    _, pool = write_inputs(tmp_path, "http://localhost:9/v1", 1)
    table = write_table(tmp_path / "table.csv")
    options = ("--pool", pool, "--output", tmp_path / "heads", "--no-evaluate")
    trained = command(installed, "train", "--data", table, "--embedder", "trigrams:64", *options)
    assert trained.returncode == 0, trained.stderr
    assert json.loads((tmp_path / "heads" / "checkpoint.json").read_text())["embedder"]["id"] == "trigrams:64"
    routed = command(installed, "route", "What is 3 + 3?", "--checkpoint", tmp_path / "heads", "--pool", pool, "--json")
    assert json.loads(routed.stdout)["model"] == "a", routed.stderr
    with pytest.raises(EmbedderError, match="The embedder trigrams:64 needs a server"):  # here it is not installed
        R2Router.from_pretrained(tmp_path / "heads", pool=str(pool)).route_text("What is 3 + 3?")


def test_answers_are_graded_by_a_plugin(installed: Path, tmp_path: Path) -> None:
    with chat_server(says('{"name": "Ada", "born": 1815}')) as server:
        queries, pool = write_inputs(tmp_path, server.url, 2)
        asked = ("--queries", queries, "--pool", pool, "--budgets", "20", "--output", tmp_path / "out", "--json")
        done = command(installed, "collect", *asked, "--grader", "json-keys:name,died")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)["counts"]
    assert (counts["graded"], counts["mean_quality"]) == (4, 0.5)


def test_what_a_plugin_cannot_use_it_says(installed: Path, tmp_path: Path) -> None:
    done = command(installed, "train", "--data", write_table(tmp_path / "t.csv"), "--no-evaluate",
                   "--embedder", "trigrams:many", "--output", tmp_path / "heads")  # fmt: skip
    assert done.returncode == 1
    assert "trigrams:DIM needs a number of dimensions, not 'many'." in done.stderr


# -- faults, with plugins written by hand --------------------------------------------------------------------

MODULE = """
class Named:
    id, local, max_chars = "other", True, 100
    def embed(self, texts): ...
class Right(Named):
    def __init__(self, rest): self.id = "right:" + rest
def named(rest): return Named()
def bare(rest): return object()
def broken(rest): raise KeyError("no such thing")
def refusing(rest):
    from r2_router.errors import EmbedderError
    raise EmbedderError("Say which.")
"""
POINTS = ("right = hand_made:Right", "named = hand_made:named", "bare = hand_made:bare", "broken = hand_made:broken",
          "refusing = hand_made:refusing", "absent = hand_made:nobody", "gone = nowhere_at_all:make",
          "use-multilingual-v3 = hand_made:broken")  # fmt: skip


def write_package(folder: Path, name: str, points: dict[str, tuple[str, ...]]) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    groups = [f"[{group}]\n" + "\n".join(lines) for group, lines in points.items()]
    (info / "entry_points.txt").write_text("\n".join(groups) + "\n")


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hand_made.py").write_text(MODULE)
    groups = dict.fromkeys(("r2_router.embedders", "r2_router.graders"), POINTS)
    write_package(tmp_path, "hand_made", groups)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "hand_made", raising=False)
    invalidate_caches()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("named", "must be 'named' or begin with 'named:'"),
        ("bare", r"The plugin 'bare' \(hand_made:bare of hand_made\) made object, which lacks id, local, max_chars"),
        ("broken", "cannot be loaded: KeyError: 'no such thing'. Update or uninstall it"),
        ("refusing", "^Say which.$"),
        ("absent", "The plugin 'absent' .*cannot be loaded: AttributeError"),
        ("gone", "The plugin 'gone' .*cannot be loaded: ModuleNotFoundError: No module named 'nowhere_at_all'"),
    ],
)
def test_a_faulty_embedder_is_named(by_hand: Path, name: str, words: str) -> None:
    with pytest.raises(EmbedderError, match=words):
        make_embedder(name, url="http://localhost:9")


def test_a_faulty_grader_is_named_and_others_still_work(by_hand: Path) -> None:
    with pytest.raises(InputError, match=r"'broken' .*cannot be loaded: KeyError"):
        make_grader("broken")
    with pytest.raises(InputError, match="made object, which lacks id, check, grade"):
        make_grader("bare:x")
    with pytest.raises(InputError, match=r"No grader 'guess'. Choose choice, .*, auto, absent, bare, broken"):
        make_grader("guess")
    assert make_grader("auto").id.startswith("auto:choice/")


def test_a_plugin_gets_what_stands_after_the_colon_and_replaces_nothing_of_ours(by_hand: Path) -> None:
    assert make_embedder("right:a:b").id == "right:a:b"
    assert type(make_embedder("use-multilingual-v3")).__name__ == "UseEmbedder"


def test_two_packages_of_one_name_are_refused(by_hand: Path) -> None:
    write_package(by_hand, "second", {"r2_router.embedders": ("right = hand_made:named",)})
    invalidate_caches()
    with pytest.raises(EmbedderError, match=r"Two plugins are called 'right' .* of hand_made and .* of second"):
        make_embedder("right")
