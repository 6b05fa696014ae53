"""Folds: every query is left out once, equal texts together, the same way every time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.made_up_table import make_lab

from r2_router.errors import InputError
from r2_router.lab.data.folds import category_folds, random_folds

TABLE, _ = make_lab(30)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.integers(0, 12), min_size=30, max_size=30), st.integers(2, 6), st.integers(0, 5))
def test_each_query_is_left_out_once_and_equal_texts_together(texts, folds, seed):
    table = replace(TABLE, queries=tuple(f"text {t}" for t in texts))
    if len(set(texts)) < folds:
        with pytest.raises(InputError, match=f"different queries cannot be split into {folds} folds"):
            random_folds(table, folds, seed)
        return
    found = random_folds(table, folds, seed)
    assert len(found) == folds
    assert sorted(i for _, out in found for i in out) == list(range(30))
    for kept, out in found:
        assert sorted([*kept, *out]) == list(range(30))
        assert not {texts[i] for i in kept} & {texts[i] for i in out}
    sizes = [len({texts[i] for i in out}) for _, out in found]
    assert max(sizes) - min(sizes) <= 1
    assert str(found) == str(random_folds(table, folds, seed))


def test_another_seed_splits_otherwise():
    assert [o.tolist() for _, o in random_folds(TABLE, 5, 0)] != [o.tolist() for _, o in random_folds(TABLE, 5, 1)]


def test_categories_are_left_out_whole():
    found = category_folds(TABLE)
    assert [{TABLE.categories[i] for i in out} for _, out in found] == [{"even"}, {"odd"}]
    assert all(len(kept) + len(out) == 30 for kept, out in found)
    with pytest.raises(InputError, match="needs a column `category`"):
        category_folds(replace(TABLE, categories=("",) * 30))


def test_indices_are_of_whole_numbers():
    assert all(np.issubdtype(part.dtype, np.integer) for fold in random_folds(TABLE, 3, 0) for part in fold)
