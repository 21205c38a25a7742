"""Telling metrics and log what became of each file.

Owns: what is counted when. One line in the log per file, one sample per stage; no personal data, only counts and names of files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from bus.adapter_ports import Arrival
from bus.calendar import rerun_margin_seconds, window
from bus.delivery import Outcome
from bus.intake import Observer, Taken
from bus.intake_history import begun_us, belongs, last_batch
from bus.message import Delivery, DeliveryState, Message, ReceiptOutcome
from bus.ports import Clock, QueryJournal
from bus.site import Interface, LoadedSite
from contracts.errors import RenkeiError
from monitoring.log import log
from monitoring.metrics import Metrics

_MESSAGE_IDS = {
    ReceiptOutcome.ACCEPTED: "RNK4040I",
    ReceiptOutcome.DUPLICATE: "RNK4041W",
    ReceiptOutcome.HELD: "RNK4042W",
    ReceiptOutcome.REFUSED: "RNK4043E",
}


@dataclass(slots=True)
class StageTimes:
    """An observer that passes stage durations to the metrics and everything on to another observer."""

    metrics: Metrics
    inner: Observer | None = None

    def stage(self, stage: str, seconds: float) -> None:
        """A stage ended."""
        self.metrics.stage(stage, seconds)
        if self.inner is not None:
            self.inner.stage(stage, seconds)

    def progress(self, stage: str, done: int, total: int) -> None:
        """So many records are done."""
        if self.inner is not None:
            self.inner.progress(stage, done, total)


@dataclass(slots=True)
class Reporter:
    """Reports to one node's metrics and log.

    The duration of a batch runs from its message's receipt until it is accepted, and on until the last of its deliveries is published;
    it is shown anew after each of them. Only the file decided upon last counts: a delivery of an earlier one neither makes a later
    failure good nor lengthens a later batch.
    """

    site: LoadedSite
    metrics: Metrics
    clock: Clock
    journal: QueryJournal
    _decided_us: dict[tuple[str, str], int] = field(default_factory=dict)
    """when a file of an interface was last accepted, held or refused"""

    def resume(self) -> None:
        """Make the metrics of everything configured exist, with the last ends that an earlier run of the node saw."""
        receipts = self.journal.last_receipts()
        for code, loaded in self.site.tenants.items():
            events = {interface.id for interface in loaded.tenant.interfaces if interface.kind == "event"}
            for interface in loaded.tenant.interfaces:
                if interface.id in events:
                    self.metrics.declare_events(code, interface.id)
                    continue
                failures = (receipts.get((code, interface.id, how), 0) for how in (ReceiptOutcome.REFUSED, ReceiptOutcome.HELD))
                self._resume_interface(code, interface, max(failures))
            for subscription in loaded.tenant.subscriptions:
                if subscription.interface in events:
                    self.metrics.declare_event_deliveries(code, subscription.id)
                else:
                    self.metrics.declare_subscription(code, subscription.id)

    def _resume_interface(self, tenant: str, interface: Interface, failed_us: int) -> None:
        hours = interface.window
        span = window("2026-01-05", hours.start, hours.end, interface.day_ends, self.site.site.time_zone)
        self.metrics.declare_interface(tenant, interface.id, window_seconds=span.seconds, last_failure_seconds=failed_us / 1e6)
        last = last_batch(self.journal, tenant, interface.id, failed_us=failed_us)
        if last is not None:
            self._show(tenant, interface, last.business_date, last.begun_us, last.ended_us)
        self._decided_us[tenant, interface.id] = max(failed_us, last.accepted_us if last else 0)

    def observer(self, inner: Observer | None = None) -> StageTimes:
        """The observer for one file."""
        return StageTimes(self.metrics, inner)

    def took(self, arrival: Arrival, taken: Taken) -> None:
        """A file was decided upon."""
        receipt, tenant, interface = taken.receipt, arrival.tenant, taken.interface
        self.metrics.arrived(tenant, interface, receipt.outcome.value, arrival.bytes)
        facts = {"tenant": tenant, "interface": interface, "file": arrival.name, "message": receipt.message or "-"}
        log(_MESSAGE_IDS[receipt.outcome], **facts, good=taken.good, rejected=taken.rejected, reason=_reason(receipt.reason))
        if receipt.outcome in (ReceiptOutcome.ACCEPTED, ReceiptOutcome.HELD) and taken.message is not None:
            self.metrics.taken_in(tenant, interface, good=taken.good, rejected=taken.rejected)
        if receipt.outcome is ReceiptOutcome.ACCEPTED and taken.message is not None:
            self._accepted(taken.message, taken.deliveries[0].created_at_us if taken.deliveries else receipt.at_us)
        elif receipt.outcome in (ReceiptOutcome.REFUSED, ReceiptOutcome.HELD) and interface:
            self._decided_us[tenant, interface] = receipt.at_us
            self.metrics.batch_failed(tenant, interface, ended_seconds=receipt.at_us / 1e6)

    def delivered(self, outcome: Outcome) -> None:
        """An attempt to deliver ended."""
        delivery = outcome.delivery
        for stage, seconds in outcome.stages.items():
            self.metrics.stage(stage, seconds)
        facts = {"tenant": delivery.tenant, "subscription": delivery.subscription, "delivery": delivery.id}
        if outcome.error is not None or outcome.message is None:
            log("RNK4045E" if outcome.state is DeliveryState.QUARANTINED else "RNK4046W", **facts, reason=outcome.error)
            return
        out, filtered, refused = outcome.out.records, outcome.filtered.records, outcome.refused.records
        self.metrics.delivered(
            delivery.tenant, delivery.subscription, out=out, filtered=filtered, refused=refused, bytes_=outcome.bytes_out
        )
        log("RNK4044I", **facts, file=delivery.file_name, out=out, filtered=filtered, refused=refused)
        self._published(outcome.message, delivery)

    def _accepted(self, message: Message, accepted_us: int) -> None:
        identity = message.identity
        accepted_us = message.accepted_at_us or accepted_us
        self._decided_us[identity.tenant, identity.interface] = accepted_us
        interface = self._interface(identity.tenant, identity.interface)
        if interface is not None:
            self._show(identity.tenant, interface, identity.business_date, message.received_at_us, self.clock.now_us())

    def _published(self, message: Message, delivery: Delivery) -> None:
        identity = message.identity
        interface = self._interface(identity.tenant, identity.interface)
        decided_us = self._decided_us.get((identity.tenant, identity.interface), 0)
        if interface is None or (message.accepted_at_us or 0) < decided_us or not belongs(self.journal, delivery, message):
            return
        self._show(identity.tenant, interface, identity.business_date, begun_us(self.journal, message), self.clock.now_us())

    def _interface(self, tenant: str, name: str) -> Interface | None:
        """The interface, unless it is configured no more."""
        return next((known for known in self.site.tenants[tenant].tenant.interfaces if known.id == name), None)

    def _show(self, tenant: str, interface: Interface, business_date: str, begun: int, ended: int) -> None:
        duration = max(0.0, (ended - begun) / 1e6)
        hours = interface.window
        span = window(business_date, hours.start, hours.end, interface.day_ends, self.site.site.time_zone)
        self.metrics.batch_succeeded(
            tenant,
            interface.id,
            ended_seconds=ended / 1e6,
            duration_seconds=duration,
            rerun_margin_seconds=rerun_margin_seconds(ended, span, duration),
        )


def _reason(reason: str) -> object:
    """The reason of a receipt as the error it came from, which the log tells in its own language."""
    if not reason:
        return "-"
    told = json.loads(reason)
    return RenkeiError(told["message_id"], **told["facts"])
