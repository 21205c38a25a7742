"""One demonstration night, step by step: a new site, a city's file dropped the way a mainframe drops it, and what came of it.

Owns: the steps and the proof that the totals agree. Showing is in `bus.cli.demo`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from bus.calendar import Span, business_date, window
from bus.cli.exits import UNFINISHED, NothingThere, WaitedTooLong
from bus.cli.link import Operations, Row
from bus.example import write_example
from bus.names import NamePattern
from bus.site import Endpoint, Interface, LoadedSite, Tenant
from bus.site_check import load_site

TENANT: Final = "332020"
SEQUENCE: Final = 1
_ZERO: Final = Decimal(0)
Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Place:
    """Where and when the demonstration plays: the site, its tenant, the interface, and the file's name and business date."""

    site: LoadedSite
    tenant: Tenant
    interface: Interface
    endpoint: Endpoint
    business_date: str
    file_name: str

    @property
    def subscriptions(self) -> list[str]:
        """Who is to have the file."""
        return [one.id for one in self.tenant.subscriptions if one.interface == self.interface.id]

    @property
    def made(self) -> Path:
        """Where the generated file is kept, so that it can be dropped twice."""
        return self.site.folder / "generated" / self.file_name

    @property
    def window(self) -> Span:
        """The night's window."""
        hours = self.interface.window
        return window(self.business_date, hours.start, hours.end, self.interface.day_ends, self.site.site.time_zone)

    def outgoing(self, delivery: Row) -> Path:
        """The file a delivery published."""
        endpoint = next(one for one in self.tenant.endpoints if one.id == delivery["endpoint"])
        return self.site.path(str(endpoint.settings["folder"])) / str(delivery["file_name"])


def prepare(folder: Path) -> Place:
    """Write the example site into `folder` and find the first tenant's first interface in it.

    Raises:
        NothingThere: the folder is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise NothingThere("RNK6056E", folder=str(folder))
    write_example(folder)
    _listen_anywhere(folder / "site.yaml")
    site = load_site(folder)
    tenant = site.tenants[TENANT].tenant
    interface = tenant.interfaces[0]
    endpoint = next(one for one in tenant.endpoints if one.id == interface.endpoint)
    day = business_date(time.time_ns() // 1000, interface.day_ends, site.site.time_zone)
    facts: dict[str, str | int] = {"tenant": TENANT, "interface": interface.id, "business_date": day, "sequence": SEQUENCE, "revision": 1}
    place = Place(site, tenant, interface, endpoint, day, NamePattern(interface.file).format(**facts))
    place.made.parent.mkdir(parents=True)
    return place


def _listen_anywhere(file: Path) -> None:
    """Let the demonstration's node listen on any free ports, so that it never meets a node that runs already."""
    file.write_text(file.read_text("utf-8").replace("port: 9460", "port: 0").replace("port: 9461", "port: 0"), "utf-8")


def drop(place: Place) -> None:
    """Drop the file as its system does: under a name nobody looks at, then under its own, the completion marker last."""
    folder = place.site.path(str(place.endpoint.settings["folder"]))
    arriving = folder / f".{place.file_name}.part"
    shutil.copyfile(place.made, arriving)
    with arriving.open("rb") as written:
        os.fsync(written.fileno())
    arriving.rename(folder / place.file_name)
    marker = place.endpoint.settings.get("marker", "{name}.end")
    if marker:
        (folder / NamePattern(str(marker)).format(name=place.file_name)).touch()


@dataclass(frozen=True)
class Waiting:
    """How to wait: the pause between two looks, the clock, the most seconds, and who watches."""

    pause: Callable[[float], None]
    now: Callable[[], float]
    most_seconds: float
    watch: Watch

    def until(self, what: str, folder: Path, look: Callable[[], Row | None]) -> Row:
        """Look until there is an answer.

        Raises:
            WaitedTooLong: `most_seconds` passed.
        """
        began = self.now()
        while True:
            answer = look()
            if answer is not None:
                return answer
            if self.now() - began > self.most_seconds:
                raise WaitedTooLong("RNK6055E", seconds=f"{self.most_seconds:.0f}", what=what, folder=str(folder))
            self.pause(0.1)


def wait_for_deliveries(operations: Operations, place: Place, waiting: Waiting) -> Row:
    """The trace of the file's message, once it is refused or held, or accepted and every delivery of it is finished."""

    def look() -> Row | None:
        found = operations.messages(TENANT, place.interface.id, place.business_date, None, 1)
        if not found:
            return None
        trace = operations.trace(str(found[0]["id"]))
        records = int(found[0]["records"])
        done = sum(int(chunk["plan"]["records"]) for chunk in trace["chunks"] if chunk["state"] == "done")
        deliveries: Sequence[Row] = trace["deliveries"]
        finished = sum(1 for delivery in deliveries if delivery["state"] not in UNFINISHED)
        state = trace["message"]["state"]
        if state == "receiving":
            waiting.watch("receiving", done, records)
        elif state == "accepted":
            waiting.watch("delivering", finished * records, len(deliveries) * records)
        settled = state in {"refused", "held"} or (state == "accepted" and finished == len(deliveries))
        return trace if settled else None

    return waiting.until(place.file_name, place.site.folder, look)


def wait_for_receipt(operations: Operations, message: str, seen: int, waiting: Waiting, place: Place) -> Row:
    """The trace of the message, once it has more than `seen` receipts."""

    def look() -> Row | None:
        trace = operations.trace(message)
        finished = [receipt for receipt in trace["receipts"] if receipt["outcome"] != "receiving"]
        return trace if len(finished) > seen else None

    return waiting.until(place.file_name, place.site.folder, look)


def agrees(message: Mapping[str, Any], delivery: Mapping[str, Any], file: Path) -> bool:
    """Whether a delivery's totals agree, in records and in every sum: good = in = out + filtered + refused, and its file is there."""
    taken = _totals(delivery["taken_in"])
    parts = [_totals(delivery[name]) for name in ("out", "filtered", "refused")]
    names = set(taken).union(*parts)
    whole = all(taken.get(name, _ZERO) == sum((part.get(name, _ZERO) for part in parts), _ZERO) for name in names)
    counted = int(message["records"]) == int(message["good"]["records"]) + int(message["rejected"]["records"])
    published = delivery["state"] in {"delivered", "delivered_with_refusals"} and file.is_file()
    return whole and counted and published and int(taken["records"]) == int(message["good"]["records"])


def _totals(totals: Mapping[str, Any]) -> dict[str, Decimal]:
    """Records and sums by name, exact."""
    return {"records": Decimal(int(totals["records"])), **{name: Decimal(str(value)) for name, value in totals["sums"].items()}}
