"""A user's own Python function as a grader."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from r2_router.errors import InputError
from r2_router.lab.data.questions import Question
from r2_router.lab.grading.grade import Grade, shortened, unparsable


class FunctionGrader:
    """Calls function(question, text) -> quality 0..1, or None for no final answer; it may be a coroutine function.

    What it raises, or another result, is an unparsable answer whose note says so. `spec` is "package.module:name" or
    "path/to/file.py:name"; a file's content is part of the id. Raises InputError where there is no such function.
    """

    def __init__(self, spec: str) -> None:
        self._function, version = _load(spec)
        self.id = f"{spec}/{version}"

    def check(self, question: Question) -> None:
        """Any question will do."""

    async def grade(self, question: Question, text: str, *, cut: bool = False) -> Grade:
        try:
            if inspect.iscoroutinefunction(self._function):
                returned = await self._function(question, text)
            else:
                returned = await asyncio.to_thread(self._function, question, text)
                if inspect.isawaitable(returned):  # an object whose __call__ is a coroutine function
                    returned = await returned
            quality = None if returned is None else float(returned)
        except Exception as error:  # noqa: BLE001 - it is the user's code
            return unparsable(f"the function raised {type(error).__name__}: {error}")
        if quality is None:
            return unparsable("the function found no final answer")
        if not (math.isfinite(quality) and 0 <= quality <= 1):
            return unparsable(f"the function gave {quality:g}, not a number from 0 to 1")
        return Grade(quality, shortened(text[-80:]))


def _load(spec: str) -> tuple[Callable[..., Any], str]:
    """The function, and a version of it."""
    place, _, name = spec.rpartition(":")
    version = "1"
    try:
        if place.endswith(".py"):
            path = Path(place).expanduser()
            version = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
            found = importlib.util.spec_from_file_location(f"r2_grader_{path.stem}", path)
            if found is None or found.loader is None:
                raise ImportError(f"{path} is no Python file")
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        function = getattr(module, name)
    except Exception as error:
        raise InputError(f"No grader {spec}: {error}. Give module:function or file.py:function.") from error
    if not callable(function):
        raise InputError(f"{spec} is not a function.")
    return function, version
