"""Control totals: a number of records and exact sums, which must agree from the file that came to the files that left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Totals:
    """Records counted, and the exact sum of each of the contract's `control_sums` (unreadable or absent values add nothing)."""

    records: int = 0
    sums: Mapping[str, Decimal] = field(default_factory=dict)

    def __add__(self, other: Totals) -> Totals:
        names = dict.fromkeys([*self.sums, *other.sums])
        zero = Decimal(0)
        return Totals(
            self.records + other.records,
            {name: self.sums.get(name, zero) + other.sums.get(name, zero) for name in names},
        )

    def __sub__(self, other: Totals) -> Totals:
        return self + Totals(-other.records, {name: -value for name, value in other.sums.items()})

    def as_json(self) -> dict[str, object]:
        """`{"records": n, "sums": {field: "text"}}`, sums as decimal text so that nothing is rounded."""
        return {"records": self.records, "sums": {name: str(value) for name, value in self.sums.items()}}

    @staticmethod
    def of_json(data: Mapping[str, object]) -> Totals:
        """The opposite of `as_json`."""
        sums = data.get("sums") or {}
        assert isinstance(sums, Mapping)  # noqa: S101 - written by as_json
        return Totals(int(str(data["records"])), {str(name): Decimal(str(value)) for name, value in sums.items()})
