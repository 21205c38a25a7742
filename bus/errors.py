"""The bus's part of the error tree (its root is `contracts.errors.RenkeiError`).

    BusError
    ├── SiteInvalid        the site's configuration cannot be used
    ├── JournalError       ├── JournalUnavailable   nothing was changed; safe to try again
    │                      ├── StaleClaim           another worker holds the delivery now; stop, change nothing
    │                      └── NotFound             no such message, delivery or quarantine entry in this tenant
    ├── IntakeRefused      a file (or message) is refused whole; its reason is shown and it stands in quarantine
    ├── EventRefused       a published event is refused: its publisher is told every reason
    ├── Overloaded         too much waits already; nothing was taken; come back after `retry_after_seconds`
    ├── TotalsDisagree     in ≠ out + filtered + quarantined, or written bytes are not what was rendered: never published
    ├── OperationRefused   an operator asked for what cannot be done in this state
    ├── NodeBusy           another process runs this site
    └── TransportError     ├── Transient  trying again may help: not connected, timed out, disk full
                           └── Permanent  trying again cannot help: rejected, malformed, target already there

Retry reads the type, never the text.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from contracts.errors import RenkeiError


class BusError(RenkeiError):
    """Anything the bus itself reports."""


class SiteInvalid(BusError):
    """The site's configuration cannot be used."""


class JournalError(BusError):
    """The journal could not do what was asked."""


class JournalUnavailable(JournalError):
    """The journal cannot be reached or written; nothing was changed."""


class StaleClaim(JournalError):
    """The claim's lease ran out and another worker has taken it; this worker must stop and change nothing."""


class NotFound(JournalError):
    """No such message, delivery or quarantine entry in this tenant."""


class IntakeRefused(BusError):
    """A file or message is refused whole."""


class EventRefused(BusError):
    """A published event is refused. `status` is the HTTP status (RFC 9110) that says so best; `problems` are the broken rules, masked."""

    def __init__(self, message_id: str, *, status: int = 400, problems: Sequence[Mapping[str, object]] = (), **facts: object) -> None:
        super().__init__(message_id, **facts)
        self.status = status
        self.problems = problems


class Overloaded(BusError):
    """Too much waits already; nothing was taken. Its facts hold `retry_after_seconds`."""


class TotalsDisagree(BusError):
    """Totals do not agree, or the bytes written are not the bytes rendered. Nothing may be published."""


class OperationRefused(BusError):
    """The operation cannot be done in this state."""


class NodeBusy(BusError):
    """Another process runs this site."""


class TransportError(BusError):
    """A delivery or a source met trouble outside the bus."""


class Transient(TransportError):
    """Trying again may help."""


class Permanent(TransportError):
    """Trying again cannot help; a person must act."""


def told_of(error: BaseException) -> str:
    """An error as log, journal and operators may be told of it: ours and the system's say their words; of any other only its kind and
    the line of code it came from are told, because its words may quote a record.
    """
    if isinstance(error, RenkeiError | OSError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    return type(error).__name__ + (f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else "")
