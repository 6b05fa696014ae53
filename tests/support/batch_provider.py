"""A loopback provider that takes batches: OpenAI's files and batches, Anthropic's message batches, OpenRouter's.

    with batch_provider() as provider:
        ...  # provider.openai, provider.anthropic and provider.openrouter are its addresses

A batch goes on by being looked at: after `looks` looks it is over. What becomes of a request, `fate` says of its prompt
and its body; how often each prompt was paid for is in `paid`. `kill_at(moment, pid)` kills a process in that moment of
its next call.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-of-batches"
USAGE = (10, 5)  # tokens read and written by each answer
_MADE = ("create", "created", "told", "looked")  # before it, and before the answer to it; after that
MOMENTS = {
    "openai": ("upload", "uploaded", *_MADE, "results", "half"),
    "anthropic": (*_MADE, "results", "half"),
    "openrouter": _MADE,
}

Document = dict[str, Any]
Show = Callable[["BatchProvider", Document], Document]


def answer_to(text: str) -> str:
    return f"The answer to {text}"


class BatchProvider:
    """Its state, which tests read and set."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.lock = threading.RLock()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Document] = {}
        self.paid: Counter[str] = Counter()
        self.calls: list[str] = []  # method and path
        self.chats: list[Document] = []  # requests asked at once
        self.sent: list[Document] = []  # requests in batches, as they came
        self.looks = 1
        self.fate: Callable[[str, Document], str] = lambda text, asked: "answered"
        self.refusal: Document = {"error": {"message": "no such thing", "type": "invalid_request_error"}}
        self.failing: Counter[str] = Counter()  # how many more calls of that kind answer 500
        self.lists = True
        self.takes_batches = True
        self.most = 10**9  # batches at once
        self.ends = "completed"
        self._kill: tuple[str, int] | None = None

    @property
    def openai(self) -> str:
        return f"{self.base}/v1"

    @property
    def anthropic(self) -> str:
        return f"{self.base}/anthropic/v1"

    @property
    def openrouter(self) -> str:
        return f"{self.base}/openrouter"

    def kill_at(self, moment: str, pid: int) -> None:
        assert moment in MOMENTS["openai"]
        self._kill = (moment, pid)

    @property
    def armed(self) -> bool:
        return self._kill is not None

    def moment(self, name: str) -> None:
        if self._kill is not None and self._kill[0] == name:
            pid, self._kill = self._kill[1], None
            os.kill(pid, signal.SIGKILL)

    # -- batches -----------------------------------------------------------------------------------------------

    def make(self, kind: str, requests: list[Document], **more: Any) -> Document:
        with self.lock:
            batch = {"id": f"batch-{len(self.batches) + 1}", "kind": kind, "requests": requests, "made": time.time()}
            batch |= {"looked": 0, "status": "in_progress", "results": {}, **more}
            self.batches[batch["id"]] = batch
            self.sent += requests
            return batch

    def look(self, batch: Document) -> None:
        """One look further."""
        with self.lock:
            batch["looked"] += 1
            if batch["status"] == "cancelling":
                self._end(batch, "cancelled")
            elif batch["status"] == "in_progress" and batch["looked"] > self.looks:
                self._end(batch, self.ends)

    def _end(self, batch: Document, status: str) -> None:
        batch["status"] = status
        for request in batch["requests"] if status != "failed" else ():
            text = _text(_asked(request))
            fate = self.fate(text, _asked(request))
            if fate == "answered" and status == "cancelled" and batch["requests"].index(request) > 0:
                fate = "cancelled"  # the first was answered by then
            batch["results"][request["custom_id"]] = fate
            if fate == "answered":
                self.paid[text] += 1


def _text(asked: Document) -> str:
    """The first line of the last message: the prompt without the instruction behind it."""
    content = asked["messages"][-1]["content"]
    return (content if isinstance(content, str) else content[-1]["text"]).partition("\n")[0]


def _asked(request: Document) -> Document:
    return request.get("body") or request["params"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    provider: BatchProvider

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def _handle(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        self.provider.calls.append(f"{method} {path}")
        _, root, *parts = path.replace("/anthropic/v1/", "/anthropic/").split("/")
        asked = dict(part.split("=") for part in query.split("&") if part)
        with suppress(BrokenPipeError, ConnectionResetError):
            if not self._key_is_right(root):
                self._send({"error": {"message": "invalid key"}}, 401)
            elif self.provider.failing[parts[0]] > 0:
                self.provider.failing[parts[0]] -= 1
                self._send({"error": {"message": "try later"}}, 500)
            elif parts == ["chat", "completions"]:
                self._chat(json.loads(body))
            elif not self.provider.takes_batches:
                self._send({"error": {"message": "no such path"}}, 404)
            else:
                {"v1": self._openai, "anthropic": self._anthropic, "openrouter": self._openrouter}[root](
                    method, parts, asked, body
                )

    def _key_is_right(self, root: str) -> bool:
        if root == "anthropic" and "/chat/" not in self.path:
            if not self.headers["anthropic-version"]:
                return False
            if self.headers["x-api-key"]:
                return self.headers["x-api-key"] == KEY
        return self.headers["Authorization"] == f"Bearer {KEY}"

    def _send(self, document: Any, status: int = 200) -> None:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _send_lines(self, lines: list[Document]) -> None:
        """In another order than they were asked; half of it, and then the rest."""
        data = b"".join(json.dumps(line).encode() + b"\n" for line in reversed(lines))
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.provider.moment("results")
        self.wfile.write(data[: len(data) // 2])
        self.wfile.flush()
        self.provider.moment("half")
        self.wfile.write(data[len(data) // 2 :])

    def _chat(self, asked: Document) -> None:
        self.provider.chats.append(asked)
        self.provider.paid[_text(asked)] += 1
        self._send(_completion(_text(asked), asked["model"]))

    def _create(self, kind: str, requests: list[Document], **more: Any) -> Document:
        self.provider.moment("create")
        batch = self.provider.make(kind, requests, **more)
        self.provider.moment("created")
        return batch

    def _is_crowded(self) -> bool:
        running = [batch for batch in self.provider.batches.values() if batch["status"] == "in_progress"]
        if len(running) >= self.provider.most:
            self._send({"error": {"message": "too many batches"}}, 429)
            return True
        return False

    # -- OpenAI ------------------------------------------------------------------------------------------------

    def _openai(self, method: str, parts: list[str], asked: Document, body: bytes) -> None:
        provider = self.provider
        if method == "POST" and parts == ["files"]:
            provider.moment("upload")
            fields = _multipart(self.headers["Content-Type"], body)
            assert fields["purpose"] == b"batch"
            name = f"file-{len(provider.files) + 1}"
            provider.files[name] = fields["file"]
            self._send({"id": name, "object": "file", "purpose": "batch", "bytes": len(fields["file"])})
            provider.moment("uploaded")
        elif method == "GET" and parts[0] == "files":
            self._send_lines(json.loads(provider.files[parts[1]]))
        elif method == "POST" and parts == ["batches"]:
            if not self._is_crowded():
                self._openai_create(json.loads(body))
        elif parts == ["batches"]:
            self._list("openai", asked, "after", _openai_batch)
        elif (batch := provider.batches.get(parts[1])) is None:
            self._send({"error": {"message": f"No batch {parts[1]}"}}, 404)
        elif parts[2:] == ["cancel"]:
            batch["status"] = "cancelling"
            self._send(_openai_batch(provider, batch))
        else:
            provider.look(batch)
            self._send(_openai_batch(provider, batch))
            provider.moment("looked")

    def _openai_create(self, asked: Document) -> None:
        requests = [json.loads(line) for line in self.provider.files[asked["input_file_id"]].splitlines()]
        assert asked["endpoint"] == "/v1/chat/completions"
        assert asked["completion_window"] == "24h"
        assert len({request["custom_id"] for request in requests}) == len(requests)
        assert all(request["url"] == asked["endpoint"] and request["method"] == "POST" for request in requests)
        if len({request["body"]["model"] for request in requests}) > 1:
            self._send({"error": {"message": "one model a batch"}}, 400)
            return
        batch = self._create("openai", requests, metadata=asked["metadata"], input_file_id=asked["input_file_id"])
        self._send(_openai_batch(self.provider, batch))
        self.provider.moment("told")

    def _list(self, kind: str, asked: Document, after: str, show: Show) -> None:
        if not self.provider.lists:
            self._send({"error": {"message": "not here"}}, 405)
            return
        batches = [batch for batch in reversed(self.provider.batches.values()) if batch["kind"] == kind]
        names = [batch["id"] for batch in batches]
        first = names.index(asked[after]) + 1 if after in asked else 0
        page = batches[first : first + 2]  # however many are asked for
        for batch in page:
            self.provider.look(batch)
        data = [show(self.provider, batch) for batch in page]
        self._send({"object": "list", "data": data, "has_more": first + 2 < len(batches), "last_id": names[-1:]})

    # -- Anthropic ---------------------------------------------------------------------------------------------

    def _anthropic(self, method: str, parts: list[str], asked: Document, body: bytes) -> None:
        provider = self.provider
        assert parts[:2] == ["messages", "batches"]
        if method == "POST" and len(parts) == 2:
            requests = json.loads(body)["requests"]
            assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", request["custom_id"]) for request in requests)
            batch = self._create("anthropic", requests)
            self._send(_message_batch(provider, batch))
            provider.moment("told")
        elif len(parts) == 2:
            self._list("anthropic", asked, "after_id", _message_batch)
        elif (batch := provider.batches.get(parts[2])) is None:
            self._send({"type": "error", "error": {"type": "not_found_error", "message": "no batch"}}, 404)
        elif parts[3:] == ["cancel"]:
            batch["status"] = "cancelling"
            self._send(_message_batch(provider, batch))
        elif parts[3:] == ["results"]:
            self._send_lines([_message_result(provider, batch, request) for request in batch["requests"]])
        else:
            provider.look(batch)
            self._send(_message_batch(provider, batch))
            provider.moment("looked")

    # -- OpenRouter --------------------------------------------------------------------------------------------

    def _openrouter(self, method: str, parts: list[str], asked: Document, body: bytes) -> None:
        provider = self.provider
        if method == "POST" and parts == ["batches"]:
            given = json.loads(body)
            assert list(given) == ["endpoint", "model", "completion_window", "requests"]  # read as it comes
            assert not any("model" in request["body"] for request in given["requests"])
            batch = self._create("openrouter", given["requests"], model=given["model"])
            self._send(_openrouter_batch(provider, batch, whole=False), 202)
            provider.moment("told")
        elif parts == ["batches"]:
            self._list("openrouter", asked, "after", lambda p, b: _openrouter_batch(p, b, whole=False))
        elif len(parts) == 2 and method == "GET" and parts[1] in provider.batches:
            batch = provider.batches[parts[1]]
            provider.look(batch)
            self._send(_openrouter_batch(provider, batch, whole=True))
            provider.moment("looked")
        else:
            self._send({"error": {"message": "not found"}}, 404)


# -- documents -------------------------------------------------------------------------------------------------


def _completion(text: str, model: str) -> Document:
    message = {"role": "assistant", "content": answer_to(text)}
    usage = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1], "total_tokens": sum(USAGE)}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "gen-1", "object": "chat.completion", "model": model, "choices": choices, "usage": usage}


def _openai_line(provider: BatchProvider, batch: Document, request: Document) -> Document:
    fate = batch["results"][request["custom_id"]]
    line: Document = {"id": "req-1", "custom_id": request["custom_id"], "response": None, "error": None}
    if fate == "answered":
        body = _completion(_text(_asked(request)), batch.get("model") or request["body"]["model"])
        return {**line, "response": {"status_code": 200, "request_id": "r", "body": body}}
    if fate in ("expired", "cancelled"):
        return {**line, "error": {"code": f"batch_{fate}", "message": f"The batch was {fate}."}}
    return {**line, "response": {"status_code": 400, "request_id": "r", "body": provider.refusal}}


def _counts(batch: Document) -> Document:
    fates = Counter(batch["results"].values())
    answered = fates["answered"]
    return {"total": len(batch["requests"]), "completed": answered, "failed": fates.total() - answered}


def _openai_batch(provider: BatchProvider, batch: Document) -> Document:
    shown = {name: batch[name] for name in ("id", "status", "metadata", "input_file_id")}
    shown |= {"object": "batch", "created_at": int(batch["made"]), "request_counts": _counts(batch), "errors": None}
    if batch["status"] == "failed":
        shown["errors"] = {"object": "list", "data": [{"code": "invalid", "message": "the file is not right"}]}
    if batch["results"]:
        lines = [_openai_line(provider, batch, request) for request in batch["requests"] if batch["results"]]
        for kind, name in ((True, "output_file_id"), (False, "error_file_id")):
            found = [line for line in lines if (batch["results"][line["custom_id"]] == "answered") is kind]
            found = [line for line in found if batch["results"][line["custom_id"]] != "missing"]
            if found:
                shown[name] = f"{batch['id']}-{name}"
                provider.files[shown[name]] = json.dumps(found).encode()
    return shown


def _message_batch(provider: BatchProvider, batch: Document) -> Document:
    over, counts = bool(batch["results"]), Counter(batch["results"].values())
    names = {"answered": "succeeded", "refused": "errored", "cancelled": "canceled", "expired": "expired"}
    told = {name: counts[fate] for fate, name in names.items()}
    told["processing"] = 0 if over else len(batch["requests"])
    made = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(batch["made"]))
    status = "ended" if over else {"cancelling": "canceling"}.get(batch["status"], "in_progress")
    results = f"https://elsewhere.example/{batch['id']}" if over else None  # where no key may go
    shown = {"id": batch["id"], "type": "message_batch", "processing_status": status, "created_at": made}
    return {**shown, "request_counts": told, "results_url": results}


def _message_result(provider: BatchProvider, batch: Document, request: Document) -> Document:
    fate, params = batch["results"][request["custom_id"]], request["params"]
    if fate == "answered":
        text = answer_to(_text(_asked(request)))
        usage = {"input_tokens": USAGE[0], "output_tokens": USAGE[1]}
        message = {"id": "msg-1", "type": "message", "role": "assistant", "model": params["model"], "usage": usage}
        message |= {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
        result: Document = {"type": "succeeded", "message": message}
    elif fate == "refused":
        result = {"type": "errored", "error": {"type": "error", **provider.refusal}}
    else:
        result = {"type": {"cancelled": "canceled"}.get(fate, fate)}
    return {"custom_id": request["custom_id"], "result": result}


def _openrouter_batch(provider: BatchProvider, batch: Document, *, whole: bool) -> Document:
    results = [_openai_line(provider, batch, request) for request in batch["requests"]] if batch["results"] else None
    shown = {"id": batch["id"], "status": batch["status"], "created_at": int(batch["made"])}
    error = {"message": "the file is not right"} if batch["status"] == "failed" else None
    return {**shown, "request_counts": _counts(batch), "results": results if whole else None, "error": error}


def _multipart(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a form, by name."""
    boundary = content_type.partition("boundary=")[2].encode()
    found: dict[str, bytes] = {}
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]+)"', head)
        assert name is not None
        found[name[1].decode()] = content.removesuffix(b"\r\n")
    return found


@contextmanager
def batch_provider() -> Generator[BatchProvider]:
    """A running provider."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    provider = BatchProvider(server.server_address[1])
    server.RequestHandlerClass = type("Handler", (_Handler,), {"provider": provider})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
