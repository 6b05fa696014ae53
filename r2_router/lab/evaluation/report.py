"""The evaluation as one HTML page that needs nothing else, and as the files of a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from r2_router.config.safe_files import replace_file
from r2_router.errors import InputError
from r2_router.lab.evaluation.plots import calibration_plot, deferral_plot, label
from r2_router.words import usd

_CSS = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.verdict { font-size: 1.1rem; border-left: 4px solid #2f6fde; padding: .3rem 1rem; }
.warning { border-left: 4px solid #d1495b; padding: .3rem 1rem; }
figure { margin: 1rem 0; background: #fff; border-radius: 8px; padding: .5rem; }
figure svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
"""

_CONVENTIONS = """<p>AUDC padded: the non-decreasing curve, continued flat to both ends of the cost range of all
methods. AUDC paper: the points as they are; costs not reached count nothing, so whoever gets there cheaply looks bad.
QNC: the least cost that reaches the quality of the best single model, over its cost. Entropy: bits of a choice. The
best constant of each worth is the one that the training folds would have picked.</p>"""
_CALIBRATED = """<p>R² if calibrated: of the predictions brought to what such predictions turned out to be on other
queries (isotonic regression). Where it is clearly above R² quality, a head is systematically off.</p>"""
_NO_REACTIVE = "<p>No reactive router: there are not both limited and unlimited answers.</p>"

_R2 = ("quality_r2", "quality_r2_calibrated", "tokens_r2")

Row = Sequence[str]


def write_report(report: Mapping[str, Any], folder: Path) -> list[str]:
    """Write report.json, report.html and the plots into `folder`; what could not be drawn, in words.

    Raises InputError where the folder cannot be written.
    """
    left_out: list[str] = []
    plots: dict[str, bytes] = {}
    try:
        for name, draw in (("deferral", deferral_plot), ("calibration", calibration_plot)):
            plots[f"{name}.svg"], plots[f"{name}.png"] = draw(report, "svg"), draw(report, "png")
    except InputError as error:
        left_out.append(str(error))
    try:
        svg = {name: data.decode() for name, data in plots.items() if name.endswith(".svg")}
        text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        written = {"report.json": text.encode(), **plots, "report.html": html_report(report, svg).encode()}
        for name, data in written.items():
            replace_file(folder / name, data, private=False)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}.") from None
    return left_out


def html_report(report: Mapping[str, Any], svg: Mapping[str, str]) -> str:
    """One page: verdict, curves, tables. `svg` holds the plots by file name; what is missing is left out."""
    protocol = report["protocol"]
    heads = f" with {report['heads_by']}" if report["heads_by"] else ""
    what = f"checkpoint {report['checkpoint']}" if report["checkpoint"] else f"training{heads}, cross-validated"
    no_reactive = "" if "reactive" in report["methods"] else _NO_REACTIVE
    parts = [
        f"<h1>Does routing pay? {escape(what)}</h1>",
        f"<p class=verdict>{escape(report['verdict'])}</p>",
        f"<p class=warning>{escape(report['warning'])}</p>" if report["warning"] else "",
        f"<p>{protocol['queries']:,} queries that every candidate answered, {protocol['folds']} folds, "
        f"{protocol['seeds']} seeds, prices of pool {escape(str(protocol['pool']))}. Numbers after ± are standard "
        f"deviations over seeds.</p>",
        "<h2>Deferral curve</h2>" + _figure(svg.get("deferral.svg")),
        _table(*method_rows(report)),
        _CONVENTIONS + no_reactive,
        "<h2>What the router gains</h2>" + _table(*gain_rows(report)),
        "<h2>Best constants</h2>" + _table(*constant_rows(report["best_constants"], with_worth=True)),
        "<h2>Every constant</h2>" + _table(*constant_rows(report["constants"], with_worth=False)),
        "<h2>Choices of the router</h2>" + _table(*choice_rows(report)),
        "<h2>Gain by category</h2>" + _table(*category_rows(report["gain_by_category"])),
        *_cascade(report["cascade"]),
        "<h2>Calibration</h2>" + _figure(svg.get("calibration.svg")) + _table(*head_rows(report)) + _CALIBRATED,
    ]
    if report["ood"]:
        parts += [
            "<h2>Categories never seen in training</h2>",
            f"<p class=verdict>{escape(report['ood']['verdict'])}</p>",
            _table(*method_rows(report["ood"])) + _table(*category_rows(report["ood"]["gain_by_category"])),
        ]
    head = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    return f"{head}<title>Does routing pay?</title><style>{_CSS}</style><body>{''.join(parts)}</body></html>\n"


def _cascade(cascade: Mapping[str, Any] | None) -> list[str]:
    if cascade is None:
        return []
    said = f"<h2>A cascade</h2><p class=verdict>{escape(cascade['verdict'])}</p>"
    return [said + _table(*signal_rows(cascade)) + _table(*cascade_rows(cascade))]


# -- tables, for the page and the terminal ---------------------------------------------------------------------


def method_rows(report: Mapping[str, Any]) -> tuple[Row, list[Row]]:
    """Columns and rows: each way to choose with its metrics."""
    rows: list[Row] = [
        (
            label(name),
            _spread(m["audc_padded"]),
            _spread(m["audc_paper"]),
            "-" if m["qnc"] is None else _spread(m["qnc"]),
            _spread(m["peak"]),
            f"{m['entropy_bits']:.2f}",
        )
        for name, m in report["methods"].items()
    ]
    quality = f"{report['random']['quality']:.3f}"
    rows.append(("random", quality, "-", "-", quality, "-"))
    return ("", "AUDC padded", "AUDC paper", "QNC", "peak", "entropy"), rows


def gain_rows(report: Mapping[str, Any]) -> tuple[Row, list[Row]]:
    """Paired differences of the router to other ways, with their intervals."""
    found = {
        "value, over the best constant of each worth": report["gain_over_best_constant"],
        "AUDC, over the blind mix": report["audc_gain_over_mix"],
        **{f"AUDC, over {label(name)}": gain for name, gain in report["audc_gains"].items()},
    }
    rows: list[Row] = [
        (name, f"{g['mean']:+.4f}", "{:+.4f} to {:+.4f}".format(*g["interval_95"])) for name, g in found.items()
    ]
    return ("router's gain", "mean", "95 % interval"), rows


def signal_rows(cascade: Mapping[str, Any]) -> tuple[Row, list[Row]]:
    """How well right answers of a candidate are told from wrong ones."""
    rows: list[Row] = [
        (s["model"], str(s["budget"]), f"{s['answers']:,}", f"{s['auroc']:.3f}", f"{s['auroc_expected']:.3f}")
        for s in cascade["signals"]
    ]
    return ("right from wrong", "budget", "answers", "AUROC, how sure it was", "AUROC, as expected"), rows


def cascade_rows(cascade: Mapping[str, Any]) -> tuple[Row, list[Row]]:
    """What a cascade adds to routing at a few worths."""
    rows: list[Row] = [
        (
            usd(at["worth_usd"]),
            f"{at['routed']:.4f}",
            f"{at['mean']:+.4f}",
            "{:+.4f} to {:+.4f}".format(*at["interval_95"]),
            f"{at['cascades']:.1%}",
            f"{at['went_up']:.1%}",
        )
        for at in cascade["by_worth"]
    ]
    return ("worth", "routing alone", "cascade adds", "95 % interval", "begun", "went up"), rows


def constant_rows(constants: Sequence[Mapping[str, Any]], *, with_worth: bool) -> tuple[Row, list[Row]]:
    """Model and budget that never change, with the worth from which each is the best."""
    columns = ("model", "budget", "quality", "cost", *(["best from a worth of"] if with_worth else []))
    rows: list[Row] = [
        (
            *(str(c["model"]), str(c["budget"]), f"{c['quality']:.3f}", usd(c["cost_usd"])),
            *([usd(c["from_worth_usd"])] if with_worth else []),
        )
        for c in constants
    ]
    return columns, rows


def choice_rows(report: Mapping[str, Any]) -> tuple[Row, list[Row]]:
    """The share of each model and budget at a low, a middle and a high worth."""
    choices = report["choices"]
    worths = choices["worth_usd"]
    at = (0, len(worths) // 2, len(worths) - 1)
    rows: list[Row] = [
        (name, *(f"{shares[i]:.0%}" for i in at))
        for kind in ("by_model", "by_budget")
        for name, shares in choices[kind].items()
    ]
    return ("", *(f"worth {usd(worths[i])}" for i in at)), rows


def category_rows(gains: Sequence[Mapping[str, Any]]) -> tuple[Row, list[Row]]:
    rows: list[Row] = [
        (
            str(g["category"]) or "(none)",
            f"{g['queries']:,}",
            f"{g['mean']:+.3f}",
            "{:+.3f} to {:+.3f}".format(*g["interval_95"]),
        )
        for g in gains
    ]
    return ("category", "queries", "gain", "95 % interval"), rows


def head_rows(report: Mapping[str, Any]) -> tuple[Row, list[Row]]:
    """How well each head foretold."""
    rows: list[Row] = [
        (
            str(h["model"]),
            str(h["budget"]),
            *("-" if h[key] is None else f"{h[key]:.3f}" for key in _R2),
            f"{h['tokens_expected_over_real']:.2f}",
        )
        for h in report["heads"]
    ]
    return ("model", "budget", "R² quality", "R² if calibrated", "R² tokens", "tokens expected / real"), rows


def _table(columns: Row, rows: Sequence[Row]) -> str:
    if not rows:
        return "<p>Nothing to show.</p>"
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"


def _figure(svg: str | None) -> str:
    """A plot inside the page, without the XML head that has no place there."""
    return f"<figure>{svg[svg.index('<svg') :]}</figure>" if svg else "<p>Not drawn: matplotlib is missing.</p>"


def _spread(values: Sequence[float]) -> str:
    mean, deviation = values
    return f"{mean:.3f} ±{deviation:.3f}"
