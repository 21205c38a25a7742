"""From configuration to what publishing needs: the reader of each event interface and the deliveries its events make.

Owns: the recipient list of events, compiled once per configuration. Which of three shapes a delivery has (sent, filtered out, handed over
at once) is all that is decided per event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bus.batch.recipes import Recipes
from bus.event import EventDelivery
from bus.events.receivers import lane_of, way_of
from bus.message import Versions
from bus.site import Interface, Subscription
from contracts.event_record import EventReader, Record
from contracts.rules import Predicate, predicate


@dataclass(frozen=True, slots=True)
class Recipient:
    """One subscription of an event interface."""

    subscription: Subscription
    sent: EventDelivery
    filtered: EventDelivery
    handed_over: EventDelivery
    lets_through: Predicate | None

    def valid_on(self, business_date: str) -> bool:
        """Whether it gets the events of that day."""
        first, last = self.subscription.valid_from, self.subscription.valid_until
        return (first is None or first <= business_date) and (last is None or business_date <= last)

    def takes(self, record: Record) -> bool:
        """Whether its filter lets the record through."""
        return self.lets_through is None or self.lets_through(record)


@dataclass(frozen=True, slots=True)
class EventInterface:
    """An event interface, ready to publish on."""

    tenant: str
    interface: Interface
    system: str
    reader: EventReader
    versions: Versions
    recipients: tuple[Recipient, ...]
    expires_seconds: float | None


@dataclass(frozen=True, slots=True)
class EventRecipes:
    """The event interfaces of one loaded configuration."""

    recipes: Recipes
    interfaces: Mapping[tuple[str, str], EventInterface]

    @staticmethod
    def of(recipes: Recipes) -> EventRecipes:
        """Compile every event interface of the site."""
        readers: dict[str, EventReader] = {}
        return EventRecipes(recipes, {(made.tenant, made.interface.id): made for made in _compiled(recipes, readers)})


def _compiled(recipes: Recipes, readers: dict[str, EventReader]) -> Iterator[EventInterface]:
    for code, loaded in recipes.site.tenants.items():
        systems = {endpoint.id: endpoint for endpoint in loaded.tenant.endpoints}
        for interface in loaded.tenant.interfaces:
            if interface.kind != "event":
                continue
            if interface.contract not in readers:
                readers[interface.contract] = EventReader(recipes.registry.contract(interface.contract))
            reader = readers[interface.contract]
            own = [one for one in loaded.tenant.subscriptions if one.interface == interface.id]
            yield EventInterface(
                code,
                interface,
                systems[interface.endpoint].system,
                reader,
                recipes.versions(code, interface),
                tuple(_recipient(interface, one, systems[one.endpoint].adapter, reader, recipes) for one in own),
                interface.event.expires_seconds,
            )


def _recipient(interface: Interface, subscription: Subscription, adapter: str, reader: EventReader, recipes: Recipes) -> Recipient:
    translation = recipes.translations[subscription.translation] if subscription.translation else None
    measure = interface.event.support_measure
    sent = EventDelivery(
        subscription=subscription.id,
        system=subscription.system,
        endpoint=subscription.endpoint,
        contract=translation.to if translation else interface.contract,
        translation=subscription.translation,
        way=way_of(adapter),
        lane=lane_of(interface.event),
        filtered=False,
        flags=measure == "flags",
        waits=measure == "waits",
        expires_seconds=subscription.expires_seconds,
    )
    test = predicate(subscription.filter, reader.contract) if subscription.filter is not None else None
    return Recipient(subscription, sent, replace(sent, filtered=True), replace(sent, hand_over=True), test)
