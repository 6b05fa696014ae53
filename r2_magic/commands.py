"""What `%r2 COMMAND` shows, a function a command."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from r2_magic.options import OptionError
from r2_magic.render import explanation_view, models_view, table_view
from r2_magic.screen import publish, say, show
from r2_router.errors import InputError
from r2_router.generate.answer import answer_facts
from r2_router.words import usd

if TYPE_CHECKING:
    from r2_magic.answer import CellAnswer
    from r2_magic.base import Configured
    from r2_router.ledger import Calibration
    from r2_router.routing.decision import Decision

_NO_CELL = "There is no {} yet. Write a cell: %%r2 on its first line, the prompt below."

_LABELS = ("good", "bad")
OF_A_PROMPT = ("explain", "curve", "what-if")


def run(name: str, text: str, args: argparse.Namespace, magics: Configured) -> None:
    """Run the command `name`, "" for the status; `text` is the prompt of those that take one. Raises OptionError for
    words behind one that takes none."""
    if name in _LABELS:
        _label(text or name, magics)
    elif name == "pull":
        from r2_magic.first_use import pull

        pull(text.strip(), magics)
    elif name == "prefer":
        from r2_magic.comparison import prefer

        prefer(text.strip(), magics)
    elif name in OF_A_PROMPT:
        _OF_DECISION[name](_decision(text, args, magics), args, magics)
    elif text.strip():
        raise OptionError(f"`%r2 {name}` takes no words; to ask, write a cell: %%r2")
    else:
        _PLAIN[name](magics)


def _decision(text: str, args: argparse.Namespace, magics: Configured) -> Decision:
    """The decision for `text`, or the last one where there is none."""
    decision = magics.decide(text, args) if text else magics.session.decision
    if decision is None:
        raise InputError(_NO_CELL.format("decision"))
    return decision


# -- of a decision -------------------------------------------------------------------------------------------


def _explain(decision: Decision, args: argparse.Namespace, magics: Configured) -> None:
    from r2_router.routing.explanation import explain

    show(magics.shell, explanation_view(explain(decision), args.top))


def _curve(decision: Decision, args: argparse.Namespace, magics: Configured) -> None:
    from r2_magic.curve import curve_bundle

    publish(curve_bundle(decision), raw=True)


def _what_if(decision: Decision, args: argparse.Namespace, magics: Configured) -> None:
    from r2_magic.what_if import what_if_view

    show(magics.shell, what_if_view(decision))


# -- the rest ------------------------------------------------------------------------------------------------


def _status(magics: Configured) -> None:
    session, router = magics.session, magics.router()
    states = [router.not_ready(model) for model in router.models]
    ready = [model.name for model, why in zip(router.models, states, strict=True) if not why]
    default = router.trade_off
    worth = "any price" if default.worth_usd is None else usd(default.worth_usd)
    lines = [
        f"checkpoint    {router.checkpoint.name}",
        f"embedder      {router.checkpoint.embedder.id}",
        f"pool          {router.pool.name}: {len(ready)} of {len(states)} models can be asked"
        + (f" ({', '.join(ready)})" if ready else "; `%r2 models` says why not"),
        f"worth         {worth} for a perfect answer ({default.source or f'λ = {default.lambda_val:.6g}'}), unless a "
        "cell says otherwise",
        f"conversation  {len(session.history)} turns",
        f"last answer   {answer_facts(session.answer) if session.answer else 'none'}",
        "%r2 --help shows what else there is.",
    ]
    say("\n".join(lines))


def _models(magics: Configured) -> None:
    router = magics.router()
    states = [(model, router.not_ready(model)) for model in router.models]
    show(magics.shell, models_view(router.pool.name, states))


def _last(magics: Configured) -> None:
    answer: CellAnswer | None = magics.session.answer
    if answer is None:
        raise InputError(_NO_CELL.format("answer"))
    publish(answer)
    say(answer_facts(answer))


def _stats(magics: Configured) -> None:
    from r2_router.ledger import stats
    from r2_router.show.spending import cached, explored, spending

    summary = stats(magics.router().ledger)
    columns = ("model", "calls", "answered", "spent", "saved", "tokens out")
    rows = [
        (m.model, f"{m.calls:,}", f"{m.answered:,}", usd(m.cost_usd), usd(m.saved_usd), f"{m.output_tokens:,}")
        for m in summary.models
    ]
    total = sum(m.output_tokens for m in summary.models)
    rows.append(
        (
            "all",
            f"{summary.calls:,}",
            f"{summary.answered:,}",
            usd(summary.cost_usd),
            usd(summary.saved_usd),
            f"{total:,}",
        )
    )
    caption = "Spent; and saved, by answers that can be compared, against always the strongest model, unlimited"
    show(magics.shell, table_view(caption, columns, rows, frozenset(range(1, 6))))
    say(" ".join((*spending(summary), *cached(summary.caches), *explored(summary.explored))))
    c = summary.calibration
    compared = {
        "quality": (c.quality, "{:.2f}"),
        "output tokens": (c.output_tokens, "{:,.0f}"),
        "cost": (c.cost_usd, ""),
    }
    for name, (known, form) in compared.items():
        if known is not None:
            say(_compared(name, known, form.format if form else usd))


def _compared(name: str, known: Calibration, form: Callable[[float], str]) -> str:
    return (
        f"{name}: predicted {form(known.predicted_mean)}, real {form(known.real_mean)} in the mean of "
        f"{known.count:,} answers (mean error {form(known.mean_absolute_error)})"
    )


def _config(magics: Configured) -> None:
    from r2_router.config.settings import load_settings

    given = {name: getattr(magics, name) or None for name in ("checkpoint", "pool", "embed_url")}
    settings = load_settings(**given)
    rows = [(name, _value(settings[name]), source) for name, source in settings.sources.items()]
    rows += [
        (f"R2Magics.{name}", _value(getattr(magics, name)), "%config" if name in _changed(magics) else "default")
        for name in magics.trait_names(config=True)
    ]
    show(magics.shell, table_view("Settings in force", ("setting", "value", "from"), rows))


def _changed(magics: Configured) -> set[str]:
    return {n for n, t in magics.traits(config=True).items() if getattr(magics, n) != t.default_value}


def _value(value: Any) -> str:
    return "-" if value is None or value == "" else str(value)


def _label(label: str, magics: Configured) -> None:
    """Note how good the last answer of this notebook was."""
    from r2_router.ledger.labels import read_quality

    session = magics.session
    if session.answer is None or not session.answer_id:
        raise InputError(_NO_CELL.format("answer"))
    quality = read_quality(label)
    magics.router().ledger.set_quality(session.answer_id, quality)
    say(f"{session.answer.model} @ {session.answer.budget}: quality {quality:g}. `r2-router learn` learns from it.")


def _reset(magics: Configured) -> None:
    magics.session.reset()


_PLAIN: dict[str, Callable[[Configured], None]] = {
    "": _status,
    "models": _models,
    "last": _last,
    "stats": _stats,
    "config": _config,
    "reset": _reset,
}
_OF_DECISION: dict[str, Callable[[Decision, argparse.Namespace, Configured], None]] = {
    "explain": _explain,
    "curve": _curve,
    "what-if": _what_if,
}
