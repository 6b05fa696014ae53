"""A loopback HTTP server that serves files rightly, or misbehaves the way each test asks."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = Callable[["Handler"], None]


class FileServer(ThreadingHTTPServer):
    """`answers[path]` are given one a request, the last one for ever; `requests` are (path, headers)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.release = threading.Event()  # what a hanging answer waits for
        self._lock = threading.Lock()

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def on(self, path: str, *answers: Answer) -> str:
        """Answer `path` with `answers` in order; its URL."""
        self.answers[path] = list(answers)
        return self.url(path)

    def folder(self, folder: Path) -> str:
        """Serve every file of `folder`; the URL of the folder."""
        for file in folder.rglob("*"):
            if file.is_file():
                self.on(f"/{file.relative_to(folder).as_posix()}", whole(file.read_bytes()))
        return self.url()

    def asked(self, path: str) -> list[dict[str, str]]:
        """The headers of each request for `path`, names in lower case."""
        return [headers for name, headers in self.requests if name == path]

    def take(self, handler: Handler) -> Answer:
        with self._lock:
            self.requests.append((handler.path, {k.lower(): v for k, v in handler.headers.items()}))
            answers = self.answers.get(handler.path, [status(404)])
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FileServer

    def do_GET(self) -> None:
        self.server.take(self)(self)

    def head(self, code: int, **headers: object) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def hang_up(self) -> None:
        self.close_connection = True

    def log_request(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def file_server() -> Generator[FileServer]:
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join()


# -- answers -------------------------------------------------------------------------------------------------


def _start(handler: Handler) -> int:
    match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    return int(match[1]) if match else 0


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def whole(body: bytes, *, cut: int | None = None, etag: bool = True) -> Answer:
    """`body` as a good server sends it, Range and If-Range understood; `cut`: hang up after so many bytes."""

    def answer(handler: Handler) -> None:
        start = _start(handler)
        if handler.headers.get("If-Range", _etag(body)) != _etag(body):
            start = 0
        if start >= len(body) > 0:
            handler.head(416, Content_Range=f"bytes */{len(body)}", Content_Length=0)
            return
        headers: dict[str, object] = {
            "Content_Length": len(body) - start,
            "ETag": _etag(body) if etag else "W/x",
        }
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        handler.head(206 if start else 200, **headers)
        handler.wfile.write(body[start:][:cut])
        if cut is not None:
            handler.hang_up()

    return answer


def rangeless(body: bytes, *, cut: int | None = None) -> Answer:
    """A server that always sends everything from the start."""

    def answer(handler: Handler) -> None:
        handler.head(200, Content_Length=len(body))
        handler.wfile.write(body[:cut])
        if cut is not None:
            handler.hang_up()

    return answer


def lengthless(body: bytes) -> Answer:
    """A body that ends when the connection does."""

    def answer(handler: Handler) -> None:
        handler.head(200, Connection="close")
        handler.wfile.write(body)
        handler.hang_up()

    return answer


def chunked(body: bytes, *, complete: bool = True) -> Answer:
    """A body in chunks of 1000 bytes, without the last chunk unless `complete`."""

    def answer(handler: Handler) -> None:
        handler.head(200, Transfer_Encoding="chunked")
        for i in range(0, len(body), 1000):
            piece = body[i : i + 1000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if complete:
            handler.wfile.write(b"0\r\n\r\n")
        else:
            handler.hang_up()

    return answer


def status(code: int, **headers: object) -> Answer:
    def answer(handler: Handler) -> None:
        handler.head(code, Content_Length=0, **headers)

    return answer


def page(code: int, body: bytes, **headers: object) -> Answer:
    """`body` under any status and headers."""

    def answer(handler: Handler) -> None:
        handler.head(code, Content_Length=len(body), **headers)
        handler.wfile.write(body)

    return answer


def redirect(target: str) -> Answer:
    return status(302, Location=target)


def hanging(body: bytes, sent: int) -> Answer:
    """`sent` bytes of `body`, then silence until the test ends."""

    def answer(handler: Handler) -> None:
        handler.head(200, Content_Length=len(body))
        handler.wfile.write(body[:sent])
        handler.server.release.wait()
        handler.hang_up()

    return answer


def dropped(handler: Handler) -> None:
    """No answer at all."""
    handler.hang_up()
