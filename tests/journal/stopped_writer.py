"""A program: a node that stops, as SIGSTOP does, in the middle of a write transaction. Arguments: address, password file, file to tell in.

Once it goes on it ends its transaction and tells what it was told, then shows that it works again.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from bus.clock import SystemClock
from bus.errors import BusError
from bus.journal.journal import SqlJournal


def main(url: str, password_file: Path, told: Path) -> None:
    """One transaction, stopped in the middle."""
    journal = SqlJournal.open(url, SystemClock(), password_file=password_file)
    outcome = "committed"
    try:
        with journal._begin() as transaction:
            transaction.append_all("332020", [("viewed", "never", {}), ("viewed", "nor this", {})])  # many rows go another way
            os.kill(os.getpid(), signal.SIGSTOP)
    except BusError as error:
        outcome = error.message_id
    again = journal.note("332020", "viewed", "after", {}).sequence
    told.write_text(f"{outcome} {again}", "ascii")
    journal.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
