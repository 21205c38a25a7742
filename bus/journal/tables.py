"""The journal's tables, as SQLAlchemy Core sees them.

Owns: names, keys and the constraints that stand as the last guard behind the code. The tenant is the first part of every key. Ids that
people see (`332020-d45`) are the tenant and the `serial` of a row. A change here needs a migration (`migrations/versions`); a test
compares the two. Only what SQLite and PostgreSQL share is used. No personal identifier stands in any column: counts and ordinals only.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
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


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable, autoincrement=False)


def _json(name: str) -> Column[object]:
    return Column(name, JSON, nullable=False)


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
    PrimaryKeyConstraint("tenant", "serial", name="pk_messages"),
    ForeignKeyConstraint(["tenant", "corrects"], ["messages.tenant", "messages.serial"], name="fk_messages_corrects"),
    UniqueConstraint("tenant", "interface", "business_date", "sequence", "revision", name="uq_messages_identity"),
)
_same_content = (messages.c.tenant, messages.c.interface, messages.c.business_date, messages.c.sequence, messages.c.sha256)
_not_refused = text("state <> 'refused'")
Index("uq_messages_content", *_same_content, unique=True, sqlite_where=_not_refused, postgresql_where=_not_refused)
Index("ix_messages_received", messages.c.received_at_us, messages.c.serial)
Index("ix_messages_tenant", messages.c.tenant, messages.c.received_at_us, messages.c.serial)
Index("ix_messages_state", messages.c.state, messages.c.received_at_us, messages.c.serial)
Index("ix_messages_date", messages.c.business_date, messages.c.received_at_us, messages.c.serial)
Index("ix_messages_corrects", messages.c.tenant, messages.c.corrects)

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
    PrimaryKeyConstraint("tenant", "serial", name="pk_deliveries"),
    ForeignKeyConstraint(["tenant", "message"], ["messages.tenant", "messages.serial"], name="fk_deliveries_message"),
    UniqueConstraint("tenant", "message", "subscription", "copy", name="uq_deliveries_copy"),
    UniqueConstraint("tenant", "subscription", "number", name="uq_deliveries_number"),
)
"""`copy` is 0 for the routed delivery, 1, 2 ... for those sent again. `claimable_at_us` is the instant from which a worker may take it:
when it is due, when its lease runs out, or NULL while an earlier one of its ordering key is unfinished, in quarantine, or when it is
finished. `armed_at_us` is when that was decided: should the clock stand before it, the clock has jumped back."""
_unfinished = text("finished_at_us IS NULL")
_claimable = text("claimable_at_us IS NOT NULL")
_owned = text("owner IS NOT NULL")
Index(
    "ix_deliveries_order",
    deliveries.c.tenant,
    deliveries.c.subscription,
    deliveries.c.ordering_key,
    deliveries.c.number,
    sqlite_where=_unfinished,
    postgresql_where=_unfinished,
)
Index(
    "ix_deliveries_backlog",
    deliveries.c.tenant,
    deliveries.c.subscription,
    deliveries.c.state,
    deliveries.c.created_at_us,
    sqlite_where=_unfinished,
    postgresql_where=_unfinished,
)
_claim_order = (deliveries.c.tenant, deliveries.c.claimable_at_us, deliveries.c.serial)
Index("ix_deliveries_claimable", *_claim_order, sqlite_where=_claimable, postgresql_where=_claimable)
Index("ix_deliveries_armed", deliveries.c.armed_at_us, sqlite_where=_claimable, postgresql_where=_claimable)
Index("ix_deliveries_owner", deliveries.c.owner, sqlite_where=_owned, postgresql_where=_owned)
Index("ix_deliveries_created", deliveries.c.created_at_us, deliveries.c.serial)
Index("ix_deliveries_tenant", deliveries.c.tenant, deliveries.c.created_at_us, deliveries.c.serial)
Index("ix_deliveries_subscription", deliveries.c.subscription, deliveries.c.created_at_us, deliveries.c.serial)
_of_subscription = (deliveries.c.tenant, deliveries.c.subscription, deliveries.c.created_at_us, deliveries.c.serial)
Index("ix_deliveries_tenant_subscription", *_of_subscription)
Index("ix_deliveries_state", deliveries.c.state, deliveries.c.created_at_us, deliveries.c.serial)
Index("ix_deliveries_tenant_state", deliveries.c.tenant, deliveries.c.state, deliveries.c.created_at_us, deliveries.c.serial)

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
)
Index("ix_journal_entries_subject", entries.c.tenant, entries.c.subject, entries.c.sequence)
