"""What is here and not used: said in one sentence where nobody has set up a pool."""

from __future__ import annotations

from r2_router import words
from r2_router.config.settings import Settings
from r2_router.setup.discover import key_sources, running_sources


def unused(settings: Settings) -> str:
    """The sentence, "" where no key is set and no server answers, or where the settings name what is used.

    Servers at the usual ports of this machine are asked for their models, nobody else is asked anything.
    """
    if settings.pool or settings.checkpoint or settings.llm_api_base:
        return ""
    keys = [source.api_key_env for source in key_sources(settings)]
    return words.unused(keys, [source.name for source in running_sources()])
