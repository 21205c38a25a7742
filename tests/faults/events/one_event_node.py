"""A node that lives for one event: `python -m tests.faults.events.one_event_node SITE FULL|OFF`. Its own client publishes over HTTP."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from unittest.mock import patch

from bus.journal.engines import Synchronous
from bus.journal.journal import SqlJournal
from bus.node import running_node
from tests.faults.events.town import cloud_event, publish


def main(site: Path, synchronous: Synchronous) -> int:
    """Publish one event; 0 when it was accepted."""
    with patch.object(SqlJournal, "open", partial(SqlJournal.open, synchronous=synchronous)), running_node(site) as node:
        (answer,) = publish(node.api_port, cloud_event(1, 1))
        return 0 if answer.status_code == 202 else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), "OFF" if sys.argv[2] == "OFF" else "FULL"))
