"""On what the nodes of the tests stand: the embedded back ends, or real services.

RENKEI_TEST_BACKEND=embedded (the default) is SQLite and hints in the process; `services` is PostgreSQL and RabbitMQ, started by the tests
that need them. Whoever writes a site.yaml asks here for what stands under `journal:` and `broker:`; whoever looks into the journal of a
site, or makes one without a site, opens it here. The same folder is always given the same database.

A test that is about one back end itself (a full disk under the SQLite file) says so: `embedded()`.
"""

from __future__ import annotations

import atexit
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from bus.clock import SystemClock
from bus.journal.engines import Synchronous
from bus.journal.journal import SqlJournal
from bus.ports import Clock
from tests.services.postgres import Database, fresh_database, shared_server
from tests.services.rabbitmq import Broker
from tests.services.shared import shared

Backend = Literal["embedded", "services"]

VARIABLE: Final = "RENKEI_TEST_BACKEND"
_EMBEDDED_FILE: Final = "journal.db"


def backend() -> Backend:
    """The back end of this run."""
    chosen = os.environ.get(VARIABLE, "embedded")
    assert chosen in {"embedded", "services"}, f"{VARIABLE} is `embedded` or `services`, not {chosen}"
    return "services" if chosen == "services" else "embedded"


@contextmanager
def embedded() -> Iterator[None]:
    """Sites that are written in this block stand on the embedded back ends, whatever the run is on."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "embedded"
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def journal_settings(folder: Path) -> dict[str, str]:
    """What stands under `journal:` of the site in `folder`, besides its `file`."""
    return {} if backend() == "embedded" else journal_database(folder).settings


def broker_settings(folder: Path) -> dict[str, Any] | None:
    """What stands under `broker:` of the site in `folder`; None: nothing, the hints stay in the process."""
    if backend() == "embedded":
        return None
    broker, virtual_host = shared_broker(), _virtual_host(folder.resolve())
    folder.mkdir(parents=True, exist_ok=True)
    url, password_file = broker.url(virtual_host, password=False), str(broker.password_file(folder))
    return {"url": url, "password_file": password_file, "management_url": broker.management_url}


def service_settings(folder: Path) -> dict[str, Any]:
    """The parts of a site.yaml that name services: to be laid over the rest of it."""
    settings: dict[str, Any] = {}
    if journal := journal_settings(folder):
        settings["journal"] = journal
    if broker := broker_settings(folder):
        settings["broker"] = broker
    return settings


def own_file(folder: Path, name: str, node: str = "node1") -> Path:
    """A node's own file in the private folder of a site: nodes that share a database have one each."""
    return folder / "var" / (name if backend() == "embedded" else f"{node}.{name}")


def site_journal(folder: Path) -> SqlJournal:
    """The journal of the site in `folder`, as its site.yaml names it; it is made when it is not there. The caller closes it."""
    at = _configured(folder)
    if "url" in at:
        return SqlJournal.open(at["url"], SystemClock(), password_file=Path(at["password_file"]))
    return SqlJournal.open(folder / at.get("file", "var/journal.db"), SystemClock())


def journal_content(folder: Path) -> dict[str, bytes]:
    """Every byte of the journal of the site in `folder`, by where it stands."""
    at = _configured(folder)
    if "url" in at:
        return {at["url"]: shared_server().content(at["url"].rpartition("/")[2])}
    file = folder / at.get("file", "var/journal.db")
    return {path.name: path.read_bytes() for path in sorted(file.parent.glob(f"{file.name}*"))}


def has_journal(folder: Path) -> bool:
    """Whether the journal of the site in `folder` has been made already. (A database is made, migrated, with its site.yaml.)"""
    at = _configured(folder)
    return "url" in at or (folder / at.get("file", "var/journal.db")).exists()


def _configured(folder: Path) -> dict[str, str]:
    site: dict[str, Any] = yaml.safe_load((folder / "site.yaml").read_text("utf-8"))
    return site.get("journal") or {}


def open_journal(folder: Path, clock: Clock, *, synchronous: Synchronous = "FULL") -> SqlJournal:
    """A journal without a site, that belongs to `folder`; the same one when it is opened again."""
    if backend() == "embedded":
        return SqlJournal.open(folder / _EMBEDDED_FILE, clock, synchronous=synchronous)
    database = journal_database(folder)
    return SqlJournal.open(database.url, clock, synchronous=synchronous, password_file=database.password_file)


def journal_database(folder: Path) -> Database:
    """The PostgreSQL database of a folder, made when it is asked for first."""
    return _of_folder(folder.resolve())


@cache
def shared_broker() -> Broker:
    """The RabbitMQ that this run's processes share, kept until the last of them ends."""
    kept = ExitStack()
    atexit.register(kept.close)
    return Broker(**kept.enter_context(shared("rabbitmq", "tests.services.rabbitmq:RabbitMq")))


@cache
def _virtual_host(_folder: Path) -> str:
    """A virtual host of a folder; it ends with the broker."""
    name = f"site-{secrets.token_hex(6)}"
    shared_broker().api("PUT", f"vhosts/{name}", {})
    return name


@cache
def _of_folder(_folder: Path) -> Database:
    return fresh_database()
