"""Today's prices and availability from a provider's list of models, and the user's file that keeps them."""

from __future__ import annotations

import datetime as dt
import json
import math
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from r2_router.config.safe_files import replace_file
from r2_router.config.settings import Secret
from r2_router.config.toml_file import read_config
from r2_router.errors import ConfigError, DownloadError
from r2_router.pools.model import Model
from r2_router.pools.pool import SPEEDS, models_file
from r2_router.records import Record

# A reason that begins so is the provider's doing, and lifted when it lists the model again; others stay.
NOT_OFFERED = "not offered by "

_MAX_BYTES = 32 << 20
_MAX_SECONDS = 60.0
_READ_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Change(Record):
    """One model before and after a refresh."""

    before: Model
    after: Model

    def fields(self) -> dict[str, Any]:
        """The fields of `after` that differ."""
        return {key: self.after[key] for key in self.after if self.after[key] != self.before[key]}


def refresh(models: Iterable[Model], *, base_url: str, key: Secret | None = None) -> list[Change]:
    """What GET `base_url`/models (in OpenRouter's form) says differently of `models`, a pool or part of one.

    A model it does not list, or lists without a price to rely on, becomes unavailable with the date; one that
    was so and is listed again becomes available. Models without an id are left alone.

    Raises DownloadError if the list cannot be had or is no such list.
    """
    host = urlsplit(base_url).netloc
    listed = _listed(_fetch(base_url, key), host)
    today = dt.datetime.now().astimezone().date().isoformat()
    changes = (Change(model, _updated(model, listed.get(model.id), host, today)) for model in models if model.id)
    return [change for change in changes if change.fields()]


def write_user_models(changes: Iterable[Change]) -> Path:
    """Write `changes` into the user's models.toml, keeping what else is there, and return its path.

    The file is replaced whole or not at all. Raises ConfigError if it cannot be read or written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    changes = list(changes)
    file = models_file()
    text = read_config(file).text if file.is_file() else ""
    expected = tomllib.loads(text)
    _apply(changes, expected, dict)
    try:
        document = tomlkit.parse(text)
        _apply(changes, document, tomlkit.table)
        written = tomlkit.dumps(document)
        kept = tomllib.loads(written) == expected
    except (TOMLKitError, ValueError):
        written, kept = "", False
    if not kept:  # `models = {...}` and `models.NAME.key = ...` cannot be added to in place
        raise ConfigError(
            f"{file} keeps its models in a form that cannot be edited in place. Write each as a table, "
            f"[models.NAME], and refresh again. Nothing was changed."
        )
    _replace(file, written)
    return file


# -- the provider's list -------------------------------------------------------------------------------------


def _fetch(base_url: str, key: Secret | None) -> bytes:
    import httpx

    url = f"{base_url.rstrip('/')}/models"
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    deadline = time.monotonic() + _MAX_SECONDS
    body = bytearray()
    try:
        with (
            httpx.Client(timeout=_READ_SECONDS) as client,  # a redirect is refused: the key is for this host alone
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code != 200:
                raise DownloadError(_refusal(url, response.status_code))
            for block in response.iter_bytes():
                body += block
                if len(body) > _MAX_BYTES:
                    raise DownloadError(f"{url} sends more than {_MAX_BYTES >> 20} MiB: not a list of models.")
                if time.monotonic() > deadline:
                    raise DownloadError(f"{url} is too slow: not done after {_MAX_SECONDS:.0f} s. Try again later.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(
            f"{url} cannot be reached ({type(error).__name__}). Check the address and the connection."
        ) from None
    return bytes(body)


def _refusal(url: str, status: int) -> str:
    if status in (401, 403):
        return f"{url} refuses the key, or wants one (HTTP {status}). Check the key of this provider."
    if 300 <= status < 400:
        return f"{url} redirects elsewhere (HTTP {status}), which is not followed. Give the final address."
    return f"{url} answers HTTP {status}. Check the address (it ends before /models), or try again later."


def _listed(body: bytes, host: str) -> dict[str, dict[str, Any]]:
    """The entries of the list by id; whatever has no id is passed over."""
    try:
        answer: object = json.loads(body)
    except (ValueError, RecursionError):
        raise DownloadError(f"{host} answered with something that is not JSON. Check the address.") from None
    data = cast("dict[str, object]", answer).get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list):
        raise DownloadError(f'{host} answered without a list of models ("data" is missing). Check the address.')
    entries = [cast("dict[str, Any]", entry) for entry in cast("list[object]", data) if isinstance(entry, dict)]
    listed = {entry["id"]: entry for entry in entries if isinstance(entry.get("id"), str)}
    if not listed:
        raise DownloadError(f"{host} lists no model at all. Nothing is changed.")
    return listed


def _updated(model: Model, entry: Mapping[str, Any] | None, host: str, today: str) -> Model:
    if entry is None:
        return _withdrawn(model, f"{NOT_OFFERED}{host} ({today})")
    window = entry.get("context_length")
    if isinstance(window, int) and not isinstance(window, bool) and window > 0:
        model = replace(model, context_window=window)
    pricing = entry.get("pricing")
    if pricing is not None:
        prices = _prices(pricing)
        if prices is None:
            return _withdrawn(model, f"{NOT_OFFERED}{host} at a fixed price ({today})")
        model = replace(model, input_usd_per_million=prices[0], output_usd_per_million=prices[1], prices_date=today)
    return replace(model, unavailable="") if model.unavailable.startswith(NOT_OFFERED) else model


def _withdrawn(model: Model, reason: str) -> Model:
    return model if model.unavailable else replace(model, unavailable=reason)


def _prices(pricing: object) -> tuple[float, float] | None:
    """USD per million input and output tokens; None if either is missing, changing ("-1") or no price."""
    if not isinstance(pricing, dict):
        return None
    stated = cast("dict[str, object]", pricing)
    prices = [_per_million(stated.get(side)) for side in ("prompt", "completion")]
    return None if prices[0] is None or prices[1] is None else (prices[0], prices[1])


def _per_million(usd_per_token: object) -> float | None:
    if isinstance(usd_per_token, bool) or not isinstance(usd_per_token, (str, int, float)):
        return None
    try:
        price = float(Decimal(str(usd_per_token)) * 1_000_000)  # in decimals "0.00000007" makes 0.07 exactly
    except (ArithmeticError, ValueError):
        return None
    return price if math.isfinite(price) and price >= 0 else None


# -- the user's file -----------------------------------------------------------------------------------------


def _apply(
    changes: Iterable[Change],
    document: MutableMapping[str, Any],
    new_table: Callable[[], MutableMapping[str, Any]],
) -> None:
    for change in changes:
        models = document.setdefault("models", new_table())
        _set(models.setdefault(change.after.name, new_table()), change)


def _set(table: MutableMapping[str, Any], change: Change) -> None:
    """Write the fields that changed, and drop what they make untrue."""
    changed, after = change.fields(), change.after
    if {"input_usd_per_million", "output_usd_per_million"} & changed.keys():
        table["usd_per_million"] = [after.input_usd_per_million, after.output_usd_per_million]
        for key in SPEEDS:
            table.pop(key, None)
    if "prices_date" in changed:
        table["prices_date"] = dt.date.fromisoformat(after.prices_date)
    if "context_window" in changed:
        table["context_window"] = after.context_window
    if "unavailable" in changed:
        table["available"] = after.available
        table.pop("reason", None)
        if after.unavailable:
            table["reason"] = after.unavailable


def _replace(file: Path, text: str) -> None:
    try:
        if file.is_file() and b"\r\n" in file.read_bytes():
            text = text.replace("\n", "\r\n")
        replace_file(file, text.encode())
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}. Nothing was changed.") from None
