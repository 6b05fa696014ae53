"""Code that models might write, well meant and hostile, run within its limits."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from r2_router.errors import InputError
from r2_router.lab.data.questions import Question
from r2_router.lab.grading import Grade
from r2_router.lab.grading.code import CodeGrader, answer_code

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
TESTS = "assert double(2) == 4\nassert double(0) == 0"


def run(code: str, tests: str = TESTS, *, seconds: float = 20.0, **extra: str) -> Grade:
    grader = CodeGrader(seconds=seconds)
    question = Question("q", "Write double.", tests, "code", extra=extra)
    grader.check(question)
    return asyncio.run(grader.grade(question, f"Here:\n```python\n{code}\n```\nDone."))


def test_code_passes_or_fails_its_tests() -> None:
    assert run("def double(x):\n    return 2 * x").quality == 1
    wrong = run("def double(x):\n    return x")
    assert wrong.quality == 0
    assert "AssertionError" in wrong.found
    assert run("def double(x)\n    return").quality == 0


@pytest.mark.parametrize("code", ["import sys\nsys.exit(0)", "import os\nos._exit(0)", "raise SystemExit"])
def test_an_early_exit_is_no_pass(code: str) -> None:
    assert run(f"def double(x): return 3\n{code}").quality == 0


def test_what_is_printed_is_compared() -> None:
    code = "print(sum(map(int, input().split())))\nprint('end ')"
    assert run(code, "", stdin="1 2 3", expected_output="6\nend\n").quality == 1
    assert run(code, "", stdin="1 2 4", expected_output="6\nend").quality == 0


def test_what_cannot_be_run() -> None:
    grader = CodeGrader()
    with pytest.raises(InputError, match="neither tests"):
        grader.check(Question("q", "?"))
    grade = asyncio.run(grader.grade(Question("q", "?", "assert 1"), "I cannot do that, sorry."))
    assert grade.quality is None
    assert grade.note


def test_the_code_of_an_answer() -> None:
    assert answer_code("```\nx = 1\n```\nThen\n```python\ny = 2\n```\n```text\nz\n```") == "y = 2\n"
    assert answer_code("x = 1") == "x = 1"
    assert answer_code("```python\ncut off") == "cut off"
    assert answer_code("so it is") is None
    assert answer_code("") is None


def test_a_loop_ends_with_the_time() -> None:
    grade = run("while True: pass", seconds=0.5)
    assert grade.quality == 0
    assert "0.5 s" in grade.found


@posix
def test_memory_output_and_files_are_bounded(tmp_path: Path) -> None:
    assert "MemoryError" in run("x = bytearray(2 << 30)").found
    assert run("while True: print('x' * 100_000)").quality == 0
    big = tmp_path / "big"
    assert run(f"open({str(big)!r}, 'wb', buffering=0).write(bytes(100 << 20))\nraise ValueError").quality == 0
    assert big.stat().st_size <= 1 << 20


def test_no_key_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_TEST_API_KEY", "very-secret")
    code = "import os\nprint(any('secret' in v for v in os.environ.values()))"
    assert run(code, "", expected_output="False").quality == 1


@posix
def test_what_it_starts_ends_with_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, time\nfound = []\nfor _ in range(8):\n    child = os.fork()\n"
        "    if not child:\n        time.sleep(600)\n    found.append(child)\n"
        f"open({str(pids)!r}, 'w').write(' '.join(map(str, found)))\ndef double(x): return 2 * x"
    )
    assert run(code).quality == 1
    children = [int(pid) for pid in pids.read_text().split()]
    assert len(children) == 8
    deadline = time.monotonic() + 20  # the system takes a moment to end what was killed
    while any(map(_alive, children)) and time.monotonic() < deadline:
        os.sched_yield()
    assert not [pid for pid in children if _alive(pid)]


@posix
def test_ending_its_parent_does_not_end_us() -> None:
    assert run("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nwhile True: pass").quality == 0
    assert run("import os, signal\nos.killpg(0, signal.SIGKILL)").quality == 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # dead, but not yet reaped by init, is dead
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] in "ZX")
