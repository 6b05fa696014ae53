"""A chat over a loopback provider with a prompt cache: what is cached is known, priced, billed and said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.caching_server import TABLES, CachingProvider, rules
from support.chat_server import chat_server
from support.made_up import DIM, LetterEmbedder, make_checkpoint, make_pool

from r2_router import R2Router
from r2_router.config.settings import load_settings
from r2_router.errors import InputError
from r2_router.generate.answer import answer_facts
from r2_router.ledger import stats
from r2_router.pools import prompt_caches
from r2_router.pools.pool import Pool
from r2_router.pools.profiles import forget as forget_profiles
from r2_router.routing.explanation import reasons
from r2_router.routing.prompt_memory import PromptMemory
from r2_router.routing.worth import trade_off
from r2_router.show.spending import cached

CONTEXT = "The house rules of this chat, in full. " * 100
CHAT = [{"role": "system", "content": CONTEXT}, {"role": "user", "content": "Tell me about routers."}]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def configure(home: Path) -> Callable[..., None]:
    """Write the rules of the caching provider as a user would."""

    def write(**rule: object) -> None:
        (home / "providers.toml").write_text(TABLES)
        (home / "prompt_caches.toml").write_text(rules(**rule))  # type: ignore[arg-type]
        forget_profiles()
        prompt_caches.forget()

    return write


def router(url: str, clock: Clock | None = None, input_usd_per_million: float = 0.3) -> R2Router:
    """Two models, the second a little better and dearer by far where nothing is cached. With a `clock` it shares with
    nobody."""
    checkpoint = make_checkpoint(models=2, budgets=())
    weights, bias = np.zeros((4, DIM), dtype=np.float32), checkpoint.bias.copy()
    bias[:2] = (0.8, 0.805)
    models = {n: replace(m, base_url=url) for n, m in make_pool(2).models.items()}
    models["model-1"] = replace(
        models["model-1"], input_usd_per_million=input_usd_per_million, output_usd_per_million=0.45
    )
    made = R2Router(
        replace(checkpoint, weights=weights, bias=bias),
        Pool("made-up", models),
        settings=load_settings(),
        embedder=LetterEmbedder(),
        trade_off=trade_off(worth_usd=0.01),
    )
    if clock is not None:
        made._memory = made._deciders.in_use._memory = PromptMemory(clock)
    return made


def go_on(chat: list[dict], text: str) -> list[dict]:
    return [*chat, {"role": "assistant", "content": text}, {"role": "user", "content": "And their queues?"}]


@pytest.mark.parametrize("spelling", ["openai", "anthropic", "deepseek"])
def test_a_chat_stays_with_the_model_that_has_it_cached_and_leaves_when_it_is_cold(
    configure: Callable[..., None], spelling: str
) -> None:
    configure()
    clock = Clock()
    provider = CachingProvider(clock, spelling)
    with chat_server(provider.behaviour) as server:
        made = router(server.url, clock)
        first = made.route_and_generate(CHAT, model="model-1")
        assert first.cache_read_tokens == 0
        chat = go_on(CHAT, str(first))
        decision = made.route_messages(chat)
        assert decision.model == "model-1"
        cache = decision.prompt_cache
        assert cache is not None
        assert cache.stays
        assert 0.9 * decision.input_tokens < cache.cached_tokens < decision.input_tokens
        assert cache.cost_usd < (cache.other_usd or 0)
        said = next(line for line in reasons(made.explain(chat)) if line.startswith("Stays: "))
        assert f"{cache.cached_tokens:,} of {cache.input_tokens:,} tokens are cached" in said
        assert decision.to_dict()["prompt_cache"]["stays"] is True

        answer = made.route_and_generate(chat)
        assert answer.model == "model-1"
        assert answer.cache_read_tokens == provider.counts[-1][1] > 0
        assert answer.prompt_tokens == provider.counts[-1][0]
        assert f"3 tokens, {answer.cache_read_tokens:,} of {answer.prompt_tokens:,} prompt tokens" in answer_facts(
            answer
        )
        assert "cached" not in answer_facts(first)
        total, read, written = provider.counts[-1]
        if spelling == "deepseek":  # it does not say what it wrote
            written = 0
        tokens = total - read - written + 0.1 * read + 1.25 * written
        assert answer.cost_usd == pytest.approx((tokens * 0.3 + 3 * 0.45) / 1e6)
        clock.now += 300  # the provider forgets, and so do we
        assert made.route_messages(chat).model == "model-0"
        assert made.route_messages(chat).prompt_cache is None


def test_where_leaving_pays_the_cache_is_left_and_it_says_so(configure: Callable[..., None]) -> None:
    configure(write=1.0)
    clock = Clock()
    with chat_server(CachingProvider(clock).behaviour) as server:
        dear = router(server.url, clock, input_usd_per_million=30.0)
        first = dear.route_and_generate(CHAT, model="model-1")
        chat = go_on(CHAT, str(first))
        decision = dear.route_messages(chat)
        assert decision.model == "model-0"
        cache = decision.prompt_cache
        assert cache is not None
        assert not cache.stays
        assert any(line.startswith("Leaves model-1, which has ") for line in reasons(dear.explain(chat)))


def test_a_provider_that_keeps_only_what_is_marked_is_credited_for_what_it_says_it_kept(
    configure: Callable[..., None],
) -> None:
    configure(marked=True)
    clock = Clock()
    with chat_server(CachingProvider(clock, "anthropic", marked=True).behaviour) as server:
        made = router(server.url, clock)
        first = made.route_and_generate(CHAT, model="model-1")
        assert made.route_messages(go_on(CHAT, str(first))).prompt_cache is None
        part = {"type": "text", "text": CONTEXT, "cache_control": {"type": "ephemeral"}}
        marked = [{"role": "system", "content": [part]}, CHAT[1]]
        first = made.route_and_generate(marked, model="model-1")
        assert first.cache_write_tokens > 0
        assert made.route_messages(go_on(marked, str(first))).prompt_cache is not None


def test_a_chat_is_marked_for_the_user_and_read_from_the_cache(configure: Callable[..., None]) -> None:
    configure(marked=True, asks="cache_control")
    provider = CachingProvider(Clock(), "anthropic", marked=True)
    with chat_server(provider.behaviour) as server:
        made = router(server.url, Clock())
        chat, answers = CHAT, []
        for _ in range(4):
            answers.append(made.route_and_generate(chat, model="model-1"))
            chat = go_on(chat, str(answers[-1]))
        first, second, *later = provider.counts
        assert first[1:] == (0, 0)  # nobody knows yet that a chat will follow
        assert second[1] == 0
        assert second[2] > 900
        assert all(read > 900 and written < 40 for _, read, written in later)
        for answer, (total, read, written) in zip(answers, provider.counts, strict=True):
            tokens = total - read - written + 0.1 * read + 1.25 * written
            assert answer.cost_usd == pytest.approx((tokens * 0.3 + 3 * 0.45) / 1e6)
        assert made.route_messages(chat).model == "model-1"
        plain = provider.counts[1][0] * 0.3 / 1e6
        assert answers[1].predicted_cost_usd > 1.1 * plain  # the premium is priced
        assert answers[2].predicted_cost_usd < 0.5 * plain


def test_chats_that_go_on_too_late_are_marked_no_more(configure: Callable[..., None]) -> None:
    configure(marked=True, asks="cache_control")
    clock = Clock()
    with chat_server(CachingProvider(clock, "anthropic", marked=True).behaviour) as server:
        made, chat = router(server.url, clock), CHAT
        for _ in range(14):
            chat = go_on(chat, str(made.route_and_generate(chat, model="model-1")))
            clock.now += 400
        marked = ["cache_control" in json.dumps(body) for body in server.bodies]
        assert marked[1]
        assert not marked[-1]
        for _ in range(6):
            clock.now += 20
            chat = go_on(chat, str(made.route_and_generate(chat, model="model-1")))
        assert "cache_control" in json.dumps(server.bodies[-1])


def test_a_provider_that_passes_over_marks_is_soon_sent_none(configure: Callable[..., None]) -> None:
    configure(marked=True, asks="cache_control")
    provider = CachingProvider(Clock(), "anthropic", marked=True, min_tokens=10**6)
    with chat_server(provider.behaviour) as server:
        made = router(server.url, Clock())
        chat = CHAT
        for _ in range(14):
            chat = go_on(chat, str(made.route_and_generate(chat, model="model-1")))
        marked = ["cache_control" in json.dumps(body) for body in server.bodies]
        assert marked[1]
        assert not marked[-1]
        assert made._memory.hits["model-1"] < 0.4


def test_the_caller_may_say_what_is_cached(configure: Callable[..., None]) -> None:
    configure()
    made = router("http://127.0.0.1:1/v1", Clock())
    chat = go_on(CHAT, "They route.")
    assert made.route_messages(chat).model == "model-0"
    decision = made.route_messages(chat, cache=[("model-1", 900, 20)])
    assert decision.model == "model-1"
    assert decision.prompt_cache is not None
    assert decision.prompt_cache.cached_tokens == 900
    assert made.route_messages(chat, cache=[("model-1", 900, 400)]).model == "model-0"
    with pytest.raises(InputError, match="No model is called 'nobody'"):
        made.route_messages(chat, cache=[("nobody", 900)])


def test_the_last_answer_says_what_is_cached(configure: Callable[..., None]) -> None:
    configure()
    clock = Clock()
    with chat_server(CachingProvider(clock).behaviour) as server:
        first = router(server.url, clock).route_and_generate(CHAT, model="model-1")
        elsewhere = router(server.url, clock)  # it has asked nobody
        chat = go_on(CHAT, str(first))
        assert elsewhere.route_messages(chat).model == "model-0"
        for cache in (first, [first]):
            decision = elsewhere.route_messages(chat, cache=cache)
            assert decision.model == "model-1"
            assert decision.prompt_cache is not None
            assert decision.prompt_cache.cached_tokens == first.prompt_tokens
        late = replace(first, ended_at=first.ended_at - 400)
        assert elsewhere.route_messages(chat, cache=late).model == "model-0"
    with pytest.raises(InputError, match="cache is the last answer, or a list"):
        elsewhere.route_messages(chat, cache="model-1")


def test_an_answer_of_a_provider_that_keeps_what_is_marked_says_what_it_kept(configure: Callable[..., None]) -> None:
    configure(marked=True)
    clock = Clock()
    with chat_server(CachingProvider(clock, "anthropic", marked=True).behaviour) as server:
        made = router(server.url, clock)
        first = made.route_and_generate(CHAT, model="model-1")
        assert first.cache_write_tokens == 0
        assert made.route_messages(go_on(CHAT, str(first)), cache=first).prompt_cache is None
        kept = replace(first, cache_write_tokens=first.prompt_tokens)
        assert made.route_messages(go_on(CHAT, str(first)), cache=kept).prompt_cache is not None


def test_another_process_knows_what_is_cached_and_no_text_is_kept(configure: Callable[..., None], home: Path) -> None:
    configure()
    with chat_server(CachingProvider(Clock()).behaviour) as server:
        first = router(server.url)
        answer = first.route_and_generate(CHAT, model="model-1")
        first.ledger.flush()
        chat = go_on(CHAT, str(answer))
        cache = router(server.url).route_messages(chat).prompt_cache
        assert cache is not None
        assert cache.stays
        assert cache.model == "model-1"
        assert router(server.url).route_messages([*CHAT[:1], {"role": "user", "content": "?"}]).prompt_cache is None
        other = [*CHAT[:1], *go_on([{"role": "user", "content": "Hello"}], "Yes?")]
        assert router(server.url).route_messages(other).prompt_cache is not None  # the same system message
    first.ledger.close()
    kept = b"".join(file.read_bytes() for file in (home / "data").glob("ledger*"))
    assert b"warm_prompts" in kept
    assert b"house rules" not in kept


def test_a_ledger_that_cannot_be_opened_keeps_no_chat_from_being_routed(
    configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure()
    monkeypatch.setenv("R2_LEDGER_URL", "mysql://nobody@127.0.0.1/x")
    assert router("http://127.0.0.1:1/v1").route_messages(go_on(CHAT, "They route.")).prompt_cache is None


def test_a_provider_that_does_not_find_what_it_should_loses_trust_and_wins_it_back(
    configure: Callable[..., None],
) -> None:
    configure(write=1.0)
    clock = Clock()
    provider = CachingProvider(clock)
    with chat_server(provider.behaviour) as server:
        made = router(server.url, clock)
        chat = CHAT
        for turn in range(12):
            chat = go_on(chat, str(made.route_and_generate(chat, model="model-1")))
            if turn:
                provider.kept.clear()  # it keeps nothing, whatever its page says
        assert made._memory.hits["model-1"] < 0.5
        assert made.route_messages(chat).model == "model-0"
        for _ in range(30):
            chat = go_on(chat, str(made.route_and_generate(chat, model="model-1")))
        assert made._memory.hits["model-1"] > 0.9
        assert made.route_messages(chat).model == "model-1"


def test_what_caches_saved_is_summed_up(configure: Callable[..., None]) -> None:
    configure()
    with chat_server(CachingProvider(Clock()).behaviour) as server:
        made = router(server.url)
        answers = [made.route_and_generate(CHAT, model="model-1")]
        for _ in range(3):
            answers.append(made.route_and_generate(go_on(CHAT, str(answers[-1])), model="model-1"))
        found = stats(made.ledger)
    caches = found.caches
    read, written = (sum(a[name] for a in answers) for name in ("cache_read_tokens", "cache_write_tokens"))
    assert (caches.told, caches.cache_read_tokens, caches.cache_write_tokens) == (4, read, written)
    assert caches.prompt_tokens == sum(a.prompt_tokens for a in answers)
    assert caches.saved_usd == pytest.approx((0.9 * read - 0.25 * written) * 0.3 / 1e6)
    assert caches.saved_usd == pytest.approx(sum(a.cache_saved_usd for a in answers))
    assert 0.5 < caches.share < 1
    assert found.models[0].caches == caches
    assert found.to_dict()["caches"]["cache_read_tokens"] == read
    assert f"{caches.share:.0%} came from prompt caches: " in cached(caches)[0]


def test_a_prompt_without_a_history_is_decided_as_if_there_were_no_caches(configure: Callable[..., None]) -> None:
    clock = Clock()
    before = router("https://example.org/v1", clock)
    texts = [CHAT, "What is the capital of France?", CONTEXT]
    plain = [before.route_messages(text).to_dict() for text in texts]
    configure()
    with chat_server(CachingProvider(clock).behaviour) as server:
        after = router(server.url, clock)
        after.route_and_generate(CHAT, model="model-1")
        assert [after.route_messages(text).to_dict() for text in texts] == plain
        assert after.route_messages(CHAT).warm is None


def test_an_image_in_a_cached_beginning_is_priced_as_cached(configure: Callable[..., None]) -> None:
    configure()
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    seen = [CHAT[0], {"role": "user", "content": [{"type": "text", "text": "What is on it?"}, image]}]
    caches = []
    for chat in (CHAT, seen):
        made = router("http://127.0.0.1:9/v1", Clock())
        made._memory.remember(chat, made.models[1])
        decision = made.route_messages(go_on(chat, "A cat."))
        assert decision.prompt_cache is not None
        caches.append(decision.prompt_cache)
    plain, with_image = caches
    assert with_image.cached_tokens - plain.cached_tokens == pytest.approx(1000, abs=5)
    assert with_image.input_tokens - plain.input_tokens == pytest.approx(1000, abs=5)
    more_usd = with_image.cost_usd - plain.cost_usd
    assert more_usd == pytest.approx(1000 * 0.3e-6 * (0.95 * 0.1 + 0.05 * 1.25), rel=0.02)
