"""From configuration to the deliveries that an event makes: ways, lanes, flags, filters, days, and everything by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bus.batch.recipes import Recipes
from bus.event import Lane, Way
from bus.events.receivers import SiteReceivers, way_of
from bus.events.recipes import EventInterface, EventRecipes, Recipient
from bus.site_check import load_site, registry_of, translations_of
from contracts.event_record import Record
from tests.events.event_city import TENANT, endpoint, interface, subscription, system, tenant, webhook_secret, write_city


def compiled(folder: Path, *interfaces: dict[str, Any], subscriptions: list[dict[str, Any]]) -> EventRecipes:
    settings = {"url": "http://127.0.0.1:9/hook", "secrets": [webhook_secret(folder)]}
    endpoints = [endpoint("register", "001"), endpoint("welfare", "010"), endpoint("tax", "020", "webhook", settings=settings)]
    systems = [system("001"), system("010"), system("020")]
    write_city(folder, tenant(TENANT, systems=systems, endpoints=endpoints, interfaces=interfaces, subscriptions=subscriptions))
    site = load_site(folder)
    registry = registry_of(site)
    return EventRecipes.of(Recipes(site, registry, translations_of(site, registry)))


def recipient(made: EventInterface, name: str) -> Recipient:
    return next(one for one in made.recipients if one.subscription.id == name)


def test_each_subscription_of_the_interface_gets_its_own_shape(tmp_path: Path) -> None:
    made = compiled(
        tmp_path,
        interface("moved", "resident@1.0", expires_seconds=60, types=["t"]),
        interface("other", "resident@1.0"),
        subscriptions=[
            subscription("pulled", "moved"),
            subscription("pushed", "moved", "tax", "020", translation="resident-up@1.0", expires_seconds=5),
            subscription("elsewhere", "other"),
        ],
    )
    assert set(made.interfaces) == {(TENANT, "moved"), (TENANT, "other")}
    moved = made.interfaces[TENANT, "moved"]
    assert (moved.tenant, moved.system, moved.expires_seconds, moved.versions.contract) == (TENANT, "001", 60, "resident@1.0")
    assert [one.subscription.id for one in moved.recipients] == ["pulled", "pushed"]
    pulled, pushed = recipient(moved, "pulled"), recipient(moved, "pushed")
    assert (pulled.sent.way, pulled.sent.system, pulled.sent.endpoint, pulled.sent.contract) == (Way.PULL, "010", "welfare", "resident@1.0")
    assert (pushed.sent.way, pushed.sent.system, pushed.sent.endpoint, pushed.sent.contract) == (Way.PUSH, "020", "tax", "resident@1.1")
    assert (pulled.sent.translation, pushed.sent.translation) == (None, "resident-up@1.0")
    assert (pulled.sent.expires_seconds, pushed.sent.expires_seconds) == (None, 5)
    assert pushed.filtered == replace(pushed.sent, filtered=True)
    assert pushed.handed_over == replace(pushed.sent, hand_over=True)


def test_interfaces_of_one_contract_share_its_reader(tmp_path: Path) -> None:
    made = compiled(tmp_path, interface("one", "resident@1.0"), interface("two", "resident@1.0"), interface("three"), subscriptions=[])
    readers = [made.interfaces[TENANT, name].reader for name in ("one", "two", "three")]
    assert readers[0] is readers[1]
    assert readers[2].contract.contract == "moved@1.0"


@pytest.mark.parametrize(
    ("rules", "lane", "flags", "waits"),
    [
        ({}, Lane.NORMAL, False, False),
        ({"lane": "urgent"}, Lane.URGENT, False, False),
        ({"lane": "bulk"}, Lane.BULK, False, False),
        ({"support_measure": "flags"}, Lane.URGENT, True, False),
        ({"support_measure": "waits", "lane": "bulk"}, Lane.BULK, False, True),
    ],
)
def test_lanes_and_flags_are_the_interfaces(tmp_path: Path, rules: dict[str, str], lane: Lane, flags: bool, waits: bool) -> None:
    made = compiled(
        tmp_path,
        interface("moved", **rules),
        interface("flagged", support_measure="flags"),
        subscriptions=[subscription("one", "moved"), subscription("two", "flagged")],
    )
    sent = recipient(made.interfaces[TENANT, "moved"], "one").sent
    assert (sent.lane, sent.flags, sent.waits) == (lane, flags, waits)
    receiver = SiteReceivers(made.recipes.site.tenants.values()).receiver(TENANT, "one")
    assert receiver is not None
    assert receiver.lane is lane


def _record(**values: str) -> Record:
    return {"number": "1", "serial": "1", "name": "", "kind": "", "zip": "", "note": "", **values}


def test_a_filter_lets_through_what_it_says(tmp_path: Path) -> None:
    only = {"any": [{"fields": {"kind": {"eq": "2"}}}, {"fields": {"zip": {"starts_with": "71"}, "serial": {"ge": "2"}}}]}
    made = compiled(tmp_path, interface("moved"), subscriptions=[subscription("some", "moved", filter=only), subscription("all", "moved")])
    some, everything = (recipient(made.interfaces[TENANT, "moved"], name) for name in ("some", "all"))
    records = [
        _record(),
        _record(kind="2"),
        _record(zip="7108565"),
        _record(zip="7108565", serial="10"),
        _record(zip="7008565", serial="2"),
    ]
    assert [some.takes(one) for one in records] == [False, True, False, True, False]
    assert all(everything.takes(one) for one in records)


@pytest.mark.parametrize(
    ("days", "valid"),
    [
        ({}, [True, True, True]),
        ({"valid_from": "2026-11-19"}, [False, True, True]),
        ({"valid_until": "2026-11-19"}, [True, True, False]),
        ({"valid_from": "2026-11-19", "valid_until": "2026-11-19"}, [False, True, False]),
    ],
)
def test_a_subscription_is_valid_on_its_days_both_included(tmp_path: Path, days: dict[str, str], valid: list[bool]) -> None:
    made = compiled(tmp_path, interface("moved"), subscriptions=[subscription("one", "moved", **days)])
    one = recipient(made.interfaces[TENANT, "moved"], "one")
    assert [one.valid_on(day) for day in ("2026-11-18", "2026-11-19", "2026-11-20")] == valid


def test_only_http_is_fetched() -> None:
    assert [way_of(adapter) for adapter in ("http", "webhook", "amqp")] == [Way.PULL, Way.PUSH, Way.PUSH]


def test_a_site_of_files_has_no_event_interface(tmp_path: Path) -> None:
    layout = {"layout": "csv_utf8", "file": "N{business_date}_{sequence}.csv"}
    endpoints = [
        {"id": "drop", "system": "001", "settings": {"folder": "drop"}},
        {"id": "out", "system": "010", "settings": {"folder": "out"}},
    ]
    night = {"id": "night", "contract": "resident@1.0", "endpoint": "drop", **layout}
    given = {"id": "given", "interface": "night", "system": "010", "endpoint": "out", **layout}
    write_city(
        tmp_path, tenant(TENANT, systems=[system("001"), system("010")], endpoints=endpoints, interfaces=[night], subscriptions=[given])
    )
    site = load_site(tmp_path)
    registry = registry_of(site)
    made = EventRecipes.of(Recipes(site, registry, translations_of(site, registry)))
    assert made.interfaces == {}
