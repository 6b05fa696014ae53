"""The one client of the OpenAI-compatible chat API: stream, cap, retry, fall back."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r2_router.generate.answer import Answer, Attempt, Event
    from r2_router.generate.answer_stream import AnswerStream
    from r2_router.generate.body import Options
    from r2_router.generate.endpoint import Endpoint
    from r2_router.generate.generation import Generation, Guard, Resolve
    from r2_router.generate.sync import iterate, run
    from r2_router.generate.tool_calls import ToolCallDelta
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
    "ToolCallDelta",
    "iterate",
    "run",
]

_HOME = {
    "Answer": "generate.answer",
    "AnswerStream": "generate.answer_stream",
    "Attempt": "generate.answer",
    "Endpoint": "generate.endpoint",
    "Event": "generate.answer",
    "Generation": "generate.generation",
    "Guard": "generate.generation",
    "Messages": "routing.messages",
    "Options": "generate.body",
    "Resolve": "generate.generation",
    "ToolCallDelta": "generate.tool_calls",
    "iterate": "generate.sync",
    "run": "generate.sync",
}


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: a route asks nobody, and only wants to know who can be asked (`providers`)."""
    if name not in _HOME:
        raise AttributeError(f"module 'r2_router.generate' has no attribute '{name}'")
    return getattr(import_module(f"r2_router.{_HOME[name]}"), name)
