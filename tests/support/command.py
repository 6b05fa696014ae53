"""`r2-router` in this process: what it returns, writes to stdout and writes to stderr.

A process of its own costs a second each time, for imports and the embedder. Tests start one where the process is
what they are about: signals, terminals, pipes, the end of it.
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest import mock

from r2_router.cli import main
from r2_router.ledger.store import flush_all


def run_command(*args: str, stdin: str = "") -> CompletedProcess[str]:
    out, err = io.StringIO(), io.StringIO()
    given = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "stdin", given):
        try:
            code = main(args)
        except SystemExit as end:  # argparse
            code = end.code
    flush_all()  # as at the end of a process
    return CompletedProcess(args, code, out.getvalue(), err.getvalue())
