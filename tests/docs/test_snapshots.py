"""A snapshot that is behind, or missing, says which command renews it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.snapshots import WRITE, assert_snapshot

THIS = "tests/docs/test_snapshots.py::"


@pytest.fixture(autouse=True)
def compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WRITE, raising=False)
    monkeypatch.delenv("CI", raising=False)


def failure(file: Path, text: str, renew: str = "") -> str:
    with pytest.raises(pytest.fail.Exception) as caught:
        assert_snapshot(file, text, renew)
    return str(caught.value)


def test_what_is_the_same_passes(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("å\n", encoding="utf-8")
    assert_snapshot(file, "å\n")


def test_a_difference_is_shown_with_the_command_that_renews_it(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("one\ntwo\n")
    said = failure(file, "one\nthree\n", "python docs/page.py")
    assert "python docs/page.py" in said
    assert "-two" in said
    assert "+three" in said
    own = failure(file, "one\nthree\n")
    assert f'{WRITE}=1 python -m pytest "{THIS}test_a_difference_is_shown_with_the_command_that_renews_it"' in own


@pytest.mark.parametrize("ci", ["", "true"])
def test_a_missing_file_fails_and_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    said = failure(tmp_path / "page.md", "text", "python docs/page.py")
    assert "is missing" in said
    assert "python docs/page.py" in said
    assert not (tmp_path / "page.md").exists()


def test_it_is_written_when_asked_but_never_under_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new" / "page.md"
    monkeypatch.setenv(WRITE, "1")
    assert_snapshot(file, "text\n")
    assert file.read_bytes() == b"text\n"
    monkeypatch.setenv("CI", "true")
    assert "never written" in failure(file, "other")
    assert file.read_bytes() == b"text\n"
