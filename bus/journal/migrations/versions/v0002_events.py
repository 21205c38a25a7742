"""Events beside files: their columns, the indexes of their claims, leases of nodes. Frozen, as every version is.

Indexes whose place another took over are dropped: a list of one tenant or one subscription is read by serial or number.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_DROPPED: Final = {
    "messages": ("uq_messages_content", "ix_messages_tenant", "ix_messages_state", "ix_messages_corrects"),
    "deliveries": (
        "ix_deliveries_claimable",
        "ix_deliveries_armed",
        "ix_deliveries_tenant",
        "ix_deliveries_subscription",
        "ix_deliveries_tenant_subscription",
        "ix_deliveries_state",
        "ix_deliveries_tenant_state",
    ),
}
_ARMED: Final = "claimable_at_us IS NOT NULL AND way = "
_STANDING: Final = "state <> 'delivered' AND state <> 'due'"
_MADE: Final = (
    ("messages", "uq_messages_content", "tenant interface business_date sequence sha256", "state <> 'refused' AND event_id IS NULL"),
    ("messages", "uq_messages_event", "tenant event_source event_id", "event_id IS NOT NULL"),
    ("messages", "ix_messages_state", "state received_at_us serial", "state <> 'accepted'"),
    ("messages", "ix_messages_corrects", "tenant corrects", "corrects IS NOT NULL"),
    ("messages", "ix_messages_reply", "tenant in_reply_to serial", "in_reply_to IS NOT NULL"),
    ("deliveries", "ix_deliveries_claimable", "tenant claimable_at_us serial", f"{_ARMED}'file'"),
    ("deliveries", "ix_deliveries_push", "tenant subscription lane claimable_at_us serial", f"{_ARMED}'push'"),
    ("deliveries", "ix_deliveries_pull", "tenant subscription lane claimable_at_us serial", f"{_ARMED}'pull'"),
    ("deliveries", "ix_deliveries_flagging", "tenant system ordering_key flagging number", "finished_at_us IS NULL AND flagging > 0"),
    ("deliveries", "ix_deliveries_expires", "expires_at_us", "expires_at_us IS NOT NULL AND finished_at_us IS NULL"),
    ("deliveries", "ix_deliveries_state", "state created_at_us serial", _STANDING),
    ("deliveries", "ix_deliveries_tenant_state", "tenant state serial", _STANDING),
)


def upgrade() -> None:
    """Add columns, exchange indexes, make `leases`."""
    for column in _event_columns():
        op.add_column("messages", column)
    for column in _delivery_columns():
        op.add_column("deliveries", column)
    for table, names in _DROPPED.items():
        for name in names:
            op.drop_index(name, table)
    for table, name, columns, where in _MADE:
        condition = sa.text(where)
        op.create_index(
            name, table, columns.split(), unique=name.startswith("uq_"), sqlite_where=condition, postgresql_where=condition
        )
    if op.get_bind().dialect.name == "sqlite":
        _entries_without_rowid()
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def _entries_without_rowid() -> None:
    """SQLite keeps the entries in the order of their key, and not beside it."""
    op.drop_index("ix_journal_entries_subject", "journal_entries")
    op.rename_table("journal_entries", "journal_entries_0001")
    op.create_table(
        "journal_entries",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sequence", name="pk_journal_entries"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO journal_entries SELECT tenant, sequence, kind, subject, facts, at_us FROM journal_entries_0001")
    op.drop_table("journal_entries_0001")
    op.create_index("ix_journal_entries_subject", "journal_entries", ["tenant", "subject", "sequence"])


def _event_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("event_source", sa.Text),
        sa.Column("event_id", sa.Text),
        sa.Column("event", sa.JSON),
        sa.Column("form", sa.Text),
        sa.Column("ordering_key", sa.Text),
        sa.Column("expires_at_us", sa.BigInteger),
        sa.Column("in_reply_to", sa.BigInteger),
        sa.Column("body", sa.LargeBinary),
    ]


def _delivery_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("way", sa.Text, nullable=False, server_default="file"),
        sa.Column("lane", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("flagging", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("expires_at_us", sa.BigInteger),
    ]
