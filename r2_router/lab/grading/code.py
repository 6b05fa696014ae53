"""Runs the code of an answer against tests, in a process of its own with limits of time and memory.

This keeps accidents in bounds: loops without end, memory, files, output. It is no wall against malice: what runs can
read what the user can read. Run answers you do not trust inside a container or a virtual machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from r2_router.errors import InputError
from r2_router.lab.data.questions import Question
from r2_router.lab.grading.grade import Grade, unparsable, verdict

_FENCE = "```"
_LANGUAGE = re.compile(r"[ \t]*([\w+-]*)")
_LIMITS = Path(__file__).with_name("timeouts.py")
_OUTPUT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CodeGrader:
    """1 if the answer's code passes, else 0; unparsable if it holds no code.

    The code is the last fenced block, or the whole text. `question.answer` is Python that runs after it and raises
    where the code is wrong; or, with expected_output (and stdin) among the question's other columns, what the program
    prints is compared line by line. `seconds` of real time and of processor time, `memory_mb` of address space (not
    on Windows, which limits time only).
    """

    seconds: float = 10.0
    memory_mb: int = 512

    @property
    def id(self) -> str:
        return f"code/2:{self.seconds:g}s,{self.memory_mb}MB"

    def check(self, question: Question) -> None:
        if question.extra.get("expected_output") is None and not question.answer.strip():
            raise InputError(
                f"{question.query_id} has neither tests (column answer) nor expected_output to run its code against."
            )

    async def grade(self, question: Question, text: str, *, cut: bool = False) -> Grade:
        expected = question.extra.get("expected_output")
        code = answer_code(text)
        if code is None:
            return unparsable("it holds no code")
        tests = question.answer if expected is None else None
        done = await asyncio.to_thread(self._run, code, tests, str(question.extra.get("stdin") or ""))
        if expected is not None and not done.fault:
            return verdict(_lines(done.output) == _lines(str(expected)), done.output[-200:])
        return verdict(not done.fault, done.fault or "passed")

    def _run(self, code: str, tests: str | None, stdin: str) -> _Done:
        with tempfile.TemporaryDirectory(prefix="r2-code-", ignore_cleanup_errors=True) as folder:
            end = Path(folder) / secrets.token_hex(8)  # made after the last test, so that an early exit is no pass
            program = (
                code if tests is None else f"{code}\n\n{tests}\n__import__('pathlib').Path({str(end)!r}).touch()\n"
            )
            (Path(folder) / "answer.py").write_text(program, encoding="utf-8", errors="replace")
            limits = json.dumps({"seconds": self.seconds, "memory_mb": self.memory_mb, "output_bytes": _OUTPUT_BYTES})
            with (Path(folder) / "out").open("w+b") as output, (Path(folder) / "in").open("w+b") as source:
                source.write(stdin.encode("utf-8", "replace"))
                source.seek(0)
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_LIMITS), limits, "answer.py"],
                    cwd=folder,
                    env=_environment(),
                    stdin=source,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                try:
                    status = process.wait(self.seconds)
                    fault = "" if status == 0 else f"exit code {status}"
                    if not fault and tests is not None and not end.exists():
                        fault = "it ended before its tests did"
                except subprocess.TimeoutExpired:
                    fault = f"not done in {self.seconds:g} s"
                finally:
                    _end_group(process)
                output.seek(0)
                said = output.read(_OUTPUT_BYTES).decode("utf-8", "replace")
        last = said.strip().splitlines()[-1:]
        return _Done(f"{fault}: {last[0]}" if fault and last else fault, said)


@dataclass(frozen=True, slots=True)
class _Done:
    fault: str
    output: str


def answer_code(text: str) -> str | None:
    """The last fenced block of an answer, preferably one marked as Python; the whole text if it compiles; else None."""
    blocks = list(_blocks(text))
    python = [code for language, code in blocks if language.lower() in ("python", "py", "python3")]
    if blocks:
        return (python or [code for _, code in blocks])[-1]
    try:
        with warnings.catch_warnings(action="ignore"):  # prose with a backslash
            compile(text, "answer", "exec")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return text if text.strip() else None


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The language and content of each fenced block; one that is never closed goes on to the end."""
    start = text.find(_FENCE)
    while start >= 0 and (line := text.find("\n", start)) >= 0:
        end = text.find(_FENCE, line)
        language = _LANGUAGE.match(text, start + len(_FENCE), line)
        yield language[1] if language else "", text[line + 1 : end if end >= 0 else len(text)]
        start = text.find(_FENCE, end + len(_FENCE)) if end >= 0 else -1


def _environment() -> dict[str, str]:
    """Nothing of ours: no keys."""
    kept = {"SYSTEMROOT": os.environ["SYSTEMROOT"]} if "SYSTEMROOT" in os.environ else {}
    return {"PATH": os.defpath, "PYTHONIOENCODING": "utf-8", **kept}


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        process.kill()
    process.wait()


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
