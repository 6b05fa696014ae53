"""One line of a log, in any of the forms programs write: the query, the model, the answer, its tokens, its quality.

Known are OpenAI's chat completions, Responses and batch output, exports of Langfuse and LangSmith, litellm's spend
logs, and plain columns. A program's own fields differ by name and place, not in kind: so a line is opened into one
level of fields, the outermost first, and each fact has a list of names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

from r2_router.lab.data.questions import query_id
from r2_router.lab.data.table import budget_of
from r2_router.lab.data.text_files import as_number
from r2_router.records import UNLIMITED
from r2_router.routing.tokens import estimate_tokens

Fields: TypeAlias = Mapping[str, Any]

NAMES: Mapping[str, tuple[str, ...]] = {
    "query": ("query", "prompt", "question", "input"),
    "model": ("model", "model_name", "provided_model_name", "ls_model_name", "model_group"),
    "quality": ("quality", "score", "correctness", "correctness_score", "label"),
    "output_tokens": ("output_tokens", "completion_tokens", "output_usage", "tokens"),
    "input_tokens": ("input_tokens", "prompt_tokens", "input_usage"),
    "budget": ("budget",),
    "category": ("category",),
}
_ANSWERS = ("response", "answer", "completion", "output", "text")
# Objects a line may keep its fields in, the more telling first.
_PLACES = (
    *("metadata", "response", "body", "request", "proxy_server_request", "inputs", "outputs", "input", "output"),
    *("extra", "invocation_params", "llm_output"),
)
_USAGES = ("usage", "usage_details", "token_usage")
# What may stand as JSON in a text, as it does in a CSV.
_OBJECTS = (*_PLACES, *_USAGES, "messages", "prompts", "choices", "generations", "scores", "feedback_stats", "feedback")
_CUT = frozenset({"length", "max_tokens", "max_output_tokens"})
_OF_A_USER = frozenset({"user", "human", "humanmessage"})
_OTHER_STEPS = frozenset({"SPAN", "EVENT", "TOOL", "RETRIEVER", "CHAIN", "AGENT", "EMBEDDING", "GUARDRAIL"})
_NO_LIMIT = (UNLIMITED, "none", "null")
_DEPTH = 5
_ROW = ("query_id", "query", "model", "budget", "quality", "output_tokens", "input_tokens", "category")


def read_line(line: Fields, asked: Fields | None = None) -> dict[str, Any] | str:
    """A row of the training table, with "cut" and "estimated", or why there is none. `asked`: the request this line
    answers, where that stands in a file of its own."""
    flat = _opened({**line, "request": asked} if asked else line)
    query, model = _query(flat), _first(flat, "model")
    no_query = "no query (a batch's output: give its input file with --requests)" if "custom_id" in line else "no query"
    why = _no_answer(flat) or ("" if query else no_query if asked is None else "no query")
    if not why and not (isinstance(model, str) and model.strip()):
        why = "no model"
    if why:
        return why
    quality = _quality(flat)
    if isinstance(quality, str):
        return quality
    entry = _first(flat, "budget")
    budget = budget_of(None if str(entry).strip().lower() in _NO_LIMIT else entry)
    if budget is None:
        return "budget is no number of tokens"
    answer = _answer(flat)
    tokens = _count(flat, "output_tokens")
    if tokens is None and answer is None:
        return "neither tokens nor a text"
    values = (
        str(flat.get("query_id") or query_id(query)),
        query,
        str(model).strip(),
        None if budget == UNLIMITED else budget,
        quality,
        estimate_tokens(answer or "") if tokens is None else tokens,
        _count(flat, "input_tokens"),
        str(_first(flat, "category") or ""),
    )
    return {**dict(zip(_ROW, values, strict=True)), "cut": int(_cut(flat)), "estimated": int(tokens is None)}


# -- one level of fields -----------------------------------------------------------------------------------------


def _opened(line: Fields, depth: int = 0) -> dict[str, Any]:
    """The fields of a line and of the objects it keeps them in, outer ones first, names in snake_case; an object that
    stands as JSON in a text is opened too. What was said in words under the name of a place stays."""
    fields: dict[str, Any] = {_snake(name): value for name, value in line.items()}
    fields |= {name: _parsed(fields[name]) for name in _OBJECTS if name in fields}
    found: dict[str, Any] = {}
    for place in reversed(_PLACES):
        if depth < _DEPTH and (inner := _table(fields.get(place))):
            found |= _opened(inner, depth + 1)
    nothing: Fields = {}
    usage = next((table for name in _USAGES if (table := _table(fields.get(name)))), nothing)
    tokens = {_snake(name): value for name, value in usage.items() if name not in ("input", "output", "total")}
    for side in ("input", "output"):  # as Langfuse calls them
        tokens.setdefault(f"{side}_tokens", usage.get(side))
    own = {name: value for name, value in fields.items() if not (name in _PLACES and isinstance(value, dict))}
    return found | {name: value for name, value in (tokens | own).items() if value not in (None, "", {}, [])}


def _table(value: object) -> Fields:
    return cast("Fields", value) if isinstance(value, dict) else {}


def _snake(name: str) -> str:
    """providedModelName -> provided_model_name; "Model Name" -> model_name."""
    if name.islower():
        return name
    if " " in name or name.isupper() or name.istitle():
        return "_".join(name.lower().split())
    return "".join(f"_{sign.lower()}" if sign.isupper() and i else sign.lower() for i, sign in enumerate(name))


def _parsed(value: object) -> object:
    """The object or list in a text that is one; else the value."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _first(flat: Fields, name: str) -> Any:
    return next(
        (flat[key] for key in NAMES[name] if flat.get(key) not in (None, "") and not isinstance(flat[key], dict)), None
    )


def _no_answer(flat: Fields) -> str:
    """Why a line is no answer of a model, "" if it may be one."""
    if str(flat.get("type", "")).upper() in _OTHER_STEPS or flat.get("run_type", "llm") != "llm":
        return "no call of a model"
    status = flat.get("status_code")
    failed = (isinstance(status, int) and status >= 400) or flat.get("error") or flat.get("level") == "ERROR"
    return "the call failed" if failed or flat.get("status") in ("failed", "failure", "error") else ""


# -- what was asked and answered ---------------------------------------------------------------------------------


def _query(flat: Fields) -> str:
    """The text that was asked: the last user message, or a field of its own."""
    for name in ("messages", "input"):
        messages = list(_messages(flat.get(name)))
        asked = [message for message in messages if _role(message) in _OF_A_USER]
        if asked:
            return (_content(asked[-1]) or "").strip()
    prompts: object = flat.get("prompts")
    if isinstance(prompts, list) and prompts and isinstance(first := cast("list[object]", prompts)[0], str):
        return first.strip()
    text = _first(flat, "query")
    return text.strip() if isinstance(text, str) else ""


def _messages(value: object) -> Iterator[Fields]:
    """The messages of a list, or of the lists it holds."""
    if isinstance(value, list):
        for each in cast("list[object]", value):
            if isinstance(each, dict):
                yield _plain_message(cast("Fields", each))
            elif isinstance(each, list):
                yield from (
                    _plain_message(cast("Fields", m)) for m in cast("list[object]", each) if isinstance(m, dict)
                )


def _plain_message(message: Fields) -> Fields:
    """A message without LangChain's wrapping."""
    inner = _table(message.get("kwargs")) or _table(message.get("data"))
    if not inner:
        return message
    names: object = message.get("id")
    kind = str(cast("list[object]", names)[-1]) if isinstance(names, list) and names else message.get("type")
    return {"type": kind, **inner}


def _role(message: Fields) -> str:
    return str(message.get("role") or message.get("type") or "").lower()


def _content(message: Fields) -> str | None:
    """The text of a message, None where it holds anything else."""
    content: object = message.get("content")
    if isinstance(content, str):
        return content
    parts = _objects(content)
    texts = [part.get("text") for part in parts]
    return "".join(map(str, texts)) if parts and all(isinstance(text, str) for text in texts) else None


def _answer(flat: Fields) -> str | None:
    """The text of the answer, None if it is not there."""
    for choice in _objects(flat.get("choices")):
        message = _table(choice.get("message"))
        text = _content(message) if message else choice.get("text")
        return text if isinstance(text, str) else None
    for generation in _messages(flat.get("generations")):  # LangSmith
        if isinstance(text := generation.get("text"), str):
            return text
    written = [m for m in _objects(flat.get("output")) if m.get("type") == "message" or m.get("role") == "assistant"]
    if written:  # the Responses API
        return "".join(_content(message) or "" for message in written)
    if isinstance(flat.get("content"), str) and flat.get("role") == "assistant":  # Langfuse: the message alone
        return flat["content"]
    return next((flat[key] for key in _ANSWERS if isinstance(flat.get(key), str)), None)


def _cut(flat: Fields) -> bool:
    """Whether the answer ends where its tokens did."""
    reasons = [choice.get("finish_reason") for choice in _objects(flat.get("choices"))[:1]]
    reasons.append(_table(flat.get("incomplete_details")).get("reason"))
    return bool(_CUT & {str(reason) for reason in (*reasons, flat.get("finish_reason"), flat.get("stop_reason"))})


def _objects(value: object) -> list[Fields]:
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Fields", each) for each in found if isinstance(each, dict)]


# -- numbers -----------------------------------------------------------------------------------------------------


def _quality(flat: Fields) -> float | str | None:
    """The quality as a number, None if it is not there, or why it is none."""
    value = _first(flat, "quality")
    if value is None:
        value = _score(flat)
    if value is None:
        return None
    words = {"true": 1.0, "false": 0.0, "good": 1.0, "bad": 0.0}
    entry = str(value).strip().lower()
    number = words[entry] if entry in words else as_number(value, whole=False)
    return number if 0 <= number <= 1 else "quality is no number from 0 to 1"


def _score(flat: Fields) -> object:
    """The score that a program keeps beside its answers: the one called a quality, else the only one."""
    found: dict[str, object] = {}
    for place in ("scores", "feedback_stats", "feedback"):
        held: object = flat.get(place)
        found |= {str(name): _mean(value) for name, value in _table(held).items()}
        for score in _objects(held):
            name = score.get("name") or score.get("key") or ""
            found[str(name)] = score.get("value") if score.get("value") is not None else score.get("score")
    known = {name: value for name, value in found.items() if value is not None}
    named = [known[name] for name in NAMES["quality"] if name in known]
    return named[0] if named else next(iter(known.values())) if len(known) == 1 else None


def _mean(value: object) -> object:
    """Of LangSmith's {"avg": 0.8, "n": 5} the mean, of Langfuse's [0.7, 0.9] too."""
    if isinstance(value, dict):
        return cast("Fields", value).get("avg")
    if isinstance(value, list):
        numbers = [number for each in cast("list[object]", value) if (number := as_number(each, whole=False)) == number]
        return sum(numbers) / len(numbers) if numbers else None
    return value


def _count(flat: Fields, name: str) -> int | None:
    number = as_number(_first(flat, name), whole=True)
    return int(number) if 0 <= number < 1e9 else None


def columns(block: Sequence[Fields]) -> dict[str, list[Any]]:
    """Rows as the columns of a training table."""
    return {name: [row[name] for row in block] for name in _ROW}
