"""Configuration files: a fault is named with the file and the line of the key that has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.config import toml_file as cf
from r2_router.errors import ConfigError


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "some.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


STYLES = '''\
# a comment with = and [a.header]
plain = 1
"quoted key" = """
[not.a.header]
fake = 1
"""
dotted.'inner key'.leaf = 2
array = [
  "plain = 3",
  # ]
]

[table]  # trailing
key = 'x'

  [table."sub.table"]
  "esc\\u0061ped" = { inline = 1, other = { deep = 2 } }

[ spaced . out ]
key = 1
'''


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("plain",), 2),
        (("quoted key",), 3),
        (("dotted", "inner key", "leaf"), 7),
        (("array",), 8),
        (("table",), 13),
        (("table", "key"), 14),
        (("table", "sub.table"), 16),
        (("table", "sub.table", "escaped"), 17),
        (("table", "sub.table", "escaped", "other", "deep"), 17),
        (("spaced", "out", "key"), 20),
        (("table", "absent"), 13),
        (("table", "sub.table", "absent"), 16),
        (("fake",), 1),
        ((), 1),
    ],
)
def test_line_of_a_key_in_every_style(tmp_path: Path, keys: tuple[str, ...], line: int) -> None:
    assert cf.read_config(write(tmp_path, STYLES)).line(*keys) == line


VALUES = st.sampled_from(["1", '"x"', '"""\na = 1\n[b]\n"""', "[\n1,\n2]", "{ x = 1 }", "'''\n\n'''", "2026-01-01"])
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=6)


@pytest.mark.slow
@given(st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=4), st.booleans())
def test_line_is_where_the_key_was_written(tables: dict[str, dict[str, str]], crlf: bool) -> None:
    text, at = "", {}
    for name, entries in tables.items():
        at[("t", name)] = text.count("\n") + 1
        text += f"[t.{json.dumps(name, ensure_ascii=False)}]\n"
        for key, value in entries.items():
            at[("t", name, key)] = text.count("\n") + 1
            text += f"{json.dumps(key, ensure_ascii=False)} = {value}\n"
    path = Path("in memory")
    file = cf.ConfigFile(path, cf.tomllib.loads(text), text)
    assert {keys: file.line(*keys) for keys in at} == at


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = \n", "line 2: not valid TOML"),
        ("a = 1\n\na = 2\nc = 3\n", "line 3: not valid TOML"),
        ("[t]\nx = 1\n[t]\n", "line 3: not valid TOML"),
        ('a = 1\nb = """\nnever closed\n', "line 3: not valid TOML"),
        (b"a = '\xff'", "is not UTF-8"),
        ("a = " + "9" * 5000, "beyond reason"),
        ("a = " + "[" * 100_000, "beyond reason"),
        ("a = 1 #" + "x" * (1 << 20), "larger than 1 MiB"),
    ],
)
def test_what_is_no_toml_is_refused(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=said) as caught:
        cf.read_config(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        cf.read_config(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        cf.read_config(tmp_path)


def test_files_from_windows_are_read(tmp_path: Path) -> None:
    file = cf.read_config(write(tmp_path, b"\xef\xbb\xbfa = 1\r\nb = 2\r\n"))
    assert file.data == {"a": 1, "b": 2}
    assert file.line("b") == 2


@pytest.mark.parametrize("check", [cf.amount, cf.fraction, cf.speed, cf.count, cf.count_above_zero])
@pytest.mark.parametrize("bad", [-1, -0.5, float("nan"), float("inf"), 10**400, True, "1", None, [1]])
def test_numbers_refuse_what_is_no_number(check: cf.Check, bad: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        check(bad)


@given(st.floats(min_value=0, allow_infinity=False))
def test_amounts_are_kept_exactly(value: float) -> None:
    assert cf.amount(value) == value


@pytest.mark.parametrize(
    "bad",
    [
        "localhost:8000",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http://",
        "https://user:hunter2@host/v1",
        "https://host/v1?key=hunter2",
        "https://host/v1#hunter2",
        "https://host:port/v1",
        "https://ho st/v1",
        "http://[::1/v1",
    ],
)
def test_addresses_are_checked_and_never_repeated(bad: str) -> None:
    with pytest.raises(ValueError, match="must be an address") as caught:
        cf.url(bad)
    assert "hunter2" not in str(caught.value)


def test_addresses_lose_their_closing_slash() -> None:
    assert cf.url("http://[::1]:8000/v1/") == "http://[::1]:8000/v1"
    assert cf.url("") == ""


@pytest.mark.parametrize("bad", ["sk-or-v1-0123456789abcdef", "gsk_0123456789abcdef", "MY KEY", "1KEY"])
def test_a_key_in_place_of_its_variable_is_not_repeated(bad: str) -> None:
    with pytest.raises(ValueError, match="NAME of the environment variable") as caught:
        cf.variable(bad)
    assert bad not in str(caught.value)


def test_a_key_in_place_of_a_number_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="must be a number") as caught:
        cf.amount("sk-or-v1-0123456789abcdef")
    assert "0123" not in str(caught.value)
