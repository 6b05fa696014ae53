from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from support.chat_server import ChatServer, chat_server
from support.gateway import KEY, KEY_VARIABLE, make_router

from r2_router import R2Router


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Generator[ChatServer]:
    """A loopback provider, its key in the environment."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with chat_server() as server:
        yield server


@pytest.fixture
def router(tmp_path: Path, provider: ChatServer) -> R2Router:
    return make_router(provider, tmp_path)
