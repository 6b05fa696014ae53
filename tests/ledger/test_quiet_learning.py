"""When enough has come, it learns by itself: in another process, one at a time, and no answer waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chat_server import chat_server, says
from support.collecting import write_inputs

from r2_router import R2Router
from r2_router.checkpoints.find import learned_folder, learned_on
from r2_router.checkpoints.learned import Run, log_of, note, runs
from r2_router.cli import main
from r2_router.config.file_locks import locked
from r2_router.generate import sync
from r2_router.ledger import Entry, Ledger, quiet_learning
from r2_router.ledger.quiet_learning import QuietLearner, held, is_due
from r2_router.pools.pool import load_pool

SHORT = Entry(
    face="cli", outcome="answered", model="Qwen2.5-Coder-0.5B-Instruct", budget="unlimited", checkpoint="local"
)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with Ledger(log_text=True) as ledger:
        yield ledger


@pytest.fixture
def folder() -> Path:
    return learned_folder(load_pool("local"))


def write(ledger: Ledger, count: int, quality: float | None = None) -> None:
    for i in range(count):
        ledger.record(Entry(**{**SHORT.to_dict(), "query": f"What is {i}?", "quality": quality, "output_tokens": 9}))
    ledger.flush()  # others look at the file


def test_it_is_due_when_enough_has_come_and_never_before(ledger, tmp_path):
    folder = tmp_path / "learned-p"
    assert not is_due(ledger, folder, 5)
    write(ledger, 4)
    assert not is_due(ledger, folder, 5)
    ledger.set_quality(ledger.entries()[0].id, 1.0)
    assert is_due(ledger, folder, 5)
    assert not is_due(ledger, folder, 0)


def test_what_was_learned_from_is_not_new_and_a_tenth_of_it_must_be(ledger, tmp_path):
    folder = tmp_path / "learned-p"
    write(ledger, 3)
    note(folder, Run(time="2999", answers=1000, labels=1, fault="no"))
    assert held(ledger, runs(folder)[-1]).answers == 1000
    assert not is_due(ledger, folder, 5)
    for entry in ledger.entries():
        ledger.set_quality(entry.id, 1.0)
    note(folder, Run(time="2000", answers=40, undone=True))
    assert is_due(ledger, folder, 5)
    assert not is_due(ledger, folder, 7)
    note(folder, Run(time="2000", answers=400))
    assert not is_due(ledger, folder, 5)


@pytest.fixture
def quiet(monkeypatch) -> None:
    monkeypatch.setattr(quiet_learning, "_QUIET_S", 0.0)
    monkeypatch.setenv("R2_LEARN_AFTER", "10")


@pytest.mark.slow
def test_an_answer_is_followed_by_learning_in_another_process(ledger, folder, quiet, caplog, monkeypatch):
    write(ledger, 12, 0.0)
    learned = threading.Event()
    learner = QuietLearner(ledger, load_pool("local"), "", 10, learned.set)
    learner.answered()
    assert learned.wait(60)
    assert learned_on(load_pool("local")) is not None
    [run] = runs(folder)
    assert (run.automatic, run.answers, run.labels, run.fault) == (True, 12, 12, "")
    monkeypatch.setattr(quiet_learning, "_start", lambda pool: pytest.fail("nothing is new"))
    learner._looked = -1000.0
    learner.answered()
    learner.at_exit()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.slow
def test_what_goes_wrong_is_said_once_and_raised_never(ledger, folder, quiet, caplog):
    write(ledger, 12)
    learner = QuietLearner(ledger, load_pool("local"), "no-such-pool", 10, lambda: pytest.fail("nothing was learned"))
    learner.answered()
    for thread in threading.enumerate():
        if thread.name == "r2-learn":
            thread.join(60)
    learner.answered()
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith("Nothing could be learned from use: `r2-router learn` says why. Answers go on as before")


@pytest.mark.slow
def test_a_process_that_ends_leaves_it_to_another(ledger, folder, quiet, monkeypatch):
    started: list[str] = []

    class Child:
        returncode = None

    monkeypatch.setattr(quiet_learning, "_QUIET_S", 600.0)
    monkeypatch.setattr(quiet_learning, "_start", lambda pool: started.append(pool) or Child())
    write(ledger, 12)
    learner = QuietLearner(ledger, load_pool("local"), "mine", 10, lambda: None)
    learner.at_exit()
    assert started == []
    learner.answered()
    learner.at_exit()
    learner.at_exit()
    assert started == ["mine"]


@pytest.mark.slow
def test_two_never_learn_at_once_and_a_fault_is_noted(ledger, folder, monkeypatch, capsys):
    monkeypatch.setenv("R2_LEARN_AFTER", "10")
    write(ledger, 12)
    folder.parent.mkdir(parents=True)
    with locked(log_of(folder)):
        assert main(["learn", "--automatic"]) == 0
    assert runs(folder) == []
    folder.write_text("in the way")
    assert main(["learn", "--automatic"]) == 1
    assert runs(folder)[-1].fault
    assert main(["learn", "--automatic"]) == 0  # that is not tried again at once
    assert len(runs(folder)) == 1
    assert capsys.readouterr() == ("", "")
    main(["learn", "--log"])
    assert "by itself: failed:" in capsys.readouterr().out


@pytest.mark.slow
def test_an_answer_of_a_router_is_what_it_waits_for(tmp_path, monkeypatch):
    """Where text is kept, the settings name no checkpoint, and another process can find the pool."""
    started: list[str] = []
    monkeypatch.setenv("R2_LOG_TEXT", "1")
    monkeypatch.setenv("R2_LEARN_AFTER", "2")
    monkeypatch.setattr(quiet_learning, "_start", started.append)
    with chat_server(says("Four.")) as server:
        _, file = write_inputs(tmp_path, server.url, 1)
        router = R2Router.from_pretrained(pool=file)
        for query in ("What is 2 + 2?", "What is 3 + 1?"):
            router.route_and_generate(query)
        router._learner().at_exit()
        router.ledger.close()
        sync.stop()
    assert started == [str(file)]
    assert R2Router.from_pretrained("local")._learner() is None
    assert R2Router.from_pretrained(pool=load_pool("local"))._learner() is None
    monkeypatch.setenv("R2_LEARN_AFTER", "0")
    assert R2Router.from_pretrained()._learner() is None
