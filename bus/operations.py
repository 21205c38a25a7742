"""Everything an operator may do. API, console and command line act only through here.

Owns: questions and deeds, each a method with JSON-able arguments and result, so that a running node can be asked over its socket and a
stopped one in process by the same words. Every deed is journalled; what shows records shows them masked and is journalled as a view.
Methods block; the node runs them in threads.
"""

from __future__ import annotations

import getpass
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from bus.batch.broken import read_lines
from bus.batch.recipes import Recipes
from bus.broker.hints import Hints
from bus.errors import OperationRefused
from bus.event import EventDraft
from bus.intake_submitted import Submissions
from bus.message import DeliveryState, Message, MessageState, NewDelivery, QuarantineEntry, QuarantineKind
from bus.operations_bulk import BulkReleases
from bus.operations_events import KIND as EVENT
from bus.operations_events import event_again
from bus.operations_shown import event_shown, shown
from bus.ports import AcceptJournal, Clock, OperateJournal, PayloadStore, QueryJournal
from bus.routing import delivery_to, route
from bus.site import Subscription
from contracts.explain import reason
from contracts.masking import mask_for
from contracts.messages import LANGUAGES
from contracts.model import Contract

Json = dict[str, Any]
MOVING = frozenset({DeliveryState.DUE.value, DeliveryState.CLAIMED.value, DeliveryState.READY_TO_PUBLISH.value})
COUNTED: Final = 10_000
"""Open quarantine entries that are counted one by one; nobody reads more."""


class OperationsJournal(AcceptJournal, OperateJournal, QueryJournal, Protocol):
    """What operations need of the journal."""

    def event(self, message_id: str) -> EventDraft:
        """See `bus.event_ports.EventJournal`."""
        ...


@dataclass(slots=True)
class Operations:
    """The operator's deeds on one site."""

    recipes: Recipes
    journal: OperationsJournal
    payloads: PayloadStore
    submissions: Submissions
    hints: Hints
    clock: Clock
    bulk: BulkReleases

    # files

    def submit(self, path: str, interface: str | None = None, tenant: str | None = None) -> Json:
        """Take a file in as if its system had dropped it; the file itself stays where it is. Returns `{"intake": id}`.

        Raises:
            OperationRefused: no such file, no interface takes a file of that name, or several do.
        """
        return {"intake": self.submissions.submit(Path(path), interface, tenant)}

    def intake_progress(self, intake: str) -> Json:
        """How far a submitted file is: `{"stage", "done", "total", "finished", "receipt", "message", "deliveries"}`. Finished:
        nothing of it moves any more; what is still due then waits behind a delivery in quarantine.

        Raises:
            OperationRefused: no such intake, or the intake itself failed and will be tried again.
        """
        progress = self.submissions.progress(intake)
        result: Json = {
            "stage": progress.stage_now,
            "done": progress.done,
            "total": progress.total,
            "finished": False,
            "receipt": None,
            "message": None,
            "deliveries": [],
        }
        if progress.taken is None:
            return result
        receipt = progress.taken.receipt
        result["receipt"] = shown(receipt)
        if receipt.message is not None:
            result["message"] = shown(self.journal.message(receipt.message))
            result["deliveries"] = shown(self.journal.deliveries(message=receipt.message, limit=1000))
        moving = [delivery for delivery in result["deliveries"] if delivery["state"] in MOVING]
        finished = all(self._held_back(delivery) for delivery in moving)
        total = len(result["deliveries"])
        return result | {"stage": "deliver", "done": total - len(moving), "total": total, "finished": finished}

    def _held_back(self, delivery: Json) -> bool:
        """Whether an earlier delivery of its ordering key stands in quarantine: a person must look before it can move."""
        if delivery["state"] != DeliveryState.DUE.value:
            return False
        given_up = self.journal.deliveries(
            tenant=delivery["tenant"], subscription=delivery["subscription"], state=DeliveryState.QUARANTINED, limit=1000
        )
        return any(other.ordering_key == delivery["ordering_key"] and other.number < delivery["number"] for other in given_up)

    # questions

    def messages(
        self,
        tenant: str | None = None,
        interface: str | None = None,
        business_date: str | None = None,
        state: str | None = None,
        limit: int = 100,
    ) -> list[Json]:
        """Messages that match, newest first."""
        wanted = _one_of(MessageState, state)
        found = self.journal.messages(tenant=tenant, interface=interface, business_date=business_date, state=wanted, limit=limit)
        return [shown(message) for message in found]

    def trace(self, message: str) -> Json:
        """One message end to end: `{"message", "event", "receipts", "chunks", "deliveries", "quarantine", "entries"}`. `event` holds the
        attributes of an event; None for a file.

        Raises:
            NotFound: no such message.
        """
        found = self.journal.message(message)
        tenant = found.identity.tenant
        deliveries = self.journal.deliveries(message=message, limit=1000)
        subjects = [message, *(delivery.id for delivery in deliveries)]
        entries = [entry for subject in subjects for entry in self.journal.entries(tenant, subject=subject)]
        return {
            "message": shown(found),
            "event": self._event(found),
            "receipts": shown(self.journal.receipts(message=message)),
            "chunks": shown(self.journal.chunks(message)),
            "deliveries": shown(deliveries),
            "quarantine": shown(self.journal.quarantine(message=message, state=None)),
            "entries": shown(sorted(entries, key=lambda entry: entry.sequence)),
        }

    def _event(self, message: Message) -> Json | None:
        """The attributes of an event; its subject only when the contract, which must be known still, speaks of no people."""
        if message.kind != EVENT:
            return None
        registry, contract = self.recipes.registry, message.versions.contract
        people = contract not in registry.names() or any(field.sensitivity != "none" for field in registry.contract(contract).fields)
        return event_shown(self.journal.event(message.id), people)

    def deliveries(
        self,
        tenant: str | None = None,
        subscription: str | None = None,
        message: str | None = None,
        state: str | None = None,
        limit: int = 100,
    ) -> list[Json]:
        """Deliveries that match, newest first."""
        wanted = _one_of(DeliveryState, state)
        found = self.journal.deliveries(tenant=tenant, subscription=subscription, message=message, state=wanted, limit=limit)
        return [shown(delivery) for delivery in found]

    def quarantine_list(
        self,
        tenant: str | None = None,
        kind: str | None = None,
        message: str | None = None,
        state: str | None = "open",
        limit: int = 100,
    ) -> list[Json]:
        """Quarantine entries that match, newest first."""
        found = self.journal.quarantine(tenant=tenant, kind=kind, message=message, state=state, limit=limit)
        return [shown(entry) for entry in found]

    def quarantine_show(self, quarantine_id: str, limit: int = 20) -> Json:
        """An entry with its first `limit` records: `{"entry", "records": [{"ordinal", "line", "byte", "broken": [...]}]}`, values masked,
        each broken rule with its `words` in both languages.
        The view is journalled.

        Raises:
            NotFound: no such entry.
        """
        entry = self.journal.quarantine_entry(quarantine_id)
        records = [record for record, _ in zip(self._records(entry), range(limit), strict=False)]
        self.journal.note(entry.tenant, "viewed", entry.id, {"by": _who(), "records": len(records), "masked": True})
        return {"entry": shown(entry), "records": records}

    def status(self) -> Json:
        """What waits: `{"backlog": [...], "quarantine": [{"tenant", "kind", "quarantine_entries", "records"}]}`."""
        open_records = self.journal.open_quarantine()
        entries = Counter((entry.tenant, entry.kind.value) for entry in self.journal.quarantine(state="open", limit=COUNTED))
        return {
            "site": self.recipes.site.site.site,
            "node": self.recipes.site.site.node,
            "now_us": self.clock.now_us(),
            "backlog": shown(self.journal.backlog()),
            "quarantine": [
                {"tenant": tenant, "kind": kind, "quarantine_entries": entries[tenant, kind], "records": count}
                for (tenant, kind), count in open_records.items()
            ],
        }

    # deeds

    def resend(self, message: str, subscription: str) -> Json:
        """Deliver an accepted message to one subscription once more, under the same names.

        Raises:
            NotFound: no such message. SiteInvalid: no such subscription. OperationRefused: the message is not accepted, or the
                subscription is of another interface.
        """
        found = self.journal.message(message)
        if found.state is not MessageState.ACCEPTED:
            raise OperationRefused("RNK6080E", message=message, state=found.state.value)
        tenant = found.identity.tenant
        to = self.recipes.subscription(tenant, subscription)
        if to.interface != found.identity.interface:
            raise OperationRefused("RNK6081E", message=message, subscription=subscription, interface=to.interface)
        delivery = self.journal.resend(message, self._again(found, to), by=_who())
        self.hints.publish([delivery.id if found.kind != EVENT else f"{delivery.id}/{subscription}"])
        return {"delivery": shown(delivery)}

    def _again(self, message: Message, to: Subscription) -> NewDelivery:
        """One more delivery of the message; that of an event in the order of its person."""
        if message.kind == EVENT:
            earlier = self.journal.deliveries(message=message.id, limit=1)
            return event_again(self.recipes, message, to, earlier[0].ordering_key if earlier else message.id)
        loaded, interface = self.recipes.tenant(message.identity.tenant), self.recipes.interface(message.identity.tenant, to.interface)
        return delivery_to(loaded, interface, to, message.identity, revision=message.revision, records=message.good.records)

    def quarantine_release(self, quarantine_id: str) -> Json:
        """Release: a given-up delivery is due again, a held revision is accepted and delivered.

        Raises:
            NotFound: no such entry. OperationRefused: records that no accepted message corrects, or a refused file.
        """
        entry = self.journal.quarantine_entry(quarantine_id)
        if entry.kind is QuarantineKind.HELD_REVISION:
            return self._accept_held(entry)
        released = self.journal.release(quarantine_id, by=_who())
        self.hints.publish([released.delivery] if released.delivery else [])
        return {"entry": shown(released)}

    def quarantine_release_all(self, tenant: str, subscription: str) -> Json:
        """Release everything of one subscription that was given up until now. Returns `{"operation": id}` at once.

        Raises:
            SiteInvalid: no such subscription.
        """
        self.recipes.subscription(tenant, subscription)
        return {"operation": self.bulk.start(tenant, subscription, _who())}

    def operation_progress(self, operation: str) -> Json:
        """How far an operation is: `{"operation", "released", "finished", "error"}`.

        Raises:
            OperationRefused: no such operation.
        """
        return self.bulk.progress(operation)

    def quarantine_skip(self, quarantine_id: str) -> Json:
        """Give up for good: a given-up delivery is skipped, so that the next one of its subscription may go; a held revision is
        refused; of records and refused files only the entry is closed.

        Raises:
            NotFound: no such entry. OperationRefused: it was released.
        """
        skipped = self.journal.skip(quarantine_id, by=_who())
        self.hints.publish([skipped.delivery] if skipped.delivery else [])
        return {"entry": shown(skipped)}

    def quarantine_export(self, quarantine_id: str, path: str) -> Json:
        """Write an entry's records, values masked, as JSON lines to a new file (mode 0600). Returns `{"path", "records"}`.

        Raises:
            NotFound: no such entry. OperationRefused: the file exists or cannot be written.
        """
        entry = self.journal.quarantine_entry(quarantine_id)
        target = Path(path).absolute()
        try:
            with open(target, "x", encoding="utf-8", opener=_private) as file:
                count = 0
                for record in self._records(entry):
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
                    count += 1
        except OSError as error:
            raise OperationRefused("RNK6084E", path=str(target), reason=error.strerror or str(error)) from error
        self.journal.note(entry.tenant, "exported", entry.id, {"by": _who(), "records": count, "masked": True})
        return {"path": str(target), "records": count}

    def _accept_held(self, entry: QuarantineEntry) -> Json:
        held = self.journal.message(entry.message)
        tenant = held.identity.tenant
        loaded, interface = self.recipes.tenant(tenant), self.recipes.interface(tenant, held.identity.interface)
        deliveries = self.journal.accept(
            held.id,
            good=held.good,
            rejected=held.rejected,
            quarantine=[],
            deliveries=route(loaded, interface, held.identity, revision=held.revision, records=held.good.records),
            corrects=str(entry.facts.get("earlier") or "") or None,
        )
        released = self.journal.release(entry.id, by=_who())
        self.hints.publish(delivery.id for delivery in deliveries)
        return {"entry": shown(released), "deliveries": shown(deliveries)}

    def _records(self, entry: QuarantineEntry) -> Iterator[Json]:
        """The entry's broken records without their bytes, every value masked as its contract says."""
        if not entry.parts or entry.kind in (QuarantineKind.POISON, QuarantineKind.DEAD_LETTER):
            return  # a given-up delivery, or bytes as they came: there is no record with broken rules
        contract = self._contract(entry)
        for part in entry.parts:
            for record in read_lines(self.payloads.get(part, entry.tenant, entry.message)):
                yield _masked(record, contract)

    def _contract(self, entry: QuarantineEntry) -> Contract:
        message = self.journal.message(entry.message)
        if entry.delivery is None:
            return self.recipes.registry.contract(message.versions.contract)
        subscription = self.recipes.subscription(entry.tenant, self.journal.delivery(entry.delivery).subscription)
        return self.recipes.write(entry.tenant, message.versions.contract, subscription).target


def _masked(record: Mapping[str, object], contract: Contract) -> Json:
    known = set(contract.names)
    broken = []
    for rule in record["broken"] if isinstance(record["broken"], list) else []:
        value = str(rule["value"] or "")
        masked = mask_for(contract, rule["field"], value) if rule["field"] in known else "＊" * bool(value)
        broken.append({**rule, "value": masked, **_words(contract, rule)})
    return {"ordinal": record["ordinal"], "line": record["line"], "byte": record["byte"], "broken": broken}


def _words(contract: Contract, rule: Mapping[str, Any]) -> Json:
    """What is wrong, in both languages; never with the value."""
    return {"words": {language: reason(contract, rule["field"], rule["rule"], language) for language in LANGUAGES}}


def _one_of(states: Any, name: str | None) -> Any:
    """The state of that name.

    Raises:
        OperationRefused: there is none.
    """
    if name is None:
        return None
    try:
        return states(name)
    except ValueError as error:
        raise OperationRefused("RNK6085E", name=name, known=", ".join(state.value for state in states)) from error


def _who() -> str:
    return getpass.getuser()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
