"""Named tokens: what is kept of them, what they may spend, and that nobody's requests are another's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.generations import candidate
from support.ledgers import ledger_at, rows

from r2_router.acting import Caller, acting, acting_for
from r2_router.errors import InputError, LedgerError, SpendLimitError
from r2_router.ledger import Entry, Ledger, SpendGuard
from r2_router.ledger.loop_guard import LoopGuard
from r2_router.ledger.named_tokens import Tokens

CANDIDATE = candidate("a")


def test_a_token_is_shown_once_and_kept_as_a_hash(place: str | Path) -> None:
    tokens = Tokens(ledger_at(place))
    token = tokens.add(Caller("alice", 1.5, 20.0, 0.05))
    known = tokens.find(token)
    assert known is not None
    assert (known.name, known.max_usd_per_day, known.max_usd_per_month, known.worth_usd) == ("alice", 1.5, 20.0, 0.05)
    assert known.added.startswith(str(datetime.now(UTC).year))
    assert [caller.name for caller in tokens.all()] == ["alice"]
    assert len(token) > 40
    kept = str(rows(place, "SELECT * FROM tokens")) + repr(known) + repr(tokens.all())
    assert token not in kept
    assert token[3:] not in kept
    for other in ("", token[:-1], token + "x", "r2-", "alice"):
        assert tokens.find(other) is None


def test_a_removed_token_is_nobodys_here_at_once_and_elsewhere_soon(place: str | Path) -> None:
    clock = [0.0]
    here, elsewhere = Tokens(ledger_at(place)), Tokens(ledger_at(place), clock=lambda: clock[0])
    token = here.add(Caller("alice"))
    assert elsewhere.find(token) is not None
    here.remove("alice")
    assert here.find(token) is None
    assert elsewhere.find(token) is not None
    clock[0] += 6
    assert elsewhere.find(token) is None
    again = here.add(Caller("alice"))
    assert again != token
    clock[0] += 6
    assert elsewhere.find(again) is not None


def test_a_ledger_that_is_not_there_yet_has_no_tokens(place: str | Path) -> None:
    assert Tokens(ledger_at(place)).all() == []


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "ü" * 65, "x" * 65, "a\n", "<b>"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="A name has"):
        Tokens(Ledger(tmp_path / "l")).add(Caller(name))


def test_what_cannot_be_done_says_so(place: str | Path) -> None:
    tokens = Tokens(ledger_at(place))
    tokens.add(Caller("alice"))
    with pytest.raises(InputError, match="alice has a token already"):
        tokens.add(Caller("alice"))
    with pytest.raises(InputError, match="Nobody called 'bob'"):
        tokens.remove("bob")
    with pytest.raises(InputError, match="A limit is an amount"):
        tokens.add(Caller("bob", float("nan")))


# -- limits ------------------------------------------------------------------------------------------------------


def test_each_ones_limit_is_his_own(place: str | Path) -> None:
    guard = SpendGuard(ledger_at(place), per_day=10.0)
    alice, bob = Caller("alice", max_usd_per_day=1.0), Caller("bob", max_usd_per_month=0.5)
    guard.settle(guard.reserve(CANDIDATE, 0.8, alice), 0.6)
    held = guard.reserve(CANDIDATE, 0.3, alice)
    with pytest.raises(SpendLimitError, match=r"the token of alice allows \$1.00 a day") as refused:
        guard.reserve(CANDIDATE, 0.2, alice)
    assert (refused.value.spent_usd, refused.value.reserved_usd) == (0.6, 0.3)
    guard.settle(guard.reserve(CANDIDATE, 0.5, bob), 0.5)
    with pytest.raises(SpendLimitError, match="the token of bob allows"):
        guard.reserve(CANDIDATE, 0.01, bob)
    guard.settle(guard.reserve(CANDIDATE, 8.0), 8.0)  # nobody with a name
    with pytest.raises(SpendLimitError, match="R2_MAX_USD_PER_DAY allows"):
        guard.reserve(CANDIDATE, 1.0, Caller("carol"))
    guard.settle(held, 0.3)
    spent = dict(rows(place, "SELECT caller, nanos FROM spend"))
    assert spent == {"alice": 900_000_000, "bob": 500_000_000, "": 8_000_000_000}


def test_what_a_dead_process_left_counts_for_its_caller(place: str | Path) -> None:
    now = [datetime(2026, 11, 24, 12, tzinfo=UTC)]
    ledger = ledger_at(place, now=lambda: now[0])
    alice = Caller("alice", max_usd_per_day=1.0)
    SpendGuard(ledger, lease_s=60).reserve(CANDIDATE, 0.9, alice)
    now[0] = datetime(2026, 11, 24, 12, 5, tzinfo=UTC)
    with pytest.raises(SpendLimitError, match=r"of which \$0.90 is spent"):
        SpendGuard(ledger).reserve(CANDIDATE, 0.2, alice)
    SpendGuard(ledger).reserve(CANDIDATE, 0.05, alice)
    assert rows(place, "SELECT caller, nanos FROM spend") == [("alice", 900_000_000)]


def test_a_limit_that_cannot_be_kept_lets_nothing_pass(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    guard = SpendGuard(Ledger(tmp_path / "file" / "ledger"))
    guard.reserve(CANDIDATE, 0.1, Caller("free"))
    with pytest.raises(LedgerError, match="the token of alice"):
        guard.reserve(CANDIDATE, 0.1, Caller("alice", max_usd_per_day=1.0))


def test_requests_side_by_side_are_each_their_callers(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    guard = LoopGuard(SpendGuard(ledger), ledger)

    async def ask(name: str) -> None:
        with acting_for(Caller(name)):
            for _ in range(5):
                reservation = await guard.reserve(CANDIDATE, 0.001)
                await asyncio.to_thread(lambda: None)
                caller = acting()
                assert caller is not None
                assert caller.name == name
                guard.settle(reservation, 0.001)
                ledger.record(Entry(face="gateway", outcome="answered", model="a", budget=90, caller=caller.name))

    async def crowd() -> None:
        await asyncio.gather(*(ask(f"user-{i % 10}") for i in range(50)))

    asyncio.run(crowd())
    assert acting() is None
    ledger.flush()
    spent = dict(rows(tmp_path / "ledger", "SELECT caller, nanos FROM spend"))
    assert spent == {f"user-{i}": 25 * 1_000_000 for i in range(10)}
    assert dict(rows(tmp_path / "ledger", "SELECT caller, count(*) FROM entries GROUP BY caller")) == {
        f"user-{i}": 25 for i in range(10)
    }
