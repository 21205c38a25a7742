"""Exit codes of `renkei`: what a job scheduler reads. Part of the product's surface: a code never changes its meaning.

Owns: the codes, and which code an error or an outcome has. `docs/cli.md` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

from contracts.errors import ContractUnknown, RenkeiError


class ExitCode(IntEnum):
    """How a command ended."""

    NORMAL = 0
    USAGE = 2
    """the command line itself is wrong; nothing was done"""
    NODE = 3
    """the site's node or journal could not be reached, or another process runs the site; nothing was done"""
    WARNING = 4
    """done, but a person should look: rejected or refused records, a duplicate, a held revision, warnings of a check"""
    NOT_FOUND = 5
    """no such message, delivery, quarantine entry, contract, file or site"""
    WAITED = 6
    """`--timeout-seconds` passed; the work goes on"""
    ABNORMAL = 8
    """refused, given up, problems found, or an unexpected error"""
    INTERRUPTED = 130


class NothingThere(RenkeiError):
    """What the command was pointed at does not exist."""


class WrongOption(RenkeiError):
    """The value of an option cannot be used; nothing was done."""


class NotServed(RenkeiError):
    """The API of a node could not be reached, or takes nothing for now; nothing was done."""


class WaitedTooLong(RenkeiError):
    """The wait ran out; the work itself goes on."""


_BY_KIND: Final[Mapping[str, ExitCode]] = {
    "NotFound": ExitCode.NOT_FOUND,
    "NodeBusy": ExitCode.NODE,
    "JournalUnavailable": ExitCode.NODE,
}
"""By name, so that showing an error never imports the part of the bus that may be what is broken."""
_BY_ID: Final[Mapping[str, ExitCode]] = {"RNK3004E": ExitCode.NOT_FOUND, "RNK6092E": ExitCode.NODE}
"""By message id: an error that comes from a running node over its socket keeps its id, but not its kind."""


def of_error(error: RenkeiError) -> ExitCode:
    """The exit code of an error."""
    if isinstance(error, NothingThere | ContractUnknown):
        return ExitCode.NOT_FOUND
    if isinstance(error, WrongOption):
        return ExitCode.USAGE
    if isinstance(error, NotServed):
        return ExitCode.NODE
    if isinstance(error, WaitedTooLong):
        return ExitCode.WAITED
    if error.message_id in _BY_ID:
        return _BY_ID[error.message_id]
    kinds = (_BY_KIND.get(kind.__name__) for kind in type(error).__mro__)
    return next((code for code in kinds if code is not None), ExitCode.ABNORMAL)


UNFINISHED = frozenset({"due", "claimed", "ready_to_publish"})


def of_progress(progress: Mapping[str, Any]) -> ExitCode:
    """The exit code of a finished intake, from its receipt, message and deliveries (`Operations.intake_progress`)."""
    outcome = str((progress.get("receipt") or {}).get("outcome", ""))
    if outcome in {"duplicate", "held"}:
        return ExitCode.WARNING
    states = {str(delivery["state"]) for delivery in progress.get("deliveries") or []}
    held_back = progress.get("finished") and states & UNFINISHED
    if outcome != "accepted" or "quarantined" in states or held_back:
        return ExitCode.ABNORMAL
    rejected = ((progress.get("message") or {}).get("rejected") or {}).get("records", 0)
    return ExitCode.WARNING if rejected or "delivered_with_refusals" in states else ExitCode.NORMAL
