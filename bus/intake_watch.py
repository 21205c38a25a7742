"""Watching the sources: whenever files are complete, take them in.

Owns: when sources are asked. Changes in a watched folder wake its source at once; every source is asked again every few seconds anyway,
because notifications may be lost and stillness makes no noise. Each source is worked off in order; sources do not wait for each other.
Trouble with one file or one source is logged and tried again later; it holds up no other file and never ends the watch.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from watchfiles import awatch

from bus.adapter_ports import Arrival, Source
from bus.errors import told_of
from bus.intake import Intake, Observer, Taken
from bus.intake_report import Reporter
from contracts.errors import RenkeiError
from monitoring.log import log

SWEEP_SECONDS: Final = 2.0
"""How often every source is asked, whatever the notifications say."""
LEAST_SECONDS: Final = 0.1
"""How soon at the most a source is asked again of its own wish: a file that stood still may be held open for long."""

Key = tuple[str, str]
"""Tenant and endpoint."""


@dataclass(slots=True)
class SourceWatch:
    """The sources of a node, by (tenant, endpoint). `run` goes on until it is cancelled."""

    sources: Mapping[Key, Source]
    intake: Intake
    reporter: Reporter
    _wake: dict[Key, asyncio.Event] = field(default_factory=dict)

    async def run(self) -> None:
        """Watch for ever."""
        self._wake = {key: asyncio.Event() for key in self.sources}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._notice())
            for key, source in self.sources.items():
                tasks.create_task(self._attend(key, source))

    async def _notice(self) -> None:
        """Wake sources whose folders change. Folders that are not there (a share not mounted) are left to the sweep until they are."""
        folders: dict[Path, list[Key]] = {}
        for key, source in self.sources.items():
            folder = source.watch_folder()
            if folder is not None:
                folders.setdefault(await asyncio.to_thread(folder.resolve), []).append(key)
        while folders:
            there = await asyncio.to_thread(_present, folders)
            try:
                if there:
                    await self._notice_in(there, folders)
            except (OSError, RuntimeError) as error:
                log("RNK7013W", reason=told_of(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def _notice_in(self, there: list[Path], folders: Mapping[Path, list[Key]]) -> None:
        """Until other folders are there than were."""
        sweep_ms = int(SWEEP_SECONDS * 1000)
        async for changes in awatch(*there, recursive=False, debounce=50, step=20, rust_timeout=sweep_ms, yield_on_timeout=True):
            for folder in {Path(path).parent for _, path in changes}:
                for key in folders.get(folder, []):
                    self._wake[key].set()
            if not changes and await asyncio.to_thread(_present, folders) != there:
                return

    async def _attend(self, key: Key, source: Source) -> None:
        wake = self._wake[key]
        while True:
            wake.clear()
            try:
                await self._take_all(key, source)
            except (RenkeiError, OSError) as error:
                log("RNK7010E", tenant=key[0], endpoint=key[1], reason=told_of(error))
            for note in source.notes():
                log(note.message_id, tenant=key[0], endpoint=key[1], **note.facts)
            soon = source.next_look_seconds()
            wait_seconds = SWEEP_SECONDS if soon is None else min(max(soon, LEAST_SECONDS), SWEEP_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):  # wait_for would lose a cancellation that comes as it is woken
                    await wake.wait()

    async def _take_all(self, key: Key, source: Source) -> None:
        """Take in what is complete. A file that cannot be decided upon now is given back at the end, so that it holds up no other."""
        undecided: list[Arrival] = []
        arrivals = source.arrivals()
        try:
            while (arrival := await asyncio.to_thread(next, arrivals, None)) is not None:
                undecided.append(arrival)
                try:
                    await take_one(self.intake, source, arrival, self.reporter.observer(), self.reporter)
                    undecided.pop()
                except Exception as error:  # noqa: BLE001 - one file, whatever is wrong with it, never stops the others
                    log("RNK7014E", tenant=key[0], endpoint=key[1], file=arrival.name, reason=_told(error))
        finally:
            for arrival in undecided:
                source.give_back(arrival)


async def take_one(intake: Intake, source: Source, arrival: Arrival, observer: Observer, reporter: Reporter) -> Taken:
    """Take one file in and report what became of it.

    Raises:
        RenkeiError, OSError: what kept it from being decided; the file is still claimed.
    """
    taken = await intake.take(arrival, source, observer)
    reporter.took(arrival, taken)
    return taken


def _present(folders: Iterable[Path]) -> list[Path]:
    return [folder for folder in folders if folder.is_dir()]


def _told(error: Exception) -> str:
    """What went wrong; of an unexpected error only its kind, because its text may hold values of the file."""
    return str(error) if isinstance(error, RenkeiError | OSError) else type(error).__name__
