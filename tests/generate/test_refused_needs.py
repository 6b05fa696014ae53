"""Refusals as servers word them: which name a need of the request, and which are about something else."""

from __future__ import annotations

import pytest

from r2_router.generate.faults import TryError
from r2_router.generate.refused_needs import refused_need
from r2_router.pools.can import CAPABILITIES
from r2_router.routing.needs import Need

EVERY = [Need(kind, "here") for kind in CAPABILITIES]


def refused(status: int, message: str, *kinds: str) -> str:
    needs = [need for need in EVERY if not kinds or need.kind in kinds]
    found = refused_need(TryError("", status=status, message=message), needs)
    return "" if found is None else found.kind


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (404, "No endpoints found that support image input", "images"),
        (404, "No endpoints found that support tool use. Try disabling tools.", "tools"),
        (400, "Qwen/Qwen3-8B is not a multimodal model", "images"),
        (400, "At most 0 image(s) may be provided in one request.", "images"),
        (
            500,
            "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
            "images",
        ),
        (400, "'messages.0.content' : value must be a string", "images"),
        (400, "gemma:2b does not support tools", "tools"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', "tools"),
        (400, "This response_format type is unavailable now", "json_schema"),
        (400, "This model does not support audio input", "audio"),
        (400, "The conversation must end with a user message.", "prefill"),
        (400, "Expected last role User or Tool (or Assistant with prefix True) but got assistant", "prefill"),
    ],
)
def test_a_refusal_names_what_the_model_cannot_do(status: int, message: str, kind: str) -> None:
    assert refused(status, message) == kind
    assert refused(status, message, *(c for c in CAPABILITIES if c not in (kind, "json_object", "audio"))) != kind


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (429, "image input is not supported"),
        (503, "no endpoints found that support tool use"),
        (400, "tool_choice 'required' is not supported"),
        (400, "parallel_tool_calls is not supported with this model"),
        (400, "Invalid 'tools[0].function.name': string does not match pattern"),
        (400, "Unsupported image type: image/tiff"),
        (400, "image_url: could not download the image"),
        (400, "Invalid schema for response_format 'x': 'minLength' is not permitted"),
        (400, "maximum context length is 8192 tokens; your messages resulted in 9000, 1000 of them in the functions"),
        (404, "The model `x` does not exist"),
        (400, ""),
    ],
)
def test_other_complaints_are_held_against_no_model(status: int, message: str) -> None:
    assert refused(status, message) == ""
