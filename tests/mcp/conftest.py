from __future__ import annotations

from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest
from support.chat_server import ChatServer, chat_server
from support.mcp_client import KEY, KEY_VARIABLE, make_router, provided

from r2_router import R2Router


@pytest.fixture(autouse=True, scope="session")
def _tools_made_once() -> Generator[None]:
    """A server is made for each test; to derive the same schemas from the same signatures takes most of that."""
    import r2_mcp.server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(r2_mcp.server, "make_tools", cache(r2_mcp.server.make_tools))
        yield


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def router(tmp_path: Path) -> R2Router:
    """Routes; its models cannot be asked."""
    return make_router(tmp_path)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Generator[ChatServer]:
    """A loopback provider, its key in the environment."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with chat_server() as server:
        yield server


@pytest.fixture
def answering(tmp_path: Path, provider: ChatServer) -> R2Router:
    """Routes, and asks `provider`."""
    return make_router(tmp_path, provided(provider.url))
