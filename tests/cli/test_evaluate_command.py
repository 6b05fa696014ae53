"""`r2-router evaluate`, from a CSV file to the folder of the report, with the embedded embedder."""

import csv
import json

import pytest

from r2_router.cli import main

PRICES = ("--price", "brief=0.1,0.4", "--price", "wordy=0.5,2")


@pytest.fixture
def data(tmp_path):
    """60 queries, two models, two budgets; questions of one kind want the wordy model, of the other the brief one."""
    path = tmp_path / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ("query_id", "query", "model", "budget", "quality", "output_tokens", "input_tokens", "category")
        )
        for i in range(60):
            kind = "sum" if i % 2 else "poem"
            text = f"What is {i} plus {3 * i}?" if i % 2 else f"Write a poem about garden number {i} in spring."
            for model in ("brief", "wordy"):
                right = 0.9 if (model == "brief") == (kind == "sum") else 0.2
                for budget, tokens in ((20, 15), ("", 200)):
                    writer.writerow((f"q{i}", text, model, budget, right, tokens + i % 7, 12, kind))
    return path


def run(capsys, *arguments):
    code = main(["evaluate", *map(str, arguments)])
    return code, *capsys.readouterr()


@pytest.mark.slow
def test_end_to_end(data, tmp_path, capsys):
    code, out, _ = run(capsys, "--data", data, "--output", tmp_path / "out", *PRICES, "--seeds", 2, "--ood")
    assert code == 0
    assert "Choosing by query beats the best constant of each worth" in out
    assert "\x1b" not in out
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("report.html", "report.json"),
        *("deferral.png", "deferral.svg", "calibration.png", "calibration.svg"),
    }
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["protocol"]["queries"] == 60
    assert report["usd_per_million"] == {"brief": [0.1, 0.4], "wordy": [0.5, 2.0]}
    assert report["ood"]["protocol"]["folds"] == 2


@pytest.mark.slow
def test_json_is_one_object_on_stdout(data, tmp_path, capsys):
    _, out, _ = run(capsys, "--data", data, "--output", tmp_path / "out", *PRICES, "--seeds", 1, "--json")
    assert json.loads(out) == json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_heads_that_no_checkpoint_can_hold_are_judged(data, tmp_path, capsys):
    options = ("--data", data, *PRICES, "--seeds", 1, "--jobs", 1, "--heads", "KNeighborsRegressor(n_neighbors=3)")
    code, out, _ = run(capsys, *options, "--output", tmp_path / "out")
    assert code == 0
    assert "Choosing by query beats the best constant of each worth" in out
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["heads_by"] == "KNeighborsRegressor(n_neighbors=3)"
    assert "training with KNeighborsRegressor(n_neighbors=3)" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--heads", "Ridge", "--checkpoint", "local"), "--heads says how to learn, and --checkpoint is learned"),
        (("--heads", "Ridge(print())"), "--heads names a regressor, with arguments by name"),
    ],
)
def test_heads_that_cannot_be_used(data, tmp_path, capsys, more, words):
    code, _, err = run(capsys, "--data", data, "--output", tmp_path / "out", *PRICES, *more)
    assert code == 1
    assert words in err


def test_models_without_a_price_are_named(data, tmp_path, capsys):
    code, _, err = run(capsys, "--data", data, "--output", tmp_path / "out", "--price", "brief=1,2")
    assert code == 1
    assert "No price for wordy:" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("price", ["brief", "brief=1", "brief=1,x", "=1,2", "brief=-1,2", "brief=nan,1", "brief=1,inf"])
def test_a_price_that_is_none(data, tmp_path, capsys, price):
    code, _, err = run(capsys, "--data", data, "--output", tmp_path / "out", "--price", price)
    assert code == 1
    assert "--price is MODEL=IN,OUT" in err


@pytest.mark.slow
def test_the_difference_that_the_choice_of_the_penalty_makes_is_said(data, tmp_path, capsys):
    rows = data.read_text(encoding="utf-8").splitlines()
    data.write_text("\n".join([rows[0], *(f"{row} {i // 4 % 5}" for i, row in enumerate(rows[1:]))]), encoding="utf-8")
    code, out, _ = run(capsys, "--data", data, *PRICES, "--seeds", 1, "--jobs", 1, "--output", tmp_path / "out")
    assert code == 0
    assert "AUDC, over router, penalty by queries left out" in out
    assert "by_queries" in json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["audc_gains"]


def test_one_fold_is_refused(data, tmp_path, capsys):
    code, _, err = run(capsys, "--data", data, "--output", tmp_path / "out", *PRICES, "--folds", 1)
    assert code == 1
    assert "--folds is at least 2" in err
