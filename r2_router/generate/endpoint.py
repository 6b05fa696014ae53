"""Endpoint: where a model is asked, and the key for it, which never shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from r2_router.config.redaction import shown
from r2_router.errors import ConfigError
from r2_router.pools.profiles import Profile, profile_of

if TYPE_CHECKING:
    import httpx

    from r2_router.config.settings import Secret

_SHOWN_CHARS = 300


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """The base of an OpenAI-compatible API, such as https://openrouter.ai/api/v1, and its key, None if it needs none.

    Raises ConfigError for a base URL that cannot be asked, or that holds a password or a query: they would end up
    in logs.
    """

    base_url: str
    key: Secret | None = None
    profile: Profile = field(init=False, compare=False)  # how the provider wants to be asked

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # a broken port or IPv6 address
            raise self._not_an_address() from None
        if parts.username is not None or parts.query or parts.fragment:
            raise ConfigError(
                f"The base_url on {parts.hostname} holds more than an address. Keep the part before '?', without "
                f"user and password, and name the variable of the key in api_key_env."
            )
        if not valid:
            raise self._not_an_address()
        object.__setattr__(self, "profile", profile_of(self.host))

    def _not_an_address(self) -> ConfigError:
        return ConfigError(f"base_url '{self.base_url[:_SHOWN_CHARS]}' is not an http:// or https:// address.")

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @property
    def chat_url(self) -> str:
        base, query = self.base_url.rstrip("/"), self.profile.query
        behind = f"?{urlencode(query)}" if query and not base.endswith("/v1") else ""
        return f"{base}/chat/completions{behind}"

    def sign(self, request: httpx.Request, header: str = "") -> httpx.Request:
        """Put the key on a request, at the last moment: no frame of ours holds it for a traceback to show. It goes into
        `header`, else where the provider usually wants it."""
        if self.key is not None:
            header = header or self.profile.key_header
            request.headers[header or "Authorization"] = self.key.reveal() if header else f"Bearer {self.key.reveal()}"
        return request

    def shown(self, text: str) -> str:
        """What a server said, fit for a person's eyes: on one line, of bounded length, without the key."""
        return shown(text, self.key, _SHOWN_CHARS)

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url!r})"
