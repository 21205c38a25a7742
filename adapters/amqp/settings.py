"""The `settings:` of an endpoint whose adapter is `amqp`, the same both ways; all may be left out.

Owns: the words and their checks. Queues are made with these settings and never changed: to change one, let it run empty and delete it, and
the bus makes it anew.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.model import Strict

QueueName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]


class AmqpSettings(Strict):
    """How an endpoint's queues are. `queue` is the name of its only one, instead of `in.<interface>` or `out.<subscription>`."""

    queue: QueueName | None = None
    mode: Literal["binary", "structured"] = "binary"
    """how events leave; both are taken in"""
    delivery_limit: int = Field(default=20, ge=1, le=1_000_000)
    """how often the application may let go of an event without confirming it, before it is given back as a dead letter"""
    single_active_consumer: bool = True
    """only one consumer at a time, so that order holds (and `basic.get` is refused by RabbitMQ); without it consumers share the queue, and
    order ends there"""
    message_ttl_seconds: float | None = Field(default=None, ge=1, le=30 * 86_400)
    """an event not fetched for so long is given back as a dead letter"""
    max_bytes: int = Field(default=1024**3, ge=1024**2)
    """bodies in a queue; beyond it, who publishes is refused: the application inbound, the bus outbound (it tries again)"""
