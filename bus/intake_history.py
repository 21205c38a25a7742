"""What the journal says of an interface's last batch: how it ended, and how long it took.

Owns: which deliveries belong to a batch. Those made in the accepting transaction do, until they are published; what a person had sent
again later, or released after it was given up, tells nothing of how long a run takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from bus.message import Delivery, DeliveryState, Message, MessageState, QuarantineKind
from bus.ports import QueryJournal

_PUBLISHED = (DeliveryState.DELIVERED, DeliveryState.DELIVERED_WITH_REFUSALS)
_LOOKED_AT = 40
"""How many accepted messages are looked at for the one accepted last: newest by business date, of which an older one may be corrected
later."""


@dataclass(frozen=True, slots=True)
class LastBatch:
    """The batch accepted last. `ended_us` is when it was accepted, or when the last of its deliveries was published since."""

    accepted_us: int
    begun_us: int
    ended_us: int
    business_date: str


def last_batch(journal: QueryJournal, tenant: str, interface: str, *, failed_us: int) -> LastBatch | None:
    """The batch of this interface that was accepted last; None when none ever was. A delivery published after a later file failed, at
    `failed_us`, does not make that good, and is not counted.
    """
    accepted = journal.messages(tenant=tenant, interface=interface, state=MessageState.ACCEPTED, limit=_LOOKED_AT)
    if not accepted:
        return None
    message = max(accepted, key=lambda found: found.accepted_at_us or 0)
    accepted_us = message.accepted_at_us or 0
    ends = [
        delivery.finished_at_us or 0
        for delivery in journal.deliveries(message=message.id, limit=1000)
        if delivery.state in _PUBLISHED and belongs(journal, delivery, message)
    ]
    counted = [end for end in ends if not accepted_us <= failed_us <= end]
    return LastBatch(accepted_us, begun_us(journal, message), max([accepted_us, *counted]), message.identity.business_date)


def belongs(journal: QueryJournal, delivery: Delivery, message: Message) -> bool:
    """Whether the delivery is one of its message's batch: made when it was accepted, and never given up."""
    if delivery.created_at_us != message.accepted_at_us:
        return False
    if delivery.due_at_us == delivery.created_at_us:  # it never failed
        return True
    given_up = journal.quarantine(message=message.id, kind=QuarantineKind.GIVEN_UP.value, state=None)
    return all(entry.delivery != delivery.id for entry in given_up)


def begun_us(journal: QueryJournal, message: Message) -> int:
    """When the batch began: with the message's receipt, or, where a person had to decide, with the decision."""
    held = message.corrects is not None and journal.quarantine(message=message.id, kind=QuarantineKind.HELD_REVISION.value, state=None)
    return (message.accepted_at_us or message.received_at_us) if held else message.received_at_us
