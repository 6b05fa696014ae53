import csv
import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r2_router.errors import InputError
from r2_router.lab.data.read import read_table
from r2_router.lab.data.table import make_table

ROWS = [
    {"query_id": "a", "query": "One?", "model": "m", "budget": None, "quality": 1.0, "output_tokens": 90},
    {"query_id": "a", "query": "One?", "model": "m", "budget": 40, "quality": 0.0, "output_tokens": 31},
    {"query_id": "b", "query": "Zwei,\n二?", "model": "m", "budget": 40, "quality": 0.5, "output_tokens": 12},
    {"query_id": "b", "query": "Zwei,\n二?", "model": "k", "budget": 10, "quality": 0.25, "output_tokens": 10},
]
for row, inputs in zip(ROWS, (11, 17, None, 23), strict=True):
    row |= {"input_tokens": inputs, "category": "x" if row["query_id"] == "a" else None, "seconds": 3.5}


def columns(rows=ROWS):
    return {name: [row[name] for row in rows] for name in rows[0]}


def changed(row=0, **values):
    rows = [dict(r) for r in ROWS]
    rows[row] |= values
    return columns(rows)


def write(folder, kind):
    file = folder / f"table.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table(columns()), file)
    elif kind == "jsonl":
        file.write_text("\n\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    else:
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(ROWS[0]))
            writer.writeheader()
            writer.writerows(ROWS)
    return file


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_every_format_gives_the_same_arrays(tmp_path, kind):
    table = read_table(write(tmp_path, kind))
    nan = np.nan
    assert table.query_ids == ("a", "b")
    assert table.queries == ("One?", "Zwei,\n二?")
    assert table.categories == ("x", "")
    assert table.candidates == (("m", 40), ("m", "unlimited"), ("k", 10))
    np.testing.assert_array_equal(table.quality, [[0.0, 1.0, nan], [0.5, nan, 0.25]])
    np.testing.assert_array_equal(table.output_tokens, [[31, 90, nan], [12, nan, 10]])
    np.testing.assert_array_equal(table.input_tokens, [[17, 11, nan], [nan, nan, 23]])


def test_how_sure_a_model_was_is_read_where_it_is_told():
    table = make_table({**columns(), "mean_logprob": [-0.5, None, "-1.5", 0]}, "t")
    np.testing.assert_array_equal(table.mean_logprob, [[np.nan, -0.5, np.nan], [-1.5, np.nan, 0.0]])
    assert np.isnan(make_table(columns(), "t").mean_logprob).all()
    assert table.take(np.array([0])).among([1]).mean_logprob.tolist() == [[-0.5]]


def test_no_model_is_surer_than_certain():
    with pytest.raises(InputError, match=r"t.csv, row 2: mean_logprob '0.5' is not a number of 0 or less."):
        make_table({**columns(), "mean_logprob": [-1, 0.5, None, None]}, "t.csv")


def test_missing_cells_are_counted_and_stay_empty():
    table = make_table(columns(), "t")
    assert table.measured.sum() == 4
    assert table.complete.tolist() == [False, False]
    assert table.counts() == {
        "rows": 4,
        "queries": 2,
        "complete_queries": 0,
        "missing_cells": [
            {"model": "m", "budget": "unlimited", "queries": 1},
            {"model": "k", "budget": 10, "queries": 1},
        ],
        "repeated_rows": 0,
        "ungraded_rows": 0,
        "queries_by_category": {"": 1, "x": 1},
    }


def test_repeated_rows_are_averaged_and_counted():
    again = [*ROWS, ROWS[1] | {"quality": 1.0, "output_tokens": 11, "input_tokens": None}]
    table = make_table(columns(again), "t")
    assert table.repeated == 1
    assert (table.quality[0, 0], table.output_tokens[0, 0], table.input_tokens[0, 0]) == (0.5, 21, 17)


def test_ungraded_rows_are_left_out_and_counted():
    table = make_table(changed(3, quality=None), "t")
    assert (table.ungraded, table.rows) == (1, 4)
    assert table.candidates == (("m", 40), ("m", "unlimited"))


@pytest.mark.parametrize("budget", [None, "", "unlimited", float("nan")])
def test_ways_to_say_unlimited(budget):
    assert make_table(changed(1, budget=budget), "t").candidates[0] == ("m", 40)
    assert make_table(changed(1, budget=budget), "t").repeated == 1


@pytest.mark.parametrize("budget", ["40", 40.0, np.int64(40)])
def test_ways_to_write_a_budget(budget):
    assert make_table(changed(1, budget=budget), "t").candidates[0] == ("m", 40)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"quality": 1.2}, "row 1: quality '1.2' is not a number from 0 to 1"),
        ({"quality": float("nan")}, "row 1: quality 'nan'"),
        ({"quality": "good"}, "row 1: quality 'good'"),
        ({"output_tokens": -1}, "row 1: output_tokens '-1' is not a number of 0 or more"),
        ({"output_tokens": None}, "row 1: output_tokens 'None'"),
        ({"output_tokens": float("inf")}, "row 1: output_tokens 'inf'"),
        ({"input_tokens": -3}, "row 1: input_tokens '-3'"),
        ({"budget": 0}, "row 1: budget '0' is not a whole number"),
        ({"budget": 12.5}, "row 1: budget '12.5'"),
        ({"budget": "many"}, "row 1: budget 'many'"),
        ({"budget": True}, "row 1: budget 'True'"),
        ({"query": " "}, "row 1: query is blank"),
        ({"query_id": None}, "row 1: query_id is blank"),
        ({"model": ""}, "row 1: model is blank"),
        ({"query": "Another?"}, "row 2: query_id 'a' stands for two different queries"),
    ],
)
def test_a_bad_value_is_named_with_its_row(fault, message):
    with pytest.raises(InputError) as error:
        make_table(changed(**fault), "t.csv")
    assert str(error.value).startswith(f"t.csv, {message}")


def test_lacking_columns_are_named():
    short = {name: values for name, values in columns().items() if name not in ("quality", "budget")}
    with pytest.raises(InputError, match="lacks column budget, quality"):
        make_table(short, "t")


def test_nothing_graded_is_an_error():
    with pytest.raises(InputError, match="no row with a quality"):
        make_table({**columns(), "quality": [None] * 4}, "t")


def test_take_keeps_queries_with_their_numbers():
    part = make_table(columns(), "t").take(np.array([1]))
    assert part.query_ids == ("b",)
    np.testing.assert_array_equal(part.quality, [[0.5, np.nan, 0.25]])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.jsonl", '{"query_id": "a"}\n[1]', "line 2 is not a JSON object"),
        ("t.jsonl", '{"query_id": "a"\n', "line 1 is not a JSON object"),
        ("t.jsonl", '{"query_id": "a", "budget": 1}\n{"query_id": "b"}', "row 2 lacks budget"),
        ("t.csv", "query_id,query\na,b,c\n", "row 1 has another number of fields"),
        ("t.csv", "query_id,query\na\n", "row 1 has another number of fields"),
        ("t.csv", 'query_id,query\na,"b\n', "cannot be read"),
        (
            "t.csv",
            b"query_id,query\na,\xff\n",
            "CSV in Windows-1252, separated by a comma, with columns 'query_id'",
        ),
        ("t.csv", "", "lacks column query_id"),
        ("t.parquet", "PAR1 and no more", "cannot be read"),
        ("t.xlsx", "", "must be a .parquet, .csv, .jsonl file"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, message):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as error:
        read_table(file)
    assert str(error.value).startswith(name)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(InputError, match="No training table at"):
        read_table(tmp_path / "none.csv")


def test_a_long_prompt_fits_a_csv_field(tmp_path):
    file = tmp_path / "long.csv"
    text = "word " * 100_000
    file.write_text(f"query_id,query,model,budget,quality,output_tokens\na,{text},m,,1,5\n")
    limit = csv.field_size_limit()
    assert read_table(file).queries == (text,)
    assert csv.field_size_limit() == limit


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    file = write(tmp_path, "parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'r2-mcp\[lab\]'"):
        read_table(file)
    assert len(read_table(write(tmp_path, "csv"))) == 2
