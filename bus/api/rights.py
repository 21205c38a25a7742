"""What a caller may use: the interfaces and subscriptions of its own system.

Owns: looking them up. What is another system's is answered like what is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

from bus.api.problems import nothing_there
from bus.api.sign_in import Who
from bus.event import Way
from bus.events.receivers import way_of
from bus.site import Endpoint, Interface, LoadedSite, Subscription


@dataclass(frozen=True, slots=True)
class OwnInterface:
    """An interface and the system it belongs to."""

    interface: Interface
    system: str
    endpoint: str


class Rights:
    """The interfaces and subscriptions of one loaded configuration, by tenant and id."""

    def __init__(self, site: LoadedSite) -> None:
        self._interfaces: dict[tuple[str, str], OwnInterface] = {}
        self._subscriptions: dict[tuple[str, str], Subscription] = {}
        for code, loaded in site.tenants.items():
            endpoints: dict[str, Endpoint] = {endpoint.id: endpoint for endpoint in loaded.tenant.endpoints}
            for interface in loaded.tenant.interfaces:
                endpoint = endpoints[interface.endpoint]
                self._interfaces[code, interface.id] = OwnInterface(interface, endpoint.system, endpoint.id)
            for subscription in loaded.tenant.subscriptions:
                if way_of(endpoints[subscription.endpoint].adapter) is Way.PULL:
                    self._subscriptions[code, subscription.id] = subscription

    def events(self, who: Who, interface: str) -> OwnInterface:
        """An interface that the caller publishes events on.

        Raises:
            CallRefused: 404, there is none for this caller.
        """
        return self._interface(who, interface, events=True)

    def files(self, who: Who, interface: str) -> OwnInterface:
        """An interface that the caller hands files in on.

        Raises:
            CallRefused: 404, there is none for this caller.
        """
        return self._interface(who, interface, events=False)

    def subscription(self, who: Who, subscription: str) -> Subscription:
        """A subscription that the caller fetches events of.

        Raises:
            CallRefused: 404, there is none for this caller.
        """
        found = self._subscriptions.get((who.tenant, subscription))
        if found is None or not who.is_one_of(found.system):
            raise nothing_there()
        return found

    def _interface(self, who: Who, interface: str, *, events: bool) -> OwnInterface:
        found = self._interfaces.get((who.tenant, interface))
        if found is None or not who.is_one_of(found.system) or (found.interface.kind == "event") is not events:
            raise nothing_there()
        return found
