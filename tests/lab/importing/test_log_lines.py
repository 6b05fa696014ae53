"""Logs of other programs, in the fields those programs write."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from r2_router.cli import main
from r2_router.errors import InputError
from r2_router.lab.data.read import read_table
from r2_router.lab.importing.log import import_log
from r2_router.lab.importing.log_lines import read_line

QUERY = "What is 6 x 7?"
USER = {"role": "user", "content": QUERY}
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-5-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-5-mini",
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": []},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "42", "annotations": []}],
        },
    ],
    "usage": {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 23,
    },
}
LANGFUSE = {
    "id": "obs-1",
    "traceId": "trace-1",
    "type": "GENERATION",
    "name": "answer",
    "level": "DEFAULT",
    "model": "gpt-5-mini",
    "modelParameters": {"temperature": 1},
    "input": [{"role": "system", "content": "Be kind."}, USER],
    "output": {"role": "assistant", "content": "42"},
    "usageDetails": {"input": 20, "output": 3, "total": 23},
    "metadata": {"environment": "prod"},
    "scores": [{"name": "correctness", "value": 0.5, "source": "API"}, {"name": "speed", "value": 9}],
}
LANGSMITH = {
    "id": "run-1",
    "name": "ChatOpenAI",
    "run_type": "llm",
    "inputs": {
        "messages": [
            [
                {
                    "lc": 1,
                    "type": "constructor",
                    "id": ["langchain", "schema", "messages", "HumanMessage"],
                    "kwargs": {"content": QUERY, "type": "human"},
                }
            ]
        ]
    },
    "outputs": {
        "generations": [[{"text": "42", "type": "ChatGeneration", "generation_info": {"finish_reason": "stop"}}]],
        "llm_output": {"token_usage": {"prompt_tokens": 20, "completion_tokens": 3}, "model_name": "gpt-5-mini"},
    },
    "extra": {"invocation_params": {"model": "gpt-5-mini"}, "metadata": {"ls_model_name": "gpt-5-mini"}},
    "prompt_tokens": 20,
    "completion_tokens": 3,
    "total_tokens": 23,
    "feedback_stats": {"correctness": {"n": 2, "avg": 0.5}},
    "error": None,
}
LITELLM = {
    "request_id": "chatcmpl-1",
    "call_type": "acompletion",
    "spend": 0.0001,
    "total_tokens": 23,
    "prompt_tokens": 20,
    "completion_tokens": 3,
    "model": "gpt-5-mini",
    "model_group": "mini",
    "custom_llm_provider": "openai",
    "metadata": {"status": "success", "quality": 0.5},
    "messages": [USER],
    "response": CHAT,
}
FORMS: dict[str, Any] = {
    "responses": {"request": {"model": "gpt-5-mini", "input": QUERY}, "response": RESPONSE, "quality": 0.5},
    "responses, parts": {
        "request": {"input": [{"role": "user", "content": [{"type": "input_text", "text": QUERY}]}]},
        "response": RESPONSE,
        "quality": 0.5,
    },
    "responses, flat": {**RESPONSE, "input": QUERY, "quality": 0.5},
    "langfuse": LANGFUSE,
    "langfuse, texts": {**LANGFUSE, "input": QUERY, "output": "42"},
    "langfuse, messages in input": {**LANGFUSE, "input": {"messages": [USER]}},
    "langfuse, scores by name": {**LANGFUSE, "scores": {"correctness": [0.4, 0.6]}},
    "langfuse, older": {
        **{k: v for k, v in LANGFUSE.items() if k != "usageDetails"},
        "usage": {"input": 20, "output": 3, "unit": "TOKENS"},
    },
    "langsmith": LANGSMITH,
    "langsmith, openai": {
        **LANGSMITH,
        "inputs": {"messages": [USER], "model": "gpt-5-mini"},
        "outputs": CHAT,
        "extra": {},
    },
    "litellm": LITELLM,
    "litellm, proxy request": {**LITELLM, "messages": "{}", "proxy_server_request": {"messages": [USER]}},
}


def jsonl(file: Path, *lines: object) -> Path:
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return file


def is_the_row(counts: Any) -> bool:
    assert (counts.rows, counts.left_out) == (1, {})
    table = read_table(counts.table)
    assert table.queries == (QUERY,)
    assert table.candidates == (("gpt-5-mini", "unlimited"),)
    return (table.quality[0, 0], table.output_tokens[0, 0], table.input_tokens[0, 0]) == (0.5, 3, 20)


@pytest.mark.parametrize("name", FORMS)
def test_every_program_s_line_becomes_the_same_row(tmp_path: Path, name: str) -> None:
    assert is_the_row(import_log(jsonl(tmp_path / "log.jsonl", FORMS[name]), tmp_path / "t.parquet"))


@pytest.mark.parametrize("name", ["langfuse", "litellm", "langsmith"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_exported_as_csv_with_json_in_its_cells(tmp_path: Path, name: str, delimiter: str) -> None:
    file = tmp_path / "log.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, FORMS[name], delimiter=delimiter)
        writer.writeheader()
        writer.writerow({k: json.dumps(v) if isinstance(v, (dict, list)) else v for k, v in FORMS[name].items()})
    assert is_the_row(import_log(file, tmp_path / "t.parquet"))


@pytest.mark.parametrize("wrapped", [False, True])
def test_exported_as_one_json_file(tmp_path: Path, wrapped: bool) -> None:
    file = tmp_path / "log.json"
    file.write_text(json.dumps({"data": [LANGFUSE], "meta": {"page": 1}} if wrapped else [LANGFUSE], indent=2))
    assert is_the_row(import_log(file, tmp_path / "t.parquet"))


@pytest.mark.parametrize("body", [CHAT, RESPONSE], ids=["chat", "responses"])
def test_a_batch_is_joined_with_its_input_file(tmp_path: Path, body: object, capsys: Any) -> None:
    answers = jsonl(
        tmp_path / "output.jsonl",
        {
            "id": "b1",
            "custom_id": "r1",
            "response": {"status_code": 200, "request_id": "x", "body": body},
            "error": None,
        },
        {"id": "b2", "custom_id": "r2", "response": {"status_code": 500, "body": {}}, "error": None},
        {"id": "b3", "custom_id": "r9", "response": {"status_code": 200, "body": body}, "error": None},
    )
    asked = {"messages": [USER]} if body is CHAT else {"input": QUERY}
    requests = jsonl(
        tmp_path / "input.jsonl",
        *(
            {"custom_id": key, "method": "POST", "url": "/v1/x", "body": {"model": "gpt-5-mini", **asked}}
            for key in ("r1", "r2", "r3")
        ),
    )
    arguments = ["collect", "--from", str(answers), "--requests", str(requests), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["rows"], counts["ungraded"]) == (1, 1)
    assert counts["left_out"] == {
        "lines: the call failed": 1,
        "lines: custom_id is not in the file of requests": 1,
    }


def test_a_batch_without_its_input_file_says_what_is_missing(tmp_path: Path) -> None:
    answers = jsonl(tmp_path / "o.jsonl", {"custom_id": "r1", "response": {"status_code": 200, "body": CHAT}})
    with pytest.raises(InputError, match="give its input file with --requests"):
        import_log(answers, tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"o.jsonl is no batch's input file"):
        import_log(answers, tmp_path / "t.parquet", requests=answers)


def test_what_is_no_call_of_a_model_is_left_out() -> None:
    assert read_line({**LANGFUSE, "type": "SPAN"}) == "no call of a model"
    assert read_line({**LANGSMITH, "run_type": "chain"}) == "no call of a model"
    assert read_line({**LANGFUSE, "level": "ERROR"}) == "the call failed"
    assert read_line({**LANGSMITH, "error": "RateLimitError()"}) == "the call failed"


def test_a_response_that_ran_out_of_tokens_was_cut() -> None:
    cut = {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    row = read_line({"request": {"input": QUERY}, "response": cut})
    assert isinstance(row, dict)
    assert row["cut"] == 1


def test_of_several_scores_only_one_that_is_called_a_quality_counts() -> None:
    row = read_line({**LANGFUSE, "scores": [{"name": "tone", "value": 0.1}, {"name": "speed", "value": 0.2}]})
    assert isinstance(row, dict)
    assert row["quality"] is None
    row = read_line({**LANGFUSE, "scores": [{"name": "helpful", "value": 0.25}]})
    assert isinstance(row, dict)
    assert row["quality"] == 0.25


def test_a_query_that_looks_like_json_stays_a_text() -> None:
    row = read_line({"query": "[1, 2]", "model": "m", "output_tokens": 3})
    assert isinstance(row, dict)
    assert row["query"] == "[1, 2]"
