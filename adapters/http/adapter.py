"""The `http` adapter as the node finds it: there is nothing to run, for the API takes and gives the events of such an endpoint."""

from __future__ import annotations

from typing import Final

from bus.event_ports import EventPlace
from contracts.model import Strict


class HttpSettings(Strict):
    """The `settings:` of an endpoint whose adapter is `http`: none. Who may use it is said by its system's `api_keys`."""


class HttpAdapter:
    """Says of an `http` endpoint that the API serves it."""

    name: Final = "http"

    def settings_model(self, direction: str) -> type[HttpSettings]:  # noqa: ARG002 - the adapters' common form
        """The pydantic model of `settings:`, the same both ways."""
        return HttpSettings

    def event_source(self, place: EventPlace) -> None:
        """None: events are published through the API."""

    def event_sink(self, place: EventPlace) -> None:
        """None: the subscriber fetches its events through the API."""


ADAPTER: Final = HttpAdapter()
