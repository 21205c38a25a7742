"""Every error of RabbitMQ and its client library as one of the bus's: Transient when trying again may help, Permanent when it cannot.

Owns: the table. What is not in it is Transient: it is tried again a bounded number of times and then seen by a person. Wrong credentials
and queues of other settings are Transient too: a person mends them once, for all that waits.
"""

from __future__ import annotations

from aio_pika.exceptions import ChannelPreconditionFailed, DeliveryError, PublishError
from aiormq.exceptions import ChannelAccessRefused

from bus.errors import Permanent, Transient, TransportError
from bus.rabbitmq import told_trouble


def cannot_connect(error: BaseException, broker: str) -> TransportError:
    """What it means that there is no connection."""
    if isinstance(error, TransportError):
        return error
    return Transient("RNK5501E", broker=broker, reason=told_trouble(error))


def cannot_declare(error: BaseException, queue: str, broker: str) -> TransportError:
    """What it means that a queue cannot be made or found."""
    if isinstance(error, ChannelPreconditionFailed):
        return Transient("RNK5506E", queue=queue, reason=told_trouble(error))
    if isinstance(error, ChannelAccessRefused):
        return Transient("RNK5507E", queue=queue, reason=told_trouble(error))
    return cannot_connect(error, broker)


def cannot_publish(error: BaseException, queue: str, broker: str) -> TransportError:
    """What it means that an event was not confirmed."""
    if isinstance(error, PublishError):
        return Transient("RNK5504E", queue=queue)
    if isinstance(error, DeliveryError):
        return Transient("RNK5505E", queue=queue)
    if isinstance(error, TimeoutError):
        return Transient("RNK5502E", queue=queue)
    if isinstance(error, ChannelPreconditionFailed):
        return Permanent("RNK5508E", queue=queue, reason=told_trouble(error))
    if isinstance(error, ChannelAccessRefused):
        return Transient("RNK5507E", queue=queue, reason=told_trouble(error))
    return cannot_connect(error, broker)
