"""What one municipality's file must satisfy beyond its form: every name leads somewhere, every flow makes sense.

Owns: the checks inside one `tenants/<code>.yaml`. Folders and file names, which tenants may share, are in `bus.site_places`; what only
events have is in `bus.site_events`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, time
from itertools import pairwise
from typing import Final

from pydantic import ValidationError

from bus.site_events import (
    ByKind,
    event_endpoint,
    event_interface,
    flow_of_interface,
    flow_of_subscription,
    interface_keys,
    queue_problems,
    subscription_keys,
    without_flags,
)
from bus.site_known import Known
from bus.site_view import Item, suggestion
from contracts.errors import Problem
from contracts.layouts.model import XmlLayout
from contracts.model import Condition, Contract, fields_in

_DAY_MINUTES: Final = 24 * 60


def tenant_problems(tenant: Item, known: Known) -> Iterator[Problem]:
    """Everything wrong inside one tenant's file, apart from folders and file names."""
    yield from _code(tenant)
    by_kind = {kind: _by_id(tenant, kind) for kind in ("systems", "endpoints", "interfaces", "subscriptions")}
    yield from _twice(tenant)
    subscriptions = tenant.items("subscriptions")
    for endpoint in tenant.items("endpoints"):
        yield from _reference(endpoint, "system", by_kind["systems"], "RNK2102E")
        yield from event_endpoint(endpoint, known)
    for interface in tenant.items("interfaces"):
        yield from _interface(interface, by_kind, known, subscriptions)
    for subscription in subscriptions:
        yield from _subscription(subscription, by_kind, known)
    yield from without_flags(subscriptions, by_kind)
    yield from queue_problems(tenant)
    yield from _unused(tenant)


def _by_id(tenant: Item, kind: str) -> dict[str, Item]:
    return {name: item for item in reversed(tenant.items(kind)) if (name := item.text("id"))}


def _code(tenant: Item) -> Iterator[Problem]:
    code = tenant.text("tenant")
    if code is None or len(code) != 6 or not (code.isascii() and code.isdigit()):
        return
    weighted = sum(int(digit) * weight for digit, weight in zip(code, (6, 5, 4, 3, 2), strict=False))
    expected = code[:5] + str(11 - weighted % 11)[-1]
    if code != expected:
        yield tenant.problem("RNK2101E", "tenant", code=code, expected=expected)
    if tenant.document.file.stem != code:
        yield tenant.problem("RNK2120W", "tenant", code=code, file=tenant.document.file.name)


def _twice(tenant: Item) -> Iterator[Problem]:
    for kind in ("systems", "endpoints", "interfaces", "subscriptions"):
        first: dict[str, Item] = {}
        for item in tenant.items(kind):
            name = item.text("id")
            if name in first:
                yield item.problem("RNK2103E", "id", kind=kind, id=name, first_line=first[name].line("id"))
            elif name:
                first[name] = item


def _reference(item: Item, key: str, known: Collection[str], message_id: str) -> Iterator[Problem]:
    name = item.text(key)
    if name is not None and name not in known:
        yield item.problem(message_id, key, name=name, suggestion=suggestion(name, known), known=", ".join(known))


def _contract_and_layout(item: Item, contract: str | None, known: Known) -> Iterator[Problem]:
    """`item` names a layout of `contract`."""
    layout, layouts = item.text("layout"), known.layouts(contract)
    if layout is not None and layouts is not None and layout not in layouts:
        names = ", ".join(layouts)
        yield item.problem("RNK2106E", "layout", contract=contract, name=layout, suggestion=suggestion(layout, layouts), known=names)


def _interface(item: Item, by_kind: ByKind, known: Known, subscriptions: Sequence[Item]) -> Iterator[Problem]:
    flow = flow_of_interface(item)
    yield from _reference(item, "endpoint", by_kind["endpoints"], "RNK2104E")
    yield from _reference(item, "contract", known.contracts, "RNK2105E")
    yield from interface_keys(item, flow, by_kind)
    if flow == "event":
        yield from _reference(item.part("event"), "replies", by_kind["interfaces"], "RNK2110E")
        yield from event_interface(item, by_kind, known, subscriptions)
        return
    contract = item.text("contract")
    yield from _contract_and_layout(item, contract, known)
    if isinstance(known.layout(contract, item.text("layout")), XmlLayout):
        yield item.problem("RNK2107E", "layout", name=item.text("layout"))
    yield from _window(item)


def _window(item: Item) -> Iterator[Problem]:
    window = item.part("window")
    if not window.data and item.text("day_ends") is None:
        return
    start, end = window.text("start") or "20:00", window.text("end") or "06:00"
    day_ends = item.text("day_ends") or "12:00"
    try:
        opens, closes, turns = (_minutes(clock) for clock in (start, end, day_ends))
    except ValueError:
        return
    if 0 < (turns - opens) % _DAY_MINUTES < ((closes - opens) % _DAY_MINUTES or _DAY_MINUTES):
        yield item.problem("RNK2108E", "window" if window.data else "day_ends", start=start, end=end, day_ends=day_ends)


def _minutes(clock: str) -> int:
    at = time.fromisoformat(clock)
    return at.hour * 60 + at.minute


def _subscription(item: Item, by_kind: ByKind, known: Known) -> Iterator[Problem]:
    flow = flow_of_subscription(item, by_kind)
    yield from _reference(item, "system", by_kind["systems"], "RNK2102E")
    yield from _reference(item, "endpoint", by_kind["endpoints"], "RNK2104E")
    yield from _reference(item, "interface", by_kind["interfaces"], "RNK2110E")
    yield from subscription_keys(item, flow, by_kind)
    interface = by_kind["interfaces"].get(item.text("interface") or "")
    yield from _systems(item, interface, by_kind["endpoints"])
    source = interface.text("contract") if interface else None
    yield from _filter(item, known.contract(source))
    yield from _translation(item, source, known)
    if flow != "event":
        yield from _contract_and_layout(item, known.arriving(source, item.text("translation")), known)
    yield from _validity(item)
    retry = item.part("retry").data
    first, most = retry.get("first_seconds", 5.0), retry.get("most_seconds", 900.0)
    if isinstance(first, int | float) and isinstance(most, int | float) and most < first:
        yield item.problem("RNK2119W", "retry", first=first, most=most)


def _systems(item: Item, interface: Item | None, endpoints: Mapping[str, Item]) -> Iterator[Problem]:
    system = item.text("system")
    endpoint = endpoints.get(item.text("endpoint") or "")
    owner = endpoint.text("system") if endpoint else None
    if system and owner and owner != system:
        yield item.problem("RNK2111E", "endpoint", name=item.text("endpoint"), owner=owner, system=system)
    source = endpoints.get(interface.text("endpoint") or "") if interface else None
    if system and source and source.text("system") == system:
        yield item.problem("RNK2112E", "system", system=system, interface=item.text("interface"))


def _filter(item: Item, contract: Contract | None) -> Iterator[Problem]:
    if contract is None or "filter" not in item.data:
        return
    try:
        used = fields_in(Condition.model_validate(item.data["filter"]))
    except ValidationError:
        return
    for name in sorted(used - set(contract.names)):
        near = suggestion(name, contract.names)
        yield item.problem("RNK2113E", "filter", "fields", name, name=name, contract=contract.contract, suggestion=near)


def _translation(item: Item, source: str | None, known: Known) -> Iterator[Problem]:
    name = item.text("translation")
    if name is None:
        return
    yield from _reference(item, "translation", [*known.translations, *known.broken_translations], "RNK2114E")
    translation = known.translations.get(name)
    if translation is not None and source is not None and translation.from_ != source:
        yield item.problem("RNK2115E", "translation", name=name, takes=translation.from_, contract=source)


def _validity(item: Item) -> Iterator[Problem]:
    days: list[date] = []
    for key in ("valid_from", "valid_until"):
        day = item.text(key)
        if day is None:
            continue
        try:
            days.append(date.fromisoformat(day))
        except ValueError:
            yield item.problem("RNK2116E", key, day=day)
    for first, last in pairwise(days):
        if first > last:
            yield item.problem("RNK2117E", "valid_until", valid_from=first, valid_until=last)


def _unused(tenant: Item) -> Iterator[Problem]:
    named = [item.text("endpoint") for kind in ("interfaces", "subscriptions") for item in tenant.items(kind)]
    for endpoint in tenant.items("endpoints"):
        if (name := endpoint.text("id")) and name not in named:
            yield endpoint.problem("RNK2121W", "id", id=name)
    wanted = [item.text("interface") for item in tenant.items("subscriptions")]
    wanted += [item.part("event").text("replies") for item in tenant.items("interfaces")]  # whoever asked gets them
    for interface in tenant.items("interfaces"):
        if (name := interface.text("id")) and name not in wanted:
            yield interface.problem("RNK2122W", "id", id=name)
