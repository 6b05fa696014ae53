"""The process behind one local model: llama.cpp on loopback until the parent closes our stdin, however it ends.

Run as a script, so that nothing but xllamacpp is loaded. argv[1] is a JSON object; the first line on stdin is the key
that requests must hold (arguments and environment can be read by others); the one line on stdout is the address of the
server. What llama.cpp says goes to stderr.
"""

import hashlib
import json
import os
import sys
from importlib import import_module
from typing import Any


def main() -> None:
    asked: dict[str, Any] = json.loads(sys.argv[1])
    parent = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    key = sys.stdin.buffer.readline().decode("ascii").strip()
    server = serve(**asked, key=key)
    print(f"{server.listening_address}{path_prefix(key)}", file=parent, flush=True)
    sys.stdin.buffer.read()
    os._exit(0)  # the server's own destructor can wait for ever


def close_to_others(params: Any, key: str) -> None:
    """Let the llama.cpp server of `params` answer on loopback only, and only to who has `key`.

    llama.cpp looks at no Host, and answers some paths without a key: a web page whose own name was made to lead here
    could ask them. Under a path that cannot be guessed, it answers nothing without the key.
    """
    if not key:
        raise ValueError("a server without a key answers to everybody")
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.api_prefix = path_prefix(key)
    params.cors_origins = ""  # no web page has business here
    params.endpoint_slots = False  # shows what others ask
    params.ui = False


def path_prefix(key: str) -> str:
    """What every path begins with: as hard to guess as the key, and not the key, for addresses are shown."""
    return f"/{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def serve(path: str, model_id: str, slots: int, slot_tokens: int, threads: int, idle_seconds: int, key: str) -> Any:
    """A running server with `slots` slots of `slot_tokens` tokens each."""
    xllamacpp: Any = import_module("xllamacpp")  # untyped
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {model_id}
    close_to_others(params, key)
    params.n_parallel = slots
    params.n_ctx = slots * slot_tokens
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.sleep_idle_seconds = idle_seconds
    params.cache_ram_mib = 0  # prompts are kept in the slots; the second cache may grow to 8 GiB
    params.cache_idle_slots = False
    params.fit_params = False  # memory was checked; trying out what fits takes half a second
    params.verbosity = 1  # errors
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
