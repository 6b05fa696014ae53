"""Why a try failed, and what follows: try again, ask another model, or tell the user what to do."""

from __future__ import annotations

import re

from r2_router.generate.endpoint import Endpoint
from r2_router.pools.model import Model

_RETRIED_STATUS = frozenset({408, 409, 425, 429})
# A gateway gave up waiting, which does not say that the model behind it did.
MAY_BE_BILLED = frozenset({408, 499, 504, 524})
_LOADING = re.compile(r"loading model|model\b.{0,80}\b(is )?(still |currently )?(being )?load(ing|ed)|warming up", re.I)
_TOO_LONG = re.compile(r"context.{0,20}(length|window|size)|too long|too many (input )?tokens|max_model_len", re.I)


class TryError(Exception):
    """One try failed. `reason` and `advice` are fit to be shown, `advice` a sentence or "".

    `retry`: the same request may succeed later, after `wait_s` seconds if the server says so. `status`: the HTTP
    status, None if none came. `message`: all that the server said, not fit to be shown. `loading`: the model is not in
    memory yet. `timed_out`: patience ended.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry: bool = False,
        status: int | None = None,
        wait_s: float | None = None,
        advice: str = "",
        message: str = "",
        loading: bool = False,
        timed_out: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry = retry
        self.status = status
        self.wait_s = wait_s
        self.advice = advice
        self.message = message
        self.loading = loading
        self.timed_out = timed_out

    @property
    def refuses_key(self) -> bool:
        """Whether whatever else is asked with this key will fail alike."""
        return self.status in (401, 402)


class ThoughtOnlyError(TryError):
    """The model used up its tokens before it wrote a word of its answer."""


class WrongFormatError(TryError):
    """The model answered, and not in the format that was asked for."""


def status_error(
    status: int, reason: str, model: Model, endpoint: Endpoint, wait_s: float | None = None, message: str = ""
) -> TryError:
    """The failure that HTTP status `status` stands for; `reason` is the server's own message, "" if none, `message` its
    whole body."""
    reason = endpoint.shown(reason)
    return TryError(
        f"HTTP {status}{f' ({reason})' if reason else ''}",
        retry=status in _RETRIED_STATUS or status >= 500,
        status=status,
        wait_s=wait_s,
        advice=_advice(status, reason, model, endpoint),
        message=message,
        loading=status in (429, 503) and bool(_LOADING.search(reason or message)),
    )


def _advice(status: int, message: str, model: Model, endpoint: Endpoint) -> str:
    """What the user can do about it, "" where that is nothing."""
    host, advice = endpoint.host, ""
    if status == 401 and model.api_key_env:
        advice = f"Check the key in {model.api_key_env}: {host} does not accept it."
    elif status == 401:
        advice = f"{host} wants a key: name its variable as api_key_env of {model.name} in the pool."
    elif status == 402:
        advice = f"The account at {host} has no credit left: add some, or use a cheaper or local model."
    elif status == 403:
        advice = f"{host} does not let this key ask {model.id}, or declined the content."
    elif status == 404:
        advice = f"Check the id '{model.id}' and the base_url {endpoint.base_url} of {model.name} in the pool."
    elif 300 <= status < 400:
        advice = f"Set base_url of {model.name} to the final address: requests are not sent on to another one."
    elif status == 413 or (status in (400, 422) and _TOO_LONG.search(message)):
        advice = f"The conversation is too long for {model.name}: shorten it, or exclude the model."
    return advice
