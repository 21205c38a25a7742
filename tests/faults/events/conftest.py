"""What the fault tests of events share: a town on the back end of the run, its node, and its journal for looking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bus.event import Way
from bus.journal.journal import SqlJournal
from bus.message import Delivery
from tests.backends import service_settings, site_journal
from tests.faults.events.town import EventNode, Hook, wait_for, write_town


@dataclass
class Town:
    """A running node of a town, and its journal for looking."""

    site: Path
    node: EventNode
    journal: SqlJournal

    def deliveries(self, subscription: str) -> list[Delivery]:
        """Of a subscription, in their order."""
        return sorted(self.journal.deliveries(subscription=subscription, limit=1000), key=lambda one: one.number)

    def states(self, subscription: str) -> list[str]:
        """Their states."""
        return [one.state.value for one in self.deliveries(subscription)]

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for it."""
        wait_for(condition, what, self.node)

    def waiting(self) -> list[tuple[str, str]]:
        """Subscriptions with something claimable."""
        return [*self.journal.waiting(way=Way.PUSH.value), *self.journal.waiting(way=Way.PULL.value)]


MakeTown = Callable[..., Town]


@pytest.fixture
def make_town(tmp_path: Path) -> Iterator[MakeTown]:
    """Makes a town and starts its node."""
    with ExitStack() as stack:

        def make(hooks: Mapping[str, Hook] | None = None, **how: Any) -> Town:
            site = write_town(tmp_path / "site", hooks or {}, services=service_settings(tmp_path / "site"), **how)
            node = EventNode(site, "node1" if "journal" in service_settings(site) else None)
            stack.callback(node.end)
            node.start()
            node.await_serving()
            journal = site_journal(site)
            stack.callback(journal.close)
            return Town(site, node, journal)

        yield make
