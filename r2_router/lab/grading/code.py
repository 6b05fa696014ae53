"""Runs the code of an answer against tests, in a process of its own with limits.

The limits keep accidents in bounds: loops without end, memory, processes, files, output. Where bubblewrap works the
code sees neither the user's files nor the network; elsewhere it can read what the user can read. The tests call the
code inside one interpreter, so code that sets out to deceive them can: a pass is what honest code earns. Run answers
you do not trust inside a container or a virtual machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
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
from r2_router.lab.grading.runner import LENGTH_DIGITS
from r2_router.lab.grading.sandbox import command, end, environment

_FENCE = "```"
_LANGUAGE = re.compile(r"[ \t]*([\w+-]*)")
_RUNNER = Path(__file__).with_name("runner.py")
_OUTPUT_BYTES = 1 << 20
_PROCESSES = 64
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CodeGrader:
    """1 if the answer's code passes, else 0; unparsable if it holds no code.

    The code is the last fenced block, or the whole text. `question.answer` is Python that runs after it and raises
    where the code is wrong; or, with expected_output (and stdin) among the question's other columns, what the program
    prints is compared line by line. `seconds` of real time and of processor time, `memory_mb` of address space for each
    of 64 processes (Windows limits time only; macOS, and Linux for root, do not limit the number of processes).
    """

    seconds: float = 10.0
    memory_mb: int = 512

    @property
    def id(self) -> str:
        return f"code/3:{self.seconds:g}s,{self.memory_mb}MB"

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
        secret, mark = secrets.token_bytes(32), secrets.token_hex()
        with tempfile.TemporaryDirectory(prefix="r2-code-", ignore_cleanup_errors=True) as name:
            folder = Path(name).resolve()
            (folder / "answer.py").write_bytes(code.encode("utf-8", "replace"))  # for tracebacks; it is not read to run
            (folder / "stdin").write_bytes(stdin.encode("utf-8", "replace"))
            with tempfile.TemporaryFile() as output:
                process = subprocess.Popen(
                    command([str(_RUNNER)], folder, _RUNNER),
                    cwd=folder,
                    env=environment(mark),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    start_new_session=True,
                )
                try:
                    status = self._finish(process, self._job(code, tests) + secret)
                finally:
                    end(process, mark, _GRACE_SECONDS)
                passed = _said(process, len(secret)) == secret
                output.seek(0)
                printed = output.read(_OUTPUT_BYTES).decode("utf-8", "replace")
        fault = f"not done in {self.seconds:g} s" if status is None else f"exit code {status}" if status else ""
        if not fault and tests is not None and not passed:
            fault = "it ended before its tests did"
        last = printed.strip().splitlines()[-1:]
        return _Done(f"{fault}: {last[0]}" if fault and last else fault, printed)

    def _job(self, code: str, tests: str | None) -> bytes:
        """What the runner reads: see runner.py."""
        limits = {"seconds": self.seconds, "memory_mb": self.memory_mb, "output_bytes": _OUTPUT_BYTES}
        job = {"code": code, "tests": tests, "limits": {**limits, "processes": _PROCESSES}}
        data = json.dumps(job).encode()
        return f"{len(data):{LENGTH_DIGITS}}".encode() + data

    def _finish(self, process: subprocess.Popen[bytes], job: bytes) -> int | None:
        """The exit code, None when the time is up."""
        if process.stdin is not None:
            with suppress(OSError), process.stdin as stream:  # it may have ended already
                stream.write(job)
        with suppress(subprocess.TimeoutExpired):
            return process.wait(self.seconds)
        return None


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


def _said(process: subprocess.Popen[bytes], size: int) -> bytes:
    """What the runner wrote. Nobody is waited for: what got away may hold the pipe open."""
    if process.stdout is None:
        return b""
    with process.stdout as stream:
        if sys.platform != "win32":
            os.set_blocking(stream.fileno(), False)
        with suppress(OSError):
            return os.read(stream.fileno(), size)
    return b""


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The language and content of each fenced block; one that is never closed goes on to the end."""
    start = text.find(_FENCE)
    while start >= 0 and (line := text.find("\n", start)) >= 0:
        end = text.find(_FENCE, line)
        language = _LANGUAGE.match(text, start + len(_FENCE), line)
        yield language[1] if language else "", text[line + 1 : end if end >= 0 else len(text)]
        start = text.find(_FENCE, end + len(_FENCE)) if end >= 0 else -1


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
