"""Measures the journal with 1,000,000 deliveries: what a claim, an ending, a list and an operator's action take.

Run by hand: `python tests/bench/measure_journal.py [deliveries]`. The goal is 50 ms (p95) for anything an operator or a worker does. Three
journals are filled: `finished` (all but 1,000 are delivered), `due` (all are due, each of an ordering key of its own) and `queued` (all
wait behind one another, one queue per tenant). 1,700 tenants, one of which owns half of everything.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

from bus.clock import ManualClock
from bus.journal.journal import SqlJournal
from bus.message import Delivery, DeliveryState
from contracts.totals import Totals

TENANTS = 1_700
ROUNDS = 30

NOTHING = '{"records": 0, "sums": {}}'
FILL_MESSAGES = f"""
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :tenants - 1)
INSERT INTO messages (tenant, serial, interface, business_date, sequence, revision, state, source_system, endpoint, kind, contract,
 contract_digest, layout, config_digest, characters, file_name, bytes, sha256, records, declared, good, rejected, broken, reason,
 received_at_us)
SELECT printf('%06d', i), 1, 'jumin', '2026-11-19', 1, 1, 'accepted', '001', 'in', 'full', 'resident@1.0', 'd', 'csv', 'c', '1', 'f.csv',
 10, 'aa', 0, '{{}}', '{NOTHING}', '{NOTHING}', '[]', '', 0 FROM n"""
FILL_DELIVERIES = f"""
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :most - 1),
made(i, finished, armed) AS (
 SELECT i, CASE WHEN :shape = 'finished' AND i >= 1000 THEN :now END,
  CASE WHEN :shape = 'due' OR :shape = 'finished' AND i < 1000 OR :shape = 'queued' AND i < 2 * :tenants THEN :now END FROM n)
INSERT INTO deliveries (tenant, serial, message, subscription, copy, system, endpoint, contract, layout, ordering_key, number, state,
 file_name, config_digest, attempts, fence, due_at_us, claimable_at_us, armed_at_us, taken_in, out, filtered, refused, bytes_out,
 publication, last_error, created_at_us, finished_at_us)
SELECT printf('%06d', CASE i % 2 WHEN 0 THEN 0 ELSE (i / 2) % :tenants END), i + 1, 1, 'welfare', i, '002', 'out', 'resident@1.0', 'xml',
 CASE :shape WHEN 'queued' THEN 'k' ELSE 'k' || i END, i + 1, CASE WHEN finished IS NULL THEN 'due' ELSE 'delivered' END, 'f.xml', 'c',
 0, 0, :now, armed, armed, '{NOTHING}', '{NOTHING}', '{NOTHING}', '{NOTHING}', 0, '{{}}', '', :now + i, finished FROM made"""
FILL_COUNTERS = "INSERT INTO counters SELECT tenant, :name, :value FROM messages"


def fill(path: Path, shape: str, most: int, clock: ManualClock) -> SqlJournal:
    """A journal of `most` deliveries."""
    journal = SqlJournal.open(path, clock)
    with journal._database.write() as connection:
        facts = {"tenants": TENANTS, "most": most, "shape": shape, "now": clock.now_us()}
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute(FILL_MESSAGES, facts)
        raw.execute(FILL_DELIVERIES, facts)
        for name in ("delivery", "subscription:welfare"):
            raw.execute(FILL_COUNTERS, {"name": name, "value": most})
        raw.execute("INSERT INTO turns SELECT tenant, 0 FROM messages")
        if shape == "queued":  # the first of each tenant is its head, the others are not
            raw.execute(
                "UPDATE deliveries SET claimable_at_us = NULL, armed_at_us = NULL WHERE claimable_at_us IS NOT NULL AND number > "
                "(SELECT min(d.number) FROM deliveries d WHERE d.tenant = deliveries.tenant AND d.finished_at_us IS NULL"
                " AND d.subscription = 'welfare' AND d.ordering_key = 'k')"
            )
    return journal


def timed(call: Callable[[], object], rounds: int = ROUNDS) -> dict[str, float]:
    """Milliseconds of a call: median, p95, worst."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        taken.append((time.perf_counter() - begun) * 1000)
    p95 = quantiles(taken, n=20)[-1] if len(taken) > 1 else taken[0]
    return {"median_ms": round(median(taken), 2), "p95_ms": round(p95, 2), "most_ms": round(max(taken), 2)}


def end_one(journal: SqlJournal, held: list[Delivery]) -> None:
    """Finish one claimed delivery."""
    claimed = held.pop()
    journal.ready_to_publish(claimed, {"renames": []}, 0)
    journal.delivered(claimed, taken_in=Totals(), out=Totals(), filtered=Totals(), refused=Totals(), quarantine=[])


def measure(shape: str, most: int) -> dict[str, object]:
    """All figures of one shape."""
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as folder:
        journal = fill(Path(folder) / "journal.db", shape, most, clock)
        found: dict[str, object] = {}
        held: list[Delivery] = []
        found["claim_16"] = timed(lambda: held.extend(journal.claim("w", lease_seconds=600, limit=16)))
        given_up, unneeded = held[:ROUNDS], held[ROUNDS : 2 * ROUNDS]
        del held[: 2 * ROUNDS]
        found["ready_and_delivered"] = timed(lambda: end_one(journal, held))
        found["give_up"] = timed(lambda: journal.failed(given_up.pop(), error="x", due_at_us=None))
        for claimed in unneeded:
            journal.failed(claimed, error="x", due_at_us=None)
        entries = list(journal.quarantine())
        found["release"] = timed(lambda: journal.release(entries.pop().id, by="me"))
        found["skip"] = timed(lambda: journal.skip(entries.pop().id, by="me"))
        found["deliveries"] = timed(journal.deliveries)
        found["deliveries_of_tenant"] = timed(lambda: journal.deliveries(tenant="000000"))
        found["deliveries_of_state"] = timed(lambda: journal.deliveries(state=DeliveryState.QUARANTINED))
        found["quarantine"] = timed(lambda: journal.quarantine(tenant="000000"))
        found["trace_entries"] = timed(lambda: journal.entries("000000", subject="000000-d1"))
        found["backlog"] = timed(journal.backlog, 5)
        clock.advance(-3600)
        found["claim_after_clock_went_back"] = timed(lambda: journal.claim("w", lease_seconds=600, limit=1), 1)
        found["unclaim"] = timed(lambda: journal.unclaim("w"), 1)
        journal.close()
    return found


def main() -> None:
    """Print the figures as JSON."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(json.dumps({shape: measure(shape, most) for shape in ("finished", "due", "queued")}, indent=1))


if __name__ == "__main__":
    main()
