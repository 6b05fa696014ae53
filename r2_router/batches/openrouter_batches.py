"""OpenRouter's Batch API: requests to one model in one call, their results in another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Any, Literal
from urllib.parse import quote

from r2_router.batches.batch_apis import (
    CLOCKS_DIFFER_S,
    MOST_PAGES,
    OVER,
    BatchResult,
    ProviderBatch,
    chat_request,
    chat_result,
    count,
    position_of,
)
from r2_router.batches.batch_calls import BatchServer, CallError, compact, id_of
from r2_router.generate.body import Body
from r2_router.pools.profiles import BatchTerms
from r2_router.records import as_dict


class OpenRouterBatches:
    """Batches of the server `server`, which has no way to stop one."""

    cancels = False

    def __init__(self, server: BatchServer, terms: BatchTerms) -> None:
        self._server = server
        self._terms = terms

    def request(self, custom_id: str, body: Body) -> dict[str, Any] | None:
        sent = chat_request(body, self._terms.cap)
        sent.pop("model")  # the batch names it
        return {"custom_id": custom_id, "body": sent}

    async def upload(self, key: str, requests: Sequence[bytes]) -> str:
        return ""

    async def create(self, key: str, model_id: str, requests: Sequence[bytes], file_id: str) -> ProviderBatch:
        # Read as it comes: the requests stand last.
        head = {"endpoint": "/v1/chat/completions", "model": model_id, "completion_window": self._terms.window}
        content = compact(head)[:-1] + b',"requests":[' + b",".join(requests) + b"]}"
        return _read(await self._server.post("/batches", content, Idempotency_Key=key))

    async def find(
        self, key: str, since: float, size: int, known: Collection[str]
    ) -> ProviderBatch | Literal["unsure"] | None:
        """Its results tell by their ids whose a batch is; until it is over, one of as many requests may be it."""
        unsure, after = False, dict[str, str]()
        for _ in range(MOST_PAGES):
            earliest = int(since) - CLOCKS_DIFFER_S
            page = await self._server.get("/batches", limit=100, created_after=earliest, **after)
            listed = [_read(as_dict(item)) for item in page.get("data") or ()]
            for batch in listed:
                if batch.id in known or batch.total not in (0, size):
                    continue
                if not batch.over:
                    unsure = True
                elif any(position_of(key, r.custom_id) is not None for r in await self._all(batch.id)):
                    return batch
            if not listed or not page.get("has_more"):
                break
            after = {"after": listed[-1].id}
        return "unsure" if unsure else None

    async def look(self, batch_id: str) -> ProviderBatch:
        return _read(await self._server.get(f"/batches/{quote(batch_id, safe='')}"))

    async def results(self, batch: ProviderBatch) -> AsyncGenerator[BatchResult]:
        for result in await self._all(batch.id):
            yield result

    async def cancel(self, batch_id: str) -> None:
        raise CallError("OpenRouter has no way to stop a batch", refused=True)

    async def _all(self, batch_id: str) -> list[BatchResult]:
        document = await self._server.get(f"/batches/{quote(batch_id, safe='')}")
        return [chat_result(as_dict(item)) for item in document.get("results") or ()]


def _read(document: dict[str, Any]) -> ProviderBatch:
    status = str(document.get("status") or "").lower()
    counts = as_dict(document.get("request_counts"))
    failure = str(as_dict(document.get("error")).get("message") or "no reason given") if status == "failed" else ""
    done = count(counts, "completed", "failed")
    return ProviderBatch(id_of(document), status, status in OVER, done, count(counts, "total"), failure)
