"""Laws of `OperateJournal` and `QueryJournal` that every journal keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from deliver_laws import SECOND, claims
from journal_samples import (
    PUBLICATION,
    Journal,
    accept,
    accepted,
    claim_one,
    identity,
    new_delivery,
    publish,
    received,
    rejects,
)

from bus.clock import ManualClock
from bus.errors import NotFound, OperationRefused
from bus.message import DeliveryState, MessageState, NewQuarantine, QuarantineEntry, QuarantineKind
from contracts.totals import Totals


def give_up(journal: Journal, *, ready: bool = False) -> QuarantineEntry:
    claimed = claim_one(journal)
    if ready:
        journal.ready_to_publish(claimed, PUBLICATION, 100)
    journal.failed(claimed, error="x", due_at_us=None)
    return journal.quarantine(kind="given_up")[0]


def hold(journal: Journal) -> QuarantineEntry:
    accepted(journal)
    message = received(journal, content="bb")
    held = NewQuarantine(QuarantineKind.HELD_REVISION, "JUMIN_20261119_001.csv", 10, {})
    journal.hold(message.id, good=Totals(8), rejected=Totals(2), quarantine=[held], reason="{}")
    return journal.quarantine(kind="held_revision")[0]


class OperateLaws:
    """What operators decide, and what they see."""

    def test_a_released_delivery_is_due_with_all_its_attempts(self, journal: Journal) -> None:
        accepted(journal)
        entry = give_up(journal)
        assert journal.release(entry.id, by="me").state == "released"
        again = claim_one(journal)
        assert (again.id, again.attempts, again.state) == (entry.delivery, 0, DeliveryState.CLAIMED)
        assert journal.quarantine(kind="given_up") == ()

    def test_a_released_publication_goes_on_as_it_stands(self, journal: Journal) -> None:
        accepted(journal)
        journal.release(give_up(journal, ready=True).id, by="me")
        again = claim_one(journal)
        assert (again.state, again.publication) == (DeliveryState.READY_TO_PUBLISH, PUBLICATION)

    def test_a_skipped_delivery_lets_the_next_go(self, journal: Journal) -> None:
        accepted(journal, identity(sequence=1))
        (second,) = accepted(journal, identity(sequence=2))
        entry = give_up(journal)
        assert journal.skip(entry.id, by="me").state == "skipped"
        assert entry.delivery is not None
        assert journal.delivery(entry.delivery).state is DeliveryState.SKIPPED
        assert claims(journal) == [second.id]

    def test_a_decision_holds(self, journal: Journal) -> None:
        accepted(journal)
        entry = give_up(journal)
        journal.release(entry.id, by="me")
        before = len(journal.entries("332020"))
        assert journal.release(entry.id, by="you").state == "released"
        with pytest.raises(OperationRefused):
            journal.skip(entry.id, by="you")
        assert len(journal.entries("332020")) == before

    def test_a_delivery_may_be_given_up_again(self, journal: Journal) -> None:
        accepted(journal)
        first = give_up(journal)
        journal.release(first.id, by="me")
        second = give_up(journal)
        assert second.id != first.id
        assert second.state == "open"

    def test_a_held_revision_is_left_for_its_caller(self, journal: Journal) -> None:
        entry = hold(journal)
        journal.release(entry.id, by="me")
        message = journal.message(entry.message)
        assert message.state is MessageState.HELD
        assert len(accept(journal, message, [new_delivery()])) == 1

    def test_a_revision_may_be_accepted_before_its_entry_is_released(self, journal: Journal) -> None:
        entry = hold(journal)
        accept(journal, journal.message(entry.message), [new_delivery()])
        assert journal.release(entry.id, by="suzuki").state == "released"
        assert journal.entries("332020", subject=entry.id)[-1].facts["by"] == "suzuki"
        assert journal.message(entry.message).state is MessageState.ACCEPTED

    def test_a_skipped_revision_is_refused(self, journal: Journal) -> None:
        entry = hold(journal)
        journal.skip(entry.id, by="me")
        assert journal.message(entry.message).state is MessageState.REFUSED

    def test_records_are_released_by_a_correction_only(self, journal: Journal) -> None:
        (delivery,) = accepted(journal)
        (entry,) = journal.quarantine()
        with pytest.raises(OperationRefused):
            journal.release(entry.id, by="me")
        message = received(journal, content="bb")
        journal.accept(message.id, good=Totals(8), rejected=Totals(2), quarantine=[], deliveries=[], corrects=delivery.message)
        assert journal.release(entry.id, by="me").state == "released"

    def test_records_that_are_not_to_come_are_skipped(self, journal: Journal) -> None:
        accepted(journal)
        (entry,) = journal.quarantine()
        assert journal.open_quarantine() == {("332020", "rejected_records"): 2}
        journal.skip(entry.id, by="me")
        assert journal.open_quarantine() == {}
        assert [one.state for one in journal.quarantine(state=None)] == ["skipped"]

    def test_a_message_is_sent_again_to_one_subscription(self, journal: Journal) -> None:
        (first,) = accepted(journal)
        publish(journal, claim_one(journal))
        again = journal.resend(first.message, replace(new_delivery(), file_name="b.xml"), by="me")
        assert (again.number, again.file_name, again.state) == (2, "b.xml", DeliveryState.DUE)
        assert claims(journal) == [again.id]

    def test_what_is_not_finished_is_not_sent_again(self, journal: Journal) -> None:
        (first,) = accepted(journal)
        with pytest.raises(OperationRefused):
            journal.resend(first.message, new_delivery(), by="me")
        assert journal.resend(first.message, new_delivery("tax"), by="me").subscription == "tax"

    def test_what_is_not_accepted_is_not_sent_again(self, journal: Journal) -> None:
        with pytest.raises(OperationRefused):
            journal.resend(received(journal).id, new_delivery(), by="me")

    def test_who_decided_is_written_down(self, journal: Journal) -> None:
        accepted(journal)
        entry = give_up(journal)
        journal.release(entry.id, by="suzuki")
        assert [(one.kind, one.facts["by"]) for one in journal.entries("332020", subject=entry.id)[-1:]] == [("released", "suzuki")]

    def test_unknown_entries_are_not_found(self, journal: Journal) -> None:
        for call in (journal.release, journal.skip):
            with pytest.raises(NotFound):
                call("332020-q1", by="me")

    def test_lists_are_filtered_and_newest_first(self, journal: Journal, clock: ManualClock) -> None:
        for tenant in ("111111", "222222"):
            for sequence in (1, 2):
                clock.advance(1)
                accepted(journal, identity(tenant=tenant, sequence=sequence), new_delivery("welfare"), new_delivery("tax"))
        assert [one.id for one in journal.messages()] == ["222222-m2", "222222-m1", "111111-m2", "111111-m1"]
        wanted = journal.messages(tenant="111111", business_date="2026-11-19", interface="jumin", limit=1)
        assert [one.id for one in wanted] == ["111111-m2"]
        assert journal.messages(state=MessageState.HELD) == ()
        assert [one.id for one in journal.deliveries(tenant="222222", subscription="tax")] == ["222222-d4", "222222-d2"]
        assert [one.id for one in journal.deliveries(message="111111-m1")] == ["111111-d2", "111111-d1"]
        assert journal.deliveries(tenant="222222", message="111111-m1") == ()
        assert len(journal.deliveries(state=DeliveryState.DUE)) == 8
        assert [one.id for one in journal.quarantine(tenant="111111")] == ["111111-q2", "111111-q1"]
        assert [one.id for one in journal.quarantine(message="222222-m1")] == ["222222-q1"]

    def test_entries_are_read_by_sequence(self, journal: Journal) -> None:
        accepted(journal)
        entries = journal.entries("332020")
        assert journal.entries("332020", after=2, limit=2) == entries[2:4]
        assert journal.entries("372013") == ()

    def test_reopened_it_is_the_same(self, journal: Journal, clock: ManualClock, reopen: object) -> None:
        accepted(journal)
        journal.failed(claim_one(journal), error="x", due_at_us=clock.now_us() + SECOND)
        seen = (journal.messages(), journal.deliveries(), journal.quarantine(), journal.entries("332020"), journal.backlog())
        assert callable(reopen)
        again = reopen()
        assert seen == (again.messages(), again.deliveries(), again.quarantine(), again.entries("332020"), again.backlog())
        assert again.quarantine()[0].facts == rejects().facts
