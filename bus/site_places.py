"""Folders and file names of the whole site: what two flows must not share, and what the node must be able to write.

Owns: the checks across endpoints and tenants. Two name patterns are compared by names they make, with dates, numbers of several lengths
and the digits that stand in the patterns themselves.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations, product
from pathlib import Path
from typing import Final, Literal

from bus.errors import BusError
from bus.names import NamePattern, NameProblem, lint
from bus.site_known import Known
from bus.site_view import Item
from contracts.errors import Problem
from contracts.layouts.model import Layout, XmlLayout

_DATES: Final = ("2026-11-20", "2024-02-29")
_NUMBERS: Final = (1, 12, 123, 4567, 480_000)


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one endpoint. `direction`: `in`, `out`, or empty when nothing uses the endpoint."""

    tenant: str
    endpoint: Item
    folder: Path
    direction: str


@dataclass(frozen=True, slots=True)
class Flow:
    """One file name pattern of an interface (`in`) or subscription (`out`), and the place where its files stand."""

    tenant: str
    item: Item
    key: str
    pattern: str
    folder: object
    """Equal for flows whose files stand side by side."""


# --- folders


def folder_problems(places: Sequence[Place], own: Sequence[tuple[Item, str, Path]]) -> Iterator[Problem]:
    """Endpoints whose folders get into each other's way or into the bus's own (`own`: where it is written, its key, its path)."""
    for first, second in _nested(places):
        facts = {"folder": str(second.folder), "other": first.endpoint.text("id"), "other_folder": str(first.folder)}
        if first.tenant != second.tenant:
            yield second.endpoint.part("settings").problem("RNK2202E", "folder", **facts, other_tenant=first.tenant)
        elif "in" in (first.direction, second.direction):
            yield second.endpoint.part("settings").problem("RNK2201E", "folder", **facts)
    for place in places:
        for key, path in _own_near(place.folder, own):
            yield place.endpoint.part("settings").problem("RNK2203E", "folder", folder=str(place.folder), key=key, own=str(path))
    for place in places:
        yield from _writable(place.endpoint.part("settings"), "folder", place.folder)
        if Path(place.endpoint.part("settings").text("folder") or "").is_absolute() and not place.folder.exists():
            yield place.endpoint.part("settings").problem("RNK2220W", "folder", folder=str(place.folder))
    for item, key, path in own:
        yield from _writable(item, key, path)


def _nested(places: Sequence[Place]) -> Iterator[tuple[Place, Place]]:
    """Pairs whose folders are the same or one inside the other, the earlier one first."""
    by_folder: dict[Path, list[int]] = {}
    for index, place in enumerate(places):
        by_folder.setdefault(place.folder, []).append(index)
    pairs = {
        (min(index, other), max(index, other))
        for index, place in enumerate(places)
        for above in (place.folder, *place.folder.parents)
        for other in by_folder.get(above, ())
        if other != index
    }
    return ((places[first], places[second]) for first, second in sorted(pairs))


def _own_near(folder: Path, own: Sequence[tuple[Item, str, Path]]) -> Iterator[tuple[str, Path]]:
    """The bus's own folders that are the same as `folder`, above it or below it."""
    here = os.path.join(folder, "")  # noqa: PTH118 - as text: with thousands of folders, comparing paths takes its time
    for _, key, path in own:
        there = os.path.join(path, "")  # noqa: PTH118
        if here.startswith(there) or there.startswith(here):
            yield key, path


def _writable(item: Item, key: str, folder: Path) -> Iterator[Problem]:
    """The folder, or the nearest that exists above it, must be one that this process may write into."""
    nearest = folder
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        yield item.problem("RNK2204E", key, folder=str(folder), nearest=str(nearest))
    elif not os.access(nearest, os.W_OK | os.X_OK):
        yield item.problem("RNK2205E", key, folder=str(folder), nearest=str(nearest))


# --- names


def name_problems(tenants: Sequence[tuple[str, Item]], known: Known, folders: dict[tuple[str, str], Path]) -> Iterator[Problem]:
    """Patterns that cannot be read or made, that name no business date, or that two flows share. `folders`: by tenant and endpoint."""
    incoming: list[Flow] = []
    outgoing: list[Flow] = []
    for code, tenant in tenants:
        interfaces = {interface.text("id"): interface for interface in tenant.items("interfaces")}
        for interface in tenant.items("interfaces"):
            yield from _incoming(interface, _possible_layouts(interface, known))
            incoming += _flows(code, interface, ("file",), interface.text("id"), folders)
        for subscription in tenant.items("subscriptions"):
            yield from _outgoing(subscription, interfaces.get(subscription.text("interface")), known)
            outgoing += _flows(code, subscription, ("file", "marker"), subscription.text("interface"), folders)
    yield from _shared(incoming, "RNK2213E")
    yield from _shared(outgoing, "RNK2214E")


@lru_cache(4096)
def _linted(pattern: str, direction: Literal["in", "out", "marker"]) -> tuple[NameProblem, ...]:
    """What is wrong with a pattern; thousands of tenants write the same."""
    return tuple(lint(pattern, direction))


@lru_cache(4096)
def _words(pattern: str) -> frozenset[str]:
    return NamePattern(pattern).words


def _layout_of(subscription: Item, contract: str | None, known: Known) -> Layout | None:
    return known.layout(known.arriving(contract, subscription.text("translation")), subscription.text("layout"))


def _possible_layouts(interface: Item, known: Known) -> list[Layout] | None:
    """The interface's layout; where it names none of its contract, the nearest, or any of them. None: nothing can be said, because the
    contract's file is broken."""
    name, layout = interface.text("contract"), interface.text("layout") or ""
    if name in known.registry.broken:
        return None
    layouts = known.layouts(name) or {}
    near = [layout] if layout in layouts else difflib.get_close_matches(layout, list(layouts), n=1)
    return [layouts[each] for each in near or layouts]


def _incoming(interface: Item, layouts: list[Layout] | None) -> Iterator[Problem]:
    pattern = interface.text("file")
    if pattern is None:
        return
    found = _linted(pattern, "in")
    yield from (interface.problem(problem.message_id, "file", **problem.facts) for problem in found)
    if found or layouts is None:
        return
    flat = [layout for layout in layouts if not isinstance(layout, XmlLayout)]
    controls = [column for layout in flat for column in [*layout.header_record, *layout.trailer_record]]
    if "business_date" not in _words(pattern) | {column.total for column in controls}:
        yield interface.problem("RNK2210E", "file", pattern=pattern)


def _outgoing(subscription: Item, interface: Item | None, known: Known) -> Iterator[Problem]:
    for key in ("file", "marker"):
        pattern = subscription.text(key)
        if pattern is not None:
            found = _linted(pattern, "marker" if key == "marker" else "out")
            yield from (subscription.problem(problem.message_id, key, **problem.facts) for problem in found)
    pattern = subscription.text("file")
    if pattern is None or _linted(pattern, "out"):
        return
    words = _words(pattern)
    layout = _layout_of(subscription, interface.text("contract") if interface else None, known)
    if isinstance(layout, XmlLayout) and layout.records_per_document > 0 and "document" not in words:
        yield subscription.problem("RNK2211E", "file", pattern=pattern)
    needed = ["business_date", "sequence"]
    if interface is not None and interface.text("on_revision") == "accept":
        needed.append("revision")
    missing = [word for word in needed if word not in words]
    if missing:
        yield subscription.problem("RNK2221W", "file", pattern=pattern, words=", ".join(f"{{{word}}}" for word in missing))


def _flows(tenant: str, item: Item, keys: Sequence[str], interface: str | None, folders: dict[tuple[str, str], Path]) -> Iterator[Flow]:
    endpoint = item.text("endpoint")
    if endpoint is None:
        return
    file = item.text("file") or ""
    for key in keys:
        pattern = item.text(key)
        if pattern is not None and not _linted(pattern, "marker" if key == "marker" else "in" if keys == ("file",) else "out"):
            said = pattern.replace("{name}", file).replace("{stem}", file.rpartition(".")[0] or file)
            said = said.replace("{tenant}", tenant).replace("{interface}", interface or "")
            yield Flow(tenant, item, key, said, folders.get((tenant, endpoint), (tenant, endpoint)))


def _shared(flows: Sequence[Flow], message_id: str) -> Iterator[Problem]:
    """Pairs of flows whose files may carry the same name in the same place; each flow is reported against the first it meets."""
    told: set[tuple[object, ...]] = set()
    beside: dict[object, list[Flow]] = {}
    for flow in flows:
        beside.setdefault(flow.folder, []).append(flow)
    for first, second in chain.from_iterable(combinations(group, 2) for group in beside.values()):
        place = (*second.item.path, second.item.document.file)
        if place not in told and (name := shared_name(first.pattern, second.pattern)):
            told.add(place)
            facts = {"pattern": second.item.text(second.key), "other": first.item.text("id"), "other_key": first.key, "name": name}
            yield second.item.problem(message_id, second.key, **facts)


def shared_name(one: str, other: str) -> str | None:
    """A name that both patterns match, or None when none was found."""
    if not _same_ends(one, other):
        return None
    try:
        first, second = NamePattern(one), NamePattern(other)
    except BusError:
        return None
    numbers = (*_NUMBERS, *(int(digits) for digits in re.findall("[0-9]{1,9}", one + other)))
    for maker, reader in ((first, second), (second, first)):
        for day, number in product(_DATES, numbers):
            name = _made(maker, day, number)
            if name is not None and reader.match(name) is not None:
                return name
    return None


def _same_ends(one: str, other: str) -> bool:
    """Whether one name can begin and end as both patterns do, up to the first word and from the last: seen without making any name."""
    heads = (one.partition("{")[0], other.partition("{")[0])
    tails = (one.rpartition("}")[2], other.rpartition("}")[2])
    return (heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])) and (tails[0].endswith(tails[1]) or tails[1].endswith(tails[0]))


def _made(pattern: NamePattern, day: str, number: int) -> str | None:
    numbers = dict.fromkeys(("sequence", "revision", "records", "document"), number)
    try:
        return pattern.format(tenant="332020", interface="x", business_date=day, any="x", **numbers)
    except BusError:
        return None
