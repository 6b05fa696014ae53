"""The table of ratings: read in both forms, written and read again, the newer one in force, two ways of one model."""

from __future__ import annotations

from pathlib import Path

import pytest

from r2_router.errors import ConfigError
from r2_router.pools.ratings import OVERALL, Rating, load_ratings, ratings_file, read_ratings, write_ratings

HEAD = "model,name,category,rating,low,high,votes,date\n"


def dataset(*rows: str, date: str = "2027-01-02") -> bytes:
    """A table of the dataset's form: these rows, and models enough to be one."""
    others = [f"maker/other-{n},Other {n},{c},{1300 + n},1290,1310,900" for n in range(20) for c in ("overall", "math")]
    return (HEAD + "".join(f"{row},{date}\n" for row in (*others, *rows))).encode()


TWO_WAYS = (
    'vendor/x-4,"X 4 (Thinking 16K, 20270101)",overall,1400.4,1394.5,1406.3,5000',
    'vendor/x-4,"X 4 (Thinking 16K, 20270101)",math,1450,1440,1460,500',
    'vendor/x-4,"X 4 (Thinking 16K, 20270101)",coding,1430,1440,1460,500',
    "vendor/x-4,X 4 (20270101),writing,1380,1370,1390,500",
)


def test_a_table_as_the_dataset_has_it() -> None:
    ratings = read_ratings(dataset('v/a,"A (2027-01-01, High)",overall,1400.4,1396.5,1404.3,5000'), "t.csv")
    assert ratings.date == "2027-01-02"
    assert "CC BY 4.0" in ratings.source
    assert ratings.rated["v/a"] == Rating(
        name="v/a",
        overall=1400.4,
        by_category={OVERALL: 1400.4},
        votes=5000,
        error=pytest.approx(7.8 / 3.92),
        thinking=True,
        versions=("20270101",),
    )
    assert ratings.rated["maker/other-3"].by_category == {OVERALL: 1303.0, "math": 1303.0}


def test_two_ways_of_one_model() -> None:
    ratings = read_ratings(dataset(*TWO_WAYS), "t.csv")
    thinking, plain = ratings.both_ways("vendor/x-4") or pytest.fail("both ways are rated")
    assert (thinking.thinking, plain.thinking) == (True, False)
    assert (thinking.overall, thinking.by_category["math"]) == (1400.4, 1450)
    assert plain.by_category["writing"] == 1380
    assert 1360 < plain.overall < 1400.4  # the better one in one category of four
    assert all(plain.by_category[c] <= thinking.by_category[c] for c in ("math", "coding", OVERALL))
    assert plain.error > thinking.error
    assert ratings.find("x-4") is plain
    assert ratings.find("x-4", True) is ratings.find("x-4-thinking") is ratings.find("vendor/x-4:thinking") is thinking
    assert ratings.get("vendor/x-4", True) is ratings.get("x-4", True) is thinking
    assert ratings.both_ways("maker/other-1") is None
    assert ratings.find("maker/other-1-thinking") is None


def test_the_shipped_table_knows_both_ways_where_people_would_ask() -> None:
    ratings = load_ratings()
    for name in ("anthropic/claude-sonnet-4.5", "deepseek/deepseek-v3.2", "openai/gpt-5.4"):
        thinking, plain = ratings.both_ways(name) or pytest.fail(name)
        assert thinking.name == plain.name == name
        assert 0 <= abs(thinking.overall - plain.overall) < 60
    assert ratings.both_ways("openai/gpt-5-chat") is None


def test_a_name_is_known_with_its_maker_and_without() -> None:
    ratings = load_ratings()
    assert ratings.get("gpt-5-chat") is ratings.get(" OpenAI/GPT-5-chat ") is ratings.rated["openai/gpt-5-chat"]
    assert ratings.get("gpt-5-chatty") is None


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    ratings = read_ratings(dataset(*TWO_WAYS), "t.csv")
    file = tmp_path / "deep" / "ratings.csv"
    write_ratings(ratings, file)
    again = read_ratings(file.read_bytes(), "again")
    assert (again.date, again.source) == (ratings.date, ratings.source)
    assert again.rated.keys() == ratings.rated.keys()
    assert again.rated["vendor/x-4"].versions == ("20270101",)
    assert again.twins["vendor/x-4"].overall == round(ratings.twins["vendor/x-4"].overall)
    write_ratings(again, tmp_path / "twice.csv")
    assert (tmp_path / "twice.csv").read_bytes() == file.read_bytes()


def test_the_newer_table_is_in_force() -> None:
    assert load_ratings().date == "2026-10-20"
    write_ratings(read_ratings(dataset(date="2026-01-02"), "older"), ratings_file())
    assert load_ratings().date == "2026-10-20"
    write_ratings(read_ratings(dataset(), "newer"), ratings_file())
    assert load_ratings().date == "2027-01-02"
    assert load_ratings() is load_ratings()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        b"a,b\n1,2\n",
        HEAD.encode(),
        (HEAD + "v/a,A,overall,1400,1390,1410,10,2027-01-02\n").encode(),  # one model is no table
        dataset("v/a,A,overall,nan,1390,1410,10"),
        dataset("v/a,A,overall,1e9,1390,1410,10"),
        dataset("v/a,A,overall,1400,1390,1410,many"),
        dataset("v/a,A,overall,1400"),
        dataset("v/\x1b[31m,A,overall,1400,1390,1410,10"),
        dataset(",A,overall,1400,1390,1410,10"),
        dataset(date="soon"),
        b"# somebody's\n" + HEAD.encode(),
        b"# Ratings of tomorrow, by me.\nname\n",
        b'v,"' + b"x" * 200_000,
    ],
)
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^t\.csv (is no table of ratings|rates \d+ models)"):
        read_ratings(data, "t.csv")


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="larger than 8 MiB"):
        read_ratings(b"x" * (9 << 20), "t.csv")


def test_a_users_table_that_cannot_be_read_is_named() -> None:
    ratings_file().parent.mkdir(parents=True)
    ratings_file().write_text("nonsense")
    with pytest.raises(ConfigError, match=r"ratings\.csv is no table of ratings"):
        load_ratings()
