"""What libraries log, as lines of ours: a service manager sees one form with stable ids, and no words that may quote a record.

Owns: the bridge from the standard library's `logging`. Libraries that have trouble (the event loop, the web server) write tracebacks over
many lines, with the text of errors in them; of those only where they came from is told.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Final

from monitoring.log import log

_MOST: Final = 120


class _Bridge(logging.Handler):
    """Writes one line for each record of level WARNING or above."""

    def emit(self, record: logging.LogRecord) -> None:
        """The record's own words without what was filled into them, and the kind and place of its error."""
        said = str(record.msg).strip().partition("\n")[0][:_MOST]
        log("RNK8020W" if record.levelno < logging.ERROR else "RNK8021E", source=record.name, said=said, error=_error(record))


def _error(record: logging.LogRecord) -> str:
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return "-"
    frames = traceback.extract_tb(error.__traceback__)
    return type(error).__name__ + (f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else "")


def take_over_logging() -> None:
    """Have everything that this process's libraries log written as lines of ours, from now on. May be called again."""
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()], force=True)
