"""How a chat is read: what is the user's, how much a message leans on others, and the public reports as trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_up import LetterEmbedder, make_checkpoint, make_pool

from r2_router import R2Router
from r2_router.checkpoints.format import Precision
from r2_router.config.settings import Settings
from r2_router.errors import InputError
from r2_router.pools.pool import Pool, load_pool
from r2_router.routing.conversation import Reader, Reading, leaning, shares, user_turns, without_harness
from r2_router.routing.decision import Decision
from r2_router.routing.messages import Message
from r2_router.routing.predict import Predictor
from r2_router.routing.worth import trade_off

HARD = "Write a Go function implementing an LRU cache with O(1) get and put, thread-safe, with generics and tests."
TRIVIAL = "What is the capital of France?"
BRIEF = "commit it"


def chat(*turns: str) -> list[Message]:
    """What the user said, each answered but the last."""
    spoken = [({"role": "user", "content": turn}, {"role": "assistant", "content": "Ok."}) for turn in turns]
    return [message for pair in spoken for message in pair][:-1]


def tool_turns(name: str = "run") -> list[Message]:
    call = {"id": "1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "exit 0"},
    ]


# -- what the user said --------------------------------------------------------------------------------------


def test_user_messages_are_read_last_first_and_nothing_else_is() -> None:
    messages = [{"role": "system", "content": "Be brief."}, *chat("one", "two"), *tool_turns()]
    assert [*user_turns(messages)] == ["two", "one"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Fix it.<system-reminder>Todos are empty.</system-reminder>", "Fix it."),
        ("<environment_context>\n<cwd>/x</cwd>\n</environment_context>Fix it.", "Fix it."),
        ('a<environment_info os="x">b</environment_info>c<system-reminder>d</system-reminder>e', "ace"),
        ("<system-reminder>never closed", "<system-reminder>never closed"),
        ("<system-reminder>a<system-reminder>b</system-reminder>c", "c"),
        ("if a < b: <b>bold</b>", "if a < b: <b>bold</b>"),
        ("</system-reminder>", "</system-reminder>"),
    ],
)
def test_what_a_harness_puts_into_a_message_is_left_out(text: str, left: str) -> None:
    assert without_harness(text) == left


def test_a_message_of_harness_text_alone_is_no_turn_of_the_user() -> None:
    reminder = "<system-reminder>Use the tools.</system-reminder>"
    assert [*user_turns(chat("one", reminder))] == ["one"]
    assert [*user_turns([*tool_turns(), *chat(reminder)])] == [reminder]


def test_a_message_that_comes_alone_is_read_as_it_stands() -> None:
    asked = "What does <environment_info>this</environment_info> mean?"
    assert [*user_turns(chat(asked))] == [asked]
    assert [*user_turns([{"role": "system", "content": "x"}, *chat(asked)])] == ["What does  mean?"]


def test_a_text_full_of_tags_that_are_never_closed_is_searched_once_for_each() -> None:
    text = "<system-reminder>" * 200_000
    assert without_harness(text) == text


# -- how much a message leans ----------------------------------------------------------------------------------


@given(st.integers(0, 40), st.floats(0, 3), st.floats(0, 3))
def test_what_is_briefer_or_stranger_leans_more(tokens: int, leverage: float, other: float) -> None:
    low, high = sorted((leverage, other))
    assert 0 <= leaning(tokens, low) <= leaning(tokens, high) <= 1
    assert leaning(tokens + 1, leverage) <= leaning(tokens, leverage)
    assert leaning(31, 3.0) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_shares_sum_to_one(leanings: list[float]) -> None:
    found = shares(leanings)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    assert found[0] == pytest.approx(1.0 if len(leanings) == 1 else 1 - leanings[0])


# -- the reading, over heads of known numbers ------------------------------------------------------------------


class Given:
    """An embedder of known vectors, that counts what it is asked."""

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        self.vectors, self.asked = vectors, list[str]()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.stack([self.vectors[text] for text in texts])


def read(reader: Reader, embed: Given, turns: list[str]) -> Reading:
    return reader.read(turns, embed([reader.first_text(turns)])[0])


def axis(k: int) -> np.ndarray:
    return np.eye(8, dtype=np.float32)[k]


def known_predictor() -> Predictor:
    """Leverage is 1 but for what was trained on, the first two axes, where it is 0.005."""
    factor = np.sqrt(0.995) * np.eye(8, dtype=np.float32)[:2]
    precision = Precision(factor.astype(np.float32), np.zeros(8, np.float32), 1.0, 10**6, leverage_limit=0.7)
    return Predictor(make_checkpoint(precision=precision))


def test_a_last_message_that_says_all_is_read_alone_to_the_bit() -> None:
    embed = Given({"a": axis(0), "b": axis(1)})
    reading = read(Reader(known_predictor(), embed), embed, ["b", "a"])
    assert (reading.vector == axis(1)).all()
    assert reading.turns == ()
    assert embed.asked == ["b"]


def test_outputs_are_the_mean_of_the_outputs_weighted_by_the_shares() -> None:
    predictor = known_predictor()
    embed = Given({"subject": axis(0), "brief": axis(2), "briefer": axis(3)})
    reading = read(Reader(predictor, embed), embed, ["briefer", "brief", "subject"])
    first, second = leaning(1, 1 / 0.7), leaning(1, 1 / 0.7)
    weights = np.array([1 - first, first * (1 - second), first * second])
    outputs = weights @ predictor.outputs(np.stack([axis(3), axis(2), axis(0)]))
    np.testing.assert_allclose(predictor.outputs(reading.vector), outputs, rtol=1e-5)
    assert [(t.text, t.share) for t in reading.turns] == [("subject", pytest.approx(first * second))]


def test_the_walk_ends_at_the_message_that_says_all() -> None:
    embed = Given({**{f"old {i}": axis(0) for i in range(50)}, "subject": axis(1), "brief": axis(2)})
    reading = read(Reader(known_predictor(), embed), embed, ["brief", "subject", *(f"old {i}" for i in range(50))])
    assert [turn.text for turn in reading.turns] == ["subject"]
    assert len(embed.asked) <= 5


def test_a_long_row_of_brief_messages_is_read_in_bounded_work() -> None:
    texts = [f"m{i}" for i in range(5_000)]
    embed = Given({text: axis(2) for text in texts})
    read(Reader(known_predictor(), embed), embed, texts)
    assert len(embed.asked) == 33


def test_earlier_vectors_are_made_once_and_forgotten_in_time() -> None:
    texts = [f"m{i}" for i in range(1_100)]
    embed = Given({"brief": axis(2), **{text: axis(0) for text in texts}})
    reader = Reader(known_predictor(), embed)
    for _ in range(3):
        read(reader, embed, ["brief", texts[0]])
    assert embed.asked.count(texts[0]) == 1
    for text in texts:
        read(reader, embed, ["brief", text])
    read(reader, embed, ["brief", texts[0]])
    assert embed.asked.count(texts[0]) == 2


def test_thanks_at_the_end_are_a_closing_and_before_it_are_passed_over() -> None:
    embed = Given({"thanks": axis(4), "subject": axis(0), "brief": axis(2)})
    reader = Reader(known_predictor(), embed)
    assert read(reader, embed, ["thanks", "subject"]).closing
    assert not read(reader, embed, ["thanks"]).closing
    reading = read(reader, embed, ["brief", "thanks", "subject"])
    assert [turn.text for turn in reading.turns] == ["subject"]


def test_without_leverage_a_message_of_few_tokens_is_prefixed_by_the_earlier_ones() -> None:
    long = "Why is the sky blue in the day and red in the evening of a clear one?"
    embed = Given({f"{long}\ngo on": axis(0), long: axis(1), "one\ntwo\nthree": axis(2)})
    reader = Reader(Predictor(make_checkpoint(precision=None)), embed)
    reading = read(reader, embed, ["go on", long, "earlier still"])
    assert (reading.vector == axis(0)).all()
    assert [(turn.text, turn.share) for turn in reading.turns] == [(long, None)]
    alone = read(reader, embed, [long, "go on"])
    assert (alone.vector == axis(1)).all()
    assert alone.turns == ()
    assert (read(reader, embed, ["three", "two", "one"]).vector == axis(2)).all()


# -- any conversation --------------------------------------------------------------------------------------------

_TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [BRIEF, "thanks", HARD, "<system-reminder>x</system-reminder>", "<system-reminder>", "\ud800", " "]
    ),
)
_CONTENTS = st.one_of(_TEXTS, st.lists(_TEXTS.map(lambda t: {"type": "text", "text": t}), max_size=3))
_MESSAGES = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
    _CONTENTS,
)


@pytest.fixture(scope="module", params=[True, False], ids=["leverage", "no leverage"])
def letters(request: pytest.FixtureRequest) -> R2Router:
    made = make_checkpoint() if request.param else make_checkpoint(precision=None)
    trade = trade_off(worth_usd=0.01)
    return R2Router(made, make_pool(), settings=Settings(), embedder=LetterEmbedder(), trade_off=trade)


@pytest.mark.slow
@given(st.lists(_MESSAGES, max_size=12), _TEXTS.filter(str.strip), st.lists(_MESSAGES, max_size=2))
def test_any_valid_conversation_has_a_decision(
    letters: R2Router, before: list[Message], asked: str, after: list[Message]
) -> None:
    tail = [message for message in after if message["role"] != "user"]
    messages = [*before, {"role": "user", "content": asked}, *tail]
    decision = letters.route_messages(messages)
    assert 0 <= decision.predicted_quality <= 1
    assert sum(turn.share or 0 for turn in decision.read_with) <= 1 + 1e-6
    alone = letters.route_messages(messages, context="last")
    assert alone.read_with == ()
    assert not alone.closing


# -- the public reports, as trials over the shipped checkpoint -------------------------------------------------


@pytest.fixture
def shipped() -> R2Router:
    return R2Router.from_pretrained()


@pytest.fixture
def frontier() -> R2Router:
    """The shipped heads at prices a hundred times dearer, for windows that hold an agent's system prompt."""
    prices = ((1.0, 5.0), (2.0, 10.0), (5.0, 25.0))
    pool = load_pool("local", user_file=False)
    dear = {
        m.name: replace(m, input_usd_per_million=i, output_usd_per_million=o, context_window=200_000)
        for m, (i, o) in zip(pool, prices, strict=True)
    }
    return R2Router.from_pretrained(pool=Pool("frontier", dear))


AGENT: list[Message] = [{"role": "system", "content": "You are a careful agent; follow every rule. " * 930}]


def same_choice(a: Decision, b: Decision) -> bool:
    return (a.model, a.budget) == (b.model, b.budget)


@pytest.mark.slow
def test_trial_1_commit_it_is_as_hard_as_the_turn_it_leans_on(shipped: R2Router, frontier: R2Router) -> None:
    hard, brief = shipped.route_text(HARD), shipped.route_messages(chat(HARD, BRIEF))
    assert brief.predicted_quality == pytest.approx(hard.predicted_quality, abs=0.03)
    assert brief.read_with[0].text == HARD
    assert brief.read_with[0].share == pytest.approx(1, abs=0.1)
    asked = frontier.route_messages([*AGENT, *chat(HARD)], worth_usd=0.1)
    followed = frontier.route_messages([*AGENT, *chat(HARD, BRIEF)], worth_usd=0.1)
    assert asked.model == followed.model == frontier.checkpoint.strongest
    assert frontier.route_messages([*AGENT, *chat(HARD, BRIEF)], worth_usd=0.1, context="last").model != asked.model


@pytest.mark.slow
def test_trial_2_thanks_is_cheap(frontier: R2Router) -> None:
    decision = frontier.route_messages([*AGENT, *chat(HARD, "thanks")], worth_usd=0.1)
    assert decision.predicted_cost_usd == min(c.predicted_cost_usd for c in decision.candidates)
    assert decision.closing
    assert decision.familiar is None
    assert frontier.route_messages([*AGENT, *chat(HARD, "thanks", BRIEF)], worth_usd=0.1).read_with[0].text == HARD


@pytest.mark.slow
@pytest.mark.parametrize("switch", ["Und jetzt auf Deutsch", "Maintenant en français", "请用中文回答"])
def test_trial_3_another_language_keeps_the_subject(shipped: R2Router, switch: str) -> None:
    alone, read = shipped.route_text(switch), shipped.route_messages(chat(HARD, switch))
    subject = shipped.route_text(HARD).predicted_quality
    assert read.read_with[0].text == HARD
    assert abs(read.predicted_quality - subject) < abs(alone.predicted_quality - subject) / 2


@pytest.mark.slow
@pytest.mark.parametrize("turns", [(TRIVIAL, HARD), (HARD, TRIVIAL), (HARD, BRIEF, TRIVIAL)])
def test_trials_4_and_5_a_changed_topic_counts_at_once(shipped: R2Router, turns: tuple[str, ...]) -> None:
    read, alone = shipped.route_messages(chat(*turns)), shipped.route_text(turns[-1])
    assert read.predicted_quality == alone.predicted_quality
    assert read.read_with == ()
    assert read.input_tokens > alone.input_tokens


@pytest.mark.slow
def test_trial_6_a_hundred_turns_are_read(frontier: R2Router) -> None:
    turns = [f"Question {i}: how does a hash table grow, and what does that cost?" for i in range(99)]
    decision = frontier.route_messages(chat(*turns, HARD, BRIEF), worth_usd=0.1)
    assert [turn.text for turn in decision.read_with] == [HARD]


@pytest.mark.slow
def test_trial_7_tool_tails_keep_the_route_of_their_turn(shipped: R2Router) -> None:
    asked = shipped.route_messages(chat(HARD, BRIEF))
    during = shipped.route_messages([*chat(HARD, BRIEF), *tool_turns(), *tool_turns("test")])
    assert same_choice(asked, during)
    assert during.predicted_quality == pytest.approx(asked.predicted_quality)
    assert during.read_with == asked.read_with
    reminded = shipped.route_messages(
        [*chat(HARD, f"{BRIEF}<system-reminder>The todo list is empty.</system-reminder>")]
    )
    assert reminded.predicted_quality == pytest.approx(asked.predicted_quality)


@pytest.mark.slow
def test_trial_14_a_chat_is_routed_without_asking_it_and_one_message_is_a_text(shipped: R2Router) -> None:
    routed, text = shipped.route_messages(chat(HARD)), shipped.route_text(HARD)
    assert routed.candidates[:] == text.candidates[:]
    assert routed.to_dict() == text.to_dict()
    embedded = shipped.route(shipped.embed([HARD])[0], input_tokens=text.input_tokens)
    assert embedded.candidates[:] == text.candidates[:]


@pytest.mark.slow
def test_the_prior_reads_with_the_leverage_of_the_shipped_checkpoint() -> None:
    prior = R2Router.from_pretrained("prior", pool="paper")
    assert prior.checkpoint.precision is None
    assert prior.route_messages(chat(HARD, BRIEF)).read_with[0].share == pytest.approx(1, abs=0.1)
    assert prior.route_messages(chat(HARD, TRIVIAL)).predicted_quality == prior.route_text(TRIVIAL).predicted_quality


def test_context_is_auto_or_last(letters: R2Router) -> None:
    with pytest.raises(InputError, match="context is auto or last"):
        letters.route_messages(chat("a", "b"), context="all")
