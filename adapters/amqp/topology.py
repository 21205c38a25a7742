"""The queues of a tenant's virtual host and what each promises.

    application --> exchange renkei.in --(key = interface)--> in.<interface> --> bus
    bus --> out.<subscription> --> application
            out.<subscription> --(rejected, let go too often, not fetched in time, each at least once)--> dead.<subscription> --> bus
    in.<interface>, dead.<subscription> --(could not be read by the bus, 50 times)--> parked

All are quorum queues (replicated, on disk when confirmed) that refuse publishing when full instead of dropping. `dead.<subscription>` is
read by the bus, which puts the event into quarantine, so that an operator sees it; the journal has the event and can send it again.
`parked` is read by nobody: what stands there breaks AMQP itself or was let go by every node many times, and an operator looks at it in
RabbitMQ's console; the bus tells that it is not empty. Dead-lettering is at least once (`x-dead-letter-strategy`, RabbitMQ 3.10): a
letter is removed from its queue only when the next has it. Limits stand explicitly, for defaults differ between versions (delivery limit:
none in 3.10, 20 in 4.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel
from pamqp.common import FieldTable

from adapters.amqp.settings import AmqpSettings

EXCHANGE: Final = "renkei.in"
PARKED: Final = "parked"
BUS_DELIVERY_LIMIT: Final = 50
"""How often the bus may let go of a message: at every lost connection, and each time it cannot read it."""
DECLARE_SECONDS: Final = 10.0
_PARKED_LIMIT: Final = 1_000_000_000


def virtual_host(tenant: str) -> str:
    """The tenant's own."""
    return f"renkei.{tenant}"


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """A queue as it must be. `key` binds it to the exchange."""

    name: str
    arguments: FieldTable
    key: str | None = None


def inbound(interface: str, settings: AmqpSettings) -> QueuePlan:
    """Where an interface's events come in: one node at a time takes them, so that order holds."""
    arguments = _quorum(single=True, limit=BUS_DELIVERY_LIMIT, letters_to=PARKED) | {"x-max-length-bytes": settings.max_bytes}
    return QueuePlan(settings.queue or f"in.{interface}", arguments, interface)


def outbound(subscription: str, settings: AmqpSettings) -> QueuePlan:
    """Where a subscription's application fetches its events."""
    single = settings.single_active_consumer
    arguments = _quorum(single=single, limit=settings.delivery_limit, letters_to=dead(subscription).name)
    arguments["x-max-length-bytes"] = settings.max_bytes
    if settings.message_ttl_seconds is not None:
        arguments["x-message-ttl"] = round(settings.message_ttl_seconds * 1000)
    return QueuePlan(settings.queue or f"out.{subscription}", arguments)


def dead(subscription: str) -> QueuePlan:
    """Where it comes back what the application gave up."""
    return QueuePlan(f"dead.{subscription}", _quorum(single=True, limit=BUS_DELIVERY_LIMIT, letters_to=PARKED))


def parked() -> QueuePlan:
    """Where it ends what the bus cannot read."""
    return QueuePlan(PARKED, {"x-queue-type": "quorum", "x-delivery-limit": _PARKED_LIMIT})


def _quorum(*, single: bool, limit: int, letters_to: str) -> FieldTable:
    return {
        "x-queue-type": "quorum",
        "x-single-active-consumer": single,
        "x-delivery-limit": limit,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": letters_to,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


async def declare(channel: AbstractChannel, *plans: QueuePlan) -> None:
    """Make what is missing.

    Raises:
        One of `bus.rabbitmq.TROUBLE`: a queue of that name is there with other arguments, or the broker did not answer in time.
    """
    for plan in plans:
        queue = await channel.declare_queue(plan.name, durable=True, arguments=plan.arguments, timeout=DECLARE_SECONDS)
        if plan.key is not None:
            await channel.declare_exchange(EXCHANGE, ExchangeType.DIRECT, durable=True, timeout=DECLARE_SECONDS)
            await queue.bind(EXCHANGE, plan.key, timeout=DECLARE_SECONDS)
