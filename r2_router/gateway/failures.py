"""What an error of ours is in HTTP: a status, a kind, whether asking again is of use, and the words."""

from __future__ import annotations

from dataclasses import dataclass

from r2_router.errors import (
    InputError,
    LedgerError,
    NoCandidateError,
    ProviderError,
    R2Error,
    SpendLimitError,
)
from r2_router.records import Record

_STATUS: tuple[tuple[type[R2Error], int, str], ...] = (
    (NoCandidateError, 400, "no_candidate"),
    (SpendLimitError, 402, "spend_limit"),
    (LedgerError, 503, "ledger"),
    (ProviderError, 502, "no_answer"),
    (InputError, 400, "invalid_request"),
)
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "request_too_large",
    421: "invalid_request_error",
    501: "not_supported_error",
    503: "overloaded_error",
    504: "timeout_error",
}


@dataclass(frozen=True, slots=True)
class Failure(Record):
    """Why there is no answer. `code` is ours, for programs; `again`: whether the same request may succeed soon."""

    status: int
    message: str
    code: str = ""
    again: bool = False

    @property
    def kind(self) -> str:
        """The name that OpenAI and Anthropic have for a failure of this status."""
        return _KINDS.get(self.status, "api_error")

    @property
    def headers(self) -> dict[str, str]:
        """What keeps clients from asking again at once what was tried here already, and may have been billed."""
        return {} if self.again else {"x-should-retry": "false"}


def failure(error: R2Error) -> Failure:
    """An error of the core as a Failure; 500 for what only who runs the gateway can mend."""
    for kind, status, code in _STATUS:
        if isinstance(error, kind):
            return Failure(status, str(error), code, again=status == 503)
    return Failure(500, str(error), "configuration")
