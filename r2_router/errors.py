"""The few exceptions a user can meet. Each message says what is wrong and what to do next."""


class R2Error(Exception):
    """Base of every error this project raises on purpose. `attempts`: what was tried, and billed, before it."""

    attempts: tuple[object, ...] = ()


class InputError(R2Error, ValueError):
    """An argument cannot be used: a blank query, λ out of range, an embedding of another dimension."""


class ConfigError(R2Error, ValueError):
    """A setting or a pool file cannot be used; the message names the file and line, or the variable."""


class CheckpointError(R2Error, ValueError):
    """A checkpoint is missing, damaged, hostile, too new, or does not fit its embedder."""


class EmbedderError(R2Error, RuntimeError):
    """Text cannot be turned into vectors: the server is down, slow, or serves another model."""


class NoCandidateError(R2Error, ValueError):
    """The filters left no candidate; the message names the nearest one and what excluded it."""


class DownloadError(R2Error, RuntimeError):
    """A file could not be fetched, or is not the file it should be."""


class LedgerError(R2Error, RuntimeError):
    """The ledger cannot be read, or a spending limit that rests on it cannot be kept."""


class SpendLimitError(R2Error, RuntimeError):
    """A call may cost more than a spending limit leaves.

    `period` is "call", "day" or "month"; `variable` names the setting. Amounts are in dollars: what the period
    has spent, what running calls have reserved, what this call may cost, and the limit. `resets_at` is the UTC
    time in ISO form at which the period ends, "" for a call.
    """

    def __init__(
        self,
        message: str,
        *,
        period: str = "call",
        variable: str = "",
        spent_usd: float = 0.0,
        reserved_usd: float = 0.0,
        call_usd: float = 0.0,
        limit_usd: float = 0.0,
        resets_at: str = "",
    ) -> None:
        super().__init__(message)
        self.period = period
        self.variable = variable
        self.spent_usd = spent_usd
        self.reserved_usd = reserved_usd
        self.call_usd = call_usd
        self.limit_usd = limit_usd
        self.resets_at = resets_at


class ProviderError(R2Error, RuntimeError):
    """No model answered; the message says why and what to do."""

    def __init__(self, message: str, attempts: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.attempts = attempts


class EmptyAnswerError(ProviderError):
    """A model used up its tokens thinking and wrote no answer, even when asked not to think."""


class LocalModelError(R2Error, RuntimeError):
    """A local model cannot be served: the extra, its weights or memory are missing, or its server failed."""
