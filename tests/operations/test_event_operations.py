"""What operators do with events on a running node: trace one, send it again, look at what never became one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.cli.demo_event import INTERFACE, TYPE, newcomer
from bus.cli.demo_night import TENANT, prepare
from bus.errors import OperationRefused
from bus.event import PoisonEvent
from bus.event_ports import DeadLetter
from bus.message import Part
from bus.node import Node, running_node
from bus.ports import Binding


@dataclass
class Town:
    """The example site with a running node, and its API."""

    node: Node
    api: httpx.Client

    @property
    def operations(self) -> Any:
        return self.node.parts.operations

    def publish(self, number: int, **changed: str) -> str:
        headers = {"ce-specversion": "1.0", "ce-id": f"e-{number}", "ce-source": "/r", "ce-type": TYPE, "content-type": "application/json"}
        body = json.dumps({**newcomer(TENANT, "2026-11-20"), **changed}, ensure_ascii=False).encode()
        answer = self.api.post(f"interfaces/{INTERFACE}/events", content=body, headers={**headers, "ce-subject": "0190000001"})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["message"])

    def fetched(self, subscription: str) -> list[dict[str, Any]]:
        lent: list[dict[str, Any]] = self.api.post(f"subscriptions/{subscription}/pull", json={"wait_seconds": 5}).json()["events"]
        named = [{"delivery": one["delivery"], "fence": one["fence"]} for one in lent]
        results = self.api.post(f"subscriptions/{subscription}/ack", json={"deliveries": named}).json()["results"]
        assert {result["outcome"] for result in results} <= {"delivered"}
        return lent


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    place = prepare(tmp_path / "site")
    with (
        running_node(place.site.folder) as node,
        httpx.Client(base_url=f"http://127.0.0.1:{node.api_port}/v1/{TENANT}/", trust_env=False, timeout=30) as api,
    ):
        yield Town(node, api)


@pytest.mark.slow
def test_the_trace_of_an_event_names_no_person(town: Town) -> None:
    message = town.publish(1)
    found = town.operations.trace(message)
    assert (found["event"]["id"], found["event"]["type"], found["event"]["subject"]) == ("e-1", TYPE, "********")
    assert {delivery["subscription"] for delivery in found["deliveries"]} == {"tax_moved_in", "welfare_moved_in"}
    shown = json.dumps(found, ensure_ascii=False)
    assert "0190000001" not in shown
    assert newcomer(TENANT, "2026-11-20")["shimei"] not in shown


@pytest.mark.slow
def test_an_event_sent_again_comes_behind_what_waits_for_its_person(town: Town) -> None:
    first = town.publish(1)
    assert [one["event"]["renkeimessage"] for one in town.fetched("tax_moved_in")] == [first]
    second = town.publish(2, rirekibango="2")
    again = town.operations.resend(first, "tax_moved_in")["delivery"]
    earlier = town.operations.deliveries(message=second, subscription="tax_moved_in")[0]
    assert again["ordering_key"] == earlier["ordering_key"]
    with pytest.raises(OperationRefused, match="RNK3013E"):
        town.operations.resend(first, "tax_moved_in")
    with pytest.raises(OperationRefused, match="RNK6081E"):
        town.operations.resend(first, "tax_resident")
    came = town.fetched("tax_moved_in") + town.fetched("tax_moved_in")
    assert [one["event"]["renkeimessage"] for one in came] == [second, first]
    assert came[1]["delivery"] == again["id"]
    assert came[1]["event"]["data"] == newcomer(TENANT, "2026-11-20")


@pytest.mark.slow
def test_what_never_became_an_event_is_shown_without_its_bytes(town: Town) -> None:
    parts = town.node.parts
    part: Part = parts.payloads.put(b'{"shimei": "somebody"', Binding(TENANT, "poison-1", "poison", 0, last=True))
    reason = json.dumps({"message_id": "RNK1502E", "facts": {}})
    entry = parts.journal.poison(PoisonEvent(TENANT, INTERFACE, "register_api", "in.moved_in/e-9", reason, part))
    shown = town.operations.quarantine_show(entry.id)
    assert shown["records"] == []
    assert shown["entry"]["subject"] == "in.moved_in/e-9"
    assert "somebody" not in json.dumps(shown)
    target = Path(town.node.folder) / "out.jsonl"
    assert town.operations.quarantine_export(entry.id, str(target))["records"] == 0
    assert target.read_bytes() == b""


@pytest.mark.slow
def test_what_a_receiver_gave_back_is_shown_without_its_bytes_and_sent_again(town: Town) -> None:
    message = town.publish(1)
    (lent,) = town.fetched("tax_moved_in")
    parts = town.node.parts
    part: Part = parts.payloads.put(b'{"shimei": "somebody"}', Binding(TENANT, "dead-1", "dead", 0, last=True))
    letter = DeadLetter(TENANT, "tax_moved_in", "tax_api", lent["delivery"], "rejected", "out.tax_moved_in", "application/json", b"")
    entry = parts.journal.dead_letter(letter, part)
    shown = town.operations.quarantine_show(entry.id)
    assert shown["records"] == []
    assert "somebody" not in json.dumps(shown)
    town.operations.quarantine_release(entry.id)
    (again,) = town.fetched("tax_moved_in")
    assert again["event"]["renkeimessage"] == message
    assert again["delivery"] != lent["delivery"]
