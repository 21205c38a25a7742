"""Laws of `AcceptJournal` that every journal keeps."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from journal_samples import (
    RECORDS,
    VERSIONS,
    Journal,
    accept,
    accepted,
    chunk,
    identity,
    new_delivery,
    new_message,
    received,
    rejects,
)

from bus.errors import NotFound, OperationRefused, TotalsDisagree
from bus.message import BrokenRule, ChunkState, MessageState, NewQuarantine, QuarantineKind, ReceiptOutcome
from contracts.totals import Totals


class AcceptLaws:
    """Identity, chunks, and the accepting transaction."""

    def test_a_new_file_is_a_message_being_received(self, journal: Journal) -> None:
        begun = journal.begin(new_message())
        assert (begun.outcome, begun.revision_of, begun.message.revision) == (ReceiptOutcome.RECEIVING, None, 1)
        assert begun.message.id == "332020-m1"
        assert begun.message == journal.message(begun.message.id)
        assert [one.state for one in begun.chunks] == [ChunkState.PLANNED] * 2

    def test_what_an_unfinished_file_had_done_is_kept(self, journal: Journal) -> None:
        message = journal.begin(new_message()).message
        journal.chunk_done(message.id, chunk(1))
        again = journal.begin(new_message())
        assert (again.outcome, again.message.id) == (ReceiptOutcome.RECEIVING, message.id)
        assert [one.done for one in again.chunks] == [None, replace(chunk(1), broken=tuple(chunk(1).broken), parts=tuple(chunk(1).parts))]

    @pytest.mark.parametrize(
        "other", [new_message(chunks=5), new_message(versions=replace(VERSIONS, config_digest="newer"))], ids=["cut", "configured"]
    )
    def test_what_was_done_otherwise_does_not_count(self, journal: Journal, other: object) -> None:
        """No switch in mid-message: chunks read with another configuration, or cut elsewhere, are read again."""
        message = journal.begin(new_message()).message
        journal.chunk_done(message.id, chunk(0))
        assert isinstance(other, type(new_message()))
        again = journal.begin(other)
        assert again.message.id == message.id
        assert again.message.versions == other.versions
        assert [one.plan for one in again.chunks] == list(other.chunks)
        assert {one.state for one in again.chunks} == {ChunkState.PLANNED}

    def test_the_same_file_again_is_a_duplicate(self, journal: Journal) -> None:
        (delivery,) = accepted(journal)
        again = journal.begin(new_message())
        assert (again.outcome, again.message.id) == (ReceiptOutcome.DUPLICATE, delivery.message)
        assert len(journal.messages()) == 1
        assert len(journal.deliveries()) == 1

    def test_the_same_bytes_on_another_date_are_another_message(self, journal: Journal) -> None:
        """An empty differential is byte-identical every night."""
        accepted(journal)
        other = journal.begin(new_message(identity(date="2026-11-20")))
        assert (other.outcome, other.message.revision, other.revision_of) == (ReceiptOutcome.RECEIVING, 1, None)

    def test_the_same_bytes_of_another_tenant_are_another_message(self, journal: Journal) -> None:
        accepted(journal)
        other = journal.begin(new_message(identity(tenant="372013")))
        assert (other.outcome, other.message.id) == (ReceiptOutcome.RECEIVING, "372013-m1")

    def test_other_bytes_of_one_identity_are_a_revision(self, journal: Journal) -> None:
        (delivery,) = accepted(journal)
        other = journal.begin(new_message(content="bb"))
        assert (other.outcome, other.message.revision, other.revision_of) == (ReceiptOutcome.RECEIVING, 2, delivery.message)

    @pytest.mark.parametrize("content", ["aa", "bb"], ids=["the same", "corrected"])
    def test_a_refused_file_may_come_again(self, journal: Journal, content: str) -> None:
        first = journal.begin(new_message()).message
        journal.refuse(first.id, quarantine=[], reason="{}")
        again = journal.begin(new_message(content=content))
        assert (again.outcome, again.message.revision, again.revision_of) == (ReceiptOutcome.RECEIVING, 2, None)

    def test_a_revision_of_a_refused_file_revises_the_accepted_one(self, journal: Journal) -> None:
        (delivery,) = accepted(journal)
        refused = journal.begin(new_message(content="bb")).message
        journal.refuse(refused.id, quarantine=[], reason="{}")
        assert journal.begin(new_message(content="cc")).revision_of == delivery.message

    def test_a_chunk_done_twice_is_done_once(self, journal: Journal) -> None:
        message = journal.begin(new_message()).message
        journal.chunk_done(message.id, chunk(0))
        before = len(journal.entries("332020"))
        journal.chunk_done(message.id, chunk(0))
        assert len(journal.entries("332020")) == before

    def test_a_chunk_done_again_with_other_facts_replaces(self, journal: Journal) -> None:
        message = journal.begin(new_message()).message
        journal.chunk_done(message.id, chunk(0))
        journal.chunk_done(message.id, replace(chunk(0), prepared_path="elsewhere"))
        done = journal.chunks(message.id)[0].done
        assert done is not None
        assert done.prepared_path == "elsewhere"

    def test_sums_are_exact(self, journal: Journal) -> None:
        message = journal.begin(new_message()).message
        sums = {"amount": Decimal("99999999999999999999.01"), "tax": Decimal("-0.10")}
        journal.chunk_done(message.id, replace(chunk(0), good=Totals(5, sums)))
        done = journal.chunks(message.id)[0].done
        assert done is not None
        assert done.good.sums == sums

    def test_accepting_routes_in_the_same_breath(self, journal: Journal) -> None:
        message = received(journal)
        deliveries = accept(journal, message, [new_delivery("welfare"), new_delivery("tax")])
        assert [one.id for one in deliveries] == ["332020-d1", "332020-d2"]
        assert [one.number for one in deliveries] == [1, 1]
        held = journal.message(message.id)
        assert (held.state, held.good, held.rejected) == (MessageState.ACCEPTED, Totals(8), Totals(2))
        assert held.broken == (BrokenRule("birth_date", "type", "reject", 2),)
        assert [one.kind for one in journal.quarantine()] == [QuarantineKind.REJECTED_RECORDS]
        kinds = [entry.kind for entry in journal.entries("332020", after=3)]
        assert kinds == ["accepted", "quarantined", "routed", "routed"]

    def test_accepting_twice_gives_the_same_deliveries(self, journal: Journal) -> None:
        message = received(journal)
        first = accept(journal, message, [new_delivery()])
        before = len(journal.entries("332020"))
        assert accept(journal, message, [new_delivery(), new_delivery("tax")]) == first
        assert len(journal.entries("332020")) == before
        assert len(journal.quarantine()) == 1

    def test_nothing_is_accepted_before_its_chunks_are_done(self, journal: Journal) -> None:
        message = journal.begin(new_message()).message
        journal.chunk_done(message.id, chunk(0))
        with pytest.raises(OperationRefused):
            accept(journal, message, [])
        assert journal.message(message.id).state is MessageState.RECEIVING

    def test_nothing_is_accepted_when_records_are_missing(self, journal: Journal) -> None:
        message = received(journal)
        before = len(journal.entries("332020"))
        with pytest.raises(TotalsDisagree):
            journal.accept(message.id, good=Totals(RECORDS), rejected=Totals(1), quarantine=[rejects()], deliveries=[new_delivery()])
        assert (len(journal.quarantine()), len(journal.deliveries()), len(journal.entries("332020"))) == (0, 0, before)

    def test_a_refused_message_is_never_accepted_nor_an_accepted_one_refused(self, journal: Journal) -> None:
        refused = received(journal)
        journal.refuse(refused.id, quarantine=[], reason="{}")
        with pytest.raises(OperationRefused):
            accept(journal, refused, [])
        (delivery,) = accepted(journal, identity(sequence=2))
        with pytest.raises(OperationRefused):
            journal.refuse(delivery.message, quarantine=[], reason="{}")

    def test_a_held_message_waits_and_can_be_accepted(self, journal: Journal) -> None:
        accepted(journal)
        message = received(journal, content="bb")
        for _ in range(2):
            hold = NewQuarantine(QuarantineKind.HELD_REVISION, "JUMIN_20261119_001.csv", 10, {})
            journal.hold(message.id, good=Totals(8), rejected=Totals(2), quarantine=[hold, rejects()], reason='{"id": "RNK4001W"}')
        assert journal.message(message.id).state is MessageState.HELD
        assert journal.begin(new_message(content="bb")).outcome is ReceiptOutcome.DUPLICATE
        accept(journal, message, [new_delivery()])
        waiting = [one.kind for one in journal.quarantine(message=message.id)]
        assert waiting == [QuarantineKind.REJECTED_RECORDS, QuarantineKind.HELD_REVISION]

    def test_a_correction_names_what_it_corrects(self, journal: Journal) -> None:
        (delivery,) = accepted(journal)
        message = received(journal, content="bb")
        journal.accept(message.id, good=Totals(8), rejected=Totals(2), quarantine=[], deliveries=[], corrects=delivery.message)
        assert journal.message(message.id).corrects == delivery.message

    def test_a_correction_stays_in_its_tenant(self, journal: Journal) -> None:
        (delivery,) = accepted(journal)
        message = received(journal, identity(tenant="372013"))
        with pytest.raises(OperationRefused):
            journal.accept(message.id, good=Totals(8), rejected=Totals(2), quarantine=[], deliveries=[], corrects=delivery.message)

    def test_a_receipt_tells_of_what_never_became_a_message(self, journal: Journal) -> None:
        refusal = NewQuarantine(QuarantineKind.REFUSED_FILE, "何か.csv", 0, {"id": "RNK1201E"})
        facts = {"tenant": "332020", "endpoint": "in", "interface": "", "file_name": "何か.csv", "bytes_": 0, "sha256": ""}
        receipt = journal.receipt(**facts, outcome=ReceiptOutcome.REFUSED, message=None, reason="{}", quarantine=[refusal])  # type: ignore[arg-type]
        assert journal.receipts() == (receipt,)
        assert [(one.kind, one.message) for one in journal.quarantine()] == [(QuarantineKind.REFUSED_FILE, "")]

    def test_a_receipt_names_no_message_of_another_tenant(self, journal: Journal) -> None:
        (delivery,) = accepted(journal)
        facts = {"tenant": "372013", "endpoint": "in", "interface": "", "file_name": "x", "bytes_": 0, "sha256": ""}
        with pytest.raises(NotFound):
            journal.receipt(**facts, outcome=ReceiptOutcome.DUPLICATE, message=delivery.message)  # type: ignore[arg-type]

    def test_entries_have_no_gap_and_none_can_be_made_up(self, journal: Journal) -> None:
        accepted(journal)
        accepted(journal, identity(tenant="372013"))
        noted = journal.note("332020", "viewed", "332020-m1", {"by": "operator"})
        entries = journal.entries("332020")
        assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
        assert entries[-1] == noted
        with pytest.raises(ValueError, match="delivered"):
            journal.note("332020", "delivered", "332020-d1", {})

    @pytest.mark.parametrize("unknown", ["332020-m9", "332020-d1", "m1", "", "332020-m", "332020-mx", "332020-m" + "9" * 40])
    def test_what_is_not_there_is_not_found(self, journal: Journal, unknown: str) -> None:
        accepted(journal)
        for ask in (journal.message, journal.quarantine_entry, lambda id_: journal.chunk_done(id_, chunk(0))):
            with pytest.raises(NotFound):
                ask(unknown)
