"""Receipts: what became of each arrival, and whether that was settled before a crash.

Owns: recognising an arrival that was decided upon already. The journal says it first, then the source is told; a crash in between makes the
source hand the same claim out again. The receipt names the claim, so the same claim is only acknowledged again, while the same file dropped
anew is a new arrival.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bus.adapter_ports import Arrival
from bus.errors import IntakeRefused
from bus.message import Message, MessageState, NewMessage, NewQuarantine, Receipt, ReceiptOutcome
from bus.ports import AcceptJournal, QueryJournal
from contracts.errors import FileUnreadable, RenkeiError

LOOKED_AT: Final = 50
"""How many of a tenant's newest receipts are looked at: an unacknowledged claim is among the last things a node did before it ended."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of an arrival. `sha256` is empty when it was not read, `message` None when it never became one."""

    interface: str
    outcome: ReceiptOutcome
    sha256: str
    message: str | None
    reason: str = ""
    quarantine: Sequence[NewQuarantine] = ()


def write_receipt(journal: AcceptJournal, arrival: Arrival, decided: Decided) -> Receipt:
    """Record what became of an arrival."""
    return journal.receipt(
        tenant=arrival.tenant,
        endpoint=arrival.endpoint,
        interface=decided.interface,
        file_name=arrival.name,
        bytes_=arrival.bytes,
        sha256=decided.sha256,
        outcome=decided.outcome,
        message=decided.message,
        reason=decided.reason,
        quarantine=decided.quarantine,
        claim=str(arrival.path),
    )


def earlier_receipt(journal: QueryJournal, arrival: Arrival) -> Receipt | None:
    """The receipt of this very claim, when an earlier run wrote it and could not tell the source."""
    for receipt in journal.receipts(tenant=arrival.tenant, limit=LOOKED_AT):
        if (receipt.endpoint, receipt.file_name, receipt.bytes) == (arrival.endpoint, arrival.name, arrival.bytes):
            entries = journal.entries(arrival.tenant, subject=receipt.id, limit=1)
            if entries and entries[0].facts.get("claim") == str(arrival.path):
                return receipt
    return None


def refused_without_receipt(journal: QueryJournal, new: NewMessage) -> Message | None:
    """The message of the same file that an earlier run refused, and died before it could write the receipt."""
    identity = new.identity
    same = journal.messages(
        tenant=identity.tenant, interface=identity.interface, business_date=identity.business_date, state=MessageState.REFUSED
    )
    for message in same:
        if (message.identity, message.sha256) == (identity, new.sha256) and not journal.receipts(message=message.id, limit=1):
            return message
    return None


def outcome_of_known(journal: QueryJournal, message: Message) -> ReceiptOutcome:
    """What a known file is: a duplicate, unless the first run died before it could write its receipt: then this run finishes it."""
    if journal.receipts(message=message.id, limit=1):
        return ReceiptOutcome.DUPLICATE
    return ReceiptOutcome.HELD if message.state is MessageState.HELD else ReceiptOutcome.ACCEPTED


def reason_of(error: RenkeiError) -> str:
    """A refusal as JSON: `{"message_id", "facts", "text"}`."""
    facts = {name: value if isinstance(value, int | float | str) else str(value) for name, value in error.facts.items()}
    return json.dumps({"message_id": error.message_id, "facts": facts, "text": error.text()}, ensure_ascii=False)


@contextmanager
def stumbling_refuses(arrival: Arrival) -> Iterator[None]:
    """Whatever unexpected a file makes us stumble over refuses the file, so that the node goes on. Errors of ours and of the system pass.

    Raises:
        IntakeRefused: told with the error's kind only: its text may hold values of the file.
        FileUnreadable: with the name that the sender gave the file, not the place where it is claimed.
    """
    try:
        yield
    except FileUnreadable as error:
        raise FileUnreadable(error.message_id, **{**error.facts, "path": arrival.name}) from error
    except (RenkeiError, OSError):
        raise
    except Exception as error:
        raise IntakeRefused("RNK4023E", file=arrival.name, kind=type(error).__name__) from error
