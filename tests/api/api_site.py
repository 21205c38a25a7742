"""A site whose systems use the API, run by a real node on a port of its own, and how they call it."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bus.node import Node, running_node
from tests.backends import service_settings
from tests.node.small_city import CONTRACT

TENANT, OTHER = "332020", "372013"
REGISTER, WELFARE, TAX, ENDED, FOREIGN = "key-of-register", "key-of-welfare", "key-of-tax", "key-that-ended", "key-of-another-city"
TYPE = "jp.renkei.moved"
FILE = "PEOPLE_{business_date:%Y%m%d}.csv"
LAYOUT = {"layout": "csv_utf8", "file": "{business_date}.csv"}


def _key(text: str, ends: str = "2099-12-31") -> dict[str, str]:
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "ends": ends}


def _system(id_: str, *keys: dict[str, str]) -> dict[str, Any]:
    return {"id": id_, "name": {"ja": id_, "en": id_}, "api_keys": list(keys)}


def _http(id_: str, system: str) -> dict[str, Any]:
    return {"id": id_, "system": system, "adapter": "http"}


def _tenant() -> dict[str, Any]:
    quick = {"first_seconds": 0.01, "factor": 1, "most_seconds": 0.01, "attempts": 2}
    event = {"contract": "people@1.0", "kind": "event"}
    return {
        "tenant": TENANT,
        "name": {"ja": "倉敷市", "en": "Kurashiki"},
        "systems": [_system("001", _key(REGISTER), _key(ENDED, "2020-03-31")), _system("010", _key(WELFARE)), _system("020", _key(TAX))],
        "endpoints": [
            _http("register", "001"),
            _http("welfare", "010"),
            _http("tax", "020"),
            {"id": "drop", "system": "001", "settings": {"folder": "drop/people"}},
            {"id": "out", "system": "010", "settings": {"folder": "out/people"}},
        ],
        "interfaces": [
            {"id": "moved", "endpoint": "register", **event, "event": {"types": [TYPE], "max_bytes": 2048}},
            {"id": "streamed", "endpoint": "register", **event},
            {"id": "question", "endpoint": "tax", **event, "event": {"replies": "answer", "expires_seconds": 600}},
            {"id": "brief", "endpoint": "tax", **event, "event": {"replies": "answer", "expires_seconds": 0.2}},
            {"id": "answer", "endpoint": "register", **event},
            {"id": "people", "contract": "people@1.0", "layout": "csv_cp932", "endpoint": "drop", "file": FILE},
        ],
        "subscriptions": [
            {"id": "welfare_moved", "interface": "moved", "system": "010", "endpoint": "welfare", "retry": quick},
            {"id": "tax_moved", "interface": "moved", "system": "020", "endpoint": "tax"},
            {"id": "welfare_stream", "interface": "streamed", "system": "010", "endpoint": "welfare", "retry": quick},
            {"id": "asked", "interface": "question", "system": "001", "endpoint": "register"},
            {"id": "answered", "interface": "answer", "system": "020", "endpoint": "tax"},
            {"id": "welfare_people", "interface": "people", "system": "010", "endpoint": "out", **LAYOUT},
        ],
    }  # fmt: skip


def _other_tenant() -> dict[str, Any]:
    return {
        "tenant": OTHER,
        "name": {"ja": "高松市", "en": "Takamatsu"},
        "systems": [_system("001", _key(FOREIGN)), _system("010")],
        "endpoints": [_http("register", "001"), _http("welfare", "010")],
        "interfaces": [{"id": "elsewhere", "endpoint": "register", "contract": "people@1.0", "kind": "event"}],
        "subscriptions": [{"id": "welfare_elsewhere", "interface": "elsewhere", "system": "010", "endpoint": "welfare"}],
    }


def write_site(folder: Path, *, sign_in: str = "key", **api: Any) -> None:
    """Write it. Files are JSON, which YAML is a superset of."""
    site: dict[str, Any] = {
        "site": "api_site",
        "listen": {"port": 0},
        "api": {"port": 0, "sign_in": sign_in, **api},
        "batch": {"workers": 1},
        "contracts": ["contracts"],
        "tenants": [f"tenants/{TENANT}.yaml", f"tenants/{OTHER}.yaml"],
        **service_settings(folder),
    }
    for name in ("contracts", "tenants"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "site.yaml").write_text(json.dumps(site), "utf-8")
    (folder / "contracts" / "people@1.0.yaml").write_text(json.dumps(CONTRACT), "utf-8")
    for tenant in (_tenant(), _other_tenant()):
        (folder / "tenants" / f"{tenant['tenant']}.yaml").write_text(json.dumps(tenant), "utf-8")


_numbers = itertools.count(1)


def data(number: int | None = None, **changes: Any) -> dict[str, Any]:
    """One good record; each of its own person unless a number is given."""
    found = {"number": f"{next(_numbers) if number is None else number:06}", "name": "倉敷　花子", "kind": "1", "day": "2026-04-01"}
    return {**found, "amount": "10", **changes}


def cloud_event(record: Mapping[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    """A structured event with an id of its own."""
    known = {"specversion": "1.0", "id": f"event-{next(_numbers)}", "source": "/register", "type": TYPE}
    return {**known, **attributes, "data": data() if record is None else record}


STRUCTURED = {"content-type": "application/cloudevents+json"}


@dataclass
class Api:
    """A running node's API, as systems call it."""

    node: Node
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.node.api_port}"
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def call(
        self, method: str, path: str, key: str | None = REGISTER, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """A call below the tenant, or of another path when it begins with a slash."""
        signed = {} if key is None else {"authorization": f"Bearer {key}"}
        place = path if path.startswith("/") else f"/v1/{TENANT}/{path}"
        return self.client.request(method, place, headers={**signed, **(headers or {})}, **more)

    def publish(self, event: Mapping[str, Any], interface: str = "moved", key: str | None = REGISTER) -> httpx.Response:
        body = json.dumps(event, ensure_ascii=False).encode()
        return self.call("POST", f"interfaces/{interface}/events", key, STRUCTURED, content=body)

    def pull(self, subscription: str = "welfare_moved", key: str | None = WELFARE, **asked: Any) -> list[dict[str, Any]]:
        answer = self.call("POST", f"subscriptions/{subscription}/pull", key, json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()["events"]

    def settle(
        self, deed: str, *lent: Mapping[str, Any], subscription: str = "welfare_moved", key: str = WELFARE, **more: Any
    ) -> list[str]:
        named = [{"delivery": one["delivery"], "fence": one["fence"], **(more if deed == "nack" else {})} for one in lent]
        answer = self.call(
            "POST", f"subscriptions/{subscription}/{deed}", key, json={"deliveries": named, **({} if deed == "nack" else more)}
        )
        assert answer.status_code == 200, answer.text
        return [one["outcome"] for one in answer.json()["results"]]

    def drain(self, subscription: str = "welfare_moved", key: str = WELFARE) -> None:
        """Take what earlier tests left."""
        while lent := self.pull(subscription, key, max=1000):
            self.settle("ack", *lent, subscription=subscription, key=key)


@contextmanager
def running_api(folder: Path) -> Iterator[Api]:
    """The site in `folder`, run by a node in a thread."""
    with running_node(folder) as node:
        api = Api(node)
        try:
            yield api
        finally:
            api.client.close()


def problem(answer: httpx.Response, status: int, message_id: str = "") -> dict[str, Any]:
    """The problem details of a refusal (RFC 9457)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert {"type", "title", "detail", "action", "message_id", "problems"} <= set(found)
    assert not message_id or found["message_id"] == message_id, found
    return found


def in_thread(deed: Any) -> tuple[threading.Thread, list[Any]]:
    """Run it beside the test; its result stands in the list when the thread has ended."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(deed()))
    thread.start()
    return thread, found
