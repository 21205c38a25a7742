"""The first schema of the journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "counters",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name="pk_counters"),
    )
    op.create_table(
        "journal_entries",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sequence", name="pk_journal_entries"),
    )
    op.create_index("ix_journal_entries_subject", "journal_entries", ["tenant", "subject", "sequence"], unique=False)
    op.create_table(
        "messages",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("interface", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source_system", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("contract_digest", sa.Text(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("config_digest", sa.Text(), nullable=False),
        sa.Column("characters", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("records", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("declared", sa.JSON(), nullable=False),
        sa.Column("good", sa.JSON(), nullable=False),
        sa.Column("rejected", sa.JSON(), nullable=False),
        sa.Column("broken", sa.JSON(), nullable=False),
        sa.Column("corrects", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("received_at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("accepted_at_us", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.ForeignKeyConstraint(["tenant", "corrects"], ["messages.tenant", "messages.serial"], name="fk_messages_corrects"),
        sa.PrimaryKeyConstraint("tenant", "serial", name="pk_messages"),
        sa.UniqueConstraint("tenant", "interface", "business_date", "sequence", "revision", name="uq_messages_identity"),
    )
    op.create_index("ix_messages_corrects", "messages", ["tenant", "corrects"], unique=False)
    op.create_index("ix_messages_date", "messages", ["business_date", "received_at_us", "serial"], unique=False)
    op.create_index("ix_messages_received", "messages", ["received_at_us", "serial"], unique=False)
    op.create_index("ix_messages_state", "messages", ["state", "received_at_us", "serial"], unique=False)
    op.create_index("ix_messages_tenant", "messages", ["tenant", "received_at_us", "serial"], unique=False)
    op.create_index(
        "uq_messages_content",
        "messages",
        ["tenant", "interface", "business_date", "sequence", "sha256"],
        unique=True,
        sqlite_where=sa.text("state <> 'refused'"),
        postgresql_where=sa.text("state <> 'refused'"),
    )
    op.create_table(
        "turns",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("turn", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_turns"),
    )
    op.create_index("ix_turns_turn", "turns", ["turn"], unique=False)
    op.create_table(
        "chunks",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("message", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_ordinal", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_byte", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("length", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("records", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("done", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["tenant", "message"], ["messages.tenant", "messages.serial"], name="fk_chunks_message"),
        sa.PrimaryKeyConstraint("tenant", "message", "position", name="pk_chunks"),
    )
    op.create_table(
        "deliveries",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subscription", sa.Text(), nullable=False),
        sa.Column("copy", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("translation", sa.Text(), nullable=True),
        sa.Column("ordering_key", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("marker_name", sa.Text(), nullable=True),
        sa.Column("config_digest", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("fence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("due_at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lease_until_us", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("claimable_at_us", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("armed_at_us", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("taken_in", sa.JSON(), nullable=False),
        sa.Column("out", sa.JSON(), nullable=False),
        sa.Column("filtered", sa.JSON(), nullable=False),
        sa.Column("refused", sa.JSON(), nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("publication", sa.JSON(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("finished_at_us", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.ForeignKeyConstraint(["tenant", "message"], ["messages.tenant", "messages.serial"], name="fk_deliveries_message"),
        sa.PrimaryKeyConstraint("tenant", "serial", name="pk_deliveries"),
        sa.UniqueConstraint("tenant", "message", "subscription", "copy", name="uq_deliveries_copy"),
        sa.UniqueConstraint("tenant", "subscription", "number", name="uq_deliveries_number"),
    )
    op.create_index(
        "ix_deliveries_armed",
        "deliveries",
        ["armed_at_us"],
        unique=False,
        sqlite_where=sa.text("claimable_at_us IS NOT NULL"),
        postgresql_where=sa.text("claimable_at_us IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_backlog",
        "deliveries",
        ["tenant", "subscription", "state", "created_at_us"],
        unique=False,
        sqlite_where=sa.text("finished_at_us IS NULL"),
        postgresql_where=sa.text("finished_at_us IS NULL"),
    )
    op.create_index(
        "ix_deliveries_claimable",
        "deliveries",
        ["tenant", "claimable_at_us", "serial"],
        unique=False,
        sqlite_where=sa.text("claimable_at_us IS NOT NULL"),
        postgresql_where=sa.text("claimable_at_us IS NOT NULL"),
    )
    op.create_index("ix_deliveries_created", "deliveries", ["created_at_us", "serial"], unique=False)
    op.create_index(
        "ix_deliveries_order",
        "deliveries",
        ["tenant", "subscription", "ordering_key", "number"],
        unique=False,
        sqlite_where=sa.text("finished_at_us IS NULL"),
        postgresql_where=sa.text("finished_at_us IS NULL"),
    )
    op.create_index(
        "ix_deliveries_owner",
        "deliveries",
        ["owner"],
        unique=False,
        sqlite_where=sa.text("owner IS NOT NULL"),
        postgresql_where=sa.text("owner IS NOT NULL"),
    )
    op.create_index("ix_deliveries_state", "deliveries", ["state", "created_at_us", "serial"], unique=False)
    op.create_index("ix_deliveries_subscription", "deliveries", ["subscription", "tenant", "created_at_us", "serial"], unique=False)
    op.create_index("ix_deliveries_tenant", "deliveries", ["tenant", "created_at_us", "serial"], unique=False)
    op.create_index("ix_deliveries_tenant_state", "deliveries", ["tenant", "state", "created_at_us", "serial"], unique=False)
    op.create_table(
        "receipts",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("interface", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("message", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["tenant", "message"], ["messages.tenant", "messages.serial"], name="fk_receipts_message"),
        sa.PrimaryKeyConstraint("tenant", "serial", name="pk_receipts"),
    )
    op.create_index("ix_receipts_at", "receipts", ["at_us", "serial"], unique=False)
    op.create_index("ix_receipts_message", "receipts", ["tenant", "message"], unique=False)
    op.create_index("ix_receipts_tenant", "receipts", ["tenant", "at_us", "serial"], unique=False)
    op.create_table(
        "delivery_chunks",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("delivery", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("length", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["tenant", "delivery"], ["deliveries.tenant", "deliveries.serial"], name="fk_delivery_chunks_delivery"),
        sa.PrimaryKeyConstraint("tenant", "delivery", "position", name="pk_delivery_chunks"),
    )
    op.create_table(
        "quarantine",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("message", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("delivery", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("records", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["tenant", "delivery"], ["deliveries.tenant", "deliveries.serial"], name="fk_quarantine_delivery"),
        sa.ForeignKeyConstraint(["tenant", "message"], ["messages.tenant", "messages.serial"], name="fk_quarantine_message"),
        sa.PrimaryKeyConstraint("tenant", "serial", name="pk_quarantine"),
    )
    op.create_index("ix_quarantine_created", "quarantine", ["state", "created_at_us", "serial"], unique=False)
    op.create_index("ix_quarantine_delivery", "quarantine", ["tenant", "delivery"], unique=False)
    op.create_index("ix_quarantine_message", "quarantine", ["tenant", "message"], unique=False)
    op.create_index(
        "ix_quarantine_open",
        "quarantine",
        ["tenant", "kind", "records"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_quarantine_tenant", "quarantine", ["tenant", "created_at_us", "serial"], unique=False)
