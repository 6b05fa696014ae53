"""Plugins: embedders and graders that other installed packages register as entry points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from r2_router.errors import R2Error

Factory: TypeAlias = Callable[[str], Any]

EMBEDDERS = "r2_router.embedders"
GRADERS = "r2_router.graders"


def make_plugin(group: str, spec: str, needed: tuple[str, ...], fault: type[R2Error]) -> Any | None:
    """What the factory registered in `group` under the name of `spec`, "NAME" or "NAME:REST", makes of REST ("" where
    there is none); None where no installed package registers that name.

    Raises `fault`, naming the plugin, where it cannot be loaded, two packages claim the name, or what it makes lacks
    one of the attributes `needed`.
    """
    from importlib.metadata import entry_points

    name, _, rest = spec.partition(":")
    found = sorted(entry_points(group=group, name=name), key=lambda point: point.value)
    if not found:
        return None
    of = " and ".join(f"{point.value} of {point.dist.name if point.dist else 'an unknown package'}" for point in found)
    if len(found) > 1:
        raise fault(f"Two plugins are called '{name}' ({of}): uninstall one of them.")
    try:
        factory: Factory = found[0].load()
        made = factory(rest)
    except R2Error:
        raise
    except Exception as error:  # it is others' code
        raise fault(
            f"The plugin '{name}' ({of}) cannot be loaded: {type(error).__name__}: {error}. Update or uninstall it."
        ) from error
    if lacking := [attribute for attribute in needed if not hasattr(made, attribute)]:
        raise fault(f"The plugin '{name}' ({of}) made {type(made).__name__}, which lacks {', '.join(lacking)}.")
    return made


def plugin_names(group: str) -> list[str]:
    """The names registered in `group`, in order; nothing is loaded."""
    from importlib.metadata import entry_points

    return sorted(entry_points(group=group).names)
