"""Files handed in by an operator, or uploaded by an application, instead of being dropped by their system.

Owns: submissions and how far each is. The operator's file is copied and stays where it is; an upload is moved, and is the only one there
is. Either goes through the same intake as any file, and one that a stopped node left is taken in by the next. Progress is kept in memory
only: the journal holds what became of the file.
A submission goes by the name of its copy's folder, so that its id is never given twice and the next node knows it too.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bus.adapter_ports import Arrival
from bus.batch.recipes import Recipes
from bus.durable import sync
from bus.errors import OperationRefused, told_of
from bus.intake import Taken
from bus.message import Note
from bus.names import NamePattern


@dataclass(slots=True)
class Progress:
    """How far a file is; an `Observer` of intake. `taken` is set at the end, `error` when the intake could not decide."""

    stage_now: str = "cut"
    done: int = 0
    total: int = 0
    taken: Taken | None = None
    error: Exception | None = None

    def stage(self, stage: str, seconds: float) -> None:
        """A stage ended."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """So many records of a stage are done."""
        self.stage_now, self.done, self.total = stage, done, total


@dataclass(frozen=True, slots=True)
class SubmittedSource:
    """The source of submitted copies: accepted ones are removed, refused ones set aside in a restricted folder."""

    refused_folder: Path

    def arrivals(self) -> Iterator[Arrival]:
        """Nothing arrives by itself."""
        return iter(())

    def accepted(self, arrival: Arrival) -> None:
        """Remove the copy and its folder."""
        shutil.rmtree(arrival.path.parent, ignore_errors=True)

    def refused(self, arrival: Arrival, reason: Mapping[str, object]) -> Path:
        """Keep the copy in the restricted folder with the reason beside it."""
        kept = self.refused_folder / arrival.tenant / arrival.path.parent.name
        kept.mkdir(parents=True, mode=0o700, exist_ok=True)
        target = kept / arrival.name
        shutil.move(arrival.path, target)
        (kept / f"{arrival.name}.reason.json").write_text(json.dumps(reason, ensure_ascii=False, indent=1), "utf-8")
        shutil.rmtree(arrival.path.parent, ignore_errors=True)
        return target

    def give_back(self, arrival: Arrival) -> None:
        """A copy is removed: whoever submitted it sees the failure. What was uploaded stays, to be tried again."""
        if not _is_adopted(arrival.path.parent.name):
            self.accepted(arrival)

    def watch_folder(self) -> Path | None:
        """Nothing to watch."""
        return None

    def notes(self) -> Sequence[Note]:
        """Nothing is left behind: what cannot be submitted is refused at once."""
        return ()

    def next_look_seconds(self) -> float | None:
        """Nothing waits."""
        return None


_HALF: Final = ".half-"
"""Before the name of a copy's folder until the copy is whole. The name itself is tenant, endpoint and something of its own."""
_ADOPTED: Final = "upload-"
"""Before that something of its own, where no copy of the file is left elsewhere."""
REMEMBERED: Final = 1000
"""Submissions whose progress can be asked for; of more, those that ended first are forgotten."""


def _arrival(copy: Path) -> Arrival:
    tenant, endpoint, _ = copy.parent.name.split(".", 2)
    return Arrival(endpoint, tenant, copy.name, copy, copy.stat().st_size, None)


def _is_adopted(folder: str) -> bool:
    return folder.split(".", 2)[-1].startswith(_ADOPTED)


def _copy(path: Path, copy: Path) -> None:
    """Copy a file, durably: half a copy must not look like a whole one after a power failure."""
    before = path.stat()
    shutil.copyfile(path, copy)
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise OperationRefused("RNK4018E", file=path.name, before=before.st_size, after=after.st_size)
    sync(copy)
    sync(copy.parent)


@dataclass(slots=True)
class Submissions:
    """Submitted files of one site. `start` is called with each arrival and its progress, from any thread."""

    recipes: Recipes
    folder: Path
    start: Callable[[Arrival, Progress], None]
    _known: dict[str, Progress] = field(default_factory=dict)

    def submit(self, path: Path, interface: str | None, tenant: str | None) -> str:
        """Copy the file and start its intake. Returns the id to ask for progress with.

        Raises:
            OperationRefused: no such file, not exactly one interface takes it, or it changes. OSError: it cannot be copied.
        """
        if not path.is_file():
            raise OperationRefused("RNK6086E", path=str(path))
        code, endpoint = self._destination(path.name, interface, tenant)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        half = Path(tempfile.mkdtemp(prefix=f"{_HALF}{code}.{endpoint}.", dir=self.folder))
        try:
            _copy(path, half / path.name)
            whole = half.rename(half.with_name(half.name.removeprefix(_HALF)))
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise
        sync(self.folder)
        self.start(_arrival(whole / path.name), self._remember(whole.name))
        return whole.name

    def endpoint_of(self, name: str, interface: str, tenant: str) -> str:
        """The endpoint that a file of that name would come in by.

        Raises:
            OperationRefused: the interface takes no file of that name.
        """
        return self._destination(name, interface, tenant)[1]

    def adopted_name(self, tenant: str, endpoint: str, key: str) -> str:
        """The id that an adopted file has."""
        return f"{tenant}.{endpoint}.{_ADOPTED}{key}"

    def adopt(self, path: Path, name: str, tenant: str, endpoint: str, key: str) -> str:
        """Move a file here that is whole and durable, and start its intake. Twice under one `key` is once. Returns the id to ask for
        progress with.

        Raises:
            OSError: it cannot be moved; it is where it was.
        """
        whole = self.folder / self.adopted_name(tenant, endpoint, key)
        progress = self._known.get(whole.name) or self._remember(whole.name)  # from now on `resume` leaves the folder alone
        if not (whole / name).exists():
            whole.mkdir(parents=True, mode=0o700, exist_ok=True)
            sync(self.folder)
            path.rename(whole / name)
            sync(whole)
        self.start(_arrival(whole / name), progress)
        return whole.name

    def again(self, intake: str) -> bool:
        """Start the intake of an adopted file anew whose intake could not decide. False: it is not there any more."""
        for copy in (self.folder / intake).iterdir() if (self.folder / intake).is_dir() else ():
            self.start(_arrival(copy), self._remember(intake))
            return True
        return False

    def _remember(self, intake: str) -> Progress:
        ended = [known for known, progress in list(self._known.items()) if progress.taken is not None or progress.error is not None]
        for known in ended[: max(0, len(self._known) - REMEMBERED + 1)]:
            self._known.pop(known, None)
        progress = self._known[intake] = Progress()
        return progress

    def resume(self) -> None:
        """Start the intake of what an earlier run of the node was given and did not decide upon; forget half-made copies."""
        for folder in sorted(self.folder.iterdir()) if self.folder.is_dir() else []:
            if folder.name in self._known:
                continue
            copies = [] if folder.name.startswith(_HALF) else list(folder.iterdir())
            if not copies:
                shutil.rmtree(folder, ignore_errors=True)
            for copy in copies:
                self.start(_arrival(copy), self._remember(folder.name))

    def progress(self, intake: str) -> Progress:
        """How far a submission is.

        Raises:
            OperationRefused: there is no such submission, or it stopped undecided.
        """
        if intake not in self._known:
            raise OperationRefused("RNK6087E", intake=intake)
        progress = self._known[intake]
        if progress.error is not None:
            raise OperationRefused("RNK6088E", intake=intake, reason=told_of(progress.error)) from progress.error
        return progress

    def _destination(self, name: str, interface: str | None, tenant: str | None) -> tuple[str, str]:
        found = [
            (code, known.endpoint, known.id)
            for code, loaded in self.recipes.site.tenants.items()
            if tenant in (None, code)
            for known in loaded.tenant.interfaces
            if interface in (None, known.id) and known.kind != "event"
        ]
        by_name = [(code, endpoint, known) for code, endpoint, known in found if self._takes(code, known, name)]
        if len(by_name) != 1:
            among = ", ".join(f"{code} {known}: {self.recipes.interface(code, known).file}" for code, _, known in (by_name or found))
            raise OperationRefused("RNK6089E" if by_name else "RNK6090E", file=name, interfaces=among)
        return by_name[0][0], by_name[0][1]

    def _takes(self, code: str, interface: str, name: str) -> bool:
        return NamePattern(self.recipes.interface(code, interface).file).match(name) is not None
