"""One queue of the bus's own, consumed for ever: each message is acknowledged only after it was taken.

Owns: the consumer and whether it is still there (a watchdog asks; a broker may cancel it, or lose it with a queue); what happens when a
message cannot be taken now: it is kept and tried again, and no message that came later begins to be taken before it, so that order holds.
Those that were being taken at that moment may come before it. When the connection is lost, what was not acknowledged comes again.

A frame that breaks AMQP (a header name that is no UTF-8) ends the whole connection, each time it is delivered. After such an end messages
are fetched one at a time until one could be read, so that the broker counts the failures against that message alone and at last moves it to
`parked`.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import InvalidFrameError
from aiormq.channel import Channel

from adapters.amqp.acknowledging import Acknowledgements
from adapters.amqp.errors import cannot_connect, cannot_declare
from adapters.amqp.links import Link, close_channel
from adapters.amqp.topology import PARKED, QueuePlan, declare, parked
from bus.errors import BusError, JournalUnavailable, Overloaded, Transient, TransportError, told_of
from bus.rabbitmq import TROUBLE, Connection, heed_cancelling, keep

PREFETCH: Final = 128
"""messages being taken at once; each may be as long as the broker allows"""
WATCH_SECONDS: Final = 5.0
FIRST_PAUSE_SECONDS: Final = 0.1
MOST_PAUSE_SECONDS: Final = 10.0
MOST_FAULTS: Final = 5
"""A message that makes the bus itself fail so often is parked."""

Take = Callable[[AbstractIncomingMessage], Awaitable[None]]
"""Returns when the message is taken for good. Raises JournalUnavailable or Overloaded: not now."""


class Consumer:
    """Consumes one queue over the tenant's receiving link."""

    def __init__(
        self,
        link: Link,
        plan: QueuePlan,
        take: Take,
        tell: Callable[..., None],
        watch_seconds: float = WATCH_SECONDS,
        beside: Sequence[QueuePlan] = (),
    ) -> None:
        """`beside` are queues that are made with it, for others to consume."""
        self._link = link
        self._plan = plan
        self._plans = (parked(), plan, *beside)
        self._take = take
        self._tell = tell
        self._watch_seconds = watch_seconds
        self._number = 0
        self._held: list[int] = []
        """numbers of the messages that could not be taken, a heap"""
        self._let_go = asyncio.Condition()
        self._careful = False
        self._parked = 0
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Consume until cancelled."""
        await keep(
            self._link.connection,
            self._converse,
            lost=lambda error: self._tell("RNK5509W", queue=self._plan.name, reason=cannot_connect(error, self._link.address)),
            back=lambda: self._tell("RNK5510I", queue=self._plan.name),
            done_with=self._done_with,
            trouble=(*TROUBLE, TransportError),
        )

    async def _done_with(self, connection: Connection) -> None:
        """Others use it too; one that breaks when it is read is of no use to anybody."""

    async def _converse(self, connection: Connection, up: Callable[[], None]) -> None:
        connection_lost = asyncio.create_task(connection.lost.wait())
        channel: AbstractChannel | None = None
        try:
            async with asyncio.timeout(self._watch_seconds):
                channel = await connection.channel(publisher_confirms=False)
                await channel.set_qos(prefetch_count=1 if self._careful else PREFETCH)
            await self._consume(connection, channel, connection_lost, up)
        except TimeoutError:
            await self._link.suspect(connection)
            raise
        except InvalidFrameError:
            self._careful = True
            raise
        finally:
            connection_lost.cancel()
            await self._stop()
            if channel is not None:
                await close_channel(channel)

    async def _consume(
        self, connection: Connection, channel: AbstractChannel, connection_lost: asyncio.Task[bool], up: Callable[[], None]
    ) -> None:
        under = cast("Channel", await channel.get_underlay_channel())
        for plan in self._plans:
            try:
                await declare(channel, plan)
            except TROUBLE as error:
                raise cannot_declare(error, plan.name, self._link.address) from error
        cancelled = asyncio.Event()

        async def cancel(_frame: object) -> None:
            cancelled.set()

        acknowledgements = Acknowledgements(under)

        async def begin(message: AbstractIncomingMessage) -> None:
            self._begin(message, acknowledgements)

        under.on_consumer_cancel_callbacks.add(cancel)
        queue = await channel.get_queue(self._plan.name, ensure=False)
        tag = await queue.consume(begin, timeout=self._watch_seconds)
        up()
        while True:
            heed_cancelling()
            await self._until_lost((connection_lost, under.closing, asyncio.create_task(cancelled.wait())))
            if under.closing.done() and not under.closing.cancelled() and (ended := under.closing.exception()) is not None:
                raise ended
            if connection.lost.is_set() or cancelled.is_set() or channel.is_closed or tag not in under.consumers:
                raise Transient("RNK5511E", queue=self._plan.name)
            await self._look_after(channel)

    async def _until_lost(self, ends: Sequence[asyncio.Future[Any]]) -> None:
        """Wait for one of these, but no longer than until it is time to look after the queue."""
        try:
            await asyncio.wait(ends, timeout=self._watch_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ends[-1].cancel()

    async def _look_after(self, channel: AbstractChannel) -> None:
        """The broker must answer, have the queue, and a consumer of it; and an operator must hear of what is parked."""
        queue = await channel.declare_queue(self._plan.name, passive=True, timeout=self._watch_seconds)
        if not queue.declaration_result.consumer_count:
            raise Transient("RNK5511E", queue=self._plan.name)
        standing = (await channel.declare_queue(PARKED, passive=True, timeout=self._watch_seconds)).declaration_result.message_count or 0
        if standing > self._parked:
            self._tell("RNK5512E", queue=PARKED, broker=self._link.address, messages=standing)
        self._parked = standing

    def _begin(self, message: AbstractIncomingMessage, acknowledgements: Acknowledgements) -> None:
        """In tasks of our own: the library would cancel its own when the channel closes, in the middle of being taken."""
        self._careful = False
        self._number += 1
        task = asyncio.create_task(self._carry(self._number, message, acknowledgements))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _carry(self, number: int, message: AbstractIncomingMessage, acknowledgements: Acknowledgements) -> None:
        if self._held:
            await self._turn(number)
        tag = message.delivery_tag or 0
        if await self._taken(number, message):
            acknowledgements.done(tag)
        else:
            await acknowledgements.reject(tag)

    async def _taken(self, number: int, message: AbstractIncomingMessage) -> bool:
        """Try until it is taken; False when the bus fails at it again and again, for reasons of its own."""
        pause, faults = FIRST_PAUSE_SECONDS, 0
        try:
            while True:
                try:
                    await self._take(message)
                except (JournalUnavailable, Overloaded) as refusal:
                    asked = refusal.facts.get("retry_after_seconds")
                    wanted = float(asked) if isinstance(asked, int | float) else pause
                except Exception as error:  # noqa: BLE001 - one message must not stop the interface, nor be lost
                    faults += 1
                    self._tell("RNK5513E", queue=self._plan.name, reason=error if isinstance(error, BusError) else told_of(error))
                    if faults >= MOST_FAULTS:
                        return False
                    wanted = pause
                else:
                    return True
                if number not in self._held:
                    heapq.heappush(self._held, number)
                await asyncio.sleep(min(wanted, MOST_PAUSE_SECONDS))
                pause = min(pause * 2, MOST_PAUSE_SECONDS)
                await self._turn(number)
        finally:
            if number in self._held:
                async with self._let_go:
                    self._held.remove(number)
                    heapq.heapify(self._held)
                    self._let_go.notify_all()

    async def _turn(self, number: int) -> None:
        """Wait until no earlier message is held."""
        async with self._let_go:
            await self._let_go.wait_for(lambda: not self._held or number <= self._held[0])

    async def _stop(self) -> None:
        """What was not taken comes again."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def consume_all(consumers: Sequence[Consumer]) -> None:
    """Consume several queues until cancelled."""
    async with asyncio.TaskGroup() as group:
        for consumer in consumers:
            group.create_task(consumer.run())
