"""The journal's tables, as SQLAlchemy Core sees them.

Owns: names, keys and the constraints that stand as the last guard behind the code. The tenant is the first part of every key. Ids that
people see (`332020-d45`) are the tenant and the `serial` of a row. A change here needs a migration (`migrations/versions`); a test
compares the two. Only what SQLite and PostgreSQL share is used. No personal identifier stands in any column: counts and ordinals only.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata: Final = MetaData()


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _number(name: str, *, nullable: bool = False, default: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable, autoincrement=False, server_default=default)


def _json(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, JSON(none_as_null=True), nullable=nullable)


counters: Final = Table(
    "counters", metadata, _text("tenant"), _text("name"), _number("value"), PrimaryKeyConstraint("tenant", "name", name="pk_counters")
)
"""The last number given out, per tenant: messages, deliveries, quarantine, receipts, entries, and one per subscription."""

turns: Final = Table("turns", metadata, _text("tenant"), _number("turn"), PrimaryKeyConstraint("tenant", name="pk_turns"))
"""When each tenant was last served by a claim: the lowest turn is served next."""
Index("ix_turns_turn", turns.c.turn, turns.c.tenant)

messages: Final = Table(
    "messages",
    metadata,
    _text("tenant"),
    _number("serial"),
    _text("interface"),
    _text("business_date"),
    _number("sequence"),
    _number("revision"),
    _text("state"),
    _text("source_system"),
    _text("endpoint"),
    _text("kind"),
    _text("contract"),
    _text("contract_digest"),
    _text("layout"),
    _text("config_digest"),
    _text("characters"),
    _text("file_name"),
    _number("bytes"),
    _text("sha256"),
    _number("records"),
    _json("declared"),
    _json("good"),
    _json("rejected"),
    _json("broken"),
    _number("corrects", nullable=True),
    _text("reason"),
    _number("received_at_us"),
    _number("accepted_at_us", nullable=True),
    _text("event_source", nullable=True),
    _text("event_id", nullable=True),
    _json("event", nullable=True),
    _text("form", nullable=True),
    _text("ordering_key", nullable=True),
    _number("expires_at_us", nullable=True),
    _number("in_reply_to", nullable=True),
    Column("body", LargeBinary, nullable=True),
    PrimaryKeyConstraint("tenant", "serial", name="pk_messages"),
    ForeignKeyConstraint(["tenant", "corrects"], ["messages.tenant", "messages.serial"], name="fk_messages_corrects"),
    UniqueConstraint("tenant", "interface", "business_date", "sequence", "revision", name="uq_messages_identity"),
)
_same_content = (messages.c.tenant, messages.c.interface, messages.c.business_date, messages.c.sequence, messages.c.sha256)


def _partial(condition: str) -> dict[str, Any]:
    """An index over the rows that meet the condition."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


Index("uq_messages_content", *_same_content, unique=True, **_partial("state <> 'refused' AND event_id IS NULL"))
_same_event = (messages.c.tenant, messages.c.event_source, messages.c.event_id)
Index("uq_messages_event", *_same_event, unique=True, **_partial("event_id IS NOT NULL"))
Index("ix_messages_received", messages.c.received_at_us, messages.c.serial)
Index("ix_messages_state", messages.c.state, messages.c.received_at_us, messages.c.serial, **_partial("state <> 'accepted'"))
Index("ix_messages_date", messages.c.business_date, messages.c.received_at_us, messages.c.serial)
Index("ix_messages_corrects", messages.c.tenant, messages.c.corrects, **_partial("corrects IS NOT NULL"))
Index("ix_messages_reply", messages.c.tenant, messages.c.in_reply_to, messages.c.serial, **_partial("in_reply_to IS NOT NULL"))
"""A message of a file has an interface, business date and sequence of its own; that of an event has a source and an event id, its serial
for a sequence, its attributes in `event` and its body, as `form` says, in `body` (or, when that is long, in a part whose manifest stands in
`event`). `sha256` of an event is over its content, `file_name` its event id."""

chunks: Final = Table(
    "chunks",
    metadata,
    _text("tenant"),
    _number("message"),
    _number("position"),
    _number("first_ordinal"),
    _number("first_line"),
    _number("first_byte"),
    _number("length"),
    _number("records"),
    _text("state"),
    _json("done"),
    PrimaryKeyConstraint("tenant", "message", "position", name="pk_chunks"),
    ForeignKeyConstraint(["tenant", "message"], ["messages.tenant", "messages.serial"], name="fk_chunks_message"),
)

deliveries: Final = Table(
    "deliveries",
    metadata,
    _text("tenant"),
    _number("serial"),
    _number("message"),
    _text("subscription"),
    _number("copy"),
    _text("system"),
    _text("endpoint"),
    _text("contract"),
    _text("layout"),
    _text("translation", nullable=True),
    _text("ordering_key"),
    _number("number"),
    _text("state"),
    _text("file_name"),
    _text("marker_name", nullable=True),
    _text("config_digest"),
    _number("attempts"),
    _number("fence"),
    _text("owner", nullable=True),
    _number("due_at_us"),
    _number("lease_until_us", nullable=True),
    _number("claimable_at_us", nullable=True),
    _number("armed_at_us", nullable=True),
    _json("taken_in"),
    _json("out"),
    _json("filtered"),
    _json("refused"),
    _number("bytes_out"),
    _json("publication"),
    _text("last_error"),
    _number("created_at_us"),
    _number("finished_at_us", nullable=True),
    Column("way", Text, nullable=False, server_default="file"),
    _number("lane", default="1"),
    _number("flagging", default="0"),
    _number("expires_at_us", nullable=True),
    PrimaryKeyConstraint("tenant", "serial", name="pk_deliveries"),
    ForeignKeyConstraint(["tenant", "message"], ["messages.tenant", "messages.serial"], name="fk_deliveries_message"),
    UniqueConstraint("tenant", "message", "subscription", "copy", name="uq_deliveries_copy"),
    UniqueConstraint("tenant", "subscription", "number", name="uq_deliveries_number"),
)
"""`copy` is 0 for the routed delivery, 1, 2 ... for those sent again. `claimable_at_us` is the instant from which a worker may take it:
when it is due, when its lease runs out, or NULL while an earlier one of its ordering key is unfinished, in quarantine, or when it is
finished. `armed_at_us` is when that was decided: should the clock stand before it, the clock has jumped back. `way` says who claims it;
`flagging` 1 is a support-measure flag, 2 waits for the flags of its person at the same system, 0 neither."""
_order = (deliveries.c.tenant, deliveries.c.subscription, deliveries.c.ordering_key, deliveries.c.number)
Index("ix_deliveries_order", *_order, **_partial("finished_at_us IS NULL"))
_backlog = (deliveries.c.tenant, deliveries.c.subscription, deliveries.c.state, deliveries.c.created_at_us)
Index("ix_deliveries_backlog", *_backlog, **_partial("finished_at_us IS NULL"))
_claim_order = (deliveries.c.tenant, deliveries.c.claimable_at_us, deliveries.c.serial)
Index("ix_deliveries_claimable", *_claim_order, **_partial("claimable_at_us IS NOT NULL AND way = 'file'"))
_event_order = (deliveries.c.tenant, deliveries.c.subscription, deliveries.c.lane, deliveries.c.claimable_at_us, deliveries.c.serial)
Index("ix_deliveries_push", *_event_order, **_partial("claimable_at_us IS NOT NULL AND way = 'push'"))
Index("ix_deliveries_pull", *_event_order, **_partial("claimable_at_us IS NOT NULL AND way = 'pull'"))
_flagging = (deliveries.c.tenant, deliveries.c.system, deliveries.c.ordering_key, deliveries.c.flagging, deliveries.c.number)
Index("ix_deliveries_flagging", *_flagging, **_partial("finished_at_us IS NULL AND flagging > 0"))
Index("ix_deliveries_owner", deliveries.c.owner, **_partial("owner IS NOT NULL"))
_expiring = (deliveries.c.expires_at_us,)
Index("ix_deliveries_expires", *_expiring, **_partial("expires_at_us IS NOT NULL AND finished_at_us IS NULL"))
Index("ix_deliveries_created", deliveries.c.created_at_us, deliveries.c.serial)
_standing = "state <> 'delivered' AND state <> 'due'"
Index("ix_deliveries_state", deliveries.c.state, deliveries.c.created_at_us, deliveries.c.serial, **_partial(_standing))
Index("ix_deliveries_tenant_state", deliveries.c.tenant, deliveries.c.state, deliveries.c.serial, **_partial(_standing))

delivery_chunks: Final = Table(
    "delivery_chunks",
    metadata,
    _text("tenant"),
    _number("delivery"),
    _number("position"),
    _number("offset"),
    _number("length"),
    _text("hash"),
    _json("found"),
    PrimaryKeyConstraint("tenant", "delivery", "position", name="pk_delivery_chunks"),
    ForeignKeyConstraint(["tenant", "delivery"], ["deliveries.tenant", "deliveries.serial"], name="fk_delivery_chunks_delivery"),
)

quarantine: Final = Table(
    "quarantine",
    metadata,
    _text("tenant"),
    _number("serial"),
    _text("kind"),
    _number("message", nullable=True),
    _number("delivery", nullable=True),
    _text("subject"),
    _number("records"),
    _json("facts"),
    _json("parts"),
    _text("state"),
    _number("created_at_us"),
    PrimaryKeyConstraint("tenant", "serial", name="pk_quarantine"),
    ForeignKeyConstraint(["tenant", "message"], ["messages.tenant", "messages.serial"], name="fk_quarantine_message"),
    ForeignKeyConstraint(["tenant", "delivery"], ["deliveries.tenant", "deliveries.serial"], name="fk_quarantine_delivery"),
)
Index("ix_quarantine_records", quarantine.c.state, quarantine.c.tenant, quarantine.c.kind, quarantine.c.records)
Index("ix_quarantine_created", quarantine.c.state, quarantine.c.created_at_us, quarantine.c.serial)
Index("ix_quarantine_tenant", quarantine.c.tenant, quarantine.c.state, quarantine.c.created_at_us, quarantine.c.serial)
Index("ix_quarantine_message", quarantine.c.tenant, quarantine.c.message)
Index("ix_quarantine_delivery", quarantine.c.tenant, quarantine.c.delivery)

receipts: Final = Table(
    "receipts",
    metadata,
    _text("tenant"),
    _number("serial"),
    _text("endpoint"),
    _text("interface"),
    _text("file_name"),
    _number("bytes"),
    _text("sha256"),
    _text("outcome"),
    _number("message", nullable=True),
    _text("reason"),
    _number("at_us"),
    PrimaryKeyConstraint("tenant", "serial", name="pk_receipts"),
    ForeignKeyConstraint(["tenant", "message"], ["messages.tenant", "messages.serial"], name="fk_receipts_message"),
)
Index("ix_receipts_at", receipts.c.at_us, receipts.c.serial)
Index("ix_receipts_tenant", receipts.c.tenant, receipts.c.at_us, receipts.c.serial)
Index("ix_receipts_message", receipts.c.tenant, receipts.c.message)

entries: Final = Table(
    "journal_entries",
    metadata,
    _text("tenant"),
    _number("sequence"),
    _text("kind"),
    _text("subject"),
    _json("facts"),
    _number("at_us"),
    PrimaryKeyConstraint("tenant", "sequence", name="pk_journal_entries"),
    sqlite_with_rowid=False,  # several are written for every event: one tree less for each
)
Index("ix_journal_entries_subject", entries.c.tenant, entries.c.subject, entries.c.sequence)

leases: Final = Table(
    "leases", metadata, _text("name"), _text("owner"), _number("fence"), _number("until_us"), PrimaryKeyConstraint("name", name="pk_leases")
)
"""What only one node at a time may do: watch a folder, run a schedule. A lapsed lease may be taken by another owner."""
