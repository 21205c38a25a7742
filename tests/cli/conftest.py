"""A city's night in memory: an Operations of our own, and a run of the command against it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bus.cli.app import run
from bus.cli.link import Operations, Row
from bus.cli.session import WIDE_COLUMNS, Session
from bus.errors import NotFound
from contracts.messages import Language


def totals(records: int, **sums: str) -> dict[str, Any]:
    return {"records": records, "sums": sums}


def message(number: int = 1, *, state: str = "accepted", rejected: int = 0, records: int = 1000) -> dict[str, Any]:
    return {
        "id": f"332020-m{number}",
        "identity": {"tenant": "332020", "interface": "resident", "business_date": "2026-11-19", "sequence": number},
        "revision": 1,
        "state": state,
        "source_system": "001",
        "endpoint": "register_drop",
        "kind": "full",
        "versions": {"contract": "resident@1.0", "layout": "mainframe_csv"},
        "file_name": f"JUMIN_20261119_{number:03}.csv",
        "bytes": 263_000,
        "sha256": "ab" * 32,
        "records": records,
        "declared": {},
        "good": totals(records - rejected),
        "rejected": totals(rejected),
        "broken": [{"field": "seibetsu", "rule": "codes", "severity": "reject", "count": rejected}] if rejected else [],
        "corrects": None,
        "reason": "",
        "received_at_us": 1_795_000_000_000_000,
        "accepted_at_us": 1_795_000_003_000_000,
    }


def delivery(number: int = 1, *, subscription: str = "tax_resident", state: str = "delivered", records: int = 1000) -> dict[str, Any]:
    return {
        "id": f"332020-d{number}",
        "tenant": "332020",
        "message": "332020-m1",
        "subscription": subscription,
        "endpoint": "tax_in",
        "layout": "csv_utf8",
        "state": state,
        "file_name": "resident.csv",
        "attempts": 0,
        "taken_in": totals(records),
        "out": totals(records),
        "filtered": totals(0),
        "refused": totals(0),
        "last_error": "",
    }


def quarantine_entry(number: int = 1, *, kind: str = "rejected_records", records: int = 3) -> dict[str, Any]:
    return {
        "id": f"332020-q{number}",
        "tenant": "332020",
        "kind": kind,
        "message": "332020-m1",
        "delivery": None,
        "subject": "332020-m1",
        "records": records,
        "facts": {},
        "state": "open",
        "created_at_us": 1_795_000_003_000_000,
    }


@dataclass
class Night:
    """An Operations that holds what a test puts in, and notes what it was asked."""

    messages_held: list[dict[str, Any]] = field(default_factory=list)
    deliveries_held: list[dict[str, Any]] = field(default_factory=list)
    quarantine_held: list[dict[str, Any]] = field(default_factory=list)
    events_held: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def submit(self, path: str, interface: str | None = None, tenant: str | None = None) -> Row:
        self.asked.append(("submit", path, interface, tenant))
        return {"intake": "i1"}

    def intake_progress(self, intake: str) -> Row:
        self.asked.append(("intake_progress", intake))
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def messages(
        self,
        tenant: str | None = None,
        interface: str | None = None,
        business_date: str | None = None,
        state: str | None = None,
        limit: int = 100,
    ) -> Sequence[Row]:
        self.asked.append(("messages", tenant, interface, business_date, state, limit))
        return self.messages_held[:limit]

    def trace(self, message: str) -> Row:
        found = next((held for held in self.messages_held if held["id"] == message), None)
        if found is None:
            raise NotFound("RNK3001E", id=message)
        receipt = {"id": "332020-r1", "at_us": found["received_at_us"], "endpoint": "register_drop", "outcome": "accepted"}
        entry = {"sequence": 1, "at_us": found["received_at_us"], "kind": "accepted", "subject": message, "facts": {"records": 1000}}
        chunk = {"plan": {"records": 1000}, "state": "done", "done": None}
        return {
            "message": found,
            "event": self.events_held.get(message),
            "receipts": [{**receipt, "bytes": 263_000, "file_name": found["file_name"], "reason": ""}],
            "chunks": [chunk],
            "deliveries": self.deliveries_held,
            "quarantine": self.quarantine_held,
            "entries": [entry],
        }

    def deliveries(
        self,
        tenant: str | None = None,
        subscription: str | None = None,
        message: str | None = None,
        state: str | None = None,
        limit: int = 100,
    ) -> Sequence[Row]:
        self.asked.append(("deliveries", tenant, subscription, message, state, limit))
        return self.deliveries_held[:limit]

    def resend(self, message: str, subscription: str) -> Row:
        self.asked.append(("resend", message, subscription))
        return {"delivery": delivery(9, subscription=subscription, state="due")}

    def quarantine_list(
        self,
        tenant: str | None = None,
        kind: str | None = None,
        message: str | None = None,
        state: str | None = "open",
        limit: int = 100,
    ) -> Sequence[Row]:
        self.asked.append(("quarantine_list", tenant, kind, message, state, limit))
        return self.quarantine_held[:limit]

    def quarantine_show(self, id: str, limit: int = 20) -> Row:  # noqa: A002 - as the Protocol names it
        found = next((held for held in self.quarantine_held if held["id"] == id), None)
        if found is None:
            raise NotFound("RNK3001E", id=id)
        words = {"ja": "氏名: 値がありません", "en": "shimei: no value"}
        broken = {"field": "shimei", "rule": "required", "severity": "reject", "value": "山＊＊", "words": words}
        return {"entry": found, "records": [{"ordinal": 7, "line": 8, "byte": 2104, "broken": [broken]}]}

    def quarantine_export(self, id: str, path: str) -> Row:  # noqa: A002 - as the Protocol names it
        self.asked.append(("quarantine_export", id, path))
        return {"path": path, "records": 3}

    def quarantine_release(self, id: str) -> Row:  # noqa: A002 - as the Protocol names it
        self.asked.append(("quarantine_release", id))
        return {"entry": {**quarantine_entry(), "state": "released"}}

    def quarantine_skip(self, id: str) -> Row:  # noqa: A002 - as the Protocol names it
        self.asked.append(("quarantine_skip", id))
        return {"entry": {**quarantine_entry(), "state": "skipped"}}

    def quarantine_release_all(self, tenant: str, subscription: str) -> Row:
        self.asked.append(("quarantine_release_all", tenant, subscription))
        return {"operation": "332020-o1"}

    def operation_progress(self, operation: str) -> Row:
        self.asked.append(("operation_progress", operation))
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def status(self) -> Row:
        waiting = {"tenant": "332020", "subscription": "tax_resident", "state": "due", "count": 2, "oldest_created_at_us": 1}
        return {"site": "setouchi", "node": "node1", "now_us": 1, "backlog": [waiting], "quarantine": []}


@dataclass
class Ended:
    """How a run ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


Renkei = Callable[..., Ended]


@pytest.fixture
def night() -> Night:
    return Night()


@pytest.fixture
def renkei(night: Night, tmp_path: Path) -> Renkei:
    """Run `renkei` with these arguments, in a site folder of its own, against `night`."""

    @contextmanager
    def opens(folder: Path, language: Language) -> Iterator[Operations]:
        yield night

    def call(*arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        clock = iter(range(1_000_000))
        session = Session(
            "en",
            tmp_path,
            out=Console(file=out, width=WIDE_COLUMNS, highlight=False),
            err=Console(file=err, width=WIDE_COLUMNS, highlight=False),
            opens=opens,
            pause=lambda seconds: None,
            now=lambda: float(next(clock)),
        )
        code = run(list(arguments), environment or {}, session)
        return Ended(code, out.getvalue(), err.getvalue())

    return call
