"""Code that models might write, well meant and hostile, run within its limits."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from r2_router.errors import InputError
from r2_router.lab.data.questions import Question
from r2_router.lab.grading import Grade, runner, sandbox
from r2_router.lab.grading.code import CodeGrader, answer_code


@pytest.fixture(params=["walls", "plain"] if sandbox.has_walls() else ["plain"], autouse=True)
def walls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Every test runs without bubblewrap, and behind it where it is installed and may make namespaces."""
    monkeypatch.setattr(sandbox, "has_walls", lambda: request.param == "walls")
    return request.param == "walls"


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux finds what left its group")
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
TESTS = "assert double(2) == 4\nassert double(0) == 0"


def run(code: str, tests: str = TESTS, *, seconds: float = 20.0, **extra: str) -> Grade:
    grader = CodeGrader(seconds=seconds)
    question = Question("q", "Write double.", tests, "code", extra=extra)
    grader.check(question)
    return asyncio.run(grader.grade(question, f"Here:\n```python\n{code}\n```\nDone."))


@pytest.mark.slow
def test_code_passes_or_fails_its_tests() -> None:
    assert run("def double(x):\n    return 2 * x").quality == 1
    wrong = run("def double(x):\n    return x")
    assert wrong.quality == 0
    assert "AssertionError" in wrong.found
    assert run("def double(x)\n    return").quality == 0


@pytest.mark.slow
@pytest.mark.parametrize("code", ["import sys\nsys.exit(0)", "import os\nos._exit(0)", "raise SystemExit"])
def test_an_early_exit_is_no_pass(code: str) -> None:
    assert run(f"def double(x): return 3\n{code}").quality == 0


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_loop_ends_with_the_time() -> None:
    grade = run("while True: pass", seconds=0.5)
    assert grade.quality == 0
    assert "0.5 s" in grade.found


@pytest.mark.slow
@posix
def test_memory_output_and_files_are_bounded(tmp_path: Path) -> None:
    assert "MemoryError" in run("x = bytearray(2 << 30)").found
    assert run("while True: print('x' * 100_000)").quality == 0
    code = "import os\nopen('big', 'wb', buffering=0).write(bytes(100 << 20))\nprint(os.stat('big').st_size)"
    assert run(code, "", expected_output=str(1 << 20)).quality == 1


@linux
def test_processes_are_bounded_but_those_of_root_which_the_system_does_not_count(walls: bool) -> None:
    counted = os.getuid() != 0 or (runner.open_to_all() and not walls)
    code = (
        "import os, time\nmade = 0\ntry:\n    while made < 300:\n        if not os.fork():\n"
        "            time.sleep(60)\n        made += 1\nexcept OSError: pass\nprint(made < 200)"
    )
    assert run(code, "", expected_output=str(counted)).quality == 1
    assert _left("never") == []


@posix
def test_root_steps_down_where_the_interpreter_is_open_to_all(walls: bool) -> None:
    expected = runner._NOBODY if os.getuid() == 0 and runner.open_to_all() and not walls else os.getuid()
    code = "import os, decimal\nopen('new', 'w').write('x')\nprint(os.getuid(), os.path.getsize('answer.py') > 0)"
    assert run(code, "", expected_output=f"{expected} True").quality == 1


@posix
def test_who_may_load_the_interpreter_is_what_its_folders_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = tmp_path.resolve() / "python" / "lib"
    modules.mkdir(parents=True)
    above = [folder for folder in modules.parents if folder.stat().st_mode & 0o001 == 0]
    monkeypatch.setattr(os, "__file__", str(modules / "os.py"))
    modules.chmod(0o755)
    modules.parent.chmod(0o711)
    assert runner.open_to_all() == (above == [])
    modules.parent.chmod(0o700)
    assert not runner.open_to_all()


@pytest.mark.slow
def test_no_key_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_TEST_API_KEY", "very-secret")
    code = "import os\nprint(any('secret' in v for v in os.environ.values()))"
    assert run(code, "", expected_output="False").quality == 1


# Starts 8 processes that would stay for long, named by a variable of ours so that they are found from outside.
STAYS = """
import os, subprocess, sys, time
for number in range(4):
    if not os.fork():
        {leave}
        time.sleep(600)
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)", {name!r}], start_new_session={new})
time.sleep(0.5)
def double(x): return 2 * x
"""


@pytest.mark.slow
@linux
@pytest.mark.parametrize(
    ("leave", "new"), [("pass", False), ("os.setsid()", True), ("os.setsid(); os.fork() and os._exit(0)", True)]
)
def test_what_it_starts_ends_with_it(leave: str, new: bool) -> None:
    name = f"r2-test-{secrets.token_hex(8)}"
    assert run(STAYS.format(leave=leave, name=name, new=new)).quality == 1
    assert _left(name) == []


@pytest.mark.slow
@linux
@pytest.mark.parametrize("end", ["while True: pass", "os.kill(os.getppid(), 9)", "os._exit(0)"])
def test_what_it_starts_ends_with_it_when_it_fails(end: str) -> None:
    name = f"r2-test-{secrets.token_hex(8)}"
    code = STAYS.format(leave="os.setsid()", name=name, new=True) + f"\n{end}\nwhile True: pass"
    assert run(code, seconds=3.0).quality == 0
    assert _left(name) == []


# Ways to a pass without passing.
FORGED = [
    "import sys\nsys.exit(0)",
    "import os\nos._exit(0)",
    "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit(0)",
    "import pathlib\nfor f in pathlib.Path().rglob('*'):\n    f.touch()\nraise SystemExit(0)",
    "import os\nos.write(1, bytes(32))\nos._exit(0)",
    "import os\nfor fd in range(1, 64):\n    try: os.write(fd, bytes(32))\n    except OSError: pass\nos._exit(0)",
    # Whatever it finds in its arguments, environment, files and interpreter, said through every open descriptor.
    """
import gc, os, sys
found = [a.encode() for a in sys.argv] + [v.encode() for v in os.environ.values()]
above = f"/proc/{os.getppid()}/"
for path in ("/proc/self/cmdline", "/proc/self/environ", above + "cmdline", above + "environ", *os.listdir(".")):
    try: found += open(path, "rb").read().split(b"\\0")
    except OSError: pass
frame = sys._getframe()
while frame:
    held = [*frame.f_locals.values(), *frame.f_globals.values()]
    found += [v if isinstance(v, bytes) else str(v).encode() for v in held]
    frame = frame.f_back
found += [o for o in gc.get_objects() if isinstance(o, bytes)]
for fd in range(64):
    for word in found:
        if len(word) == 32:
            try: os.write(fd, word)
            except OSError: pass
os._exit(0)
""",
]


@pytest.mark.slow
@posix
@pytest.mark.parametrize("code", FORGED)
def test_a_pass_is_not_forged(code: str) -> None:
    grade = run(f"def double(x): return 3\n{code}")
    assert grade.quality == 0
    assert "ended before its tests did" in grade.found


@pytest.mark.slow
def test_tests_are_not_in_the_files_of_the_code() -> None:
    code = "import pathlib\nprint(any('double(2)' in f.read_text() for f in pathlib.Path().rglob('*') if f.is_file()))"
    assert "True" not in run(f"{code}\ndef double(x): return 3").found


@linux
def test_behind_walls_there_are_neither_files_nor_network(walls: bool, tmp_path: Path) -> None:
    if not walls:  # it can read what others can read, as the documentation says
        assert run("import os\nprint(os.path.exists('/etc/passwd'))", "", expected_output="True").quality == 1
        return
    secret = tmp_path / "secret"
    secret.write_text("very secret")
    code = f"""
import os, socket
seen = [os.path.exists({str(secret)!r}), os.path.exists({str(Path.home() / ".ssh")!r}), os.path.exists("/etc/passwd")]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    try: s.connect(("192.0.2.1", 9)); seen.append("network")
    except OSError: pass
pids = [n for n in os.listdir("/proc") if n.isdecimal()]
try: open({str(Path(sandbox.__file__).with_name("runner.py"))!r}, "a"); seen.append("written")
except OSError: pass
for place in ("/", "/tmp", "/dev", "/dev/shm", "/usr"):
    try: open(place + "/new", "w"); seen.append(place)
    except OSError: pass
print(seen, len(pids) < 10)
"""
    assert run(code, "", expected_output="[False, False, False] True").quality == 1


@pytest.mark.slow
@posix
def test_ending_its_parent_does_not_end_us() -> None:
    assert run("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nwhile True: pass").quality == 0
    assert run("import os, signal\nos.killpg(0, signal.SIGKILL)").quality == 0


def _left(name: str) -> list[str]:
    """The processes with `name` among their arguments, or that the grader marked, that are still there."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            dead = (folder / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            marked = f"{sandbox.MARK}=".encode() in (folder / "environ").read_bytes()
            if not dead and (name.encode() in (folder / "cmdline").read_bytes() or marked):
                found.append(folder.name)
    return found


@pytest.mark.slow
def test_walls_that_may_not_be_built_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container that forbids namespaces bubblewrap is there and fails."""
    if sys.platform == "win32":
        pytest.skip("a shell script")
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.has_walls.cache_clear()
    try:
        assert not sandbox.has_walls()
        assert run("def double(x):\n    return 2 * x").quality == 1
    finally:
        sandbox.has_walls.cache_clear()
