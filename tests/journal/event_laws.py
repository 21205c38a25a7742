"""Laws of events, on every journal: identity, order, claims, settlements, flags, poison."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from event_samples import OWNER, TENANT, claim, event, numbers, publish, settle, to

from bus.clock import ManualClock
from bus.errors import NotFound
from bus.event import Attributes, ClaimedEvent, EventOutcome, Lane, PoisonEvent, Settlement, Wanted, Way
from bus.event_ports import DeadLetter, Group
from bus.journal.journal import SqlJournal
from bus.message import DeliveryState, MessageState, Part

SECOND_US = 1_000_000


class EventLaws:
    """What every journal promises of events."""

    def test_an_event_is_a_message_like_any_other(self, journal: SqlJournal) -> None:
        (taken,) = publish(journal, event(1))
        message = journal.message(taken.message)
        assert (taken.outcome, message.state, message.good.records) == (EventOutcome.ACCEPTED, MessageState.ACCEPTED, 1)
        assert message.file_name == "e1"
        (delivery,) = journal.deliveries(message=taken.message)
        assert (delivery.state, delivery.subscription, delivery.number) == (DeliveryState.DUE, "welfare", 1)
        assert [entry.kind for entry in journal.entries(TENANT)] == ["accepted", "routed"]
        assert journal.messages(tenant=TENANT)[0].id == taken.message

    def test_the_event_comes_back_as_it_was(self, reopen: Callable[[], SqlJournal]) -> None:
        journal = reopen()
        attributes = Attributes("e1", "/r", "t", "2026-11-20T00:00:00Z", "s", "application/json", "urn:x", {"a": "あ"})
        (asked,) = publish(journal, event(7))
        (taken,) = publish(journal, event(1, attributes=attributes, in_reply_to=asked.message, expires_at_us=5))
        found = reopen().event(taken.message)
        assert (found.attributes, found.body, found.form) == (attributes, b'{"number": "1"}', "binary")
        assert (found.in_reply_to, found.expires_at_us) == (asked.message, 5)

    def test_the_same_again_is_the_same_message(self, journal: SqlJournal) -> None:
        (first,) = publish(journal, event(1))
        again, other, elsewhere = publish(journal, event(1), event(1, content="other"), event(1, tenant="331007"))
        assert (again.outcome, again.message) == (EventOutcome.DUPLICATE, first.message)
        assert (other.outcome, other.message) == (EventOutcome.CONFLICT, first.message)
        assert elsewhere.outcome is EventOutcome.ACCEPTED
        assert len(journal.deliveries(tenant=TENANT)) == 1

    def test_twins_in_one_group(self, journal: SqlJournal) -> None:
        answers = publish(journal, event(1), event(2), event(1), event(1, content="other"))
        assert [one.outcome.value for one in answers] == ["accepted", "accepted", "duplicate", "conflict"]
        assert answers[2].message == answers[0].message

    def test_numbers_count_each_subscription(self, journal: SqlJournal) -> None:
        publish(journal, event(1, to("a"), to("b")), event(2, to("b")))
        assert [d.number for d in reversed(journal.deliveries(tenant=TENANT, subscription="b"))] == [1, 2]
        assert [d.number for d in journal.deliveries(tenant=TENANT, subscription="a")] == [1]

    def test_what_a_filter_leaves_out_is_finished_and_counted(self, journal: SqlJournal) -> None:
        (taken,) = publish(journal, event(1, to(filtered=True)))
        (delivery,) = journal.deliveries(message=taken.message)
        assert (delivery.state, delivery.filtered.records, delivery.out.records) == (DeliveryState.DELIVERED, 1, 0)
        assert claim(journal) == []

    # claims and settlements

    def test_claimed_once_and_delivered_once(self, journal: SqlJournal) -> None:
        publish(journal, *(event(n) for n in range(1, 6)))
        claimed = claim(journal, 3)
        assert numbers(claimed) == [1, 2, 3]
        assert numbers(claim(journal)) == [4, 5]
        assert settle(journal, *claimed) == [DeliveryState.DELIVERED] * 3
        assert settle(journal, *claimed) == [DeliveryState.DELIVERED] * 3, "the same settlement again changes nothing"
        first = journal.delivery(claimed[0].id)
        assert (first.state, first.out.records) == (DeliveryState.DELIVERED, 1)
        assert [entry.kind for entry in journal.entries(TENANT, subject=first.id)] == ["routed", "claimed", "delivered"]

    def test_one_group_settles_then_claims_the_next_of_the_key(self, journal: SqlJournal) -> None:
        publish(journal, event(1, key="k"), event(2, key="k"))
        (first,) = claim(journal)
        done = journal.commit(
            Group(settle=[Settlement(first.id, first.fence, DeliveryState.DELIVERED)], claim=[Wanted(TENANT, "welfare", 5, OWNER, 60)]),
            OWNER,
            lease_seconds=60,
        )
        assert numbers(done.claimed[0]) == [2]

    def test_the_same_subscription_twice_in_a_group_gets_different_ones(self, journal: SqlJournal) -> None:
        publish(journal, *(event(n) for n in range(4)))
        wanted = Wanted(TENANT, "welfare", 2, OWNER, 60)
        done = journal.commit(Group(claim=[wanted, wanted]), OWNER, lease_seconds=60)
        assert sorted(numbers([*done.claimed[0], *done.claimed[1]])) == [0, 1, 2, 3]

    def test_an_old_fence_changes_nothing(self, journal: SqlJournal, clock: ManualClock) -> None:
        publish(journal, event(1))
        (old,) = claim(journal, lease_seconds=10)
        clock.advance(11)
        (new,) = claim(journal)
        assert (new.fence, new.attempts) == (old.fence + 1, 1), "a lease that ran out is a failed attempt"
        assert settle(journal, old) == [None]
        assert settle(journal, new) == [DeliveryState.DELIVERED]

    def test_an_old_fence_does_not_stand_in_the_way_of_the_new_one(self, journal: SqlJournal, clock: ManualClock) -> None:
        publish(journal, event(1))
        (old,) = claim(journal, lease_seconds=1)
        clock.advance(2)
        (new,) = claim(journal)
        assert settle(journal, old, new, new) == [None, DeliveryState.DELIVERED, DeliveryState.DELIVERED], "all in one group"

    def test_a_renewed_lease_lasts(self, journal: SqlJournal, clock: ManualClock) -> None:
        publish(journal, event(1))
        (claimed,) = claim(journal, lease_seconds=10)
        assert journal.renew_events([(claimed.id, claimed.fence), (claimed.id, 99)], lease_seconds=60) == [True, False]
        clock.advance(30)
        assert claim(journal) == []

    def test_a_failure_waits_until_it_is_due(self, journal: SqlJournal, clock: ManualClock) -> None:
        publish(journal, event(1))
        due_at_us = clock.now_us() + 5 * SECOND_US
        assert settle(journal, *claim(journal), state=DeliveryState.DUE, error="away", due_at_us=due_at_us) == [DeliveryState.DUE]
        assert claim(journal) == []
        clock.advance(5)
        (again,) = claim(journal)
        assert again.attempts == 1
        settle(journal, again, state=DeliveryState.DUE, due_at_us=clock.now_us(), counts_attempt=False)
        assert journal.delivery(again.id).attempts == 1

    def test_given_up_stands_in_quarantine_and_can_be_released(self, journal: SqlJournal) -> None:
        publish(journal, event(1, key="k"), event(2, key="k"), event(3, key="other"))
        claimed = claim(journal)
        assert numbers(claimed) == [1, 3]
        settle(journal, claimed[0], state=DeliveryState.QUARANTINED, error="RNK5600E")
        settle(journal, claimed[1])
        (entry,) = journal.quarantine(tenant=TENANT)
        assert entry.delivery == claimed[0].id
        assert claim(journal) == [], "a failing head holds its own key, and only that"
        journal.release(entry.id, by="operator")
        (again,) = claim(journal)
        settle(journal, again)
        assert numbers(claim(journal)) == [2]

    def test_skipped_lets_the_next_go(self, journal: SqlJournal) -> None:
        publish(journal, event(1, key="k"), event(2, key="k"))
        settle(journal, *claim(journal), state=DeliveryState.QUARANTINED, error="x")
        journal.skip(journal.quarantine(tenant=TENANT)[0].id, by="operator")
        assert numbers(claim(journal)) == [2]

    def test_who_never_acknowledges_ends_in_quarantine(self, journal: SqlJournal, clock: ManualClock) -> None:
        publish(journal, event(1, to(way=Way.PULL)))
        for _ in range(3):
            assert len(claim(journal, way=Way.PULL, most_attempts=3, lease_seconds=5)) == 1
            clock.advance(6)
        assert claim(journal, way=Way.PULL, most_attempts=3) == []
        assert [entry.kind.value for entry in journal.quarantine(tenant=TENANT)] == ["given_up"]

    def test_push_and_pull_are_claimed_apart(self, journal: SqlJournal) -> None:
        publish(journal, event(1, to("a", way=Way.PULL), to("b")))
        assert claim(journal, subscription="a") == []
        assert len(claim(journal, subscription="a", way=Way.PULL)) == 1
        assert journal.waiting(way="push") == [(TENANT, "b")]
        assert list(journal.claim("node1", lease_seconds=60, limit=10)) == [], "no event is claimed as a file"

    def test_waiting_names_each_place_once(self, journal: SqlJournal, clock: ManualClock) -> None:
        publish(journal, *(event(n, to("a"), to("b")) for n in range(5)), event(9, to("c"), tenant="331007"))
        assert sorted(journal.waiting(way="push")) == [("331007", "c"), (TENANT, "a"), (TENANT, "b")]
        claim(journal, 10, "a")
        assert (TENANT, "a") not in journal.waiting(way="push")

    def test_lanes_go_first(self, journal: SqlJournal) -> None:
        publish(journal, event(1, to(lane=Lane.BULK)), event(2), event(3, to(lane=Lane.URGENT)))
        assert numbers(claim(journal, 2)) == [3, 2]

    def test_handed_over_at_once_when_it_is_first(self, journal: SqlJournal, clock: ManualClock) -> None:
        first, second = publish(journal, event(1, to(hand_over=True), key="k"), event(2, to(hand_over=True), key="k"))
        assert numbers(first.handed_over) == [1]
        assert not second.handed_over
        assert claim(journal) == []
        settle(journal, *first.handed_over)
        assert numbers(claim(journal)) == [2]

    def test_what_a_dead_node_was_handed_goes_to_another(self, journal: SqlJournal, clock: ManualClock) -> None:
        publish(journal, event(1, to(hand_over=True)))
        clock.advance(61)
        assert numbers(claim(journal, owner="node2")) == [1]

    def test_a_restarted_node_frees_its_own(self, journal: SqlJournal) -> None:
        (taken,) = publish(journal, event(1, to(hand_over=True)))
        assert journal.unclaim(OWNER) == 1
        assert settle(journal, *taken.handed_over) == [None]
        assert len(claim(journal)) == 1

    # support measures

    def test_a_flag_holds_back_the_address_at_its_system(self, journal: SqlJournal) -> None:
        publish(journal, event(1, to("flags", flags=True, lane=Lane.URGENT), key="p"))
        publish(journal, event(2, to("addresses", waits=True), to("elsewhere", system="020", waits=True), key="p"))
        publish(journal, event(3, to("addresses", waits=True), key="someone else"))
        assert numbers(claim(journal, subscription="addresses")) == [3]
        assert numbers(claim(journal, subscription="elsewhere")) == [2]
        settle(journal, *claim(journal, subscription="flags"))
        assert numbers(claim(journal, subscription="addresses")) == [2]

    def test_a_flag_that_comes_later_holds_back_what_is_not_yet_sent(self, journal: SqlJournal) -> None:
        publish(journal, event(1, to("addresses", waits=True), key="p"))
        publish(journal, event(2, to("flags", flags=True), key="p"))
        assert claim(journal, subscription="addresses") == []
        settle(journal, *claim(journal, subscription="flags"))
        assert numbers(claim(journal, subscription="addresses")) == [1]

    def test_an_address_that_failed_waits_for_the_flag_too(self, journal: SqlJournal, clock: ManualClock) -> None:
        publish(journal, event(1, to("addresses", waits=True), key="p"))
        (sent,) = claim(journal, subscription="addresses")
        publish(journal, event(2, to("flags", flags=True), key="p"))
        settle(journal, sent, state=DeliveryState.DUE, due_at_us=clock.now_us(), error="away")
        assert claim(journal, subscription="addresses") == []
        settle(journal, *claim(journal, subscription="flags"))
        assert numbers(claim(journal, subscription="addresses")) == [1]

    # the rest

    def test_an_address_whose_lease_ran_out_waits_for_the_flag_too(self, journal: SqlJournal, clock: ManualClock) -> None:
        address = [to("addresses", waits=True)]
        publish(journal, event(1, *address, key="k"))
        (lost,) = claim(journal, subscription="addresses", lease_seconds=10)
        publish(journal, event(2, to("flags", flags=True), key="k"))
        clock.advance(11)
        assert claim(journal, subscription="addresses") == [], "what its dead node had not sent must not overtake the flag"
        assert settle(journal, lost) == [None]
        assert journal.entries(TENANT, subject=lost.id)[-1].kind == "attempt_failed"
        assert settle(journal, *claim(journal, subscription="flags")) == [DeliveryState.DELIVERED]
        (again,) = claim(journal, subscription="addresses")
        assert (again.id, again.attempts) == (lost.id, 1)

    def test_replies_are_found(self, journal: SqlJournal) -> None:
        (asked,) = publish(journal, event(1))
        assert journal.reply_to(asked.message) is None
        (answer, _) = publish(journal, event(2, in_reply_to=asked.message), event(3, in_reply_to=asked.message))
        found = journal.reply_to(asked.message)
        assert found is not None
        assert found.message == answer.message

    def test_what_was_sent_can_be_read_again(self, journal: SqlJournal) -> None:
        publish(journal, *(event(n, to(way=Way.PULL)) for n in range(1, 5)))
        settle(journal, *claim(journal, 3, way=Way.PULL))
        assert [one.number for one in journal.sent_after(TENANT, "welfare", 1, limit=10)] == [2, 3]

    def test_poison_is_kept_once(self, journal: SqlJournal) -> None:
        part = Part("poison", 0, "332020/p/poison-000000", 3, 3, "ab" * 32, "identity", True)
        poison = PoisonEvent(TENANT, "moves", "resident_amqp", "in.moves", '{"id": "RNK7301E"}', part)
        first, again = journal.poison(poison), journal.poison(poison)
        assert first.id == again.id
        assert (first.kind.value, first.records, first.parts) == ("poison", 1, (part,))

    def test_a_dead_letter_is_kept_once_and_can_be_sent_again(self, journal: SqlJournal) -> None:
        part = Part("dead", 0, "332020/dead-1/dead-000000", 3, 3, "ab" * 32, "identity", True)
        publish(journal, event(1, key="k"))
        (sent,) = claim(journal)
        settle(journal, sent)
        letter = DeadLetter(TENANT, "welfare", "welfare_in", sent.id, "rejected", "out.welfare", "application/json", b"abc")
        entry, again = journal.dead_letter(letter, part), journal.dead_letter(letter, part)
        assert entry.id == again.id
        assert (entry.kind.value, entry.delivery) == ("dead_letter", sent.id)
        journal.release(entry.id, by="operator")
        (once_more,) = claim(journal)
        assert (once_more.event.attributes.id, once_more.number) == ("e1", 2)
        assert once_more.id != sent.id, "sent again on purpose: its receiver must not take it for a repetition"

    def test_a_dead_letter_of_nobody_is_kept_too(self, journal: SqlJournal) -> None:
        part = Part("dead", 0, "332020/dead-1/dead-000000", 3, 3, "ab" * 32, "identity", True)
        letter = DeadLetter(TENANT, "welfare", "welfare_in", "nonsense", "", "out.welfare", "", b"abc")
        entry = journal.dead_letter(letter, part)
        assert (entry.delivery, entry.parts) == (None, (part,))
        journal.skip(entry.id, by="operator")

    def test_an_event_that_is_none(self, journal: SqlJournal) -> None:
        with pytest.raises(NotFound):
            journal.event(f"{TENANT}-m1")

    def test_waits_survive_a_clock_that_jumps_back(self, journal: SqlJournal, clock: ManualClock) -> None:
        publish(journal, event(1), event(2))
        claim(journal, 1, lease_seconds=30)
        clock.advance(-3600)
        assert numbers(claim(journal, 10)) == [2]
        clock.advance(31)
        assert numbers(claim(journal, 10)) == [1]

    @pytest.mark.parametrize("seed", range(8))
    def test_order_per_key_whatever_happens(self, journal: SqlJournal, clock: ManualClock, seed: int) -> None:
        dice = random.Random(seed)
        sent: dict[str, list[int]] = {}
        seen: dict[str, list[int]] = {}
        unsettled = []
        for number in range(60):
            key = dice.choice("abc")
            sent.setdefault(key, []).append(number)
            publish(journal, event(number, key=key))
            unsettled += claim(journal, dice.randint(0, 4), lease_seconds=5)
            dice.shuffle(unsettled)
            while unsettled and dice.random() < 0.7:
                one = unsettled.pop()
                what = dice.random()
                if what < 0.6 and settle(journal, one) == [DeliveryState.DELIVERED]:
                    seen.setdefault(key_of_event(sent, one), []).extend(numbers([one]))
                elif what < 0.8:
                    settle(journal, one, state=DeliveryState.DUE, error="x", due_at_us=clock.now_us() + dice.randint(0, 3) * SECOND_US)
                else:
                    clock.advance(6)  # every lease runs out
        clock.advance(60)
        while claimed := claim(journal, 5):
            for one in claimed:
                assert settle(journal, one) == [DeliveryState.DELIVERED]
                seen.setdefault(key_of_event(sent, one), []).extend(numbers([one]))
        assert seen == sent


def key_of_event(sent: dict[str, list[int]], one: ClaimedEvent) -> str:
    (number,) = numbers([one])
    return next(key for key, known in sent.items() if number in known)
