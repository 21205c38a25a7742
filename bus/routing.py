"""Routing: which subscriptions of a tenant get a message, and under which names.

Owns: the recipient list. One delivery per subscription of the interface that is valid on the message's business date; final names are
made here, once, from the identity of the message, so that the same message always gives the same names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bus.message import Identity, NewDelivery
from bus.names import NamePattern
from bus.site import Interface, LoadedTenant, Subscription

_DOCUMENT = re.compile(r"\{(document(?::0[1-9])?)\}")


def route(loaded: LoadedTenant, interface: Interface, identity: Identity, *, revision: int, records: int) -> Sequence[NewDelivery]:
    """One delivery for each subscription that is valid on the business date, in the order of the configuration.

    Raises:
        Permanent: a name that no file may have.
    """
    return [
        delivery_to(loaded, interface, subscription, identity, revision=revision, records=records)
        for subscription in loaded.tenant.subscriptions
        if subscription.interface == interface.id and _valid(subscription, identity.business_date)
    ]


def _valid(subscription: Subscription, business_date: str) -> bool:
    starts = subscription.valid_from is None or subscription.valid_from <= business_date
    return starts and (subscription.valid_until is None or business_date <= subscription.valid_until)


def delivery_to(
    loaded: LoadedTenant, interface: Interface, subscription: Subscription, identity: Identity, *, revision: int, records: int
) -> NewDelivery:
    """The delivery of one message to one subscription. `{document}` stays in the name for the layout to fill."""
    facts: dict[str, str | int] = {
        "tenant": identity.tenant,
        "interface": identity.interface,
        "business_date": identity.business_date,
        "sequence": identity.sequence,
        "revision": revision,
        "records": records,
    }
    name = NamePattern(_DOCUMENT.sub(r"{{\1}}", subscription.file)).format(**facts)
    return NewDelivery(
        subscription=subscription.id,
        system=subscription.system,
        endpoint=subscription.endpoint,
        contract=interface.contract,
        layout=subscription.layout,
        translation=subscription.translation,
        ordering_key=interface.id,
        file_name=name,
        marker_name=_marker(subscription.marker, name, facts) if subscription.marker else None,
        config_digest=loaded.digest,
    )


def _marker(pattern: str, file_name: str, facts: dict[str, str | int]) -> str:
    name = _DOCUMENT.sub("", file_name.replace("{{", "{").replace("}}", "}"))
    return NamePattern(pattern).format(**facts, name=name, stem=name.rpartition(".")[0] or name)


def document_name(file_name: str, document: int) -> str:
    """The name of the `document`-th document (1 is the first) of a delivery of several."""
    return NamePattern(file_name).format(document=document)
