"""Pictures of an evaluation: the deferral curve and the calibration, as PNG or SVG."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from r2_router.errors import InputError

_WAYS = {  # name in the report: label, colour, line; those that read on light and dark grey alike
    "oracle": ("oracle", "#8c8c8c", ":"),
    "knn": ("k nearest neighbours", "#2e9e6b", "--"),
    "paper": ("ridge heads as the paper's", "#8455b8", "--"),
    "by_queries": ("router, penalty by queries left out", "#2f6fde", ":"),
    "mix_unlimited": ("blind mix, unlimited only", "#c9a227", ":"),
    "reactive": ("reactive router (unlimited only)", "#c9a227", "--"),
    "mix": ("blind mix", "#d1495b", "--"),
    "router": ("router", "#2f6fde", "-"),
}
_SIZE = (7.2, 4.4)  # inches
_DPI = 150


def label(way: str) -> str:
    """What a way to choose is called."""
    return _WAYS.get(way, (way, "", ""))[0]


def deferral_plot(report: Mapping[str, Any], kind: Literal["png", "svg"] = "svg") -> bytes:
    """Mean quality over mean cost of each way to choose, and every constant as a dot."""
    figure, axes = _axes("mean cost of an answer, USD", "mean quality")
    for way, (name, colour, line) in _WAYS.items():
        points = report["curves"].get(way)
        if points:
            axes.plot(
                *zip(*points, strict=True), line, color=colour, label=name, linewidth=2.2 if way == "router" else 1.5
            )
    constants = report["constants"]
    axes.scatter(
        [c["cost_usd"] for c in constants],
        [c["quality"] for c in constants],
        s=22,
        color="#6b6b6b",
        zorder=3,
        label="constants",
    )
    low, high = report["cost_range_usd"]
    if low > 0 and high / low > 20:
        axes.set_xscale("log")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8)
    return _bytes(figure, kind)


def calibration_plot(report: Mapping[str, Any], kind: Literal["png", "svg"] = "svg") -> bytes:
    """Real over predicted quality, in groups of equally many predictions; a fair prediction lies on the line."""
    figure, axes = _axes("predicted quality", "real quality")
    groups: Sequence[Mapping[str, float]] = report["calibration"]
    most = max([1e-6, *(max(g["predicted"], g["real"]) for g in groups)]) * 1.08
    axes.plot([0, most], [0, most], ":", color="#8c8c8c", label="fair")
    axes.plot(
        [g["predicted"] for g in groups], [g["real"] for g in groups], "o-", color="#2f6fde", linewidth=2, label="heads"
    )
    axes.set_xlim(0, most)
    axes.set_ylim(0, most)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8)
    return _bytes(figure, kind)


def _axes(x: str, y: str) -> tuple[Any, Any]:
    """A figure of its own: the user's backend and current figure are left alone."""
    try:
        figure: Any = _import_figure().Figure(figsize=_SIZE, layout="constrained")
    except ImportError:
        raise InputError("Plots need matplotlib: `pip install 'r2-mcp[lab]'`.") from None
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#00000018")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _bytes(figure: Any, kind: Literal["png", "svg"]) -> bytes:
    data = BytesIO()
    metadata = {"Date": None} if kind == "svg" else {}
    figure.savefig(data, format=kind, dpi=_DPI, metadata=metadata)
    return data.getvalue()


def _import_figure() -> Any:
    """matplotlib.figure, loaded from a folder of ours: matplotlib takes settings from the folder it is imported in."""
    if "matplotlib" in sys.modules:
        return import_module("matplotlib.figure")
    here = Path.cwd()
    os.chdir(Path(__file__).parent)
    try:
        return import_module("matplotlib.figure")
    finally:
        os.chdir(here)
