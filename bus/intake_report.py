"""Telling metrics and log what became of each file.

Owns: what is counted when. One line in the log per file, one sample per stage; no personal data, only counts and names of files.
"""

from __future__ import annotations

from dataclasses import dataclass

from bus.calendar import rerun_margin_seconds, window
from bus.delivery import Outcome
from bus.intake import Observer, Taken
from bus.message import DeliveryState, Message, ReceiptOutcome
from bus.ports import Arrival, Clock
from bus.site import LoadedSite
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
    """Reports to one node's metrics and log. The duration of a batch runs from its message's receipt to its latest step."""

    site: LoadedSite
    metrics: Metrics
    clock: Clock

    def observer(self, inner: Observer | None = None) -> StageTimes:
        """The observer for one file."""
        return StageTimes(self.metrics, inner)

    def took(self, arrival: Arrival, taken: Taken) -> None:
        """A file was decided upon."""
        receipt, tenant, interface = taken.receipt, arrival.tenant, taken.interface
        self.metrics.arrived(tenant, interface, receipt.outcome.value, arrival.bytes)
        facts = {"tenant": tenant, "interface": interface, "file": arrival.name, "message": receipt.message or "-"}
        log(_MESSAGE_IDS[receipt.outcome], **facts, good=taken.good, rejected=taken.rejected, reason=receipt.reason or "-")
        if receipt.outcome is ReceiptOutcome.ACCEPTED and taken.message is not None:
            self.metrics.taken_in(tenant, interface, good=taken.good, rejected=taken.rejected)
            self._succeeded(taken.message)
        elif receipt.outcome in (ReceiptOutcome.REFUSED, ReceiptOutcome.HELD) and interface:
            self.metrics.batch_failed(tenant, interface, ended_seconds=self.clock.now_us() / 1e6)

    def delivered(self, outcome: Outcome) -> None:
        """An attempt to deliver ended."""
        delivery = outcome.delivery
        facts = {"tenant": delivery.tenant, "subscription": delivery.subscription, "delivery": delivery.id}
        if outcome.error is not None or outcome.message is None:
            log("RNK4045E" if outcome.state is DeliveryState.QUARANTINED else "RNK4046W", **facts, reason=str(outcome.error))
            return
        out, filtered, refused = outcome.out.records, outcome.filtered.records, outcome.refused.records
        self.metrics.delivered(
            delivery.tenant, delivery.subscription, out=out, filtered=filtered, refused=refused, bytes_=outcome.bytes_out
        )
        log("RNK4044I", **facts, file=delivery.file_name, out=out, filtered=filtered, refused=refused)
        self._succeeded(outcome.message)

    def _succeeded(self, message: Message) -> None:
        now = self.clock.now_us()
        duration = (now - message.received_at_us) / 1e6
        identity = message.identity
        interface = next(
            (known for known in self.site.tenants[identity.tenant].tenant.interfaces if known.id == identity.interface), None
        )
        if interface is None:
            return
        hours = interface.window
        span = window(identity.business_date, hours.start, hours.end, interface.day_ends, self.site.site.time_zone)
        self.metrics.batch_succeeded(
            identity.tenant,
            identity.interface,
            ended_seconds=now / 1e6,
            duration_seconds=duration,
            rerun_margin_seconds=rerun_margin_seconds(now, span, duration),
        )
