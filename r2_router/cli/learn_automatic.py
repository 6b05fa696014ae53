"""`r2-router learn --automatic`: what the router starts by itself (ledger/quiet_learning.py), and nobody watches."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from r2_router.errors import R2Error

if TYPE_CHECKING:
    from r2_router.checkpoints.format import Checkpoint
    from r2_router.config.settings import Settings
    from r2_router.pools.pool import Pool


def learn_when_due(args: argparse.Namespace, base: Checkpoint, settings: Settings, pool: Pool) -> int:
    """Learn if enough has come and nobody else learns; what goes wrong is noted among the runs."""
    from r2_router.checkpoints.find import learned_folder
    from r2_router.checkpoints.learned import log_of, note
    from r2_router.cli.learn_run import learned_now, run_of
    from r2_router.config.file_locks import locked_if_free
    from r2_router.ledger import Ledger
    from r2_router.ledger.quiet_learning import is_due
    from r2_router.ledger.shared_learning import keep_in_step, learning

    with suppress(AttributeError, OSError):  # answers come first; Windows has no such call
        os.nice(10)
    folder = learned_folder(pool)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked_if_free(log_of(folder)) as free, Ledger.configured(settings) as ledger:
        if not free:
            return 0
        with learning(ledger, pool) as alone:
            keep_in_step(ledger, pool)
            if not alone or not is_due(ledger, folder, settings.learn_after):
                return 0
            try:
                learned_now(args, base, ledger, pool, keep=True, automatic=True)
            except (R2Error, OSError) as error:
                note(folder, run_of(ledger, folder, fault=str(error), automatic=True))
                return 1
            finally:
                keep_in_step(ledger, pool)
    return 0
