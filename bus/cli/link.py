"""The command line's only way to a site: the operations that a node offers.

Owns: the Protocol `Operations` as commands use it, and the calls into `bus.node`. Loaded when first needed: most commands that only
read contracts never start the bus.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bus.cli.exits import NothingThere, NotServed
from bus.site import LoadedSite, Site
from contracts.documents import parse, read_document
from contracts.errors import RenkeiError
from contracts.messages import Language

LOG: Final = "renkei.log"
"""The log of commands that work in their own process, in the folder of the journal."""

API_PORT: Final = "api.port"
"""What a node that serves applications leaves beside its journal: the port."""
_ON_THIS_MACHINE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - replaced, not listened on
Role = Literal["all", "intake", "dispatch", "api"]
"""What a node does; see `bus.node.Role`."""

Row = Mapping[str, Any]
"""A dataclass of `bus.message` as JSON: enums as text, `Totals` as `{"records", "sums"}`."""


class Operations(Protocol):
    """What a command may ask of a site. Raises the errors of `bus.errors`; `NotFound` for an id that is not there."""

    def submit(self, path: str, interface: str | None = None, tenant: str | None = None) -> Row:
        """Hand a file in. Returns `{"intake": id}`."""
        ...

    def intake_progress(self, intake: str) -> Row:
        """`stage`, `done` and `total` (records), `finished`, `receipt`, `message`, `deliveries`."""
        ...

    def messages(
        self,
        tenant: str | None = None,
        interface: str | None = None,
        business_date: str | None = None,
        state: str | None = None,
        limit: int = 100,
    ) -> Sequence[Row]:
        """Newest first."""
        ...

    def trace(self, message: str) -> Row:
        """One message end to end: `message`, `event` (None for a file), `receipts`, `chunks`, `deliveries`, `quarantine`, `entries`."""
        ...

    def deliveries(
        self,
        tenant: str | None = None,
        subscription: str | None = None,
        message: str | None = None,
        state: str | None = None,
        limit: int = 100,
    ) -> Sequence[Row]:
        """Newest first."""
        ...

    def resend(self, message: str, subscription: str) -> Row:
        """Make one more delivery of an accepted message to one subscription. Returns `{"delivery"}`."""
        ...

    def quarantine_list(
        self,
        tenant: str | None = None,
        kind: str | None = None,
        message: str | None = None,
        state: str | None = "open",
        limit: int = 100,
    ) -> Sequence[Row]:
        """Newest first; `state` None: released and skipped ones too."""
        ...

    def quarantine_show(self, id: str, limit: int = 20) -> Row:  # noqa: A002 - as bus.operations names it
        """`entry`, and `records`: up to `limit` of `{"ordinal", "line", "byte", "broken": [...]}`, values masked."""
        ...

    def quarantine_export(self, id: str, path: str) -> Row:  # noqa: A002
        """Write the entry's records, values masked, to a new file. Returns `{"path", "records"}`."""
        ...

    def quarantine_release(self, id: str) -> Row:  # noqa: A002
        """Let it go on: a delivery is due again, a held revision is accepted. Returns `{"entry"}`."""
        ...

    def quarantine_release_all(self, tenant: str, subscription: str) -> Row:
        """Release everything of a subscription that was given up. Returns `{"operation"}` at once."""
        ...

    def operation_progress(self, operation: str) -> Row:
        """How far an operation is: `{"operation", "released", "finished", "error"}`."""
        ...

    def quarantine_skip(self, id: str) -> Row:  # noqa: A002
        """Give it up for good, so that later deliveries may go. Returns `{"entry"}`."""
        ...

    def status(self) -> Row:
        """The node at a glance: `site`, `node`, `now_us`, `backlog`, `quarantine`."""
        ...


def site_folder(folder: Path) -> Path:
    """The folder, when a site is in it.

    Raises:
        NothingThere: no `site.yaml` there.
    """
    if not (folder / "site.yaml").is_file():
        raise NothingThere("RNK6003E", folder=str(folder.absolute()))
    return folder


def time_zone(folder: Path) -> tzinfo | None:
    """The time zone that the `site.yaml` in `folder` names; None when it cannot be read."""
    try:
        return ZoneInfo(parse(read_document(folder / "site.yaml"), Site).time_zone)
    except (OSError, RenkeiError, ZoneInfoNotFoundError):
        return None


@contextmanager
def open_operations(folder: Path, language: Language) -> Iterator[Operations]:
    """The operations of the site in `folder`: over its running node, or in this process when none runs."""
    site_folder(folder)
    from bus.node_place import answering

    with _logging_to_file(folder, language), answering(_without_tenants(folder)) as remote:
        if remote is not None:
            yield remote
            return
        from bus.node import open_operations as opened

        with opened(folder) as operations:
            yield operations


def in_process(operations: Operations) -> bool:
    """Whether no node runs: then the operations are those of this process, and what they begin goes on only while it lasts."""
    loaded = sys.modules.get("bus.operations")  # what was never loaded is not it, and takes long to load
    return loaded is not None and isinstance(operations, loaded.Operations)


@contextmanager
def running(folder: Path, language: Language) -> Iterator[Operations]:
    """Run the site's node in this process for as long as the context lasts, and act on it.

    Raises:
        as `serve`.
    """
    site_folder(folder)
    from bus.node import running as run

    with _logging_to_file(folder, language), run(folder) as operations:
        yield operations


def api_address(folder: Path) -> str:
    """Where the running node of the site in `folder` serves applications, as a URL. A node that has gone may have left it behind.

    Raises:
        NothingThere: no site in the folder. NotServed: no node of it serves applications. SiteInvalid, DocumentInvalid: see `renkei check`.
    """
    from bus.node_place import named_node, own_name

    site = _without_tenants(site_folder(folder))
    api = site.site.api
    left = site.path(site.site.journal.file).parent / own_name(site, named_node(site), API_PORT)
    try:
        port = int(left.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise NotServed("RNK6114E", folder=str(folder.absolute())) from error
    host = _ON_THIS_MACHINE.get(api.host, api.host)
    return f"{api.scheme}://[{host}]:{port}" if ":" in host else f"{api.scheme}://{host}:{port}"


def serve(folder: Path, language: Language, *, log_json: bool, role: Role = "all", node: str | None = None) -> None:
    """Run a node of the site in this process until SIGTERM or SIGINT, logging to standard error. `node` is its name in place of the one
    in `site.yaml`.

    Raises:
        NothingThere: no site in the folder. NodeBusy: another process runs it. SiteInvalid, DocumentInvalid: see `renkei check`.
    """
    site_folder(folder)
    from bus.node import serve as run
    from monitoring.foreign_log import take_over_logging
    from monitoring.log import set_up_log

    set_up_log(language=language, zone=time_zone(folder), as_json=log_json)
    take_over_logging()
    run(folder, role=role, name=node)


def _without_tenants(folder: Path) -> LoadedSite:
    """The site as `site.yaml` says, without reading what may be thousands of tenants' files."""
    from bus.site_check import site_alone

    return LoadedSite(site_alone(folder), folder.resolve(), {})


@contextmanager
def _logging_to_file(folder: Path, language: Language) -> Iterator[None]:
    """What a command does in its own process is logged beside the journal, so that standard error holds the command's words alone."""
    from bus.node_place import private_folder
    from monitoring.log import set_up_log

    path = private_folder(_without_tenants(folder)) / LOG
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8") as stream:
        set_up_log(language=language, zone=time_zone(folder), stream=stream)
        try:
            yield
        finally:
            set_up_log(language=language)
