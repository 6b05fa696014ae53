"""How sure a model was of what it wrote: the mean log-probability of its tokens, where the server tells it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from r2_router.generate.usage import Document
from r2_router.records import as_dict, as_list

# What asks for them. Of each token one alternative: some servers send twenty where none is asked for.
ASKED: Mapping[str, Any] = {"logprobs": True, "top_logprobs": 1}

_LEAST = -100.0  # servers say -9999 of a token they hold impossible


class LogProbs:
    """The log-probabilities (natural, 0 at most) that came so far."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def take(self, choice: Document) -> None:
        """Read those of a choice: of the tokens of a chunk, or of a whole answer; what is no number says nothing."""
        stated = choice.get("logprobs")
        for token in as_list(as_dict(stated).get("content")) if stated else ():
            value: object = as_dict(token).get("logprob")
            if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                self._sum += min(0.0, max(_LEAST, value))
                self._count += 1

    @property
    def mean(self) -> float | None:
        """Nats a token; None where the server told of none."""
        return self._sum / self._count if self._count else None
