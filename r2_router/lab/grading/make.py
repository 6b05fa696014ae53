"""From the name of a grader to the grader."""

from __future__ import annotations

from r2_router import plugins
from r2_router.errors import InputError
from r2_router.lab.grading.code import CodeGrader
from r2_router.lab.grading.function import FunctionGrader
from r2_router.lab.grading.grade import Ask, Grader
from r2_router.lab.grading.instructions import Instructions
from r2_router.lab.grading.judge import Judge
from r2_router.lab.grading.rules import RULES, Auto

_NEEDED = ("id", "check", "grade")


def make_grader(spec: str = "auto", *, ask: Ask | None = None, judge: str = "") -> Grader:
    """choice, number, exact, contains, regex, instructions, code, judge, auto (by each question's answer_type), a
    plugin as "NAME" or "NAME:REST" where an installed package registers NAME among the entry points
    "r2_router.graders", or a function as "package.module:name" or "file.py:name".

    `ask` asks the judge, the model `judge`. Raises InputError for an unknown name, or a judge nobody can ask.
    """
    graders: dict[str, Grader] = {**RULES, "instructions": Instructions(), "code": CodeGrader()}
    if ask is not None:
        graders["judge"] = Judge(ask, judge)
    if spec == "auto":
        return Auto(graders)
    if spec in graders:
        return graders[spec]
    if spec == "judge":
        raise InputError("Which model is the judge? Name one of the pool with --judge MODEL.")
    plugin: Grader | None = plugins.make_plugin(plugins.GRADERS, spec, _NEEDED, InputError)
    if plugin is not None:
        return plugin
    if ":" in spec:
        return FunctionGrader(spec)
    known = [*RULES, "instructions", "code", "judge", "auto", *plugins.plugin_names(plugins.GRADERS)]
    raise InputError(
        f"No grader '{spec}'. Choose {', '.join(known)}, or your own function as module:name or file.py:name."
    )
