"""What a tenant's event interfaces and their subscriptions must satisfy, and what belongs to files alone or to events alone.

Owns: the checks of `kind: event` inside one `tenants/<code>.yaml`, called by `bus.site_tenant`. What is said of keys for signing in is in
`bus.site_keys`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from bus.site import EventRules
from bus.site_adapters import carries_events, event_adapters, installed_adapters
from bus.site_known import Known, longest_record_bytes
from bus.site_view import Item
from contracts.errors import Problem

Flow = Literal["file", "event"]
ByKind = Mapping[str, Mapping[str, Item]]

_NEEDED_BY_FILES: Final = ("layout", "file")
_OF_FILE_INTERFACES: Final = ("layout", "file", "window", "expected", "on_revision", "rejects")
_OF_FILE_SUBSCRIPTIONS: Final = ("layout", "file", "marker")
_MUCH_BYTES: Final = 1024 * 1024
"""From here on, one event is a file's business: every event that waits is held in memory."""


def adapter_of(endpoint: Item) -> str:
    """The name of an endpoint's adapter."""
    return endpoint.text("adapter") or "files"


def flow_of_interface(interface: Item) -> Flow | None:
    """Whether files or events flow; None when `kind` is no kind at all."""
    kind = interface.data.get("kind", "full")
    return "event" if kind == "event" else "file" if kind in ("full", "differential") else None


def flow_of_subscription(subscription: Item, by_kind: ByKind) -> Flow | None:
    """What flows in the interface; where there is none of that name, what the endpoint is for."""
    interface = by_kind["interfaces"].get(subscription.text("interface") or "")
    if interface is not None:
        return flow_of_interface(interface)
    endpoint = by_kind["endpoints"].get(subscription.text("endpoint") or "")
    return "event" if endpoint is not None and carries_events(adapter_of(endpoint)) else "file"


# --- interfaces


def interface_keys(interface: Item, flow: Flow | None, by_kind: ByKind) -> Iterator[Problem]:
    """Keys that this kind of interface must have, and those it must not; and whether its endpoint can take such a flow in."""
    if flow == "file":
        yield from _needed(interface)
        if "event" in interface.data:
            yield interface.problem("RNK2131E", "event", key="event")
    elif flow == "event":
        yield from (interface.problem("RNK2130E", key, key=key) for key in _OF_FILE_INTERFACES if key in interface.data)
    yield from _endpoint(interface, flow, by_kind, "source")


def _needed(item: Item) -> Iterator[Problem]:
    for key in _NEEDED_BY_FILES:
        if item.data.get(key, "") == "":
            yield item.problem("RNK1006E", key=key)


def _endpoint(item: Item, flow: Flow | None, by_kind: ByKind, direction: Literal["source", "sink"]) -> Iterator[Problem]:
    """The endpoint's adapter must be made for what flows there."""
    endpoint = by_kind["endpoints"].get(item.text("endpoint") or "")
    if endpoint is None or flow is None or adapter_of(endpoint) not in installed_adapters():
        return
    adapter, able = adapter_of(endpoint), event_adapters(direction)
    facts = {"name": item.text("endpoint"), "adapter": adapter}
    if flow == "event" and adapter not in able:
        yield item.problem("RNK2132E" if direction == "source" else "RNK2133E", "endpoint", **facts, known=", ".join(able))
    elif flow == "file" and carries_events(adapter):
        yield item.problem("RNK2134E", "endpoint", **facts)


def event_interface(interface: Item, by_kind: ByKind, known: Known, subscriptions: Sequence[Item]) -> Iterator[Problem]:
    """The rules of one event interface."""
    event = interface.part("event")
    contract = known.contract(interface.text("contract"))
    if contract is not None and not contract.ordering_key:
        yield interface.problem("RNK2144W", "contract", contract=contract.contract, key=", ".join(contract.key))
    yield from _types(event)
    yield from _bytes(interface, event, known)
    yield from _replies(interface, event, by_kind, subscriptions)
    yield from _support_measure(interface, event, by_kind, known)


def _types(event: Item) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, name in event.texts("types"):
        if not name.strip() or name in seen:
            yield event.problem("RNK2148E", "types", index, name=name)
        seen.add(name)


def _bytes(interface: Item, event: Item, known: Known) -> Iterator[Problem]:
    """`max_bytes` against what a record of the contract may need, and against what the site holds in memory."""
    most = event.data.get("max_bytes", EventRules().max_bytes)
    if not isinstance(most, int) or isinstance(most, bool):
        return
    where = event if "max_bytes" in event.data else interface
    keys = ("max_bytes",) if "max_bytes" in event.data else ()
    contract = known.contract(interface.text("contract"))
    if most > known.most_waiting_bytes:
        yield where.problem("RNK2145E", *keys, bytes=most, most=known.most_waiting_bytes)
    elif most > _MUCH_BYTES:
        yield where.problem("RNK2146W", *keys, bytes=most)
    elif contract is not None and most < (longest := longest_record_bytes(contract)):
        yield where.problem("RNK2147W", *keys, bytes=most, longest=longest, contract=contract.contract)


def _replies(interface: Item, event: Item, by_kind: ByKind, subscriptions: Sequence[Item]) -> Iterator[Problem]:
    """Answers come from another system, over an event interface of its own, and it is asked at all."""
    name = event.text("replies")
    answers = by_kind["interfaces"].get(name or "")
    if name is None or answers is None:  # a name that leads nowhere is reported as such
        return
    if flow_of_interface(answers) != "event":
        yield event.problem("RNK2137E", "replies", name=name)
        return
    asks, gives = (_system_of(flow, by_kind) for flow in (interface, answers))
    if asks is None or gives is None:
        return
    if asks == gives:
        yield event.problem("RNK2138E", "replies", name=name, system=asks)
    elif not any(item.text("interface") == interface.text("id") and item.text("system") == gives for item in subscriptions):
        yield event.problem("RNK2139W", "replies", name=name, system=gives)


def _system_of(interface: Item, by_kind: ByKind) -> str | None:
    endpoint = by_kind["endpoints"].get(interface.text("endpoint") or "")
    return endpoint.text("system") if endpoint else None


def _support_measure(interface: Item, event: Item, by_kind: ByKind, known: Known) -> Iterator[Problem]:
    """Flags go first, and what waits for them must know their people by the same key."""
    measure, lane = event.text("support_measure"), event.text("lane")
    if measure == "flags" and lane not in (None, "urgent"):
        yield event.problem("RNK2143E", "lane", lane=lane)
    if measure != "waits":
        return
    flags = flagging(by_kind)
    if not flags:
        yield event.problem("RNK2140E", "support_measure")
        return
    own = _ordering(interface, known)
    others = {_ordering(item, known) for item in flags}
    if own is not None and None not in others and own not in others:
        told = " / ".join(sorted(", ".join(other) for other in others if other))
        yield event.problem("RNK2141E", "support_measure", own=", ".join(own), others=told)


def flagging(by_kind: ByKind) -> list[Item]:
    """The event interfaces that carry the flags of people under support measures."""
    carrying = (item for item in by_kind["interfaces"].values() if flow_of_interface(item) == "event")
    return [item for item in carrying if item.part("event").text("support_measure") == "flags"]


def _ordering(interface: Item, known: Known) -> tuple[str, ...] | None:
    """The fields whose values are the ordering key; None when nothing can be said."""
    contract = known.contract(interface.text("contract"))
    return tuple(contract.ordering_key or contract.key) if contract else None


# --- subscriptions


def subscription_keys(subscription: Item, flow: Flow | None, by_kind: ByKind) -> Iterator[Problem]:
    """Keys that a subscription of such an interface must have, and those it must not; and whether its endpoint can send such a flow."""
    if flow == "file":
        yield from _needed(subscription)
        if "expires_seconds" in subscription.data:
            yield subscription.problem("RNK2131E", "expires_seconds", key="expires_seconds")
    elif flow == "event":
        written = (key for key in _OF_FILE_SUBSCRIPTIONS if key in subscription.data)
        yield from (subscription.problem("RNK2130E", key, key=key) for key in written)
    yield from _endpoint(subscription, flow, by_kind, "sink")


def without_flags(subscriptions: Sequence[Item], by_kind: ByKind) -> Iterator[Problem]:
    """Subscriptions to what waits for support-measure flags, of systems that get no flags: nothing would ever wait there."""
    flags = {item.text("id") for item in flagging(by_kind)}
    warned = {item.text("system") for item in subscriptions if item.text("interface") in flags}
    for subscription in subscriptions:
        interface = by_kind["interfaces"].get(subscription.text("interface") or "")
        waits = interface is not None and interface.part("event").text("support_measure") == "waits"
        if flags and waits and (system := subscription.text("system")) and system not in warned:
            yield subscription.problem("RNK2142W", "interface", interface=subscription.text("interface"), system=system)


# --- endpoints


def event_endpoint(endpoint: Item, known: Known) -> Iterator[Problem]:
    """What an endpoint's adapter needs of the site, and limits that would bind nothing."""
    adapter = adapter_of(endpoint)
    if adapter == "amqp" and not known.broker:
        yield endpoint.problem("RNK2150E", "adapter", id=endpoint.text("id"))
    if "limits" in endpoint.data and adapter in installed_adapters() and not carries_events(adapter):
        yield endpoint.problem("RNK2136W", "limits", adapter=adapter)


def queue_problems(tenant: Item) -> Iterator[Problem]:
    """AMQP queues that a tenant's flows would share: an endpoint's only queue, or one name at two endpoints."""
    flows = [(item, "in") for item in tenant.items("interfaces")] + [(item, "out") for item in tenant.items("subscriptions")]
    first: dict[str, Item] = {}
    for endpoint in tenant.items("endpoints"):
        if adapter_of(endpoint) != "amqp":
            continue
        own = [f"{way}.{item.text('id')}" for item, way in flows if item.text("endpoint") == endpoint.text("id")]
        queue = endpoint.part("settings").text("queue")
        if queue is not None and len(own) > 1:
            yield endpoint.part("settings").problem("RNK2151E", "queue", queue=queue, flows=", ".join(own))
            continue
        for name in own if queue is None else (queue,):
            if name in first:
                yield endpoint.problem("RNK2155E", "id", queue=name, other=first[name].text("id"))
            first.setdefault(name, endpoint)
