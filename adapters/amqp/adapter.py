"""The `amqp` adapter as the node finds it, through the entry point `renkei.event_adapters`."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from adapters.amqp.links import Links
from adapters.amqp.settings import AmqpSettings
from adapters.amqp.sink import AmqpSink
from adapters.amqp.source import AmqpDeadLetters, AmqpSource
from bus.errors import SiteInvalid
from bus.event_ports import EventPlace


class AmqpAdapter:
    """Makes sources and sinks of RabbitMQ queues. Endpoints of one tenant share their connections."""

    name: Final = "amqp"

    def __init__(self) -> None:
        self._links = Links()

    def settings_model(self, direction: str) -> type[AmqpSettings]:  # noqa: ARG002 - the adapters' common form
        """The pydantic model of `settings:`, the same both ways."""
        return AmqpSettings

    def event_source(self, place: EventPlace) -> AmqpSource | None:
        """A source, or None when no interface takes events from this endpoint.

        Raises:
            SiteInvalid: the settings are none of an `amqp` endpoint, or the site has no broker.
        """
        settings = self._settings(place)
        return AmqpSource(place, settings, self._links) if place.interfaces else None

    def event_sink(self, place: EventPlace) -> AmqpSink | None:
        """A sink, to be closed, or None when no subscription is served by this endpoint.

        Raises:
            SiteInvalid: as for `event_source`.
        """
        settings = self._settings(place)
        return AmqpSink(place, settings, self._links) if place.subscriptions else None

    def dead_letters(self, place: EventPlace) -> AmqpDeadLetters | None:
        """Where dead letters come back, or None when no subscription is served by this endpoint.

        Raises:
            SiteInvalid: as for `event_source`.
        """
        settings = self._settings(place)
        return AmqpDeadLetters(place, settings, self._links) if place.subscriptions else None

    def _settings(self, place: EventPlace) -> AmqpSettings:
        if place.broker is None:
            raise SiteInvalid("RNK5515E", endpoint=place.endpoint)
        try:
            settings = AmqpSettings.model_validate(place.settings)
        except ValidationError as error:
            found = error.errors(include_url=False)[0]
            raise SiteInvalid("RNK5514E", endpoint=place.endpoint, reason=f"{'.'.join(map(str, found['loc']))}: {found['msg']}") from error
        if settings.queue is not None and len(place.interfaces) + len(place.subscriptions) > 1:
            raise SiteInvalid("RNK5516E", endpoint=place.endpoint, queue=settings.queue)
        return settings


ADAPTER: Final = AmqpAdapter()
