"""Events end to end on a real node: published over HTTP, translated, filtered, held back for flags, sent, fetched, sent again."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from bus.journal.tables import deliveries
from bus.message import FINISHED
from bus.node import Node, running_node
from contracts.event_record import EventReader
from contracts.registry import Registry
from tests.events.event_city import (
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
from tests.events.hook import Gate, Hook, listening_hook, well
from tests.node.small_city import until

pytestmark = pytest.mark.slow

LIBRARY = Path(__file__).parents[2] / "contracts" / "library"
QUICK = {"first_seconds": 0.01, "factor": 1, "most_seconds": 0.01, "attempts": 2}
CLOSED = {"breaker": {"failures": 1000}}


@functools.cache
def _resident() -> dict[str, str]:
    cases = yaml.load((LIBRARY / "resident@1.0.cases.yaml").read_text("utf-8"), Loader=yaml.BaseLoader)  # texts, as they are written
    return {name: str(found) for name, found in cases["records"]["resident"].items()}


_people = itertools.count(1)


def resident(person: int | None = None, **changes: str) -> dict[str, str]:
    """A good record of resident@1.0, of a person of its own unless a number is given."""
    return {**_resident(), "atenabango": f"{next(_people) if person is None else person:015}", **changes}


@dataclass
class City:
    """The running city."""

    node: Node
    hook: Hook
    api: httpx.Client
    source: str = "/register"
    """of the events; each test has its own, so that their ids may be short"""

    @property
    def operations(self) -> Any:
        return self.node.parts.operations

    def publish(self, event: Mapping[str, Any], to: str = "moved_in") -> str:
        headers = {"content-type": "application/cloudevents+json"}
        answer = self.api.post(f"interfaces/{to}/events", content=as_json({**event, "source": self.source}), headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["message"])

    def fetch(self, name: str, wait_seconds: int = 10) -> list[dict[str, Any]]:
        """Fetch and acknowledge."""
        lent: list[dict[str, Any]] = self.api.post(f"subscriptions/{name}/pull", json={"wait_seconds": wait_seconds}).json()["events"]
        named = [{"delivery": one["delivery"], "fence": one["fence"]} for one in lent]
        results = self.api.post(f"subscriptions/{name}/ack", json={"deliveries": named}).json()["results"] if named else []
        assert {result["outcome"] for result in results} <= {"delivered"}
        return [one["event"] for one in lent]

    def deliveries(self, message: str) -> dict[str, dict[str, Any]]:
        """By subscription; the newest, if there are several."""
        found = self.operations.deliveries(message=message)
        return {one["subscription"]: one for one in reversed(found)}

    def finished(self, message: str, name: str) -> dict[str, Any]:
        """The delivery, once nothing of it moves any more."""
        states = {state.value for state in FINISHED} | {"quarantined"}
        until(lambda: self.deliveries(message)[name]["state"] in states, f"{name} of {message} finished")
        return self.deliveries(message)[name]


def _town(folder: Path, url: str) -> dict[str, Any]:
    secrets = [webhook_secret(folder)]

    def hooked(path: str, code: str, **limits: Any) -> dict[str, Any]:
        return endpoint(path, code, "webhook", settings={"url": f"{url}/{path}", "secrets": secrets}, limits={**CLOSED, **limits})

    moved = {"support_measure": "waits"}
    died = {"fields": {"jumin_jotai": {"eq": "3"}}}
    return tenant(
        TENANT,
        systems=[system("001"), system("010"), system("030")],
        endpoints=[endpoint("register", "001"), endpoint("tax", "010"), hooked("welfare", "030"), hooked("narrow", "030", concurrent=1)],
        interfaces=[
            interface("moved_in", "resident@1.0", **moved),
            interface("flagged", "resident@1.0", support_measure="flags"),
            interface("urgent", lane="urgent"),
            interface("bulk", lane="bulk"),
        ],
        subscriptions=[
            subscription("tax_moved_in", "moved_in", "tax"),
            subscription("tax_died", "moved_in", "tax", filter=died),
            subscription("tax_flagged", "flagged", "tax"),
            subscription("ended", "moved_in", "tax", valid_until="2020-03-31"),
            subscription("begins", "moved_in", "tax", valid_from="2999-04-01"),
            subscription("welfare_moved_in", "moved_in", "welfare", "030", translation="resident-up@1.0", retry=QUICK),
            subscription("welfare_flagged", "flagged", "welfare", "030", retry=QUICK),
            subscription("narrow_urgent", "urgent", "narrow", "030"),
            subscription("narrow_bulk", "bulk", "narrow", "030"),
        ],
    )  # fmt: skip


@contextmanager
def running_city(folder: Path) -> Iterator[City]:
    with listening_hook() as hook:
        write_city(folder, _town(folder, hook.url))
        with running_node(folder) as node, httpx.Client(base_url=f"http://127.0.0.1:{node.api_port}/v1/{TENANT}/", timeout=60) as api:
            yield City(node, hook, api)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with running_city(tmp_path_factory.mktemp("city")) as made:
        yield made


@pytest.fixture
def city(running: City, request: pytest.FixtureRequest) -> Iterator[City]:
    """The city; nothing is left over for the next test."""
    running.source = f"/{request.node.name}"
    running.hook.came.clear()
    running.hook.taken.clear()
    running.hook.answer = well
    yield running
    running.hook.answer = well
    until(lambda: _drained(running), "nothing moves any more")


def _drained(city: City) -> bool:
    for name in ("tax_flagged", "tax_moved_in", "tax_died"):
        city.fetch(name, 0)
    return not any(city.operations.deliveries(tenant=TENANT, state=state) for state in ("due", "claimed"))


def test_a_publisher_on_1_0_and_subscribers_on_both_versions(city: City) -> None:
    data = resident()
    message = city.publish(cloud_event(data, id="both", dataschema="urn:resident:1.0", subject="s", myext="kept"))
    (fetched,) = city.fetch("tax_moved_in")
    assert fetched["data"] == data
    assert fetched["dataschema"] == "urn:resident:1.0"
    city.hook.has_taken(1)
    (pushed,) = city.hook.taken
    new = EventReader(Registry.load().contract("resident@1.1"))
    read = new.read(json.dumps(pushed.event["data"]).encode())
    assert [one for one in new.check(read) if one.severity == "reject"] == []
    assert {name: found for name, found in read.items() if found} == data
    assert "dataschema" not in pushed.event  # it is not that of the translated data
    welfare = city.finished(message, "welfare_moved_in")
    assert (welfare["state"], welfare["contract"], welfare["out"]["records"]) == ("delivered", "resident@1.1", 1)
    assert pushed.delivery == pushed.event["renkeidelivery"] == welfare["id"]
    for event in (fetched, pushed.event):
        assert (event["id"], event["renkeimessage"], event["myext"], event["subject"]) == ("both", message, "kept", "s")
    assert city.finished(message, "tax_moved_in")["contract"] == "resident@1.0"


def test_filters_and_days_decide_who_gets_it(city: City) -> None:
    lives, died = city.publish(cloud_event(resident())), city.publish(cloud_event(resident(jumin_jotai="3", ido_jiyu="04")))
    made = city.deliveries(lives)
    assert set(made) == {"tax_moved_in", "tax_died", "welfare_moved_in"}
    assert (made["tax_died"]["state"], made["tax_died"]["filtered"]["records"], made["tax_died"]["out"]["records"]) == ("delivered", 1, 0)
    assert [one["renkeimessage"] for one in city.fetch("tax_died")] == [died]
    one = city.finished(died, "tax_died")
    assert (one["filtered"]["records"], one["out"]["records"], one["taken_in"]["records"]) == (0, 1, 1)


def test_a_flag_holds_back_what_is_of_its_person_at_its_system(city: City) -> None:
    gate = Gate(lambda came: came.id == "flag")
    city.hook.answer = gate
    flag = city.publish(cloud_event(resident(7777), id="flag"), "flagged")
    city.hook.has_come(1)
    held = city.publish(cloud_event(resident(7777), id="held"))
    other = city.publish(cloud_event(resident(8888), id="other"))
    city.finished(other, "welfare_moved_in")
    assert [one["id"] for one in city.fetch("tax_flagged")] == ["flag"]
    assert {one["id"] for one in city.fetch("tax_moved_in")} == {"held", "other"}  # at the other system the flag has arrived
    assert city.deliveries(held)["welfare_moved_in"]["state"] == "due"
    assert city.hook.has_taken(1) == ["other"]
    gate.open()
    city.finished(held, "welfare_moved_in")
    assert city.hook.has_taken(3) == ["other", "flag", "held"]
    assert city.finished(flag, "welfare_flagged")["state"] == "delivered"


def test_a_flag_that_is_not_fetched_holds_back_what_would_be_fetched(city: City) -> None:
    city.publish(cloud_event(resident(6666), id="flag"), "flagged")
    city.publish(cloud_event(resident(6666), id="held"))
    city.publish(cloud_event(resident(5555), id="other"))
    assert [one["id"] for one in city.fetch("tax_moved_in", 1)] == ["other"]
    assert [one["id"] for one in city.fetch("tax_flagged")] == ["flag"]
    assert [one["id"] for one in city.fetch("tax_moved_in")] == ["held"]


def test_urgent_lanes_go_first_at_an_endpoint(city: City) -> None:
    gate = Gate(lambda came: came.id == "first")
    city.hook.answer = gate
    city.publish(cloud_event(record(), id="first"), "bulk")
    city.hook.has_come(1)  # the endpoint takes one at a time
    for name in ("b1", "b2", "b3"):
        city.publish(cloud_event(record(), id=name), "bulk")
    last = [city.publish(cloud_event(record(), id=name), "urgent") for name in ("u1", "u2", "u3")][-1]
    until(lambda: city.deliveries(last)["narrow_urgent"]["state"] in ("due", "claimed"))
    gate.open()
    order = city.hook.has_taken(7)
    assert order[0] == "first"
    bulk, urgent = ([order.index(name) for name in names] for names in (("b1", "b2", "b3"), ("u1", "u2", "u3")))
    assert urgent == sorted(urgent)
    assert bulk == sorted(bulk)
    assert max(urgent) < bulk[1]  # one that was claimed already may go before them


def test_an_event_sent_again_is_the_first_delivery_once_more(city: City) -> None:
    message = city.publish(cloud_event(resident(4444), id="again"), "flagged")
    first = city.finished(message, "welfare_flagged")
    again = city.operations.resend(message, "welfare_flagged")["delivery"]
    city.hook.has_taken(2)
    second = city.finished(message, "welfare_flagged")
    assert (second["id"], second["state"]) == (again["id"], "delivered")
    assert again["id"] != first["id"]
    same = ("tenant", "message", "system", "endpoint", "contract", "layout", "translation", "ordering_key", "file_name", "marker_name")
    assert {name: first[name] for name in same} == {name: second[name] for name in same}
    assert (second["file_name"], second["marker_name"], second["layout"]) == ("", None, "")
    assert second["number"] > first["number"]
    one, two = city.hook.taken
    assert one.event["data"] == two.event["data"]
    assert (one.delivery, two.delivery) == (first["id"], second["id"])
    rows = city.node.parts.journal
    assert _kept(rows, first["id"]) == _kept(rows, second["id"]) == ("push", 0, 1)
    kinds = [entry["kind"] for entry in city.operations.trace(message)["entries"] if entry["subject"] == again["id"]]
    assert kinds[0] == "sent_again"
    assert kinds[-1] == "delivered"


def test_a_flag_sent_again_holds_back_again_and_comes_translated(city: City) -> None:
    flag = city.publish(cloud_event(resident(3333), id="flag"), "flagged")
    moved = city.publish(cloud_event(resident(3333), id="moved"))
    city.finished(moved, "welfare_moved_in")
    gate = Gate(lambda came: came.id == "flag")
    city.hook.answer = gate
    city.operations.resend(flag, "welfare_flagged")
    city.hook.has_come(3)
    again = city.operations.resend(moved, "welfare_moved_in")["delivery"]
    assert _kept(city.node.parts.journal, again["id"]) == ("push", 1, 2)
    other = city.publish(cloud_event(resident(2222), id="other"))
    city.finished(other, "welfare_moved_in")
    assert city.deliveries(moved)["welfare_moved_in"]["state"] == "due"
    gate.open()
    assert city.hook.has_taken(5)[-2:] == ["flag", "moved"]
    assert "shimei_furigana_kakunin_flag" not in json.dumps([one.event for one in city.hook.taken if one.id == "flag"])
    assert again["contract"] == "resident@1.1"


def _kept(journal: Any, delivery: str) -> tuple[str, int, int]:
    """Way, lane and flagging, as the journal keeps them."""
    serial = int(delivery.partition("-d")[2])
    with journal._database.read() as connection:
        row = connection.execute(select(deliveries).where(deliveries.c.tenant == TENANT, deliveries.c.serial == serial)).one()
    return row.way, row.lane, row.flagging


@pytest.mark.parametrize("deed", ["release", "skip"])
def test_a_given_up_event_is_released_or_skipped(city: City, deed: str) -> None:
    """It holds its person back until somebody decides; others go on."""
    person = {"release": 1111, "skip": 1112}[deed]
    city.hook.answer = lambda came: 500 if came.id == "bad" else 204
    bad = city.publish(cloud_event(resident(person), id="bad"))
    given_up = city.finished(bad, "welfare_moved_in")
    assert (given_up["state"], given_up["attempts"]) == ("quarantined", QUICK["attempts"])
    behind = city.publish(cloud_event(resident(person, rirekibango="2"), id="behind"))
    other = city.publish(cloud_event(resident(), id="other"))
    city.finished(other, "welfare_moved_in")
    assert city.deliveries(behind)["welfare_moved_in"]["state"] == "due"
    (entry,) = city.operations.quarantine_list(message=bad)
    assert (entry["kind"], entry["delivery"]) == ("given_up", given_up["id"])
    shown = city.operations.quarantine_show(entry["id"])
    assert _resident()["shimei"] not in json.dumps(shown, ensure_ascii=False)
    city.hook.answer = well
    getattr(city.operations, f"quarantine_{deed}")(entry["id"])
    assert city.finished(behind, "welfare_moved_in")["state"] == "delivered"
    ends = {"release": "delivered", "skip": "skipped"}[deed]
    assert city.deliveries(bad)["welfare_moved_in"]["state"] == ends
    assert [one.id for one in city.hook.taken if one.id != "other"] == (["bad", "behind"] if deed == "release" else ["behind"])
    traced = city.operations.trace(bad)
    kinds = [one["kind"] for one in traced["entries"]]
    assert {"accepted", "routed", "given_up", "released" if deed == "release" else "skipped"} <= set(kinds)
    assert [one["id"] for one in traced["quarantine"]] == [entry["id"]]


def test_lists_trace_and_metrics_show_it(city: City) -> None:
    before = _page(city)
    event = cloud_event(resident(), id="listed")
    message = city.publish(event)
    city.publish(event)
    refused = city.api.post(
        "interfaces/moved_in/events", content=as_json(cloud_event({})), headers={"content-type": "application/cloudevents+json"}
    )
    assert refused.status_code == 422
    kinds = {"application/cloudevents+json": b"{", "application/cloudevents-batch+json": b"[{}, {}]"}
    unreadable = [city.api.post("interfaces/moved_in/events", content=body, headers={"content-type": kind}) for kind, body in kinds.items()]
    assert [one.status_code for one in unreadable] == [400, 207]
    city.finished(message, "welfare_moved_in")
    assert city.fetch("tax_moved_in")
    listed = {one["id"]: one for one in city.operations.messages(tenant=TENANT, interface="moved_in")}
    assert (listed[message]["kind"], listed[message]["state"], listed[message]["records"]) == ("event", "accepted", 1)
    traced = city.operations.trace(message)
    assert (traced["event"]["id"], traced["event"]["source"], traced["event"]["type"]) == ("listed", city.source, event["type"])
    assert {one["subscription"]: one["state"] for one in traced["deliveries"]} == dict.fromkeys(
        ("tax_moved_in", "tax_died", "welfare_moved_in"), "delivered"
    )
    waits = {one["id"] for one in city.operations.deliveries(tenant=TENANT, state="due")}
    assert not waits & {one["id"] for one in traced["deliveries"]}
    page = _page(city)
    place = {"tenant": TENANT, "interface": "moved_in"}

    def more(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return page.get(key, 0.0) - before.get(key, 0.0)

    assert [more("renkei_events_total", outcome=one, **place) for one in ("accepted", "duplicate", "refused")] == [1, 1, 4]
    for name in ("tax_moved_in", "welfare_moved_in"):
        assert more("renkei_event_deliveries_total", tenant=TENANT, subscription=name, outcome="delivered") == 1
    assert more("renkei_event_publish_seconds_count", via="http") == 2


def _page(city: City) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a scrape shows."""
    families: Any = text_string_to_metric_families(city.node._metrics().decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def test_what_was_taken_is_sent_by_the_next_node(tmp_path: Path) -> None:
    """Accepted, not delivered, the node stopped: the next one delivers it, under the same idempotency key."""
    with listening_hook(lambda _: 503) as hook:
        write_city(tmp_path, _town(tmp_path, hook.url))
        with running_node(tmp_path) as node, httpx.Client(base_url=f"http://127.0.0.1:{node.api_port}/v1/{TENANT}/", timeout=60) as api:
            city = City(node, hook, api)
            message = city.publish(cloud_event(record(), id="kept"), "urgent")
            hook.has_come(1)
        tried = {one.delivery for one in hook.came}
        hook.answer = well
        with running_node(tmp_path) as node, httpx.Client(base_url=f"http://127.0.0.1:{node.api_port}/v1/{TENANT}/", timeout=60) as api:
            delivered = City(node, hook, api).finished(message, "narrow_urgent")
        assert delivered["state"] == "delivered"
        assert {one.delivery for one in hook.taken} == tried == {delivered["id"]}
