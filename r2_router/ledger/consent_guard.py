"""What a user wants to be asked about before it is spent: R2_CONFIRM_ABOVE_USD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from r2_router.errors import SpendLimitError
from r2_router.words import usd, usd_at_most

if TYPE_CHECKING:
    from r2_router.generate.generation import Guard
    from r2_router.routing.considered import Candidate

_VARIABLE = "R2_CONFIRM_ABOVE_USD"


class ConsentGuard:
    """Lets the tries of one answer cost together what needs no question, until `agree` lets them cost more.

    `limits` keeps the spending limits, and is asked after that."""

    def __init__(self, limits: Guard, above_usd: float) -> None:
        self.above_usd = above_usd
        self.limits = limits
        self._allowed_usd = above_usd
        self._billed_usd = 0.0

    def agree(self, most_usd: float) -> None:
        """The user lets the answer cost so many dollars."""
        self._allowed_usd = max(self._allowed_usd, most_usd)

    async def reserve(self, candidate: Candidate, worst_case_usd: float, /) -> Any:
        """Raises SpendLimitError for a try that would cost more than that with what failed tries cost."""
        if worst_case_usd and self._billed_usd + worst_case_usd > self._allowed_usd:
            agreed = self._allowed_usd > self.above_usd
            allowed = usd(self._allowed_usd)
            why = f"the user agreed to {allowed}" if agreed else f"{_VARIABLE} lets {allowed} pass unasked"
            raise self.refusal(candidate, worst_case_usd, why)
        return await self.limits.reserve(candidate, worst_case_usd)

    def settle(self, reservation: Any, cost_usd: float, /) -> None:
        self._billed_usd += cost_usd
        self.limits.settle(reservation, cost_usd)

    def renew(self, reservation: Any, /) -> None:
        self.limits.renew(reservation)

    def question(self, candidate: Candidate, most_usd: float) -> str:
        """What the user is asked."""
        return (
            f"{candidate.label} is expected to cost {usd(candidate.predicted_cost_usd)}, and may cost up to "
            f"{usd_at_most(most_usd)}: more than the {usd(self.above_usd)} that {_VARIABLE} lets pass unasked. Go on?"
        )

    def refusal(self, candidate: Candidate, most_usd: float, why: str) -> SpendLimitError:
        """The error of an answer of `candidate` that may cost `most_usd` dollars and is not begun because of `why`."""
        return SpendLimitError(
            f"{candidate.label} was not asked: it may cost up to {usd_at_most(most_usd)}, and {why}. Choose a cheaper "
            f"model or a smaller budget; only the user can raise {_VARIABLE}.",
            variable=_VARIABLE,
            spent_usd=self._billed_usd,
            call_usd=most_usd,
            limit_usd=self._allowed_usd,
        )
