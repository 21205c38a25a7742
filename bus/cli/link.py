"""The command line's only way to a site: the operations that a node offers.

Owns: the Protocol `Operations` as commands use it, and the calls into `bus.node`. Loaded when first needed: most commands that only
read contracts never start the bus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from bus.cli.exits import NothingThere

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
        """One message end to end: `message`, `receipts`, `chunks`, `deliveries`, `quarantine`, `entries`."""
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


def open_operations(folder: Path) -> AbstractContextManager[Operations]:
    """The operations of the site in `folder`: over its running node, or in this process when none runs."""
    site_folder(folder)
    from bus.node import open_operations as opened

    return opened(folder)


def serve(folder: Path) -> None:
    """Run the site's node in this process until SIGTERM or SIGINT.

    Raises:
        NothingThere: no site in the folder. NodeBusy: another process runs it. SiteInvalid, DocumentInvalid: see `renkei check`.
    """
    site_folder(folder)
    from bus.node import serve as run

    run(folder)


def running(folder: Path) -> AbstractContextManager[Operations]:
    """Run the site's node in this process for as long as the context lasts, and act on it.

    Raises:
        as `serve`.
    """
    site_folder(folder)
    from bus.node import running as run

    return run(folder)
