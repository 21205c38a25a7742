"""`renkei bench amqp`: events in over AMQP, validated, journalled, routed, and out over AMQP, beside programs that keep nothing.

Owns: a RabbitMQ of its own and three measurements per round, each on quorum queues with confirmed publishing: aio-pika publishing with 50
confirms in flight; a FastStream application that subscribes, checks a pydantic model and publishes; a Renkei node. For the last two a
queue is filled beforehand and the rate is that of the messages that arrive in the outgoing queue, once the first hundredth has arrived.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aio_pika

from tests.bench.event_site import TENANT, record, serving, write_site
from tests.bench.machine import described
from tests.services.rabbitmq import Broker, private_rabbitmq

IN_FLIGHT = 50
SUBSCRIPTION = "welfare"
_QUORUM = {"x-queue-type": "quorum"}
_FASTSTREAM = '''
import asyncio, os
from faststream import FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue
from pydantic import BaseModel
class Move(BaseModel):
    atenabango: str; rirekibango: str; ido_jiyu: str; ido_ymd: str; shimei: str; shimei_kana: str; umareymd: str; seibetsu: str
    yubinbango: str; jusho: str; katagaki: str; biko: str
broker = RabbitBroker(os.environ["BENCH_URL"], default_channel=Channel(prefetch_count=200), logger=None)
out = RabbitQueue("fs.out", durable=True, queue_type=QueueType.QUORUM)
@broker.subscriber(RabbitQueue("fs.in", durable=True, queue_type=QueueType.QUORUM))
async def moved(move: Move) -> None:
    await broker.publish(move, queue=out, persist=True)
import uvloop
uvloop.install()
asyncio.run(FastStream(broker).run())
'''


def run(*, messages: int, rounds: int) -> dict[str, Any]:
    """Measure. `messages_per_second`, `ratio_to_raw_aio_pika`, `speedup_vs_faststream` (of the medians)."""
    folder = Path(tempfile.mkdtemp(prefix="renkei-bench-"))
    try:
        with private_rabbitmq() as server:
            return _measured(folder, server.broker, messages, rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(folder: Path, broker: Broker, messages: int, rounds: int) -> dict[str, Any]:
    found: dict[str, list[float]] = {"raw": [], "faststream": [], "renkei": []}
    for number in range(rounds):
        with broker.new_virtual_host() as host:
            found["raw"].append(asyncio.run(_raw(broker.url(host), messages)))
        with broker.new_virtual_host() as host:
            found["faststream"].append(_faststream(broker.url(host), messages))
        found["renkei"].append(_renkei(folder / f"site{number}", broker, messages, number))
    rate, raw, faststream = (statistics.median(found[name]) for name in ("renkei", "raw", "faststream"))
    return {
        "messages_per_second": round(rate),
        "ratio_to_raw_aio_pika": round(rate / raw, 3),
        "speedup_vs_faststream": round(rate / faststream, 2),
        "raw_aio_pika_messages_per_second": round(raw),
        "faststream_messages_per_second": round(faststream),
        "rounds": {name: [round(one) for one in rates] for name, rates in found.items()},
        "messages": messages,
        "body_bytes": len(_body(0)),
        "machine": described("aio-pika", "faststream", "uvloop", "pydantic"),
    }


def _body(number: int) -> bytes:
    return json.dumps(record(f"{number:015}"), ensure_ascii=False).encode()


async def _raw(url: str, messages: int) -> float:
    """Publish with confirms, 50 in flight."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue("raw", durable=True, arguments=_QUORUM)
        began = time.perf_counter()
        await _publish(channel, "", "raw", messages)
        return messages / (time.perf_counter() - began)


async def _publish(channel: Any, exchange: str, key: str, messages: int, stamp: str = "") -> None:
    target = await channel.get_exchange(exchange) if exchange else channel.default_exchange
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> None:
        headers = {"cloudEvents_specversion": "1.0", "cloudEvents_id": f"{stamp}-{number}", "cloudEvents_source": "/resident"}
        headers["cloudEvents_type"] = "jp.move"
        message = aio_pika.Message(_body(number), headers=headers, content_type="application/json", delivery_mode=2)
        await target.publish(message, key)
        room.release()

    tasks = set()
    for number in range(messages):
        await room.acquire()
        task = asyncio.create_task(one(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


def _faststream(url: str, messages: int) -> float:
    asyncio.run(_fill(url, "", "fs.in", messages, "fs", ["fs.in", "fs.out"]))
    environment = os.environ | {"BENCH_URL": url}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    application = subprocess.Popen([sys.executable, "-c", _FASTSTREAM], env=environment, **quiet)
    try:
        return asyncio.run(_arriving(url, "fs.out", messages))
    finally:
        application.terminate()
        application.wait(30)


def _renkei(site: Path, broker: Broker, messages: int, number: int) -> float:
    """The node makes its queues, is stopped, the queue is filled, the node goes on."""
    site.mkdir()
    at = {"url": broker.url("/", password=False), "password_file": str(broker.password_file(site)), "management_url": broker.management_url}
    out = [(SUBSCRIPTION, "amqp", {})]
    write_site(site, source={"adapter": "amqp"}, sinks=out, site={"broker": at})
    url = broker.url(f"renkei.{TENANT}")
    with serving(site):
        _until(lambda: asyncio.run(_has(url, "in.moves", f"out.{SUBSCRIPTION}")), "the node made its queues")
    asyncio.run(_fill(url, "renkei.in", "moves", messages, f"r{number}", []))
    with serving(site):
        rate = asyncio.run(_arriving(url, f"out.{SUBSCRIPTION}", messages))
    broker.api("DELETE", f"vhosts/renkei.{TENANT}")
    shutil.rmtree(site)
    return rate


async def _has(url: str, *queues: str) -> bool:
    try:
        async with await aio_pika.connect(url) as connection:
            for queue in queues:
                await (await connection.channel()).declare_queue(queue, passive=True)
    except (aio_pika.exceptions.AMQPError, ConnectionError):
        return False
    return True


async def _fill(url: str, exchange: str, key: str, messages: int, stamp: str, queues: list[str]) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        for queue in queues:
            await channel.declare_queue(queue, durable=True, arguments=_QUORUM)
        await _publish(channel, exchange, key, messages, stamp)


async def _arriving(url: str, queue: str, messages: int) -> float:
    """Messages a second in the outgoing queue, from its first hundredth on."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        first: tuple[float, int] | None = None
        end = time.monotonic() + 300
        while True:
            found = await channel.declare_queue(queue, passive=True)
            count, now = found.declaration_result.message_count or 0, time.perf_counter()
            if first is None and count >= messages // 100:
                first = (now, count)
            if count >= messages and first is not None:
                return (count - first[1]) / (now - first[0])
            assert time.monotonic() < end, f"{count} of {messages} arrived in {queue}"
            await asyncio.sleep(0.02)


def _until(check: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not check():
        assert time.monotonic() < end, f"did not come true: {what}"
        time.sleep(0.1)


