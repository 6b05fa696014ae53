"""Loopback servers in place of a provider with a key (OpenRouter's format) and a server on this machine (Ollama's)."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r2_router.pools.profiles import forget as forget_profiles
from support.chat_server import Behaviour, ChatServer, Exchange, chat_server, says

KEY = "sk-or-v1-notforanyoneseyes"
KEY_VARIABLE = "OPENROUTER_API_KEY"
REPLY = "It picks one."

# Ids, and USD per million tokens read and written.
MODELS: tuple[tuple[str, float, float], ...] = (
    ("google/gemma-3-4b-it", 0.04, 0.05),
    ("google/gemma-3-12b-it", 0.05, 0.15),
    ("meta-llama/llama-3.1-8b-instruct", 0.06, 0.09),
    ("z-ai/glm-5.3-flash", 0.14, 0.28),
    ("deepseek/deepseek-v3.2", 0.26, 0.38),
    ("openai/gpt-4.1-mini", 0.4, 1.6),
    ("openai/gpt-4o-mini", 0.15, 0.6),
    ("anthropic/claude-sonnet-4.6", 3.0, 15.0),
    ("anthropic/claude-opus-5.5", 5.0, 25.0),
    ("google/gemini-4-argon", 2.0, 10.0),
    ("mistralai/mistral-large-4", 0.5, 1.5),
    ("nobody/never-rated-40b", 0.3, 0.9),
)


def entry(model_id: str, read: float, written: float, **more: Any) -> dict[str, Any]:
    """A model as OpenRouter lists it."""
    return {
        "id": model_id,
        "name": model_id,
        "context_length": 131072,
        "pricing": {"prompt": f"{read / 1e6:.12f}", "completion": f"{written / 1e6:.12f}"},
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "expiration_date": None,
        **more,
    }


def as_openrouter(models: Sequence[tuple[str, float, float]] = MODELS) -> dict[str, Any]:
    return {"data": [entry(*model) for model in models]}


def as_ollama(*ids: str) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": i, "object": "model", "created": 1, "owned_by": "library"} for i in ids]}


@dataclass
class Offering:
    """A server that lists `body`, and answers each query with REPLY or as `whole` does."""

    body: object
    whole: Behaviour = field(default_factory=lambda: says("It picks ", "one."))

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.path.endswith("/models"):
            await exchange.whole(json.dumps(self.body).encode())
        else:
            await self.whole(exchange)


@dataclass
class Offers:
    """Both servers, and what they list."""

    hosted: ChatServer
    own: ChatServer
    hosted_list: Offering
    own_list: Offering


@contextmanager
def offers(home: Path) -> Generator[Offers]:
    """Both running, and `home`'s profiles naming them; no other server of this machine is looked for."""
    hosted_list, own_list = Offering(as_openrouter()), Offering(as_ollama("qwen3:8b"))
    with chat_server(hosted_list) as hosted, chat_server(own_list) as own:
        write_profiles(home, openrouter=hosted.url, ollama=own.url)
        yield Offers(hosted, own, hosted_list, own_list)


def write_profiles(home: Path, *, openrouter: str = "", ollama: str = "") -> None:
    """The user's own profiles, so that nothing but these loopback addresses is asked."""
    nowhere = "http://127.0.0.1:9/v1"  # where nobody listens
    tables = dict.fromkeys(("lmstudio", "llamacpp", "vllm", "jan"), f'base_url = "{nowhere}"')
    tables["ollama"] = f'base_url = "{ollama or nowhere}"'
    tables["openrouter"] = f'base_url = "{openrouter or nowhere}"\napi_key_env = "{KEY_VARIABLE}"'
    home.mkdir(parents=True, exist_ok=True)
    text = "\n".join(f"[{name}]\n{table}\n" for name, table in tables.items())
    (home / "providers.toml").write_text(text, encoding="utf-8")
    forget_profiles()
