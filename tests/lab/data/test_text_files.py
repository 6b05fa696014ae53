"""Files as programs write them: the same rows whatever the encoding, the delimiter, the decimal sign, the header."""

from __future__ import annotations

import codecs
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.errors import InputError
from r2_router.lab.data.questions import read_questions
from r2_router.lab.data.read import read_table
from r2_router.lab.data.text_files import as_number, text_form

HEADER = ["Query ID", "Query", " MODEL ", "Budget", "Quality", "Output-Tokens"]
ROWS = [
    ["1", "Wie groß ist Köln? 5 € für „alles“", "große", "30", "0,85", "1200"],
    ["2", "a; b, c", "große", "", "1", "7"],
]


def written(folder: Path, encoding: str, delimiter: str, mark: bytes = b"") -> Path:
    file = folder / "t.csv"
    lines = [delimiter.join(f'"{cell}"' for cell in row) for row in (HEADER, *ROWS)]
    file.write_bytes(mark + "\r\n".join(lines).encode(encoding))
    return file


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("encoding", "mark", "said"),
    [
        ("utf-8", b"", "UTF-8"),
        ("utf-8-sig", b"", "UTF-8"),
        ("cp1252", b"", "Windows-1252"),
        ("utf-16", b"", "UTF-16"),
        ("utf-16-le", b"", "UTF-16"),
        ("utf-16-be", b"", "UTF-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "UTF-16"),
        ("utf-32", b"", "UTF-32"),
    ],
)
def test_the_same_table_from_every_form(tmp_path: Path, encoding: str, mark: bytes, said: str, delimiter: str) -> None:
    table = read_table(written(tmp_path, encoding, delimiter, mark))
    assert table.queries == (ROWS[0][1], ROWS[1][1])
    assert table.candidates == (("große", 30), ("große", "unlimited"))
    assert table.quality[0, 0] == 0.85
    assert table.output_tokens[0, 0] == 1200
    if (said, delimiter) == ("UTF-8", ","):
        assert "read_as" not in table.about
    else:
        assert table.about["read_as"].startswith(said)


def test_a_file_without_its_columns_names_what_was_found(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes("Frage;Antwort\nWie groß?;7\n".encode("cp1252"))
    with pytest.raises(InputError) as error:
        read_questions(file)
    assert str(error.value) == (
        "t.csv lacks column query. Found: CSV in Windows-1252, separated by a semicolon, with columns 'Frage', "
        "'Antwort'."
    )


def test_two_columns_that_mean_the_same_are_an_error(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("Query,QUERY\na,b\n")
    with pytest.raises(InputError, match="two columns query"):
        read_questions(file)


def test_columns_nobody_asked_for_keep_their_names(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text('{"QUERY": "a", "Answer": "b", "My Column": 3, "Expected Output": "c"}')
    (question,) = read_questions(file)
    assert (question.query, question.answer) == ("a", "b")
    assert question.extra == {"My Column": 3, "expected_output": "c"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"query\nK\xf6ln \x81\n", "no text in UTF-8, UTF-16 or Windows-1252"),
        (b"query\n\0\0\0\1\2\3" * 50, "holds zero bytes"),
        ("query\nüüüüü".encode() + b"\xff\n", "UTF-8 with bytes that are none"),
    ],
)
def test_what_is_no_text_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_questions(file)


@pytest.mark.slow
@given(st.text(min_size=1, max_size=200).filter(lambda text: "\0" not in text))
def test_what_is_utf8_is_read_as_utf8(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "utf8.jsonl"
    file.write_bytes(text.encode("utf-8", "replace"))
    form = text_form(file, is_csv=False)
    assert (form.encoding, form.damaged) == ("utf-8-sig", False) or text.startswith("\ufeff")


@pytest.mark.parametrize(
    ("said", "whole", "number"),
    [
        ("0,85", False, 0.85),
        ("0.85", False, 0.85),
        ("1,000", False, 1.0),
        ("1,234", True, 1234.0),
        ("12,345,678", True, 12_345_678.0),
        ("12,5", True, 12.5),
        (" 7 ", True, 7.0),
        (7, True, 7.0),
    ],
)
def test_numbers_with_a_comma(said: object, whole: bool, number: float) -> None:
    assert as_number(said, whole=whole) == number


@pytest.mark.parametrize("said", ["", "a", "1,2,3,4", None, [], "1.234,5"])
def test_what_is_no_number(said: object) -> None:
    assert math.isnan(as_number(said, whole=False))
