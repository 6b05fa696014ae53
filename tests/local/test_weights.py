"""Which weights there are, and when a file counts as them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest

from r2_router.errors import ConfigError
from r2_router.local.weights import (
    Weights,
    absence,
    find_weights,
    get_weights,
    is_verified,
    known_weights,
    weights_folder,
)
from r2_router.pools.pool import load_pool

BODY = b"GGUF" + bytes(range(256)) * 40


@pytest.fixture
def tiny() -> Weights:
    return Weights(
        name="tiny",
        file="tiny.gguf",
        size_bytes=len(BODY),
        sha256=hashlib.sha256(BODY).hexdigest(),
        context_bytes_per_token=1,
        license="MIT",
        urls=(),
    )


def test_every_shipped_entry_can_be_fetched_and_checked() -> None:
    entries = list(known_weights().values())
    assert len({w.file for w in entries}) == len({w.sha256 for w in entries}) == len(entries) == 3
    for weights in entries:
        assert re.fullmatch(r"[0-9a-f]{64}", weights.sha256)
        assert weights.size_bytes > 50_000_000
        assert weights.context_bytes_per_token > 10_000
        assert weights.urls
        for url in weights.urls:
            assert url.startswith("https://huggingface.co/")
            assert url.endswith(f"/{weights.file}")


def test_the_local_pool_names_weights_that_exist() -> None:
    assert {model.weights for model in load_pool("local")} == set(known_weights())


def test_a_name_is_known_in_any_case_and_an_unknown_one_is_told_the_others() -> None:
    assert get_weights("smolLM2-135m-instruct").name == "SmolLM2-135M-Instruct"
    with pytest.raises(ConfigError, match=r"No weights 'llama'\. Known: SmolLM2-135M-Instruct, "):
        get_weights("llama")


def test_only_the_very_file_counts(tiny: Weights, tmp_path: Path) -> None:
    path = tmp_path / tiny.file
    assert not is_verified(path, tiny)
    path.mkdir()
    assert not is_verified(path, tiny)
    path.rmdir()
    path.write_bytes(BODY[:-1] + b"?")
    assert not is_verified(path, tiny)
    path.write_bytes(BODY + b"?")
    assert not is_verified(path, tiny)
    path.write_bytes(BODY)
    assert is_verified(path, tiny)


def test_a_file_is_hashed_once_until_it_changes(tiny: Weights, tmp_path: Path) -> None:
    path = tmp_path / tiny.file
    path.write_bytes(BODY)
    assert is_verified(path, tiny)
    before = path.stat()
    path.write_bytes(bytes(len(BODY)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert is_verified(path, tiny)  # not read again: size and time are the same
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert not is_verified(path, tiny)


def test_a_data_folder_that_cannot_be_written_costs_a_hash_and_nothing_else(
    tiny: Weights, tmp_path: Path, home: Path
) -> None:
    path = tmp_path / tiny.file
    path.write_bytes(BODY)
    (home / "data").write_text("a file where the folder should be")
    assert is_verified(path, tiny)
    path.write_bytes(bytes(len(BODY)))
    assert not is_verified(path, tiny)


@pytest.mark.slow
def test_the_users_folder_comes_first_and_a_wrong_file_there_is_passed_over(smollm2: Path, tmp_path: Path) -> None:
    assert find_weights("SmolLM2-135M-Instruct") is None
    weights_folder().mkdir(parents=True)
    pulled = weights_folder() / smollm2.name
    pulled.symlink_to(smollm2)
    assert find_weights("SmolLM2-135M-Instruct", str(smollm2.parent)) == smollm2
    assert find_weights("SmolLM2-135M-Instruct") == pulled
    (tmp_path / smollm2.name).write_bytes(b"something else")
    assert find_weights("SmolLM2-135M-Instruct", str(tmp_path)) == pulled


def test_absence_says_what_is_wrong_and_which_command_helps(tiny: Weights, tmp_path: Path) -> None:
    assert "not on this machine" in absence(tiny, str(tmp_path))
    assert "r2-router models pull tiny" in absence(tiny, str(tmp_path))
    (tmp_path / tiny.file).write_bytes(b"another")
    assert absence(tiny, str(tmp_path)).startswith(f"{tmp_path / tiny.file} is not the file")
