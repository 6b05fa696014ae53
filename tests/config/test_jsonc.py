"""JSON with comments is changed in one place, and nowhere else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.config import jsonc


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{}", '{\n  "a": {\n    "b": 1\n  }\n}'),
        ("{// mine\n}", '{// mine\n  "a": {\n    "b": 1\n  }\n}'),
        ('{"x": 1}', '{"x": 1,\n  "a": {\n    "b": 1\n  }\n}'),
        ('{"a": {"c": 2}}', '{"a": {"c": 2,\n  "b": 1\n}}'),
        ('{\n\t"a": {\n\t\t"c": 2 // two\n\t}\n}', '{\n\t"a": {\n\t\t"c": 2, // two\n\t\t"b": 1\n\t}\n}'),
        ('{\r\n  "a": {\r\n    "c": 2,\r\n  }\r\n}', '{\r\n  "a": {\r\n    "c": 2,\r\n    "b": 1\r\n  }\r\n}'),
        ('{"a": {"b": [0, /* , */], "c": 3}}', '{"a": {"b": 1, "c": 3}}'),
        ('{"a": {"c": 2 /* a, b */}}', '{"a": {"c": 2, /* a, b */\n  "b": 1\n}}'),
    ],
)
def test_one_value_is_put_in_its_place(old: str, new: str) -> None:
    assert jsonc.put(old, ("a", "b"), 1) == new


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.slow
@given(
    st.dictionaries(st.text(max_size=4), json_values, max_size=4),
    st.sampled_from([None, 2, "\t"]),
    st.sampled_from(["", "// c, }\n", '/* " { */']),
    st.text(max_size=4),
    json_values,
)
def test_nothing_else_changes(document: dict, indent: object, comment: str, key: str, value: object) -> None:
    said = comment + json.dumps(document, indent=indent) + "\n" + comment  # type: ignore[arg-type]
    known = document.get(key)
    path = (key, "in") if isinstance(known, dict) or (known is None and key not in document) else (key,)
    written = jsonc.put(said, path, value)
    inner = {**known, "in": value} if isinstance(known, dict) else {"in": value}
    assert jsonc.loads(written) == {**document, key: inner if len(path) == 2 else value}
    assert written.count(comment) >= 2 or not comment
