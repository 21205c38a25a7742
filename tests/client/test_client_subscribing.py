"""Pulling with the client: what is acknowledged, handed back and prolonged, and when."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from renkei_client import Client, Delivery, Refused, StaleDelivery, Subscribed

DATA = {"resident_id": "0000000012"}


class Lending:
    """A subscription with some events; keeps what it was told of each."""

    def __init__(self, count: int, stale: set[str] | None = None) -> None:
        self.left = [f"332020-d{number}" for number in range(1, count + 1)]
        self.stale = stale or set()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.renewed = asyncio.Event()
        self.pulled_dry = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        act = request.url.path.rpartition("/")[2]
        asked = json.loads(request.content)
        if act == "pull":
            lent, self.left = self.left[: asked["max"]], self.left[asked["max"] :]
            if not lent:
                self.pulled_dry.set()
                await asyncio.Event().wait()
            return httpx.Response(200, json={"events": [_lent(name) for name in lent]})
        self.told += [(act, each) for each in asked["deliveries"]]
        if act == "renew":
            self.renewed.set()
        done = {"ack": "delivered", "nack": "due", "renew": "renewed"}[act]
        names = [each["delivery"] for each in asked["deliveries"]]
        results = [{"delivery": name, "outcome": "stale" if name in self.stale else done} for name in names]
        return httpx.Response(200, json={"results": results})

    def said(self, act: str) -> list[str]:
        return [each["delivery"] for name, each in self.told if name == act]

    def client(self) -> Client:
        return Client("http://127.0.0.1:9461", "332020", transport=httpx.MockTransport(self))


def _lent(name: str) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": name, "source": "/s", "type": "t", "data": DATA, "renkeidelivery": name, "renkeinumber": name[8:]}
    return {"delivery": name, "fence": 3, "number": int(name[8:]), "attempt": 1, "lease_until": "2026-11-20T00:00:00Z", "event": event}


async def test_pull_and_settle_each() -> None:
    bus = Lending(3)
    async with bus.client() as client:
        first, second, third = await client.pull("tax", 10)
        await first.ack()
        await second.nack("database down!", retry_after_seconds=0)
        await third.nack("no_such_person", give_up=True)
        await third.renew(120)
    assert (first.event.delivery, first.number, first.event.number, dict(first.event.data)) == ("332020-d1", 1, 1, DATA)
    assert bus.told == [
        ("ack", {"delivery": "332020-d1", "fence": 3}),
        ("nack", {"delivery": "332020-d2", "fence": 3, "reason": "database_down_", "retry_after_seconds": 0}),
        ("nack", {"delivery": "332020-d3", "fence": 3, "reason": "no_such_person", "give_up": True}),
        ("renew", {"delivery": "332020-d3", "fence": 3}),
    ]


async def test_a_lease_that_ended_is_told() -> None:
    async with Lending(1, stale={"332020-d1"}).client() as client:
        (delivery,) = await client.pull("tax")
        for act in (delivery.ack, delivery.nack, delivery.renew):
            with pytest.raises(StaleDelivery):
                await act()
        assert not delivery.settled


async def _read(client: Client, until: str, **settings: Any) -> list[str]:
    seen = []
    async with client.subscribe("tax", **settings) as deliveries:
        async for delivery in deliveries:
            seen.append(delivery.id)
            if delivery.id == until:
                break
    return seen


async def test_what_the_body_finished_is_acknowledged_and_the_rest_handed_back() -> None:
    bus = Lending(5)
    async with bus.client() as client:
        assert await _read(client, "332020-d3", most=10) == ["332020-d1", "332020-d2", "332020-d3"]
    assert bus.said("ack") == ["332020-d1", "332020-d2", "332020-d3"]
    assert [each for name, each in bus.told if name == "nack"] == [
        {"delivery": name, "fence": 3, "reason": "not_handled", "retry_after_seconds": 0} for name in ("332020-d4", "332020-d5")
    ]


async def test_an_error_in_the_body_hands_its_delivery_back_without_its_words() -> None:
    async def body(client: Client) -> None:
        async with client.subscribe("tax") as deliveries:
            async for delivery in deliveries:
                if delivery.number == 2:
                    raise LookupError("倉敷 太郎")

    bus = Lending(3)
    async with bus.client() as client:
        with pytest.raises(LookupError):
            await body(client)
    assert bus.said("ack") == ["332020-d1"]
    assert [each for name, each in bus.told if name == "nack"] == [
        {"delivery": "332020-d2", "fence": 3, "reason": "LookupError"},
        {"delivery": "332020-d3", "fence": 3, "reason": "not_handled", "retry_after_seconds": 0},
    ]


async def test_what_the_body_settled_itself_is_left_alone() -> None:
    bus = Lending(2)
    async with bus.client() as client, client.subscribe("tax") as deliveries:
        async for delivery in deliveries:
            await (delivery.nack("later") if delivery.number == 1 else delivery.ack())
            if delivery.number == 2:
                break
    assert (bus.said("nack"), bus.said("ack")) == (["332020-d1"], ["332020-d2"])


def _hasty(client: Client) -> Subscribed:
    subscribed = client.subscribe("tax")
    subscribed._renew_after_seconds = 0.02
    return subscribed


async def test_leases_are_prolonged_while_the_body_works() -> None:
    bus = Lending(3)
    async with bus.client() as client, _hasty(client) as deliveries:
        async for _ in deliveries:
            await asyncio.wait_for(bus.renewed.wait(), 5)
            break
    assert bus.said("renew")[:3] == ["332020-d1", "332020-d2", "332020-d3"]


async def test_what_another_reader_has_by_now_is_not_handled() -> None:
    bus = Lending(3, stale={"332020-d2"})
    seen: list[Delivery] = []
    async with bus.client() as client, _hasty(client) as deliveries:
        async for delivery in deliveries:
            seen.append(delivery)
            await asyncio.wait_for(bus.renewed.wait(), 5)
            if delivery.number == 3:
                break
    assert [delivery.number for delivery in seen] == [1, 3]


async def test_a_stale_acknowledgement_does_not_end_the_loop() -> None:
    async with Lending(2, stale={"332020-d1"}).client() as client:
        assert await _read(client, "332020-d2") == ["332020-d1", "332020-d2"]


async def test_a_reader_that_is_cancelled_hands_back() -> None:
    bus = Lending(1)

    async def forever() -> None:
        async with bus.client() as client, client.subscribe("tax") as deliveries:
            async for _ in deliveries:
                started.set()
                await asyncio.Event().wait()

    started = asyncio.Event()
    task = asyncio.create_task(forever())
    await asyncio.wait_for(started.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bus.said("nack") == ["332020-d1"]


async def test_waiting_for_the_next_is_ended_by_cancelling() -> None:
    bus = Lending(0)
    async with bus.client() as client:
        task = asyncio.create_task(_read(client, "none"))
        await asyncio.wait_for(bus.pulled_dry.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_loop_needs_its_context() -> None:
    async with Lending(1).client() as client:
        with pytest.raises(RuntimeError, match="async with"):
            await anext(client.subscribe("tax"))


async def test_a_refusal_ends_the_loop() -> None:
    async with Client("http://127.0.0.1:1", "332020", transport=httpx.MockTransport(lambda _: httpx.Response(404))) as client:
        with pytest.raises(Refused):
            await _read(client, "none")
