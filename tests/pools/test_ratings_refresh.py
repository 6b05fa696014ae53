"""Newer ratings: taken over from a file or an address, never older ones, never what is no table."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.file_server import FileServer, file_server, status, whole

from r2_router.errors import ConfigError, DownloadError
from r2_router.pools.ratings import MAX_BYTES, load_ratings, ratings_file
from r2_router.pools.ratings_refresh import refresh_ratings


def table(date: str) -> bytes:
    rows = (f"maker/x-{n},X {n},overall,{1300 + n},1290,1310,900,{date}\n" for n in range(30))
    return ("model,name,category,rating,low,high,votes,date\n" + "".join(rows)).encode()


def test_from_a_file(tmp_path: Path) -> None:
    source = tmp_path / "new.csv"
    source.write_bytes(table("2027-03-01"))
    ratings, file = refresh_ratings(str(source))
    assert file == ratings_file()
    assert (ratings.date, len(ratings.rated)) == ("2027-03-01", 30)
    assert load_ratings().date == "2027-03-01"
    assert refresh_ratings(str(file))[0].date == "2027-03-01"  # what we write is read too


def test_from_an_address() -> None:
    with file_server() as server:
        refresh_ratings(server.on("/new.csv", whole(table("2027-03-01"))))
    assert load_ratings().date == "2027-03-01"


@pytest.mark.parametrize("data", [table("2025-01-01"), b"no table", b""])
def test_nothing_is_changed_by_what_is_older_or_no_table(tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "new.csv"
    source.write_bytes(data)
    with pytest.raises(ConfigError, match=r"older than the ratings in force|no table of ratings"):
        refresh_ratings(str(source))
    assert not ratings_file().exists()


def test_what_cannot_be_had_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.csv cannot be read: No such file"):
        refresh_ratings(str(tmp_path / "none.csv"))
    with pytest.raises(DownloadError, match="only https://"):
        refresh_ratings("http://example.com/ratings.csv")
    with file_server() as server:
        with pytest.raises(DownloadError, match="HTTP 404"):
            refresh_ratings(server.on("/gone", status(404)))
        with pytest.raises(DownloadError, match="sends more than 8 MiB"):
            refresh_ratings(endless(server))
    assert not ratings_file().exists()


def endless(server: FileServer) -> str:
    return server.on("/endless", whole(b"x" * (MAX_BYTES + 1)))


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = tmp_path / "new.csv"
    source.write_bytes(table("2027-03-01"))
    ratings_file().mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"ratings\.csv cannot be written: .*Nothing was changed"):
        refresh_ratings(str(source))
