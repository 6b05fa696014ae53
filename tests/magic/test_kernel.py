"""`%%r2` in a real kernel: messages, interruption, saved notebooks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import ChatServer, by_model, hangs, says

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # the kernel's client has warnings of its own
]

Message = dict[str, Any]


class Kernel:
    """A running kernel and the messages its cells give."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager = manager
        self.client = client

    def run(
        self, code: str, on_message: Callable[[Message], None] = lambda message: None
    ) -> tuple[Message, list[Message]]:
        """The reply to a cell and its messages up to idle, each given to `on_message` when it comes."""
        asked = self.client.execute(code)
        messages: list[Message] = []
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != asked:
                continue
            messages.append(message)
            on_message(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return self._reply(asked), messages

    def _reply(self, asked: str) -> Message:
        while True:  # the reply to an earlier question, asked while the kernel started, may come first
            message = self.client.get_shell_msg(timeout=60)
            if message["parent_header"].get("msg_id") == asked:
                return message["content"]


def of_type(messages: list[Message], kind: str) -> list[dict[str, Any]]:
    return [message["content"] for message in messages if message["msg_type"] == kind]


@pytest.fixture
def kernel(server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Kernel]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from jupyter_client.manager import start_new_kernel
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        running = Kernel(manager, client)
        reply, messages = running.run("%load_ext r2_magic")
        assert reply["status"] == "ok"
        assert {m["msg_type"] for m in messages} <= {"status", "execute_input"}
        yield running
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_cell_streams_into_one_output(kernel: Kernel) -> None:
    reply, messages = kernel.run("%%r2\nWhat is the capital of Italy?")
    assert reply["status"] == "ok"
    loading, ranking, waiting = of_type(messages, "display_data")
    assert loading["data"]["text/plain"] == "loading the router …"
    assert "<table" in ranking["data"]["text/html"]
    assert waiting["data"]["text/plain"].startswith("asking ")
    gone, *updates = of_type(messages, "update_display_data")
    assert (gone["transient"]["display_id"], gone["data"]["text/plain"]) == (loading["transient"]["display_id"], "")
    assert of_type(messages, "clear_output") == [{"wait": True}]
    kinds = [m["msg_type"] for m in messages]
    assert kinds.index("clear_output") < len(kinds) - 1 - kinds[::-1].index("display_data")
    assert {u["transient"]["display_id"] for u in updates} == {waiting["transient"]["display_id"]}
    assert updates[-1]["data"]["text/markdown"] == "Rome is the **capital**."
    (result,) = of_type(messages, "execute_result")
    assert "5 tokens" in result["data"]["text/plain"]
    assert of_type(messages, "stream") == []


@pytest.mark.parametrize(
    ("cell", "lines"),
    [
        ("%load_ext r2_magic\n%r2 What is the capital of Italy?", 0),
        ("%%r2 --compare 2\nWhat is the capital of Italy?", 0),
        ("%%r2 --compare 2\nWhat is the capital of {country}?", 1),  # under a note, of who was asked
        ("print('mine')\n%r2 What is the capital of Italy?", 2),
        ("%r2 models\n%r2 What is the capital of Italy?", 0),
        ("print('mine'); get_ipython().run_cell_magic('r2', '', 'hello')", 2),
    ],
)
def test_what_stood_while_the_router_was_loaded_is_gone_and_nothing_else(
    server: ChatServer, cell: str, lines: int
) -> None:
    """Where a cell may have put out something else, an empty output is left: nothing of it may go."""
    with suppress(DeprecationWarning):
        import nbformat
        from nbclient import NotebookClient
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in ("%load_ext r2_magic", cell)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = notebook.cells[1].outputs
    empty = [o for o in outputs if o.output_type == "display_data" and o.data == {"text/plain": ""}]
    mine = [o for o in outputs if "mine" in o.get("text", "")]
    tables = [o for o in outputs if "<table" in o.get("data", {}).get("text/html", "")]
    asked = "compare" not in cell
    assert len(empty) + len(mine) == lines
    assert bool(mine) == ("mine" in cell)
    assert len(tables) == asked + ("models" in cell)


def test_code_is_put_into_a_new_cell(kernel: Kernel, server: ChatServer) -> None:
    server.then(says("```python\nprint(1)\n```"))
    reply, _ = kernel.run("%%r2 --format code\nprint one")
    assert reply["payload"] == [{"source": "set_next_input", "text": "print(1)", "replace": False}]


def test_an_interrupt_stops_the_call_and_keeps_the_text(kernel: Kernel, server: ChatServer) -> None:
    server.then(hangs("half an ", "answer"))
    interrupted: list[Message] = []

    def interrupt(message: Message) -> None:
        shown = message["content"].get("data", {}).get("text/plain", "")
        if shown.startswith("half an") and not interrupted:
            interrupted.append(message)
            kernel.manager.interrupt_kernel()

    reply, messages = kernel.run("%%r2 -o half\nhello", interrupt)
    assert reply["ename"] == "KeyboardInterrupt"
    assert len(of_type(messages, "error")[0]["traceback"]) == 1
    assert server.wait_closed(), "the call went on"
    _, messages = kernel.run("print(half.text, half.partial)")
    assert "half an" in of_type(messages, "stream")[0]["text"]
    assert "True" in of_type(messages, "stream")[0]["text"]
    server.then(says("fine"))
    assert kernel.run("%%r2\nhello again")[0]["status"] == "ok"


def test_an_interrupt_before_any_text_leaves_no_answer(kernel: Kernel, server: ChatServer) -> None:
    server.then(hangs())

    def interrupt(message: Message) -> None:
        if message["content"].get("data", {}).get("text/plain", "").startswith("asking "):
            kernel.manager.interrupt_kernel()

    reply, _ = kernel.run("%%r2\nhello", interrupt)
    assert reply["ename"] == "KeyboardInterrupt"
    assert kernel.run("%r2 last")[0]["ename"] == "InputError"


def test_an_error_stops_run_all_and_is_one_line(kernel: Kernel) -> None:
    reply, messages = kernel.run("%%r2 --worth nan\nhello")
    assert (reply["status"], reply["ename"]) == ("error", "InputError")
    assert of_type(messages, "error")[0]["traceback"] == [f"InputError: {reply['evalue']}"]


def test_a_cell_runs_beside_the_kernels_own_loop(kernel: Kernel) -> None:
    reply, _ = kernel.run("import asyncio\nawait asyncio.sleep(0)\nget_ipython().run_cell_magic('r2', '', 'hello')")
    assert reply["status"] == "ok"


def test_a_saved_notebook_keeps_table_and_answer(server: ChatServer, tmp_path: Path) -> None:
    with suppress(DeprecationWarning):
        import nbformat
        from nbclient import NotebookClient
        from nbconvert import HTMLExporter
    cells = ["%load_ext r2_magic", "%%r2 --top 3\nWhat is the capital of Italy?", "str(_)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    file = tmp_path / "saved.ipynb"
    nbformat.write(notebook, file)
    reloaded = nbformat.read(file, as_version=4)
    ranking, text, facts = reloaded.cells[1].outputs
    assert "<table" in ranking.data["text/html"]
    assert "Filtered out" in ranking.data["text/html"] or "Why this one" in ranking.data["text/html"]
    assert text.data["text/markdown"] == "Rome is the **capital**."
    assert facts.output_type == "execute_result"
    assert reloaded.cells[2].outputs[0].data["text/plain"] == "'Rome is the **capital**.'"
    page, _ = HTMLExporter().from_notebook_node(reloaded)
    assert '<table class="r2-table">' in page
    assert "<strong>capital</strong>" in page


def test_a_comparison_says_what_it_does_and_is_one_page(kernel: Kernel, server: ChatServer) -> None:
    server.then(says("It is <b>Rome</b>."), says("Rome."))
    reply, messages = kernel.run("%%r2 --compare 2\nWhat is the capital of {country}?")
    assert reply["status"] == "ok"
    loading, note, asking = (m["data"]["text/plain"] for m in of_type(messages, "display_data"))
    assert "Left as typed: {country}" in note
    assert loading.startswith("loading ")
    asked = [asking, *(u["data"]["text/plain"] for u in of_type(messages, "update_display_data"))]
    said = [text for text in asked if text]
    assert all(text.startswith("asking ") for text in said)
    assert [text.count("asking ") for text in said[:2]] == [1, 2]  # the second beside the first
    assert asked[-1] == ""
    (result,) = of_type(messages, "execute_result")
    assert result["data"]["text/html"].count("<section>") == 2
    assert "&lt;b&gt;Rome&lt;/b&gt;" in result["data"]["text/html"]
    _, messages = kernel.run("%r2 prefer 2")
    assert "preferred to" in of_type(messages, "stream")[0]["text"]


def test_an_interrupted_comparison_shows_what_came_and_can_be_gone_on_with(kernel: Kernel, server: ChatServer) -> None:
    server.then(by_model(small=hangs("half an ", "answer"), middle=says("Rome."), large=says("Rome.")))

    def interrupt(message: Message) -> None:
        shown = message["content"].get("data", {}).get("text/plain", "")
        waited.append(shown)
        if shown.startswith("asking ") and shown.count("asking ") == 1 and waited[-2].count("asking ") == 2:
            kernel.manager.interrupt_kernel()  # the other one is over

    waited = [""]
    reply, messages = kernel.run("%%r2 --compare 2 --models Smol*,*0.5B* -o both\nhello", interrupt)
    assert reply["ename"] == "KeyboardInterrupt"
    shown = next(m["data"] for m in of_type(messages, "display_data") if "<section>" in m["data"].get("text/html", ""))
    assert "Rome." in shown["text/plain"]
    assert "interrupted" in shown["text/plain"]
    _, messages = kernel.run("print(both.answers[0].text, len(both))")
    assert of_type(messages, "stream")[0]["text"] == "Rome. 1\n"
    _, messages = kernel.run("%r2 last")
    assert of_type(messages, "display_data")[0]["data"]["text/plain"] == "Rome."
