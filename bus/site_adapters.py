"""The adapters that are installed, as far as a configuration needs them: their names and what their settings must be.

Owns: finding adapters by entry point, `renkei.adapters` for files and `renkei.event_adapters` for events. The node makes sources and
sinks of them; here only settings are checked.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Final, Literal, Protocol

from pydantic import BaseModel

GROUP: Final = "renkei.adapters"
EVENT_GROUP: Final = "renkei.event_adapters"
Direction = Literal["source", "sink"]
TAKE_NO_EVENTS: Final = frozenset({"webhook"})
"""Event adapters that only send."""


class AdapterSettings(Protocol):
    """What the check needs of an adapter."""

    def settings_model(self, direction: Direction) -> type[BaseModel]:
        """The model of an endpoint's `settings` for that direction."""
        ...


@cache
def installed_adapters() -> tuple[str, ...]:
    """The names of all installed adapters, of files and of events."""
    return tuple(sorted({point.name for group in (GROUP, EVENT_GROUP) for point in entry_points(group=group)}))


@cache
def event_adapters(direction: Direction) -> tuple[str, ...]:
    """The names of the installed adapters that take events in (`source`) or send them (`sink`)."""
    names = {point.name for point in entry_points(group=EVENT_GROUP)}
    return tuple(sorted(names - TAKE_NO_EVENTS if direction == "source" else names))


def carries_events(name: str) -> bool:
    """Whether the adapter of that name is one of events."""
    return name in event_adapters("sink")


@cache
def adapter_settings(name: str) -> AdapterSettings:
    """The adapter of that name.

    Raises:
        LookupError: none is installed under that name. ImportError, AttributeError: it is, but it cannot be loaded.
    """
    for group in (GROUP, EVENT_GROUP):
        for point in entry_points(group=group, name=name):
            adapter: AdapterSettings = point.load()
            return adapter
    raise LookupError(name)
