"""One run of setup, up to the question whether to write it: what is here, what it offers, what is proposed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from r2_router.config.settings import Settings
from r2_router.errors import ConfigError
from r2_router.pools.profiles import profiles
from r2_router.pools.ratings import load_ratings
from r2_router.records import Record
from r2_router.setup.discover import Offer, given_source, key_sources, read_offers, server_sources
from r2_router.setup.measure import measured
from r2_router.setup.pool_file import DEFAULT_NAME, Machine, PoolPlan, known_machine, plan_pool
from r2_router.setup.propose import pick, propose
from r2_router.setup.ways import Way, all_ways, at_speeds

FIRST_QUERY = "In one sentence: what does a router of language models do?"


@dataclass(frozen=True, slots=True)
class Setup(Record):
    """What a run found and proposes: `ways` are all that could enter the pool `plan`, `chosen` those that are to.
    `wanted`: those the user named; `failures`: by model, why one of this machine gave no answer."""

    offers: Sequence[Offer]
    ratings_date: str
    ways: Sequence[Way] = field(repr=False)
    chosen: Sequence[Way]
    plan: PoolPlan
    wanted: Collection[str] = ()
    failures: Mapping[str, str] = field(default_factory=dict[str, str])

    def choose(self, chosen: Sequence[Way], wanted: Collection[str] = ()) -> Setup:
        """With another choice of the ways, of which the user named `wanted`."""
        wanted = {*self.wanted, *wanted}
        plan = plan_pool(self.plan.name, chosen, self.offers, wanted)
        return replace(self, chosen=chosen, plan=plan, wanted=wanted)

    def measured(self, tell: Callable[[str], None]) -> Setup:
        """With the speeds of this machine's models, each of which answers once; without those that do not answer.

        Raises ConfigError where none is left.
        """
        chosen, failures = measured(self.chosen, known_machine(self.plan.name).usd_per_hour, tell)
        if not chosen:
            raise ConfigError(f"No model is left: {'; '.join(f'{name}: {why}' for name, why in failures.items())}.")
        return replace(self.choose(chosen), failures=failures)


def look(
    settings: Settings, *, name: str = DEFAULT_NAME, base_urls: Iterable[str] = (), models: str | None = None
) -> Setup:
    """What the keys and servers that are here offer, and a pool of it: of the models that the list `models` names, or
    as `propose` chooses. Nothing is written and no model asked.

    Raises ConfigError where nothing is here, InputError for an address, name or model that is none.
    """
    given = [given_source(address, settings) for address in base_urls]
    if settings.llm_api_base:  # answers for every model, so nobody else need be asked
        sources = [*given, given_source(settings.llm_api_base, settings)]
    else:
        sources = [*given, *server_sources(), *key_sources(settings)]
    offers = read_offers(sources, settings)
    ratings = load_ratings()
    ways = _on_this(known_machine(name), all_ways(offers, ratings))
    if not ways:
        raise ConfigError(_nothing(offers))
    chosen = propose(ways) if models is None else pick(ways, models)
    wanted = () if models is None else {way.model.name for way in chosen}
    return Setup(offers, ratings.date, ways, chosen, plan_pool(name, chosen, offers, wanted), wanted)


def _on_this(machine: Machine, ways: Sequence[Way]) -> list[Way]:
    """`ways` with those of this machine at its price, and at the speeds that are known."""
    return [
        at_speeds(
            way,
            machine.speeds.get(_place(way), way.speeds),
            usd_per_hour=machine.usd_per_hour,
            measured=_place(way) in machine.speeds,
        )
        if way.speeds
        else way
        for way in ways
    ]


def _place(way: Way) -> tuple[str, str]:
    return way.model.base_url, way.model.id


def _nothing(offers: Sequence[Offer]) -> str:
    if offers:
        said = [f"{o.source.name}: {o.failure or 'no chat model of known price'}" for o in offers]
        return f"No model to route among was found. {' '.join(said)}"
    variables = [p.api_key_env for p in profiles().values() if p.api_key_env and p.base_url]
    return (
        "No provider's key is set, and no server answers on this machine. Set a key in the environment or in keys.toml "
        f"({', '.join(variables)}), start a server such as Ollama, or name one: --base-url http://HOST:PORT/v1."
    )
