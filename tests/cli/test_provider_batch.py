"""`batch --answer --provider-batch`: against a provider that really takes batches, by each of the three APIs."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from support.batch_provider import KEY, MOMENTS, BatchProvider, answer_to, batch_provider
from support.command import run_command

from r2_router.ledger.store import Ledger
from r2_router.pools.profiles import forget as forget_profiles

APIS = ("openai", "anthropic", "openrouter")
PRICE = (1.0, 2.0)  # USD per million tokens read and written
FULL_USD = (10 * PRICE[0] + 5 * PRICE[1]) / 1e6  # what an answer costs that is asked at once
N = 6

pytestmark = pytest.mark.slow


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchProvider]:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    with batch_provider() as provider:
        yield provider


class Batch:
    """A folder with prompts, and a pool whose models are asked by one API."""

    def __init__(
        self, folder: Path, home: Path, provider: BatchProvider, api: str = "openai", n: int = N, terms: str = ""
    ) -> None:
        self.folder, self.home, self.provider = folder, home, provider
        self.out = folder / "out"
        self.url = getattr(provider, api)
        terms = f'api = "{api}", price = 0.5, date = 2026-11-27, source = "a test"{terms}'
        (home / "providers.toml").write_text(f'[test]\nhosts = ["127.0.0.1"]\nbatch = {{ {terms} }}\n')
        forget_profiles()  # of an earlier test in this process
        self.models("a")
        self.file = folder / "prompts.jsonl"
        self.texts = [f"What is {i} + 1?" for i in range(n)]
        self.file.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in self.texts), encoding="utf-8")

    def models(self, *names: str, **urls: str) -> None:
        tables = [
            f'[models.{name}]\nid = "vendor/{name}"\nusd_per_million = {list(PRICE)}\nquality = 0.8\n'
            f'base_url = "{urls.get(name, self.url)}"\napi_key_env = "TEST_API_KEY"\n'
            for name in names
        ]
        self.pool = self.home / "pools" / "pool.toml"
        self.pool.parent.mkdir(exist_ok=True)
        self.pool.write_text("\n".join(tables))

    def arguments(self, *more: object) -> list[str]:
        command = ["batch", str(self.file), "--output", str(self.out), "--answer", "--provider-batch"]
        return [*command, "--pool", str(self.pool), "--budget", "40", "--every", "0.01", *map(str, more)]

    def run(self, *more: object) -> tuple[int, dict[str, Any], str]:
        done = run_command(*self.arguments("--json", *more))
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    def rows(self) -> list[dict[str, Any]]:
        return parquet.read_table(self.out / "rows.parquet").to_pylist()

    def states(self) -> list[str]:
        with closing(sqlite3.connect(self.out / "batch.sqlite3")) as db:
            return [state for (state,) in db.execute("SELECT state FROM jobs")]

    def ledger(self) -> tuple[list[Any], float]:
        """Its entries, and what was spent by it, in dollars."""
        with Ledger() as ledger, ledger.reading() as db:
            assert db is not None
            held = db.execute("SELECT COALESCE(SUM(nanos), 0) FROM reservations").fetchone()[0]
            spent = db.execute("SELECT COALESCE(SUM(nanos), 0) FROM spend").fetchone()[0]
        assert held == 0
        with Ledger() as ledger:
            return ledger.entries(), spent / 1e9


@pytest.fixture(params=APIS)
def batch(request: pytest.FixtureRequest, tmp_path: Path, home: Path, provider: BatchProvider) -> Batch:
    return Batch(tmp_path, home, provider, request.param)


@pytest.fixture
def openai(tmp_path: Path, home: Path, provider: BatchProvider) -> Batch:
    return Batch(tmp_path, home, provider)


def test_answers_come_by_batch_at_half_the_price(batch: Batch) -> None:
    code, found, err = batch.run("--max-usd", 1)
    assert (code, found["answered"], found["waiting"]) == (0, N, 0), err
    assert found["spent_usd"] == pytest.approx(N * FULL_USD / 2)
    rows = batch.rows()
    assert [row["answer"] for row in rows] == [answer_to(text) for text in batch.texts]
    assert {row["provider_batch"] for row in rows} == {"batch-1"}
    assert {row["finish_reason"] for row in rows} == {"stop"}
    assert all(row["cost_usd"] == pytest.approx(FULL_USD / 2) for row in rows)
    entries, spent = batch.ledger()
    assert spent == pytest.approx(N * FULL_USD / 2)
    assert [(e.outcome, e.provider_batch, e.cost_usd) for e in entries] == [
        ("answered", "batch-1", pytest.approx(FULL_USD / 2))
    ] * N
    assert batch.provider.chats == []
    assert set(batch.provider.paid.values()) == {1}


def test_the_decision_sees_the_batchs_price(openai: Batch, home: Path, provider: BatchProvider) -> None:
    code, _, err = openai.run()
    assert code == 0, err
    by_batch = openai.rows()[0]["predicted_cost_usd"]
    openai.out = openai.folder / "routed"
    done = run_command(
        "batch", str(openai.file), "--output", str(openai.out), "--pool", str(openai.pool), "--budget", "40"
    )
    assert done.returncode == 0, done.stderr
    assert by_batch == pytest.approx(openai.rows()[0]["predicted_cost_usd"] / 2)


def test_run_again_nothing_is_sent_again(batch: Batch) -> None:
    assert batch.run()[0] == 0
    calls = len(batch.provider.calls)
    assert batch.run()[0] == 0
    assert len(batch.provider.calls) == calls
    assert len(batch.ledger()[0]) == N


# -- what goes wrong -------------------------------------------------------------------------------------------


def test_what_is_refused_fails_alone_and_is_asked_again(batch: Batch, provider: BatchProvider) -> None:
    provider.fate = lambda text, asked: "refused" if text.endswith(("1 + 1?", "4 + 1?")) else "answered"
    code, found, _ = batch.run()
    assert (code, found["answered"], found["failed"]) == (1, N - 2, 2)
    failed = [row for row in batch.rows() if row["error"]]
    assert [row["index"] for row in failed] == [1, 4]
    assert all("no such thing" in row["error"] and row["model"] == "a" and row["cost_usd"] is None for row in failed)
    provider.fate = lambda text, asked: "answered"
    code, found, err = batch.run()
    assert (code, found["answered"]) == (0, N), err
    assert [len(sent["requests"]) for sent in provider.batches.values()] == [N, 2]
    assert set(provider.paid.values()) == {1}
    assert batch.ledger()[1] == pytest.approx(N * FULL_USD / 2)


def test_what_expired_was_not_paid_and_is_asked_again(batch: Batch, provider: BatchProvider) -> None:
    provider.ends = "expired"
    provider.fate = lambda text, asked: "answered" if "0 + 1" in text else "expired"
    code, found, _ = batch.run()
    assert (code, found["answered"], found["failed"]) == (1, 1, N - 1)
    assert "was not asked" in batch.rows()[2]["error"]
    assert found["spent_usd"] == pytest.approx(FULL_USD / 2)
    provider.ends, provider.fate = "completed", lambda text, asked: "answered"
    assert batch.run()[1]["answered"] == N
    assert set(provider.paid.values()) == {1}


@pytest.mark.parametrize("api", ["openai", "openrouter"])
def test_a_batch_that_is_refused_as_a_whole_costs_nothing(
    tmp_path: Path, home: Path, provider: BatchProvider, api: str
) -> None:
    batch, provider.ends = Batch(tmp_path, home, provider, api), "failed"
    code, found, err = batch.run()
    assert (code, found["failed"], found["spent_usd"]) == (1, N, 0.0)
    assert "the file is not right" in err
    assert "the file is not right" in batch.rows()[0]["error"]
    assert batch.ledger() == ([], 0.0)


def test_a_key_that_is_refused_costs_nothing_and_never_shows(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_API_KEY", "sk-another-key-0123456789")
    code, found, err = batch.run()
    assert (code, found["failed"], found["spent_usd"]) == (1, N, 0.0)
    assert "invalid key" in err
    assert "sk-another" not in err + json.dumps(batch.rows())
    assert batch.ledger() == ([], 0.0)


def test_a_key_that_is_refused_later_ends_the_waiting_and_loses_nothing(
    batch: Batch, provider: BatchProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch.run("--no-wait")
    for more in ((), ("--no-wait",), ("--cancel",)):
        monkeypatch.setenv("TEST_API_KEY", "sk-another-key-0123456789")
        code, found, err = batch.run(*more)
        assert (code, found) == (1, {})
        assert "TEST_API_KEY" in err
        assert "run the same command again" in err
        assert "sk-another" not in err
    monkeypatch.setenv("TEST_API_KEY", KEY)
    finished(batch)


def test_how_a_model_wants_to_be_asked_is_learned_from_a_refusal(openai: Batch, provider: BatchProvider) -> None:
    wrong = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    provider.refusal = {"error": {"message": wrong, "type": "invalid_request_error", "param": "max_tokens"}}
    provider.fate = lambda text, asked: "refused" if "max_tokens" in asked else "answered"
    code, found, err = openai.run()
    assert (code, found["answered"]) == (0, N), err
    assert len(provider.batches) == 2
    assert all(sent["body"]["max_completion_tokens"] for sent in provider.sent[N:])


def test_a_batch_that_may_have_been_made_is_looked_up_first(batch: Batch, provider: BatchProvider) -> None:
    provider.failing["messages" if "anthropic" in batch.url else "batches"] = 1  # the first call, which makes it
    code, found, err = batch.run()
    assert (code, found["answered"]) == (0, N), err
    assert "is being looked up" in err
    assert len(provider.batches) == 1


def test_a_result_that_is_missing_counts_as_spent_in_full(openai: Batch, provider: BatchProvider) -> None:
    provider.fate = lambda text, asked: "missing" if "2 + 1" in text else "answered"
    code, found, _ = openai.run()
    assert (code, found["failed"]) == (1, 1)
    assert found["spent_usd"] > N * FULL_USD / 2
    assert "brought no result" in openai.rows()[2]["error"]


def test_where_no_batch_can_be_made_that_is_said(openai: Batch, provider: BatchProvider) -> None:
    provider.takes_batches = False
    code, found, err = openai.run()
    assert (code, found["failed"], found["spent_usd"]) == (1, N, 0.0)
    assert "HTTP 404" in err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--no-wait",), "add --provider-batch"),
        (("--cancel",), "add --provider-batch"),
        (("--every", "1"), "add --provider-batch"),
        (("--provider-batch",), "add --answer"),
        (("--answer", "--provider-batch", "--engine", "ray"), "leave out --engine ray"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(openai: Batch, more: tuple[str, ...], said: str) -> None:
    done = run_command("batch", str(openai.file), "--output", str(openai.out), *more)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


# -- limits ----------------------------------------------------------------------------------------------------


def test_max_usd_is_never_passed_and_what_comes_back_is_spent(batch: Batch, provider: BatchProvider) -> None:
    _, found, _ = batch.run("--no-wait")
    most = found["spent_usd"] / N  # of one answer, while it waits
    batch.out = batch.folder / "other"
    code, found, err = batch.run("--max-usd", most * 2.5)
    assert (code, found["answered"]) == (0, N), err
    assert found["spent_usd"] <= most * 2.5
    assert 2 in [len(sent["requests"]) for sent in list(provider.batches.values())[1:]]
    batch.out = batch.folder / "little"
    code, found, err = batch.run("--max-usd", most * 0.5)
    assert (code, found["answered"], found["spent_usd"]) == (1, 0, 0.0)
    assert f"leaves {N} prompts unanswered" in err


def test_the_users_own_limits_hold_too(openai: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    _, found, _ = openai.run("--no-wait")
    most = found["spent_usd"] / N
    openai.run("--cancel")
    spent = openai.ledger()[1]
    monkeypatch.setenv("R2_MAX_USD_PER_DAY", str(spent + most * 2.5))
    openai.out = openai.folder / "other"
    code, found, _ = openai.run()
    assert (code, found["answered"], found["failed"]) == (1, 2, N - 2)
    assert "R2_MAX_USD_PER_DAY" in openai.rows()[-1]["error"]
    monkeypatch.delenv("R2_MAX_USD_PER_DAY")
    monkeypatch.setenv("R2_MAX_USD_PER_CALL", str(most / 2))
    openai.out = openai.folder / "third"
    code, found, _ = openai.run()
    assert (code, found["answered"], found["failed"]) == (1, 0, N)
    assert "R2_MAX_USD_PER_CALL" in openai.rows()[0]["error"]


def test_prompts_are_more_batches_than_one_where_that_holds_no_more(batch: Batch, provider: BatchProvider) -> None:
    terms = (batch.home / "providers.toml").read_text().replace("price = 0.5", "price = 0.5, max_requests = 4")
    (batch.home / "providers.toml").write_text(terms)
    assert batch.run()[1]["answered"] == N
    assert [len(sent["requests"]) for sent in provider.batches.values()] == [4, 2]
    assert [row["provider_batch"] for row in batch.rows()] == ["batch-1"] * 4 + ["batch-2"] * 2


def test_what_a_provider_has_no_room_for_is_sent_when_others_are_over(
    tmp_path: Path, home: Path, provider: BatchProvider
) -> None:
    batch, provider.most = Batch(tmp_path, home, provider, terms=", max_requests = 2"), 1
    code, found, err = batch.run()
    assert (code, found["answered"]) == (0, N), err
    assert "wait until others have come back" in err
    assert [len(sent["requests"]) for sent in provider.batches.values()] == [2, 2, 2]
    assert batch.ledger()[1] == pytest.approx(N * FULL_USD / 2)


# -- models without batches ------------------------------------------------------------------------------------


def test_a_model_without_batches_is_asked_at_once(openai: Batch, provider: BatchProvider) -> None:
    openai.models("a", "b", b=provider.openai.replace("127.0.0.1", "localhost"))
    code, found, err = openai.run("--models", "b")
    assert (code, found["answered"]) == (0, N), err
    assert f"{N} prompts go to models without batches" in err
    assert found["spent_usd"] == pytest.approx(N * FULL_USD)
    assert {row["provider_batch"] for row in openai.rows()} == {None}
    assert (len(provider.chats), provider.batches) == (N, {})


def test_a_dearer_model_is_chosen_where_its_batch_is_cheaper(openai: Batch, provider: BatchProvider) -> None:
    openai.models("a", "b", b=provider.openai.replace("127.0.0.1", "localhost"))
    openai.pool.write_text(
        openai.pool.read_text().replace("[1.0, 2.0]", "[0.75, 1.5]").replace("0.75, 1.5", "1.0, 2.0", 1)
    )
    assert openai.run()[0] == 0
    assert {row["model"] for row in openai.rows()} == {"a"}
    at_once = [argument for argument in openai.arguments() if argument not in ("--provider-batch", "--every", "0.01")]
    at_once[at_once.index(str(openai.out))] = str(openai.folder / "once")
    assert run_command(*at_once).returncode == 0
    assert {row["model"] for row in parquet.read_table(openai.folder / "once" / "rows.parquet").to_pylist()} == {"b"}


# -- stops -----------------------------------------------------------------------------------------------------


def test_without_waiting_it_ends_and_comes_back(batch: Batch, provider: BatchProvider) -> None:
    provider.looks = 1
    code, found, err = batch.run("--no-wait")
    assert (code, found["answered"], found["waiting"]) == (1, 0, N)
    assert f"{N} prompts wait in 1 batch" in err
    for _ in range(3):
        code, found, err = batch.run("--no-wait")
    assert (code, found["answered"], found["waiting"]) == (0, N, 0), err
    assert set(provider.paid.values()) == {1}


def test_cancelled_what_was_answered_by_then_is_kept(batch: Batch, provider: BatchProvider) -> None:
    provider.looks = 3
    batch.run("--no-wait")
    code, found, err = batch.run("--cancel")
    if "openrouter" in batch.url:
        assert "no way to stop" in err
        assert (code, found["answered"]) == (0, N)
        return
    assert (code, found["answered"], found["failed"], found["waiting"]) == (1, 1, N - 1, 0), err
    assert batch.ledger()[1] == pytest.approx(FULL_USD / 2)
    assert batch.run()[1]["answered"] == N
    assert set(provider.paid.values()) == {1}


def child(batch: Batch, prelude: str = "") -> subprocess.Popen[str]:
    code = f"{prelude}\nimport sys; from r2_router.cli import main; sys.exit(main({batch.arguments()!r}))"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(batch: Batch) -> None:
    """Run to the end, and see that each answer is there and was paid once."""
    code, found, err = batch.run()
    assert (code, found["answered"]) == (0, N), err
    assert set(batch.provider.paid.values()) == {1}
    assert found["spent_usd"] == pytest.approx(N * FULL_USD / 2)
    entries, spent = batch.ledger()
    assert len(entries) == N
    assert spent == pytest.approx(N * FULL_USD / 2)
    assert set(batch.states()) == {"over"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
@pytest.mark.parametrize(("api", "moment"), [(api, moment) for api in APIS for moment in MOMENTS[api]])
def test_killed_while_the_provider_is_asked_nothing_is_paid_twice(
    tmp_path: Path, home: Path, provider: BatchProvider, api: str, moment: str
) -> None:
    batch = Batch(tmp_path, home, provider, api)
    process = child(batch)
    provider.kill_at(moment, process.pid)
    _, err = process.communicate()
    assert process.returncode == -9, err
    finished(batch)


STEPS = [
    *(("batches.jobs", "Jobs", step) for step in ("begin", "sending", "waiting", "finish", "unrecorded", "recorded")),
    ("ledger.spend_limits", "SpendGuard", "hold"),
    ("ledger.spend_limits", "SpendGuard", "settle"),
]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("module", "owner", "step"), STEPS)
def test_killed_between_two_steps_nothing_is_paid_twice(
    openai: Batch, module: str, owner: str, step: str, when: str
) -> None:
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    first, then = (kill, "") if when == "before" else ("", kill)
    prelude = f"""
import os, signal
from r2_router.{module} import {owner}
step = {owner}.{step}
def dying(*args):
    {first or "pass"}
    found = step(*args)
    {then or "pass"}
    return found
{owner}.{step} = dying
"""
    process = child(openai, prelude)
    _, err = process.communicate()
    assert process.returncode == -9, err
    finished(openai)


@pytest.mark.skipif(sys.platform == "win32", reason="another signal there")
def test_interrupted_the_batch_goes_on_and_it_is_said_how_to_come_back(batch: Batch, provider: BatchProvider) -> None:
    provider.looks = 10**9
    process = child(batch, "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)")
    assert process.stderr is not None
    told = next(line for line in process.stderr if "waiting for" in line)
    assert "batch-1" in told
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert f"Stopped watching: {N} prompts wait in 1 batch" in err
    assert "--cancel" in err
    provider.looks = 1
    finished(batch)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_where_no_batches_are_listed_one_that_was_cut_off_counts_in_full(
    openai: Batch, provider: BatchProvider
) -> None:
    provider.lists = False
    process = child(openai)
    provider.kill_at("created", process.pid)
    process.communicate()
    code, found, err = openai.run()
    assert (code, found["failed"]) == (1, N)
    assert "counts as spent in full" in err
    assert found["spent_usd"] > N * FULL_USD / 2
    assert openai.run()[1]["answered"] == N
