"""A process that accepts events and sends them to a file, for the tests that kill it.

`python -m tests.events.sending_process FOLDER COUNT JOURNAL [PASSWORD_FILE]`: what was accepted before stays; the rest of the COUNT events
is accepted now. It ends when everything has been booked as delivered.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from bus.clock import SystemClock
from bus.event import OutgoingEvent
from bus.events.dispatch import EventDispatcher
from bus.events.group_commit import GroupCommit
from bus.events.render import Renderer
from bus.journal.journal import SqlJournal
from bus.message import DeliveryState
from bus.site import Limits
from tests.events.sending_doubles import OWNER, TENANT, Bodies, Configured, NoTranslations, Observer, event
from tests.journal.event_samples import to

KEYS = 3


class FileSink:
    """A receiver that has an event once its line is in the file."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def send(self, sent: OutgoingEvent) -> None:
        os.write(self._descriptor, f"{sent.delivery} {sent.attributes.id} {sent.attributes.subject}\n".encode())
        await asyncio.sleep(0)

    async def close(self) -> None:
        os.close(self._descriptor)


async def run(folder: Path, count: int, journal_at: str, password_file: Path | None = None) -> None:
    clock = SystemClock()
    journal = SqlJournal.open(journal_at, clock, password_file=password_file)
    journal.unclaim(OWNER)
    done_before = len(journal.deliveries(state=DeliveryState.DELIVERED, limit=1000))
    commits, observer, sink = GroupCommit(journal, OWNER), Observer(), FileSink(folder / "received")
    receivers = Configured({"welfare_in": sink}, {"welfare_in": Limits(concurrent=4)})
    renderer = Renderer(NoTranslations(), Bodies())
    dispatcher = EventDispatcher(
        OWNER, commits=commits, journal=journal, receivers=receivers, renderer=renderer, observer=observer, clock=clock
    )
    for number in range(count):
        handed = dispatcher.reserve(TENANT, "welfare_in", "welfare")
        taken = await commits.accept(event(number, to(hand_over=handed), key=f"k{number % KEYS}"))
        if handed and not taken.handed_over:
            dispatcher.unreserve(TENANT, "welfare_in")
        dispatcher.hand_over(taken.handed_over)
    sending = asyncio.create_task(dispatcher.run())
    await observer.has("delivered", count - done_before)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await asyncio.to_thread(commits.close)
    await sink.close()
    journal.close()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], *map(Path, sys.argv[4:])))
