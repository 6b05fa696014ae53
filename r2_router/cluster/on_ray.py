"""A batch through Ray Data: pieces of the files are read, and actors that hold the router work on the prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from r2_router.batches.each import AT_ONCE, CHUNK, Prompt, Read, RunGuard, answer_each, route_each
from r2_router.cluster.engine import cluster, ray_module
from r2_router.cluster.keeper import Keeper, KeptLimit
from r2_router.config.settings import LEDGER_URL, load_settings
from r2_router.errors import ConfigError, InputError
from r2_router.generate import run as run_loop
from r2_router.lab.data.mapped_rows import rows_table
from r2_router.lab.data.spans import Span, read_span
from r2_router.ledger.store import flush_all

if TYPE_CHECKING:
    from r2_router.generate import AnswerStream
    from r2_router.router import R2Router
    from r2_router.routing.request import Request

_PACKED_TO_ANSWER = 4  # times `at_once` prompts are one piece of work
_ROUTED_BLOCK_BYTES = 1 << 16
_ROWS_A_FILE = 1 << 16


@dataclass(frozen=True, slots=True)
class Work:
    """What every worker is to do: both are called on its machine, with that machine's settings and keys."""

    make_router: Callable[[], R2Router]
    read: Read


# -- only routed -----------------------------------------------------------------------------------------------


def route_on_ray(spans: Sequence[Span], work: Work, output: str, workers: int | None = None) -> tuple[int, int]:
    """Route all prompts into Parquet files in the folder `output`, a path or an address, in order; what it held
    before goes. How many prompts there were, and how many failed.

    `workers` is how many side by side, None for one a core of the cluster. Raises InputError without Ray or where
    `output` cannot be written, R2Error where a worker fails for good.
    """
    with cluster(workers) as (ray, count):
        _set_up(ray, _ROUTED_BLOCK_BYTES)
        found = _packed(ray, spans, CHUNK, count).map_batches(
            _RouteRows,
            fn_constructor_args=(work,),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=count),
            num_cpus=1,
        )
        # Writing takes no core of its own: with every core given to a worker it would wait for ever.
        writing: dict[str, Any] = {"ray_remote_args": {"num_cpus": 0}, "concurrency": count}
        try:
            found.write_parquet(output, mode="overwrite", min_rows_per_file=_ROWS_A_FILE, **writing)
            return _written(output)
        except (OSError, ValueError) as error:
            raise InputError(f"{output} cannot be written: {error}") from None


def _written(output: str) -> tuple[int, int]:
    """Rows in the folder, and those with an error."""
    dataset = cast("Any", import_module("pyarrow.dataset"))
    table = dataset.dataset(output if "://" in output else str(Path(output).absolute()), format="parquet")
    return table.count_rows(), table.count_rows(filter=~dataset.field("error").is_null())


class _RouteRows:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._router = work.make_router()

    def __call__(self, block: Any) -> Any:
        found = route_each(_unpacked(block), self._work.read, self._router.decide_all)
        return rows_table([mapped.row() for mapped in found])


# -- answered --------------------------------------------------------------------------------------------------


def answer_on_ray(
    spans: Sequence[Span],
    work: Work,
    store: Path,
    *,
    key: str,
    max_usd: float | None = None,
    at_once: int = AT_ONCE,
    workers: int | None = None,
    on_progress: Callable[[int, float], None] = lambda done, spent_usd: None,
) -> None:
    """Answer the prompts that the batch file `store` does not hold yet into it, `at_once` side by side a worker.

    No answer is begun that could make all together cost more than `max_usd`: one process keeps file and limit for all
    workers. A worker that dies is started again, and asks what was under way with the same idempotency keys, made
    of `key`. `on_progress` is told how many prompts are done and what was spent. Raises as `route_on_ray`, and
    ConfigError where limits a day or a month could not hold on all machines.
    """
    with cluster(workers) as (ray, count):
        _check_shared_ledger(ray)
        _set_up(ray, 1)  # bytes a block: each piece of work is one
        home = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        keeper = ray.remote(Keeper).options(num_cpus=0, scheduling_strategy=home).remote(store, max_usd)
        found = _packed(ray, spans, _PACKED_TO_ANSWER * at_once, count).map_batches(
            _AnswerRows,
            fn_constructor_args=(work, keeper, key, max_usd, at_once),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=count),
            num_cpus=1,
        )
        for _ in found.iter_batches(batch_size=None, batch_format="pyarrow"):
            on_progress(*ray.get(keeper.progress.remote()))
        ray.get(keeper.close.remote())


def _check_shared_ledger(ray: Any) -> None:
    settings = load_settings()
    limited = settings.max_usd_per_day is not None or settings.max_usd_per_month is not None
    if limited and settings.key(LEDGER_URL) is None and sum(node["Alive"] for node in ray.nodes()) > 1:
        raise ConfigError(
            "R2_MAX_USD_PER_DAY and R2_MAX_USD_PER_MONTH hold on all machines only where these share a ledger: set "
            f"{LEDGER_URL} on each of them, or leave the limits to --max-usd."
        )


class _AnswerRows:
    def __init__(self, work: Work, keeper: Any, key: str, max_usd: float | None, at_once: int) -> None:
        self._work, self._keeper, self._key = work, keeper, key
        self._max_usd, self._at_once = max_usd, at_once
        self._ray = ray_module()
        self._router = work.make_router()

    def __call__(self, block: Any) -> Any:
        prompts = list(_unpacked(block))
        left = set(self._ray.get(self._keeper.take.remote([index for index, _ in prompts])))
        if left:
            run_loop(self._answer([each for each in prompts if each[0] in left]))
            flush_all()  # the ledger's lines: this process may be ended without a word
        pa = cast("Any", import_module("pyarrow"))
        return pa.table({"asked": [len(left)]})

    async def _answer(self, prompts: list[Prompt]) -> None:
        found = answer_each(
            prompts,
            self._work.read,
            self._ask,
            guard=self._router.guard,
            limit=KeptLimit(self._ray, self._keeper),
            max_usd=self._max_usd,
            at_once=self._at_once,
        )
        async with aclosing(found):
            async for _ in found:
                pass

    def _ask(self, request: Request, guard: RunGuard) -> AnswerStream:
        options = replace(self._router.options, request_key=f"{self._key}\n{guard.index}")
        return self._router.ask(request, guard=guard, options=options)


# -- what goes between machines --------------------------------------------------------------------------------


def _set_up(ray: Any, block_bytes: int) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    context.target_max_block_size = block_bytes  # else a file of short prompts is one block, for one worker


def _packed(ray: Any, spans: Sequence[Span], size: int, readers: int) -> Any:
    """A dataset of `size` prompts a row; at most `readers` spans are read at once, on no core of their own."""
    items: list[dict[str, Any]] = [{"span": number} for number in range(len(spans))]

    def read(block: Any) -> Iterator[Any]:
        pa = cast("Any", import_module("pyarrow"))
        for number in block.column("span").to_pylist():
            found = read_span(spans[int(number)])
            while some := list(islice(found, size)):
                texts = [json.dumps(prompt, default=lambda _: None) for _, prompt in some]  # what is no JSON, no prompt
                yield pa.table({"first": [some[0][0]], "prompts": [texts]})

    rows = ray.data.from_items(items, override_num_blocks=max(1, len(items)))
    return rows.map_batches(read, batch_size=None, batch_format="pyarrow", num_cpus=0, concurrency=readers)


def _unpacked(block: Any) -> Iterator[Prompt]:
    for first, texts in zip(block.column("first").to_pylist(), block.column("prompts").to_pylist(), strict=True):
        yield from enumerate(map(json.loads, texts), first)
