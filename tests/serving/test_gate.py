"""What passes the gate, without a server around it."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping
from typing import Any

import pytest

from r2_router.serving.gate import Gate, HttpLimits

PARTS = 1000


class Part(dict[str, Any]):
    """A piece of a request that can be seen to be let go."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _anybody(_: str) -> object:
    return True


def _refusal(_: Mapping[str, Any], status: int, why: str) -> bytes:
    return json.dumps([status, why]).encode()


@pytest.mark.anyio
async def test_of_a_request_too_large_nothing_is_kept_or_handed_on() -> None:
    kept: weakref.WeakValueDictionary[int, Part] = weakref.WeakValueDictionary()
    most = sent = 0
    said: list[Any] = []

    async def app(*_: object) -> None:
        raise AssertionError("it was handed on")

    async def receive() -> Part:
        nonlocal most, sent
        most, sent = max(most, len(kept)), sent + 1
        part = Part(type="http.request", body=b"x" * 100, more_body=sent < PARTS)
        kept[sent] = part
        return part

    async def send(message: Any) -> None:
        said.append(message)

    gate = Gate(app, _anybody, _refusal, HttpLimits(max_bytes=250), how="")
    await gate({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)
    assert said[0]["status"] == 413
    assert json.loads(said[1]["body"]) == [413, "A request has at most 250 bytes."]
    assert sent == PARTS  # heard out: its client reads the refusal only then
    assert most <= 4
