"""Pieces of files: numbered through all of them, each readable by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from r2_router.errors import InputError
from r2_router.lab.data.spans import read_span, spans


def write(folder: Path, *files: list[str]) -> Path:
    for name, texts in zip("abc", files, strict=False):
        table = pa.table({"id": range(len(texts)), "text": texts})
        parquet.write_table(table, folder / f"{name}.parquet", row_group_size=2)
    return folder


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://{}/"])
@pytest.mark.parametrize(("rows", "pieces"), [(None, 5), (5, 3), (4, 2)])
def test_row_groups_are_numbered_through_all_files(tmp_path: Path, form: str, rows: int | None, pieces: int) -> None:
    texts = [f"t{i}" for i in range(8)]
    write(tmp_path, texts[:5], texts[5:])
    found = spans(form.format(tmp_path), rows=rows)
    assert len(found) == pieces
    assert [each for span in found for each in read_span(span)] == [*enumerate(texts)][:rows]


def test_one_file_and_messages_as_json(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Hi"}]
    file = write(tmp_path, ["a", json.dumps(chat)]) / "a.parquet"
    for address in (str(file), f"file://{file}"):
        assert [prompt for span in spans(address) for _, prompt in read_span(span)] == ["a", chat]


def test_a_file_of_lines_is_one_piece(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('"a"\n"b"\n"c"\n')
    (span,) = spans(str(tmp_path / "p.jsonl"), rows=2)
    assert [*read_span(span)] == [(0, "a"), (1, "b")]


@pytest.mark.parametrize(
    ("address", "column", "said"),
    [
        ("nothing", "", "No prompts at"),
        ("empty", "", "holds no .parquet file"),
        ("bad", "", "cannot be read as Parquet"),
        ("a.parquet", "prmpt", "lacks column prmpt"),
        ("nowhere://x/y", "", "cannot be read as Parquet"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, address: str, column: str, said: str) -> None:
    write(tmp_path, ["a"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.parquet").write_text("no")
    with pytest.raises(InputError, match=said):
        spans(address if "://" in address else str(tmp_path / address), column)
