"""Laws of `DeliverJournal` that every journal keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from journal_samples import (
    PUBLICATION,
    Journal,
    accepted,
    claim_one,
    end,
    identity,
    new_delivery,
    publish,
    written,
)

from bus.clock import ManualClock
from bus.errors import OperationRefused, StaleClaim, TotalsDisagree
from bus.message import Delivery, DeliveryState, QuarantineKind
from contracts.totals import Totals

SECOND = 1_000_000


def claims(journal: Journal, *, limit: int = 100, lease_seconds: float = 60) -> list[str]:
    return [one.id for one in journal.claim("worker", lease_seconds=lease_seconds, limit=limit)]


class DeliverLaws:
    """Claims, leases, order, and how a delivery ends."""

    def test_a_claim_is_exclusive_until_its_lease_runs_out(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal)
        first = claim_one(journal, lease_seconds=60)
        assert (first.state, first.fence, first.lease_until_us) == (DeliveryState.CLAIMED, 1, clock.now_us() + 60 * SECOND)
        assert first == journal.delivery(first.id)
        clock.advance(59.9)
        assert claims(journal) == []
        clock.advance(0.1)
        assert claim_one(journal).fence == 2

    def test_a_renewed_lease_lasts_longer(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal)
        first = claim_one(journal, lease_seconds=60)
        clock.advance(50)
        journal.renew(first, lease_seconds=60)
        clock.advance(50)
        assert claims(journal) == []

    def test_a_stale_claim_changes_nothing(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal)
        old = claim_one(journal, lease_seconds=60)
        clock.advance(61)
        new = claim_one(journal, owner="other")
        before = len(journal.entries("332020"))
        for call in (
            lambda: journal.renew(old, lease_seconds=60),
            lambda: journal.chunks_written(old, [written()]),
            lambda: journal.ready_to_publish(old, PUBLICATION, 100),
            lambda: end(journal, old),
            lambda: journal.failed(old, error="x", due_at_us=None),
        ):
            with pytest.raises(StaleClaim):
                call()
        assert journal.delivery(new.id) == new
        assert len(journal.entries("332020")) == before

    def test_a_claim_that_failed_is_over(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal)
        claimed = claim_one(journal)
        journal.failed(claimed, error="x", due_at_us=clock.now_us())
        with pytest.raises(StaleClaim):
            publish(journal, claimed)

    def test_only_the_head_of_an_ordering_key_is_claimed(self, journal: Journal) -> None:
        accepted(journal, identity(sequence=1), new_delivery("welfare"), new_delivery("tax"))
        accepted(journal, identity(sequence=2), new_delivery("welfare"), new_delivery("tax"))
        heads = list(journal.claim("worker", lease_seconds=60, limit=10))
        assert [(one.subscription, one.number) for one in heads] == [("welfare", 1), ("tax", 1)]
        publish(journal, heads[0])
        assert [(one.subscription, one.number) for one in journal.claim("worker", lease_seconds=60, limit=10)] == [("welfare", 2)]

    def test_a_queue_goes_in_the_order_of_its_numbers(self, journal: Journal) -> None:
        for sequence in range(1, 5):
            accepted(journal, identity(sequence=sequence))
        order = []
        for _ in range(4):
            claimed = claim_one(journal)
            order.append(claimed.number)
            publish(journal, claimed)
        assert order == [1, 2, 3, 4]

    def test_another_ordering_key_does_not_wait(self, journal: Journal) -> None:
        accepted(journal, identity(sequence=1), new_delivery(key="a"))
        accepted(journal, identity(sequence=2), new_delivery(key="b"))
        assert len(claims(journal)) == 2

    def test_a_failed_head_keeps_its_place(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal, identity(sequence=1))
        accepted(journal, identity(sequence=2))
        claimed = claim_one(journal)
        assert journal.failed(claimed, error="E", due_at_us=clock.now_us() + 5 * SECOND) is DeliveryState.DUE
        assert claims(journal) == []
        clock.advance(5)
        again = claim_one(journal)
        assert (again.id, again.attempts, again.last_error) == (claimed.id, 1, "E")

    def test_a_delivery_given_up_holds_its_key(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal, identity(sequence=1))
        accepted(journal, identity(sequence=2))
        claimed = claim_one(journal)
        assert journal.failed(claimed, error="E", due_at_us=None) is DeliveryState.QUARANTINED
        clock.advance(10**6)
        assert claims(journal) == []
        (entry,) = journal.quarantine(kind="given_up")
        assert (entry.kind, entry.delivery, entry.records) == (QuarantineKind.GIVEN_UP, claimed.id, 8)

    def test_tenants_take_turns(self, journal: Journal) -> None:
        for sequence in range(1, 6):
            accepted(journal, identity(tenant="111111", sequence=sequence), new_delivery(key=str(sequence)))
        accepted(journal, identity(tenant="222222"))
        accepted(journal, identity(tenant="333333"))
        order = [one.split("-")[0] for one in claims(journal, limit=4)]
        assert order == ["111111", "222222", "333333", "111111"]

    def test_who_was_served_waits_for_the_others(self, journal: Journal) -> None:
        for sequence in range(1, 4):
            for tenant in ("111111", "222222"):
                accepted(journal, identity(tenant=tenant, sequence=sequence), new_delivery(key=str(sequence)))
        order = [claims(journal, limit=1)[0].split("-")[0] for _ in range(6)]
        assert order == ["111111", "222222"] * 3

    @pytest.mark.parametrize("hours", [1, 24, 24 * 365])
    def test_a_clock_that_jumps_back_strands_nothing_due(self, journal: Journal, clock: ManualClock, hours: int) -> None:
        accepted(journal)
        clock.advance(-3600 * hours)
        assert len(claims(journal)) == 1

    def test_a_clock_that_jumps_back_prolongs_no_retry(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal)
        journal.failed(claim_one(journal), error="x", due_at_us=clock.now_us() + 900 * SECOND)
        clock.advance(-86_400)
        assert claims(journal) == []
        assert journal.deliveries()[0].due_at_us == clock.now_us() + 900 * SECOND
        clock.advance(900)
        assert len(claims(journal)) == 1

    def test_a_clock_that_jumps_back_ends_no_lease_and_makes_none_eternal(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal)
        claimed = claim_one(journal, lease_seconds=60)
        clock.advance(-86_400)
        assert claims(journal) == []
        assert journal.delivery(claimed.id).lease_until_us == clock.now_us() + 60 * SECOND
        journal.renew(claimed, lease_seconds=60)
        clock.advance(60)
        assert len(claims(journal)) == 1

    def test_the_next_of_a_key_is_not_stranded_either(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal, identity(sequence=1))
        accepted(journal, identity(sequence=2))
        clock.advance(-86_400)
        publish(journal, claim_one(journal))
        assert len(claims(journal)) == 1

    def test_written_chunks_are_kept_and_replaced(self, journal: Journal) -> None:
        accepted(journal)
        claimed = claim_one(journal)
        journal.chunks_written(claimed, [written(0), written(1)])
        journal.chunks_written(claimed, [replace(written(1), offset=500)])
        assert [(one.index, one.offset) for one in journal.delivery_chunks(claimed.id)] == [(0, 0), (1, 500)]

    def test_what_an_older_fence_wrote_is_forgotten(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal)
        claimed = claim_one(journal, lease_seconds=1)
        journal.chunks_written(claimed, [written(0)])
        clock.advance(2)
        claim_one(journal)
        assert journal.delivery_chunks(claimed.id) == ()

    def test_a_publication_is_fixed_once(self, journal: Journal) -> None:
        accepted(journal)
        claimed = claim_one(journal)
        for _ in range(2):
            journal.ready_to_publish(claimed, PUBLICATION, 100)
        with pytest.raises(OperationRefused):
            journal.ready_to_publish(claimed, {"renames": [], "bytes": 0}, 0)
        with pytest.raises(OperationRefused):
            journal.chunks_written(claimed, [written()])
        held = journal.delivery(claimed.id)
        assert (held.state, held.publication, held.bytes_out) == (DeliveryState.READY_TO_PUBLISH, PUBLICATION, 100)

    def test_what_is_ready_comes_out_again_as_it_stands(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal)
        claimed = claim_one(journal, lease_seconds=1)
        journal.chunks_written(claimed, [written()])
        journal.ready_to_publish(claimed, PUBLICATION, 100)
        clock.advance(2)
        again = claim_one(journal)
        assert (again.state, again.publication, again.fence) == (DeliveryState.READY_TO_PUBLISH, PUBLICATION, 2)
        assert len(journal.delivery_chunks(again.id)) == 1
        assert publish(journal, again) is DeliveryState.DELIVERED

    def test_a_publication_that_failed_is_tried_again_never_made_anew(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal)
        claimed = claim_one(journal)
        journal.ready_to_publish(claimed, PUBLICATION, 100)
        assert journal.failed(claimed, error="x", due_at_us=clock.now_us() + SECOND) is DeliveryState.READY_TO_PUBLISH
        assert claims(journal) == []
        clock.advance(1)
        again = claim_one(journal)
        assert (again.state, again.publication) == (DeliveryState.READY_TO_PUBLISH, PUBLICATION)

    def test_a_publication_of_which_nothing_was_published_may_be_voided(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal)
        claimed = claim_one(journal)
        journal.chunks_written(claimed, [written()])
        journal.ready_to_publish(claimed, PUBLICATION, 100)
        assert journal.failed(claimed, error="x", due_at_us=clock.now_us() + SECOND, unpublished=True) is DeliveryState.DUE
        clock.advance(1)
        again = claim_one(journal)
        assert (again.state, again.publication, again.bytes_out, again.attempts) == (DeliveryState.CLAIMED, {}, 0, 1)
        assert journal.delivery_chunks(again.id) == ()
        assert publish(journal, again) is DeliveryState.DELIVERED

    def test_a_voided_publication_that_was_given_up_begins_anew_when_released(self, journal: Journal) -> None:
        accepted(journal)
        claimed = claim_one(journal)
        journal.ready_to_publish(claimed, PUBLICATION, 100)
        assert journal.failed(claimed, error="x", due_at_us=None, unpublished=True) is DeliveryState.QUARANTINED
        journal.release(journal.quarantine(kind="given_up")[0].id, by="me")
        again = claim_one(journal)
        assert (again.state, again.publication) == (DeliveryState.CLAIMED, {})

    def test_delivered_is_said_once(self, journal: Journal) -> None:
        accepted(journal)
        claimed = claim_one(journal)
        assert publish(journal, claimed) is DeliveryState.DELIVERED
        before = len(journal.entries("332020"))
        assert end(journal, claimed) is DeliveryState.DELIVERED
        assert len(journal.entries("332020")) == before
        held = journal.delivery(claimed.id)
        assert (held.taken_in, held.out, held.filtered, held.refused) == (Totals(8), Totals(7), Totals(1), Totals())
        assert held.finished_at_us is not None
        assert claims(journal) == []

    def test_refused_records_end_it_with_refusals(self, journal: Journal) -> None:
        accepted(journal)
        claimed = claim_one(journal)
        assert publish(journal, claimed, refused=2) is DeliveryState.DELIVERED_WITH_REFUSALS
        (entry,) = journal.quarantine(kind="refused_records")
        assert (entry.delivery, entry.records) == (claimed.id, 2)

    @pytest.mark.parametrize(("taken_in", "out"), [(8, 6), (7, 6), (9, 8)])
    def test_nothing_is_delivered_when_totals_disagree(self, journal: Journal, taken_in: int, out: int) -> None:
        accepted(journal)
        claimed = claim_one(journal)
        journal.ready_to_publish(claimed, PUBLICATION, 100)
        with pytest.raises(TotalsDisagree):
            journal.delivered(
                claimed, taken_in=Totals(taken_in), out=Totals(out), filtered=Totals(1), refused=Totals(), quarantine=[]
            )
        assert journal.delivery(claimed.id).state is DeliveryState.READY_TO_PUBLISH

    def test_nothing_is_delivered_that_is_not_ready(self, journal: Journal) -> None:
        accepted(journal)
        claimed = claim_one(journal)
        with pytest.raises(OperationRefused):
            end(journal, claimed)

    def test_a_node_that_starts_frees_what_its_former_self_held(self, journal: Journal) -> None:
        accepted(journal, identity(sequence=1), new_delivery("welfare"), new_delivery("tax"))
        first, second = journal.claim("node1", lease_seconds=600, limit=2)
        journal.ready_to_publish(second, PUBLICATION, 100)
        assert journal.unclaim("node2") == 0
        assert journal.unclaim("node1") == 2
        states = {one.id: one.state for one in journal.claim("node1", lease_seconds=600, limit=2)}
        assert states == {first.id: DeliveryState.CLAIMED, second.id: DeliveryState.READY_TO_PUBLISH}
        with pytest.raises(StaleClaim):
            end(journal, second)

    def test_the_backlog_counts_what_is_not_finished(self, journal: Journal, clock: ManualClock) -> None:
        accepted(journal, identity(sequence=1))
        oldest = clock.now_us()
        clock.advance(5)
        accepted(journal, identity(sequence=2))
        accepted(journal, identity(sequence=3))
        publish(journal, claim_one(journal))
        (due,) = journal.backlog()
        assert (due.subscription, due.state, due.count, due.oldest_created_at_us) == ("welfare", DeliveryState.DUE, 2, oldest + 5 * SECOND)

    @pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 1001}, {"lease_seconds": 0}])
    def test_a_claim_without_sense_is_a_fault(self, journal: Journal, wrong: dict[str, int]) -> None:
        with pytest.raises(ValueError, match="claim"):
            claims(journal, **wrong)

    def test_numbers_order_a_subscription_across_messages(self, journal: Journal) -> None:
        made: list[Delivery] = []
        for sequence in range(1, 4):
            made += accepted(journal, identity(sequence=sequence), new_delivery("welfare"), new_delivery("tax"))
        assert [one.number for one in made if one.subscription == "tax"] == [1, 2, 3]
