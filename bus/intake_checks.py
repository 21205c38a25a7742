"""May this file be accepted? The whole-file checks between validation and the accepting transaction.

Owns: the counting identity (records = good + rejected), the totals the file declares about itself, and the reject policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from bus.errors import IntakeRefused, TotalsDisagree
from bus.intake_identity import told
from bus.site import Interface, Rejects
from contracts.totals import Totals


def check_counts(records: int, good: Totals, rejected: Totals) -> None:
    """Raises TotalsDisagree when a record was lost or doubled between the file and the checks."""
    if good.records + rejected.records != records:
        raise TotalsDisagree("RNK4007E", expected=records, good=good.records, rejected=rejected.records)


def check_declared(file: str, declared: Mapping[str, str], found: Totals, unreadable: int) -> None:
    """Raises IntakeRefused when the header or trailer declares another count or other sums than the file holds.

    Sums are not compared when records are `unreadable`: those are rejected and seen, but what they would add is not known.
    """
    for name, value in declared.items():
        if name != "count" and (unreadable or not name.startswith("sum.")):
            continue
        counted = Decimal(found.records) if name == "count" else found.sums.get(name.removeprefix("sum."), Decimal(0))
        try:
            agrees = Decimal(value.strip() or "0") == counted
        except InvalidOperation:
            agrees = False
        if not agrees:
            raise IntakeRefused("RNK4016E", file=file, what=name, declared=told(name, value), found=str(counted))


def check_policy(file: str, interface: Interface, good: Totals, rejected: Totals) -> None:
    """Raises IntakeRefused when more records are rejected than the interface allows."""
    policy = interface.rejects
    if not rejected.records or not _too_many(policy, good, rejected):
        return
    raise IntakeRefused(
        "RNK4017E",
        file=file,
        rejected=rejected.records,
        records=good.records + rejected.records,
        policy=policy.policy,
        most=f"{policy.max_share:.2%}" if policy.max_records is None else f"{policy.max_share:.2%} / {policy.max_records}",
    )


def _too_many(policy: Rejects, good: Totals, rejected: Totals) -> bool:
    if policy.policy == "reject_file":
        return True
    if policy.max_records is not None and rejected.records > policy.max_records:
        return True
    return rejected.records > policy.max_share * (good.records + rejected.records)
