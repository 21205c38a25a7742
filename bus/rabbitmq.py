"""Connections to RabbitMQ that begin and end within a time limit, for the work hints and for the AMQP adapter.

Owns: where the password comes from (its file, read anew at each connection, so that it can be changed while the bus runs), the limits,
connecting again (`keep`), and how trouble is told: never with a password, never with what a message holds. A connection of aio-pika that
restores itself is not used: it would hide what was lost meanwhile, and has come back without its consumers.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import aio_pika
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, InvalidFrameError
from aiormq.connection import TransportFactory
from yarl import URL

from bus.event_ports import Broker
from bus.secret_files import read_secret

CONNECT_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 2.0
HEARTBEAT_SECONDS: Final = 10
"""Both sides end a connection on which nothing came for a few of these; whoever uses it asks more often whether it lives."""

FIRST_PAUSE_SECONDS: Final = 0.1
MOST_PAUSE_SECONDS: Final = 15.0
STEADY_SECONDS: Final = 10.0
"""A connection that lasted so long was a good one: the next pause is a short one again."""

TROUBLE: Final = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError, RuntimeError, ValueError)
"""What the client library raises when the broker or the way to it fails: RuntimeError when a connection ended meanwhile, ValueError when
what came cannot be read."""

# Every trouble is raised to us, and told once by whoever keeps the connection; the libraries would tell it again at every attempt.
for _name in ("aio_pika", "aiormq"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class _Gathering(asyncio.StreamWriter):
    """Sends what is written within one turn of the loop with one system call: the library writes every message by itself."""

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.StreamReaderProtocol, reader: asyncio.StreamReader) -> None:
        self._turn = asyncio.get_running_loop()
        self._gathered: list[bytes] = []
        super().__init__(transport, protocol, reader, self._turn)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send soon."""
        if not self._gathered:
            self._turn.call_soon(self._send)
        self._gathered.append(bytes(data))

    async def drain(self) -> None:
        """Send now, and wait until there is room for more."""
        self._send()
        await super().drain()

    def close(self) -> None:
        """Send what was written, then close."""
        self._send()
        super().close()

    def _send(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered and not self.is_closing():
            super().write(b"".join(gathered))


class _Dialled(TransportFactory):
    """Opens the TCP connection, and keeps hold of it so that it can be dropped at once."""

    writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **_known: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The streams to the broker, under TLS for `amqps`; `cafile` in the address names the authority that is trusted."""
        context = ssl.create_default_context(cafile=url.query.get("cafile")) if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, url.host or "", url.port or 0, ssl=context)
        self.writer = _Gathering(transport, protocol, reader)
        return reader, self.writer


class Connection(aio_pika.Connection):
    """A connection that tells when it is lost, and can be dropped without a word."""

    def __init__(self, url: URL, **settings: Any) -> None:
        super().__init__(url, **settings)
        self.lost = asyncio.Event()
        """set when it has ended, whoever ended it"""
        self.when_lost: Callable[[], None] = lambda: None
        """called then"""
        self._dialled = _Dialled()
        self.kwargs["transport_factory"] = self._dialled

    def __del__(self) -> None:
        """Whoever has it ends it; closing when it is collected, as the library would, may be after its loop has ended."""

    async def _on_connection_close(self, closing: asyncio.Future[Any]) -> None:
        self._tell()
        await super()._on_connection_close(closing)

    def drop(self) -> None:
        """End it now, without telling the broker: what is still to be sent is lost."""
        self._tell()
        if self._dialled.writer is not None:
            self._dialled.writer.transport.abort()

    def _tell(self) -> None:
        if not self.lost.is_set():
            self.lost.set()
            self.when_lost()


def address(broker: Broker, virtual_host: str | None = None) -> str:
    """Where the broker is, as people may be told."""
    url = URL(broker.url)
    return f"{url.host}:{url.port or ''}/{url.path.strip('/') if virtual_host is None else virtual_host}"


def password(broker: Broker) -> str | None:
    """What stands in the password file now.

    Raises:
        OSError: it cannot be read.
    """
    return read_secret(Path(broker.password_file)) if broker.password_file else None


async def connect(broker: Broker, *, name: str, virtual_host: str | None = None) -> Connection:
    """A new connection, within `CONNECT_SECONDS`. `name` is shown by the broker's console.

    Args:
        virtual_host: Instead of the one of the broker's address.

    Raises:
        One of TROUBLE: there is none.
    """
    url = URL(broker.url).update_query(heartbeat=HEARTBEAT_SECONDS, name=name)
    secret = await asyncio.to_thread(password, broker)
    if secret is not None:
        url = url.with_password(secret)
    if virtual_host is not None:
        url = url.with_path(f"/{virtual_host}", keep_query=True)
    connection = Connection(url, loop=asyncio.get_running_loop())
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await connection.connect()
    except BaseException:
        await end(connection)
        raise
    return connection


async def end(connection: Connection) -> None:
    """Close it in order within `CLOSE_SECONDS`, or drop it. Never raises.

    The closing is a task of its own: the library, when it is cancelled while it closes, may wait for ever.
    """
    closing = asyncio.create_task(connection.close())
    closing.add_done_callback(lambda task: task.cancelled() or task.exception())
    try:
        await asyncio.wait((closing,), timeout=CLOSE_SECONDS)
    finally:
        connection.drop()
    if not closing.done():
        await asyncio.wait((closing,), timeout=CLOSE_SECONDS)  # the closing sees that it was dropped, and ends


def told_trouble(error: BaseException) -> str:
    """What went wrong, in the broker's or the system's words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, InvalidFrameError):
        return "refused when opening: no such virtual host, or the user may not use it"
    return str(error) if isinstance(error, AMQPError) and str(error) else type(error).__name__


def heed_cancelling() -> None:
    """End this task if it was asked to end: the library waits by `asyncio.wait_for`, which in Python 3.11 forgets a cancellation that
    comes together with what it waits for. To be called wherever a task would go on for long.

    Raises:
        CancelledError: it was.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def keep(
    dial: Callable[[], Awaitable[Connection]],
    converse: Callable[[Connection, Callable[[], None]], Awaitable[None]],
    *,
    lost: Callable[[Exception], None],
    back: Callable[[], None],
    done_with: Callable[[Connection], Awaitable[None]] = end,
    trouble: tuple[type[Exception], ...] = TROUBLE,
) -> None:
    """Connect and converse, again and again, with a pause that grows as long as it is in vain. Ends when cancelled, or with `converse`.

    Args:
        dial: Makes a connection, or gives one that others use too.
        converse: Uses it until there is trouble, and calls its second argument when all that it needs is there.
        lost: Told the first trouble of an outage, and no other.
        back: Called at the end of an outage.
        done_with: What to do with the connection afterwards.
        trouble: What is an outage; anything else is raised.
    """
    pause, out = FIRST_PAUSE_SECONDS, False
    began: float | None = None

    def up() -> None:
        nonlocal out, began
        began = time.monotonic()
        if out:
            back()
        out = False

    while True:
        began = None
        heed_cancelling()
        try:
            connection = await dial()
            try:
                heed_cancelling()
                return await converse(connection, up)
            finally:
                await done_with(connection)
        except trouble as error:
            if not out:
                lost(error)
            out = True
        if began is not None and time.monotonic() - began >= STEADY_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        await asyncio.sleep(pause * _spread.uniform(0.5, 1))
        pause = min(pause * 2, MOST_PAUSE_SECONDS)


_spread: Final = Random()  # noqa: S311 - so that nodes do not all come back at once
