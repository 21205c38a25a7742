"""A small site for fault tests: one municipality, one interface, three subscribers, and a file whose every kind of record counts.

The input is UTF-8 CSV, so that some names cannot be held by the CP932 subscriber: its delivery ends with refused records.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.backends import service_settings

TENANT: Final = "332020"
BUSINESS_DATE: Final = "2026-11-20"
SUBSCRIPTIONS: Final = ("csv", "fixed", "xml")
CHUNK_BYTES: Final = 6000
RECORDS: Final = 1000
_REPEATED: Final = (30, 700)
"""The ordinals of two records with one key, in different chunks."""

_SITE: Final = """\
site: faults
time_zone: Asia/Tokyo
listen: {port: 0}
journal: %(journal)s
batch: {workers: 2, chunk_bytes: %(chunk_bytes)d}
contracts: [contracts]
tenants: [tenants/332020.yaml]
"""

_TENANT: Final = """\
tenant: "332020"
name: {ja: 倉敷市, en: Kurashiki}
systems:
  - {id: "001", name: {ja: 送り手, en: sender}}
  - {id: "010", name: {ja: 受け手一, en: first receiver}}
  - {id: "020", name: {ja: 受け手二, en: second receiver}}
  - {id: "030", name: {ja: 受け手三, en: third receiver}}
endpoints:
  - {id: drop, system: "001", settings: {folder: drop}}
  - {id: csv_in, system: "010", settings: {folder: out/csv}}
  - {id: fixed_in, system: "020", settings: {folder: out/fixed}}
  - {id: xml_in, system: "030", settings: {folder: out/xml}}
interfaces:
  - id: people
    contract: fault-people@1.0
    layout: csv_utf8
    endpoint: drop
    file: "PEOPLE_{business_date:%%Y%%m%%d}_{sequence:03}.csv"
subscriptions:
  - id: csv
    interface: people
    system: "010"
    endpoint: csv_in
    layout: csv_utf8
    file: "{sequence:03}.csv"
    marker: "{stem}.end"
    retry: %(retry)s
  - id: fixed
    interface: people
    system: "020"
    endpoint: fixed_in
    layout: fixed
    file: "{sequence:03}.dat"
    marker: "{stem}.end"
    retry: %(retry)s
  - id: xml
    interface: people
    system: "030"
    endpoint: xml_in
    layout: xml
    filter: {fields: {kind: {eq: "1"}}}
    file: "{sequence:03}-{document:02}.xml"
    marker: "{sequence:03}.end"
    retry: %(retry)s
"""

_CONTRACT: Final = """\
contract: fault-people@1.0
title: {ja: 障害試験の人, en: people of the fault tests}
follows: {document: この試験, version: "1", status: provisional}
key: [number]
control_sums: [amount]
code_tables:
  kind: {version: "1", values: {"1": {ja: 一, en: one}, "2": {ja: 二, en: two}}}
fields:
  - {name: number, label: 番号, type: "9", length: 8, required: true}
  - {name: name, label: 氏名, type: N, length: 20, required: true}
  - {name: born, label: 生年月日, type: DATE}
  - {name: kind, label: 種別, type: X, length: 1, codes: kind}
  - {name: amount, label: 金額, type: S9, length: 10}
layouts:
  csv_utf8: {format: csv}
  fixed:
    format: fixed
    record_bytes: 70
    header_record: [{constant: H, bytes: 1}, {total: business_date, bytes: 8}, {constant: "", bytes: 61}]
    columns:
      - {constant: D, bytes: 1}
      - {field: number, bytes: 8}
      - {field: name, bytes: 40, pad: "　"}
      - {field: born, bytes: 8, date: yyyymmdd}
      - {field: kind, bytes: 1}
      - {field: amount, bytes: 11, justify: right}
      - {constant: "", bytes: 1}
    trailer_record:
      - {constant: T, bytes: 1}
      - {total: count, bytes: 9, justify: right, pad: "0"}
      - {total: sum.amount, bytes: 18, justify: right}
      - {constant: "", bytes: 42}
  xml: {format: xml, records_per_document: 200}
"""


@dataclass(frozen=True)
class Tries:
    """How failed deliveries are tried again."""

    first_seconds: float = 0.3
    attempts: int = 1000


def write_site(folder: Path, *, tries: Tries | None = None, chunk_bytes: int = CHUNK_BYTES) -> Path:
    """Write the site, with its drop and target folders; returns `folder`."""
    tries = tries or Tries()
    wait = tries.first_seconds
    retry = f"{{first_seconds: {wait}, factor: 1, most_seconds: {wait}, attempts: {tries.attempts}}}"
    texts = {
        "site.yaml": _site(folder, chunk_bytes),
        "tenants/332020.yaml": _TENANT % {"retry": retry},
        "contracts/fault-people@1.0.yaml": _CONTRACT,
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    for place in ("drop", *(f"out/{subscription}" for subscription in SUBSCRIPTIONS)):
        (folder / place).mkdir(parents=True)
    return folder


def _site(folder: Path, chunk_bytes: int) -> str:
    services = service_settings(folder)
    journal = {"file": "journal/journal.db", **services.pop("journal", {})}
    text = _SITE % {"journal": json.dumps(journal), "chunk_bytes": chunk_bytes}  # JSON is YAML
    return text + "".join(f"{name}: {json.dumps(settings)}\n" for name, settings in services.items())


def people(records: int = RECORDS) -> bytes:
    """The file's bytes: mostly good records; some of a kind nobody knows, one key twice, some names that CP932 does not have."""
    lines = ["number,name,born,kind,amount"]
    for ordinal in range(records):
        number = _REPEATED[0] if ordinal == _REPEATED[1] else ordinal
        name = "𠮷田花子" if ordinal % 331 == 5 else f"山田{'一二三四五六七八九十'[ordinal % 10]}郎"
        kind = "9" if ordinal % 409 == 7 else "12"[ordinal % 3 == 0]
        born = f"19{ordinal % 100:02}-0{ordinal % 9 + 1}-1{ordinal % 10}"
        lines.append(f"{number:08},{name},{born},{kind},{ordinal * 7919 % 100_003 - 50_000}")
    return ("\r\n".join(lines) + "\r\n").encode()


def file_name(sequence: int) -> str:
    """What the sender calls a file."""
    return f"PEOPLE_{BUSINESS_DATE.replace('-', '')}_{sequence:03}.csv"


def drop(site: Path, sequence: int, data: bytes) -> None:
    """Drop a file as its sender does: under a name nobody looks at, then under its own, the marker last."""
    folder = site / "drop"
    arriving = folder / f".{file_name(sequence)}.part"
    arriving.write_bytes(data)
    arriving.rename(folder / file_name(sequence))
    (folder / f"{file_name(sequence)}.end").touch()
