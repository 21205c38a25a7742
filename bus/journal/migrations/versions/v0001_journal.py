"""The first schema of the journal. Frozen: a later change is a later version, never a change here."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MESSAGE: Final = ("message", "messages")
_DELIVERY: Final = ("delivery", "deliveries")


def upgrade() -> None:
    """Make every table and index."""
    _table("counters", ["tenant", "name"], "tenant name", "value")
    _table("turns", ["tenant"], "tenant", "turn")
    _messages()
    _table(
        "chunks",
        ["tenant", "message", "position"],
        "tenant",
        "message position first_ordinal first_line first_byte length records",
        "state",
        json="done",
        constraints=[_foreign("chunks", *_MESSAGE)],
    )
    _deliveries()
    _table(
        "delivery_chunks",
        ["tenant", "delivery", "position"],
        "tenant",
        "delivery position offset length",
        "hash",
        json="found",
        constraints=[_foreign("delivery_chunks", *_DELIVERY)],
    )
    _quarantine()
    _receipts()
    _table("journal_entries", ["tenant", "sequence"], "tenant", "sequence", "kind subject", "at_us", json="facts")
    _index("ix_turns_turn", "turns", "turn tenant")
    _index("ix_journal_entries_subject", "journal_entries", "tenant subject sequence")


def _messages() -> None:
    _table(
        "messages",
        ["tenant", "serial"],
        "tenant",
        "serial",
        "interface business_date",
        "sequence revision",
        "state source_system endpoint kind contract contract_digest layout config_digest characters file_name",
        "bytes",
        "sha256",
        "records corrects? received_at_us accepted_at_us?",
        "reason",
        json="declared good rejected broken",
        constraints=[
            sa.ForeignKeyConstraint(["tenant", "corrects"], ["messages.tenant", "messages.serial"], name="fk_messages_corrects"),
            sa.UniqueConstraint("tenant", "interface", "business_date", "sequence", "revision", name="uq_messages_identity"),
        ],
    )
    _index("uq_messages_content", "messages", "tenant interface business_date sequence sha256", where="state <> 'refused'", unique=True)
    _index("ix_messages_received", "messages", "received_at_us serial")
    _index("ix_messages_tenant", "messages", "tenant received_at_us serial")
    _index("ix_messages_state", "messages", "state received_at_us serial")
    _index("ix_messages_date", "messages", "business_date received_at_us serial")
    _index("ix_messages_corrects", "messages", "tenant corrects")


def _deliveries() -> None:
    _table(
        "deliveries",
        ["tenant", "serial"],
        "tenant",
        "serial message",
        "subscription",
        "copy",
        "system endpoint contract layout translation? ordering_key",
        "number",
        "state file_name marker_name? config_digest",
        "attempts fence",
        "owner?",
        "due_at_us lease_until_us? claimable_at_us? armed_at_us? bytes_out",
        "last_error",
        "created_at_us finished_at_us?",
        json="taken_in out filtered refused publication",
        constraints=[
            _foreign("deliveries", *_MESSAGE),
            sa.UniqueConstraint("tenant", "message", "subscription", "copy", name="uq_deliveries_copy"),
            sa.UniqueConstraint("tenant", "subscription", "number", name="uq_deliveries_number"),
        ],
    )
    unfinished, claimable = "finished_at_us IS NULL", "claimable_at_us IS NOT NULL"
    _index("ix_deliveries_order", "deliveries", "tenant subscription ordering_key number", where=unfinished)
    _index("ix_deliveries_backlog", "deliveries", "tenant subscription state created_at_us", where=unfinished)
    _index("ix_deliveries_claimable", "deliveries", "tenant claimable_at_us serial", where=claimable)
    _index("ix_deliveries_armed", "deliveries", "armed_at_us", where=claimable)
    _index("ix_deliveries_owner", "deliveries", "owner", where="owner IS NOT NULL")
    _index("ix_deliveries_created", "deliveries", "created_at_us serial")
    _index("ix_deliveries_tenant", "deliveries", "tenant created_at_us serial")
    _index("ix_deliveries_subscription", "deliveries", "subscription created_at_us serial")
    _index("ix_deliveries_tenant_subscription", "deliveries", "tenant subscription created_at_us serial")
    _index("ix_deliveries_state", "deliveries", "state created_at_us serial")
    _index("ix_deliveries_tenant_state", "deliveries", "tenant state created_at_us serial")


def _quarantine() -> None:
    _table(
        "quarantine",
        ["tenant", "serial"],
        "tenant",
        "serial message? delivery?",
        "kind subject state",
        "records created_at_us",
        json="facts parts",
        constraints=[_foreign("quarantine", *_MESSAGE), _foreign("quarantine", *_DELIVERY)],
    )
    _index("ix_quarantine_records", "quarantine", "state tenant kind records")
    _index("ix_quarantine_created", "quarantine", "state created_at_us serial")
    _index("ix_quarantine_tenant", "quarantine", "tenant state created_at_us serial")
    _index("ix_quarantine_message", "quarantine", "tenant message")
    _index("ix_quarantine_delivery", "quarantine", "tenant delivery")


def _receipts() -> None:
    _table(
        "receipts",
        ["tenant", "serial"],
        "tenant",
        "serial bytes at_us message?",
        "endpoint interface file_name sha256 outcome reason",
        constraints=[_foreign("receipts", *_MESSAGE)],
    )
    _index("ix_receipts_at", "receipts", "at_us serial")
    _index("ix_receipts_tenant", "receipts", "tenant at_us serial")
    _index("ix_receipts_message", "receipts", "tenant message")


_NUMBERS: Final = (
    "accepted_at_us armed_at_us at_us attempts bytes bytes_out claimable_at_us copy corrects created_at_us delivery due_at_us fence "
    "finished_at_us first_byte first_line first_ordinal lease_until_us length message number offset position received_at_us records "
    "revision sequence serial turn value"
)


def _table(name: str, key: list[str], *columns: str, json: str = "", constraints: list[Any] | None = None) -> None:
    """`columns` are names, `?` after one that may be NULL; `_NUMBERS` says which are numbers."""
    numbers = set(_NUMBERS.split())
    made: list[sa.Column[Any]] = []
    for text in " ".join(columns).split():
        column = text.rstrip("?")
        kind = sa.BigInteger() if column in numbers else sa.Text()
        made.append(sa.Column(column, kind, nullable=text.endswith("?"), autoincrement=False))
    made += [sa.Column(column, sa.JSON(), nullable=False) for column in json.split()]
    op.create_table(name, *made, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"), *(constraints or []))


def _foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["tenant", column], [f"{target}.tenant", f"{target}.serial"], name=f"fk_{table}_{column}")


def _index(name: str, table: str, columns: str, *, where: str = "", unique: bool = False) -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, columns.split(), unique=unique, sqlite_where=condition, postgresql_where=condition)
