"""What the project says of itself in several files is the same in each, and its links lead somewhere."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from pathlib import Path

import pytest

import r2_magic
import r2_router
from r2_router import errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("*.md")), *sorted((ROOT / ".github").rglob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []


def test_every_file_has_a_name_that_each_system_can_hold() -> None:
    folders = [file for file in ROOT.iterdir() if file.is_dir() and re.fullmatch(r"\.?[a-z]\w+", file.name)]
    files = [*ROOT.iterdir(), *(file for folder in folders if folder.name != ".git" for file in folder.rglob("*"))]
    assert [file.name for file in files if re.search(r'[<>:"|?*\\]', file.name)] == []


def test_every_page_stands_in_the_sites_contents_once() -> None:
    blocks = re.findall(r"```{toctree}\n(.*?)```", read("docs/index.md"), re.DOTALL)
    listed = [line for block in blocks for line in block.splitlines() if re.fullmatch(r"[a-z_]+", line)]
    assert sorted(listed) == sorted(page.stem for page in DOCS.glob("*.md") if page.stem != "index")


def test_every_public_name_stands_in_the_api_page_and_has_a_docstring() -> None:
    page = read("docs/api.md")
    for package in (r2_router, r2_magic):
        for name in package.__all__:
            listed = name in vars(errors) and ".. automodule:: r2_router.errors" in page
            assert listed or re.search(rf"^\.\. auto\w+:: {name}$", page, re.MULTILINE), name
            assert getattr(package, name).__doc__, name


def test_one_owner_everywhere() -> None:
    owner, name = re.fullmatch(r"https://github\.com/([\w-]+)/([\w-]+)", PROJECT["urls"]["Homepage"]).groups()
    server = json.loads(read("server.json"))
    assert server["name"] == f"io.github.{owner}/{name}"
    assert f"mcp-name: {server['name']}" in read("README.md")
    named = {
        url for page in PAGES for url in re.findall(r"https://github\.com/([\w-]+/r2-mcp)", page.read_text("utf-8"))
    }
    assert named <= {f"{owner}/{name}"}
    for url in PROJECT["urls"].values():
        assert f"{owner}/{name}" in url or f"{owner}.github.io/{name}" in url


def test_ci_runs_every_python_that_is_promised() -> None:
    promised = set(re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"])))
    listed = re.search(r"python: \[(.*)\]", read(".github/workflows/ci.yml"))
    assert listed is not None
    assert set(re.findall(r"3\.\d+", listed[1])) == promised
    assert PROJECT["requires-python"] == f">={min(promised, key=lambda v: int(v[2:]))}"


# -- a release -------------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (tmp_path / "server.json").write_text('{"version": "1.2.0", "packages": [{"version": "1.2.0"}]}')
    (tmp_path / "CHANGELOG.md").write_text(
        "## [Unreleased]\n\n## [1.2.0] - 2026-12-01\n\n- New.\n\n## [1.1.0] - 2026-11-01\n"
    )
    return tmp_path


def notes(tag: str, root: Path) -> str:
    return runpy.run_path(str(ROOT / ".ci" / "release_notes.py"))["notes"](tag, root)


def test_the_notes_of_a_release_are_its_section(root: Path) -> None:
    assert notes("v1.2.0", root) == "- New."


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("pyproject.toml", '[project]\nversion = "1.2.1"\n', "pyproject.toml says 1.2.1, the tag says 1.2.0"),
        ("server.json", '{"version": "1.2.0", "packages": [{"version": "1.1.0"}]}', "server.json, packages says 1.1.0"),
        ("CHANGELOG.md", "## [Unreleased]\n\n- New.\n", "CHANGELOG.md has no section"),
        (
            "CHANGELOG.md",
            "## [1.2.0] - 2026-12-01\n\n## [1.1.0] - 2026-11-01\n\n- Old.\n",
            "CHANGELOG.md has no section",
        ),
    ],
)
def test_a_release_whose_files_disagree_is_refused(root: Path, file: str, text: str, said: str) -> None:
    (root / file).write_text(text)
    with pytest.raises(SystemExit, match=re.escape(said)):
        notes("v1.2.0", root)


def test_the_versions_agree_now_and_changes_are_collected() -> None:
    server = json.loads(read("server.json"))
    assert PROJECT["version"] == server["version"] == server["packages"][0]["version"]
    assert "\n## [Unreleased]\n" in read("CHANGELOG.md")
