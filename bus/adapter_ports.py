"""The ports towards the systems: what an adapter gives the bus, as small Protocols.

Owns: how files come in (`Source`) and go out (`Sink`, `OpenSink`). Adapters implement it, the engine calls it, the node finds them by entry
point. Everything here is synchronous and may be called from several threads; the engine calls it through `asyncio.to_thread`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bus.message import Note


@dataclass(frozen=True, slots=True)
class Arrival:
    """A complete file, claimed: no other process will touch it. `path` is where it stands now, `name` what its sender called it."""

    endpoint: str
    tenant: str
    name: str
    path: Path
    bytes: int
    marker: Path | None


class Source(Protocol):
    """Where files come from. One owner per source."""

    def arrivals(self) -> Iterator[Arrival]:
        """Claim every file that is complete now, those claimed before a crash first; returns when there is none left."""
        ...

    def accepted(self, arrival: Arrival) -> None:
        """The journal has it: acknowledge, i.e. remove the claimed file and its marker. Doing it twice changes nothing."""
        ...

    def refused(self, arrival: Arrival, reason: Mapping[str, object]) -> Path:
        """Set the file aside in the restricted folder, with a reason file beside it. Returns where."""
        ...

    def give_back(self, arrival: Arrival) -> None:
        """Nothing was decided about it: let `arrivals` hand it out again."""
        ...

    def watch_folder(self) -> Path | None:
        """A folder whose changes mean new files, or None when the source must be polled."""
        ...

    def notes(self) -> Sequence[Note]:
        """What stands there and was not taken, with the reason; what was said before is left out as long as it lasts."""
        ...

    def next_look_seconds(self) -> float | None:
        """When `arrivals` should be asked again although nothing changes (a file waits for stillness); None: no need."""
        ...


@dataclass(frozen=True, slots=True)
class Publication:
    """What a sink has to do to publish: rename each (temporary, final), in order, the marker last. JSON-able through `as_json`."""

    renames: Sequence[tuple[str, str]]
    bytes: int

    def as_json(self) -> dict[str, object]:
        """For the journal."""
        return {"renames": [list(pair) for pair in self.renames], "bytes": self.bytes}

    @staticmethod
    def of_json(data: Mapping[str, object]) -> Publication:
        """The opposite of `as_json`."""
        renames = data["renames"]
        assert isinstance(renames, list)  # noqa: S101 - written by as_json
        return Publication(tuple((str(a), str(b)) for a, b in renames), int(str(data["bytes"])))


class OpenSink(Protocol):
    """One delivery being written under temporary names. Nothing is visible to the receiver before `publish`."""

    def write_chunk(self, index: int, data: bytes) -> None:
        """Append; chunks come in order of index."""
        ...

    def seal(self, marker: bytes | None) -> Publication:
        """Make all bytes durable, prepare the marker file (if any), and say what publishing will do."""
        ...

    def abort(self) -> None:
        """Remove what was written."""
        ...


class RandomAccess(Protocol):
    """An extra capability of a local file: several processes write at offsets."""

    def local_path(self, number: int = 0) -> Path:
        """The temporary of file `number`, existing, to be opened and written with pwrite. Files are begun in order; those never begun
        are not published."""
        ...


class Adapter(Protocol):
    """What an entry point of the group `renkei.adapters` names: makes sources and sinks from an endpoint's settings."""

    def source(self, settings: Mapping[str, object], endpoint: str, tenant: str, folder: Path) -> Source:
        """A source. `folder` is the site's. SiteInvalid when the settings are not a source's."""
        ...

    def sink(self, settings: Mapping[str, object], endpoint: str, tenant: str, folder: Path) -> Sink:
        """A sink. `folder` is the site's. SiteInvalid when the settings are not a sink's."""
        ...


class Sink(Protocol):
    """Where files go. With several names, file by file: `OpenSink.write_chunk(i, ...)` writes file i whole."""

    def open(self, delivery_id: str, fence: int, file_names: Sequence[str], marker_name: str | None) -> OpenSink:
        """Begin under temporary names of this delivery and fence; leftovers of older fences are removed.

        Raises:
            Transient: the place cannot be reached or written now, or a final name is still there, not yet taken by its receiver.
            Permanent: trying again cannot help (no right to write, a name that cannot be).
        """
        ...

    def publish(self, publication: Publication) -> None:
        """Rename all, in order, never over an existing file; a temporary file that is gone was published before. Durable on return."""
        ...
