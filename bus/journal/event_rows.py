"""Events to rows and back.

Owns: the JSON in `messages.event`: the attributes, and the manifest of a body that stands in a part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bus.event import Attributes, ClaimedEvent, EventDraft, NewEvent
from bus.journal.rows import id_of
from bus.message import Part


def event_json(new: NewEvent) -> dict[str, object]:
    """The column `event`: every attribute that is not empty; `source` and `id` stand in columns of their own."""
    given = new.attributes
    found: dict[str, object] = {"type": given.type}
    if given.time:
        found["time"] = given.time
    if given.subject:
        found["subject"] = given.subject
    if given.datacontenttype != "application/json":
        found["datacontenttype"] = given.datacontenttype
    if given.dataschema:
        found["dataschema"] = given.dataschema
    if given.extensions:
        found["extensions"] = dict(given.extensions)
    if new.part is not None:
        found["part"] = asdict(new.part)
    return found


def draft_of(row: Any) -> EventDraft:
    """A row of `messages` with its body."""
    found: Mapping[str, Any] = row.event
    attributes = Attributes(
        row.event_id,
        row.event_source,
        found["type"],
        found.get("time", ""),
        found.get("subject", ""),
        found.get("datacontenttype", "application/json"),
        found.get("dataschema", ""),
        found.get("extensions", {}),
    )
    part = found.get("part")
    return EventDraft(
        message=id_of(row.tenant, "m", row.serial),
        interface=row.interface,
        contract=row.contract,
        contract_digest=row.contract_digest,
        attributes=attributes,
        form=row.form,
        body=row.body or b"",
        part=None if part is None else Part(**part),
        expires_at_us=row.expires_at_us,
        in_reply_to=None if row.in_reply_to is None else id_of(row.tenant, "m", row.in_reply_to),
        accepted_at_us=row.accepted_at_us,
    )


def draft_of_new(new: NewEvent, serial: int, now_us: int) -> EventDraft:
    """What `draft_of` will give for an event that is being accepted."""
    return EventDraft(
        message=id_of(new.tenant, "m", serial),
        interface=new.interface,
        contract=new.versions.contract,
        contract_digest=new.versions.contract_digest,
        attributes=new.attributes,
        form=new.form,
        body=new.body,
        part=new.part,
        expires_at_us=new.expires_at_us,
        in_reply_to=new.in_reply_to,
        accepted_at_us=now_us,
    )


def claimed_of(row: Any, *, fence: int, attempts: int, lease_until_us: int, event: EventDraft) -> ClaimedEvent:
    """A row of `deliveries` with its event."""
    return ClaimedEvent(
        id=id_of(row.tenant, "d", row.serial),
        tenant=row.tenant,
        subscription=row.subscription,
        endpoint=row.endpoint,
        translation=row.translation,
        number=row.number,
        fence=fence,
        attempts=attempts,
        lease_until_us=lease_until_us,
        event=event,
    )
