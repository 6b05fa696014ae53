"""Signals of the cascade's benchmark: made-up ones tell as much as they should, measured ones go to their answers."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.made_up_table import make_lab

from r2_router.lab.learning.signal_fit import auroc


@pytest.fixture
def cascade(benchmarks: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = importlib.import_module("cascade")
    monkeypatch.setattr(module, "FIRST", (("small", 20),))
    return module


@pytest.mark.parametrize("asked", [0.6, 0.8, 0.95])
def test_a_made_up_signal_tells_right_from_wrong_as_often_as_asked(cascade: Any, asked: float) -> None:
    truth = make_lab(4000)[0]
    truth = replace(truth, quality=np.round(truth.quality))
    signal = cascade.made_up(truth, asked, 0).mean_logprob
    place = truth.candidates.index(("small", 20))
    assert auroc(truth.quality[:, place], signal[:, place]) == pytest.approx(asked, abs=0.02)
    assert np.isnan(np.delete(signal, place, axis=1)).all()


def test_what_was_measured_goes_to_the_answer_it_was_measured_on(cascade: Any) -> None:
    truth = make_lab(30)[0]
    sure = np.arange(truth.quality.size, dtype=float).reshape(truth.quality.shape)
    kept = np.array([20, 3, 11])
    found = cascade.measured(truth, replace(truth, mean_logprob=sure).take(kept)).mean_logprob
    assert np.array_equal(found[kept], sure[kept])
    assert np.isnan(np.delete(found, kept, axis=0)).all()
