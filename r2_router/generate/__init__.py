"""The one client of the OpenAI-compatible chat API: stream, cap, retry, fall back."""

from r2_router.generate.answer import Answer, Attempt, Event
from r2_router.generate.body import Options
from r2_router.generate.endpoint import Endpoint
from r2_router.generate.generation import Generation, Guard, Resolve
from r2_router.generate.sync import iterate, run
from r2_router.routing.messages import Messages, check_messages, context_tokens, last_user_text

__all__ = [
    "Answer",
    "Attempt",
    "Endpoint",
    "Event",
    "Generation",
    "Guard",
    "Messages",
    "Options",
    "Resolve",
    "check_messages",
    "context_tokens",
    "iterate",
    "last_user_text",
    "run",
]
