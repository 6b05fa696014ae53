import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from support.file_server import chunked, dropped, file_server, hanging, rangeless, redirect, status, whole
from support.r2_bench_files import COLUMNS, csv_file, data_url, prompt, row, serve

from r2_router.checkpoints.format import Instruction
from r2_router.errors import DownloadError, InputError
from r2_router.lab.data.read import read_table
from r2_router.lab.importing import stream
from r2_router.lab.importing.r2_bench import import_r2_bench

A50, A200, B50 = (f"data/{name}_judge.csv" for name in ("org/m-a/50", "org/m-a/200", "Qwen/Qwen3-0.6B/50"))


def files(n=6):
    return {path: csv_file(row(i) for i in range(n)) for path in (A50, A200, B50)}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(stream, "_BACKOFF_SECONDS", 0.0)
    with file_server() as running:
        yield running


def test_files_become_one_table(server, tmp_path):
    counts = import_r2_bench(tmp_path, hub=serve(server, files()))
    assert (counts.rows, counts.queries, counts.models, counts.left_out) == (18, 6, 2, {})
    table = read_table(counts.table)
    assert table.candidates == (("m-a", 50), ("m-a", 200), ("Qwen3-0.6B", 50))
    assert table.queries[0] == prompt(0)
    assert table.quality[3].tolist() == [0.75] * 3
    assert table.output_tokens[3].tolist() == [13.0] * 3
    assert np.isnan(table.input_tokens).all()


def test_the_table_says_how_its_answers_were_asked_for(server, tmp_path):
    about = read_table(import_r2_bench(tmp_path, hub=serve(server, files())).table).about
    instruction = Instruction(**about["instruction"])
    assert "50 words" in instruction.render(50)
    assert (instruction.cap(50), instruction.place) == (60, "suffix")
    assert about["card"]["license"] == "MIT"
    assert "n + 10 tokens" in about["card"]["measured"]


@pytest.mark.slow
def test_it_stops_after_the_rows_asked_for(server, tmp_path):
    big = {path: csv_file(row(i, response="x" * 5000) for i in range(3000)) for path in (A50, B50)}
    serve(server, big)
    sent = []
    for path, body in big.items():

        def slowly(handler, body=body):
            handler.head(200, Content_Length=len(body))
            for start in range(0, len(body), 1 << 16):
                handler.wfile.write(body[start : start + (1 << 16)])
                sent.append(1 << 16)

        server.on(data_url(path), slowly)
    counts = import_r2_bench(tmp_path, rows=7, hub=server.url())
    assert (counts.rows, counts.queries) == (14, 7)
    assert sum(sent) < sum(map(len, big.values())) / 2


def test_rows_in_another_order_are_found_by_their_key(server, tmp_path):
    mixed = {A200: csv_file(row(i) for i in range(9)), A50: csv_file(row(i) for i in reversed(range(9)))}
    counts = import_r2_bench(tmp_path, rows=3, hub=serve(server, mixed))
    table = read_table(counts.table)
    assert table.query_ids == ("k0", "k1", "k2")
    assert table.complete.all()
    assert (table.output_tokens[:, 0] == table.output_tokens[:, 1]).all()


def test_the_variant_that_kept_its_line_breaks_stands_for_the_key(server, tmp_path):
    flat = csv_file(row(i, original_prompt=prompt(i).replace("\n", " ")) for i in range(3))
    glued = csv_file(row(i, original_prompt=prompt(i).replace("\n", "")) for i in range(3))
    good = csv_file(row(i) for i in range(3))
    counts = import_r2_bench(tmp_path, hub=serve(server, {A50: flat, A200: good, B50: glued}))
    assert (counts.rows, counts.left_out) == (9, {})
    assert read_table(counts.table).queries == tuple(prompt(i) for i in range(3))


@pytest.mark.slow
def test_rows_of_another_text_are_dropped_and_counted_whichever_file_comes_first(server, tmp_path):
    odd = csv_file([row(0, original_prompt="Something else entirely"), row(1)])
    good = csv_file(row(i) for i in range(2))
    for place in (A50, A200, B50):
        counts = import_r2_bench(
            tmp_path / place[5:9] / place[-14:-4],
            hub=serve(server, {**dict.fromkeys((A50, A200, B50), good), place: odd}),
        )
        assert counts.left_out == {"rows whose text differs from the other files'": 1}
        table = read_table(counts.table)
        assert dict(zip(table.query_ids, table.queries, strict=True))["k0"] == prompt(0)


def test_faulty_rows_are_counted_each_by_its_reason(server, tmp_path):
    rows = [
        row(0),
        row(1, correctness_score=""),
        row(2, correctness_score="nan"),
        row(3, correctness_score="1.5"),
        row(4, correctness_score="good"),
        row(5, actual_token_count=""),
        row(6, original_prompt="  "),
        row(7, key=""),
        row(0, correctness_score="0"),
        row(8, response="long " * 400_000),
    ]
    body = (
        csv_file(rows)
        + b"k9,too,few\r\n"
        + b",".join([b"x"] * (len(COLUMNS) + 1))
        + b"\r\n"
        + csv_file([row(10)], COLUMNS).partition(b"\r\n")[2]
    )
    counts = import_r2_bench(tmp_path, hub=serve(server, {A50: body}))
    assert counts.rows == 5  # 0, 1, 2, 8, 10
    assert counts.ungraded == 2
    assert counts.left_out == {
        "rows whose score is not from 0 to 1": 2,
        "rows without a token count": 1,
        "rows without a prompt": 1,
        "rows without a key": 1,
        "rows that repeat a key": 1,
        "rows with another number of fields": 2,
    }
    assert any("2 of them have no quality" in line for line in counts.lines())
    assert read_table(counts.table).ungraded == 2


@pytest.mark.slow
def test_models_and_budgets_choose_the_files(server, tmp_path):
    hub = serve(server, {**files(), "data/org/m-a/unlimited_judge.csv": csv_file([row(0)])})
    only = import_r2_bench(tmp_path / "a", models=["m-*"], budgets=[50, "unlimited"], hub=hub)
    assert read_table(only.table).candidates == (("m-a", 50), ("m-a", "unlimited"))
    assert not server.asked(data_url(A200))
    assert import_r2_bench(tmp_path / "b", models=["Qwen/*"], hub=hub).models == 1
    with pytest.raises(InputError, match="No file of JiaqiXue/R2-Bench fits"):
        import_r2_bench(tmp_path / "c", models=["gpt*"], hub=hub)


def test_files_of_unknown_names_are_named(server, tmp_path):
    odd = {
        A50: csv_file([row(0)]),
        "data/org/m-a/whatever_judge.csv": b"x",
        "data/readme.csv": b"y",
        "data/notes.txt": b"",
    }
    counts = import_r2_bench(tmp_path, hub=serve(server, odd))
    assert counts.notes == ("Files nobody knows how to read: data/org/m-a/whatever_judge.csv, data/readme.csv.",)


def test_a_listing_of_several_pages_is_read_whole(server, tmp_path):
    assert import_r2_bench(tmp_path, hub=serve(server, files(), pages=3)).rows == 18


@pytest.mark.slow
@pytest.mark.parametrize(
    "answers",
    [
        lambda body: (status(429, Retry_After=0), whole(body)),
        lambda body: (status(503), dropped, whole(body)),
        lambda body: (whole(body, cut=700), whole(body)),
        lambda body: (rangeless(body, cut=700), rangeless(body, cut=900), rangeless(body)),
        lambda body: (chunked(body, complete=False), whole(body)),
    ],
    ids=["429", "5xx", "cut, resumed by Range", "cut, no Range", "unended"],
)
def test_what_breaks_is_taken_up_again(server, tmp_path, answers):
    hub = serve(server, files())
    server.on(data_url(A50), *answers(files()[A50]))
    assert import_r2_bench(tmp_path, hub=hub).rows == 18


def test_a_redirect_is_followed(server, tmp_path):
    hub = serve(server, files())
    server.on("/cdn/file", whole(files()[A50]))
    server.on(data_url(A50), redirect(server.url("/cdn/file")))
    assert import_r2_bench(tmp_path, hub=hub).rows == 18


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (status(404), "50_judge.csv cannot be read: HTTP 404"),
        (status(500), r"could not be read: HTTP 500 \(5 tries\)"),
        (whole(b"<html>no"), "lacks column key"),
        (
            redirect("http://example.invalid/x"),
            "50_judge.csv cannot be read: only https:// is fetched, and http:// on this machine",
        ),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_it(server, tmp_path, answer, words):
    hub = serve(server, {A50: csv_file([row(0)])})
    server.on(data_url(A50), answer)
    with pytest.raises(DownloadError, match=words):
        import_r2_bench(tmp_path, hub=hub)


def test_a_file_that_is_in_is_not_fetched_again(server, tmp_path):
    hub = serve(server, files())
    server.on(data_url(B50), status(404))
    with pytest.raises(DownloadError):
        import_r2_bench(tmp_path, hub=hub)
    server.on(data_url(B50), whole(files()[B50]))
    assert import_r2_bench(tmp_path, hub=hub).rows == 18
    assert len(server.asked(data_url(A200))) == 1
    with pytest.raises(InputError, match="begun with rows None, not 5"):
        import_r2_bench(tmp_path, rows=5, hub=hub)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_after_kill_9_it_goes_on(server, tmp_path):
    hub = serve(server, files())
    reached = threading.Event()

    def half(handler):
        reached.set()
        hanging(files()[B50], 500)(handler)

    server.on(data_url(B50), half)
    code = "import sys; from pathlib import Path; from r2_router.lab.importing.r2_bench import import_r2_bench as go; "
    code += "go(Path(sys.argv[1]), hub=sys.argv[2])"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), hub])
    assert reached.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    server.on(data_url(B50), whole(files()[B50]))
    counts = import_r2_bench(tmp_path, hub=hub)
    assert (counts.rows, counts.left_out) == (18, {})
    assert [len(server.asked(data_url(path))) for path in (A50, A200, B50)] == [1, 1, 2]
