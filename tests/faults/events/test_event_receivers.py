"""Receivers that hang, reset, refuse or never acknowledge, end to end through a node: the event comes, once in effect and in its order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from bus.node import open_operations
from tests.faults.events.conftest import MakeTown, Town
from tests.faults.events.town import FETCHED, HOOKED, PULL, Hook, cloud_event, publish
from tests.webhook.receivers import Receiver, answer, hang, receiving, reset

OTHER = "other"


def seen(receiver: Receiver) -> list[str]:
    """The events that came, in order."""
    return [json.loads(asked.body)["id"] for asked in receiver.asked]


def keys(receiver: Receiver) -> set[str]:
    """The idempotency keys that came."""
    return {asked.headers["webhook-id"] for asked in receiver.asked}


async def published(town: Town, *events: tuple[int, int]) -> None:
    """Publish, and be told that all is well."""
    answers = await asyncio.to_thread(publish, town.node.port, *(cloud_event(*event) for event in events))
    assert [each.status_code for each in answers] == [202] * len(events), [each.text for each in answers]


async def become(town: Town, subscription: str, *states: str) -> None:
    """Wait until the deliveries of a subscription, in their order, are in these states."""
    await asyncio.to_thread(town.wait, lambda: town.states(subscription) == list(states), f"{subscription} {states}")


@pytest.mark.slow
async def test_a_webhook_that_hangs_resets_and_refuses_gets_its_event_in_the_end(make_town: MakeTown) -> None:
    async with receiving(hang, reset, answer(500), answer(503, Retry_After="1"), answer(200)) as bad, receiving() as good:
        town = await asyncio.to_thread(make_town, {HOOKED: Hook(bad.url, timeout_seconds=0.5), OTHER: Hook(good.url)})
        await published(town, (1, 1), (1, 2))
        await become(town, OTHER, "delivered", "delivered")
        await become(town, HOOKED, "delivered", "delivered")
        assert seen(bad) == ["1-1"] * 5 + ["1-2"]
        assert seen(good) == ["1-1", "1-2"]
        assert len(keys(bad)) == 2
        assert [one.attempts for one in town.deliveries(HOOKED)] == [4, 0]
        first = town.deliveries(HOOKED)[0]
        assert "503" in first.last_error


@pytest.mark.slow
async def test_a_webhook_that_is_gone_is_given_up_at_once_and_holds_only_that_person(make_town: MakeTown) -> None:
    async with receiving(answer(410), answer(200)) as receiver:
        town = await asyncio.to_thread(make_town, {HOOKED: Hook(receiver.url)})
        await published(town, (1, 1))
        await become(town, HOOKED, "quarantined")
        await published(town, (1, 2), (2, 1))
        await become(town, HOOKED, "quarantined", "due", "delivered")
        assert seen(receiver) == ["1-1", "2-1"]

        def release() -> None:
            with open_operations(town.site) as operations:
                (entry,) = operations.quarantine_list(kind="given_up")
                operations.quarantine_release(entry["id"])

        await asyncio.to_thread(release)
        await become(town, HOOKED, "delivered", "delivered", "delivered")
        assert seen(receiver) == ["1-1", "2-1", "1-1", "1-2"]
        assert len(keys(receiver)) == 3


@pytest.mark.slow
def test_a_consumer_that_never_acknowledges_loses_its_lease_and_then_its_event_to_an_operator(make_town: MakeTown) -> None:
    retry = {"first_seconds": 0.01, "factor": 1, "most_seconds": 0.01, "attempts": 2}
    town = make_town(pulled=[FETCHED], pull_retry=retry)
    assert [each.status_code for each in publish(town.node.port, cloud_event(1, 1), cloud_event(1, 2), cloud_event(2, 1))] == [202] * 3
    with httpx.Client(base_url=f"http://127.0.0.1:{town.node.port}", timeout=30) as client:

        def pulled(wait_seconds: float = 0) -> list[dict[str, Any]]:
            answered = client.post(f"{PULL}/pull", json={"lease_seconds": 1, "wait_seconds": wait_seconds})
            assert answered.status_code == 200, answered.text
            events: list[dict[str, Any]] = answered.json()["events"]
            return events

        def ids(events: list[dict[str, Any]]) -> list[str]:
            return [each["event"]["id"] for each in events]

        first = pulled()
        assert ids(first) == ["1-1", "2-1"]
        assert ids(pulled()) == [], "one lease at a time, and the next of the same person waits"
        second = pulled(10)
        while len(second) < 2:
            second += pulled(10)
        assert ids(second) == ["1-1", "2-1"]
        assert {each["delivery"] for each in second} == {each["delivery"] for each in first}
        named = [{"delivery": each["delivery"], "fence": each["fence"]} for each in (*first, second[1])]
        results = client.post(f"{PULL}/ack", json={"deliveries": named}).json()["results"]
        assert [each["outcome"] for each in results] == ["stale", "stale", "delivered"]

        def given_up() -> bool:
            assert ids(pulled()) == []
            return town.states(FETCHED) == ["quarantined", "due", "delivered"]

        town.wait(given_up, "the event that nobody acknowledged is given up, and holds those behind it")
        with open_operations(town.site) as operations:
            (entry,) = operations.quarantine_list(kind="given_up")
            operations.quarantine_release(entry["id"])
        for event in ("1-1", "1-2"):
            (lent,) = pulled(10)
            assert lent["event"]["id"] == event
            client.post(f"{PULL}/ack", json={"deliveries": [{"delivery": lent["delivery"], "fence": lent["fence"]}]})
        assert town.states(FETCHED) == ["delivered"] * 3
