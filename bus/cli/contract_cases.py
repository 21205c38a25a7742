"""Running the cases that stand beside a contract, for `contract check`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contracts.registry import Registry
    from contracts.violations import Violation


def failures_of(known: Registry, name: str) -> list[dict[str, str]]:
    """Cases of the contract whose outcome is not the expected one: `contract`, `case`, `validator`, `expected`, `found`.

    Raises:
        DocumentInvalid: the cases file itself has problems.
    """
    from contracts.cases import cases_file_of, load_cases, run_cases

    file = cases_file_of(known.file(name))
    if not file.is_file():
        return []
    contract = known.contract(name)
    return [
        {
            "contract": name,
            "case": outcome.case,
            "validator": outcome.validator,
            "expected": _told(outcome.expected),
            "found": _told(outcome.found),
        }
        for outcome in run_cases(load_cases(file, contract), contract)
        if not outcome.passed
    ]


def _told(violations: Sequence[Violation]) -> str:
    return ", ".join(f"{one.field}:{one.rule}:{one.severity}" for one in violations) or "-"
