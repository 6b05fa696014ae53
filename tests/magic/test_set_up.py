"""`%r2 setup`: the proposal in a notebook, nothing asked, written with --yes; then cells use it."""

from __future__ import annotations

import warnings
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.offers import KEY, REPLY, Offers, entry

from r2_magic.first_use import bar_of
from r2_router.errors import NoCandidateError
from r2_router.local.weights import weights_folder
from r2_router.pools.pool import load_pool


@pytest.fixture
def notebook(bare_shell: Any, here: Offers) -> Any:
    """A shell with the magic and nothing set up."""
    assert bare_shell.run("%load_ext r2_magic").error is None
    return bare_shell


def test_the_proposal_is_shown_and_nothing_written(notebook: Any, here: Offers, home: Path) -> None:
    ran = notebook.run("%r2 setup")
    assert ran.error is None
    assert "`%r2 setup --yes` writes it" in ran.printed
    (bundle,) = ran.bundles
    assert "<table" in bundle["text/html"]
    assert "<svg" in bundle["text/html"]
    assert "<title>gemini-4-argon: 1524, $0.0132;" in bundle["text/html"]
    assert "gemini-4-argon" in bundle["text/plain"]
    assert KEY not in str(bundle) + ran.printed
    assert not (home / "pools").exists()
    assert all(exchange.path == "/v1/models" for exchange in here.hosted.requests)


def test_markup_in_a_listed_name_is_no_markup(notebook: Any, here: Offers) -> None:
    here.hosted_list.body = {"data": [entry("x/<img src=x onerror=alert(1)>", 1, 2), entry('x/"><script>', 1, 3)]}
    (bundle,) = notebook.run("%r2 setup --models x*").bundles
    assert "<img" not in bundle["text/html"]
    assert "<script" not in bundle["text/html"]
    assert "&lt;img src=x onerror=alert(1)&gt;" in bundle["text/html"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--models no-such", "None of the"),
        ("--name ../x", "cannot be the name of a pool"),
        ("--base-url nonsense", "must be an address"),
        ("--nonsense", "unrecognized arguments"),
    ],
)
def test_what_cannot_be_meant_is_one_line(notebook: Any, line: str, said: str) -> None:
    ran = notebook.run(f"%r2 setup {line}")
    assert ran.error is not None
    assert said in str(ran.error)


def test_without_a_model_the_first_cell_says_how_to_begin(notebook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = notebook.run("%%r2\nhello")
    assert isinstance(ran.error, NoCandidateError)
    [line] = (ran.printed + ran.errors).strip().splitlines()
    assert "`%r2 setup`" in line
    if find_spec("xllamacpp"):
        assert "`%r2 pull` fetches the smallest model that runs here, SmolLM2-135M-Instruct" in line


def test_pull_takes_what_is_here_and_names_what_there_is(notebook: Any, smollm2: Path) -> None:
    assert "Known: " in str(notebook.run("%r2 pull no-such").error)
    weights_folder().mkdir(parents=True, exist_ok=True)
    (weights_folder() / smollm2.name).symlink_to(smollm2)
    ran = notebook.run("%r2 pull SmolLM2-135M-Instruct")
    assert ran.error is None
    assert str(weights_folder() / smollm2.name) in ran.printed
    if find_spec("xllamacpp"):
        assert "Nothing is missing" in str(notebook.run("%r2 pull").error)


def test_the_bar_of_a_pull_ends_full(notebook: Any, capsys: pytest.CaptureFixture[str]) -> None:
    progress = bar_of(100)
    for done in (0, 50, 100):
        progress(done, None)
    assert "100/100" in capsys.readouterr().out


def test_help_lists_the_options_of_the_command_line(notebook: Any) -> None:
    ran = notebook.run("%r2 setup --help")
    assert ran.error is None
    assert all(option in ran.printed for option in ("--yes", "--models", "--name", "--base-url"))


@pytest.mark.slow
def test_with_yes_it_is_written_answers_and_is_used_by_the_next_cell(notebook: Any) -> None:
    ran = notebook.run("%r2 setup --yes")
    assert ran.error is None
    assert "the default pool now" in ran.printed
    assert any(REPLY in str(bundle) for bundle in [*ran.bundles, ran.printed])
    asked = notebook.run("%%r2\nWhat is the capital of Italy?")
    assert asked.error is None
    assert asked.result.model in load_pool("mine").models


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_saved_notebook_from_setup_to_answer(here: Offers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    with suppress(DeprecationWarning), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nbformat
        from nbclient import NotebookClient
    cells = ["%load_ext r2_magic", "%r2 setup --yes", "%%r2\nWhat is the capital of Italy?", "print(_.model)"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(made, timeout=120, kernel_name="python3").execute()
    proposal = next(output for output in made.cells[1].outputs if "text/html" in output.get("data", {}))
    assert "<svg" in proposal.data["text/html"]
    assert made.cells[3].outputs[0].text.strip() in load_pool("mine").models
    assert KEY not in nbformat.writes(made)
