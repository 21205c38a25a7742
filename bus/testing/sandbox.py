"""A copy of a site that can do no harm: every place it writes to is in one temporary folder, every address is on this machine.

Owns: what is changed in the copy. Contracts and translations are read where they stand; secrets are not copied, nor anything the site has
written. An endpoint that would reach another machine (webhook, amqp) becomes one whose events are fetched here, unless a test gives a
webhook an address of its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from contracts.documents import read_document

_REMOTE: Final = frozenset({"webhook", "amqp"})
_HERE: Final = {"host": "127.0.0.1", "port": 0}
"""Port 0: any that is free."""


def webhook_secret(endpoint: str) -> str:
    """The secret that webhooks of this endpoint are signed with in tests."""
    return "whsec_" + base64.b64encode(hashlib.sha256(f"renkei test {endpoint}".encode()).digest()).decode("ascii")


def write_sandbox(site_file: Path, folder: Path, webhooks: Mapping[str, str]) -> None:
    """Write the copy of the site into `folder`, an empty one. `webhooks`: by endpoint, the URL on this machine that it is to call.

    Raises:
        DocumentInvalid, OSError: a file of the site cannot be read.
    """
    site = dict(read_document(site_file).data)
    origin = site_file.parent
    for key in ("contracts", "translations"):
        if key in site:
            site[key] = [str((origin / name).resolve()) for name in site[key]]
    (folder / "tenants").mkdir(parents=True)
    names = []
    for number, name in enumerate(site["tenants"], 1):
        names.append(f"tenants/{number}.yaml")
        tenant = dict(read_document(origin / name).data)
        tenant["endpoints"] = [_endpoint(each, str(tenant["tenant"]), folder, webhooks) for each in tenant.get("endpoints") or []]
        _write(folder / names[-1], tenant)
    chunk_bytes = (site.get("batch") or {}).get("chunk_bytes")
    site |= {
        "tenants": names,
        "listen": _HERE,
        "api": {**_HERE, "sign_in": "none"},
        "journal": {"file": "var/journal.db"},
        "payloads": {"folder": "var/payloads"},
        "batch": {"workers": 1, "work_folder": "var/work", **({} if chunk_bytes is None else {"chunk_bytes": chunk_bytes})},
    }
    site.pop("broker", None)
    _write(folder / "site.yaml", site)


def _endpoint(told: Mapping[str, Any], tenant: str, folder: Path, webhooks: Mapping[str, str]) -> dict[str, Any]:
    endpoint, name, adapter = dict(told), str(told["id"]), told.get("adapter", "files")
    if adapter == "files":
        endpoint["settings"] = {**(told.get("settings") or {}), "folder": f"files/{tenant}/{name}"}
    elif adapter == "webhook" and name in webhooks:
        secret = folder / "secrets" / f"{tenant}-{name}"
        secret.parent.mkdir(exist_ok=True, mode=0o700)
        secret.touch(0o600)
        secret.write_text(webhook_secret(name), "ascii")
        endpoint["settings"] = {"url": webhooks[name], "secrets": [str(secret)]}
    elif adapter in _REMOTE:
        endpoint |= {"adapter": "http", "settings": {}}
    return endpoint


def _write(file: Path, data: Mapping[str, Any]) -> None:
    file.write_text(yaml.safe_dump(dict(data), allow_unicode=True, sort_keys=False), "utf-8")
