"""Anthropic's Message Batches API: requests in one call, their results as lines once all are over."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from r2_router.batches.anthropic_messages_api import completion_of, message_params
from r2_router.batches.batch_apis import CLOCKS_DIFFER_S, MOST_PAGES, BatchResult, ProviderBatch, count, position_of
from r2_router.batches.batch_calls import BatchServer, id_of
from r2_router.generate.body import Body
from r2_router.generate.endpoint import Endpoint
from r2_router.generate.wire import read_error
from r2_router.records import as_dict

_PATH = "/messages/batches"
_DONE = ("succeeded", "errored", "canceled", "expired")
_VERSION = "2023-06-01"  # the next one, 2026-10-21, refuses a temperature
_STATUS = {"invalid_request_error": 400, "authentication_error": 401, "permission_error": 403, "not_found_error": 404}


class AnthropicBatches:
    """Batches of the server at `endpoint`."""

    cancels = True

    def __init__(self, endpoint: Endpoint) -> None:
        self._server = BatchServer(endpoint, {"anthropic-version": _VERSION}, "x-api-key")

    def request(self, custom_id: str, body: Body) -> dict[str, Any] | None:
        params = message_params(body)
        return None if params is None else {"custom_id": custom_id, "params": params}

    async def upload(self, key: str, requests: Sequence[bytes]) -> str:
        return ""

    async def create(self, key: str, model_id: str, requests: Sequence[bytes], file_id: str) -> ProviderBatch:
        content = b'{"requests":[' + b",".join(requests) + b"]}"
        return _read(await self._server.post(_PATH, content, Idempotency_Key=key))

    async def find(
        self, key: str, since: float, size: int, known: Collection[str]
    ) -> ProviderBatch | Literal["unsure"] | None:
        """Its results tell by their ids whose a batch is; until it is over, one of as many requests may be it."""
        unsure, after = False, dict[str, str]()
        for _ in range(MOST_PAGES):
            page = await self._server.get(_PATH, limit=100, **after)
            items = [as_dict(item) for item in page.get("data") or ()]
            recent = [item for item in items if _seconds(item) >= since - CLOCKS_DIFFER_S]
            for batch in map(_read, recent):
                if batch.id in known or batch.total != size:
                    continue
                if not batch.over:
                    unsure = True
                elif await self._is_of(key, batch):
                    return batch
            if len(recent) < len(items) or not items or not page.get("has_more"):
                break
            after = {"after_id": id_of(items[-1])}
        return "unsure" if unsure else None

    async def look(self, batch_id: str) -> ProviderBatch:
        return _read(await self._server.get(f"{_PATH}/{quote(batch_id, safe='')}"))

    async def results(self, batch: ProviderBatch) -> AsyncGenerator[BatchResult]:
        # Not where `results_url` points: the key goes to no address that an answer names.
        async for line in self._server.documents(f"{_PATH}/{quote(batch.id, safe='')}/results"):
            yield _result(line)

    async def cancel(self, batch_id: str) -> None:
        await self._server.post(f"{_PATH}/{quote(batch_id, safe='')}/cancel")

    async def _is_of(self, key: str, batch: ProviderBatch) -> bool:
        async with aclosing(self.results(batch)) as results:
            async for result in results:
                return position_of(key, result.custom_id) is not None
        return False


def _read(document: dict[str, Any]) -> ProviderBatch:
    status = str(document.get("processing_status") or "")
    counts = as_dict(document.get("request_counts"))
    done = count(counts, *_DONE)
    return ProviderBatch(id_of(document), status, status == "ended", done, done + count(counts, "processing"))


def _result(line: dict[str, Any]) -> BatchResult:
    name, result = str(line.get("custom_id", "")), as_dict(line.get("result"))
    kind = result.get("type")
    if kind == "succeeded":
        return BatchResult(name, "answered", completion_of(as_dict(result.get("message"))))
    if kind in ("canceled", "expired"):
        return BatchResult(name, "unasked", reason=f"the batch was {kind}" if kind == "canceled" else "it expired")
    error = as_dict(result.get("error"))
    said = read_error(error, refused=True)
    inner = as_dict(error.get("error")) or error
    status = _STATUS.get(str(inner.get("type")), 500)
    return BatchResult(name, "refused", error, status, said.reason if said else "no reason given")


def _seconds(document: dict[str, Any]) -> float:
    """When a batch was made, in seconds since 1970; now, for all that is known, where it does not say."""
    try:
        return datetime.fromisoformat(str(document.get("created_at"))).timestamp()
    except ValueError:
        return float("inf")
