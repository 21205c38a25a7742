"""Watching the sources: whenever files are complete, take them in.

Owns: when sources are asked. Changes in a watched folder wake its source at once; every source is asked again every few seconds anyway,
because notifications may be lost and stillness makes no noise. Each source is worked off in order; sources do not wait for each other.
Trouble with one file or one source is logged and tried again later; it never ends the watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from watchfiles import awatch

from bus.intake import Intake, Observer, Taken
from bus.intake_report import Reporter
from bus.ports import Arrival, Source
from contracts.errors import RenkeiError
from monitoring.log import log

SWEEP_SECONDS: Final = 2.0
"""How often every source is asked, whatever the notifications say."""


@dataclass(slots=True)
class SourceWatch:
    """The sources of a node, by (tenant, endpoint). `run` goes on until it is cancelled."""

    sources: Mapping[tuple[str, str], Source]
    intake: Intake
    reporter: Reporter
    _wake: dict[tuple[str, str], asyncio.Event] = field(default_factory=dict)

    async def run(self) -> None:
        """Watch for ever."""
        self._wake = {key: asyncio.Event() for key in self.sources}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._notice())
            for key, source in self.sources.items():
                tasks.create_task(self._attend(key, source))

    async def _notice(self) -> None:
        folders: dict[Path, list[tuple[str, str]]] = {}
        for key, source in self.sources.items():
            folder = source.watch_folder()
            if folder is not None:
                folders.setdefault(folder.resolve(), []).append(key)
        if not folders:
            return
        async for changes in awatch(*folders, recursive=False, debounce=50, step=20, rust_timeout=500, yield_on_timeout=False):
            for folder in {Path(path).parent for _, path in changes}:
                for key in folders.get(folder, []):
                    self._wake[key].set()

    async def _attend(self, key: tuple[str, str], source: Source) -> None:
        wake = self._wake[key]
        while True:
            wake.clear()
            try:
                await self._take_all(source)
            except (RenkeiError, OSError) as error:
                log("RNK7010E", tenant=key[0], endpoint=key[1], reason=str(error))
            try:
                await asyncio.wait_for(wake.wait(), SWEEP_SECONDS)
            except TimeoutError:
                continue

    async def _take_all(self, source: Source) -> None:
        arrivals = source.arrivals()
        while (arrival := await asyncio.to_thread(next, arrivals, None)) is not None:
            await take_one(self.intake, source, arrival, self.reporter.observer(), self.reporter)


async def take_one(intake: Intake, source: Source, arrival: Arrival, observer: Observer, reporter: Reporter) -> Taken:
    """Take one file in and report what became of it; when nothing could be decided, give it back to its source.

    Raises:
        RenkeiError, OSError: what kept it from being decided.
    """
    try:
        taken = await intake.take(arrival, source, observer)
    except BaseException:
        source.give_back(arrival)
        raise
    reporter.took(arrival, taken)
    return taken


