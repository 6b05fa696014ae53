"""Whether an answer is the JSON that was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from r2_router.errors import InputError
from r2_router.routing.needs import Form

_MAX_WORDS = 200  # characters of what is wrong


class FormatCheck:
    """Holds answers against the `response_format` of a request. Nothing is fetched for a schema that refers elsewhere.

    Raises InputError for a schema that is none.
    """

    def __init__(self, form: Form) -> None:
        asked = form.response_format or {}
        stated: object = asked.get("json_schema")
        known: Mapping[str, Any] = cast("Mapping[str, Any]", stated) if isinstance(stated, Mapping) else {}
        self._validator: Any = None
        if asked.get("type") == "json_schema":
            self._validator = _validator(known.get("schema"))

    def fault(self, text: str) -> str:
        """What is wrong with the answer, "" if nothing is."""
        try:
            value: object = json.loads(text)
        except (ValueError, RecursionError):
            return "the answer is not JSON"
        if self._validator is None:
            return "" if isinstance(value, dict) else "the answer is not a JSON object"
        try:
            error: Any = next(self._validator.iter_errors(value), None)
        except Exception as failure:  # noqa: BLE001  (a schema that refers to what is not there, in the library's own way)
            return f"the schema cannot be checked: {type(failure).__name__}"
        if error is None:
            return ""
        return f"the answer does not fit the schema at {error.json_path}: {str(error.message)[:_MAX_WORDS]}"


def _validator(schema: object) -> Any:
    """Imported where it is needed: a tenth of a second."""
    jsonschema: Any = import_module("jsonschema")
    referencing: Any = import_module("referencing")
    if not isinstance(schema, Mapping):
        raise InputError("check_format needs the schema: response_format.json_schema.schema is a dict.")
    plain = json.loads(json.dumps(schema))
    kind: Any = jsonschema.validators.validator_for(plain, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(plain)
    except jsonschema.exceptions.SchemaError as error:
        raise InputError(f"response_format holds a schema that is none: {str(error.message)[:_MAX_WORDS]}.") from None
    return kind(plain, registry=referencing.Registry())
