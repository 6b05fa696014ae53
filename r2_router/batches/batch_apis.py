"""What providers' batch APIs have in common: a batch as it stands, its results, what can be asked of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from r2_router.generate.body import Body
from r2_router.generate.wire import read_error
from r2_router.records import Record, as_dict

MOST_PAGES = 100  # of a list of batches that are looked through
CLOCKS_DIFFER_S = 3600  # a provider's and ours
OVER = ("completed", "failed", "expired", "cancelled")  # OpenAI's words for it, which others took over
_KEY_ENDS = "-"  # in a request's id: the key of its batch, then its position


@dataclass(frozen=True, slots=True)
class ProviderBatch(Record):
    """A batch as its provider tells of it: `status` in its own word; whether it is `over`; how many of its `total`
    requests are done, as far as is told; why it was refused as a whole, "" if it was not; `crowded`: only because
    others are under way; files with its results."""

    id: str
    status: str
    over: bool
    done: int = 0
    total: int = 0
    failure: str = ""
    crowded: bool = False
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of the request `custom_id`: a chat completion in `document`; or `refused`, with the server's
    `status` and all it said in `reason`; or `unasked`: the batch expired or was cancelled before."""

    custom_id: str
    kind: Literal["answered", "refused", "unasked"]
    document: dict[str, Any] | None = None
    status: int | None = None
    reason: str = ""


class BatchApi(Protocol):
    """One provider's batches. All calls raise CallError."""

    cancels: bool  # whether a running batch can be stopped

    def request(self, custom_id: str, body: Body) -> dict[str, Any] | None:
        """A chat request as it stands in a batch; None where the API cannot say it."""
        ...

    async def upload(self, key: str, requests: Sequence[bytes]) -> str:
        """What has to be there before a batch is made, for nothing: the id of a file, "" where none is needed."""
        ...

    async def create(self, key: str, model_id: str, requests: Sequence[bytes], file_id: str) -> ProviderBatch:
        """Send a batch: from here on it is paid for."""
        ...

    async def find(
        self, key: str, since: float, size: int, known: Collection[str]
    ) -> ProviderBatch | Literal["unsure"] | None:
        """The batch of that key and so many requests, sent since then (seconds since 1970), whose id never came; None
        where there is none; "unsure" where one that runs may be it. `known` are other batches'."""
        ...

    async def look(self, batch_id: str) -> ProviderBatch:
        """The batch as it stands."""
        ...

    def results(self, batch: ProviderBatch) -> AsyncGenerator[BatchResult]:
        """What a batch that is over has brought, in any order."""
        ...

    async def cancel(self, batch_id: str) -> None:
        """Stop a running batch; what is answered by then stays, and is paid for."""
        ...


def custom_id(key: str, position: int) -> str:
    """The id of a prompt's request in the batch of that key."""
    return f"{key}{_KEY_ENDS}{position}"


def position_of(key: str, stated: object) -> int | None:
    """The position that such an id names, None where it is none of that key."""
    head, _, tail = stated.rpartition(_KEY_ENDS) if isinstance(stated, str) else ("", "", "")
    return int(tail) if head == key and tail.isdecimal() and len(tail) < 18 else None


def count(document: dict[str, Any], *names: str) -> int:
    """The sum of these counts of a document, those that are none left out."""
    stated = (document.get(name) for name in names)
    return sum(n for n in stated if isinstance(n, int) and not isinstance(n, bool) and n >= 0)


def chat_request(body: Body, cap: str) -> Body:
    """A chat request as it stands in a batch: whole, and its limit called `cap`."""
    kept = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    if "max_tokens" in kept and cap != "max_tokens":
        kept[cap] = kept.pop("max_tokens")
    return kept


def chat_result(line: dict[str, Any]) -> BatchResult:
    """A result in the form of OpenAI's output and error files."""
    name, response, error = str(line.get("custom_id", "")), as_dict(line.get("response")), as_dict(line.get("error"))
    status, body = response.get("status_code"), as_dict(response.get("body"))
    if error and ("expired" in str(error.get("code")) or "cancel" in str(error.get("code"))):
        return BatchResult(name, "unasked", reason=str(error.get("message") or error.get("code")))
    if not error and body and (status is None or status == 200):
        return BatchResult(name, "answered", body)
    said = read_error(body, refused=True) if body else None
    reason = said.reason if said else str(error.get("message") or error.get("code") or "no reason given")
    return BatchResult(name, "refused", body or error, status if isinstance(status, int) else None, reason)
