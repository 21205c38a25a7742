"""What the checks of one tenant's file may lean on: contracts, translations, and what `site.yaml` offers to its tenants.

Owns: `Known`, made once for a check of the whole site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from bus.site import Api
from contracts.layouts.model import Layout
from contracts.model import Contract
from contracts.registry import Registry
from contracts.translation import Translation


@dataclass(frozen=True)
class Known:
    """What names may lead to. Contracts and translations whose files are broken have names, too, but nothing else is said of them."""

    registry: Registry
    translations: Mapping[str, Translation]
    broken_translations: frozenset[str] = frozenset()
    broker: bool = False
    """`site.yaml` names a RabbitMQ"""
    most_waiting_bytes: int = Api().most_waiting_bytes
    """of `site.yaml`: events in memory"""

    @cached_property
    def contracts(self) -> list[str]:
        """The names of all contracts, those of broken files last."""
        return [*self.registry.names(), *self.registry.broken]

    @cached_property
    def _readable(self) -> frozenset[str]:
        return frozenset(self.registry.names())

    def contract(self, name: str | None) -> Contract | None:
        """The contract, if there is one of that name."""
        return self.registry.contract(name) if name in self._readable and name is not None else None

    def layouts(self, contract: str | None) -> Mapping[str, Layout] | None:
        """The layouts of a contract, or None when there is no contract of that name."""
        return self.registry.layouts(contract) if contract in self._readable and contract is not None else None

    def layout(self, contract: str | None, layout: str | None) -> Layout | None:
        """The layout, if the contract has one of that name."""
        return (self.layouts(contract) or {}).get(layout or "")

    def arriving(self, contract: str | None, translation: str | None) -> str | None:
        """The contract that a subscriber gets: the translation's target, or the interface's own."""
        if translation is None:
            return contract
        found = self.translations.get(translation)
        return found.to if found else None


_QUOTED_BYTES: Final = 6
"""Of a field in JSON besides name and value: quotes, colon, comma."""
_CHARACTER_BYTES: Final = 3
_DAY_OR_TIME: Final = 10


def longest_record_bytes(contract: Contract) -> int:
    """About how long the longest record of a contract is as JSON in UTF-8, when every field is full of Japanese text."""
    lengths = ((len(field.name), field.length or sum(field.digits or ()) + 2 or _DAY_OR_TIME) for field in contract.fields)
    return sum(name + _QUOTED_BYTES + length * _CHARACTER_BYTES for name, length in lengths)
