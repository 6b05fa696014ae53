"""What the user is asked before an answer begins that may cost more than R2_CONFIRM_ABOVE_USD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp_types.version import is_version_at_least
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from r2_mcp.progress import Progress
    from r2_router.generate import AnswerStream
    from r2_router.ledger.consent_guard import ConsentGuard
    from r2_router.routing.considered import Candidate

_ASKS_IN_RESULTS = "2026-07-28"  # from here on a question to the client rides on a result


class GoOn(BaseModel):
    """The form the user is shown: one box, ticked."""

    go_on: bool = Field(default=True, title="Go on", description="Ask the model, and spend up to that.")


@dataclass(frozen=True, slots=True)
class Quote:
    """An answer that was not begun: whom it would ask first, and the most dollars that may cost."""

    guard: ConsentGuard
    candidate: Candidate
    most_usd: float

    @property
    def question(self) -> str:
        """What the user is asked, "" where nothing needs asking."""
        return self.guard.question(self.candidate, self.most_usd) if self.most_usd > self.guard.above_usd else ""


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer whose first piece is not asked for yet; `quote` where the user wants to be asked."""

    stream: AnswerStream
    progress: Progress
    quote: Quote | None = None

    def hold_to(self, told: ElicitationResult[Any]) -> None:
        """Hold the answer to what the user said; he said nothing where no data were accepted.

        Raises SpendLimitError where he did not agree, or could not be asked.
        """
        quote = self.quote
        if quote is None or not quote.question:
            return
        if not isinstance(told, AcceptedElicitation):
            self._refuse(quote, f"the user {'declined' if told.action == 'decline' else 'closed the question'}")
        if told.data is None:
            self._refuse(quote, "the user wants to be asked first, which this client cannot do")
        if not told.data.go_on:
            self._refuse(quote, "the user declined")
        quote.guard.agree(quote.most_usd)

    def _refuse(self, quote: Quote, why: str) -> NoReturn:
        self.stream.refuse(quote.guard.refusal(quote.candidate, quote.most_usd, why))


def can_ask_user(ctx: Context[Any, Any]) -> bool:
    """Whether the client shows its user forms, and this connection has a way back to it."""
    capabilities = ctx.client_capabilities
    elicitation = capabilities and capabilities.elicitation
    # A bare `{}` was the only form before there were two.
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None) and has_way_back(ctx)


def has_way_back(ctx: Context[Any, Any]) -> bool:
    """Whether this connection can carry a question to the client."""
    version = ctx.protocol_version
    return version is not None and (is_version_at_least(version, _ASKS_IN_RESULTS) or ctx.session.can_send_request)
