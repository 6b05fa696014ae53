"""What the gateway sees of a request once it is over, for whoever counts or traces. No text is in it but names."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from r2_router.gateway.failures import Failure

if TYPE_CHECKING:
    from r2_router.gateway.api import Told
    from r2_router.generate import Answer

WENT = "went"  # the client did, before the end


@dataclass(slots=True)
class Seen:
    """One request. `caller` names whose token it came with, "" for nobody's; `asked` is the model it named, "" for the
    router's choice; `decided_s` the seconds until a model was asked, None if none was; `ended_s` the seconds until the
    end. `outcome` is None if the client went before it."""

    path: str
    headers: Mapping[str, str]
    caller: str = ""
    asked: str = ""
    told: Told | None = None
    outcome: Answer | Failure | None = None
    decided_s: float | None = None
    ended_s: float = 0.0
    began_ns: int = field(default_factory=time.time_ns)
    _start: float = field(default_factory=time.perf_counter)

    @property
    def elapsed_s(self) -> float:
        """Seconds since it came."""
        return time.perf_counter() - self._start

    @property
    def answer(self) -> Answer | None:
        """The answer, if there is one."""
        return None if isinstance(self.outcome, Failure) else self.outcome

    @property
    def status(self) -> str:
        """How it ended: "answered", "partial", the code of a failure, or "went"."""
        if self.outcome is None:
            return WENT
        if isinstance(self.outcome, Failure):
            return self.outcome.code or self.outcome.kind
        return "partial" if self.outcome.partial else "answered"


Observe: TypeAlias = Callable[[Seen], None]
