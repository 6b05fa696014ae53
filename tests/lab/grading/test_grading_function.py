"""A user's own function as a grader, in all its forms."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from r2_router.errors import InputError
from r2_router.lab.data.questions import Question
from r2_router.lab.grading import Grade, make_grader

SOURCE = """
import threading
def half(question, text): return 0.5
async def later(question, text): return float(question.answer == text)
def nothing(question, text): return None
def boom(question, text): raise RuntimeError("no luck")
def wild(question, text): return 7
def words(question, text): return "many"
def off_loop(question, text): return float(threading.current_thread() is not threading.main_thread())
class Called:
    async def __call__(self, question, text): return 0.25
called = Called()
number = 3
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def graded(spec: str) -> Grade:
    return asyncio.run(make_grader(spec).grade(Question("q", "?", "yes"), "yes"))


@pytest.mark.parametrize(
    ("name", "quality", "note"),
    [
        ("half", 0.5, ""),
        ("later", 1.0, ""),
        ("off_loop", 1.0, ""),
        ("called", 0.25, ""),
        ("nothing", None, "no final answer"),
        ("boom", None, "RuntimeError: no luck"),
        ("wild", None, "7, not a number from 0 to 1"),
        ("words", None, "ValueError"),
    ],
)
def test_a_function_of_a_file(source: Path, name: str, quality: float | None, note: str) -> None:
    grade = graded(f"{source}:{name}")
    assert grade.quality == quality
    assert note in grade.note


def test_a_function_of_a_module(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(source.parent), *sys.path])
    assert graded("mine:half").quality == 0.5


def test_a_changed_file_is_another_grader(source: Path) -> None:
    before = make_grader(f"{source}:half").id
    assert make_grader(f"{source}:half").id == before
    source.write_text(SOURCE.replace("0.5", "0.6"))
    assert make_grader(f"{source}:half").id != before


@pytest.mark.parametrize("spec", ["no_such_module_here:f", "nowhere.py:f", "json:no_such_function"])
def test_a_function_that_is_not_there(spec: str) -> None:
    with pytest.raises(InputError, match="Give module:function"):
        make_grader(spec)


def test_something_else_than_a_function(source: Path) -> None:
    with pytest.raises(InputError, match="is not a function"):
        make_grader(f"{source}:number")
