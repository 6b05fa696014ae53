"""Files written whole or not at all, with the mode they had, through links; and none that is not plain."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from r2_router.config.safe_files import make_private, open_plain, read_plain, replace_file, replacing

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither modes nor FIFOs")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def umask() -> object:
    before = os.umask(0o022)
    yield
    os.umask(before)


@posix
@pytest.mark.parametrize("given", [0o600, 0o640, 0o644, 0o664, 0o400])
def test_a_file_keeps_its_mode(tmp_path: Path, given: int) -> None:
    file = tmp_path / "f"
    file.write_text("old")
    file.chmod(given)
    for private in (True, False):
        replace_file(file, b"new", private=private)
        assert (file.read_bytes(), mode(file)) == (b"new", given)


@posix
def test_a_new_file_is_private_unless_it_need_not_be(tmp_path: Path) -> None:
    replace_file(tmp_path / "deep" / "own", b"x")
    replace_file(tmp_path / "open", b"x", private=False)
    make_private(tmp_path / "db")
    assert [mode(tmp_path / name) for name in ("deep/own", "open", "db")] == [0o600, 0o644, 0o600]


@posix
def test_what_is_there_is_not_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "db"
    file.write_text("kept")
    file.chmod(0o640)
    make_private(file)
    assert (file.read_text(), mode(file)) == ("kept", 0o640)


@posix
def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "dots" / "link"
    link.parent.mkdir()
    link.symlink_to(real)
    replace_file(link, b"first")  # it led nowhere yet
    real.chmod(0o640)
    replace_file(link, b"second")
    assert link.is_symlink()
    assert (real.read_bytes(), mode(real)) == (b"second", 0o640)


@posix
def test_a_link_that_is_not_followed_is_replaced(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("mine")
    link.symlink_to(real)
    replace_file(link, b"new", follow=False)
    assert not link.is_symlink()
    assert (link.read_bytes(), real.read_text()) == (b"new", "mine")


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")
    with pytest.raises(KeyError), replacing(file) as stream:
        stream.write(b"half")
        raise KeyError
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


@posix
def test_what_is_not_plain_is_refused_without_waiting(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_plain(path, 10)
    for path in (fifo, Path("/dev/null")):
        with pytest.raises(OSError, match="not a regular file"):
            replace_file(path, b"x")
    with pytest.raises(OSError, match="not a regular file"):
        open_plain(fifo, os.O_WRONLY)


@posix
def test_a_link_is_not_followed_where_it_must_not_be(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="not a regular file"):
        open_plain(tmp_path / "link", os.O_RDWR | os.O_CREAT, follow=False)
    assert not (tmp_path / "elsewhere").exists()


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100)
    assert len(read_plain(tmp_path / "f", 10)) == 11
