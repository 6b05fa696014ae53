"""What keeps a local model from answering, and the command that changes it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from r2_router.config.settings import Settings
from r2_router.errors import LocalModelError
from r2_router.local.memory import available_bytes, container_bytes
from r2_router.local.readiness import _find_runtime, readiness
from r2_router.local.servers import LocalServers
from r2_router.pools.model import Model


def test_a_model_with_its_weights_here_is_ready(model: Model, settings: Settings) -> None:
    assert readiness(model, settings) == ""


def refused(model: Model, settings: Settings) -> str:
    """The reason, which is also what starting it raises."""
    reason = readiness(model, settings)
    with pytest.raises(LocalModelError) as caught:
        LocalServers(settings).address(model)
    assert str(caught.value) == f"{model.name}: {reason}."
    return reason


def test_absent_weights_name_the_pull(model: Model, tmp_path: Path) -> None:
    reason = refused(model, Settings(models_dir=str(tmp_path)))
    assert reason.endswith("r2-router models pull SmolLM2-135M-Instruct (98 MB)")


def test_another_file_of_that_name_is_named(model: Model, smollm2: Path, tmp_path: Path) -> None:
    (tmp_path / smollm2.name).write_bytes(b"another quantisation")
    assert str(tmp_path / smollm2.name) in refused(model, Settings(models_dir=str(tmp_path)))


def test_the_missing_extra_is_named(model: Model, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _find_runtime.cache_clear()
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if not Path(folder, "xllamacpp").exists()])
    assert 'pip install "r2-mcp[local]"' in refused(model, settings)


def test_weights_nobody_knows_are_a_reason_too(model: Model, settings: Settings) -> None:
    assert "No weights 'mine'. Known: SmolLM2" in refused(replace(model, weights="mine"), settings)


def test_a_model_that_is_nowhere_and_one_switched_off(model: Model, settings: Settings) -> None:
    assert "neither base_url nor weights" in refused(replace(model, weights=""), settings)
    assert refused(replace(model, unavailable="switched off in models.toml"), settings) == "switched off in models.toml"


def test_memory_is_checked_before_anything_starts(model: Model, settings: Settings) -> None:
    greedy = replace(model, context_window=1_000_000_000)
    with pytest.raises(LocalModelError, match=r"needs 92160\.\d GB of memory .* is free\. Close something"):
        LocalServers(settings).address(greedy)


def test_the_free_memory_is_of_this_machine() -> None:
    assert 1 << 20 < available_bytes() < 1 << 50


def group(root: Path, **files: str) -> Path:
    """A file system like the one Linux shows a process in the control group /app."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("1:name=systemd:/x\n0::/app\n")
    folder = root / "sys/fs/cgroup/app"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return root


def test_a_containers_limit_counts_less_what_it_uses_but_for_files_it_keeps(tmp_path: Path) -> None:
    stat = "anon 700\nfile 200\ninactive_file 150\n"
    root = group(tmp_path, memory_max="1000\n", memory_current="900\n", memory_stat=stat)
    assert container_bytes(root) == 250


def test_a_container_over_its_limit_leaves_nothing(tmp_path: Path) -> None:
    root = group(tmp_path, memory_max="1000\n", memory_current="1100\n", memory_stat="inactive_file 0\n")
    assert container_bytes(root) == 0


def test_no_limit_and_no_control_group_leave_the_machines_memory(tmp_path: Path) -> None:
    limitless = group(tmp_path / "a", memory_max="max\n", memory_current="1\n", memory_stat="")
    assert container_bytes(limitless) is None
    assert container_bytes(tmp_path / "nothing") is None
