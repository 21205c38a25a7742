"""What operators may do with events beyond what they may do with files: sending one again, and looking at what never became one.

Owns: the delivery of an event that is sent again. It joins the order of its person where it stands now.
"""

from __future__ import annotations

from bus.batch.recipes import Recipes
from bus.events.receivers import lane_of, way_of
from bus.message import Message, NewDelivery
from bus.site import Subscription

KIND = "event"
"""`kind` of a message that is an event."""
_FLAGGING = {"flags": 1, "waits": 2}


def event_again(recipes: Recipes, message: Message, to: Subscription, ordering_key: str) -> NewDelivery:
    """One more delivery of an accepted event. It has no time limit: a person wants it delivered."""
    tenant = message.identity.tenant
    loaded, interface = recipes.tenant(tenant), recipes.interface(tenant, to.interface)
    adapter = next(endpoint.adapter for endpoint in loaded.tenant.endpoints if endpoint.id == to.endpoint)
    flagging = _FLAGGING.get(interface.event.support_measure, 0)
    translation = recipes.translations[to.translation] if to.translation else None
    return NewDelivery(
        subscription=to.id,
        system=to.system,
        endpoint=to.endpoint,
        contract=translation.to if translation else interface.contract,
        layout="",
        translation=to.translation,
        ordering_key=ordering_key,
        file_name="",
        marker_name=None,
        config_digest=loaded.digest,
        way=way_of(adapter).value,
        lane=int(lane_of(interface.event)),
        flagging=flagging,
    )
