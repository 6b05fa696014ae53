"""The process an answer's code runs in: it limits itself, then becomes the program. Run as a script.

argv[1]: the limits as JSON; argv[2]: the program's file.
"""

import json
import os
import runpy
import sys


def limit(seconds: float, memory_mb: int, output_bytes: int) -> None:
    """Limits this process and all it starts; the system holds them."""
    try:
        import resource
    except ImportError:  # Windows: only the parent's clock
        return
    wanted = {
        resource.RLIMIT_CPU: int(seconds) + 1,
        resource.RLIMIT_AS: memory_mb << 20,
        resource.RLIMIT_FSIZE: output_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    for kind, most in wanted.items():
        hard = resource.getrlimit(kind)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):  # macOS does not limit every kind
            continue


def step_between() -> None:
    """Go on in a child, so that a program that ends its parent ends this step and not the grader. POSIX only."""
    if not hasattr(os, "fork"):
        return
    child = os.fork()
    if child:
        os._exit(min(255, abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))))


if __name__ == "__main__":
    limit(**json.loads(sys.argv[1]))
    step_between()
    del sys.argv[:2]
    runpy.run_path(sys.argv[0], run_name="__main__")
