"""`r2-router import`, from a directory, a mirror and the pinned release."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.file_server import FileServer, file_server, status
from support.release_fixture import MODELS, model_folder, pin, write_release

from r2_router.checkpoints import release as upstream  # the fixtures are called release
from r2_router.checkpoints.format import Checkpoint
from r2_router.cli import import_
from r2_router.errors import CheckpointError, DownloadError, InputError
from r2_router.net import download


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    write_release(folder)
    return folder


@pytest.fixture
def server(release: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """The made-up release on loopback, pinned in place of the real one."""
    monkeypatch.setattr(download, "_BACKOFF_SECONDS", 0.0)
    with file_server() as running:
        pinned = pin(release, running.folder(release))
        monkeypatch.setattr(upstream, "pinned_release", lambda: pinned)
        yield running


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    import_.register(parser.add_subparsers())
    args = parser.parse_args(["import", *map(str, arguments)])
    return args.run(args)


def test_a_directory_becomes_a_checkpoint(release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "my checkpoint"
    assert run(release, "--output", output) == 0
    assert Checkpoint.load(output).models == MODELS
    out, err = capsys.readouterr()
    assert out == (
        f"Wrote {output}: 3 models, 12 candidates. Next: "
        f"r2-router route \"...\" --checkpoint '{output}' --embed-url http://localhost:8000\n"
    )
    assert "not the files of the pinned release" in err


def test_release_is_fetched_into_the_users_data(
    server: FileServer, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("release", "--output", tmp_path / "out") == 0
    assert Checkpoint.load(tmp_path / "out").data_card["commit"] == "0" * 40
    assert (home / "data" / "release" / ("0" * 40) / "config.json").is_file()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1] == "10/10 config.json"
    before = len(server.requests)
    assert run("release", "--output", tmp_path / "again") == 0
    assert len(server.requests) == before  # everything was there already


def test_a_url_is_fetched_and_checked(server: FileServer, tmp_path: Path) -> None:
    assert run(server.url(), "--output", tmp_path / "out") == 0
    assert Checkpoint.load(tmp_path / "out").models == MODELS


def test_a_terminal_gets_a_bar(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    assert run("release", "--output", tmp_path / "out") == 0
    assert "fetching the release" in terminal.getvalue()
    assert "10/10" in terminal.getvalue()
    assert capsys.readouterr().out.startswith("Wrote ")


def test_an_unreachable_release_leaves_no_checkpoint(server: FileServer, tmp_path: Path) -> None:
    server.on("/config.json", status(404))
    with pytest.raises(DownloadError, match=r"config\.json could not be fetched"):
        run("release", "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_directory_in_use_is_kept_without_force(release: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(InputError, match=r"is not empty.*--force"):
        run(release, "--output", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]
    assert run(release, "--output", tmp_path, "--force") == 0
    assert Checkpoint.load(tmp_path).models == MODELS
    assert (tmp_path / "mine").read_text() == "kept"


def test_an_empty_directory_is_used(release: Path, tmp_path: Path) -> None:
    assert run(release, "--output", tmp_path) == 0


def test_an_output_that_cannot_be_a_directory_is_named(release: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        run(release, "--output", tmp_path / "file")
    with pytest.raises(InputError, match=r"cannot be written: .*Choose another --output"):
        run(release, "--output", tmp_path / "file" / "below")


def test_what_is_no_release_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        run(tmp_path / "missing", "--output", tmp_path / "out")
    with pytest.raises(DownloadError, match="only https://"):
        run("http://example.com/r2_router", "--output", tmp_path / "out")


def test_models_without_files_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_release(tmp_path / "release", models=["one", "two"])
    model_folder(tmp_path / "release", "two").rename(tmp_path / "elsewhere")
    assert run(tmp_path / "release", "--output", tmp_path / "out") == 0
    assert "note: no files for two; left out" in capsys.readouterr().err
