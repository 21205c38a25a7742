"""A program: the node of the site given first, until one night is done. The second word is how the journal is opened: FULL or OFF.

Only here can a node be run with a journal that is not durable; the product has no such setting.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

from bus.journal.engines import Synchronous
from bus.journal.journal import SqlJournal
from bus.message import FINISHED
from bus.node import Node, running_node

PATIENCE_SECONDS = 60.0


def is_done(node: Node) -> bool:
    """Whether all is delivered and the source was told."""
    deliveries = node.parts.journal.deliveries()
    claimed = node.folder / "drop" / "claimed"
    return bool(deliveries) and all(one.state in FINISHED for one in deliveries) and not any(claimed.iterdir())


def main(site: Path, synchronous: Synchronous) -> int:
    """Run one night; 0 when it was finished."""
    opened = partial(SqlJournal.open, synchronous=synchronous)
    ends = time.monotonic() + PATIENCE_SECONDS
    with patch.object(SqlJournal, "open", opened), running_node(site, listen=False) as node:
        while not is_done(node) and time.monotonic() < ends:
            time.sleep(0.02)
        return 0 if is_done(node) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), "OFF" if sys.argv[2] == "OFF" else "FULL"))
