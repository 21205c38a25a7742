"""What applications send: events from an interface's queue, and the dead letters of a subscription's.

Owns: one consumer per interface or subscription of an endpoint. An event is acknowledged when the bus says that it is in the journal, as a
message or, with its raw bytes, in quarantine; a dead letter when the journal has it where an operator sees it.
"""

from __future__ import annotations

from functools import partial

from aio_pika.abc import AbstractIncomingMessage

from adapters.amqp.binding import attributes
from adapters.amqp.consuming import WATCH_SECONDS, Consumer, consume_all
from adapters.amqp.links import Links
from adapters.amqp.settings import AmqpSettings
from adapters.amqp.topology import dead, inbound, outbound
from bus.event_ports import Accept, Bury, DeadLetter, EventPlace, IncomingEvent


class AmqpSource:
    """Takes the events of one endpoint's interfaces in."""

    def __init__(self, place: EventPlace, settings: AmqpSettings, links: Links, watch_seconds: float = WATCH_SECONDS) -> None:
        self._place = place
        self._settings = settings
        self._links = links
        self._watch_seconds = watch_seconds

    async def run(self, accept: Accept) -> None:
        """Receive until cancelled. `accept` is cancelled with it, and when the connection is lost: what it had begun comes again."""
        assert self._place.broker is not None  # noqa: S101 - the adapter has seen to it
        link = self._links.take(self._place.broker, self._place.tenant, "receives")
        try:
            consumers = []
            for interface in self._place.interfaces:
                plan = inbound(interface, self._settings)
                take = partial(self._take, accept, interface, plan.name)
                consumers.append(Consumer(link, plan, take, self._place.tell, self._watch_seconds))
            await consume_all(consumers)
        finally:
            await self._links.give_back(link)

    async def _take(self, accept: Accept, interface: str, queue: str, message: AbstractIncomingMessage) -> None:
        place, kind = self._place, message.content_type or ""
        await accept(IncomingEvent(place.tenant, interface, place.endpoint, kind, attributes(message), message.body, queue))


class AmqpDeadLetters:
    """Takes back what the applications of one endpoint gave up."""

    def __init__(self, place: EventPlace, settings: AmqpSettings, links: Links, watch_seconds: float = WATCH_SECONDS) -> None:
        self._place = place
        self._settings = settings
        self._links = links
        self._watch_seconds = watch_seconds

    async def run(self, bury: Bury) -> None:
        """Take back until cancelled."""
        assert self._place.broker is not None  # noqa: S101 - the adapter has seen to it
        link = self._links.take(self._place.broker, self._place.tenant, "receives")
        try:
            consumers = []
            for subscription in self._place.subscriptions:
                out = outbound(subscription, self._settings)  # made now, so that its application may wait at it from the start
                take = partial(self._take, bury, subscription, out.name)
                consumers.append(Consumer(link, dead(subscription), take, self._place.tell, self._watch_seconds, [out]))
            await consume_all(consumers)
        finally:
            await self._links.give_back(link)

    async def _take(self, bury: Bury, subscription: str, queue: str, message: AbstractIncomingMessage) -> None:
        place = self._place
        await bury(
            DeadLetter(
                tenant=place.tenant,
                subscription=subscription,
                endpoint=place.endpoint,
                delivery=message.message_id or "",
                reason=_reason(message),
                queue=queue,
                content_type=message.content_type or "",
                body=message.body,
            )
        )


def _reason(message: AbstractIncomingMessage) -> str:
    """The broker's word, from the newest of the deaths that it notes (header `x-death`)."""
    deaths = message.headers.get("x-death")
    newest = deaths[0] if isinstance(deaths, list) and deaths else {}
    reason = newest.get("reason") if isinstance(newest, dict) else None
    return reason if isinstance(reason, str) else ""
