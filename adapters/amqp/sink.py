"""Events into the queue of a subscription: delivered means confirmed by the broker, which has it on disk on a quorum of its nodes then.

Owns: publishing, mandatory and confirmed, within a time limit. A queue is made before the first event of a connection, and again when the
broker says that there is none. An attempt that was not confirmed in time may have arrived: the next one carries the same idempotency key
(message id, `renkeidelivery`). Order within a key is the caller's: it sends the next one only when this one is confirmed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Final, cast

from aio_pika.abc import AbstractChannel
from aiormq.channel import Channel

from adapters.amqp.binding import outgoing
from adapters.amqp.errors import cannot_connect, cannot_declare, cannot_publish
from adapters.amqp.links import Link, Links, close_channel
from adapters.amqp.settings import AmqpSettings
from adapters.amqp.topology import QueuePlan, dead, declare, outbound, parked
from bus.errors import TransportError
from bus.event import OutgoingEvent
from bus.event_ports import EventPlace
from bus.rabbitmq import TROUBLE, Connection

CONFIRM_SECONDS: Final = 15.0
MOST_UNCONFIRMED: Final = 100
"""of one subscription at once: more gains nothing"""


class _Open:
    """A channel that publishes, and the queues known to be there."""

    def __init__(self, connection: Connection, channel: AbstractChannel, under: Channel) -> None:
        self.connection = connection
        self.channel = channel
        self.under = under
        self.queues: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.declared: set[str] = set()

    @property
    def usable(self) -> bool:
        return not self.connection.lost.is_set() and not self.channel.is_closed


class AmqpSink:
    """Sends the events of one endpoint's subscriptions."""

    def __init__(self, place: EventPlace, settings: AmqpSettings, links: Links, confirm_seconds: float = CONFIRM_SECONDS) -> None:
        assert place.broker is not None  # noqa: S101 - the adapter has seen to it
        self._settings = settings
        self._links = links
        self._link: Link = links.take(place.broker, place.tenant, "sends")
        self._confirm_seconds = confirm_seconds
        self._open: _Open | None = None
        self._opening = asyncio.Lock()
        self._windows: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MOST_UNCONFIRMED))
        self._closed = False

    async def send(self, event: OutgoingEvent) -> None:
        """Publish the event into its subscription's queue; returns when the broker has confirmed it.

        Raises:
            Transient: not connected, no queue, queue full, not confirmed in time. Permanent: longer than the broker takes.
        """
        plan = outbound(event.subscription, self._settings)
        body, properties = outgoing(event, self._settings.mode)
        async with self._windows[event.subscription]:
            ready = await self._ready()
            await self._declared(ready, plan, event.subscription)
            try:
                await ready.under.basic_publish(
                    body, routing_key=plan.name, properties=properties, mandatory=True, timeout=self._confirm_seconds, wait=False
                )
            except TROUBLE as error:
                ready.declared.discard(plan.name)
                if isinstance(error, TimeoutError):
                    await self._suspect(ready)
                raise cannot_publish(error, plan.name, self._link.address) from error

    async def close(self) -> None:
        """Let the channel go, and the connection when no other endpoint of the tenant sends."""
        if not self._closed:
            self._closed = True
            if self._open is not None:
                await close_channel(self._open.channel)
            await self._links.give_back(self._link)

    async def _ready(self) -> _Open:
        if self._open is not None and self._open.usable:
            return self._open
        async with self._opening:
            if self._open is None or not self._open.usable:
                try:
                    self._open = await self._open_channel()
                except (*TROUBLE, TransportError) as error:
                    raise cannot_connect(error, self._link.address) from error
            return self._open

    async def _open_channel(self) -> _Open:
        connection = await self._link.connection()
        async with asyncio.timeout(self._confirm_seconds):
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        return _Open(connection, channel, cast("Channel", await channel.get_underlay_channel()))

    async def _declared(self, ready: _Open, plan: QueuePlan, subscription: str) -> None:
        """On a channel of its own: a broker that refuses a queue closes the channel that asked."""
        if plan.name in ready.declared:
            return
        async with ready.queues[plan.name]:
            if plan.name in ready.declared:
                return
            try:
                async with asyncio.timeout(self._confirm_seconds):
                    channel = await ready.connection.channel(publisher_confirms=False)
                try:
                    await declare(channel, parked(), dead(subscription), plan)
                finally:
                    await close_channel(channel)
            except TROUBLE as error:
                if isinstance(error, TimeoutError):
                    await self._suspect(ready)
                raise cannot_declare(error, plan.name, self._link.address) from error
            ready.declared.add(plan.name)

    async def _suspect(self, ready: _Open) -> None:
        """The next attempt uses another channel; the connection too, when the broker does not answer at all."""
        if self._open is ready:
            self._open = None
        await self._link.suspect(ready.connection)
        if not ready.connection.lost.is_set():
            await close_channel(ready.channel)
