import asyncio

import pytest
from support.chat_server import chat_server, fails, says
from support.collecting import INSTRUCTION, model, questions
from support.paying_server import Till

from r2_router.errors import ConfigError, InputError
from r2_router.lab.collecting.plan import Plan
from r2_router.lab.collecting.session import Collection
from r2_router.lab.data.questions import Question
from r2_router.lab.data.read import read_table
from r2_router.pools.pool import Pool


class Silent:
    def answered(self, cell, answer, spent_usd):
        pass

    def failed(self, cell, reason):
        pass


def collect(folder, url, asked=None, *, judge_url="", names="ab", **given):
    models = [model(name, url) for name in names]
    everybody = [*models, model("judge", judge_url or url)]
    plan = Plan(asked or questions(3), models, (20, "unlimited"), INSTRUCTION, max_output=100)
    with Collection(plan, folder, Pool("p", {m.name: m for m in everybody}), **given) as collection:
        collection.check_ready()
        return asyncio.run(collection.run(Silent()))


@pytest.mark.slow
def test_a_table_comes_out_that_can_be_trained_on(tmp_path):
    with chat_server(Till(remembers=True).behaviour) as server:
        report = collect(tmp_path, server.url)
    assert report.complete
    assert (report.asked, report.counts.graded, report.counts.mean_quality) == (12, 12, 1.0)
    table = read_table(report.table)
    assert table.candidates == (("a", 20), ("a", "unlimited"), ("b", 20), ("b", "unlimited"))
    assert table.quality.min() == 1.0
    assert table.output_tokens.max() == 5
    assert table.categories == ("sums",) * 3
    assert table.about["instruction"] == INSTRUCTION.to_dict()
    assert "auto:" in table.about["card"]["grader"]
    assert "cut at 100 tokens" in table.about["card"]["measured"]


@pytest.mark.slow
def test_unparsable_answers_are_counted_and_shown_never_silently_wrong(tmp_path):
    with chat_server(says("I would rather not.")) as server:
        dropped = collect(tmp_path, server.url)
        asked = len(server.requests)
        wrong = collect(tmp_path, server.url, unparsable="0")
        assert len(server.requests) == asked
    assert dropped.counts.graded == 0
    assert ("a", 20, 3, 3) in dropped.counts.unparsable
    assert any(
        "12 answers hold no final answer that could be read: 12 are left out" in line for line in dropped.lines()
    )
    assert wrong.counts.graded == 12
    assert any("could be read: 12 count as wrong:" in line for line in wrong.lines())
    assert read_table(wrong.table).quality.max() == 0.0


@pytest.mark.slow
def test_what_was_cut_before_an_answer_is_wrong_unless_dropped(tmp_path):
    def cut_or_not(exchange):
        return says("Let me think", reason="length" if exchange.body["model"] == "vendor/a" else "stop")(exchange)

    with chat_server(cut_or_not) as server:
        wrong = collect(tmp_path, server.url)
        dropped = collect(tmp_path, server.url, unparsable="drop")
    assert (wrong.counts.graded, wrong.counts.counted_wrong, wrong.counts.mean_quality) == (6, 6, 0.0)
    assert any(
        "12 answers hold no final answer that could be read: 6 count as wrong, 6 are" in s for s in wrong.lines()
    )
    assert (dropped.counts.graded, dropped.counts.counted_wrong) == (0, 0)


@pytest.mark.slow
def test_another_grader_grades_what_is_there_without_asking(tmp_path):
    with chat_server(says("The answer is 42.")) as server:
        collect(tmp_path, server.url, grader="none")
        assert len(server.requests) == 12
        report = collect(tmp_path, server.url, grader="contains")
        assert len(server.requests) == 12
    assert (report.asked, report.counts.graded) == (0, 12)


@pytest.mark.slow
def test_a_question_nobody_can_grade_costs_nothing(tmp_path):
    with chat_server(says("42")) as server:
        for asked, words in (
            ([Question("q", "What?")], "q has no answer_type"),
            ([Question("q", "What?", answer_type="number")], "no answer to grade by"),
            ([Question("q", "What?", "forty", "number")], "is no number"),
            ([Question("q", "What?", "(", "regex")], "no regular expression"),
        ):
            with pytest.raises(InputError, match=words):
                collect(tmp_path / words[:5], server.url, asked)
        assert not server.requests


@pytest.mark.slow
def test_a_judge_is_asked_and_paid_like_anybody(tmp_path):
    with chat_server(says("Rome.")) as server, chat_server(says("Right.\nGRADE: 0.5")) as bench:
        report = collect(tmp_path, server.url, judge_url=bench.url, judge="judge")
        assert len(bench.requests) == 12
        again = collect(tmp_path, server.url, judge_url=bench.url, judge="judge")
        assert len(bench.requests) == 12
    assert report.counts.mean_quality == 0.5
    assert report.spent_usd == pytest.approx(24 * (10 * 1.0 + 5 * 2.0) / 1e6)
    assert again.spent_usd == report.spent_usd
    assert "judge/1:judge" in read_table(report.table).about["card"]["grader"]


@pytest.mark.slow
def test_what_a_failed_judge_left_is_graded_by_the_next_run(tmp_path):
    with chat_server(says("Rome.")) as server, chat_server(fails(400)) as bench:
        report = collect(tmp_path, server.url, judge_url=bench.url, judge="judge")
        assert not report.complete
        assert report.ungraded == 12
        assert any("12 answers could not be graded now" in line for line in report.lines())
        bench.then(says("GRADE: 1"))
        assert collect(tmp_path, server.url, judge_url=bench.url, judge="judge").complete


@pytest.mark.slow
def test_the_judge_keeps_the_limit_too(tmp_path):
    with chat_server(says("Rome.")) as server, chat_server(says("GRADE: 1")) as bench:
        asked = collect(tmp_path, server.url, grader="none")
        report = collect(tmp_path, server.url, judge_url=bench.url, judge="judge", max_usd=asked.spent_usd + 0.0025)
        assert 0 < len(bench.requests) < 12
    assert "nothing for the judge" in report.over_limit
    assert report.spent_usd <= asked.spent_usd + 0.0025


@pytest.mark.slow
def test_how_far_a_judge_agrees_with_people_is_said(tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("query,text,quality\nWhat is 1 + 1?,2,1\nWhat is 1 + 2?,5,0\nWhat is 2 + 2?,4,1\n")
    with chat_server(says("Rome.")) as server, chat_server(says("GRADE: 1")) as bench:
        report = collect(tmp_path / "out", server.url, judge_url=bench.url, judge="judge", labels=labels)
        asked = len(bench.requests)
        assert asked == 12 + 3
        again = collect(tmp_path / "out", server.url, judge_url=bench.url, judge="judge", labels=labels)
        assert len(bench.requests) == asked
    assert again.agreement == report.agreement
    assert report.agreement.n == 3
    assert report.agreement.accuracy == pytest.approx(2 / 3)
    assert any(line.startswith("Grader and people: n 3") for line in report.lines())


def test_what_cannot_be_asked_is_said_before_anything_is_paid(tmp_path):
    plan = Plan(questions(1), [model("a", "http://127.0.0.1:9/v1", api_key_env="SOME_API_KEY")], (20,), INSTRUCTION)
    with (
        Collection(plan, tmp_path, Pool("p", {})) as collection,
        pytest.raises(ConfigError, match="SOME_API_KEY is not set"),
    ):
        collection.check_ready()
    with chat_server() as server, pytest.raises(InputError, match="The judge 'nobody' is not in pool 'p'"):
        collect(tmp_path / "b", server.url, judge="nobody")


@pytest.mark.slow
def test_a_collection_goes_on_with_more_queries_models_and_budgets(tmp_path):
    with chat_server(says("The answer is 42.")) as server:
        collect(tmp_path, server.url, names="a")
        report = collect(tmp_path, server.url, questions(5), names="ab")
    assert report.asked == 20 - 6
    assert read_table(report.table).quality.shape == (5, 4)
