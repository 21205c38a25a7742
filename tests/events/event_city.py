"""A city whose systems speak in events, and its publishing desk alone: the parts that take events in, without a node around them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bus.batch.recipes import Recipes
from bus.broker.embedded import EmbeddedHints
from bus.clock import ManualClock
from bus.event import EventTaken
from bus.event_ports import IncomingEvent
from bus.events.cloudevents import parse_structured
from bus.events.group_commit import GroupCommit
from bus.events.intake import EventIntake, Handing
from bus.events.recipes import EventRecipes
from bus.events.signals import Signals
from bus.journal.journal import SqlJournal
from bus.message import Delivery
from bus.payloads import DirectoryPayloads
from bus.security.keyed_hash import KeyedHash
from bus.security.seal import IdentitySeal
from bus.site_check import load_site, registry_of, translations_of
from tests.backends import backend, open_journal, service_settings

TENANT, OTHER = "332020", "372013"
TYPE = "jp.renkei.moved"
PERSON = "903320200000017"
"""An 宛名番号 that no test uses for anything else."""
NAME = "倉敷　秘之助"

CONTRACT: dict[str, Any] = {
    "contract": "moved@1.0",
    "title": {"ja": "異動", "en": "Moves"},
    "follows": {"document": "試験用", "version": "1.0", "status": "provisional"},
    "key": ["number", "serial"],
    "ordering_key": ["number"],
    "version_field": "serial",
    "code_tables": {"kind": {"version": "1", "values": {"1": {"ja": "転入", "en": "in"}, "2": {"ja": "転出", "en": "out"}}}},
    "fields": [
        {"name": "number", "label": "番号", "type": "X", "length": 15, "required": True, "pattern": "[0-9]+", "sensitivity": "personal"},
        {"name": "serial", "label": "履歴", "type": "9", "length": 3, "required": True},
        {"name": "name", "label": "氏名", "type": "N", "length": 40, "required": True, "sensitivity": "personal"},
        {"name": "kind", "label": "事由", "type": "X", "length": 1, "codes": "kind"},
        {"name": "zip", "label": "郵便番号", "type": "X", "length": 9, "pattern": "[0-9]{7}", "severity": {"pattern": "warn"}},
        {"name": "note", "label": "備考", "type": "N", "length": 100000},
    ],
}


def system(code: str, **more: Any) -> dict[str, Any]:
    return {"id": code, "name": {"ja": code, "en": code}, **more}


def endpoint(name: str, code: str, adapter: str = "http", **more: Any) -> dict[str, Any]:
    return {"id": name, "system": code, "adapter": adapter, **more}


def interface(name: str, contract: str = "moved@1.0", at: str = "register", day_ends: str = "12:00", **event: Any) -> dict[str, Any]:
    return {"id": name, "contract": contract, "endpoint": at, "kind": "event", "day_ends": day_ends, **({"event": event} if event else {})}


def subscription(name: str, of: str, at: str = "welfare", code: str = "010", **more: Any) -> dict[str, Any]:
    return {"id": name, "interface": of, "system": code, "endpoint": at, **more}


def tenant(code: str, **parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"tenant": code, "name": {"ja": code, "en": code}, **parts}


def write_city(folder: Path, *tenants: Mapping[str, Any], **site: Any) -> None:
    """Write the site; JSON is YAML."""
    for name in ("contracts", "tenants", "secrets", "var"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    codes = [one["tenant"] for one in tenants]
    whole = {
        "site": "event_city",
        "listen": {"port": 0},
        "api": {"port": 0},
        "batch": {"workers": 1, "chunk_bytes": 1024},
        "contracts": ["contracts"],
        "tenants": [f"tenants/{code}.yaml" for code in codes],
        **service_settings(folder),
        **site,
    }
    (folder / "site.yaml").write_text(json.dumps(whole), "utf-8")
    (folder / "contracts" / "moved@1.0.yaml").write_text(json.dumps(CONTRACT), "utf-8")
    for one in tenants:
        (folder / "tenants" / f"{one['tenant']}.yaml").write_text(json.dumps(one), "utf-8")


def webhook_secret(folder: Path) -> str:
    """A signing secret for webhooks; its path for the settings."""
    secret = folder / "secrets" / "hook"
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.touch(mode=0o600)
    secret.write_text("whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy1vbmx5IQ==", "ascii")
    return "secrets/hook"


def write_desk_city(folder: Path) -> Path:
    """A register that publishes, and two systems that subscribe, one of them by webhook."""
    settings = {"url": "http://127.0.0.1:9/hook", "secrets": [webhook_secret(folder)]}
    here = tenant(
        TENANT,
        systems=[system("001"), system("010"), system("020")],
        endpoints=[endpoint("register", "001"), endpoint("welfare", "010"), endpoint("tax", "020", "webhook", settings=settings)],
        interfaces=[
            interface("moved", types=[TYPE], max_bytes=1024 * 1024),
            interface("short", max_bytes=1024),
            interface("brief", expires_seconds=60),
            interface("dated", day_ends="05:00"),
            interface("question", at="welfare", replies="answer"),
            interface("answer"),
        ],
        subscriptions=[
            subscription("welfare_moved", "moved"),
            subscription("welfare_kind_2", "moved", filter={"fields": {"kind": {"eq": "2"}}}),
            subscription("tax_moved", "moved", "tax", "020"),
            subscription("welfare_brief", "brief", expires_seconds=30),
            subscription("tax_brief", "brief", "tax", "020"),
            subscription("until", "dated", valid_until="2026-11-18"),
            subscription("from", "dated", valid_from="2026-11-19"),
            subscription("asked", "question", "register", "001"),
            subscription("answered", "answer"),
        ],
    )
    there = tenant(
        OTHER,
        systems=[system("001"), system("010")],
        endpoints=[endpoint("register", "001"), endpoint("welfare", "010")],
        interfaces=[interface("elsewhere")],
        subscriptions=[subscription("welfare_elsewhere", "elsewhere")],
    )
    write_city(folder, here, there)
    return folder


_numbers = itertools.count(1)


def record(number: int | str | None = None, **changes: Any) -> dict[str, Any]:
    """One good record, of a person of its own unless a number is given."""
    return {"number": str(next(_numbers) if number is None else number), "serial": "1", "name": "倉敷　花子", "kind": "1", **changes}


def cloud_event(data: Mapping[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    """A structured event with an id of its own."""
    known = {"specversion": "1.0", "id": f"event-{next(_numbers)}", "source": "/register", "type": TYPE}
    return {**known, **attributes, "data": record() if data is None else data}


def as_json(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


# --- the publishing desk


@dataclass
class Counted:
    """What the metrics are told."""

    events: list[tuple[str, str]] = field(default_factory=list)
    overloads: list[str] = field(default_factory=list)
    published: list[str] = field(default_factory=list)

    def event(self, tenant: str, interface: str, outcome: str) -> None:
        self.events.append((interface, outcome))

    def overloaded(self, reason: str) -> None:
        self.overloads.append(reason)

    def event_published(self, via: str, seconds: float) -> None:
        assert seconds >= 0
        self.published.append(via)


@dataclass
class Desk:
    """The parts that take events in, in the test's own event loop."""

    folder: Path
    intake: EventIntake
    commit: GroupCommit
    journal: SqlJournal
    payloads: DirectoryPayloads
    hashes: KeyedHash
    clock: ManualClock
    counted: Counted
    signals: Signals
    hints: EmbeddedHints

    async def publish(self, event: Mapping[str, Any] | bytes, to: str = "moved", tenant: str = TENANT) -> EventTaken:
        body = event if isinstance(event, bytes) else as_json(event)
        return await self.intake.publish(self.intake.interface(tenant, to), parse_structured(body))

    def incoming(self, body: bytes, to: str = "moved", kind: str = "application/cloudevents+json", **headers: str) -> IncomingEvent:
        return IncomingEvent(TENANT, to, "register", kind, headers, body, f"in.{to}")

    def deliveries(self, message: str) -> dict[str, Delivery]:
        """By subscription."""
        return {one.subscription: one for one in self.journal.deliveries(message=message, limit=100)}


@asynccontextmanager
async def open_desk(folder: Path, *, handing: Handing | None = None, most_waiting: int = 2000) -> AsyncIterator[Desk]:
    """The desk of the site in `folder`, with a clock of its own."""
    site = load_site(folder)
    registry = registry_of(site)
    recipes = EventRecipes.of(Recipes(site, registry, translations_of(site, registry)))
    clock = ManualClock()
    journal = await asyncio.to_thread(_journal, folder, clock)
    payloads = DirectoryPayloads(site.path(site.site.payloads.folder), IdentitySeal())
    hashes = KeyedHash.open(folder / "var" / "hash.key")
    counted, signals, hints = Counted(), Signals(), EmbeddedHints()
    commit = GroupCommit(journal, "node1", most_waiting=most_waiting)
    intake = EventIntake(recipes, commit, journal, payloads, hashes, hints, signals, clock, counted, handing)
    try:
        yield Desk(folder, intake, commit, journal, payloads, hashes, clock, counted, signals, hints)
    finally:
        await asyncio.to_thread(commit.close)
        journal.close()


def _journal(folder: Path, clock: ManualClock) -> SqlJournal:
    """The site's own journal, by a clock that the test moves."""
    return open_journal(folder if backend() == "services" else folder / "var", clock, synchronous="OFF")
