"""ServerProcess: llama.cpp serving one GGUF file on loopback, in a process that ends with ours."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from r2_router.config.settings import Secret
from r2_router.errors import LocalModelError

START_SECONDS = 120.0

_CHILD = Path(__file__).with_name("child.py")
_LAST_WORDS_SECONDS = 5.0
_POLL_SECONDS = 0.02
_HEALTH_SECONDS = 5.0
_LOG_BYTES = 64 << 10

# What a native library may need of our environment; keys, which it does not, are not among it.
_NEEDED = re.compile(
    r"PATH|HOME|TMPDIR|TEMP|TMP|LANG|LC_\w+|TZ|SYSTEMROOT|WINDIR|COMSPEC|PATHEXT|USERPROFILE|LOCALAPPDATA|VIRTUAL_ENV"
    r"|PYTHON\w+|LD_\w+|DYLD_\w+|(GGML|OMP|KMP|GOMP|OPENBLAS|MKL|CUDA|NVIDIA|HIP|HSA|ROCR|VK|MTL)_\w+",
    re.IGNORECASE,
)
_KEY_LIKE = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Launch:
    """What the child is told. `model_id` is what answers name as their model; `idle_seconds` without a request
    and the server gives its memory back, until the next one."""

    path: str
    model_id: str
    slots: int
    slot_tokens: int
    threads: int
    idle_seconds: int


def _environment() -> dict[str, str]:
    """Our environment, as far as the child needs it."""
    kept = {k: v for k, v in os.environ.items() if _NEEDED.fullmatch(k) and not _KEY_LIKE.search(k)}
    # Threads that spin while they wait are ten times slower as soon as something else wants a core.
    return {"OMP_WAIT_POLICY": "passive", **kept}


class ServerProcess:
    """One child process. Its stdin is the lifeline: it ends when nobody holds the other end any more.

    (Linux's PR_SET_PDEATHSIG would not do: it fires when the thread that started the child ends.)
    """

    def __init__(self, launch: Launch) -> None:
        self.base_url = ""
        self.key = Secret(secrets.token_hex())  # of this server alone
        self._started = time.monotonic()
        self._said = ""
        self._stopping = threading.Lock()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_CHILD), json.dumps(asdict(launch))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(),
            cwd=_CHILD.parent,  # the system may look for libraries in the folder one happens to be in
            # Ctrl-C interrupts the answer, not the server.
            start_new_session=True,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
        )
        with suppress(OSError):  # it ended already: wait_ready says why
            self._tell(self.key)

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_ready(self) -> bool:
        return bool(self.base_url) and self._process.poll() is None

    def wait_ready(self) -> None:
        """Return when the server answers. Raises LocalModelError, the process gone, if it does not."""
        alarm = threading.Timer(START_SECONDS, self._process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            address = self._read_address()
            if address and self._becomes_healthy(address):
                self.base_url = f"{address}/v1"
            elif not address:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_LAST_WORDS_SECONDS)  # it is ending, and may not have said why yet
        finally:
            alarm.cancel()
            if not self.base_url:
                self.stop()
        if not self.base_url:
            raise LocalModelError(f"its server did not start: {self._reason()}")

    def stop(self) -> None:
        """End the process; return when it is gone."""
        with self._stopping:
            if self._log.closed:
                return
            self._process.kill()
            self._process.wait()
            self._log.seek(0)
            self._said = self._log.read(_LOG_BYTES).decode("utf-8", "replace")
            for stream in (self._process.stdin, self._process.stdout, self._log):
                if stream is not None:
                    stream.close()

    def _tell(self, key: Secret) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(f"{key.reveal()}\n".encode())
            self._process.stdin.flush()

    def _read_address(self) -> str:
        """What the child prints once it listens, "" if it ended before."""
        if self._process.stdout is None:
            return ""
        try:
            return self._process.stdout.readline().decode("ascii").strip()
        except ValueError:  # closed: stop() was faster
            return ""

    def _becomes_healthy(self, address: str) -> bool:
        """Whether /health says so before the process ends."""
        parts = urlsplit(address)
        while self._process.poll() is None:
            connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=_HEALTH_SECONDS)
            try:
                headers = {"Authorization": f"Bearer {self.key.reveal()}"}
                connection.request("GET", f"{parts.path}/health", headers=headers)
                if connection.getresponse().status == 200:
                    return True
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(_POLL_SECONDS)
        return False

    def _reason(self) -> str:
        """The first error llama.cpp logged, else the last thing the process said."""
        if time.monotonic() - self._started >= START_SECONDS:
            return f"it was not ready in {START_SECONDS:.0f} s"
        errors = re.findall(r"^[\d.]+ E (.+)$", self._said, re.MULTILINE)
        lines = errors[:1] or self._said.strip().splitlines()[-1:]
        return lines[0].strip()[:300] if lines else "it was stopped"
