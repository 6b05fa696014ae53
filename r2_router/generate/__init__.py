"""The one client of the OpenAI-compatible chat API: stream, cap, retry, fall back."""

from r2_router.generate.answer import Answer, Attempt, Event
from r2_router.generate.answer_stream import AnswerStream
from r2_router.generate.body import Options
from r2_router.generate.endpoint import Endpoint
from r2_router.generate.generation import Generation, Guard, Resolve
from r2_router.generate.sync import iterate, run
from r2_router.routing.messages import Messages

__all__ = [
    "Answer",
    "AnswerStream",
    "Attempt",
    "Endpoint",
    "Event",
    "Generation",
    "Guard",
    "Messages",
    "Options",
    "Resolve",
    "iterate",
    "run",
]
