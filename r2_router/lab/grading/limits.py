"""The process an answer's code runs in: it limits itself, then becomes the program. Run as a script.

argv[1]: the limits as JSON; argv[2]: the program's file.
"""

import json
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


if __name__ == "__main__":
    limit(**json.loads(sys.argv[1]))
    del sys.argv[:2]
    runpy.run_path(sys.argv[0], run_name="__main__")
