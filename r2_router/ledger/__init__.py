"""The ledger: what was decided, answered and spent, on this machine, by every process of its user."""

from r2_router.ledger.entry import Entry, Face, Outcome
from r2_router.ledger.spend_limits import Reservation, SpendGuard
from r2_router.ledger.statistics import (
    Calibration,
    Calibrations,
    CandidateStats,
    DayStats,
    ModelStats,
    Stats,
    Totals,
    stats,
)
from r2_router.ledger.store import Ledger

__all__ = [
    "Calibration",
    "Calibrations",
    "CandidateStats",
    "DayStats",
    "Entry",
    "Face",
    "Ledger",
    "ModelStats",
    "Outcome",
    "Reservation",
    "SpendGuard",
    "Stats",
    "Totals",
    "stats",
]
