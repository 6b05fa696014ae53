"""Ray, where it is installed, and a cluster to work on."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from typing import Any, cast

from r2_router.config.machine import cores
from r2_router.errors import InputError, R2Error


def ray_module() -> Any:
    """The module ray. Raises InputError where the extra is missing."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it tells its makers of each cluster
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")
    try:
        ray = cast("Any", import_module("ray"))
        import_module("ray.data")
    except ImportError:
        raise InputError("--engine ray needs Ray: `pip install 'r2-mcp[ray]'`.") from None
    return ray


@contextmanager
def cluster(workers: int | None) -> Generator[tuple[Any, int]]:
    """Ray, connected, and how many workers there are to be: the cluster of RAY_ADDRESS, or one of this machine for as
    long as the block lasts. `workers` None is one a core. Raises InputError without Ray, R2Error where it fails."""
    ray = ray_module()
    theirs = bool(os.environ.get("RAY_ADDRESS"))
    mine: dict[str, Any] = {} if theirs else {"num_cpus": workers or cores(), "include_dashboard": False}
    begun = not ray.is_initialized()
    try:
        if begun:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **mine)
        logging.getLogger("ray").setLevel(logging.ERROR)
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):  # Ray writes into the user's pipe
            warnings.simplefilter("ignore")  # on fewer pieces than workers, which is no fault of the user's
            yield ray, workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    except ray.exceptions.RayError as error:
        raise R2Error(f"The run on Ray stopped: {_cause(error)}") from None
    finally:
        if begun:
            ray.shutdown()


def _cause(error: BaseException) -> str:
    """What went wrong in a worker, without the ways it took."""
    cause = getattr(error, "cause", None) or error.__cause__ or error
    return next((line for line in reversed(str(cause).splitlines()) if line.strip()), type(cause).__name__).strip()
