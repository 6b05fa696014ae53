"""A decision as other libraries take it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from r2_router import InputError, R2Router


@pytest.fixture
def router(tmp_path: Any) -> R2Router:
    from support.mcp_client import make_router

    return make_router(tmp_path)


def test_a_frame_has_a_row_a_candidate_and_a_column_a_field(router: R2Router, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = ModuleType("pandas")
    pandas.DataFrame = lambda rows: SimpleNamespace(rows=rows)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    decision = router.route_text("Hello")
    assert decision.to_pandas().rows == [candidate.to_dict() for candidate in decision.candidates]


def test_a_candidate_is_a_mapping_of_its_fields_which_tables_are_made_of(router: R2Router) -> None:
    best = router.route_text("Hello").best
    assert isinstance(best, Mapping)
    assert dict(best.items()) == dict(best) == dict(zip(best.keys(), best.values(), strict=True))
    assert dict(best)["model"] == best.model


def test_without_pandas_it_says_what_to_install(router: R2Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        router.route_text("Hello").to_pandas()
