"""The magic `r2`: reads the option line, routes the cell, shows ranking and answer."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from IPython.core.error import UsageError
from IPython.core.magic import line_cell_magic, magics_class, no_var_expand

from r2_magic import options, slips
from r2_magic.base import Configured
from r2_magic.interpolate import interpolate
from r2_magic.screen import News, hint, in_notebook, say
from r2_router.errors import InputError, NoCandidateError, R2Error
from r2_router.pages import html

if TYPE_CHECKING:
    from r2_magic.answer import CellAnswer
    from r2_magic.compared import Comparison
    from r2_router.routing.decision import Decision

_ANSWER = "r2_magic.answer.CellAnswer"
_DECISION = "r2_router.routing.decision.Decision"
_DEFAULTS = ("worth_usd", "lambda_val", "preset", "max_cost_usd", "top", "history", "format", "quiet")
_TRADE_OFF = ("worth_usd", "lambda_val", "preset")
_RESULT = re.compile(r"_{1,3}|_\d+")
_LINE_QUESTION = re.compile(r"^(\s*)%r2 +([^\s\-?]\S* +.*\?)\s*$")


@magics_class
class R2Magics(Configured):
    """The magic `r2`."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._shown: CellAnswer | Decision | None = None  # it is on the screen already when its cell ends
        self.end_completion: Callable[[], None] = lambda: None

    @no_var_expand
    @line_cell_magic
    def r2(self, line: str, cell: str | None = None) -> Any:
        """Route the cell to the model and the answer length that are worth their price. `%r2 --help` tells more."""
        self.put_out = False
        try:
            return self._line(line) if cell is None else self._cell(line, cell.removesuffix("\n"))
        except options.HelpAsked as text:
            say(str(text))
            return None
        except options.OptionError as fault:
            raise UsageError(str(fault)) from None
        except NoCandidateError as error:
            raise _short(error, self._how_to_begin(error)) from None
        except R2Error as error:
            raise _short(error) from None
        except KeyboardInterrupt as stop:
            raise _short(stop, "stopped; `%r2 last` has the text, if any came") from None

    # -- %r2 -------------------------------------------------------------------------------------------------

    def _line(self, line: str) -> CellAnswer | Comparison | Decision | None:
        from r2_magic import commands

        name, _, rest = line.strip().partition(" ")
        if name.startswith("-"):
            options.parse(options.split(line))  # --help
            raise options.OptionError("to ask, put %%r2 on the first line of a cell and the prompt below it")
        if name and name not in options.COMMANDS:
            if rest.strip():
                if not (meant := slips.meant(name)):
                    return self._cell("", line.strip())
                raise options.OptionError(f"there is no '%r2 {name}': `%r2 {meant}`? To ask, write a cell: %%r2")
            known = ", ".join(options.COMMANDS)
            raise options.OptionError(f"there is no '%r2 {name}', only: {known}. To ask, write a cell: %%r2")
        rest = rest.strip()
        if name == "setup":
            from r2_magic.set_up import set_up

            set_up(options.setup_parser().parse_args(options.split(rest)), self)
            return None
        if name == "map":
            from r2_magic.mapping import map_prompts

            expression, words = options.split_map(rest)
            args = options.map_parser().parse_args(words)
            self._keep(args, map_prompts(expression, self._filled(args), self))
            return None
        if rest.startswith("-"):
            args = options.parse(options.split(rest))
            rest = " ".join(args.words)
        else:
            args = options.parse(())
        commands.run(name, self._interpolated(rest, args), self._filled(args), self)
        return None

    # -- %%r2 ------------------------------------------------------------------------------------------------

    def _cell(self, line: str, cell: str) -> CellAnswer | Comparison | Decision | None:
        variables = self._variables()
        args = options.parse([interpolate(word, variables).text for word in options.split(line)])
        args = self._filled(args)
        command = _command_of(args.words)
        with self.loading():  # before there is a note: the line of it goes without a trace then
            pass
        query = self._interpolated(cell, args)
        if command:
            from r2_magic import commands

            commands.run(command, query, args, self)
            return None
        if args.compare:
            return self._compare(query, args)
        return self._route(query, args) if args.route_only else self._ask(query, args)

    def _route(self, query: str, args: argparse.Namespace) -> Decision:
        decision = self.decide(query, args)
        self._show_ranking(decision, args)
        self._keep(args, decision)
        self._shown = decision
        return decision

    def _compare(self, query: str, args: argparse.Namespace) -> Comparison:
        from r2_magic.comparison import compare

        def keep(comparison: Comparison) -> None:
            self._keep(args, comparison)

        return compare(query, args, self._system(args.system), self, keep)

    def _ask(self, query: str, args: argparse.Namespace) -> CellAnswer:
        from r2_magic.answering import answered

        session = self.session
        conversation = session.history.messages(query, args.history)
        request = options.request(conversation, args, system=self._system(args.system))
        news = News()
        with self.loading() as router:
            guard = self.guard()
            stream = router.ask(request, guard=guard, on_event=news)
        session.decision, session.answer = stream.decision, None
        if not args.quiet:
            self._show_ranking(stream.decision, args)
        streamed = not args.no_stream

        def keep(answer: CellAnswer) -> None:
            session.answer = answer
            self._keep(args, answer)

        try:
            answer = answered(self.shell, stream, args.format, news=news, show=streamed, keep=keep)
        finally:
            session.spent_usd += guard.billed_usd
            session.answer_id = stream.id if session.answer else ""
        session.history.add(query, answer.text)
        if args.format == "code":
            self.shell.set_next_input(answer.code, replace=False)
        self._shown = answer if streamed else None
        return answer

    def _show_ranking(self, decision: Decision, args: argparse.Namespace) -> None:
        from r2_magic.render import ranking_view
        from r2_magic.screen import show

        show(self.shell, ranking_view(decision, args.top))

    def _filled(self, args: argparse.Namespace) -> argparse.Namespace:
        """`args` with the configured defaults where the line says nothing."""
        given = any(getattr(args, name) is not None for name in _TRADE_OFF)
        for name in _DEFAULTS:
            if name in args and getattr(args, name) is None and not (given and name in _TRADE_OFF):
                setattr(args, name, getattr(self, name))
        if "no_stream" in args and args.no_stream is None:
            args.no_stream = not self.stream
        return args

    # -- the user's variables --------------------------------------------------------------------------------

    def _variables(self) -> Mapping[str, object]:
        """What the user has defined, and the results `_`, `__`, `_1` ...; not what every shell defines."""
        hidden: dict[str, object] = self.shell.user_ns_hidden
        mine: dict[str, object] = self.shell.user_ns
        return {
            name: value
            for name, value in mine.items()
            if _RESULT.fullmatch(name) or not (name.startswith("__") or hidden.get(name, self) is value)
        }

    def _how_to_begin(self, error: NoCandidateError) -> str:
        """The first step where no model can be asked; else what the error says."""
        from r2_magic.first_use import how_to_begin

        return how_to_begin(self.router()) or str(error)

    def _interpolated(self, text: str, args: argparse.Namespace) -> str:
        """`text` with the user's values; what was not as it may have been meant is noted."""
        filled = interpolate(text, self._variables(), expressions=bool(args.eval))
        for note in () if args.quiet else filled.notes:
            hint(self.shell, note)
            self.put_out = True
        return filled.text

    def _system(self, name: str | None) -> str | None:
        if name is None:
            return None
        value = self._variables().get(name)
        if not isinstance(value, str):
            raise InputError(f"--system names a variable that holds text; '{name}' is none. Define it in a cell above.")
        return value

    def _keep(self, args: argparse.Namespace, result: object) -> None:
        if args.out is not None:
            self.shell.user_ns[args.out] = result

    def displayed(self, answer: CellAnswer) -> dict[str, Any]:
        """The display of an answer: its text; or what it took, where the cell that ends has just shown the text.

        A console that shows a kernel's output as plain text, such as Jupyter's own, knows no updates: it has not shown
        the text yet, and takes the plain one of both.
        """
        from r2_router.generate.answer import answer_facts

        if answer is self._shown:
            self._shown = None
            facts = "; ".join(filter(None, (answer_facts(answer), self.spent_here())))
            if not in_notebook(self.shell):
                return {"text/plain": facts}
            return {"text/plain": f"{answer.text}\n\n{facts}", "text/html": html.page(html.paragraph(facts))}
        return answer._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage]

    def displayed_decision(self, decision: Decision) -> dict[str, Any]:
        """The display of a decision: its ranking; or a line, where the cell that ends has just shown the ranking."""
        page = decision._repr_html_()  # pyright: ignore[reportPrivateUsage]
        if decision is self._shown:
            self._shown = None
            page = html.page(html.paragraph(repr(decision)))
        return {"text/plain": repr(decision), "text/html": page}


def _command_of(words: Sequence[str]) -> str:
    """The command about its prompt that stands in a cell's first line, "" where none does. Raises OptionError."""
    if not words:
        return ""
    from r2_magic.commands import OF_A_PROMPT

    name, *more = words
    if name not in OF_A_PROMPT or more:
        raise options.OptionError(f"what is '{' '.join(words)}'? Options begin with --, the prompt is below")
    return name


def _short(error: BaseException, text: str = "") -> BaseException:
    """`error`, which a notebook shows in one line: the frames that led here are ours, not the user's."""
    from r2_router.words import visible

    line = visible(f"{type(error).__name__}: {text or error}")
    cast("Any", error)._render_traceback_ = lambda: [line]
    return error


# -- the extension -------------------------------------------------------------------------------------------


def load(shell: Any) -> None:
    """Add the magic to `shell`; a second time changes nothing."""
    if _loaded(shell) is not None:
        return
    from r2_magic.complete import install

    magics = R2Magics(shell)
    shell.register_magics(magics)
    shell.display_formatter.mimebundle_formatter.for_type(_ANSWER, magics.displayed)
    shell.display_formatter.mimebundle_formatter.for_type(_DECISION, magics.displayed_decision)
    shell.input_transformers_cleanup.append(_reworded)
    magics.end_completion = install(shell)


def unload(shell: Any) -> None:
    """Take the magic out of `shell`; without it, nothing is changed."""
    magics = _loaded(shell)
    if magics is None:
        return
    manager = shell.magics_manager
    manager.registry.pop(R2Magics.__name__)
    for kind in ("line", "cell"):
        manager.magics[kind].pop("r2", None)
    shell.configurables.remove(magics)
    for kind in (_ANSWER, _DECISION):
        shell.display_formatter.mimebundle_formatter.pop(kind, None)
    shell.input_transformers_cleanup.remove(_reworded)
    magics.end_completion()


def _loaded(shell: Any) -> R2Magics | None:
    return cast("R2Magics | None", shell.magics_manager.registry.get(R2Magics.__name__))


def _reworded(lines: list[str]) -> list[str]:
    """Two things IPython would take for something else: a cell magic without a body (`%%r2`, `%%r2 --help`), which
    it refuses, and a line such as `%r2 explain Is 7 prime?`, which it takes for its own help."""
    first, *rest = lines or [""]
    if first.split(maxsplit=1)[:1] == ["%%r2"] and not any(line.strip() for line in rest):
        return [first.lstrip()[1:]]
    if first.lstrip().startswith("%%"):
        return lines
    return [
        _LINE_QUESTION.sub(lambda m: f"{m[1]}get_ipython().run_line_magic('r2', {m[2]!r})\n", line) for line in lines
    ]


# IPython's word for: only where a cell runs. While one is typed, it asks whether the first line alone is a whole cell.
_reworded.has_side_effects = True  # type: ignore[attr-defined]
