"""The queries of the larger sweep: `R2_DATA_DIR=FOLDER python benchmarks/sweep_queries.py OUTPUT.parquet`.

Exam questions from exam_queries.parquet in FOLDER, and queries made here, the same ones every time: 16 kinds with one
checkable answer each, and functions and explanations (open_queries.py). Without R2_DATA_DIR only the latter.
"""

import os
import random
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
from open_queries import EXPLANATIONS, FUNCTIONS, points, tests
from pyarrow import parquet

EXAM = {"arc-easy": 110, "arc-challenge": 80, "gsm8k": 110, "medmcqa": 50}
OF_A_KIND = 19  # 16 kinds, 304 queries

NAMES = ("Ada", "Bruno", "Chidi", "Dana", "Emil", "Farah", "Goran", "Hana", "Ines", "Jonas", "Kofi", "Lena")
THINGS = ("pencils", "apples", "tickets", "candles", "postcards", "bricks", "stamps", "muffins", "ropes", "lamps")
WORDS = [
    "lantern",
    "window",
    "bridge",
    "copper",
    "garden",
    "mirror",
    "thunder",
    "pocket",
    "ribbon",
    "saddle",
    "marble",
    "winter",
    "basket",
    "harbor",
    "meadow",
    "planet",
    "velvet",
    "cotton",
    "hammer",
    "island",
    "jungle",
    "kettle",
    "ladder",
    "mango",
    "needle",
    "orchard",
    "pepper",
    "quarry",
    "rabbit",
    "silver",
]
CAPITALS = {
    "Portugal": "Lisbon", "Kenya": "Nairobi", "Peru": "Lima", "Norway": "Oslo", "Thailand": "Bangkok",
    "Canada": "Ottawa", "Hungary": "Budapest", "Ghana": "Accra", "Chile": "Santiago", "Nepal": "Kathmandu",
    "Morocco": "Rabat", "Finland": "Helsinki", "Cuba": "Havana", "Vietnam": "Hanoi", "Iceland": "Reykjavik",
    "Mongolia": "Ulaanbaatar", "Uruguay": "Montevideo", "Senegal": "Dakar", "Latvia": "Riga", "Laos": "Vientiane",
}  # fmt: skip
SYMBOLS = {
    "iron": "Fe", "gold": "Au", "sodium": "Na", "potassium": "K", "silver": "Ag", "lead": "Pb", "tin": "Sn",
    "helium": "He", "copper": "Cu", "zinc": "Zn", "neon": "Ne", "calcium": "Ca", "tungsten": "W", "mercury": "Hg",
    "magnesium": "Mg", "silicon": "Si", "nickel": "Ni", "cobalt": "Co", "iodine": "I", "barium": "Ba",
}  # fmt: skip

Made = tuple[str, str, str]  # query, answer type, answer


def sums(r: random.Random, i: int) -> Made:
    a, b, c = r.randint(11, 400), r.randint(11, 400), r.randint(2, 60)
    return f"What is {a} + {b} - {c}?", "number", str(a + b - c)


def products(r: random.Random, i: int) -> Made:
    a, b = r.randint(3, 40), r.randint(6, 90)
    return f"Multiply {a} by {b}.", "number", str(a * b)


def precedence(r: random.Random, i: int) -> Made:
    a, b, c, d = (r.randint(2, 15) for _ in range(4))
    return f"Evaluate {a} + {b} * ({c} + {d}).", "number", str(a + b * (c + d))


def equations(r: random.Random, i: int) -> Made:
    a, x, b = r.randint(2, 12), r.randint(-9, 20), r.randint(1, 40)
    return f"Solve for x: {a}x + {b} = {a * x + b}", "number", str(x)


def percents(r: random.Random, i: int) -> Made:
    percent, price = r.choice((5, 10, 20, 25, 30, 40, 75)), r.randint(2, 30) * 20
    return (
        f"A coat costs ${price} and is reduced by {percent}%. What does it cost now?",
        "number",
        f"{price - price * percent / 100:g}",
    )


def shopping(r: random.Random, i: int) -> Made:
    name, thing = r.choice(NAMES), r.choice(THINGS)
    boxes, each, lost, price = r.randint(3, 12), r.randint(4, 24), r.randint(2, 11), r.randint(2, 9)
    query = (
        f"{name} buys {boxes} boxes with {each} {thing} each. {lost} of the {thing} are broken and thrown away, and "
        f"the rest are sold for ${price} each. How many dollars does {name} take in?"
    )
    return query, "number", str((boxes * each - lost) * price)


def journeys(r: random.Random, i: int) -> Made:
    speed, hours, other, more = r.randint(4, 12) * 10, r.randint(2, 6), r.randint(3, 9) * 10, r.randint(1, 4)
    query = (
        f"A van drives {hours} hours at {speed} km/h and then {more} hours at {other} km/h. How many km has it driven?"
    )
    return query, "number", str(speed * hours + other * more)


def letters(r: random.Random, i: int) -> Made:
    word = "".join(r.sample(WORDS, 2))
    letter = r.choice(word)
    return f'How many times does the letter "{letter}" occur in "{word}"?', "number", str(word.count(letter))


def reversals(r: random.Random, i: int) -> Made:
    word = r.choice(WORDS)[: r.randint(4, 7)]
    return f'Spell "{word}" backwards.', "contains", word[::-1]


def ordering(r: random.Random, i: int) -> Made:
    words = r.sample(WORDS, 4)
    return (
        f"Put these words into alphabetical order: {', '.join(words)}",
        "regex",
        "(?i)" + r"[\W\d]+".join(sorted(words)),
    )


def weekdays(r: random.Random, i: int) -> Made:
    start, days = date(2026, 1, 1) + timedelta(r.randint(0, 364)), r.randint(2, 40)
    last = rf"(?is)\b{start + timedelta(days):%A}\b(?!.*\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b)"
    return f"Today is a {start:%A}. Which day of the week is it in {days} days?", "regex", last


def dates(r: random.Random, i: int) -> Made:
    start = date(2025, 1, 1) + timedelta(r.randint(0, 300))
    end = start + timedelta(r.randint(5, 60))
    query = f"How many days lie between {start:%B} {start.day}, {start.year} and {end:%B} {end.day}, {end.year}?"
    return query, "number", str((end - start).days)


def units(r: random.Random, i: int) -> Made:
    name, factor, into = r.choice(
        (("kilometres", 1000, "metres"), ("hours", 60, "minutes"), ("kilograms", 1000, "grams"), ("days", 24, "hours"))
    )
    amount = r.choice((0.5, 1.5, 2.5, 3, 4, 6, 7.5, 9, 12))
    return f"Convert {amount:g} {name} to {into}.", "number", f"{amount * factor:g}"


def code(r: random.Random, i: int) -> Made:
    a, b, step = r.randint(1, 6), r.randint(8, 20), r.randint(2, 4)
    source, value = (
        (f"print(sum(range({a}, {b}, {step})))", sum(range(a, b, step))),
        (f"x = {a}\nfor i in range({step + 1}):\n    x = x * 2 + i\nprint(x)", _loop(a, step + 1)),
        (f"print(len([n for n in range({b}) if n % {step} == 0]))", len([n for n in range(b) if n % step == 0])),
    )[i % 3]
    return f"What does this Python program print?\n\n{source}", "number", str(value)


def capitals(r: random.Random, i: int) -> Made:
    country = list(CAPITALS)[i]
    return f"What is the capital of {country}?", "contains", CAPITALS[country]


def symbols(r: random.Random, i: int) -> Made:
    element = list(SYMBOLS)[i]
    speaking = r"(?!'| (?:am|can|could|do|have|think|will|would)\b)"  # "I think", and not iodine
    return f"Give the chemical symbol of {element}.", "regex", rf"\b{SYMBOLS[element]}\b{speaking}"


KINDS: tuple[Callable[[random.Random, int], Made], ...] = (
    sums, products, precedence, equations, percents, shopping, journeys, letters, reversals, ordering, weekdays, dates,
    units, code, capitals, symbols,
)  # fmt: skip


def _loop(x: int, n: int) -> int:
    for i in range(n):
        x = x * 2 + i
    return x


def made_here() -> list[dict[str, str]]:
    """OF_A_KIND queries of each kind, no text twice, and the open ones."""
    rows: list[dict[str, str]] = []
    seen: set[str] = set()
    for kind in KINDS:
        r, i = random.Random(kind.__name__), 0
        while i < OF_A_KIND:
            query, answer_type, answer = kind(r, i)
            if query in seen:
                continue
            seen.add(query)
            rows.append(_row(kind.__name__, i, (query, answer_type, answer)))
            i += 1
    rows += [_row("functions", i, (query, "code", tests(needed))) for i, (query, needed) in enumerate(FUNCTIONS)]
    rows += [
        _row("explanations", i, (query, "regex", points(needed))) for i, (query, *needed) in enumerate(EXPLANATIONS)
    ]
    return rows


def _row(kind: str, i: int, made: Made) -> dict[str, str]:
    query, answer_type, answer = made
    row = {"query_id": f"made-{kind}/{i}", "category": f"made-{kind}"}
    return row | {"query": query, "answer": answer, "answer_type": answer_type}


def exam(folder: Path) -> list[dict[str, str]]:
    """EXAM many of each category, drawn by chance, none that the pilot asked."""
    pilot = set(parquet.read_table(folder / "local_sweep.parquet", columns=["query"]).column("query").to_pylist())
    rows = [row for row in parquet.read_table(folder / "exam_queries.parquet").to_pylist() if row["query"] not in pilot]
    random.Random(0).shuffle(rows)
    return [row for name, count in EXAM.items() for row in [r for r in rows if r["category"] == name][:count]]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = os.environ.get("R2_DATA_DIR", "")
    rows = [*made_here(), *(exam(Path(folder)) if folder else [])]
    random.Random(0).shuffle(rows)  # so that whatever is measured first is a sample of all
    parquet.write_table(pa.Table.from_pylist(rows), sys.argv[1])
    print(f"{sys.argv[1]}: {len(rows)} queries")


if __name__ == "__main__":
    main()
