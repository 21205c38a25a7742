"""Laws that a journal keeps with many threads at once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from journal_samples import Journal, accepted, identity, new_delivery, new_message, publish

from bus.message import DeliveryState, ReceiptOutcome

THREADS = 6


class ConcurrencyLaws:
    """N threads, one truth."""

    def test_no_delivery_is_claimed_by_two(self, journal: Journal) -> None:
        for sequence in range(1, 9):
            new = [new_delivery(name, key=str(sequence)) for name in ("welfare", "tax", "school")]
            accepted(journal, identity(tenant=f"33202{sequence % 3}", sequence=sequence), *new)
        start = Barrier(THREADS)

        def work(owner: str) -> list[str]:
            start.wait()
            mine: list[str] = []
            while claimed := journal.claim(owner, lease_seconds=600, limit=2):
                for one in claimed:
                    assert publish(journal, one) is DeliveryState.DELIVERED
                    mine.append(one.id)
            return mine

        with ThreadPoolExecutor(THREADS) as pool:
            found = Counter(one for mine in pool.map(work, map(str, range(THREADS))) for one in mine)
        assert len(found) == 24
        assert set(found.values()) == {1}
        assert {one.fence for one in journal.deliveries()} == {1}

    def test_one_file_dropped_many_times_at_once_is_one_message(self, journal: Journal) -> None:
        start = Barrier(THREADS)

        def work(_: int) -> tuple[str, ReceiptOutcome]:
            start.wait()
            begun = journal.begin(new_message())
            return begun.message.id, begun.outcome

        with ThreadPoolExecutor(THREADS) as pool:
            assert set(pool.map(work, range(THREADS))) == {("332020-m1", ReceiptOutcome.RECEIVING)}

    def test_the_sequence_of_entries_has_no_gap(self, journal: Journal) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            made = list(pool.map(lambda i: journal.note("332020", "viewed", str(i), {}).sequence, range(60)))
        assert sorted(made) == list(range(1, 61))
        assert [entry.sequence for entry in journal.entries("332020")] == list(range(1, 61))
