"""What a provider's list says a model can and cannot do, read from the forms in which providers write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from r2_router.pools.model import Capability
from r2_router.records import as_dict, as_texts

# Kinds of input, as architecture.input_modalities (OpenRouter) or input_modalities (xAI) name them. A list that leaves
# files out says nothing: OpenRouter reads a PDF for any model.
_INPUTS: Mapping[str, Capability] = {"image": "images", "audio": "audio", "video": "video"}
# Fields of a request, as supported_parameters (OpenRouter) names them.
_PARAMETERS: Mapping[str, Capability] = {
    "tools": "tools",
    "structured_outputs": "json_schema",
    "response_format": "json_object",
}
# Flags, as capabilities (Mistral) or the entry itself (LiteLLM) names them.
_FLAGS: Mapping[str, Capability] = {
    "function_calling": "tools",
    "vision": "images",
    "audio": "audio",
    "supports_function_calling": "tools",
    "supports_vision": "images",
    "supports_audio_input": "audio",
    "supports_pdf_input": "files",
    "supports_response_schema": "json_schema",
    "supports_assistant_prefill": "prefill",
}


def listed_capabilities(
    entry: Mapping[str, Any],
) -> tuple[tuple[Capability, ...], tuple[Capability, ...]]:
    """What an entry says its model can, and cannot; what it is silent about is in neither."""
    said: dict[Capability, bool] = {}
    architecture, flags = as_dict(entry.get("architecture")), as_dict(entry.get("capabilities"))
    inputs = as_texts(architecture.get("input_modalities")) or as_texts(entry.get("input_modalities"))
    if "text" in inputs:  # else it lists something else
        said |= {capability: name in inputs for name, capability in _INPUTS.items()}
        if "file" in inputs:
            said["files"] = True
    if parameters := as_texts(entry.get("supported_parameters")):
        said |= {capability: name in parameters for name, capability in _PARAMETERS.items()}
        said["json_object"] = said["json_object"] or said["json_schema"]
    for name, capability in _FLAGS.items():
        flag = flags.get(name, entry.get(name))
        if isinstance(flag, bool):
            said[capability] = flag
    return tuple(c for c, can in said.items() if can), tuple(c for c, can in said.items() if not can)
