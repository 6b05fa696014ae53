import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.cli import main
from r2_router.errors import InputError
from r2_router.lab.data.read import read_table
from r2_router.lab.importing.log import import_log


def jsonl(folder, *lines):
    file = folder / "log.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return file


ASKED = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "What is 6 x 7?"}]
REPLY = {
    "model": "vendor/big",
    "choices": [{"message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 3},
}


@pytest.mark.parametrize(
    "line",
    [
        {"request": {"messages": ASKED, "model": "vendor/big"}, "response": REPLY, "quality": 0.5},
        {"messages": ASKED, "model": "vendor/big", "usage": REPLY["usage"], "score": 0.5, "answer": "42"},
        {"messages": ASKED, "response": {"status_code": 200, "body": REPLY}, "metadata": {"quality": 0.5}},
        {
            "prompt": "What is 6 x 7?",
            "model": "vendor/big",
            "prompt_tokens": 20,
            "completion_tokens": 3,
            "correctness": 0.5,
        },
        {"query": "What is 6 x 7?", "model": "vendor/big", "input_tokens": 20, "output_tokens": 3, "quality": "0.5"},
        {
            "request": {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is 6 x 7?"}]}]},
            "response": REPLY,
            "quality": 0.5,
        },
    ],
)
def test_every_form_of_line_becomes_the_same_row(tmp_path, line):
    counts = import_log(jsonl(tmp_path, line), tmp_path / "t.parquet")
    assert (counts.rows, counts.left_out) == (1, {})
    table = read_table(counts.table)
    assert table.queries == ("What is 6 x 7?",)
    assert table.candidates == (("vendor/big", "unlimited"),)
    assert (table.quality[0, 0], table.output_tokens[0, 0], table.input_tokens[0, 0]) == (0.5, 3, 20)


def test_a_csv_with_query_model_tokens_and_quality(tmp_path):
    file = tmp_path / "log.csv"
    file.write_text(
        'query,model,tokens,quality,budget,category\n"a, b",m,12,1,30,x\nc,m,20,0,,y\nc,m,9,true,unlimited,y\n'
    )
    counts = import_log(file, tmp_path / "t.parquet")
    assert counts.rows == 3
    table = read_table(counts.table)
    assert table.candidates == (("m", 30), ("m", "unlimited"))
    assert table.repeated == 1
    assert table.categories == ("x", "y")


def test_a_cap_is_no_budget(tmp_path):
    cut = {**REPLY, "choices": [{"message": {"content": "4"}, "finish_reason": "length"}]}
    line = {"request": {"messages": ASKED, "max_tokens": 10}, "response": cut, "quality": 0}
    counts = import_log(jsonl(tmp_path, line), tmp_path / "t.parquet")
    assert read_table(counts.table).candidates == (("vendor/big", "unlimited"),)
    assert any("1 answers were cut at their max_tokens" in line for line in counts.lines())


def test_lines_that_cannot_be_used_are_counted_and_named(tmp_path):
    good = {"query": "q", "model": "m", "output_tokens": 3, "quality": 1}
    file = jsonl(
        tmp_path,
        good,
        "{broken",
        "[1]",
        "",
        {**good, "query": " "},
        {**good, "model": None},
        {**good, "quality": 7},
        {**good, "budget": "ten"},
        {"query": "q", "model": "m", "quality": 1},
        {**good, "quality": None},
        {"query": "r", "model": "m", "quality": 1, "answer": "some words of an answer"},
        {**good, "query_id": "x"},
        {**good, "query_id": "x", "query": "other"},
    )
    counts = import_log(file, tmp_path / "t.parquet")
    assert counts.rows == 4
    assert counts.ungraded == 1
    assert counts.left_out == {
        "lines: no JSON object": 2,
        "lines: no query": 1,
        "lines: no model": 1,
        "lines: quality is no number from 0 to 1": 1,
        "lines: budget is no number of tokens": 1,
        "lines: neither tokens nor a text": 1,
        "lines: query_id of another query": 1,
    }
    said = "\n".join(counts.lines())
    assert "line 2: no JSON object; line 3: no JSON object; line 5: no query" in said
    assert "1 lines name no tokens: estimated from the text." in said
    assert read_table(counts.table).ungraded == 1


def test_a_file_of_nothing_is_an_error_that_says_what_was_looked_for(tmp_path):
    with pytest.raises(InputError, match=r"No line of log.jsonl can be used .* quality \(quality, score") as error:
        import_log(jsonl(tmp_path, {"text": "hello"}), tmp_path / "t.parquet")
    assert "Found: JSONL in UTF-8, with fields 'text'. Looked for messages" in str(error.value)
    assert not (tmp_path / "t.parquet").exists()
    with pytest.raises(InputError, match="is no log"):
        import_log(tmp_path / "log.txt", tmp_path / "t.parquet")
    with pytest.raises(InputError, match="No log at"):
        import_log(tmp_path / "nowhere.csv", tmp_path / "t.parquet")


def test_on_the_command_line(tmp_path, capsys):
    file = jsonl(tmp_path, {"query": "q", "model": "m", "output_tokens": 3, "quality": 1})
    assert main(["collect", "--from", str(file), "--output", str(tmp_path / "out")]) == 0
    assert "1 rows of 1 queries and 1 models." in capsys.readouterr().out
    assert (tmp_path / "out" / "table.parquet").is_file()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "response", "usage", "query", "model", "quality", "choices", "content"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.slow
@given(st.lists(JSON, min_size=1, max_size=4))
def test_no_log_makes_it_fail_otherwise(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("log")
    try:
        counts = import_log(jsonl(folder, *lines), folder / "t.parquet")
    except InputError:
        return
    assert counts.rows + sum(counts.left_out.values()) <= len(lines)
    if counts.rows > counts.ungraded:
        read_table(counts.table)
