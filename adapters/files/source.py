"""Files in: complete files of a drop folder are claimed by renaming, acknowledged by removing, refused by setting aside.

Owns: the order in which that happens. What is complete is decided in `waiting`, how a claim survives a crash in `claims`. One owner per
drop folder; its methods may be called from several threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from adapters.files.claims import Claim, Claims
from adapters.files.errors import telling
from adapters.files.open_writers import is_being_written
from adapters.files.refusals import Refusals
from adapters.files.settings import SourceSettings
from adapters.files.waiting import DropFolder, Ready
from bus.adapter_ports import Arrival
from bus.errors import TransportError
from bus.message import Note
from bus.names import NamePattern
from bus.steps import reached


class FilesSource:
    """A drop folder as a `Source`. `clock` gives seconds that never jump; stillness is measured with it, not with the time of day."""

    def __init__(
        self, settings: SourceSettings, *, endpoint: str, tenant: str, folder: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = endpoint
        self._tenant = tenant
        self._folder = folder
        self._clock = clock
        claimed, refused = folder / settings.claimed, folder / settings.refused
        marker = NamePattern(settings.marker) if settings.marker is not None else None
        self._drop = DropFolder(
            folder,
            marker,
            stable_seconds=settings.stable_seconds,
            ignore=tuple(settings.ignore),
            ours=frozenset((claimed, refused)),
        )
        self._claims = Claims(folder, claimed)
        self._refusals = Refusals(refused)
        self._handed_out: set[str] = set()
        self._lock = threading.Lock()

    def arrivals(self) -> Iterator[Arrival]:
        """Claim every complete file, one at a time as the caller asks for the next; files claimed before a crash come first.

        Raises:
            Transient, Permanent: the folder cannot be read or written; or, when all others were handed out, a file cannot be claimed.
        """
        while claim := self._leftover():
            yield self._handing_out(claim)
        taken = True
        while taken:
            taken, trouble = False, None
            for ready in self._look():
                try:
                    claim = self._claim(ready)
                except TransportError as error:
                    trouble = trouble or error
                    continue
                if claim:
                    taken = True
                    yield self._handing_out(claim)
        if trouble is not None:
            raise trouble

    def accepted(self, arrival: Arrival) -> None:
        """Remove the claimed file and its marker, durably. Again changes nothing.

        Raises:
            Transient, Permanent: it could not be removed; ask again.
        """
        with telling(arrival.path):
            self._claims.forget(arrival.path)
        self._handed_out.discard(arrival.path.parent.name)

    def refused(self, arrival: Arrival, reason: Mapping[str, object]) -> Path:
        """Set the file aside in the restricted folder with its reason beside it. Give `message_id` and `facts` in `reason` to have
        it told in words. Again changes nothing.

        Raises:
            Transient, Permanent: it could not be moved; ask again.
        """
        with telling(arrival.path):
            place = self._refusals.set_aside(arrival.path, arrival.name, reason)
            self._claims.forget(arrival.path)
        self._handed_out.discard(arrival.path.parent.name)
        return place

    def watch_folder(self) -> Path | None:
        """The drop folder."""
        return self._folder

    def give_back(self, arrival: Arrival) -> None:
        """Let `arrivals` hand this claim out again: its work could not be finished now (the journal was away)."""
        self._handed_out.discard(arrival.path.parent.name)

    def notes(self) -> list[Note]:
        """What stands in the folder and was not taken, with the reason; each once as long as it lasts."""
        with self._lock:
            return self._drop.notes.take()

    def next_look_seconds(self) -> float | None:
        """When `arrivals` should be asked again although nothing changes: a file waits for stillness. None: no file does."""
        with self._lock:
            return self._drop.next_look_seconds(self._clock())

    def _look(self) -> list[Ready]:
        with self._lock, telling(self._folder):
            return self._drop.look(self._clock())

    def _leftover(self) -> Claim | None:
        """The oldest claim that nobody works on and nobody writes to."""
        with self._lock, telling(self._folder):
            left = (claim for claim in self._claims.leftovers(self._handed_out) if not _is_written_to(claim.data))
            return self._reserved(next(left, None))

    def _claim(self, ready: Ready) -> Claim | None:
        with self._lock, telling(self._folder / ready.name):
            if self._drop.is_held(ready.name):
                return None
            reached("before_claim")
            claim = self._claims.take(ready.name, ready.marker, ready.look)
            # Now that no new writer can find it, whoever still holds it open is the last one to ask about.
            if claim is not None and is_being_written(claim.data):
                self._claims.put_back(claim)
                return None
            return self._reserved(claim)

    def _reserved(self, claim: Claim | None) -> Claim | None:
        if claim is not None:
            self._handed_out.add(claim.token)
        return claim

    def _handing_out(self, claim: Claim) -> Arrival:
        with telling(claim.data):
            size = claim.data.stat().st_size
        marker = claim.marker if claim.marker is not None and claim.marker.exists() else None
        return Arrival(self._endpoint, self._tenant, claim.data.name, claim.data, size, marker)


def _is_written_to(claimed: Path) -> bool:
    try:
        return is_being_written(claimed)
    except OSError:
        return False  # whoever takes it in is told why it cannot be read; the others are not held up
