"""Hints over a real RabbitMQ: the laws, and every trouble a broker can have. Losing hints is allowed; failing, blocking or staying away
is not."""

from __future__ import annotations

import asyncio
import io
import logging
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pika
import pytest
from hint_laws import PATIENCE_SECONDS, HintLaws, taken

from bus.broker.hints import Hints
from bus.broker.rabbitmq import QUEUE, RabbitHints
from monitoring.log import set_up_log
from tests.proxy import TcpProxy
from tests.services.rabbitmq import Broker, RabbitMq, private_rabbitmq

Open = Callable[..., RabbitHints]


@pytest.fixture
def node(rabbitmq: Broker, virtual_host: str, tmp_path: Path) -> Iterator[Open]:
    """Opens a node's end of the hints of this test's virtual host; closes all at the end."""
    with ExitStack() as stack:

        def opened(port: int | None = None, watch_seconds: float = 5.0) -> RabbitHints:
            url = rabbitmq.url(virtual_host, port=port, password=False)
            hints = RabbitHints.open(url, str(rabbitmq.password_file(tmp_path)), watch_seconds=watch_seconds)
            stack.callback(hints.close)
            return hints

        yield opened


@pytest.fixture
def connected(node: Open) -> Open:
    def opened(port: int | None = None, watch_seconds: float = 5.0) -> RabbitHints:
        hints = node(port, watch_seconds)
        assert hints.wait_connected(PATIENCE_SECONDS)
        return hints

    return opened


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What the bus logs."""
    lines = io.StringIO()
    set_up_log(stream=lines)
    yield lines
    set_up_log()


class TestRabbitHints(HintLaws):
    """Two ends are two nodes' connections."""

    @pytest.fixture(autouse=True)
    def _over(self, connected: Open) -> None:
        self.connected = connected

    def make(self) -> Hints:
        return self.connected()

    def nodes(self) -> tuple[Hints, Hints]:
        return self.connected(), self.connected()


async def published_until_taken(one: RabbitHints, other: RabbitHints) -> None:
    """Hints go from one node to the other again, sooner or later."""
    async with asyncio.timeout(PATIENCE_SECONDS * 2):
        number = 0
        while True:
            number += 1
            one.publish([f"332020-d{number}"])
            if await other.wait(timeout_seconds=0.2):
                return


async def test_purging_the_queue_loses_hints_and_nothing_else(rabbitmq: Broker, virtual_host: str, connected: Open) -> None:
    intake, dispatch = connected(), connected()
    intake.publish(["332020-d1"])
    with pika.BlockingConnection(pika.URLParameters(rabbitmq.url(virtual_host))) as connection:
        channel = connection.channel()
        while channel.queue_declare(QUEUE, passive=True).method.message_count == 0:
            connection.process_data_events(0.01)
        channel.queue_purge(QUEUE)
    assert await dispatch.wait(timeout_seconds=0.2) == frozenset()
    await published_until_taken(intake, dispatch)


async def test_a_node_that_does_not_wait_is_given_nothing(connected: Open) -> None:
    intake, dispatch = connected(), connected()
    for number in range(100):
        intake.publish([f"332020-d{number}"])
    assert len(await taken(dispatch, 100)) == 100


async def test_hints_are_shared_between_nodes_that_wait(connected: Open) -> None:
    intake, one, other = connected(), connected(), connected()
    shares = [asyncio.create_task(node.wait(timeout_seconds=PATIENCE_SECONDS)) for node in (one, other)]
    await asyncio.sleep(0)
    ids = {f"332020-d{number}" for number in range(9000)}
    intake.publish(ids)
    first, second = await asyncio.gather(*shares)
    assert first
    assert second
    assert not first & second, "each goes to one node"


async def test_a_queue_deleted_under_them_comes_back(rabbitmq: Broker, virtual_host: str, connected: Open) -> None:
    one, other = connected(), connected(watch_seconds=0.3)
    await published_until_taken(one, other)
    rabbitmq.api("DELETE", f"queues/{virtual_host}/{QUEUE}")
    await published_until_taken(one, other)


@pytest.mark.parametrize("reset", [True, False])
async def test_cut_connections_come_back(rabbitmq: Broker, connected: Open, reset: bool) -> None:
    with TcpProxy("127.0.0.1", rabbitmq.port) as proxy:
        one, other = connected(proxy.port), connected(proxy.port)
        for _ in range(3):
            await published_until_taken(one, other)
            proxy.cut(reset=reset)
        await published_until_taken(one, other)


@pytest.mark.parametrize(("sending", "receiving"), [(True, True), (True, False), (False, True)])
async def test_a_stalled_connection_is_given_up_and_made_anew(rabbitmq: Broker, connected: Open, sending: bool, receiving: bool) -> None:
    with TcpProxy("127.0.0.1", rabbitmq.port) as proxy:
        one, other = connected(watch_seconds=0.3), connected(proxy.port, watch_seconds=0.3)
        await published_until_taken(one, other)
        opened = proxy.opened
        proxy.stall(sending=sending, receiving=receiving)
        started = time.monotonic()
        other.publish(f"332020-d{number}" for number in range(10_000))
        assert time.monotonic() - started < 1
        await asyncio.to_thread(proxy.wait_opened, opened + 1)
        proxy.go_on()
        await published_until_taken(one, other)


async def test_without_a_broker_a_node_hints_itself(rabbitmq: Broker, node: Open, said: io.StringIO) -> None:
    with TcpProxy("127.0.0.1", rabbitmq.port) as proxy:
        proxy.refuse()
        hints = node(proxy.port)
        hints.publish(["332020-d1"])
        assert await hints.wait(timeout_seconds=0) == {"332020-d1"}
        assert not hints.wait_connected(0.5)
        proxy.go_on()
        assert hints.wait_connected(PATIENCE_SECONDS)
    lines = said.getvalue().splitlines()
    assert [line.split()[1] for line in lines][:2] == ["RNK7101W", "RNK7102I"], lines


def test_whoever_measures_is_told_whether_the_node_is_connected(rabbitmq: Broker, virtual_host: str, tmp_path: Path) -> None:
    told: queue.Queue[bool] = queue.Queue()
    with TcpProxy("127.0.0.1", rabbitmq.port) as proxy:
        url = rabbitmq.url(virtual_host, port=proxy.port, password=False)
        hints = RabbitHints.open(url, str(rabbitmq.password_file(tmp_path)), observe=told.put)
        try:
            assert not told.get(timeout=PATIENCE_SECONDS), "from the beginning, before anything can be known"
            while not told.get(timeout=PATIENCE_SECONDS):
                pass
            proxy.cut()
            assert not told.get(timeout=PATIENCE_SECONDS)
            while not told.get(timeout=PATIENCE_SECONDS):
                pass
        finally:
            hints.close()


async def test_a_wrong_password_is_told_without_it(rabbitmq: Broker, virtual_host: str, tmp_path: Path, said: io.StringIO) -> None:
    file = tmp_path / "password"
    file.write_text("not-the-password")
    hints = RabbitHints.open(rabbitmq.url(virtual_host, password=False), str(file))
    try:
        assert not hints.wait_connected(1)
        file.write_text(rabbitmq.password)
        assert await asyncio.to_thread(hints.wait_connected, PATIENCE_SECONDS), "the file is read anew at each attempt"
    finally:
        hints.close()
    assert "ACCESS_REFUSED" in said.getvalue()
    assert "not-the-password" not in said.getvalue()


@pytest.fixture(scope="module")
def own() -> Iterator[RabbitMq]:
    with private_rabbitmq() as server:
        yield server


@pytest.mark.slow
async def test_the_broker_restarted_and_killed(own: RabbitMq, tmp_path: Path, said: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    url, file = own.broker.url("/", password=False), str(own.broker.password_file(tmp_path))
    one, other = RabbitHints.open(url, file), RabbitHints.open(url, file)
    try:
        assert one.wait_connected(PATIENCE_SECONDS)
        assert other.wait_connected(PATIENCE_SECONDS)
        await published_until_taken(one, other)
        for end in (own.stop, own.kill):
            await asyncio.to_thread(end)
            await asyncio.to_thread(own.start)
            await published_until_taken(one, other)
            assert one.wait_connected(PATIENCE_SECONDS)
            assert other.wait_connected(PATIENCE_SECONDS)
    finally:
        one.close()
        other.close()
    told = [line.split()[1] for line in said.getvalue().splitlines()]
    assert set(told) == {"RNK7101W", "RNK7102I"}
    assert told.count("RNK7101W") == told.count("RNK7102I") == 4, "once for each node and outage"
    assert not caplog.records, "libraries tell nothing beside"
    assert own.broker.password not in said.getvalue()


@pytest.mark.slow
def test_closing_while_the_broker_is_silent_takes_seconds_at_most(rabbitmq: Broker, connected: Open) -> None:
    with TcpProxy("127.0.0.1", rabbitmq.port) as proxy:
        hints = connected(proxy.port)
        proxy.stall()
        started = time.monotonic()
        hints.close()
        assert time.monotonic() - started < 5
