"""Writes the figures of pages in docs/ and of README.md anew: `python benchmarks/results_page.py`.

They stand between `<!-- NAME -->` and `<!-- end -->`, and come from benchmarks/results/ alone.
"""

import json
import sys
import textwrap

from common import RESULTS, duration
from prior_tables import learn_speed, learning_blocks, prior_blocks, replay_blocks

ROOT = RESULTS.parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from blocks import written  # noqa: E402  (of docs/, the home of pages that a command writes)

_NAMES = ("results", "routerarena", "conversations", "batches", "gateway")
PAGES = (*(ROOT / "docs" / f"{name}.md" for name in _NAMES), ROOT / "README.md")
WAYS = {
    "router": "**router**",
    "knn": "k nearest neighbours",
    "paper": "ridge heads as the paper's",
    "mix": "blind mix",
    "reactive": "reactive router (no length choice)",
    "mix_unlimited": "blind mix, no length choice",
    "oracle": "oracle",
}


def spread(value: list[float] | None) -> str:
    return "-" if value is None else f"{value[0]:.3f} ±{value[1]:.3f}"


def interval(gain: dict) -> str:
    low, high = gain["interval_95"]
    return f"{gain['mean']:+.3f} ({low:+.3f} to {high:+.3f})"


def table(found: dict) -> str:
    """Every way to choose, and by how much the router is above the others."""
    among_lengths = "mix_unlimited" in found["methods"]  # else there are only models to choose from
    lines = ["| way to choose | AUDC padded | QNC | peak | entropy, bits |", "|---|---|---|---|---|"]
    for key, shown in WAYS.items():
        if m := found["methods"].get(key):
            of = " of (model, budget)" if key == "mix" and among_lengths else ""
            figures = (spread(m["audc_padded"]), spread(m["qnc"]), spread(m["peak"]), f"{m['entropy_bits']:.2f}")
            lines.append(f"| {shown}{of} | {' | '.join(figures)} |")
    quality = found["random"]["quality"]
    lines.append(f"| random | {quality:.3f} | - | {quality:.3f} | - |")
    gains = {"nearest neighbours": "knn", "the paper's heads": "paper", "the reactive router": "reactive"}
    over = [
        f"over {name} {interval(found['audc_gains'][key])}" for name, key in gains.items() if key in found["audc_gains"]
    ]
    said = (
        f"{found['protocol']['queries']:,} queries. Gain over the best constant "
        f"{interval(found['gain_over_best_constant'])}. AUDC over the blind mix "
        f"{interval(found['audc_gain_over_mix'])}, {', '.join(over)}."
    )
    return "\n".join([*lines, "", textwrap.fill(said, 118)])


def categories(found: dict) -> str:
    lines = ["| kind of query | queries | gain over the best constant |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {c['category']} | {c['queries']} | {interval(c)} |" for c in found)])


def unseen(found: dict) -> str:
    router, mix = (spread(found["methods"][way]["audc_padded"]) for way in ("router", "mix"))
    gain = interval(found["gain_over_best_constant"])
    return textwrap.fill(f"Gain over the best constant {gain}; AUDC padded {router}, blind mix {mix}.", 118)


def added(found: dict) -> str:
    ways = ("mean of the labels", "ridge alone", "clusters", "add_model")
    lines = ["| | labels | plain mean | ridge alone | clusters | add_model |", "|---|---|---|---|---|---|"]
    for name, shown in {"zeroeval": "ZeroEval", "mmlu_pro": "MMLU-Pro"}.items():
        for labels, r2 in found[name].items():
            lines.append(f"| {shown} | {labels} | {' | '.join(f'{r2[way]:+.3f}' for way in ways)} |")
    return "\n".join(lines)


def heads(found: dict) -> str:
    """Ways to learn the heads, on each table."""
    lines = ["| | heads | mean squared error | AUDC padded | AUDC over ours | gain over the best constant |"]
    lines.append("|---|---|---|---|---|---|")
    for name, shown in {"sweep": "sweep", "zeroeval": "ZeroEval", "mmlu_pro": "MMLU-Pro"}.items():
        for way, w in found[name]["ways"].items():
            over = "-" if way == "ours" else interval(w["audc_over_ours"])
            gain = f"{w['gain_over_best_constant']:+.4f}"
            lines.append(f"| {shown} | {way} | {w['mse']:.4f} | {w['audc_padded'][0]:.4f} | {over} | {gain} |")
    return "\n".join(lines)


def conversations(found: dict) -> str:
    """Ways to read a chat, what singles would wrongly carry, and the time of a decision."""
    kinds = next(iter(found["points"].values()))

    def right(way: str) -> str:
        return f"{found['pairs'][way]:.0%}".replace("%", " %") if way in found["pairs"] else "-"

    lines = [f"| way to read | {' | '.join(kinds)} | pairs |", "|---" * (len(kinds) + 2) + "|"]
    for way, of in found["points"].items():
        points = [f"{mean:+.1f} ({half:.1f})" for mean, half in of.values()]
        lines.append(f"| {way} | {' | '.join(points)} | {right(way)} |")
    singles = found["singles"].values()
    most = max(found["singles"], key=lambda name: found["singles"][name]["weight"])
    times = {name: of["median_s"] * 1000 for name, of in found["time"].items()}
    said = (
        f"Were each of {sum(s['queries'] for s in singles):,} real prompts of {len(singles)} sources the last message "
        "of a chat, what was said before would wrongly count for "
        f"{sum(s['weight'] for s in singles) / len(singles):.1%} in the mean, for "
        f"{found['singles'][most]['weight']:.1%} where it is most ({most.split(': ')[1]}). A decision takes "
        f"{times['a text']:.0f} ms for a text, {times['200 turns, the last one brief']:.0f} ms for a chat of 200 "
        f"turns, {times['200 turns, warm']:.0f} ms where its prompt lies in a cache, and "
        f"{times['200 turns, warm, a busy ledger']:.0f} ms with a thousand other chats in the ledger."
    )
    return "\n".join([*lines, "", textwrap.fill(said.replace("%", " %"), 118, break_on_hyphens=False)])


def warm_prompts(found: dict) -> str:
    """Net value of a session in dollars by worth, for each pair of models: cache-blind, and what the others add."""
    lines: list[str] = []
    for name, of in found["pairs"].items():
        ways = [way for way in next(iter(of["worths"].values())) if way != "cache-blind"]
        lines += [f"| {name}: worth, $ | cache-blind | {' | '.join(ways)} |", "|---" * (len(ways) + 2) + "|"]
        for worth, by_way in of["worths"].items():
            over = [f"{by_way[w]['over_blind_usd']:+.3f} ({by_way[w]['over_blind_half_95']:.3f})" for w in ways]
            lines.append(f"| {worth} | {by_way['cache-blind']['net_usd']:.3f} | {' | '.join(over)} |")
        lines.append("")
    return "\n".join(lines[:-1])


def agent_session(found: dict) -> str:
    """Bill, switches and net value of a recorded session, by worth and way; and that nothing was lost."""
    lines = ["| worth, $ | way | billed, $ | switches | cost of them, $ | expected quality | net value, $ |"]
    lines.append("|---|---|---|---|---|---|---|")
    for worth, ways in found["worths"].items():
        for way, of in ways.items():
            figures = f"{of['switch_usd']:.3f} | {of['quality']:.3f} | {of['net_usd']:.3f}"
            lines.append(f"| {worth} | {way} | {of['billed_usd']:.3f} | {of['switches']} | {figures} |")
    marks = found["marks"]
    by = marks["billed_usd"]
    lost, ours = found["requests_with_a_call_lost"], [ways["ours"] for ways in found["worths"].values()]
    said = (
        f"{found['client']}, {found['requests']} requests of {found['tokens'][0]:,} to {found['tokens'][1]:,} tokens, "
        f"{found['calls']} calls of tools: all were answered, and {lost or 'no'} call{'s' * (lost > 1)} of a tool, nor "
        f"result of one, was lost on the way to a model. Of our {sum(of['switches'] for of in ours)} switches, "
        f"{sum(of['inside_a_turn'] for of in ours) or 'none'} came inside a turn of the user. The cost of a switch is "
        "what is paid to read anew what the model before had cached. At a worth of "
        f"${marks['worth_usd']:g} the session costs ${by['client']:.3f} with the client's marks for the cache, "
        f"${by['router']:.3f} with the router's in their place, ${by['none']:.3f} without any."
    )
    return "\n".join([*lines, "", textwrap.fill(said, 118)])


def public_sessions(found: dict) -> str:
    """Bill, switches and net value of the mean session of a public log, by worth and way."""
    lines = ["| worth, $ | way | billed, $ | switches | expected quality | net value, $ | over cache-blind, $ |"]
    lines.append("|---|---|---|---|---|---|---|")
    for worth, ways in found["worths"].items():
        for way, of in ways.items():
            over = f"{of['over_blind_usd']:+.4f} ±{of['over_blind_half_95']:.4f}" if way != "cache-blind" else ""
            figures = f"{of['switches']:.1f} | {of['quality']:.3f} | {of['net_usd']:.4f} | {over}"
            lines.append(f"| {worth} | {way} | {of['billed_usd']:.4f} | {figures} |")
    low, middle, high = (f"{tokens:,.0f}" for tokens in found["last_tokens"])
    lost = found["requests_with_a_call_lost"]
    said = (
        f"{found['sessions']} conversations, {found['requests']} requests, the last of each {low} to {high} tokens, "
        f"{middle} at the median; {lost or 'no'} call{'s' * (lost != 1)} of a tool lost. Dollars are of the mean "
        "conversation; ± is 95 % of them, paired."
    )
    return "\n".join([*lines, "", textwrap.fill(said, 118)])


def cascade(found: dict) -> str:
    """What a cascade adds to routing, in points of what a perfect answer is worth, by how much its signal tells."""
    first = next(iter(found["signals"].values()))
    lines = [f"| AUROC of the signal | over all worths | {' | '.join(f'${worth}' for worth in first['by_worth'])} |"]
    lines.append("|---" * (len(first["by_worth"]) + 2) + "|")
    for of in found["signals"].values():
        low, high = (f"{100 * end:+.2f}" for end in of["interval_95"])
        at = " | ".join(f"{100 * worth['mean']:+.2f}" for worth in of["by_worth"].values())
        lines.append(f"| {of['auroc']:.2f} | {100 * of['gain']:+.2f} ({low} to {high}) | {at} |")
    return "\n".join(lines)


def stated(found: dict) -> str:
    """How well lengths are read, and whether answers keep them."""
    lines = ["| | read, or kept | of |", "|---|---|---|"]
    for kind, (read, known) in found["ifeval"]["recall"].items():
        lines.append(f"| IFEval: {kind.replace('_', ' ')} | {read} | {known} |")
    right, read = found["ifeval"]["statements_that_are_a_constraint"]
    arena, hard = found["routerarena"], found["arena_hard"]
    lines.append(f"| IFEval: of the statements read, a constraint of the list | {right} | {read} |")
    lines.append(f'| RouterArena: "within 3 sentences" | {arena["read_of_them"]} | {arena["ask"]} |')
    others = arena["queries"] - arena["ask"]
    lines.append(f"| RouterArena: any length in the other queries | {arena['read_of_others']} | {others} |")
    exams = found["exams"].values()
    lines.append(
        f"| exams, which ask for none | {sum(e['read'] for e in exams)} | {sum(e['queries'] for e in exams):,} |"
    )
    for name, kept in {**arena["answers"], "Arena-Hard, four models": hard["answers"]}.items():
        lines.append(f"| answers within floor and ceiling: {name} | {kept['within']} | {kept['answers']} |")
    speed = {name: seconds["median_s"] for name, seconds in found["seconds"].items()}
    tokens: list[str] = []
    for name in ("local", "prior"):
        before, after = (found["foreseen"][f"{name}_{way}"] for way in ("without", "with"))
        off = f"off by a factor of {before['off_by']:.1f} and {after['off_by']:.1f}"
        tokens.append(f"{name} {before['median']:.0f} without and {after['median']:.0f} with it, {off}")
    said = (
        f'Tokens foreseen of answers "within 3 sentences" (median {found["foreseen"]["real_median"]:.0f}): '
        f"{'; '.join(tokens)}. Neither learned lengths from queries that state one. Time to read: "
        f"{', '.join(f'{name} {duration(s)}' for name, s in speed.items())}."
    )
    return "\n".join([*lines, "", textwrap.fill(said, 118)])


def arena_scores(found: dict) -> str:
    """What comes of each way to choose between the two models whose graded answers are at hand."""
    lines = ["| who answers | accuracy | USD per 1,000 queries | S |", "|---|---|---|---|"]
    for name, each in found["scores"].items():
        lines.append(f"| {name} | {each['accuracy']:.3f} | {each['usd_per_1000']:.4f} | {each['score']:.1f} |")
    return "\n".join(lines)


def arena_robustness(found: dict) -> str:
    lines = [
        "| preset | same model | same model and length | models chosen | entropy of pairs |",
        "|---|---|---|---|---|",
    ]
    for preset, each in found["robustness"].items():
        models = ", ".join(f"{name} {count}" for name, count in each["models"].items())
        same = f"{each['same_model']:.0%} | {each['same_pair']:.0%}".replace("%", " %")
        lines.append(f"| {preset} | {same} | {models} | {abs(each['entropy_of_pairs_bits']):.2f} bits |")
    median, worst = (f"{found['latency'][key] * 1e3:.1f} ms" for key in ("median_s", "p99_s"))
    said = (
        f"Of {found['paraphrases']} pairs of a query and its paraphrase. A decision takes {median} at the median, "
        f"{worst} at the 99th percentile, the vector of the text included."
    )
    return "\n".join([*lines, "", textwrap.fill(said, 118)])


def batches(found: dict) -> str:
    lines = ["| prompts routed | a second | most memory |", "|---|---|---|"]
    lines += [f"| {e['prompts']:,} | {e['per_second']:,.0f} | {e['peak_mb']:,.0f} MB |" for e in found["routed"]]
    return "\n".join(lines)


def batches_on_ray(found: dict) -> str:
    lines = ["| | prompts | seconds | of them to the first 256 | a second beyond | bytes a row, out |"]
    lines.append("|---|---|---|---|---|---|")
    for e in found["routed"]:
        way = f"Ray, {e['workers']} worker{'s' * (e['workers'] > 1)}" if e["workers"] else "one process"
        figures = f"{e['seconds']:.1f} | {e['start_s']:.1f} | {e['per_second']:,.0f} | {e['bytes_a_row']:,.0f}"
        lines.append(f"| {way} | {e['prompts']:,} | {figures} |")
    said = (
        f"Prompts of {found['bytes_a_prompt']:,.0f} bytes at the mean, on {found['machine']['cores']} cores shared "
        f"with others' work (load {found['load']:.1f}); one process uses all cores, a worker one."
    )
    return "\n".join([*lines, "", textwrap.fill(said, 118)])


def gateway(found: dict) -> str:
    """What the gateway adds, beside litellm's proxy where that was measured."""
    shown = {
        "direct": "asked directly",
        "handed on": "handed on, no more",
        "r2-router serve": "**`r2-router serve`**",
        "litellm": "litellm's proxy",
    }
    lines = ["| | streams | first piece | whole | 99th percentile | requests a second | processor a request |"]
    lines.append("|---|---|---|---|---|---|---|")
    for way, by_streams in found["ways"].items():
        for streams, f in by_streams.items():
            times = (f["first"]["median_s"], f["whole"]["median_s"], f["whole"]["p99_s"])
            figures = " | ".join(map(duration, times))
            processor = duration(f["processor_s"]) if way != "direct" else "-"
            lines.append(f"| {shown[way]} | {streams} | {figures} | {f['requests_per_s']:,.0f} | {processor} |")
    direct = found["ways"]["direct"]["1"]["whole"]["median_s"]
    adds = "; ".join(
        f"{'handing on' if way == 'handed on' else way} adds {duration(by['1']['whole']['median_s'] - direct)}"
        for way, by in found["ways"].items()
        if way != "direct"
    )
    said = (
        f"One stream at a time, {adds} at the median. A vector of the text is {duration(found['embed_s'])} of ours. "
        f"{found['machine']['cores']} cores, which client, provider and other work share (load before "
        f"{found['load']:.1f})."
    )
    return "\n".join([*lines, "", textwrap.fill(said, 118)])


def summary(found: dict) -> str:
    """The paragraph of the README."""
    area = {way: f"{m['audc_padded'][0]:.3f}" for way, m in found["methods"].items()}
    seen, unseen = (interval(each["gain_over_best_constant"]) for each in (found, found["ood"]))
    cost = f"{found['methods']['router']['qnc'][0] * 100:.0f} %"
    said = f"""
        Does routing pay? The default checkpoint, 5-fold cross-validation x 5 seeds on {found["protocol"]["queries"]}
        queries x 3 small local models x 6 budgets, area under the deferral curve (non-decreasing, padded;
        `benchmarks/routing.py`): **router {spread(found["methods"]["router"]["audc_padded"])}**, nearest neighbours
        {area["knn"]}, ridge heads as the paper's {area["paper"]}, the best mix of (model, budget) that does not look
        at the query {area["mix"]}, a router without length choice {area["reactive"]}, a mix of models without length
        choice {area["mix_unlimited"]}, oracle
        {area["oracle"]}. It reaches the quality of the best single model at
        {cost} of its cost. Its answers are worth {seen} of a perfect answer more
        than those of the best constant of each worth (in brackets the 95 % interval); on kinds of queries it never saw,
        {unseen}. All of it, MMLU-Pro, ZeroEval and where it fails: [docs/results.md](docs/results.md).
        """
    return textwrap.fill(" ".join(said.split()), 118, break_on_hyphens=False)


def blocks() -> dict[str, str]:
    """The text of each named place."""
    routing, arena = (json.loads((RESULTS / f"{name}.json").read_text()) for name in ("routing", "routerarena"))
    return {
        **{name: table(found) for name, found in routing.items()},
        "sweep-kinds": categories(routing["sweep"]["gain_by_category"]),
        "sweep-unseen": unseen(routing["sweep"]["ood"]),
        "sweep-summary": summary(routing["sweep"]),
        "heads": heads(json.loads((RESULTS / "heads.json").read_text())["results"]),
        "conversations": conversations(json.loads((RESULTS / "conversations.json").read_text())),
        "agent_session": agent_session(json.loads((RESULTS / "agent_session.json").read_text())),
        "cascade": cascade(json.loads((RESULTS / "cascade.json").read_text())),
        "public_sessions": public_sessions(json.loads((RESULTS / "public_sessions.json").read_text())),
        "warm_prompts": warm_prompts(json.loads((RESULTS / "warm_prompts.json").read_text())),
        **prior_blocks(json.loads((RESULTS / "prior.json").read_text())["results"]),
        **learning_blocks(json.loads((RESULTS / "learning.json").read_text())["results"]),
        **replay_blocks(json.loads((RESULTS / "replay.json").read_text())["results"]),
        "learn-speed": learn_speed(json.loads((RESULTS / "learn_speed.json").read_text())),
        "stated_length": stated(json.loads((RESULTS / "stated_length.json").read_text())),
        "arena-scores": arena_scores(arena),
        "arena-robustness": arena_robustness(arena),
        "batch": batches(json.loads((RESULTS / "batch.json").read_text())),
        "gateway": gateway(json.loads((RESULTS / "gateway.json").read_text())),
        "batch_ray": batches_on_ray(json.loads((RESULTS / "batch_ray.json").read_text())),
        "add_model": added(json.loads((RESULTS / "add_model.json").read_text())["r2"]),
    }


def main() -> None:
    known = blocks()
    for page in PAGES:
        page.write_text(written(page.read_text(encoding="utf-8"), known), encoding="utf-8")
        print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
