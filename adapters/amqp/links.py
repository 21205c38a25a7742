"""Connections to tenants' virtual hosts, each shared by all endpoints of a tenant that send, or that receive.

Owns: who shares which connection, and making the virtual host when it is missing. Sending and receiving have a connection each: RabbitMQ
stops reading a connection that publishes too fast, and confirmations of what was received must not wait behind that.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Literal

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import InvalidFrameError

from adapters.amqp.topology import virtual_host
from adapters.amqp.virtual_hosts import make_virtual_host
from bus.event_ports import Broker
from bus.rabbitmq import CLOSE_SECONDS, TROUBLE, Connection, address, connect, end

ANSWER_SECONDS: Final = 5.0
Purpose = Literal["sends", "receives"]


async def close_channel(channel: AbstractChannel) -> None:
    """Close it within `CLOSE_SECONDS`, or leave it to its connection. Never raises for trouble with the broker."""
    with contextlib.suppress(*TROUBLE):
        async with asyncio.timeout(CLOSE_SECONDS):
            await channel.close()


class Link:
    """One connection of a tenant, made when it is asked for and again when it was lost."""

    def __init__(self, broker: Broker, tenant: str, purpose: Purpose) -> None:
        self.address = address(broker, virtual_host(tenant))
        self.users = 0
        self._broker = broker
        self._tenant = tenant
        self._purpose = purpose
        self._connection: Connection | None = None
        self._dialling: asyncio.Task[Connection] | None = None

    async def connection(self) -> Connection:
        """The connection; all who ask while it is being made wait for the same attempt.

        Raises:
            One of TROUBLE, Transient: there is none.
        """
        if self._connection is not None and not self._connection.lost.is_set():
            return self._connection
        if self._dialling is None:
            self._dialling = asyncio.create_task(self._dial())
            self._dialling.add_done_callback(self._dialled)
        return await asyncio.shield(self._dialling)

    async def suspect(self, connection: Connection) -> None:
        """Somebody waited in vain: drop the connection for all, unless the broker still answers on it."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                channel = await connection.channel(publisher_confirms=False)
                await channel.close()
        except TROUBLE:
            connection.drop()

    async def close(self) -> None:
        """Let the connection go."""
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.gather(self._dialling, return_exceptions=True)
        if self._connection is not None:
            await end(self._connection)
            self._connection = None

    def _dialled(self, task: asyncio.Task[Connection]) -> None:
        self._dialling = None
        if not task.cancelled():
            with contextlib.suppress(Exception):
                self._connection = task.result()

    async def _dial(self) -> Connection:
        if self._connection is not None:
            await end(self._connection)
            self._connection = None
        host, name = virtual_host(self._tenant), f"renkei {self._purpose} {self._tenant}"
        try:
            return await connect(self._broker, name=name, virtual_host=host)
        except InvalidFrameError:  # refused when opening: there may be no such virtual host yet
            await make_virtual_host(self._broker, host)
            return await connect(self._broker, name=name, virtual_host=host)


class Links:
    """All connections of an adapter. Whoever takes a link gives it back once."""

    def __init__(self) -> None:
        self._links: dict[tuple[Broker, str, Purpose], Link] = {}

    def take(self, broker: Broker, tenant: str, purpose: Purpose) -> Link:
        """The tenant's link for that purpose."""
        link = self._links.setdefault((broker, tenant, purpose), Link(broker, tenant, purpose))
        link.users += 1
        return link

    async def give_back(self, link: Link) -> None:
        """Close it when nobody uses it any more."""
        link.users -= 1
        if link.users == 0:
            for key, known in list(self._links.items()):
                if known is link:
                    del self._links[key]
            await link.close()
