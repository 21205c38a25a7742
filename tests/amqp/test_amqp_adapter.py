"""What the adapter is told and how it tells of errors."""

from __future__ import annotations

import inspect

import aio_pika.exceptions
import aiormq.exceptions
import pamqp.exceptions
import pytest
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from adapters.amqp.adapter import ADAPTER, AmqpAdapter
from adapters.amqp.errors import cannot_connect, cannot_declare, cannot_publish
from adapters.amqp.settings import AmqpSettings
from bus.errors import SiteInvalid, TransportError
from bus.event_ports import Broker, EventPlace, GivesDeadLetters
from bus.rabbitmq import TROUBLE

BROKER = Broker("amqp://bus@127.0.0.1:1/", None, None)


def place(
    broker: Broker | None = BROKER, interfaces: tuple[str, ...] = (), subscriptions: tuple[str, ...] = (), **settings: object
) -> EventPlace:
    return EventPlace("332020", "welfare_events", settings, "/", interfaces, subscriptions, broker)


def test_an_endpoint_has_what_it_is_used_for() -> None:
    adapter = AmqpAdapter()
    assert isinstance(adapter, GivesDeadLetters)
    assert adapter.settings_model("source") is adapter.settings_model("sink") is AmqpSettings
    assert adapter.event_source(place()) is adapter.event_sink(place()) is adapter.dead_letters(place()) is None
    assert adapter.event_source(place(interfaces=("moves",)))
    assert adapter.event_sink(place(subscriptions=("welfare",)))
    assert adapter.dead_letters(place(subscriptions=("welfare",)))
    assert ADAPTER.name == "amqp"


@pytest.mark.parametrize(
    ("wrong", "message_id"),
    [
        (place(queu="x"), "RNK5514E"),
        (place(delivery_limit=0), "RNK5514E"),
        (place(queue="スペース"), "RNK5514E"),
        (place(broker=None), "RNK5515E"),
        (place(interfaces=("a", "b"), queue="one"), "RNK5516E"),
        (place(interfaces=("a",), subscriptions=("b",), queue="one"), "RNK5516E"),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(wrong: EventPlace, message_id: str) -> None:
    for make in (ADAPTER.event_source, ADAPTER.event_sink, ADAPTER.dead_letters):
        with pytest.raises(SiteInvalid) as raised:
            make(wrong)
        assert raised.value.message_id == message_id


def foreign_errors() -> list[type[BaseException]]:
    modules = (aiormq.exceptions, aio_pika.exceptions, pamqp.exceptions)
    found = {value for module in modules for _, value in inspect.getmembers(module, inspect.isclass)}
    return sorted((each for each in found if issubclass(each, Exception)), key=lambda each: each.__name__)


@pytest.mark.parametrize("kind", foreign_errors(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_libraries_is_mapped(kind: type[Exception]) -> None:
    if issubclass(kind, aiormq.exceptions.DeliveryError):
        frame = Basic.Return(312, "NO_ROUTE", "", "out.welfare")
        error: Exception = kind(DeliveredMessage(frame, ContentHeader(), b"", None), frame)  # type: ignore[call-arg, arg-type]
    else:
        error = kind("said")
    for cannot in (cannot_declare, cannot_publish):
        assert isinstance(cannot(error, "out.welfare", "host/renkei.332020"), TransportError)
    assert isinstance(cannot_connect(error, "host/renkei.332020"), TransportError)
    if not kind.__module__.startswith("pamqp") and kind is not pamqp.exceptions.PAMQPException:
        assert issubclass(kind, TROUBLE), f"{kind} would end a connection's keeper"
