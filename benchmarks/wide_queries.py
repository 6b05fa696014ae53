"""The queries of the wide sweep, and a right answer to each.

    R2_DATA_DIR=FOLDER python benchmarks/wide_queries.py OUTPUT.parquet    the same ones every time
    R2_DATA_DIR=FOLDER python benchmarks/wide_queries.py --check           every right answer, by its query's grader

Our own queries (sweep_queries.py), and of FOLDER's exam_queries, diverse_queries and everyday_queries up to OF_A_KIND
of each kind. They come in rounds, one query of each kind in turn, so that whatever is measured first is a sample of all
kinds. Nothing of FOLDER is committed: the texts are their benchmarks' own.
"""

import asyncio
import json
import os
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from instruction_answers import followed_by
from open_answers import CODE, explained
from open_queries import EXPLANATIONS
from pyarrow import parquet
from sweep_queries import made_here

from r2_router.lab.data.questions import Question
from r2_router.lab.grading import finals, make_grader

OF_A_KIND = 24
MAX_CHARS = 4000  # of a query: with 1,500 tokens of answer it fits the context of a local model
LEFT_OUT = ("dyck_languages", "MATH")  # brackets alone, and formulas, are more than `exact` can compare

Row = dict[str, Any]


def ours() -> Iterator[Row]:
    """What sweep_queries.py makes, with right answers."""
    points = {query: explained(list(needed)) for query, *needed in EXPLANATIONS}
    for row in made_here():
        kind = row["category"].removeprefix("made-")
        if row["answer_type"] == "code":
            reference = f"```python{CODE}```"
        elif kind == "explanations":
            reference = points[row["query"]]
        elif row["answer_type"] == "regex":
            reference = _plain(row)
        else:
            reference = row["answer"]
        yield row | {"reference": reference}


def _plain(row: Row) -> str:
    """The right answer to a query of ours whose grader is an expression, found apart from that expression."""
    kind, query = row["category"].removeprefix("made-"), row["query"]
    if kind == "ordering":
        return ", ".join(sorted(query.partition(": ")[2].split(", ")))
    if kind == "weekdays":
        names = [f"{date(2026, 1, 5 + i):%A}" for i in range(7)]
        today, days = re.findall(r"a (\w+)\.|in (\d+) days", query)
        return names[(names.index(today[0]) + int(days[1])) % 7]
    return str(re.search(r"\\b(\w+)\\b", row["answer"])[1])  # type: ignore[index]


def exams(folder: Path) -> Iterator[Row]:
    for row in _rows(folder / "exam_queries.parquet"):
        yield _row(row, f"exam-{row['category']}", row["answer_type"], row["answer"], row["answer"])


def diverse(folder: Path) -> Iterator[Row]:
    """The first accepted answer is the right one; several make one expression, numbers are compared as numbers."""
    for row in _rows(folder / "diverse_queries.parquet"):
        accepted = [str(each).strip() for each in json.loads(row["answer"])]
        kind = f"mix-{row['category']}"
        if row["answer_type"] == "choice":
            yield _row(row, kind, "choice", accepted[0], accepted[0])
        elif all(re.fullmatch(r"-?\d[\d,]*(\.\d+)?", each) for each in accepted):
            if len({tuple(finals.numbers(each)) for each in accepted}) == 1:
                yield _row(row, kind, "number", accepted[0], accepted[0])
        elif min(map(len, accepted)) > 1 and not any(each.replace(".", "").isdecimal() for each in accepted):
            found = "|".join(finals.whole_words(each).pattern for each in dict.fromkeys(accepted))
            yield _row(row, kind, "regex", f"(?i){found}", accepted[0])


def everyday(folder: Path) -> Iterator[Row]:
    """BIG-Bench Hard, and IFEval by the first instruction's family where an answer that follows all was found."""
    for row in _rows(folder / "everyday_queries.parquet"):
        if row["source"] == "bbh":
            yield _row(row, f"bbh-{row['category']}", row["answer_type"], row["answer"], row["answer"])
        elif row["source"] == "ifeval" and "language:response_language" not in row["constraints"]:
            family = json.loads(row["constraints"])[0][0].partition(":")[0]
            reference = followed_by(Question(row["query_id"], row["query"], extra={"constraints": row["constraints"]}))
            if reference is not None:
                made = _row(row, f"ifeval-{family}", "instructions", "", reference)
                yield made | {"constraints": row["constraints"]}


def _rows(file: Path) -> list[Row]:
    """In an order that chance gave, the same every time; without what is too long."""
    rows = [row for row in parquet.read_table(file).to_pylist() if len(row["query"]) <= MAX_CHARS]
    rows = [row for row in rows if row["category"] not in LEFT_OUT]
    random.Random(file.stem).shuffle(rows)
    return rows


def _row(row: Row, kind: str, answer_type: str, answer: str, reference: str) -> Row:
    made = {"query_id": row["query_id"], "query": row["query"], "category": kind}
    return made | {"answer": answer, "answer_type": answer_type, "reference": reference}


def answerable(row: Row) -> bool:
    """Whether the right letter is one of the options that the query lists, where it is a choice."""
    if row["answer_type"] != "choice":
        return True
    query, _ = finals.lettered(row["query"], "")
    letters = set(finals.options(query))
    return row["answer"] in letters | {str(i + 1) for i in range(len(letters)) if query != row["query"]}


def queries(folder: Path | None) -> list[Row]:
    """In rounds, one of each kind in turn; a text counts once, a query without its answer among its options never."""
    sources = [ours(), *([exams(folder), diverse(folder), everyday(folder)] if folder else [])]
    kinds: defaultdict[str, list[Row]] = defaultdict(list)
    seen: set[str] = set()
    for row in (row for source in sources for row in source):
        if row["query"] not in seen and answerable(row) and len(kinds[row["category"]]) < OF_A_KIND:
            seen.add(row["query"])
            kinds[row["category"]].append({"constraints": None} | row)
    found: list[Row] = []
    for i in range(OF_A_KIND):
        of_a_round = [rows[i] for rows in kinds.values() if i < len(rows)]
        random.Random(i).shuffle(of_a_round)
        found += of_a_round
    return found


def wrongly_graded(rows: Sequence[Row]) -> list[str]:
    """The ids of the queries whose right answer its own grader does not find right."""
    grader = make_grader("auto")

    async def grade(row: Row) -> bool:
        question = Question(
            *(row[name] for name in ("query_id", "query", "answer", "answer_type", "category")),
            extra={"constraints": row["constraints"]},
        )
        grader.check(question)
        return (await grader.grade(question, row["reference"])).quality == 1

    return [row["query_id"] for row in rows if not asyncio.run(grade(row))]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = os.environ.get("R2_DATA_DIR", "")
    rows = queries(Path(folder) if folder else None)
    print(f"{len(rows):,} queries of {len(Counter(row['category'] for row in rows))} kinds")
    if sys.argv[1] == "--check":
        wrong = wrongly_graded(rows)
        print(f"{len(rows) - len(wrong):,} right answers pass their own grader; not: {', '.join(wrong) or 'none'}")
        sys.exit(1 if wrong else 0)
    parquet.write_table(pa.Table.from_pylist(rows), sys.argv[1])


if __name__ == "__main__":
    main()
