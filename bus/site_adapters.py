"""The adapters that are installed, as far as a configuration needs them: their names and what their settings must be.

Owns: finding adapters by entry point `renkei.adapters`. The node makes sources and sinks of them; here only settings are checked.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Final, Literal, Protocol

from pydantic import BaseModel

GROUP: Final = "renkei.adapters"
Direction = Literal["source", "sink"]


class AdapterSettings(Protocol):
    """What the check needs of an adapter."""

    def settings_model(self, direction: Direction) -> type[BaseModel]:
        """The model of an endpoint's `settings` for that direction."""
        ...


def installed_adapters() -> list[str]:
    """The names of all installed adapters."""
    return sorted({point.name for point in entry_points(group=GROUP)})


@cache
def adapter_settings(name: str) -> AdapterSettings:
    """The adapter of that name.

    Raises:
        LookupError: none is installed under that name. ImportError, AttributeError: it is, but it cannot be loaded.
    """
    for point in entry_points(group=GROUP, name=name):
        adapter: AdapterSettings = point.load()
        return adapter
    raise LookupError(name)
