"""What delivery writes: claims, written chunks, readiness, and how it ended.

Owns: the life of a delivery (see `docs/states.md`) from its first claim on. Every call but `claim` and `unclaim` carries the claimed
delivery, and is refused when its fence is not the newest or the claim has ended. From READY_TO_PUBLISH names may already be renamed, so a
failed publication is tried again as it stands; only a caller who knows that nothing of it was published may void it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import delete, insert, select

from bus.errors import OperationRefused, StaleClaim, TotalsDisagree
from bus.journal.claim import claim_due, free, settle_clock
from bus.journal.ordering import arm, change, finish
from bus.journal.quarantining import add_quarantine
from bus.journal.rows import AnyRow, delivery_chunk_found, key_of, not_found, same_totals
from bus.journal.tables import deliveries, delivery_chunks, messages
from bus.journal.transaction import EntryKind, JournalRole, Transaction
from bus.message import Delivery, DeliveryChunkDone, DeliveryState, NewQuarantine, QuarantineKind
from contracts.totals import Totals

_DELIVERED: Final = (DeliveryState.DELIVERED, DeliveryState.DELIVERED_WITH_REFUSALS)


class SqlDeliverJournal(JournalRole):
    """`bus.ports.DeliverJournal` in SQL."""

    def claim(self, owner: str, *, lease_seconds: float, limit: int) -> Sequence[Delivery]:
        """Take up to `limit` due deliveries, tenants in turn. See the port.

        Raises:
            ValueError: `limit` is not 1 to 1000, or the lease not positive.
        """
        if not 1 <= limit <= 1000 or lease_seconds <= 0 or not owner:
            raise ValueError("a claim has an owner, a positive lease and a limit of 1 to 1000")
        with self._begin() as transaction:
            settle_clock(transaction, self._instants)
            return claim_due(transaction, owner, lease_us=_us(lease_seconds), limit=limit)

    def renew(self, claimed: Delivery, *, lease_seconds: float) -> None:
        """Prolong the lease. The one change without an entry: it moves a time limit and no state.

        Raises:
            StaleClaim: the claim has ended.
        """
        with self._begin() as transaction:
            row = _held(transaction, claimed)
            until_us = transaction.now_us + _us(lease_seconds)
            change(transaction, row, lease_until_us=until_us, claimable_at_us=until_us, armed_at_us=transaction.now_us)

    def chunks_written(self, claimed: Delivery, chunks: Sequence[DeliveryChunkDone]) -> None:
        """Record chunks as written (not yet published). Replaces an earlier record of the same index.

        Raises:
            StaleClaim: the claim has ended. OperationRefused: the delivery is ready to publish; its bytes are fixed.
        """
        if not chunks:
            return
        with self._begin() as transaction:
            row = _held(transaction, claimed)
            _must_be(row, claimed, "chunks_written", DeliveryState.CLAIMED)
            own = (delivery_chunks.c.tenant == row.tenant, delivery_chunks.c.delivery == row.serial)
            indexes = [chunk.index for chunk in chunks]
            transaction.connection.execute(delete(delivery_chunks).where(*own, delivery_chunks.c.position.in_(indexes)))
            key = {"tenant": row.tenant, "delivery": row.serial}
            written = [
                {**key, "position": c.index, "offset": c.offset, "length": c.length, "hash": c.hash, "found": delivery_chunk_found(c)}
                for c in chunks
            ]
            transaction.connection.execute(insert(delivery_chunks), written)
            transaction.append(row.tenant, EntryKind.CHUNKS_WRITTEN, claimed.id, {"chunks": indexes, "fence": row.fence})

    def ready_to_publish(self, claimed: Delivery, publication: Mapping[str, object], bytes_out: int) -> None:
        """Fix that all bytes are durable and counted, and how they will be published. Twice the same changes nothing.

        Raises:
            StaleClaim: the claim has ended. OperationRefused: another publication is fixed already.
        """
        with self._begin() as transaction:
            row = _held(transaction, claimed)
            if row.state == DeliveryState.READY_TO_PUBLISH and (row.publication, row.bytes_out) == (dict(publication), bytes_out):
                return
            _must_be(row, claimed, "ready_to_publish", DeliveryState.CLAIMED)
            values = {"publication": dict(publication), "bytes_out": bytes_out}
            change(transaction, row, state=DeliveryState.READY_TO_PUBLISH.value, **values)
            transaction.append(row.tenant, EntryKind.READY_TO_PUBLISH, claimed.id, {"bytes": bytes_out, "fence": row.fence})

    def delivered(
        self, claimed: Delivery, *, taken_in: Totals, out: Totals, filtered: Totals, refused: Totals, quarantine: Sequence[NewQuarantine]
    ) -> DeliveryState:
        """Finish: DELIVERED, or DELIVERED_WITH_REFUSALS when `refused.records` > 0. Twice under one claim changes nothing.

        Raises:
            StaleClaim: the claim has ended. OperationRefused: it is not ready to publish.
            TotalsDisagree: in is not out + filtered + refused, or not what the message holds.
        """
        with self._begin() as transaction:
            row = _row(transaction, claimed)
            if row.fence == claimed.fence and row.state in _DELIVERED:
                return DeliveryState(row.state)
            _must_hold(row, claimed)
            _must_be(row, claimed, "delivered", DeliveryState.READY_TO_PUBLISH)
            came = _good(transaction, row)
            if not (same_totals(taken_in, out + filtered + refused) and taken_in.records == came.records):
                counts = {"taken_in": taken_in.records, "out": out.records, "filtered": filtered.records, "refused": refused.records}
                raise TotalsDisagree("RNK3009E", id=claimed.id, came=came.records, **counts)
            state = DeliveryState.DELIVERED_WITH_REFUSALS if refused.records else DeliveryState.DELIVERED
            named = {"taken_in": taken_in, "out": out, "filtered": filtered, "refused": refused}
            totals = {name: value.as_json() for name, value in named.items()}
            finish(transaction, row, state, **totals)
            transaction.append(row.tenant, state.value, claimed.id, {**totals, "bytes": row.bytes_out})
            add_quarantine(transaction, row.tenant, quarantine, message=row.message, delivery=row.serial)
            return state

    def failed(self, claimed: Delivery, *, error: str, due_at_us: int | None, unpublished: bool = False) -> DeliveryState:
        """Count a failed attempt: due again at `due_at_us`, or given up into quarantine when that is None.

        Returns DUE, or READY_TO_PUBLISH when it was that (its publication is tried again), or QUARANTINED. `unpublished` voids a
        publication of which nothing was published: then DUE, and after quarantine and release DUE too.

        Raises:
            StaleClaim: the claim has ended.
        """
        with self._begin() as transaction:
            row = _held(transaction, claimed)
            ended = {"owner": None, "lease_until_us": None, "attempts": row.attempts + 1, "last_error": error}
            facts: dict[str, object] = {"attempts": row.attempts + 1, "error": error}
            if unpublished:
                ended |= {"publication": {}, "bytes_out": 0}
                facts["unpublished"] = True
            if due_at_us is None:
                return _give_up(transaction, row, claimed, ended, facts)
            anew = unpublished or row.state == DeliveryState.CLAIMED
            state = DeliveryState.DUE if anew else DeliveryState(row.state)
            change(transaction, row, state=state.value, **ended, **arm(transaction, row, due_at_us))
            transaction.append(row.tenant, EntryKind.ATTEMPT_FAILED, claimed.id, facts | {"due_at_us": due_at_us})
            return state

    def unclaim(self, owner: str) -> int:
        """Free every lease of `owner` (a node that starts knows its former self is gone). Returns how many."""
        with self._begin() as transaction:
            return free(transaction, owner)


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _row(transaction: Transaction, claimed: Delivery) -> AnyRow:
    tenant, serial = key_of(claimed.id, "d")
    own = (deliveries.c.tenant == tenant, deliveries.c.serial == serial)
    row = transaction.connection.execute(select(deliveries).where(*own)).one_or_none()
    if row is None:
        raise not_found(claimed.id, "d")
    return row


def _held(transaction: Transaction, claimed: Delivery) -> AnyRow:
    row = _row(transaction, claimed)
    _must_hold(row, claimed)
    return row


def _must_hold(row: AnyRow, claimed: Delivery) -> None:
    if row.fence != claimed.fence or row.owner is None:
        raise StaleClaim("RNK3008E", id=claimed.id, fence=claimed.fence, newest=row.fence)


def _must_be(row: AnyRow, claimed: Delivery, wanted: str, state: DeliveryState) -> None:
    if row.state != state:
        raise OperationRefused("RNK3010E", id=claimed.id, state=row.state, wanted=wanted)


def _good(transaction: Transaction, row: AnyRow) -> Totals:
    own = (messages.c.tenant == row.tenant, messages.c.serial == row.message)
    return Totals.of_json(transaction.connection.execute(select(messages.c.good).where(*own)).scalar_one())


def _give_up(
    transaction: Transaction, row: AnyRow, claimed: Delivery, ended: Mapping[str, object], facts: Mapping[str, object]
) -> DeliveryState:
    """The delivery stays the head of its ordering key and holds it, until a person releases or skips it."""
    change(transaction, row, state=DeliveryState.QUARANTINED.value, claimable_at_us=None, armed_at_us=None, **ended)
    transaction.append(row.tenant, EntryKind.GIVEN_UP, claimed.id, facts)
    entry = NewQuarantine(QuarantineKind.GIVEN_UP, row.subscription, _good(transaction, row).records, facts)
    add_quarantine(transaction, row.tenant, [entry], message=row.message, delivery=row.serial)
    return DeliveryState.QUARANTINED
