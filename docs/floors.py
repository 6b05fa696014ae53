"""The floors of the house: which room stands on which, and who imports whom.

The list FLOORS is the only one: `python docs/house.py` draws it, docs/architecture.md shows it,
tests/test_architecture.py holds every import against it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CORE = "r2_router"
FACES = ("r2_mcp", "r2_magic")

# From the ground up. A room is a folder or a file of r2_router; it may import from the floors below its own.
FLOORS: Mapping[str, str] = {
    "errors": "the exceptions a user can meet",
    "plugins": "embedders and graders of other packages",
    "records": "what all data classes share, budgets, JSON",
    "acting": "whose request is being answered",
    "arrays": "the arrays everything is computed in",
    "words": "numbers as people read them",
    "pages": "HTML that reads in light and dark, what comes from outside as text",
    "config": "settings, keys, folders, TOML with line numbers",
    "net": "connections, downloads, loopback, Retry-After",
    "serving": "HTTP: sockets, who may ask, how much",
    "pools": "models, prices, availability",
    "checkpoints": "heads as they are stored, the released pickles",
    "routing": "predictions, candidates, filters, decision, explanation",
    "local": "weights and llama.cpp servers on this machine",
    "embedders": "text to unit vectors",
    "generate": "the one client of the chat API",
    "setup": "a pool of one's own from keys and servers that are here",
    "ledger": "decisions and answers on disk, spending limits",
    "batches": "many prompts, routed or answered",
    "deciders": "whose heads decide: learned from use, or the prior for models nobody measured",
    "router": "R2Router: the parts put together",
    "show": "decisions and answers in words and tables",
    "lab": "collect, grade, train, evaluate",
    "cluster": "a batch on the machines of a Ray cluster",
    "gateway": "chat APIs that programs speak, answered",
    "cli": "the command r2-router",
}


# -- who imports whom ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Import:
    """One module names another: `importer` and `imported` are dotted names, `line` the importer's."""

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported} (line {self.line})"


def modules() -> dict[str, Path]:
    """Every module of the three packages: dotted name -> file."""
    found: dict[str, Path] = {}
    for package in (CORE, *FACES):
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def room(module: str) -> str:
    """The room of a module: the folder or file of r2_router it stands in, or the face; "" for r2_router itself."""
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] if top == CORE else top


def floor(name: str) -> int:
    """How high a room stands: 0 is the ground; both faces are on top. Raises ValueError for one without a floor."""
    if name in FACES:
        return len(FLOORS)
    if name not in FLOORS:
        raise ValueError(f"{CORE}/{name} stands on no floor: add it to FLOORS in docs/floors.py.")
    return list(FLOORS).index(name)


def imports(files: Mapping[str, Path] | None = None) -> list[Import]:
    """Every import between `files` (default: all modules), also under TYPE_CHECKING and inside functions.

    A name that r2_router only hands on counts as an import of the module it comes from.
    """
    files = modules() if files is None else files
    handed_on = {name: home for name, home, _ in _named(CORE, files)} if CORE in files else {}
    found: list[Import] = []
    for module in files:
        for name, home, line in _named(module, files):
            imported = handed_on.get(name, home) if home == CORE and module != CORE else home
            if imported != module:
                found.append(Import(module, imported, line))
    return found


def _named(module: str, files: Mapping[str, Path]) -> Iterator[tuple[str, str, int]]:
    """What a module's imports bind: name, the module among `files` it comes from, line."""
    file = files[module]
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in files:
                    yield alias.name, alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                home = whole if whole in files else base
                if home in files:
                    yield alias.name, home, node.lineno


@cache
def tree(file: Path) -> ast.Module:
    """The syntax of a module, read once."""
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def circles(edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The groups of names that reach each other, each sorted (Tarjan's strongly connected components)."""
    targets: dict[str, list[str]] = {}
    for start, end in edges:
        targets.setdefault(start, []).append(end)
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for target in targets.get(name, ()):
            if target not in order:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], order[target])
        if low[name] == order[name]:
            at = stack.index(name)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1:
                found.append(sorted(group))

    for name in targets:
        if name not in order:
            visit(name)
    return sorted(found)
