"""`r2-router train`: from a file of measured answers to a checkpoint that routes, with the embedded embedder."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from r2_router import R2Router
from r2_router.checkpoints.format import Checkpoint
from r2_router.cli import main
from r2_router.lab.data.table import MIN_QUERIES
from r2_router.ledger import Entry, Ledger

INSTRUCTION = "Answer in at most {words} words."
COLUMNS = ("query_id", "query", "model", "budget", "quality", "output_tokens", "input_tokens", "category")
POOL = """
[pool]
base_url = "http://localhost:9"
[models.small]
id = "v/small"
usd_per_million = [0.1, 0.4]
[models.large]
id = "v/large"
usd_per_million = [0.5, 2.0]
"""
NOUNS = ("river", "engine", "king", "cell", "poem", "market", "planet", "treaty", "muscle", "comet")
EASY, HARD = "What is {} + {}?", "Write an essay on how the {} shaped the {} and argue against it."


def queries(count: int, seed: int = 0) -> list[tuple[str, bool]]:
    """Sums, which any model gets right, and essays, which take the large one and room."""
    rng = random.Random(seed)
    made: dict[str, bool] = {}
    while len(made) < count:
        easy = len(made) % 2 == 0
        pair = [rng.randrange(900), rng.randrange(900)] if easy else rng.sample(NOUNS, 2)
        made[(EASY if easy else HARD).format(*pair)] = easy
    return list(made.items())


def rows(count: int = 60, models: tuple[str, ...] = ("small", "large"), seed: int = 0) -> list[dict[str, object]]:
    found = []
    for i, (query, easy) in enumerate(queries(count, seed)):
        for model in models:
            for budget in (30, ""):
                good = easy or (model != "small" and budget == "")
                tokens = ((4 if easy else 30) if budget else 300) + i % 7
                quality = (0.9 if good else 0.1) + 0.01 * (i % 5)
                cell = (f"q{i}", query, model, budget, quality, tokens, 12, "sum" if easy else "essay")
                found.append(dict(zip(COLUMNS, cell, strict=True)))
    return found


def write(file: Path, cells: list[dict[str, object]], about: dict[str, object] | None = None) -> Path:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(cells)
    if about is not None:
        file.with_name(f"{file.name}.about.json").write_text(json.dumps(about))
    return file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "answers.csv", rows())


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    file = tmp_path / "mine.toml"
    file.write_text(POOL)
    return file


@pytest.fixture
def train(tmp_path: Path, pool: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """Run the command with the pool; what it wrote to stdout and stderr."""

    def train(*arguments: object, code: int = 0, output: str = "heads") -> tuple[str, str]:
        given = [str(argument) for argument in arguments]
        chosen = [] if "--pool" in given else ["--pool", str(pool)]
        assert main(["train", *given, *chosen, "--output", str(tmp_path / output)]) == code
        return capsys.readouterr()

    return train


def heads(tmp_path: Path, name: str = "heads") -> Checkpoint:
    return Checkpoint.load(tmp_path / name)


def label(query: str, quality: float, *, log_text: bool = True, **changes: object) -> None:
    fields = {"face": "cli", "outcome": "answered", "model": "small", "budget": 30, "output_tokens": 5}
    with Ledger(log_text=log_text) as ledger:
        ledger.set_quality(ledger.record(Entry(query=query, **{**fields, **changes})), quality)  # type: ignore[arg-type]


# -- the whole way -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_from_a_csv_to_a_choice_and_its_reasons(data, pool, train, tmp_path, capsys):
    out, err = train("--data", data, "--instruction", INSTRUCTION)
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "240 rows, 60 queries."
    table = [line.split() for line in lines[1:6]]
    assert table[1][:5] == ["small", "30", "60", "0.520", "20"]
    assert float(table[1][5]) > 0.9  # sums and essays are told apart on queries left out
    assert "Choosing by query beats the best constant of each worth" in out
    assert lines[-1] == f'Saved. Try it: r2-router route "..." --checkpoint {tmp_path / "heads"} --pool {pool}'

    router = R2Router.from_pretrained(tmp_path / "heads", pool=pool)
    assert router.checkpoint.metrics["verdict"] in lines
    easy = router.route_text("What is 17 + 4?", worth_usd=0.001)
    hard = router.route_text("Write an essay on how the glacier shaped the village.", worth_usd=0.001)
    assert easy.best.model == "small"
    assert (hard.best.model, hard.best.budget) == ("large", "unlimited")
    assert hard.best.predicted_output_tokens > 20 * easy.best.predicted_output_tokens

    given = ["--worth", "0.001", "--checkpoint", str(tmp_path / "heads"), "--pool", str(pool)]
    assert main(["explain", "What is 17 + 4?", *given]) == 0
    assert "Frontier" in capsys.readouterr().out


@pytest.mark.slow
def test_the_checkpoint_says_what_it_was_made_of(data, train, tmp_path):
    card = tmp_path / "card.toml"
    card.write_text('about = "sums and essays"\nmeasured = 2026-11-02\n')
    options = ("--card", card, "--note", "a try", "--name", "mine", "--no-evaluate")
    train("--data", data, "--instruction", INSTRUCTION, *options)
    made = heads(tmp_path)
    assert made.name == "mine"
    assert made.data_card["about"] == "sums and essays"
    assert made.data_card["measured"] == "2026-11-02"
    assert made.data_card["note"] == "a try"
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    assert made.data_card["table"] == {"file": "answers.csv", "sha256": digest}
    assert made.data_card["counts"]["queries"] == 60
    assert len(made.data_card["trained"]) == 10
    assert made.instruction.text == INSTRUCTION
    assert (made.embedder.id, made.embedder.dim) == ("use-multilingual-v3", 512)
    assert made.embedder.revision
    assert made.probe_vectors is not None


@pytest.mark.slow
def test_the_same_table_makes_the_same_files_and_embeds_nothing_twice(data, train, tmp_path, monkeypatch):
    from r2_router.embedders.use import UseEmbedder
    from r2_router.lab.data.probes import PROBES

    embedded: list[str] = []
    real = UseEmbedder.embed

    def counting(self, texts):
        embedded.extend(text for text in texts if text not in PROBES)
        return real(self, texts)

    monkeypatch.setattr(UseEmbedder, "embed", counting)
    train("--data", data, "--instruction", INSTRUCTION, "--no-evaluate", "--name", "same")
    assert len(embedded) == 60
    train("--data", data, "--instruction", INSTRUCTION, "--no-evaluate", "--name", "same", output="again")
    assert len(embedded) == 60
    for file in ("checkpoint.json", "heads.safetensors"):
        assert (tmp_path / "heads" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


@pytest.mark.slow
def test_what_the_table_says_of_itself_is_used_and_options_overrule_it(tmp_path, train):
    asked = {"text": "Briefly: {budget}.", "place": "system", "words_per_token": 0.5, "cap_extra": 8, "temperature": 0}
    file = write(tmp_path / "t.csv", rows(), {"instruction": asked, "card": {"about": "theirs", "license": "MIT"}})
    card = tmp_path / "card.json"
    card.write_text('{"about": "ours"}')
    train("--data", file, "--no-evaluate", "--card", card, "--cap-extra", 3)
    made = heads(tmp_path)
    assert made.instruction.to_dict() == {**asked, "cap_extra": 3}
    assert (made.data_card["about"], made.data_card["license"]) == ("ours", "MIT")


@pytest.mark.slow
def test_json_holds_counts_and_metrics(data, train, tmp_path):
    out, _ = train("--data", data, "--instruction", INSTRUCTION, "--no-evaluate", "--json")
    said = json.loads(out)
    assert said["checkpoint"] == str(tmp_path / "heads")
    assert said["counts"]["rows"] == 240
    assert said["metrics"] == dict(heads(tmp_path).metrics)


@pytest.mark.slow
def test_a_pool_by_name_is_found_by_name(home: Path, data, train, tmp_path):
    folder = home / "pools"
    folder.mkdir(parents=True)
    (folder / "ours.toml").write_text(POOL)
    train("--data", data, "--instruction", INSTRUCTION, "--no-evaluate", "--pool", "ours")
    assert heads(tmp_path).pool == "ours"
    assert R2Router.from_pretrained(tmp_path / "heads").route_text("What is 1 + 1?").best.model in ("small", "large")


@pytest.mark.slow
def test_uneven_tables_are_trained_and_the_comparison_says_what_it_lacks(tmp_path, pool, train):
    cells = rows()
    kept = [cell for cell in cells if cell["model"] == "small" or int(str(cell["query_id"])[1:]) < 30]
    kept += [cells[0], {**cells[1], "quality": ""}]
    out, _ = train("--data", write(tmp_path / "t.csv", kept), "--instruction", INSTRUCTION)
    assert out.startswith("182 rows, 60 queries, 1 repeated rows, 1 ungraded rows, 60 missing cells.")
    assert "Not compared with the simple choices: Only 30 queries" in out
    assert R2Router.from_pretrained(tmp_path / "heads", pool=pool).route_text("What is 1 + 1?").best.model in (
        "small",
        "large",
    )


@pytest.mark.slow
@pytest.mark.parametrize("free", ["[0.1, 0.4]", "[0.5, 2.0]", "[0.1, 0.4] [0.5, 2.0]"])
def test_free_models_are_trained_and_evaluated(data, train, tmp_path, pool, free):
    for price in free.split("] "):
        pool.write_text(pool.read_text().replace(f"{price.strip('[]')}", "0, 0"))
    out, _ = train("--data", data, "--instruction", INSTRUCTION)
    assert "Choosing by query" in out
    report = tmp_path / "report"
    assert main(["evaluate", "--data", str(data), "--pool", str(pool), "--seeds", "1", "--output", str(report)]) == 0
    assert json.loads((report / "report.json").read_text())["methods"]["router"]["audc_padded"]


@pytest.mark.slow
def test_answers_that_were_dropped_where_they_were_bad_are_warned_of(tmp_path, train):
    cells = [
        {**cell, "quality": "" if cell["model"] == "small" and cell["budget"] and i % 2 else cell["quality"]}
        for i, cell in enumerate(rows())
    ]
    by_chance = [{**cell, "quality": "" if i % 11 == 0 else cell["quality"]} for i, cell in enumerate(rows())]
    _, err = train("--data", write(tmp_path / "t.csv", by_chance), "--instruction", INSTRUCTION, "--no-evaluate")
    assert "warning" not in err
    for i, cell in enumerate(cells):
        if cell["model"] == "small" and cell["budget"] and i % 3 == 0:
            cell["quality"] = ""
    _, err = train("--data", write(tmp_path / "t.csv", cells), "--instruction", INSTRUCTION, "--no-evaluate", "--force")
    assert "warning: The answers without a quality are not spread by chance: small @ 30 lost 20 of 60" in err


# -- what cannot be trained ----------------------------------------------------------------------------------------


def test_without_an_instruction_it_says_how_to_give_one(data, train, tmp_path):
    _, err = train("--data", data, code=1)
    assert "--instruction" in err
    assert not (tmp_path / "heads").exists()


@pytest.mark.slow
def test_unlimited_answers_alone_need_no_instruction(tmp_path, train):
    cells = [cell for cell in rows() if cell["budget"] == ""]
    train("--data", write(tmp_path / "t.csv", cells), "--no-evaluate")
    assert heads(tmp_path).budgets == ("unlimited",)


@pytest.mark.slow
def test_an_existing_checkpoint_is_kept_unless_forced(data, train, tmp_path):
    train("--data", data, "--instruction", INSTRUCTION, "--no-evaluate")
    before = (tmp_path / "heads" / "checkpoint.json").read_bytes()
    _, err = train("--data", data, "--instruction", "Other: {words}.", "--no-evaluate", code=1)
    assert "not empty" in err
    assert (tmp_path / "heads" / "checkpoint.json").read_bytes() == before
    train("--data", data, "--instruction", "Other: {words}.", "--no-evaluate", "--force")
    assert heads(tmp_path).instruction.text == "Other: {words}."


@pytest.mark.slow
def test_a_model_without_a_price_is_said_before_anything_is_embedded(tmp_path, train, home):
    file = write(tmp_path / "t.csv", rows(models=("small", "stranger")))
    _, err = train("--data", file, "--instruction", INSTRUCTION, code=1)
    assert "no price for stranger" in err
    assert not (home / "data").exists()
    _, err = train("--data", file, "--instruction", INSTRUCTION, "--no-evaluate")
    assert err.startswith("note: Pool 'mine' has no price for stranger")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--data F"),
        (("--data", "missing.csv"), "No training table"),
        (("--data", "DATA", "--instruction", "x", "--embed-url", "http://localhost:9"), "--embedder NAME"),
        (("--data", "DATA", "--instruction", "x", "--cap-extra", "-5"), "cannot be an instruction"),
        (("--data", "DATA", "--instruction", "x", "--words-per-token", "nan"), "cannot be an instruction"),
        (("--data", "DATA", "--instruction", "x", "--card", "missing.toml"), "missing.toml cannot be read"),
        (("--data", "DATA", "--instruction", "x", "--card", "missing.json"), "missing.json cannot be read"),
        (("--data", "DATA", "--instruction", "x", "--pool", "nowhere"), "No pool 'nowhere'"),
        (("--data", "DATA", "--add", "new"), "--base DIR"),
        (("--data", "DATA", "--base", "local"), "the table answers of none of them"),
        (("--data", "DATA", "--base", "nowhere"), "No checkpoint 'nowhere'"),
        (("--data", "DATA", "--base", "local", "--heads", "Ridge"), "--heads is for a checkpoint from nothing"),
        (("--from-ledger",), "no label to learn from"),
    ],
)
def test_mistakes_are_one_sentence(data, train, tmp_path, arguments, message):
    out, err = train(*(data if argument == "DATA" else argument for argument in arguments), code=1)
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "heads").exists()


@pytest.mark.parametrize("text", ["[1]", "{", '{"a": '])
def test_a_card_that_is_none_is_said(data, train, tmp_path, text):
    card = tmp_path / "card.json"
    card.write_text(text)
    _, err = train("--data", data, "--instruction", "x", "--card", card, code=1)
    assert "card.json" in err


def test_an_instruction_of_the_table_that_cannot_be_one_is_said(tmp_path, train):
    file = write(tmp_path / "t.csv", rows(), {"instruction": {"text": "x", "place": "elsewhere"}})
    _, err = train("--data", file, code=1)
    assert "cannot be an instruction" in err


# -- another model, and labels -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_model_is_added_and_the_others_stay_as_they_were(data, train, tmp_path):
    train("--data", data, "--instruction", INSTRUCTION, "--no-evaluate")
    file = write(tmp_path / "new.csv", rows(50, ("new", "small"), seed=5))
    out, err = train("--add", "new", "--data", file, "--base", tmp_path / "heads", output="more")
    assert "no price for new" in err
    assert "new is added" in out
    assert "r2-router evaluate --data" in out
    base, more = heads(tmp_path), heads(tmp_path, "more")
    assert more.models == ("small", "large", "new")
    assert more.name == "more"
    count = len(base.candidates)
    np.testing.assert_array_equal(more.weights[:count], base.weights[:count])
    assert more.pool == "mine"


@pytest.mark.slow
def test_the_prior_goes_on_from_a_few_answers(pool, train, tmp_path):
    file = write(tmp_path / "few.csv", rows(5))
    out, err = train("--data", file, "--base", "prior", "--pool", pool)
    assert "believed after 20 answers" in out
    assert err == ""
    learned = heads(tmp_path)
    assert learned.quality_scale == "logit"
    assert learned.data_card["estimated_from"] == "public ratings"
    assert learned.data_card["learned"][0]["counts"]["queries"] == 5
    sum_, essay = EASY.format(411, 37), HARD.format("king", "poem")

    def apart(checkpoint: str | Path) -> float:
        """How much more is expected of the small model, brief, on a sum than on an essay."""
        router = R2Router.from_pretrained(checkpoint, pool=pool)
        return float(
            np.subtract(*(router.route_text(text, model="small").best.predicted_quality for text in (sum_, essay)))
        )

    assert apart(tmp_path / "heads") > apart("prior")


@pytest.mark.slow
def test_a_checkpoint_goes_on_from_answers_it_knows_and_says_which_it_does_not(data, train, tmp_path):
    train("--data", data, "--instruction", INSTRUCTION, "--no-evaluate")
    file = write(tmp_path / "more.csv", rows(8, ("new", "small"), seed=5))
    out, err = train("--base", tmp_path / "heads", "--data", file, output="more")
    assert "has no heads for them: new @ 30, new @ unlimited" in err
    assert "believed after 16 answers" in out
    assert heads(tmp_path, "more").models == ("small", "large")


@pytest.mark.slow
def test_labels_beside_a_table_move_its_heads(data, pool, train, tmp_path):
    train("--data", data, "--instruction", INSTRUCTION, "--no-evaluate")
    for query, easy in queries(60, seed=8):
        if easy:
            label(query, 0.0)
    label("What is 5 + 6?", 1.0, log_text=False)
    label("What is 5 + 7?", 1.0, budget=17)
    out, err = train("--data", data, "--from-ledger", "--instruction", INSTRUCTION, "--no-evaluate", output="learned")
    assert "30 labelled answers of the ledger" in err
    assert "1 more are left out: their queries' text was not kept" in err
    assert f"needs {MIN_QUERIES} queries with a label: small @ 17 has 1" in err
    assert out.startswith("270 rows, ")

    def expected(name: str) -> float:
        decision = R2Router.from_pretrained(tmp_path / name, pool=pool).route_text("What is 17 + 4?")
        return next(c.predicted_quality for c in decision.candidates if (c.model, c.budget) == ("small", 30))

    assert expected("learned") < expected("heads") - 0.2
    assert heads(tmp_path, "learned").data_card["ledger"]


@pytest.mark.slow
def test_labels_alone_take_the_instruction_of_the_checkpoint_that_asked(home, data, train, tmp_path, monkeypatch):
    own = home / "data" / "checkpoints"
    train("--data", data, "--instruction", INSTRUCTION, "--no-evaluate", output=own / "heads")
    train("--data", data, "--instruction", "Other: {words}.", "--no-evaluate", output=own / "other")
    monkeypatch.chdir(tmp_path)
    train("--data", data, "--instruction", "Somebody else's.", "--no-evaluate")  # ./heads, which is no name
    for query, easy in queries(MIN_QUERIES, seed=8):
        label(query, float(easy), checkpoint="heads")
    _, err = train("--from-ledger", "--no-evaluate", output="learned")
    assert f"{MIN_QUERIES} labelled answers" in err
    assert heads(tmp_path, "learned").instruction.text == INSTRUCTION

    for query, easy in queries(MIN_QUERIES, seed=9):
        label(query, float(easy), checkpoint="other")
    _, err = train("--from-ledger", "--no-evaluate", output="both", code=1)
    assert "--instruction" in err  # two were used, and only the user knows which is meant
    _, err = train("--from-ledger", "--no-evaluate", "--instruction", "Other: {words}.", output="both")
    assert f"{MIN_QUERIES} more are left out: another checkpoint's instruction" in err


def test_too_few_labels_say_which_candidate_lacks_how_many(train):
    for query, easy in queries(5):
        label(query, float(easy))
    _, err = train("--from-ledger", "--instruction", INSTRUCTION, code=1)
    assert f"needs {MIN_QUERIES} queries with a label: small @ 30 has 5" in err


# -- heads of scikit-learn's -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_heads_of_another_regressor_are_saved_as_ours_are(data, pool, train, tmp_path):
    train("--data", data, "--instruction", INSTRUCTION, "--no-evaluate", "--heads", "Ridge(alpha=0.5)")
    checkpoint = heads(tmp_path)
    assert checkpoint.metrics["heads_by"] == "Ridge(alpha=0.5)"
    assert {file.name for file in (tmp_path / "heads").iterdir()} == {"checkpoint.json", "heads.safetensors"}
    router = R2Router.from_pretrained(tmp_path / "heads", pool=pool)
    assert router.route_text("What is 17 + 4?", worth_usd=0.001).best.model == "small"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("KNeighborsRegressor", "are not linear, and a checkpoint holds one matrix, never a program"),
        ("Nothing", "scikit-learn has no regressor Nothing"),
    ],
)
def test_heads_that_cannot_be_saved_are_refused(data, train, tmp_path, spec, words):
    _, err = train("--data", data, "--instruction", INSTRUCTION, "--no-evaluate", "--heads", spec, code=1)
    assert words in err
    assert not (tmp_path / "heads").exists()
