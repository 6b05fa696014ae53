"""Record a session of Claude Code against a model that plays a script: `python benchmarks/agent_record.py CLAUDE`.

CLAUDE is the program, of npm's package @anthropic-ai/claude-code. It works in a new folder with a home of its own, asks
a server on loopback that speaks Anthropic's Messages API, and does for real what the script (agent_script.py) asks of
its tools: seven messages of a user, some thirty requests. Kept in benchmarks/agent_session.json is what a router looks
at: the order of each request's messages, their roles, what our user and our script said, the calls of tools, the
client's own marks for the prompt cache. Of everything else, the client's prompts, its tools and what these gave back,
only the length and a hash are kept.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from agent_script import TURNS

RECORDED = Path(__file__).with_name("agent_session.json")
TOOLS = "Bash,Read,Write,Edit,Glob,Grep"
QUIET = (
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "DISABLE_TELEMETRY",
    "DISABLE_AUTOUPDATER",
    "DISABLE_ERROR_REPORTING",
)


class Model(ThreadingHTTPServer):
    """Plays the script, one step a request, and keeps the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[dict] = []
        self.steps = iter([step for _, steps in TURNS for step in steps])
        self.lock = threading.Lock()

    def events(self, body: dict) -> bytes:
        """The next step as the events of a streamed message."""
        with self.lock:
            self.bodies.append(body)
            text, *calls = next(self.steps)
            number = len(self.bodies)
        blocks = [({"type": "text", "text": ""}, {"type": "text_delta", "text": text})]
        for place, (name, given) in enumerate(calls):
            empty = {"type": "tool_use", "id": f"toolu_{number:02}{place}", "name": name, "input": {}}
            blocks.append((empty, {"type": "input_json_delta", "partial_json": json.dumps(given)}))
        usage = {"input_tokens": 10, "output_tokens": 1}
        message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": body["model"], "content": []}
        said = [("message_start", {"message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}})]
        for index, (start, delta) in enumerate(blocks):
            said += [
                ("content_block_start", {"index": index, "content_block": start}),
                ("content_block_delta", {"index": index, "delta": delta}),
                ("content_block_stop", {"index": index}),
            ]
        end = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
        said += [("message_delta", {"delta": end, "usage": {"output_tokens": 50}}), ("message_stop", {})]
        return "".join(f"event: {t}\ndata: {json.dumps({'type': t, **rest})}\n\n" for t, rest in said).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Model

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        whole = not self.path.startswith("/v1/messages") or "count_tokens" in self.path
        answer = b'{"input_tokens": 1}' if whole else self.server.events(body)
        self.send_response(200)
        self.send_header("content-type", "application/json" if whole else "text/event-stream")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


# -- what is kept ------------------------------------------------------------------------------------------------


def own_texts() -> set[str]:
    """What our user and our script say."""
    return {said for said, _ in TURNS} | {step[0] for _, steps in TURNS for step in steps}


def kept_text(text: str, own: set[str]) -> dict:
    """A text of ours, or the length and the hash of another's."""
    if text in own:
        return {"text": text}
    reminder = text.lstrip().startswith("<system-reminder>")
    return {"chars": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()[:16]} | (
        {"reminder": True} if reminder else {}
    )


def messages_of(body: dict, own: set[str]) -> list[tuple[dict, bool]]:
    """The messages of a request as an OpenAI-compatible API has them, and whether each is marked."""
    told = [*body.get("system", []), {"text": json.dumps(body.get("tools", []))}]
    first = {"role": "system", "parts": [kept_text(block["text"], own) for block in told]}
    found = [(first, any("cache_control" in block for block in told))]
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        marked = any("cache_control" in block for block in blocks)
        texts = [kept_text(b["text"], own) for b in blocks if b["type"] == "text"]
        calls = [{"id": b["id"], "name": b["name"], "arguments": b["input"]} for b in blocks if b["type"] == "tool_use"]
        results = [b for b in blocks if b["type"] == "tool_result"]
        for place, result in enumerate(results):
            given = result["content"]
            text = given if isinstance(given, str) else json.dumps(given)
            last = not texts and place == len(results) - 1
            found.append(
                ({"role": "tool", "call": result["tool_use_id"], "parts": [kept_text(text, own)]}, marked and last)
            )
        if texts or calls:
            found.append(({"role": message["role"], "parts": texts} | ({"calls": calls} if calls else {}), marked))
    return found


def kept(bodies: list[dict]) -> dict:
    """Every message once, and each request as the places of its own, with those that are marked."""
    own, known, messages, requests = own_texts(), {}, [], []
    for body in bodies:
        places, marks = [], []
        for message, marked in messages_of(body, own):
            key = json.dumps(message, sort_keys=True)
            if key not in known:
                known[key] = len(messages)
                messages.append(message)
            marks += [len(places)] if marked else []
            places.append(known[key])
        requests.append({"messages": places, "marks": marks, "tools": len(body.get("tools", []))})
    return {"messages": messages, "requests": requests}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    model = Model()
    threading.Thread(target=model.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as folder:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{model.server_address[1]}",
            "ANTHROPIC_API_KEY": "sk-loopback",
            **dict.fromkeys(QUIET, "1"),
        }
        run = partial(
            subprocess.run, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        version = run([sys.argv[1], "--version"], check=True)
        for place, (said, _) in enumerate(TURNS):
            command = [sys.argv[1], "-p", said, "--permission-mode", "acceptEdits", "--allowedTools", TOOLS]
            done = run([*command, *(["--continue"] if place else [])], check=False)
            if done.returncode:
                sys.exit(f"{said!r} failed: {done.stdout}{done.stderr}")
    left = len(list(model.steps))
    if left:
        sys.exit(f"{left} steps of the script were not asked for: the client changed its ways.")
    session = {"client": f"Claude Code {version.stdout.split()[0]}", **kept(model.bodies)}
    RECORDED.write_text(json.dumps(session, indent=1) + "\n")
    print(f"{len(session['requests'])} requests, {len(session['messages'])} messages: {RECORDED}")


if __name__ == "__main__":
    main()
