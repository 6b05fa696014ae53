"""Downloads against a server on real sockets that breaks off, lies, and changes its mind."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.file_server import (
    Answer,
    FileServer,
    chunked,
    dropped,
    file_server,
    hanging,
    lengthless,
    page,
    rangeless,
    redirect,
    status,
    whole,
)

from r2_router.config import file_locks
from r2_router.errors import DownloadError
from r2_router.net import download
from r2_router.net.download import fetch

BODY = bytes(range(256)) * 1200  # 300 kB
SHA = hashlib.sha256(BODY).hexdigest()
OTHER = BODY[::-1]


@pytest.fixture(scope="module")
def shared_server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def server(shared_server: FileServer) -> FileServer:
    shared_server.answers.clear()
    shared_server.requests.clear()
    return shared_server


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with download.open_client() as running:
        yield running


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_BACKOFF_SECONDS", 0.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.bin"


def part_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.part")


def only(file: Path) -> bool:
    """Whether `file` is right and stands alone: no part, no lock."""
    return file.read_bytes() == BODY and list(file.parent.iterdir()) == [file]


# -- files that arrive ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [None, len(BODY)])
@pytest.mark.parametrize(
    "answers",
    [
        [whole(BODY)],
        [chunked(BODY)],
        [lengthless(BODY)],
        [rangeless(BODY)],
        [whole(BODY, cut=100_000), whole(BODY)],
        [whole(BODY, cut=100_000, etag=False), whole(BODY)],
        [rangeless(BODY, cut=100_000), rangeless(BODY)],
        [whole(BODY, cut=100_000), rangeless(BODY)],
        [chunked(BODY[:100_000], complete=False), whole(BODY)],
        [whole(BODY, cut=100_000), status(416), whole(BODY)],
        [whole(BODY, cut=100_000), page(206, BODY[5:], Content_Range="bytes 5-9/*"), whole(BODY)],
        [whole(BODY, cut=100_000), page(206, BODY[100_000:]), whole(BODY)],
        [status(500), status(503), whole(BODY)],
        [status(429), dropped, whole(BODY)],
    ],
)
def test_a_source_that_sends_it_in_the_end(
    server: FileServer, client: httpx.Client, file: Path, answers: list[Answer], size: int | None
) -> None:
    url = server.on("/f", *answers)
    assert fetch([url], file, sha256=SHA, size=size, client=client) == file
    assert only(file)


def test_a_broken_body_is_resumed_where_it_stopped(server: FileServer, client: httpx.Client, file: Path) -> None:
    url = server.on("/f", whole(BODY, cut=100_000), whole(BODY, cut=50_000), whole(BODY))
    fetch([url], file, sha256=SHA, client=client)
    first, second, third = server.asked("/f")
    assert "range" not in first
    assert second["range"] == "bytes=100000-"
    assert third["range"] == "bytes=150000-"
    assert second["if-range"].startswith('"')


def test_a_weak_etag_is_not_used_to_resume(server: FileServer, client: httpx.Client, file: Path) -> None:
    url = server.on("/f", whole(BODY, cut=100_000, etag=False), whole(BODY))
    fetch([url], file, sha256=SHA, client=client)
    assert "if-range" not in server.asked("/f")[1]


def test_a_file_that_changes_between_two_tries_is_fetched_anew(
    server: FileServer, client: httpx.Client, file: Path
) -> None:
    url = server.on("/f", whole(OTHER, cut=100_000), whole(BODY))
    fetch([url], file, sha256=SHA, client=client)
    assert only(file)
    assert len(server.asked("/f")) == 2  # If-Range made the server send all of it


def test_a_later_call_resumes_the_part(server: FileServer, client: httpx.Client, file: Path) -> None:
    url = server.on("/f", whole(BODY, cut=100_000), status(404))
    with pytest.raises(DownloadError, match="goes on from where it stopped"):
        fetch([url], file, sha256=SHA, client=client)
    assert part_of(file).stat().st_size == 100_000
    server.on("/f", whole(BODY))
    told: list[tuple[int, int | None]] = []
    fetch([url], file, sha256=SHA, client=client, progress=lambda done, total: told.append((done, total)))
    assert server.asked("/f")[-1]["range"] == "bytes=100000-"
    assert told[0] == (100_000, len(BODY))
    assert told[-1] == (len(BODY), len(BODY))
    assert told == sorted(told)
    assert only(file)


@pytest.mark.parametrize("size", [None, len(BODY)])
@pytest.mark.parametrize("junk", [OTHER[:100_000], OTHER, BODY + b"more"])
def test_a_part_of_another_file_costs_one_more_try(
    server: FileServer, client: httpx.Client, file: Path, junk: bytes, size: int | None
) -> None:
    part_of(file).write_bytes(junk)
    fetch([server.on("/f", whole(BODY))], file, sha256=SHA, size=size, client=client)
    assert only(file)


def test_a_complete_part_needs_no_source(file: Path) -> None:
    part_of(file).write_bytes(BODY)
    fetch([], file, sha256=SHA)
    assert only(file)


def test_a_right_file_is_kept_without_asking(file: Path) -> None:
    file.write_bytes(BODY)
    before = file.stat()
    assert fetch([], file, sha256=SHA.upper()) == file
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_a_wrong_file_is_replaced(server: FileServer, client: httpx.Client, file: Path) -> None:
    file.write_bytes(OTHER)
    fetch([server.on("/f", whole(BODY))], file, sha256=SHA, client=client)
    assert only(file)


def test_folders_are_made(server: FileServer, client: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "f"
    fetch([server.on("/f", whole(BODY))], file, sha256=SHA, client=client)
    assert only(file)


def test_an_empty_file_can_be_fetched(server: FileServer, client: httpx.Client, file: Path) -> None:
    fetch([server.on("/f", whole(b""))], file, sha256=hashlib.sha256().hexdigest(), client=client)
    assert file.read_bytes() == b""


def test_without_a_client_it_makes_its_own(server: FileServer, file: Path) -> None:
    fetch([server.on("/f", whole(BODY))], file, sha256=SHA)
    assert only(file)


def test_redirects_on_this_machine_are_followed(server: FileServer, client: httpx.Client, file: Path) -> None:
    url = server.on("/a", redirect("/b"))
    server.on("/b", redirect(server.on("/c", whole(BODY))))
    fetch([url], file, sha256=SHA, client=client)
    assert only(file)


def test_many_breaks_with_progress_are_not_too_many(
    server: FileServer, client: httpx.Client, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_STEP_BYTES", 10_000)
    url = server.on("/f", whole(BODY, cut=20_000))
    fetch([url], file, sha256=SHA, client=client)
    assert only(file)
    assert len(server.asked("/f")) == -(-len(BODY) // 20_000)


# -- sources that fail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "reason", "requests"),
    [
        (status(404), "HTTP 404", 1),
        (status(403), "HTTP 403", 1),
        (status(500), r"HTTP 500 \(4 tries\)", 4),
        (dropped, r"the connection broke \(4 tries\)", 4),
        (whole(OTHER), "sends another file", 1),
        (lengthless(BODY[:-1]), "sends another file", 1),
        (whole(b"<html>Please log in</html>"), "sends another file", 1),
        (page(200, BODY, Content_Encoding="gzip"), "another encoding", 1),
        (redirect("http://example.com/f"), "only https://", 1),
        (redirect("ftp://example.com/f"), "only https://", 1),
        (redirect("http://[/"), "no URL", 1),
        (redirect("/bad"), "redirects more than 5 times", 6),
    ],
)
def test_the_next_source_takes_over(
    server: FileServer, client: httpx.Client, file: Path, bad: Answer, reason: str, requests: int
) -> None:
    url = server.on("/bad", bad)
    with pytest.raises(DownloadError, match=reason):
        fetch([url], file, sha256=SHA, client=client)
    assert not file.exists()
    assert len(server.asked("/bad")) == requests
    fetch([url, server.on("/good", whole(BODY))], file, sha256=SHA, client=client)
    assert only(file)


@pytest.mark.parametrize("bad", [chunked(BODY + b"x" * 5000), lengthless(BODY + b"x")])
def test_an_endless_body_is_cut(server: FileServer, client: httpx.Client, file: Path, bad: Answer) -> None:
    url = server.on("/f", bad)
    with pytest.raises(DownloadError, match=f"sends more than {len(BODY)} bytes"):
        fetch([url], file, sha256=SHA, size=len(BODY), client=client)
    with pytest.raises(DownloadError, match="sends more than 1000 bytes"):
        fetch([url], file, sha256=SHA, max_bytes=1000, client=client)
    assert list(file.parent.iterdir()) == []


def test_a_wrong_size_is_refused_before_the_body(server: FileServer, client: httpx.Client, file: Path) -> None:
    part_of(file).write_bytes(BODY[:1000])
    url = server.on("/f", page(200, b"<html>Please log in</html>"))
    with pytest.raises(DownloadError, match=f"offers 26 bytes where {len(BODY)} are expected"):
        fetch([url], file, sha256=SHA, size=len(BODY), client=client)
    assert part_of(file).stat().st_size == 1000  # a login page does not cost what came before
    with pytest.raises(DownloadError, match="offers 26 bytes, more than 20"):
        fetch([url], file, sha256=SHA, max_bytes=20, client=client)


def test_a_short_body_is_told_from_a_wrong_one(server: FileServer, client: httpx.Client, file: Path) -> None:
    url = server.on("/f", lengthless(BODY[:-1]), status(404))
    with pytest.raises(DownloadError, match="HTTP 404"):
        fetch([url], file, sha256=SHA, size=len(BODY), client=client)
    assert part_of(file).stat().st_size == len(BODY) - 1
    assert server.asked("/f")[1]["range"] == f"bytes={len(BODY) - 1}-"


def test_the_error_names_file_sources_and_next_step(server: FileServer, client: httpx.Client, file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}/f?token=secret"
    with pytest.raises(DownloadError) as caught:
        fetch([dead, server.on("/f", status(404)), "file:///etc/passwd"], file, sha256=SHA, client=client)
    text = str(caught.value)
    for part in (
        "weights.bin",
        "cannot connect",
        "/f: HTTP 404",
        "only https://",
        SHA,
        str(file),
        "try again",
    ):
        assert part in text
    assert "secret" not in text
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/f",
        "http://10.0.0.1/f",
        "file:///f",
        "https://",
        "f",
        "",
        "http://[",
        "http://localhost.example/f",
    ],
)
def test_only_https_and_loopback_are_asked(file: Path, url: str) -> None:
    with pytest.raises(DownloadError, match=r"only https://|not a URL"):
        fetch([url], file, sha256=SHA)


def test_https_is_never_left_by_a_redirect(server: FileServer, file: Path) -> None:
    def to_loopback(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": server.on("/f", whole(BODY))})

    with (
        httpx.Client(transport=httpx.MockTransport(to_loopback)) as client,
        pytest.raises(DownloadError, match="redirects to an address that is not https://"),
    ):
        fetch(["https://models.example/f"], file, sha256=SHA, client=client)
    assert server.requests == []


@pytest.mark.slow
def test_a_silent_source_is_given_up(server: FileServer, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_READ_SECONDS", 0.15)
    monkeypatch.setattr(download, "_TRIES", 2)
    silent = server.on("/silent", hanging(BODY, 1000))
    with pytest.raises(DownloadError, match="no answer in time"):
        fetch([silent], file, sha256=SHA)
    fetch([silent, server.on("/f", whole(BODY))], file, sha256=SHA)
    assert only(file)
    assert server.asked("/f")[0]["range"] == "bytes=1000-"  # the second source goes on where the first stopped


def test_a_trickle_is_given_up(
    server: FileServer, client: httpx.Client, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_STALL_SECONDS", 0.0)
    monkeypatch.setattr(download, "_STALL_BYTES", 1 << 30)
    with pytest.raises(DownloadError, match="sends too slowly"):
        fetch([server.on("/f", whole(BODY))], file, sha256=SHA, client=client)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"cannot be written: .* Free some space"):
        fetch([], tmp_path / "file" / "f", sha256=SHA)


ANSWERS = st.sampled_from(
    [
        whole(BODY),
        whole(BODY, cut=70_000),
        whole(OTHER),
        whole(OTHER, cut=70_000, etag=False),
        rangeless(BODY, cut=150_000),
        rangeless(OTHER),
        lengthless(BODY[:200_000]),
        chunked(BODY, complete=False),
        status(500),
        status(404),
        status(416),
        dropped,
        page(206, OTHER, Content_Range=f"bytes 0-{len(OTHER) - 1}/{len(OTHER)}"),
    ]
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.lists(ANSWERS, min_size=1, max_size=5), second=st.lists(ANSWERS, min_size=1, max_size=3))
def test_whatever_the_sources_do_the_file_is_right_or_absent(
    server: FileServer, client: httpx.Client, file: Path, first: list[Answer], second: list[Answer]
) -> None:
    urls = [server.on("/first", *first), server.on("/second", *second)]
    for left in list(file.parent.iterdir()):
        left.unlink()
    try:
        fetch(urls, file, sha256=SHA, client=client)
        assert only(file)
    except DownloadError:
        assert {left.name for left in file.parent.iterdir()} <= {part_of(file).name}


# -- several processes ---------------------------------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from r2_router.net.download import fetch
url, file, sha256 = sys.argv[1:]
fetch([url], Path(file), sha256=sha256, progress=lambda done, total: print(done, flush=True))
"""


def child(url: str, file: Path) -> list[str]:
    return [sys.executable, "-c", CHILD, url, str(file), SHA]


def test_processes_and_threads_that_want_one_file_fetch_it_once(server: FileServer, file: Path) -> None:
    url = server.on("/f", whole(BODY))
    children = [subprocess.Popen(child(url, file), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(3)]
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: fetch([url], file, sha256=SHA), range(8))) == {file}
    for process in children:
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, b"")
    assert len(server.asked("/f")) == 1
    assert only(file)


@pytest.mark.slow
def test_one_holder_at_a_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_locks, "_POLL_SECONDS", 0.0)
    inside = threading.Lock()

    def enter(_: int) -> bool:
        with file_locks.locked(file):
            alone = inside.acquire(blocking=False)
            for _ in range(10):
                file.parent.stat()  # lets other threads run
            if alone:
                inside.release()
            return alone

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(enter, range(400)))
    assert list(file.parent.iterdir()) == []


@pytest.mark.slow
def test_a_killed_process_leaves_a_part_to_resume(server: FileServer, client: httpx.Client, file: Path) -> None:
    url = server.on("/f", hanging(BODY, 200_000), whole(BODY))
    with subprocess.Popen(child(url, file), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 100_000:
                break
        process.kill()
    assert not file.exists()
    kept = part_of(file).stat().st_size
    assert kept > 0
    fetch([url], file, sha256=SHA, client=client)
    assert server.asked("/f")[1]["range"] == f"bytes={kept}-"
    assert only(file)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX links and FIFOs")
@pytest.mark.parametrize("name", [".f.part", ".f.lock"])
@pytest.mark.parametrize("trap", ["link", "fifo"])
def test_what_somebody_put_in_the_place_of_the_unfinished_file(tmp_path: Path, name: str, trap: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    if trap == "link":
        (folder / name).symlink_to(precious)
    else:
        os.mkfifo(folder / name)
    with pytest.raises(DownloadError, match="not a regular file"):
        fetch(["http://127.0.0.1:9/f"], folder / "f", sha256=SHA)
    assert precious.read_text() == "mine"
