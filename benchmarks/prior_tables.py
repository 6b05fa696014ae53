"""The tables of docs/results.md that tell what the prior is worth, of benchmarks/results/prior.json."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SOURCES = {
    "mmlu_pro": "MMLU-Pro",
    "diverse": "MixEval",
    "routerarena_part": "RouterArena",
    "zeroeval": "ZeroEval",
    "sweep": "own sweep",
}
ASKED = {"mmlu_pro": "MMLU-Pro, 9 models", "zeroeval": "ZeroEval, 19 models"}


def prior_blocks(found: Mapping[str, Any]) -> dict[str, str]:
    return {
        "prior-models": ways(found["among_models"], ASKED),
        "prior-lengths": ways(found["lengths"], {name: name.removesuffix("-Instruct") for name in found["lengths"]}),
        "prior-difficulty": difficulty(found["difficulty"]),
        "prior-arena": arena(found["difficulty"]["routerarena"]),
        "prior-levels": levels(found["levels"]),
        "prior-presets": presets(found["presets"]),
        "prior-thinking": thinking(found["thinking"]["by_category"]),
        "prior-thinks": thinks(found["thinking"]["choices"]),
        "prior-robustness": robustness(found["robustness"]),
        "prior-speed": f"Composed for 50 models x 7 budgets in {found['speed']['compose_50_models_ms']:.1f} ms.",
    }


def lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def ways(tables: Mapping[str, Any], shown: Mapping[str, str]) -> str:
    """Each way to choose: its area on each table, and the prior's above it."""

    def cell(way: Mapping[str, Any]) -> str:
        over = way["prior_over"]
        if over is None:
            return f"{way['audc_padded'][0]:.3f}"
        low, high = over["interval_95"]
        return f"{way['audc_padded'][0]:.3f}; {over['mean']:+.3f} ({low:+.3f} to {high:+.3f})"

    names = list(next(iter(tables.values()))["ways"])
    rows = [[way, *(cell(tables[name]["ways"][way]) for name in shown)] for way in names]
    return lines(["way to choose", *shown.values()], rows)


def learning_blocks(found: Mapping[str, Any]) -> dict[str, str]:
    """The tables of what labels add, of benchmarks/results/learning.json."""
    shown = {"sweep": "own sweep, 3 models x 6 budgets", **ASKED}
    drawn = {**shown, "routerarena_part": "RouterArena, 2 models"}
    curves = {name: found[name]["curve"]["ways"] for name in drawn}
    rows = []
    for way in (way for way in curves["sweep"] if way != "oracle"):
        cells = []
        for of in (curves[name].get(way) for name in drawn):
            if of is None:
                cells.append("-")
                continue
            over = of["prior_over"]
            gain = "" if over is None else f" ({-over['mean']:+.3f} ±{_half(over['interval_95']):.3f})"
            cells.append(f"{of['audc_padded'][0]:.3f}{gain}; {of['surprise']:.3f}")
        rows.append([way, *cells])
    told = found["sweep"]["preferences"]["ways"]
    compared = [
        [
            way,
            *(
                f"{of['audc_padded'][0]:.3f}; {of['surprise']:.3f}"
                if (of := found[name]["preferences"]["ways"].get(way))
                else "-"
                for name in shown
            ),
        ]
        for way in told
        if "surprise" in told[way]
    ]
    counts = next(iter(found.values()))["new_model"]
    joined = [[way, *(f"{found[name]['new_model'][way]:.3f}" for name in shown)] for way in counts]
    return {
        "learning": lines(["heads", *drawn.values()], rows),
        "learning-exploration": lines(
            ["worth of an answer, share that explores", *shown.values()],
            [
                [way, *(f"{found[name]['exploration'][way]:.3f}" for name in shown)]
                for way in found["sweep"]["exploration"]
            ],
        ),
        "learning-preferences": lines(["heads", *shown.values()], compared),
        "learning-new-model": lines(["the new model's heads", *shown.values()], joined),
    }


def replay_blocks(found: Mapping[str, Any]) -> dict[str, str]:
    """A table a protocol of benchmarks/results/replay.json: the value of an answer, regret, and ours above it."""
    shown = {"sweep": "own sweep, 3 models x 6 budgets", **ASKED}

    def cell(of: Mapping[str, Sequence[float]]) -> str:
        value, oracle, constant, over = (of[part] for part in ("value", "oracle", "constant", "ours_over"))
        return f"{value[0]:.3f}; {oracle[0]:.3f}; {constant[0]:+.3f}; {over[0]:+.3f} ±{over[1]:.3f}"

    return {
        f"replay-{protocol.replace(' ', '-')}": lines(
            ["who chooses", *shown.values()],
            [[way, *(cell(found[name][protocol][way]) for name in shown)] for way in found["sweep"][protocol]],
        )
        for protocol in found["sweep"]
    }


def learn_speed(found: Mapping[str, Any]) -> str:
    """What `learn` takes beside the embedding."""
    said = [
        f"{of['processor_s']:.1f} s with the {of['candidates']} candidates of {name}"
        for name, of in found["results"].items()
    ]
    asked = f"`r2-router learn` from {found['answers']:,} answers, beside the embedding"
    return f"{asked}: in processor time, {', '.join(said)}."


def _half(interval: Sequence[float]) -> float:
    return (interval[1] - interval[0]) / 2


def difficulty(found: Mapping[str, Any]) -> str:
    said = {
        **{f"penalty {float(alpha):g}": aucs for alpha, aucs in found["by_penalty"].items()},
        **{f"penalty 100, without {SOURCES[name]}": aucs for name, aucs in found["by_source_dropped"].items()},
        "without the plain requests": found["without_assumed_requests"],
        "kinds compared with each other in every source": found["all_across_kinds"],
        "in none": found["all_within_kinds"],
        "with text statistics, without the plain requests": found["with_text_statistics"],
    }
    return lines(
        ["learned from the other sources", *SOURCES.values()],
        [[name, *(f"{aucs[source]:.3f}" for source in SOURCES)] for name, aucs in said.items()],
    )


def arena(found: Mapping[str, Any]) -> str:
    models = list(next(iter(found.values())))
    return lines(["head", *models], [[name, *(f"{aucs[m]:.3f}" for m in models)] for name, aucs in found.items()])


def levels(found: Mapping[str, Any]) -> str:
    return lines(
        ["", "rated models", "correlation", "logits for 100 points", "error of the mean quality"],
        [
            [
                SOURCES[name],
                str(v["models"]),
                f"{v['correlation']:.2f}",
                f"{v['logits_for_100_points']:.2f}",
                f"{v['error_of_mean_quality']:.3f}",
            ]
            for name, v in found.items()
        ],
    )


def presets(found: Mapping[str, Any]) -> str:
    rows = [
        [
            pool,
            f"{times} x",
            f"{v['quality']:.3f}",
            f"{100 * v['cost_of_strongest']:.0f} %",
            ", ".join(f"{name} {count}" for name, count in v["models"].items()),
        ]
        for pool, each in found.items()
        for times, v in each["by_multiple"].items()
    ]
    return lines(["pool", "worth", "expected quality", "cost of always asking the strongest", "who is asked"], rows)


def thinking(found: Mapping[str, Any]) -> str:
    ordered = sorted(found.items(), key=lambda item: -item[1]["points"])
    rows = [[name, f"{v['points']:+.0f} ±{v['error']:.0f}", str(v["models"])] for name, v in ordered]
    return lines(["category", "points, thinking over not", "models"], rows)


def thinks(found: Mapping[str, Any]) -> str:
    presets = list(next(iter(found.values())))
    rows = [[name, *(f"{100 * v['thinking']:.0f} %" for v in each.values())] for name, each in found.items()]
    return lines(["model", *presets], rows)


def robustness(found: Mapping[str, Any]) -> str:
    rules = list(next(iter(next(iter(found.values())).values())))
    rows = [
        [
            f"{pool}, {preset}",
            *(
                f"{100 * v['same_model']:.0f} / {100 * v['same_pair']:.0f} ({100 * v['largest_share']:.0f})"
                for v in each.values()
            ),
        ]
        for pool, by_preset in found.items()
        for preset, each in by_preset.items()
    ]
    return lines(["pool, preset", *rules], rows)
