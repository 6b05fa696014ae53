"""The ledger: what was decided, answered and spent, on this machine, by every process of its user."""

from r2_router.ledger.entry import Entry, Face, Outcome
from r2_router.ledger.loop_guard import LoopGuard
from r2_router.ledger.retention import Holdings, Pruned, holdings, prune
from r2_router.ledger.spend_limits import Reservation, SpendGuard
from r2_router.ledger.statistics import (
    CacheStats,
    Calibration,
    Calibrations,
    CandidateStats,
    DayStats,
    ModelStats,
    Stats,
    Totals,
    stats,
)
from r2_router.ledger.store import Ledger, flush_all

__all__ = [
    "CacheStats",
    "Calibration",
    "Calibrations",
    "CandidateStats",
    "DayStats",
    "Entry",
    "Face",
    "Holdings",
    "Ledger",
    "LoopGuard",
    "ModelStats",
    "Outcome",
    "Pruned",
    "Reservation",
    "SpendGuard",
    "Stats",
    "Totals",
    "flush_all",
    "holdings",
    "prune",
    "stats",
]
