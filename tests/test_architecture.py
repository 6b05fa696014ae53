"""Imports run downward, never in a circle, and no name stands twice: docs/architecture.md, held against the code."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from floors import CORE, FACES, FLOORS, Import, circles, floor, imports, modules, room, tree

SPEAK_HTTP = ("serving", "gateway")  # the rooms that name what an HTTP server is made of


def upward(found: list[Import]) -> list[Import]:
    """The imports that run from a room into a higher one, or from one face into another."""
    between = [(i, room(i.importer), room(i.imported)) for i in found if room(i.importer) != room(i.imported)]
    return [i for i, above, below in between if above and below and floor(below) >= floor(above)]


def test_every_room_has_a_floor_and_every_floor_a_room() -> None:
    rooms = {room(module) for module in modules()} - {""}
    assert rooms == {*FLOORS, *FACES}


def test_imports_run_downward() -> None:
    assert "\n".join(str(i) for i in upward(imports())) == ""


def test_the_core_imports_no_face_and_nothing_that_only_a_face_needs() -> None:
    theirs = {*FACES, "mcp", "mcp_types", "IPython", "traitlets"}
    http = {"starlette", "uvicorn"}
    named = {
        f"{module} imports {name}"
        for module, file in modules().items()
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Import | ast.ImportFrom) and module.partition(".")[0] == CORE
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        if name.partition(".")[0] in (theirs if room(module) in SPEAK_HTTP else theirs | http)
    }
    assert named == set()


def test_a_room_without_a_floor_is_told_where_to_get_one() -> None:
    with pytest.raises(ValueError, match="add it to FLOORS"):
        floor("cellar")


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles((i.importer, i.imported) for i in imports()) == []


def test_no_folders_within_a_room_import_each_other_in_a_circle() -> None:
    def folder(module: str) -> str:
        return ".".join(module.split(".")[:3]) if module.count(".") > 2 else ""

    between = {(folder(i.importer), folder(i.imported)) for i in imports() if room(i.importer) == room(i.imported)}
    assert circles((a, b) for a, b in between if a and b and a != b) == []


def test_no_name_stands_twice_within_the_core() -> None:
    named = [module for module, file in modules().items() if file.name != "__main__.py" and module != CORE]
    counts = Counter(module.rpartition(".")[2] for module in named if module.startswith(CORE))
    assert {name for name, count in counts.items() if count > 1} == set()


# -- the reading of imports ------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path) -> dict[str, Path]:
    """A core of three modules and a face, with imports of every kind."""
    texts = {
        "r2_router/__init__.py": "from r2_router.router import R2Router as R2Router\n",
        "r2_router/errors.py": "import json\ndef late():\n    from r2_router import R2Router\n",
        "r2_router/pools/__init__.py": "",
        "r2_router/pools/pool.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import r2_router.router\n",
        "r2_router/pools/prices.py": "from . import pool\nfrom ..errors import X\n",
        "r2_router/router.py": "from r2_router import errors\nfrom r2_router.pools import pool, prices\n",
        "r2_mcp/__init__.py": "from r2_router import R2Router\nimport r2_magic\n",
        "r2_magic/__init__.py": "import r2_router\n",
    }
    files: dict[str, Path] = {}
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        files[".".join(Path(name).with_suffix("").parts).removesuffix(".__init__")] = path
    return files


def test_every_kind_of_import_is_seen_and_a_name_handed_on_counts_for_its_home(house: dict[str, Path]) -> None:
    found = {(i.importer, i.imported, i.line) for i in imports(house)}
    assert found == {
        ("r2_router", "r2_router.router", 1),
        ("r2_router.errors", "r2_router.router", 3),
        ("r2_router.pools.pool", "r2_router.router", 3),
        ("r2_router.pools.prices", "r2_router.pools.pool", 1),
        ("r2_router.pools.prices", "r2_router.errors", 2),
        ("r2_router.router", "r2_router.errors", 1),
        ("r2_router.router", "r2_router.pools.pool", 2),
        ("r2_router.router", "r2_router.pools.prices", 2),
        ("r2_mcp", "r2_router.router", 1),
        ("r2_mcp", "r2_magic", 2),
        ("r2_magic", "r2_router", 1),
    }


def test_what_runs_upward_or_from_face_to_face_is_found(house: dict[str, Path]) -> None:
    wrong = {(i.importer, i.imported) for i in upward(imports(house))}
    assert wrong == {
        ("r2_router.errors", "r2_router.router"),
        ("r2_router.pools.pool", "r2_router.router"),
        ("r2_mcp", "r2_magic"),
    }


def test_circles_are_found_whole() -> None:
    assert circles([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e")]) == [["a", "b", "c"]]
    assert circles([("a", "b"), ("b", "d"), ("a", "c"), ("c", "d")]) == []
