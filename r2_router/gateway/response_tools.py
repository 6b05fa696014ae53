"""The tools of OpenAI's Responses: offered to models as functions, and their calls told as the client knows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from r2_router.errors import InputError
from r2_router.gateway.api import Body
from r2_router.gateway.blocks import Call
from r2_router.gateway.parts import objects
from r2_router.records import as_dict

# Offers to the model that only OpenAI can keep. Left out, the model has one tool less.
_HOSTED = ("web_search", "file_search", "code_interpreter", "image_generation", "tool_search", "computer")
_TEXT = "input"  # the one argument of a tool that takes a text as it is
_MOST_CHARS = 64  # of a function's name


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the client knows it, `free` if it takes a text as it is, and the `function` that models are offered."""

    name: str
    function: Body = field(hash=False)
    namespace: str = ""
    free: bool = False


def offered(tools: object) -> Mapping[str, Tool]:
    """The tools of a request by the names of their functions. Raises InputError for one that cannot be offered."""
    found: dict[str, Tool] = {}
    for i, tool in enumerate(objects(tools or [], "tools")):
        if tool.get("type") == "namespace":
            space = str(tool.get("name"))
            inner = objects(tool.get("tools"), f"tools[{i}].tools")
            read = [made for one in inner for made in _tools(one, f"tools[{i}].tools", space)]
        else:
            read = list(_tools(tool, f"tools[{i}]"))
        found |= {made.function["name"]: made for made in read}
    return found


def function_name(name: object, namespace: object = None) -> str:
    """The name of the function that stands for a tool."""
    whole = f"{namespace}__{name}" if namespace else str(name)
    return whole if len(whole) <= _MOST_CHARS else str(name)


def called(call: Call, tools: Mapping[str, Tool]) -> Body:
    """The call of a function as an item of the response, `arguments` as far as they came."""
    tool = tools.get(call.name) or Tool(call.name, {})
    space = {"namespace": tool.namespace} if tool.namespace else {}
    head = {"call_id": call.id, "name": tool.name, **space, "status": "completed"}
    if tool.free:
        return {"type": "custom_tool_call", "id": f"ctc_{call.id}", **head, _TEXT: _text(call.arguments)}
    return {"type": "function_call", "id": f"fc_{call.id}", **head, "arguments": call.arguments}


def call_of(item: Body) -> Body:
    """A call that a request tells of, in the form of chat completions."""
    free = item.get("type") == "custom_tool_call"
    arguments = json.dumps({_TEXT: item.get(_TEXT)}) if free else item.get("arguments")
    function = {"name": function_name(item.get("name"), item.get("namespace")), "arguments": arguments}
    return {"id": str(item.get("call_id", "")), "type": "function", "function": function}


def _tools(tool: Body, where: str, namespace: str = "") -> Iterable[Tool]:
    kind, name = str(tool.get("type")), str(tool.get("name"))
    named: Body = {"name": function_name(name, namespace)}
    if kind == "function":
        kept = {key: tool[key] for key in ("description", "parameters", "strict") if tool.get(key)}
        yield Tool(name, {**named, **kept}, namespace)
    elif kind == "custom":
        text = {"type": "object", "properties": {_TEXT: {"type": "string"}}, "required": [_TEXT]}
        yield Tool(name, {**named, "description": _described(tool), "parameters": text}, namespace, free=True)
    elif not kind.startswith(_HOSTED):
        raise InputError(f"{where} ({kind[:40]}) is run by OpenAI; the gateway has none. Leave it out.")


def _described(tool: Body) -> str:
    """What a tool that takes a text is for; the grammar of that text is told in words."""
    stated = as_dict(tool.get("format"))
    rule = f"\n\nIts input follows this {stated.get('syntax')} grammar:\n{stated.get('definition')}"
    return f"{tool.get('description') or ''}{rule if stated.get('definition') else ''}".strip()


def _text(arguments: str) -> str:
    """The text in the arguments of a call; what a model wrote that holds none stays to be seen."""
    try:
        known = as_dict(json.loads(arguments or "{}")).get(_TEXT)
    except (ValueError, RecursionError):
        known = None
    return known if isinstance(known, str) else arguments
