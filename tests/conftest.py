"""Shared fixtures: a home of its own for every test, a small checkpoint made of known numbers, released files."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path
from tempfile import mkdtemp

# Before numpy is loaded, here and in every process a test starts: the matrices of these tests are small, and a
# second thread for them only waits for the first, twice as long in all.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings
from support.made_up import DIM, make_checkpoint, make_pool, unit
from support.offers import KEY, KEY_VARIABLE, Offers, offers
from support.postgres import PostgresServer, postgres_server

from r2_router.checkpoints.format import Checkpoint
from r2_router.pools import can, part_tokens, prompt_caches
from r2_router.pools.pool import Pool
from r2_router.pools.profiles import forget as forget_profiles

# No deadline: speed is measured in benchmarks/, not here.
settings.register_profile("whole", deadline=None)
settings.register_profile("fast", settings.get_profile("whole"), max_examples=25)

SMALLEST = "SmolLM2-135M-Instruct"


def pytest_configure(config: pytest.Config) -> None:
    """The fast set tries a quarter of the examples of every property; the whole one, which CI runs, all of them."""
    settings.load_profile("fast" if config.getoption("markexpr") == "not slow" else "whole")


@pytest.fixture(autouse=True, scope="session")
def _compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Where no bytecode is kept, a process that a test starts compiles anew what all of them import."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.dont_write_bytecode and sys.pycache_prefix is None:
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        yield


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def home(_homes: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """No test sees or touches the settings, keys and data of whoever runs it."""
    folder = Path(mkdtemp(dir=_homes))  # pytest's own numbered folders count all earlier ones each time
    for name in list(os.environ):
        keep = ("R2_RELEASE_DIR", "R2_DATA_DIR", "R2_TEST_CACHE", "R2_MODELS_DIR")
        if (name.startswith("R2_") and name not in keep) or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("R2_HOME", str(folder))
    yield folder
    if (folder / "providers.toml").exists():
        forget_profiles()  # they are read once in a process
    if (folder / "prompt_caches.toml").exists():
        prompt_caches.forget()
    if (folder / "part_tokens.toml").exists():
        part_tokens.forget()
    can.forget()


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Offers]:
    """A provider whose key is set and a server on this machine, for setup to find."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with offers(home) as both:
        yield both


@pytest.fixture
def checkpoint() -> Checkpoint:
    return make_checkpoint()


@pytest.fixture
def pool() -> Pool:
    return make_pool()


@pytest.fixture
def vector() -> np.ndarray:
    return unit(np.random.default_rng(7).normal(size=DIM))


@pytest.fixture(scope="session")
def release_dir() -> Path:
    """The released files with their golden routes."""
    folder = os.environ.get("R2_RELEASE_DIR", "")
    if not folder:
        pytest.skip("R2_RELEASE_DIR is not set; `r2-router import release --output DIR` fetches the release itself")
    return Path(folder)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The measured training tables."""
    folder = os.environ.get("R2_DATA_DIR", "")
    if not folder:
        pytest.skip("R2_DATA_DIR is not set; point it at a folder that holds local_sweep.parquet")
    return Path(folder)


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    """A server for all tests of a process."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verified GGUF file: from R2_MODELS_DIR, from R2_TEST_CACHE, or fetched (into R2_TEST_CACHE if set)."""
    from r2_router.local.pull import fetch_weights
    from r2_router.local.weights import find_weights, get_weights

    cache = Path(os.environ.get("R2_TEST_CACHE") or tmp_path_factory.mktemp("weights"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("R2_HOME", str(tmp_path_factory.mktemp("home")))
        for folder in (os.environ.get("R2_MODELS_DIR", ""), str(cache)):
            if folder and (path := find_weights(SMALLEST, folder)):
                return path
        return fetch_weights(get_weights(SMALLEST), cache)
