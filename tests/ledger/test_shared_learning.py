"""What one machine learned, another takes from the ledger they share; two homes stand for two machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.ledgers import ledger_at, rows
from support.postgres import PostgresServer

from r2_router import R2Router
from r2_router.checkpoints.find import learned_folder, learned_on
from r2_router.checkpoints.learned import Run, note, runs
from r2_router.cli import main
from r2_router.ledger import Entry, Ledger, quiet_learning
from r2_router.ledger.quiet_learning import QuietLearner
from r2_router.ledger.shared_learning import keep_in_step, learning, take_news
from r2_router.pools.pool import load_pool

POOL = load_pool("local")
SHORT = Entry(
    face="cli", outcome="answered", model="Qwen2.5-Coder-0.5B-Instruct", budget="unlimited", checkpoint="local"
)
GoTo = Callable[[str], None]


@pytest.fixture
def go_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoTo:
    """Sits down at the machine of that name."""
    return lambda name: monkeypatch.setenv("R2_HOME", str(tmp_path / name))


@pytest.fixture
def url(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ledger that all machines name, with answers to learn from."""
    url = postgres.database()
    monkeypatch.setenv("R2_LEDGER_URL", url)
    with ledger_at(url, log_text=True) as ledger:
        for i in range(12):
            ledger.record(Entry(**{**SHORT.to_dict(), "query": f"What is {i}?", "quality": 0.0, "output_tokens": 9}))
    return url


def test_a_ledger_in_a_file_is_no_machines_but_its_own(home: Path) -> None:
    note(learned_folder(POOL), Run(time="2026-01-01"))
    with Ledger() as ledger:
        assert not keep_in_step(ledger, POOL)
        assert not take_news(ledger, POOL)
        with learning(ledger, POOL) as first, learning(ledger, POOL) as second:
            assert (first, second) == (True, True)
    assert not Path(ledger.place).exists()


@pytest.mark.slow
def test_what_one_machine_learned_another_decides_by_until_one_forgets_it(
    url: str, go_to: GoTo, capsys: pytest.CaptureFixture[str]
) -> None:
    go_to("one")
    assert main(["learn", "--pool", "local"]) == 0
    learned = learned_on(POOL)
    assert learned is not None

    go_to("two")
    assert learned_on(POOL) is None
    router = R2Router.from_pretrained()
    assert router.checkpoint.name == learned.name
    assert (router.checkpoint.weights == learned.weights).all()
    capsys.readouterr()
    assert main(["learn", "--pool", "local", "--log"]) == 0
    assert "12 answers, 12 labels" in capsys.readouterr().out
    assert main(["learn", "--pool", "local", "--undo"]) == 0
    assert learned_on(POOL) is None

    go_to("one")
    with ledger_at(url) as ledger:
        assert take_news(ledger, POOL)
        assert not take_news(ledger, POOL)
    assert learned_on(POOL) is None
    assert [run.undone for run in runs(learned_folder(POOL))] == [False, True]
    assert main(["learn", "--pool", "local", "--undo"]) == 0
    assert "Nothing was learned" in capsys.readouterr().out


@pytest.mark.slow
def test_a_running_process_takes_it_at_its_next_look(url: str, go_to: GoTo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet_learning, "_start", lambda pool: pytest.fail("nothing is new"))
    go_to("one")
    assert main(["learn", "--pool", "local"]) == 0
    go_to("two")
    taken: list[bool] = []
    with ledger_at(url) as ledger:
        learner = QuietLearner(ledger, POOL, "", 10, lambda: taken.append(learned_on(POOL) is not None))
        learner._waiting = True
        learner.at_exit()
    assert taken == [True]


@pytest.mark.slow
def test_another_pool_of_the_same_name_has_its_own(url: str, go_to: GoTo) -> None:
    go_to("one")
    note(learned_folder(POOL), Run(time="2026-01-01"))
    with ledger_at(url) as ledger:
        keep_in_step(ledger, POOL)
        go_to("two")
        other = replace(POOL, models=dict(list(POOL.models.items())[:1]))
        assert not take_news(ledger, other)
        assert take_news(ledger, POOL)
    assert len(rows(url, "SELECT pool FROM learned")) == 1


@pytest.mark.slow
def test_what_is_newer_stays_whoever_comes_later(url: str, go_to: GoTo) -> None:
    with ledger_at(url) as ledger:
        for machine, time in (("one", "2026-01-02"), ("two", "2026-01-01"), ("three", "2026-01-03")):
            go_to(machine)
            note(learned_folder(POOL), Run(time=time, fault=machine))
            keep_in_step(ledger, POOL)
        assert rows(url, "SELECT time FROM learned") == [("2026-01-03",)]
        for machine in ("one", "two"):
            go_to(machine)
            keep_in_step(ledger, POOL)
            assert [run.fault for run in runs(learned_folder(POOL))] == ["three"]


@pytest.mark.slow
def test_one_machine_learns_at_a_time_and_a_dead_one_hinders_nobody_for_long(
    url: str, go_to: GoTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R2_LEARN_AFTER", "10")
    with ledger_at(url) as here, ledger_at(url) as there:
        with learning(here, POOL) as alone, learning(there, POOL) as too:
            assert (alone, too) == (True, False)
            go_to("two")
            assert main(["learn", "--pool", "local", "--automatic"]) == 0
            assert learned_on(POOL) is None
        with pytest.raises(KeyboardInterrupt), learning(here, POOL):
            raise KeyboardInterrupt
        with learning(there, POOL) as again:
            assert again
        held = learning(here, POOL)
        assert held.__enter__()
        with here.transaction() as db:
            db.execute("UPDATE learned SET learning_until = '2026-01-01'")  # killed long ago
        with learning(there, POOL) as free:
            assert free
        held.__exit__(None, None, None)
    assert main(["learn", "--pool", "local", "--automatic"]) == 0
    assert learned_on(POOL) is not None


@pytest.mark.slow
def test_without_the_database_what_is_here_counts(
    postgres: PostgresServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R2_LEDGER_URL", "postgresql://r2@127.0.0.1:1/nowhere")
    assert R2Router.from_pretrained().checkpoint.name == "local"
