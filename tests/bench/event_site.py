"""The site that events are measured on: one municipality, a contract of twelve fields, a 1 KB event."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TENANT = "332020"
FIELDS: tuple[dict[str, Any], ...] = (
    {"name": "atenabango", "label": "宛名番号", "type": "X", "length": 15, "required": True, "pattern": "[0-9]+"},
    {"name": "rirekibango", "label": "履歴番号", "type": "9", "length": 3, "required": True},
    {"name": "ido_jiyu", "label": "異動事由", "type": "X", "length": 2, "required": True, "codes": "ido_jiyu"},
    {"name": "ido_ymd", "label": "異動年月日", "type": "DATE", "required": True},
    {"name": "shimei", "label": "氏名", "type": "N", "length": 100, "required": True, "sensitivity": "personal"},
    {"name": "shimei_kana", "label": "氏名カナ", "type": "N", "length": 100, "sensitivity": "personal"},
    {"name": "umareymd", "label": "生年月日", "type": "DATE", "sensitivity": "personal"},
    {"name": "seibetsu", "label": "性別", "type": "X", "length": 1, "codes": "seibetsu"},
    {"name": "yubinbango", "label": "郵便番号", "type": "X", "length": 7, "pattern": "[0-9]*"},
    {"name": "jusho", "label": "住所", "type": "N", "length": 200, "required": True, "sensitivity": "personal"},
    {"name": "katagaki", "label": "方書", "type": "N", "length": 200, "sensitivity": "personal"},
    {"name": "biko", "label": "備考", "type": "N", "length": 300},
)
CONTRACT: dict[str, Any] = {
    "contract": "move@1.0",
    "title": {"ja": "異動", "en": "Moves"},
    "follows": {"document": "測定用", "version": "1.0", "status": "provisional"},
    "key": ["atenabango", "rirekibango"],
    "ordering_key": ["atenabango"],
    "version_field": "rirekibango",
    "code_tables": {
        "ido_jiyu": {"version": "1", "values": {"01": {"ja": "転入", "en": "moved in"}, "02": {"ja": "転出", "en": "moved out"}}},
        "seibetsu": {"version": "1", "values": {"1": {"ja": "男", "en": "male"}, "2": {"ja": "女", "en": "female"}}},
    },
    "fields": list(FIELDS),
}


def record(person: str) -> dict[str, str]:
    """A valid record of about 1 KB as JSON; `person` is an 宛名番号."""
    return {
        "atenabango": person,
        "rirekibango": "1",
        "ido_jiyu": "01",
        "ido_ymd": "2026-11-20",
        "shimei": "倉敷　太郎",
        "shimei_kana": "クラシキ　タロウ",
        "umareymd": "1980-01-01",
        "seibetsu": "1",
        "yubinbango": "7108565",
        "jusho": "岡山県倉敷市西中新田六百四十番地",
        "katagaki": "第一庁舎" * 5,
        "biko": "測定のための文" * 22,
    }


def subscription(name: str, endpoint: str | None = None, **more: Any) -> dict[str, Any]:
    """A subscription of the interface `moves`."""
    return {"id": name, "interface": "moves", "system": "010", "endpoint": endpoint or f"{name}_in", **more}


def write_site(
    folder: Path,
    *,
    source: Mapping[str, Any] | None = None,
    sinks: Sequence[tuple[str, str, Mapping[str, Any]]] = (("welfare", "http", {}),),
    site: Mapping[str, Any] | None = None,
) -> None:
    """Write the site: events come from an endpoint of `source` (HTTP), and go to `sinks`: (subscription, adapter, settings)."""
    (folder / "contracts").mkdir(parents=True, exist_ok=True)
    endpoints: list[dict[str, Any]] = [{"id": "moves_out", "system": "001", "adapter": "http", **(source or {})}]
    endpoints += [
        {"id": f"{name}_in", "system": "010", "adapter": adapter, "settings": dict(settings), "limits": {"concurrent": 200}}
        for name, adapter, settings in sinks
    ]
    tenant = {
        "tenant": TENANT,
        "name": {"ja": "倉敷市", "en": "Kurashiki"},
        "systems": [{"id": code, "name": {"ja": "業務", "en": "System"}} for code in ("001", "010")],
        "endpoints": endpoints,
        "interfaces": [{"id": "moves", "contract": "move@1.0", "endpoint": "moves_out", "kind": "event"}],
        "subscriptions": [subscription(name) for name, _, _ in sinks],
    }
    whole = {"site": "bench", "listen": {"port": 0}, "api": {"port": 0}, "contracts": ["contracts"], "tenants": [f"{TENANT}.yaml"]}
    files = {"site.yaml": {**whole, **(site or {})}, f"{TENANT}.yaml": tenant, "contracts/move@1.0.yaml": CONTRACT}
    for name, document in files.items():
        (folder / name).write_text(json.dumps(document, ensure_ascii=False, indent=1), "utf-8")  # JSON is YAML


@contextmanager
def serving(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A node of the site in a process of its own; gives it and the address of its API."""
    port = folder / "var" / "api.port"
    port.unlink(missing_ok=True)
    node = subprocess.Popen(
        [sys.executable, "-m", "bus.cli.app", "--site", str(folder), "up"],
        env=os.environ | dict(environment or {}),
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while not port.exists() or not port.read_text():
            assert node.poll() is None, "the node ended"
            assert time.monotonic() < end, "the node does not serve"
            time.sleep(0.05)
        yield node, f"http://127.0.0.1:{port.read_text()}"
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait(60)
