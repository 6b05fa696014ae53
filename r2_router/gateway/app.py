"""The application: which address answers to whom."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

import r2_router
from r2_router.errors import ConfigError, R2Error
from r2_router.gateway.anthropic_messages import AnthropicMessages
from r2_router.gateway.api import Api
from r2_router.gateway.chat_completions import ChatCompletions
from r2_router.gateway.exchange import INTERNAL, Exchange, json_response
from r2_router.gateway.failures import Failure
from r2_router.gateway.model_list import model_entry, model_list
from r2_router.gateway.prometheus import INSTALL, Metrics
from r2_router.gateway.responses import Responses
from r2_router.gateway.traces import trace
from r2_router.ledger.named_tokens import Tokens, who_asks
from r2_router.serving.gate import Gate, HttpLimits, allowed_names

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from r2_router.router import R2Router

    Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

TOKEN_VARIABLE = "R2_GATEWAY_TOKEN"
LIMITS = HttpLimits(max_bytes=32 << 20, max_requests=1024)  # chats hold images, and wait for their models

_HOW = (
    "give those who ask tokens (r2-router token add NAME), or set "
    f"{TOKEN_VARIABLE} to a long random text; clients send either as their API key"
)
_NO_TOKEN = f"Send your token, or that of {TOKEN_VARIABLE}, as the API key."
_APIS: Mapping[str, Api] = {
    "/v1/chat/completions": ChatCompletions(),
    "/v1/responses": Responses(),
    "/v1/messages": AnthropicMessages(),
}
_COUNT = "/v1/messages/count_tokens"
_NOT_SERVED = "The gateway routes chats and serves no embeddings. Ask an embedding server for them."


def gateway_app(
    router: R2Router,
    *,
    host: str = "127.0.0.1",
    allowed_hosts: Sequence[str] = (),
    token: str = "",
    limits: HttpLimits = LIMITS,
) -> ASGIApp:
    """The ASGI application that answers with `router`; host, names and token as in `allowed_names`.

    Raises ConfigError where an address that others can reach has no token, or no name.
    """
    tokens = Tokens(router.ledger)
    names = allowed_names(host, allowed_hosts, has_token=bool(token or tokens.all()), how=_HOW)
    metrics = _metrics()
    observers = [trace, metrics] if metrics else [trace]
    exchanges = {path: Exchange(api, router, observers) for path, api in _APIS.items()}
    routes = [
        *(Route(path, exchange.answer, methods=["POST"]) for path, exchange in exchanges.items()),
        *(Route(path, endpoint, methods=["GET"]) for path, endpoint in _looks(router, metrics).items()),
        Route(_COUNT, exchanges["/v1/messages"].count, methods=["POST"]),
        Route("/v1/embeddings", _no_embeddings, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error, Exception: _crash})
    open_paths = ("/health", "/ready")
    who = who_asks(token, tokens)
    return Gate(app, who, _refusal, limits, names=names, open_paths=open_paths, how=_NO_TOKEN)


# -- beside the answers ----------------------------------------------------------------------------------------


class _Ready:
    """Says whether a request can be answered at once: the embedder is there. Until then it is being loaded."""

    def __init__(self, router: R2Router) -> None:
        self._router = router
        self._why = "The embedder is being loaded."
        self._loading: asyncio.Task[None] | None = None

    async def respond(self, _: Request) -> Response:
        if self._why and (self._loading is None or self._loading.done()):
            self._loading = asyncio.create_task(self._load())
            await asyncio.wait({self._loading}, timeout=0.05)
        status = 503 if self._why else 200
        return json_response({"status": self._why or "ready"}, status)

    async def _load(self) -> None:
        try:
            await asyncio.to_thread(lambda: self._router.embedder)
            self._why = ""
        except R2Error as error:
            self._why = str(error)


def _looks(router: R2Router, metrics: Metrics | None) -> Mapping[str, Endpoint]:
    """What is there to be looked at."""

    async def models(_: Request) -> Response:
        return json_response(model_list(router))

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        entry = model_entry(router, name)
        return _refused(request, 404, f"No model is called '{name[:80]}'.") if entry is None else json_response(entry)

    async def counts(request: Request) -> Response:
        if metrics is None:
            return _refused(request, 501, f"/metrics wants prometheus-client: {INSTALL}")
        text, kind = metrics.text()
        return Response(text, media_type=kind)

    ready = _Ready(router).respond
    models_too = {"/v1/models": models, "/v1/models/{name:path}": model}
    return {**models_too, "/health": _health, "/ready": ready, "/metrics": counts}


def _metrics() -> Metrics | None:
    try:
        return Metrics()
    except ConfigError:
        return None


async def _no_embeddings(request: Request) -> Response:
    return _refused(request, 501, _NOT_SERVED)


async def _health(_: Request) -> Response:
    return json_response({"status": "ok", "version": r2_router.__version__})


# -- refusals --------------------------------------------------------------------------------------------------


def _api(path: str) -> Api:
    return next((api for known, api in _APIS.items() if path.startswith(known)), _APIS["/v1/chat/completions"])


def _refusal(scope: Mapping[str, Any], status: int, why: str) -> bytes:
    return json.dumps(_api(scope["path"]).failed(Failure(status, why))).encode()


def _refused(request: Request, status: int, why: str) -> Response:
    return json_response(_api(request.url.path).failed(Failure(status, why)), status)


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    path = request.url.path[:80]
    said = {404: f"Nothing is served at {path}: {', '.join(_APIS)}.", 405: f"{path} takes no {request.method}."}
    return _refused(request, status, said.get(status, "The request cannot be read."))


async def _crash(request: Request, _: Exception) -> Response:
    return json_response(_api(request.url.path).failed(INTERNAL), INTERNAL.status)
