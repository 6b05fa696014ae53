from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from support.chat_server import ChatServer, chat_server
from support.mcp_client import KEY, KEY_VARIABLE, make_router, provided

from r2_router import R2Router


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
