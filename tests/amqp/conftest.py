"""A city with applications that speak plain AMQP, on the broker that these tests share."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from adapters.amqp.adapter import AmqpAdapter
from bus.event import Attributes, OutgoingEvent
from bus.event_ports import Broker as Place
from bus.event_ports import EventPlace
from tests.services.rabbitmq import Broker, rabbitmq  # noqa: F401 - fixture

PATIENCE_SECONDS = 20.0


@dataclass
class City:
    """One tenant, its virtual host, and what the bus is told of it."""

    broker: Broker
    password_file: Path
    tenant: str = field(default_factory=lambda: f"{secrets.randbelow(10**6):06}")
    adapter: AmqpAdapter = field(default_factory=AmqpAdapter)
    told: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    @property
    def virtual_host(self) -> str:
        return f"renkei.{self.tenant}"

    def place(
        self,
        *,
        interfaces: Sequence[str] = (),
        subscriptions: Sequence[str] = (),
        port: int | None = None,
        management: bool = True,
        **settings: object,
    ) -> EventPlace:
        """Where events come from or go to; `port` is a proxy's."""
        at = Place(
            self.broker.url("/", port=port, password=False), str(self.password_file), self.broker.management_url if management else None
        )
        return EventPlace(self.tenant, "welfare_events", settings, "/", interfaces, subscriptions, at, self.tell)

    def tell(self, message_id: str, /, **facts: object) -> None:
        self.told.append((message_id, facts))

    def event(self, number: int = 1, subscription: str = "welfare", data: bytes = b'{"name":"\xe9\xab\x99\xe6\xa9\x8b"}') -> OutgoingEvent:
        extensions = {"renkeidelivery": f"{self.tenant}-d{number}", "renkeinumber": str(number)}
        attributes = Attributes(f"e{number}", "/resident", "jp.city.moved", time="2026-11-20T01:30:00Z", extensions=extensions)
        return OutgoingEvent(self.tenant, subscription, "welfare_events", f"{self.tenant}-d{number}", 1, attributes, data)

    @contextmanager
    def application(self) -> Iterator[BlockingChannel]:
        """A plain client in the tenant's virtual host."""
        with pika.BlockingConnection(pika.URLParameters(self.broker.url(self.virtual_host))) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel

    def queues(self) -> dict[str, dict[str, object]]:
        """Arguments by name."""
        return {queue["name"]: queue["arguments"] for queue in self.broker.api("GET", f"queues/{self.virtual_host}")}


def fetched(channel: BlockingChannel, queue: str, count: int, *, ack: bool = True) -> list[tuple[pika.BasicProperties, bytes]]:
    """So many messages, waited for."""
    found = []
    for method, properties, body in channel.consume(queue, inactivity_timeout=PATIENCE_SECONDS):
        assert method is not None, f"{len(found)} of {count} messages came"
        found.append((properties, body))
        if ack:
            channel.basic_ack(method.delivery_tag)
        if len(found) == count:
            break
    channel.cancel()
    return found


def drop_virtual_host(broker: Broker, name: str) -> None:
    try:
        broker.api("DELETE", f"vhosts/{name}")
    except HTTPError as error:
        assert error.code == 404  # noqa: PT017 - it was never needed


@pytest.fixture
def city(rabbitmq: Broker, tmp_path: Path) -> Iterator[City]:  # noqa: F811 - fixture
    city = City(rabbitmq, rabbitmq.password_file(tmp_path))
    yield city
    drop_virtual_host(rabbitmq, city.virtual_host)


Fetched = Callable[..., list[tuple[pika.BasicProperties, bytes]]]


@pytest.fixture
def fetch() -> Fetched:
    return fetched
