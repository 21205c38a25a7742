"""Watching sources when several nodes share a journal: each tenant's folders are watched by one node at a time.

Owns: the leases of watched folders. A node takes what no other holds, keeps it alive while it runs, and what a node that died held goes to
another when its lease has lapsed. Should two nodes watch one folder for a moment (a node that hung and woke up), the journal's identities
keep each file from being taken twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from bus.adapter_ports import Source
from bus.errors import JournalError
from bus.intake_watch import Key, SourceWatch
from bus.message import Lease
from monitoring.log import log

LEASE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 10.0
"""How often leases are renewed, and those of dead nodes looked for."""


class LeaseJournal(Protocol):
    """What it needs of the journal."""

    def take_lease(self, name: str, owner: str, *, seconds: float) -> Lease | None:
        """Take or renew; None while another owner's has not lapsed."""
        ...

    def give_up_leases(self, owner: str) -> int:
        """Let every lease of `owner` go."""
        ...


@dataclass(slots=True)
class OwnedSources:
    """A `SourceWatch` of every tenant that this node owns. `run` goes on until it is cancelled."""

    all: SourceWatch
    journal: LeaseJournal
    owner: str
    _watching: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self) -> None:
        """Own and watch for ever; what is owned is let go at the end, so that another node need not wait."""
        tenants = self._by_tenant()
        try:
            while True:
                for tenant, sources in tenants.items():
                    await self._look_after(tenant, sources)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for task in self._watching.values():
                task.cancel()
            await asyncio.gather(*self._watching.values(), return_exceptions=True)
            with contextlib.suppress(JournalError):
                await asyncio.to_thread(self.journal.give_up_leases, self.owner)

    def _by_tenant(self) -> Mapping[str, Mapping[Key, Source]]:
        tenants: dict[str, dict[Key, Source]] = defaultdict(dict)
        for key, source in self.all.sources.items():
            tenants[key[0]][key] = source
        return tenants

    async def _look_after(self, tenant: str, sources: Mapping[Key, Source]) -> None:
        """Take or renew the lease of a tenant's folders; watch them exactly as long as it is ours."""
        task = self._watching.get(tenant)
        if task is not None and task.done():
            task.result()  # a watch never ends by itself: its fault ends the node, so that its service manager sees it
        try:
            lease = await asyncio.to_thread(self.journal.take_lease, f"sources:{tenant}", self.owner, seconds=LEASE_SECONDS)
        except JournalError as error:
            log("RNK7011E", reason=str(error))
            return  # nobody else can take it either
        if lease is not None and task is None:
            self._watching[tenant] = asyncio.create_task(replace(self.all, sources=sources, _wake={}).run())
        elif lease is None and task is not None:
            del self._watching[tenant]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
