"""Nights with faults: one site, file after file, each with a kill somewhere, each compared with a night that nothing disturbed.

A night is whole when the receivers hold exactly the bytes of the undisturbed night, each file and marker once; when the journal says so
too, with the same totals and no more entries in quarantine; when the original can be given back bit for bit; and when nothing is left
lying about: no claimed file, no temporary, no work folder.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bus.journal.journal import SqlJournal
from bus.message import FINISHED, Delivery, Message, MessageState
from bus.payloads import DirectoryPayloads
from bus.security.seal import IdentitySeal
from tests.backends import has_journal, site_journal
from tests.faults.night_site import SUBSCRIPTIONS, TENANT, drop, people, write_site
from tests.faults.real_node import RealNode, until
from tests.faults.receiver import Receiver

UNDISTURBED = 1
"""The sequence number of the night that nothing disturbs."""


@dataclass
class Outcome:
    """What a case ended with. `recovered`: the node finished the night after the kill by itself."""

    lost: int
    duplicated: int
    recovered: bool

    def __str__(self) -> str:
        return f"lost {self.lost}  duplicated {self.duplicated}  {'recovered' if self.recovered else 'NOT RECOVERED'}"


@dataclass
class Nights:
    """A site, its node and its receivers. `sequence` numbers the nights; the first one is undisturbed."""

    site: Path
    node: RealNode
    receiver: Receiver
    data: bytes
    sequence: int = 0
    expected: dict[str, bytes] = field(default_factory=dict)
    """what the receivers took in the undisturbed night, by label without the sequence"""

    def drop(self) -> int:
        """Drop the next night's file; returns its sequence."""
        self.sequence += 1
        drop(self.site, self.sequence, self.data)
        return self.sequence

    def message(self, sequence: int) -> Message | None:
        """The message of a night."""
        if not has_journal(self.site):
            return None
        found = self.journal.messages(tenant=TENANT, limit=1000)
        return next((message for message in found if message.identity.sequence == sequence), None)

    def deliveries(self, sequence: int) -> dict[str, Delivery]:
        """The deliveries of a night, by subscription."""
        message = self.message(sequence)
        found = self.journal.deliveries(message=message.id) if message else ()
        return {delivery.subscription: delivery for delivery in found}

    def finished(self, sequence: int) -> bool:
        """Whether everything of a night is done."""
        deliveries = self.deliveries(sequence)
        return len(deliveries) == len(SUBSCRIPTIONS) and all(
            [
                all(delivery.state in FINISHED for delivery in deliveries.values()),
                bool(self.journal.receipts(message=next(iter(deliveries.values())).message)),
                not self.left_over(),
            ]
        )

    def finish(self, sequence: int) -> None:
        """Wait until a night is done."""
        until(lambda: self.finished(sequence), f"night {sequence} is finished", lambda: self._why(sequence))

    def left_over(self) -> list[Path]:
        """What should be gone when no night is under way."""
        places = [self.site / "drop", *(self.site / "out").iterdir(), self.site / "var" / "payloads" / ".writing"]
        places += list((self.site / "var" / "work").glob("*"))
        # os.walk bears folders that the node removes meanwhile; rglob does not
        found = [Path(folder) / name for place in places for folder, inner, names in os.walk(place) for name in (*inner, *names)]
        return [path for path in found if path not in (self.site / "drop" / "claimed", self.site / "drop" / "refused")]

    def taken(self, sequence: int) -> dict[str, bytes]:
        """What the receivers took of a night, by label with the sequence replaced."""
        number = f"{sequence:03}"
        return {
            label.replace(number, "SEQ"): (self.receiver.taken / label).read_bytes().replace(number.encode(), b"SEQ")
            if label.endswith(".end")  # a marker names its file
            else (self.receiver.taken / label).read_bytes()
            for label in self.receiver.times
            if label.split("/")[1].startswith(number)
        }

    def outcome(self, sequence: int) -> Outcome:
        """What a night came to."""
        times = Counter({label: count for label, count in self.receiver.times.items() if label.split("/")[1].startswith(f"{sequence:03}")})
        lost = len(self.expected.keys() - self.taken(sequence).keys())
        return Outcome(lost, times.total() - len(times), recovered=self.finished(sequence))

    def check(self, sequence: int) -> None:
        """Everything that makes a night whole."""
        taken = self.taken(sequence)
        assert {label: len(data) for label, data in taken.items()} == {label: len(data) for label, data in self.expected.items()}
        assert taken == self.expected
        assert self.outcome(sequence).duplicated == 0
        message, good = self.message(sequence), self.message(UNDISTURBED)
        assert message is not None
        assert good is not None
        assert message.state is MessageState.ACCEPTED
        assert (message.good, message.rejected, message.broken) == (good.good, good.rejected, good.broken)
        assert len(self.journal.receipts(message=message.id)) == 1
        deliveries, undisturbed = self.deliveries(sequence), self.deliveries(UNDISTURBED)
        for subscription, delivery in deliveries.items():
            assert _booked(delivery) == _booked(undisturbed[subscription])
            assert delivery.taken_in.records == delivery.out.records + delivery.filtered.records + delivery.refused.records
            assert delivery.attempts == 0, "a killed process is no failed attempt"
        assert self._quarantined(message) == self._quarantined(good)
        parts = [part for chunk in self.journal.chunks(message.id) if chunk.done for part in chunk.done.parts]
        payloads = DirectoryPayloads(self.site / "var" / "payloads", IdentitySeal())
        assert b"".join(payloads.original(message, parts)) == self.data
        assert not self.left_over()

    def _quarantined(self, message: Message) -> list[tuple[str, int, object]]:
        found = self.journal.quarantine(message=message.id)
        return sorted((entry.kind.value, entry.records, str(entry.facts)) for entry in found)

    def _why(self, sequence: int) -> str:
        states = {name: (delivery.state.value, delivery.last_error) for name, delivery in self.deliveries(sequence).items()}
        message = self.message(sequence)
        return f"{message and message.state} {states} {self.left_over()} {self.node.told()}"

    @cached_property
    def journal(self) -> SqlJournal:
        """The journal, for reading. The node has made it by the time it is first asked for."""
        return site_journal(self.site)


def _booked(delivery: Delivery) -> tuple[object, ...]:
    return delivery.state, delivery.taken_in, delivery.out, delivery.filtered, delivery.refused, delivery.bytes_out


@contextlib.contextmanager
def nights(folder: Path) -> Iterator[Nights]:
    """A new site with a running node, after one undisturbed night."""
    site = write_site(folder / "site")
    targets = [site / "out" / subscription for subscription in SUBSCRIPTIONS]
    node = RealNode(site)
    with Receiver(targets, folder / "taken") as receiver:
        made = Nights(site, node, receiver, people())
        try:
            made.drop()
            node.start()
            made.finish(UNDISTURBED)
            made.expected = made.taken(UNDISTURBED)
            yield made
        finally:
            node.end()
            if "journal" in made.__dict__:
                made.journal.close()
