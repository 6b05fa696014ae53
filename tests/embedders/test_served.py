"""ServerEmbedder against real sockets: a server that answers well, and one for each way to answer badly."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from r2_router.embedders import Embedder
from r2_router.embedders.served import ServerEmbedder
from r2_router.errors import ConfigError, EmbedderError

MODEL = "Qwen/Qwen3-0.6B"
START = "vllm serve Qwen/Qwen3-0.6B --runner pooling --port 8000"
KEY = "sk-very-secret-0123456789"

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers each request by the next of the server's answers; the last one stays."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked = body
        self.server.requests.append((self.path, dict(self.headers), body))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers), None))
        if self.server.models is None:
            self.reply(404, {"detail": "Not Found"})
        else:
            self.reply(200, {"object": "list", "data": [{"id": name} for name in self.server.models]})

    def reply(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answers: tuple[Answer, ...], models: list[str] | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.models = models
        self.requests: list[tuple[str, dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(*answers: Answer, models: list[str] | None = None) -> Iterator[Server]:
    with Server(answers, models) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def connected(url: str, model: str = MODEL, **options: Any) -> Iterator[ServerEmbedder]:
    embedder = ServerEmbedder(url, model, **{"backoff_s": 0.0, **options})
    try:
        yield embedder
    finally:
        embedder.close()


def complaint(*answers: Answer, models: list[str] | None = None, **options: Any) -> tuple[str, Server]:
    """The error that embedding two texts ends in, and the server that caused it."""
    with (
        serving(*answers, models=models) as server,
        connected(server.url, **options) as embedder,
        pytest.raises(EmbedderError) as caught,
    ):
        embedder.embed(["x", "y"])
    return str(caught.value), server


def vector_of(text: str) -> list[float]:
    return [float(len(text)), 1.0, -2.0]


def good(handler: Handler) -> None:
    """Right, but in reverse order: only `index` tells which is which."""
    data = [{"index": i, "embedding": vector_of(t)} for i, t in enumerate(handler.asked["input"])]
    handler.reply(200, {"object": "list", "model": handler.asked["model"], "data": data[::-1]})


def says(status: int, body: Any, **headers: str) -> Answer:
    return lambda handler: handler.reply(status, body, **headers)


def embeddings(*vectors: Any, model: str = MODEL) -> Answer:
    data = [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    return says(200, {"model": model, "data": data})


def hangs_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def truncates(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"data": [')
    handler.close_connection = True


def unit(rows: list[list[float]]) -> np.ndarray:
    array = np.array(rows)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


# -- a server that works -------------------------------------------------------------------------------------


def test_rows_follow_index_and_have_unit_length():
    texts = ["a", "bbb", "cc", ""]
    with serving(good) as server, connected(server.url) as embedder:
        vectors = embedder.embed(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, unit([vector_of(text) for text in texts]), rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("", "/v1/embeddings"),
        ("/", "/v1/embeddings"),
        ("/v1", "/v1/embeddings"),
        ("/v1/", "/v1/embeddings"),
        ("/v1/embeddings", "/v1/embeddings"),
        ("/api", "/api/v1/embeddings"),
        ("/v1beta/openai", "/v1beta/openai/embeddings"),
        ("/custom/embeddings", "/custom/embeddings"),
    ],
)
def test_url_with_and_without_version(given: str, asked: str):
    with serving(good) as server, connected(server.url + given) as embedder:
        embedder.embed(["x"])
    assert server.requests[0][0] == asked


def test_request_names_model_and_carries_key():
    with serving(good) as server, connected(server.url, api_key=KEY) as embedder:
        embedder.embed(["x"])
    _, headers, body = server.requests[0]
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body == {"model": MODEL, "input": ["x"], "encoding_format": "float"}


def test_no_key_no_header():
    with serving(good) as server, connected(server.url) as embedder:
        embedder.embed(["x"])
    assert "Authorization" not in server.requests[0][1]


def test_batches_by_count_and_characters():
    texts = [str(i) for i in range(70)] + ["y" * 150_000, "z" * 150_000, "end"]
    with serving(good) as server, connected(server.url, max_chars=200_000) as embedder:
        vectors = embedder.embed(texts)
    sizes = [len(body["input"]) for _, _, body in server.requests]
    assert sizes == [32, 32, 7, 2]
    np.testing.assert_allclose(vectors, unit([vector_of(text) for text in texts]), rtol=1e-6)


def test_no_texts_ask_nothing():
    with serving(good) as server, connected(server.url, dim=3) as embedder:
        assert embedder.embed([]).shape == (0, 3)
    assert server.requests == []


def test_long_and_broken_text_is_sent_clean():
    with serving(good) as server, connected(server.url, max_chars=10) as embedder:
        embedder.embed(["0123456789" * 3, "\ud83d"])
    assert server.requests[0][2]["input"] == ["0123\n6789", "?"]


def test_is_an_embedder():
    with connected("http://localhost:8000", model="bge-m3", id="other") as embedder:
        assert isinstance(embedder, Embedder)
        assert (embedder.id, embedder.model, embedder.local) == ("other", "bge-m3", True)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.9:1", True),
        ("http://[::1]:8000/v1", True),
        ("http://me.localhost", True),
        ("http://192.168.1.5:8000", False),
        ("https://api.example.com", False),
        ("http://localhost.example.com", False),
    ],
)
def test_local_means_loopback(url: str, local: bool):
    with connected(url) as embedder:
        assert embedder.local is local


def test_loopback_needs_no_proxy(monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(good) as server, connected(server.url) as embedder:
        assert embedder.embed(["x"]).shape == (1, 3)


def test_threads_share_it():
    with serving(good) as server, connected(server.url) as embedder:
        rows: dict[int, np.ndarray] = {}

        def embed(i: int) -> None:
            rows[i] = embedder.embed(["x" * i])[0]

        threads = [threading.Thread(target=embed, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=10)
    expected = unit([vector_of("x" * i) for i in range(8)])
    np.testing.assert_allclose([rows[i] for i in range(8)], expected, rtol=1e-6)


@pytest.mark.parametrize("served", ["qwen3-0.6b", "/models/Qwen3-0.6B-Q8_0.gguf", r"C:\m\Qwen3-0.6B.gguf", ""])
def test_same_model_under_another_spelling(served: str):
    with serving(embeddings([1, 2], model=served)) as server, connected(server.url) as embedder:
        assert embedder.embed(["x"]).shape == (1, 2)


# -- passing trouble -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [says(s, {}) for s in (408, 409, 429, 500, 503)] + [hangs_up, truncates])
def test_passing_trouble_is_tried_again(trouble: Answer):
    with serving(trouble, trouble, good) as server, connected(server.url) as embedder:
        assert embedder.embed(["x"]).shape == (1, 3)
    assert len(server.requests) == 3


def test_lasting_trouble_is_reported_after_three_tries():
    message, server = complaint(says(503, {"error": "loading model"}))
    assert "busy or failing (HTTP 503: loading model)" in message
    assert len(server.requests) == 3


@pytest.mark.slow
def test_retry_after_is_honoured():
    with serving(says(429, {}, Retry_After="0.2"), good) as server, connected(server.url) as embedder:
        start = time.monotonic()
        embedder.embed(["x"])
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize("asked", ["3600", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_long_retry_after_is_not_waited_for(asked: str):
    message, server = complaint(says(429, {"error": "quota"}, Retry_After=asked))
    assert "busy or failing (HTTP 429: quota)" in message
    assert len(server.requests) == 1


@pytest.mark.parametrize("asked", ["soon", "nan", "-5", "Thu, 01 Jan 1970 00:00:00 GMT", ""])
def test_a_useless_retry_after_is_ignored(asked: str):
    with serving(says(429, {}, Retry_After=asked), good) as server, connected(server.url) as embedder:
        assert embedder.embed(["x"]).shape == (1, 3)


# -- the wrong server: one clear error that says how to start the right one ----------------------------------

PAIR = [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (says(200, b"<!doctype html><title>hello</title>"), "a web page instead of embeddings"),
        (says(200, b'{"data": [{"index": 0, "embed'), "broken JSON instead"),
        (says(200, b""), "nothing instead"),
        (says(200, b"[" * 100_000), "broken JSON instead"),
        (says(200, [1, 2]), "not an embeddings object"),
        (says(200, {"error": {"message": "out of memory", "code": 500}}), "an error: out of memory."),
        (says(200, {"model": MODEL}), "one embedding for each of the 2 texts"),
        (says(200, {"data": [{"embedding": vector} for vector in PAIR]}), "one embedding for each"),
        (says(200, {"data": [{"index": [i], "embedding": PAIR[i]} for i in (0, 1)]}), "one embedding for each"),
        (says(200, {"data": [{"index": 0, "embedding": vector} for vector in PAIR]}), "one embedding for each"),
        (says(200, {"data": [{"index": i, "embedding": [1]} for i in (1, 2)]}), "one embedding for each"),
        (says(200, {"data": ["a", "b"]}), "one embedding for each"),
        (embeddings([1, 2]), "one embedding for each"),
        (embeddings([1, 2], [1, 2], [1, 2]), "one embedding for each"),
        (embeddings([1.0, 2.0], [1.0, float("nan")]), "not finite"),
        (embeddings([1.0, 2.0], [1.0, None]), "not finite"),
        (embeddings([1.0, 2.0], [0.0, 0.0]), "zero vector"),
        (embeddings([10**400, 1], [1, 2]), "not a table of numbers"),
        (embeddings([1, 2], [1, 2, 3]), "not a table of numbers"),
        (embeddings("AAAA", "AAAA"), "not a table of numbers"),
        (embeddings([[1.0], [2.0]], [[1.0], [2.0]]), "returned shape (2, 2, 1)"),
        (embeddings([], []), "returned shape (2, 0)"),
        (embeddings(*PAIR, model="Qwen/Qwen3-Embedding-0.6B"), f"serves Qwen/Qwen3-Embedding-0.6B, not {MODEL}."),
        (
            says(400, {"error": {"message": "no embeddings here"}}),
            "refuses the request (HTTP 400: no embeddings here).",
        ),
        (says(404, {"detail": "Not Found"}), "does not embed (HTTP 404: Not Found)."),
        (says(501, {"error": {"message": "Start it with --embeddings"}}), "does not embed (HTTP 501: Start it"),
        (says(422, b"<html>"), "refuses the request (HTTP 422)."),
        (hangs_up, "broke the connection"),
        (truncates, "broke the connection"),
    ],
)
def test_wrong_answers(answer: Answer, reason: str):
    message, server = complaint(answer)
    assert f"The embedding server at {server.url}/v1 " in message
    assert reason in message
    assert START in message


def test_other_dimension():
    message, _ = complaint(good, dim=1024)
    assert "3 dimensions where 1024 are needed" in message
    assert START in message


def test_dimension_must_not_change():
    with serving(good, embeddings([1, 2])) as server, connected(server.url) as embedder:
        embedder.embed(["x"])
        with pytest.raises(EmbedderError, match="2 dimensions where 3"):
            embedder.embed(["x"])


@pytest.mark.parametrize("status", [400, 404])
def test_error_names_what_is_served(status: int):
    message, _ = complaint(says(status, {"message": "The model does not exist."}), models=["BAAI/bge-m3"])
    assert f"serves BAAI/bge-m3, not {MODEL}." in message


def test_right_model_without_embeddings():
    """vLLM started without --runner pooling lists the model and refuses to embed."""
    refusal = says(404, {"error": {"message": "The model does not support Embeddings API"}})
    message, _ = complaint(refusal, models=[MODEL])
    assert "does not embed (HTTP 404: The model does not support Embeddings API)" in message
    assert START in message


def test_another_model_gets_a_general_hint():
    message, _ = complaint(says(404, {}), model="bge-m3")
    assert "embedding server for bge-m3 and pass its address with `--embed-url`" in message


def test_text_too_long_for_the_server():
    message, _ = complaint(says(413, {"error": "inputs must have less than 512 tokens"}))
    assert "too long (HTTP 413: inputs must have less than 512 tokens)" in message


def test_server_is_down():
    with socket.socket() as bound:  # bound, not listening: the port is taken and refuses
        bound.bind(("127.0.0.1", 0))
        with (
            connected(f"http://127.0.0.1:{bound.getsockname()[1]}") as embedder,
            pytest.raises(EmbedderError, match="cannot be reached.*" + START),
        ):
            embedder.embed(["x"])


@pytest.mark.slow
def test_server_is_slow():
    done = threading.Event()
    message, server = complaint(lambda _: done.wait(1) and None, timeout_s=0.2)
    done.set()
    assert "did not answer within 0.2 s." in message
    assert START in message
    assert len(server.requests) == 1


@pytest.mark.slow
def test_server_drips():
    """Each byte comes in time, the answer does not."""
    done = threading.Event()

    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not done.wait(0.02):
            handler.wfile.write(b" ")
        handler.close_connection = True

    message, _ = complaint(drip, timeout_s=0.3)
    done.set()
    assert "took too long to send its answer" in message


@pytest.mark.slow
def test_answer_without_end():
    def flood(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        handler.close_connection = True
        block = b" " * (1 << 20)
        try:
            while True:
                handler.wfile.write(block)
        except OSError:
            pass

    message, _ = complaint(flood)
    assert "sent more than 64 MiB" in message


# -- the key and redirects -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_is_not_repeated(status: int):
    refusal = says(status, {"error": {"message": f"Incorrect API key provided: {KEY}."}})
    message, server = complaint(refusal, api_key=KEY)
    assert f"refuses the API key (HTTP {status}: Incorrect API key provided: [key])" in message
    assert "R2_EMBED_API_KEY" in message
    assert len(server.requests) == 1


def test_no_error_quotes_the_key():
    message, _ = complaint(says(200, {"error": f"{'bad ' * 48} {KEY}"}), api_key=KEY)
    assert KEY[:4] not in message


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(status: int):
    with serving(good) as other:
        message, _ = complaint(says(status, {}, Location=f"{other.url}/v1/embeddings"), api_key=KEY)
    assert f"redirects to {other.url.removeprefix('http://')}. Pass the final address as `--embed-url`" in message
    assert other.requests == []


def test_key_is_in_no_repr():
    with connected("http://localhost:8000", api_key=KEY) as embedder:
        assert KEY not in repr(embedder) + str(vars(embedder))


@pytest.mark.parametrize("key", ["two words", "line\nend", "schlüssel"])
def test_impossible_key(key: str):
    with pytest.raises(ConfigError, match="R2_EMBED_API_KEY") as caught:
        ServerEmbedder("http://localhost:8000", MODEL, api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://host",
        "http://",
        "http://user:pw@host",
        "http://host?key=1",
        "http://[::1",
        "http://h:x",
    ],
)
def test_impossible_url(url: str):
    with pytest.raises(ConfigError, match="must look like http://localhost:8000") as caught:
        ServerEmbedder(url, MODEL)
    assert "pw" not in str(caught.value)
