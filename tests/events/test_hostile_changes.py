"""The configuration changes while deliveries wait: they go the new way, or stand where an operator sees them. None waits for ever."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.node import Node, running_node
from tests.events.event_city import (
    OTHER,
    TENANT,
    as_json,
    cloud_event,
    endpoint,
    interface,
    record,
    subscription,
    system,
    tenant,
    webhook_secret,
    write_city,
)
from tests.events.hook import Hook, listening_hook
from tests.node.small_city import until

pytestmark = pytest.mark.slow

QUICK = {"first_seconds": 0.01, "factor": 1, "most_seconds": 0.01, "attempts": 8}
Town = dict[str, Any]


class Site:
    """A city that is started again and again, each time configured otherwise."""

    def __init__(self, folder: Path, hook: Hook) -> None:
        self.folder = folder
        self.hook = hook

    def town(self) -> Town:
        settings = {"url": self.hook.url, "secrets": [webhook_secret(self.folder)]}
        return tenant(
            TENANT,
            systems=[system("001"), system("010")],
            endpoints=[
                endpoint("register", "001"),
                endpoint("welfare", "010"),
                endpoint("window", "010"),
                endpoint("called", "010", "webhook", settings=settings, limits={"breaker": {"failures": 1000}}),
                endpoint("rung", "010", "webhook", settings=settings, limits={"breaker": {"failures": 1000}}),
            ],
            interfaces=[interface("moved")],
            subscriptions=[subscription("told", "moved", retry=QUICK)],
        )

    @contextmanager
    def up(self, at: str | None = "welfare", change: Callable[[Town], None] = lambda _: None) -> Iterator[Node]:
        """The city whose subscription `told` is served at that endpoint, or is gone."""
        town = self.town()
        if at is None:
            town["subscriptions"] = []
        else:
            town["subscriptions"][0]["endpoint"] = at
        change(town)
        write_city(self.folder, *([town] if town["tenant"] else []), tenant(OTHER, systems=[system("001")]))
        with running_node(self.folder) as node:
            yield node


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with listening_hook() as hook:
        yield Site(tmp_path, hook)


def publish(node: Node, *people: int) -> list[str]:
    """An event of each person; the events' ids."""
    events = [cloud_event(record(person)) for person in people]
    for event in events:
        answer = httpx.post(
            f"http://127.0.0.1:{node.api_port}/v1/{TENANT}/interfaces/moved/events",
            content=as_json(event),
            headers={"content-type": "application/cloudevents+json"},
        )
        assert answer.status_code == 202, answer.text
    return [str(event["id"]) for event in events]


def pulled(node: Node, many: int) -> list[str]:
    """So many are fetched and acknowledged; the events' ids."""
    place = f"http://127.0.0.1:{node.api_port}/v1/{TENANT}/subscriptions/told"
    found: list[str] = []
    while len(found) < many:
        lent = httpx.post(f"{place}/pull", json={"wait_seconds": 10}).json()["events"]
        assert lent, found
        httpx.post(f"{place}/ack", json={"deliveries": [{"delivery": one["delivery"], "fence": one["fence"]} for one in lent]})
        found += [one["event"]["id"] for one in lent]
    return found


def given_up(node: Node, many: int) -> list[dict[str, Any]]:
    """So many stand in quarantine."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = node.parts.operations.quarantine_list(tenant=TENANT)
        return len(found) == many

    until(there)
    return found


def test_what_was_to_be_fetched_is_sent_when_its_subscriber_is_called_now(site: Site) -> None:
    with site.up("welfare") as node:
        waiting = publish(node, 1, 1, 2)
    with site.up("called") as node:
        later = publish(node, 1)
        assert set(site.hook.has_taken(4)) == {*waiting, *later}
        of_one = [one.id for one in site.hook.taken if one.event["data"]["number"] == "1"]
        assert of_one == [waiting[0], waiting[1], later[0]]  # their order is kept
        (led,) = node.parts.journal.entries(TENANT, subject="told", limit=10)
        assert (led.kind, led.facts["deliveries"], led.facts["from_way"], led.facts["way"]) == ("led", 3, "pull", "push")


def test_what_was_to_be_sent_is_fetched_when_its_subscriber_asks_now(site: Site) -> None:
    site.hook.answer = lambda _: 500
    with site.up("called") as node:
        waiting = publish(node, 1, 1, 2)
        given_up(node, 2)  # the heads of both
    with site.up("welfare") as node:
        operation = node.parts.operations.quarantine_release_all(TENANT, "told")["operation"]
        until(lambda: node.parts.operations.operation_progress(operation)["finished"])
        assert set(pulled(node, 3)) == set(waiting)


@pytest.mark.parametrize(("before", "after"), [("welfare", "window"), ("called", "rung")])
def test_an_endpoint_gets_another_name(site: Site, before: str, after: str) -> None:
    site.hook.answer = lambda _: 503
    with site.up(before) as node:
        waiting = publish(node, 1, 2)
    site.hook.answer = lambda _: 204
    with site.up(after) as node:
        if after == "rung":
            site.hook.has_taken(2)
        else:
            assert set(pulled(node, 2)) == set(waiting)
        until(lambda: {one["state"] for one in node.parts.operations.deliveries(tenant=TENANT)} == {"delivered"})


def test_a_subscription_that_is_gone_stands_in_quarantine_until_it_is_back(site: Site) -> None:
    with site.up("welfare") as node:
        waiting = publish(node, 1, 1, 2)
    with site.up(None) as node:
        entries = given_up(node, 2)
        assert {entry["facts"]["error"].split()[0] for entry in entries} == {"RNK4201E"}
    with site.up("welfare") as node:
        operation = node.parts.operations.quarantine_release_all(TENANT, "told")["operation"]
        until(lambda: node.parts.operations.operation_progress(operation)["finished"])
        assert set(pulled(node, 3)) == set(waiting)


def _no_events(town: Town) -> None:
    town["interfaces"], town["subscriptions"] = [], []


def _no_tenant(town: Town) -> None:
    town["tenant"] = ""


def _another(node: Node, entry: str) -> bool:
    return [one["id"] for one in node.parts.operations.quarantine_list(tenant=TENANT)] != [entry]


@pytest.mark.parametrize("change", [_no_events, _no_tenant])
@pytest.mark.parametrize("at", ["welfare", "called"])
def test_what_waits_for_nobody_can_be_skipped(site: Site, at: str, change: Callable[[Town], None]) -> None:
    site.hook.answer = lambda _: 503
    with site.up(at) as node:
        publish(node, 1, 1)
    with site.up(None, change) as node:
        for _ in range(2):
            (entry,) = given_up(node, 1)
            node.parts.operations.quarantine_skip(entry["id"])
            until(functools.partial(_another, node, entry["id"]))
        until(lambda: {one["state"] for one in node.parts.operations.deliveries(tenant=TENANT)} == {"skipped"})
