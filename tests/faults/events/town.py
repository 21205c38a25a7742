"""A town whose events the fault tests publish, send and fetch, and its nodes: real processes on the back end of the run.

The contract's key is a person. Every person's events carry consecutive serials, so that whoever receives them sees their order.
"""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from tests.faults.real_node import RealNode, until

TENANT: Final = "332020"
TYPE: Final = "jp.renkei.fault"
SOURCE: Final = "/fault/publisher"
HOOKED: Final = "hooked"
FETCHED: Final = "fetched"
PUBLISH: Final = f"/v1/{TENANT}/interfaces/changed/events"
PULL: Final = f"/v1/{TENANT}/subscriptions/{FETCHED}"
STUBBORN: Final = {"first_seconds": 0.05, "factor": 1.5, "most_seconds": 0.5, "attempts": 100_000}
"""Retries that never give up, and never wait long: what a fault run measures is loss, not patience."""
CONTRACT: Final[dict[str, Any]] = {
    "contract": "fault-change@1.0",
    "title": {"ja": "障害試験の異動", "en": "changes of the fault tests"},
    "follows": {"document": "この試験", "version": "1", "status": "provisional"},
    "key": ["person", "serial"],
    "ordering_key": ["person"],
    "code_tables": {"kind": {"version": "1", "values": {"1": {"ja": "一", "en": "one"}, "2": {"ja": "二", "en": "two"}}}},
    "fields": [
        {"name": "person", "label": "番号", "type": "9", "length": 8, "required": True, "sensitivity": "personal"},
        {"name": "serial", "label": "連番", "type": "9", "length": 8, "required": True},
        {"name": "name", "label": "氏名", "type": "N", "length": 20, "required": True, "sensitivity": "personal"},
        {"name": "kind", "label": "種別", "type": "X", "length": 1, "codes": "kind"},
        {"name": "note", "label": "備考", "type": "N", "length": 2000},
    ],
}


@dataclass(frozen=True)
class Hook:
    """How the webhook endpoint is set up."""

    url: str
    timeout_seconds: float = 3.0
    retry: Mapping[str, Any] = field(default_factory=lambda: STUBBORN)
    breaker: Mapping[str, Any] = field(default_factory=lambda: {"failures": 20, "open_seconds": 0.2})
    concurrent: int = 16


def record(person: int, serial: int, **more: str) -> dict[str, str]:
    """One valid change."""
    return {"person": f"{person:08}", "serial": f"{serial:08}", "name": "架空　花子", "kind": "12"[serial % 2], **more}


def cloud_event(person: int, serial: int, **more: str) -> dict[str, Any]:
    """It in a structured event; its id says which one it is."""
    known = {"specversion": "1.0", "id": f"{person}-{serial}", "source": SOURCE, "type": TYPE}
    return {**known, "data": record(person, serial, **more)}


def write_town(
    folder: Path,
    hooks: Mapping[str, Hook],
    *,
    pulled: Sequence[str] = (),
    services: Mapping[str, Any] | None = None,
    api: Mapping[str, Any] | None = None,
    pull_retry: Mapping[str, Any] = STUBBORN,
    drop: bool = False,
) -> Path:
    """Write the site: every hook and every pulled subscription gets all that is published. `drop`: also a folder of files."""
    secret = folder / "secrets" / "hook"
    secret.parent.mkdir(parents=True)
    secret.touch(mode=0o600)
    secret.write_text("whsec_" + base64.b64encode(b"fault tests need no good secret.").decode(), "ascii")
    endpoints: list[dict[str, Any]] = [{"id": "source", "system": "001", "adapter": "http"}]
    subscriptions: list[dict[str, Any]] = []
    for name, hook in hooks.items():
        settings = {"url": hook.url, "secrets": ["secrets/hook"], "timeout_seconds": hook.timeout_seconds}
        limits = {"concurrent": hook.concurrent, "breaker": dict(hook.breaker)}
        endpoints.append({"id": f"{name}_in", "system": "010", "adapter": "webhook", "settings": settings, "limits": limits})
        subscriptions.append(_subscription(name, "010", hook.retry))
    for name in pulled:
        endpoints.append({"id": f"{name}_in", "system": "020", "adapter": "http"})
        subscriptions.append(_subscription(name, "020", pull_retry))
    tenant: dict[str, Any] = {
        "tenant": TENANT,
        "name": {"ja": "倉敷市", "en": "Kurashiki"},
        "systems": [{"id": code, "name": {"ja": "業務", "en": "System"}} for code in ("001", "010", "020")],
        "endpoints": endpoints,
        "interfaces": [{"id": "changed", "contract": CONTRACT["contract"], "endpoint": "source", "kind": "event"}],
        "subscriptions": subscriptions,
    }
    contract = CONTRACT | ({"layouts": {"csv": {"format": "csv"}}} if drop else {})
    if drop:
        _add_files(folder, tenant)
    site = {
        "site": "event_faults",
        "listen": {"port": 0},
        "api": {"port": 0, **(api or {})},
        "batch": {"workers": 1},
        "contracts": ["contracts"],
        "tenants": [f"{TENANT}.yaml"],
        **(services or {}),
    }
    (folder / "contracts").mkdir()
    for name, document in {"site.yaml": site, f"{TENANT}.yaml": tenant, "contracts/fault-change@1.0.yaml": contract}.items():
        (folder / name).write_text(json.dumps(document, ensure_ascii=False, indent=1), "utf-8")  # JSON is YAML
    return folder


def _subscription(name: str, system: str, retry: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": name, "interface": "changed", "system": system, "endpoint": f"{name}_in", "retry": dict(retry)}


def _add_files(folder: Path, tenant: dict[str, Any]) -> None:
    for place in ("drop", "out"):
        (folder / place).mkdir()
    tenant["endpoints"].append({"id": "drop", "system": "001", "settings": {"folder": "drop"}})
    tenant["endpoints"].append({"id": "out", "system": "010", "settings": {"folder": "out"}})
    file = "N{business_date:%Y%m%d}_{sequence:03}.csv"
    night = {"id": "night", "contract": CONTRACT["contract"], "layout": "csv", "endpoint": "drop", "file": file}
    tenant["interfaces"].append(night)
    tenant["subscriptions"].append(
        {"id": "out_night", "interface": "night", "system": "010", "endpoint": "out", "layout": "csv", "file": file}
    )


class EventNode(RealNode):
    """`renkei up` for one of the nodes of a site. `name` None: the only one."""

    def __init__(self, site: Path, name: str | None = None, *, role: str = "all", program: Sequence[str] = ()) -> None:
        """`program` in place of `renkei`, with the same arguments."""
        named = ["--node", name] if name else []
        super().__init__(site, [*(program or ("-m", "bus.cli.app")), "--site", str(site), "up", "--role", role, *named])
        self.name = name
        if name is not None:
            self.rule, self.log = site / f"{name}.rule", site / f"{name}.log"

    @property
    def _port_file(self) -> Path:
        return self.site / "var" / (f"{self.name}.api.port" if self.name else "api.port")

    def start(self) -> None:
        """Start it, without waiting; a node that runs already is left alone."""
        if self._process is None or self._process.poll() is not None:
            self._port_file.unlink(missing_ok=True)
        super().start()

    def serving(self) -> bool:
        """Whether it takes connections from applications."""
        assert self.process.poll() is None, f"the node ended with {self.process.returncode}; {self.told()}"
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except (OSError, ValueError):
            return False
        return True

    def await_serving(self) -> int:
        """Wait until it does; returns the port of its API."""
        until(self.serving, "the node serves applications", self.told)
        return self.port

    @property
    def port(self) -> int:
        """Of its API."""
        return int(self._port_file.read_text("ascii"))

    def metrics(self) -> str:
        """What it tells monitoring."""
        place = self._port_file.with_name(self._port_file.name.replace("api.port", "node.port"))
        return httpx.get(f"http://127.0.0.1:{place.read_text('ascii')}/metrics", timeout=30).text

    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None


def publish(port: int, *events: Mapping[str, Any], timeout_seconds: float = 30.0) -> list[httpx.Response]:
    """Publish these, one after another, over one connection."""
    headers = {"content-type": "application/cloudevents+json"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=timeout_seconds) as client:
        return [client.post(PUBLISH, content=json.dumps(event, ensure_ascii=False).encode(), headers=headers) for event in events]


def wait_for(condition: Callable[[], bool], what: str, *nodes: EventNode) -> None:
    """Wait, and tell of these nodes when it was in vain."""
    until(condition, what, lambda: "\n".join(node.told() for node in nodes))
