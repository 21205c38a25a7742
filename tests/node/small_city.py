"""A small city for tests of the whole node: a contract of five fields, one drop folder per interface, and files made by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from bus.message import FINISHED, Delivery, DeliveryState, QuarantineEntry, Receipt
from bus.node import Node, running_node
from tests.backends import service_settings

TENANT = "332020"
BOUND_SECONDS = 60.0
"""No test waits longer for anything; nothing takes nearly as long on an idle machine."""

COLUMNS = ["number", "name", "kind", "day", "amount"]
CONTRACT: dict[str, Any] = {
    "contract": "people@1.0",
    "title": {"ja": "人", "en": "People"},
    "follows": {"document": "試験用", "version": "1.0", "status": "provisional"},
    "key": ["number"],
    "control_sums": ["amount"],
    "code_tables": {"kind": {"version": "1.0", "values": {"1": {"ja": "一", "en": "one"}, "2": {"ja": "二", "en": "two"}}}},
    "fields": [
        {"name": "number", "label": "番号", "type": "X", "length": 6, "required": True, "pattern": "[0-9]+", "sensitivity": "personal"},
        {"name": "name", "label": "氏名", "type": "N", "length": 20, "required": True, "sensitivity": "personal"},
        {"name": "kind", "label": "種別", "type": "X", "length": 1, "required": True, "codes": "kind"},
        {"name": "day", "label": "年月日", "type": "DATE"},
        {"name": "amount", "label": "金額", "type": "S9", "length": 9},
    ],
    "layouts": {
        "csv_utf8": {"format": "csv", "encoding": "utf-8", "newline": "crlf", "titles": "labels"},
        "csv_cp932": {"format": "csv", "encoding": "cp932", "newline": "crlf", "titles": "names"},
        "summed": {
            "format": "csv",
            "encoding": "cp932",
            "newline": "crlf",
            "titles": "none",
            "header_record": [{"constant": "H"}, {"total": "tenant"}, {"total": "business_date"}, {"total": "sequence"}],
            "columns": [{"constant": "D"}, *({"field": name} for name in COLUMNS)],
            "trailer_record": [{"constant": "T"}, {"total": "count"}, {"total": "sum.amount"}],
        },
        "fixed": {
            "format": "fixed",
            "encoding": "cp932",
            "newline": "crlf",
            "record_bytes": 60,
            "columns": [
                {"field": "number", "bytes": 6},
                {"field": "name", "bytes": 35, "pad": "　", "shorter": True},
                {"field": "kind", "bytes": 1},
                {"field": "day", "bytes": 8, "date": "yyyymmdd"},
                {"field": "amount", "bytes": 10, "justify": "right"},
            ],
        },
        "xml": {"format": "xml", "root": "People", "record": "Person"},
        "xml_by_3": {"format": "xml", "root": "People", "record": "Person", "records_per_document": 3},
    },
}


def until(check: Callable[[], Any], what: str = "") -> Any:
    """What `check` gives as soon as it is true. Fails when it is not within the bound."""
    end = time.monotonic() + BOUND_SECONDS
    while not (found := check()):
        assert time.monotonic() < end, f"did not come true: {what or check}"
        time.sleep(0.01)
    return found


def person(number: int, **changes: str) -> dict[str, str]:
    name = f"倉敷　{number}郎".translate(WIDE)
    return {"number": f"{number:06}", "name": name, "kind": "1", "day": "2026-04-01", "amount": "10", **changes}


WIDE = {ord("0") + digit: ord("０") + digit for digit in range(10)}


def people(count: int, first: int = 1) -> list[dict[str, str]]:
    return [person(number) for number in range(first, first + count)]


def csv(records: Sequence[Mapping[str, str]], *, encoding: str = "cp932", titles: str = "number,name,kind,day,amount\r\n") -> bytes:
    lines = [",".join(record[name] for name in COLUMNS) + "\r\n" for record in records]
    return (titles + "".join(lines)).encode(encoding)


LABELS = "番号,氏名,種別,年月日,金額\r\n"


def summed(
    records: Sequence[Mapping[str, str]], day: str, sequence: int = 1, *, tenant: str = TENANT, count: int = -1, amount: int | None = None
) -> bytes:
    counted = count if count >= 0 else len(records)
    total = sum(int(record["amount"]) for record in records) if amount is None else amount
    lines = [f"H,{tenant},{day.replace('-', '')},{sequence}\r\n"]
    lines += ["D," + ",".join(record[name] for name in COLUMNS) + "\r\n" for record in records]
    return ("".join(lines) + f"T,{counted},{total}\r\n").encode("cp932")


def fixed(records: Sequence[Mapping[str, str]]) -> bytes:
    return b"".join(_fixed_record(record) + b"\r\n" for record in records)


def _fixed_record(record: Mapping[str, str]) -> bytes:
    name = record["name"].encode("cp932")
    padded = name + b"\x81\x40" * ((35 - len(name)) // 2) + b" " * ((35 - len(name)) % 2)
    return (
        f"{record['number']:>6}".encode()
        + padded
        + record["kind"].encode()
        + record["day"].replace("-", "").encode()
        + f"{record['amount']:>10}".encode()
    )


def interface(name: str, layout: str, file: str, **more: Any) -> dict[str, Any]:
    """An interface with a drop folder of its own."""
    return {"id": name, "contract": "people@1.0", "layout": layout, "endpoint": f"{name}_drop", "file": file, **more}


def subscription(name: str, of: str, layout: str = "csv_utf8", **more: Any) -> dict[str, Any]:
    """A subscription with an outgoing folder of its own."""
    ending = {"xml": "xml", "xml_by_3": "xml", "fixed": "dat"}.get(layout, "csv")
    file = more.pop("file", f"{name}_{{business_date:%Y%m%d}}_{{sequence:03}}.{ending}")
    return {"id": name, "interface": of, "system": "010", "endpoint": f"{name}_in", "layout": layout, "file": file, **more}


def write_city(
    folder: Path,
    interfaces: Sequence[Mapping[str, Any]],
    subscriptions: Sequence[Mapping[str, Any]],
    *,
    drops: Mapping[str, Mapping[str, Any]] | None = None,
    outs: Mapping[str, Mapping[str, Any]] | None = None,
    contract: Mapping[str, Any] = CONTRACT,
    chunk_bytes: int = 1024,
) -> None:
    """Write the site. `drops` and `outs` give more settings to the endpoints of an interface or a subscription."""
    endpoints = [
        {"id": one["endpoint"], "system": "001", "settings": {"folder": f"drop/{one['id']}", **(drops or {}).get(one["id"], {})}}
        for one in interfaces
    ] + [
        {"id": one["endpoint"], "system": "010", "settings": {"folder": f"out/{one['id']}", **(outs or {}).get(one["id"], {})}}
        for one in subscriptions
    ]
    systems = [{"id": code, "name": {"ja": "業務", "en": "System"}} for code in ("001", "010")]
    tenant = {
        "tenant": TENANT,
        "name": {"ja": "倉敷市", "en": "Kurashiki"},
        "systems": systems,
        "endpoints": endpoints,
        "interfaces": list(interfaces),
        "subscriptions": list(subscriptions),
    }
    site = {
        "site": "test",
        "listen": {"port": 0},
        "batch": {"workers": 2, "chunk_bytes": chunk_bytes},
        "contracts": ["contracts"],
        "tenants": [f"{TENANT}.yaml"],
        **service_settings(folder),
    }
    (folder / "contracts").mkdir(parents=True, exist_ok=True)
    for name, document in {"site.yaml": site, f"{TENANT}.yaml": tenant, "contracts/people@1.0.yaml": contract}.items():
        (folder / name).write_text(json.dumps(document, ensure_ascii=False, indent=1), "utf-8")  # JSON is YAML


@dataclass
class City:
    """A running small city."""

    folder: Path
    node: Node
    _days: Iterator[str] = field(default_factory=lambda: (str(date(2026, 1, 1) + timedelta(days=number)) for number in range(2000)))

    @property
    def operations(self) -> Any:
        return self.node.parts.operations

    @property
    def journal(self) -> Any:
        return self.node.parts.journal

    def new_day(self) -> str:
        """A business date that no other test uses."""
        return next(self._days)

    def drop(self, of: str, name: str, data: bytes, *, marker: bool = True) -> Path:
        """Drop a file as a mainframe does: the data, then the completion marker."""
        path = self.folder / "drop" / of / name
        path.write_bytes(data)
        if marker:
            path.with_name(f"{name}.end").touch()
        return path

    def receipts(self, name: str) -> list[Receipt]:
        """All receipts of files of that name, newest first."""
        return [receipt for receipt in self.journal.receipts(tenant=TENANT, limit=1000) if receipt.file_name == name]

    def send(self, of: str, name: str, data: bytes) -> Receipt:
        """Drop a file and wait for its receipt and for the source to be told."""
        before = len(self.receipts(name))
        self.drop(of, name, data)
        until(lambda: len(self.receipts(name)) > before, f"a receipt of {name}")
        until(lambda: not list((self.folder / "drop" / of / "claimed").iterdir()), f"{name} acknowledged")
        return self.receipts(name)[0]

    def deliveries(self, message: str | None, *, within: Sequence[DeliveryState] = FINISHED) -> list[Delivery]:
        """The deliveries of a message once all of them are in one of these states, by subscription."""
        assert message is not None
        found = until(lambda: self._settled(message, within), f"deliveries of {message}")
        return sorted(found, key=lambda delivery: delivery.subscription)

    def _settled(self, message: str, within: Sequence[DeliveryState]) -> list[Delivery]:
        found = list(self.journal.deliveries(message=message, limit=1000))
        return found if all(delivery.state in within for delivery in found) else []

    def quarantine(self, **wanted: Any) -> list[QuarantineEntry]:
        return list(self.journal.quarantine(tenant=TENANT, **wanted))

    def broken(self, message: str | None) -> list[dict[str, Any]]:
        """The rejected records of a message as an operator sees them."""
        (entry,) = self.quarantine(message=message, kind="rejected_records")
        records: list[dict[str, Any]] = self.operations.quarantine_show(entry.id, limit=1000)["records"]
        return records

    def out(self, of: str) -> dict[str, bytes]:
        """What stands in an outgoing folder, published."""
        return {path.name: path.read_bytes() for path in (self.folder / "out" / of).iterdir() if not path.name.startswith(".")}

    def goes_on(self, of: str, name: str, data: bytes, subscriber: str) -> None:
        """A good file still goes all the way."""
        receipt = self.send(of, name, data)
        assert receipt.outcome == "accepted", receipt.reason
        for delivery in self.deliveries(receipt.message):
            assert delivery.state is DeliveryState.DELIVERED
            assert delivery.file_name in self.out(subscriber)


@contextmanager
def running_city(folder: Path, **how: Any) -> Iterator[City]:
    with running_node(folder, **how) as node:
        yield City(folder, node)


def reason(receipt: Receipt) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(receipt.reason)
    return found
