"""What goes on on the way to an answer, and how to ask for it oneself, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2_router.words import asked_for

if TYPE_CHECKING:
    from r2_router.generate import Event


def event_text(event: Event) -> str:
    """What goes on while no text comes."""
    said = {
        "loading": f"loading {event.model} …",
        "asking": f"asking {event.model}, {asked_for(event.budget)} …",
        "thinking": f"{event.model} is thinking …",
        "failed": f"{event.model}: {event.detail}",
    }
    return said[event.kind]


def how_to_ask(model_id: str, base_url: str, max_tokens: int | None, instruction: str) -> str:
    """What to send to get the answer that was chosen; "" where it is asked nowhere but here."""
    if not base_url:
        return ""
    cap = f", max_tokens {max_tokens}" if max_tokens else ""
    words = f', before the query: "{instruction}"' if instruction else ""
    return f"To ask it yourself: {model_id} at {base_url}{cap}{words}"
