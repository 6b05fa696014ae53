"""What all embedders share: cutting text, checking vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from r2_router.embedders import clip_text, unit_rows
from r2_router.errors import EmbedderError


@given(st.text(alphabet=st.characters(codec="utf-8")), st.integers(3, 40))
def test_clip_keeps_both_ends(text: str, max_chars: int):
    clipped = clip_text(text, max_chars)
    half = (max_chars - 1) // 2
    assert len(clipped) <= max_chars
    if len(text) <= max_chars:
        assert clipped == text
    else:
        assert text.startswith(clipped[:half])
        assert text.endswith(clipped[-half:])
    assert clip_text(clipped, max_chars) == clipped


@given(st.text())
def test_clipped_text_can_be_encoded(text: str):
    assert clip_text(text + "\ud800", 100).encode("utf-8")


tables = hnp.arrays(np.float64, (3, 4), elements=st.floats(allow_nan=False, allow_infinity=False))


@pytest.mark.slow
@given(tables)
def test_rows_get_unit_length_and_keep_their_direction(table: np.ndarray):
    if (table == 0).all(axis=1).any():
        with pytest.raises(EmbedderError, match="zero vector"):
            unit_rows(table, 3, 4, "It")
        return
    rows = unit_rows(table.tolist(), 3, None, "It")
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    scaled = table / np.abs(table).max(axis=1, keepdims=True)
    assert (np.einsum("nd,nd->n", rows, scaled) > 0.999 * np.linalg.norm(scaled, axis=1)).all()


@pytest.mark.parametrize(
    ("vectors", "reason"),
    [
        ([[1.0, 2.0]], "shape (1, 2) for 2 texts"),
        ([1.0, 2.0], "shape (2,)"),
        ([[], []], "shape (2, 0)"),
        ([[1.0], [2.0, 3.0]], "not a table of numbers"),
        ([["a"], ["b"]], "not a table of numbers"),
        (None, "shape ()"),
        ([[1.0], [10**400]], "not a table of numbers"),
        ([[1.0], [float("inf")]], "not finite"),
        ([[1.0], [float("nan")]], "not finite"),
        ([[1.0], [0.0]], "zero vector"),
        ([[1.0], [2.0]], "1 dimensions where 3 are needed"),
    ],
)
def test_bad_vectors_are_refused(vectors: object, reason: str):
    with pytest.raises(EmbedderError) as caught:
        unit_rows(vectors, 2, 3 if "needed" in reason else None, "The server")
    assert str(caught.value).startswith("The server return")
    assert reason in str(caught.value)
