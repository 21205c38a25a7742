"""Hints between nodes: delivery ids as work messages on a RabbitMQ queue, each to one of the nodes that wait.

Owns: a thread with an event loop of its own, so that neither a busy node holds the broker up nor the broker a node; the queue of the bus's
own virtual host. See `bus.broker.hints` for what a hint promises (nothing): messages are transient, expire, and the oldest go when there
are too many; nothing is confirmed. While the broker is away, a node's hints go to its own waiters; other nodes find the work by their
sweep. Trouble is logged once when the broker is lost and once when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, cast

from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aiormq.channel import Channel
from pamqp.common import FieldTable

from bus.broker.embedded import EmbeddedHints
from bus.event_ports import Broker
from bus.rabbitmq import Connection, address, connect, heed_cancelling, keep, told_trouble
from monitoring.log import log

QUEUE: Final = "renkei.hints"
EXPIRE_SECONDS: Final = 60
MOST_MESSAGES: Final = 10_000
IDS_A_MESSAGE: Final = 64
"""so that a flood is shared between nodes"""
UNTAKEN_MESSAGES: Final = 16
"""given to a node that has not taken them yet; a node that does not wait gets no more"""
WATCH_SECONDS: Final = 5.0

STOP_SECONDS: Final = 10.0
"""How long closing may take at most; a thread that is still at it then ends with the process."""

Observe = Callable[[bool], None]
"""Told whether the node is connected to the broker."""

_ARGUMENTS: Final[FieldTable] = {
    "x-queue-type": "classic",
    "x-message-ttl": EXPIRE_SECONDS * 1000,
    "x-max-length": MOST_MESSAGES,
    "x-overflow": "drop-head",
}


class RabbitHints:
    """Hints shared by all nodes that open the same broker. Made by `open`; one in a process is enough."""

    def __init__(self, broker: Broker, *, name: str, most: int, watch_seconds: float, observe: Observe) -> None:
        self._broker = broker
        self._observe = observe
        self._name = name
        self._most = most
        self._watch_seconds = watch_seconds
        self._inbox = EmbeddedHints(most)
        self._outgoing: dict[str, None] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._connected = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()
        """something is to be sent, taken up, or found lost"""
        self._waited = False
        self._received = 0
        """delivery tag of the last message of this connection"""
        self._taken = False
        """somebody has taken what was received"""
        self._thread = threading.Thread(target=self._work, name="work hints", daemon=True)

    @classmethod
    def open(
        cls,
        url: str,
        password_file: str | None = None,
        *,
        name: str = "renkei hints",
        most: int = 10_000,
        watch_seconds: float = WATCH_SECONDS,
        observe: Observe = lambda _connected: None,
    ) -> RabbitHints:
        """Hints over the broker at `url` (`amqp://user@host:port/virtual-host`), connected to in the background from now on.

        Args:
            password_file: Holds the user's password; read at each connection.
            name: Shown by the broker's console.
            most: Ids held here, waiting to be sent or taken; further ones are dropped.
            watch_seconds: How often queue and consumer are looked after, and the longest the broker may take to answer.
            observe: Told whether the node is connected, now and at every change; called from any thread.
        """
        hints = cls(Broker(url, password_file, None), name=name, most=most, watch_seconds=watch_seconds, observe=observe)
        observe(False)
        hints._thread.start()
        return hints

    def publish(self, delivery_ids: Iterable[str]) -> None:
        """Tell that these deliveries may be claimable. Never blocks, never fails; callable from any thread."""
        ids = tuple(islice(delivery_ids, self._most))
        with self._lock:
            if self._closed or not ids:
                return
            if self._connected.is_set():
                self._outgoing.update(dict.fromkeys(ids[: self._most - len(self._outgoing)]))
                self._loop.call_soon_threadsafe(self._stirred.set)
                return
        self._inbox.publish(ids)

    async def wait(self, *, timeout_seconds: float) -> frozenset[str]:
        """The ids published since the last call, as soon as there are any; empty after `timeout_seconds` or when closed. A node that
        has never waited is given no hints.
        """
        if not self._waited:
            self._waited = True
            self._call(self._stirred.set)
        taken = await self._inbox.wait(timeout_seconds=timeout_seconds)
        if taken:
            self._taken = True
            self._call(self._stirred.set)
        return taken

    def wait_connected(self, timeout_seconds: float) -> bool:
        """Whether hints go over the broker now, or begin to within `timeout_seconds`. Blocks."""
        return self._connected.wait(timeout_seconds)

    def close(self) -> None:
        """Wake every waiter; later hints are dropped. Blocks until the connection is closed, a few seconds when the broker is silent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._loop.call_soon_threadsafe(self._stop)
        self._inbox.close()
        self._thread.join(STOP_SECONDS)

    def _call(self, what: Callable[[], None]) -> None:
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(what)

    # --- in the thread

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner, contextlib.suppress(asyncio.CancelledError):
            runner.run(self._keep())

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _keep(self) -> None:
        self._task = asyncio.current_task()
        if not self._closed:
            await keep(
                lambda: connect(self._broker, name=self._name),
                self._converse,
                lost=lambda error: log("RNK7101W", broker=address(self._broker), reason=told_trouble(error)),
                back=lambda: log("RNK7102I", broker=address(self._broker)),
                trouble=(Exception,),  # whatever it is: hints may fail, the node must not
            )

    async def _converse(self, connection: Connection, up: Callable[[], None]) -> None:
        connection.when_lost = self._stirred.set
        try:
            async with asyncio.timeout(self._watch_seconds):
                channel = await connection.channel(publisher_confirms=False)
                await channel.set_qos(prefetch_count=UNTAKEN_MESSAGES)
                await channel.declare_queue(QUEUE, durable=True, arguments=_ARGUMENTS)
                under = cast("Channel", await channel.get_underlay_channel())

            async def cancelled(_frame: object) -> None:
                connection.drop()

            under.on_consumer_cancel_callbacks.add(cancelled)
            self._received = 0
            self._connected.set()
            self._observe(True)
            up()
            await self._exchange(connection, channel, under)
        finally:
            self._down()

    async def _exchange(self, connection: Connection, channel: AbstractChannel, under: Channel) -> None:
        """Send, receive and look after the queue until something is lost."""
        consumer, acknowledged = "", 0
        while True:
            heed_cancelling()
            self._stirred.clear()
            if connection.lost.is_set() or channel.is_closed:
                raise ConnectionError("the connection or its channel was closed")
            if self._waited and not consumer:
                queue = await channel.get_queue(QUEUE, ensure=False)
                consumer = await queue.consume(self._receive, timeout=self._watch_seconds)
            await self._send(channel)
            if self._taken and self._received > acknowledged:
                self._taken, acknowledged = False, self._received
                await under.basic_ack(acknowledged, multiple=True, wait=False)
            try:
                async with asyncio.timeout(self._watch_seconds):
                    await self._stirred.wait()
            except TimeoutError:
                await self._look_after(channel, under, consumer)

    async def _send(self, channel: AbstractChannel) -> None:
        with self._lock:
            ids, self._outgoing = list(self._outgoing), {}
        for start in range(0, len(ids), IDS_A_MESSAGE):
            message = Message("\n".join(ids[start : start + IDS_A_MESSAGE]).encode())
            await channel.default_exchange.publish(message, QUEUE, mandatory=False, timeout=self._watch_seconds)

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        self._received = max(self._received, message.delivery_tag or 0)
        self._inbox.publish(message.body.decode("ascii", "replace").split("\n"))

    async def _look_after(self, channel: AbstractChannel, under: Channel, consumer: str) -> None:
        """Ask the broker for the queue: it must answer, have it, and have this node's consumer."""
        queue = await channel.declare_queue(QUEUE, passive=True, timeout=self._watch_seconds)
        if consumer and (consumer not in under.consumers or not queue.declaration_result.consumer_count):
            raise ConnectionError("the consumer was lost")

    def _down(self) -> None:
        """What was not sent goes to this node's own waiters."""
        with self._lock:
            self._connected.clear()
            ids, self._outgoing = self._outgoing, {}
        self._observe(False)
        self._inbox.publish(ids)
