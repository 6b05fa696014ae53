"""A mistyped command is told from a question: both directions, with what people type."""

from __future__ import annotations

import pytest

from r2_magic.slips import meant


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("sttaus now please", "stats"),
        ("stast of today", "stats"),
        ("stat now", "stats"),
        ("explian hello", "explain"),
        ("expalin What is 7 * 6?", "explain"),
        ("explin why the sky is blue", "explain"),
        ("exlpain why the sky is blue", "explain"),
        ("modles with prices", "models"),
        ("modeks with prices", "models"),
        ("cruve What is 7 * 6?", "curve"),
        ("currve What is 7 * 6?", "curve"),
        ("whatif What is 7 * 6?", "what-if"),
        ("what-fi What is 7 * 6?", "what-if"),
        ("confgi of the pool", "config"),
        ("setpu --yes", "setup"),
        ("rseet the conversation", "reset"),
        ("perfer 1", "prefer"),
        ("pulll qwen3-0.6b", "pull"),
        ("lsat answer of this notebook", ""),  # an exam
        ("mpa df.prompt", ""),  # megapascals: three letters tell nothing
    ],
)
def test_a_slip_is_told(line: str, command: str) -> None:
    assert meant(line.split(maxsplit=1)[0]) == command


@pytest.mark.parametrize(
    "question",
    [
        "state the capital of France",
        "status of the Apollo 11 mission?",
        "stars nearest to the sun",
        "cure for hiccups?",
        "curves of constant width",
        "curse of dimensionality, explained",
        "list three primes",
        "least common multiple of 4 and 6",
        "rest in Latin",
        "restate this more politely: no",
        "preset for night portraits?",
        "model the spread of a rumour",
        "modules in Python?",
        "modern art in one paragraph",
        "explains the moon why tides come twice?",
        "explained simply, what is entropy?",
        "configure nginx as a proxy",
        "confirm that 91 is no prime",
        "refer me to a book on topology",
        "preferred form of address for a duke?",
        "step by step: how do I tie a tie?",
        "set up a virtual environment",
        "say hello",
        "food for a marathon?",
        "mood of Hamlet in act two?",
        "full stop or comma?",
        "past tense of to lie?",
        "dad joke, please",
        "what if the moon vanished?",
        "goood morning",
        "make a haiku",
        "Explian is what my colleague types",  # nobody types commands with capitals
        "modelo de carta de renuncia",
        "reste-t-il du lait ?",
        "stato di New York: capitale?",
        "lasst uns reimen",
        "staat der Mond still?",
        "素数 とは",
    ],
)
def test_a_question_is_none(question: str) -> None:
    assert meant(question.split(maxsplit=1)[0]) == ""
