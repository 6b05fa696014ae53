"""OpenAI's Batch API, which many providers speak: a file of requests, a batch of it, files with what came."""

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
)
from r2_router.batches.batch_calls import BatchServer, compact, id_of
from r2_router.generate.body import Body
from r2_router.pools.profiles import BatchTerms
from r2_router.records import as_dict

_PATH = "/v1/chat/completions"
_OURS = "r2_batch"  # in a batch's metadata: by which it is found again
_CROWDED = "token_limit_exceeded"  # with what is queued already


class OpenAIBatches:
    """Batches of the server `server`."""

    cancels = True

    def __init__(self, server: BatchServer, terms: BatchTerms) -> None:
        self._server = server
        self._terms = terms

    def request(self, custom_id: str, body: Body) -> dict[str, Any] | None:
        sent = chat_request(body, self._terms.cap)
        return {"custom_id": custom_id, "method": "POST", "url": _PATH, "body": sent}

    async def upload(self, key: str, requests: Sequence[bytes]) -> str:
        found = await self._server.upload("/files", f"{key}.jsonl", b"\n".join(requests) + b"\n", purpose="batch")
        return id_of(found)

    async def create(self, key: str, model_id: str, requests: Sequence[bytes], file_id: str) -> ProviderBatch:
        asked = {
            "input_file_id": file_id,
            "endpoint": _PATH,
            "completion_window": self._terms.window,
            "metadata": {_OURS: key},
        }
        return _read(await self._server.post("/batches", compact(asked), Idempotency_Key=key))

    async def find(
        self, key: str, since: float, size: int, known: Collection[str]
    ) -> ProviderBatch | Literal["unsure"] | None:
        after: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            page = await self._server.get("/batches", limit=100, **after)
            batches = [as_dict(item) for item in page.get("data") or ()]
            for batch in batches:
                if as_dict(batch.get("metadata")).get(_OURS) == key:
                    return _read(batch)
            oldest = batches[-1].get("created_at") if batches else None
            old = isinstance(oldest, (int, float)) and oldest < since - CLOCKS_DIFFER_S
            if old or not batches or not page.get("has_more"):
                break
            after = {"after": id_of(batches[-1])}
        return None

    async def look(self, batch_id: str) -> ProviderBatch:
        return _read(await self._server.get(f"/batches/{quote(batch_id, safe='')}"))

    async def results(self, batch: ProviderBatch) -> AsyncGenerator[BatchResult]:
        for file in batch.files:
            async for line in self._server.documents(f"/files/{quote(file, safe='')}/content"):
                yield chat_result(line)

    async def cancel(self, batch_id: str) -> None:
        await self._server.post(f"/batches/{quote(batch_id, safe='')}/cancel")


def _read(document: dict[str, Any]) -> ProviderBatch:
    status = str(document.get("status") or "").lower()
    counts = as_dict(document.get("request_counts"))
    errors = [as_dict(item) for item in as_dict(document.get("errors")).get("data") or ()]
    files = (document.get("output_file_id"), document.get("error_file_id"))
    said = "; ".join(str(error.get("message")) for error in errors[:3])
    failure = (said or "no reason given") if status == "failed" else ""
    return ProviderBatch(
        id_of(document),
        status,
        status in OVER,
        count(counts, "completed", "failed"),
        count(counts, "total"),
        failure,
        any(error.get("code") == _CROWDED for error in errors),
        tuple(file for file in files if isinstance(file, str) and file),
    )
