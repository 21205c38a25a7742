"""A tolerant look at a configuration document: what can be read is read, so that one mistake does not hide the next.

Owns: `Item`, a mapping in a document that knows its place. The form of a document is checked by the models of `bus.site`; the checks in
`bus.site_tenant` and `bus.site_places` look through items and skip what is not there, because the models have reported that already.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.documents import Document, Path_
from contracts.errors import Problem


@dataclass(frozen=True, slots=True)
class Item:
    """One mapping of a document, with its path."""

    document: Document
    path: Path_
    data: Mapping[str, Any]

    @staticmethod
    def whole(document: Document) -> Item:
        """The document itself; empty when it is no mapping."""
        return Item(document, (), document.data if isinstance(document.data, dict) else {})

    def text(self, key: str) -> str | None:
        """The text under `key`, or None when there is none."""
        value = self.data.get(key)
        return value if isinstance(value, str) and value else None

    def items(self, key: str) -> list[Item]:
        """The mappings in the list under `key`."""
        values = self.data.get(key)
        if not isinstance(values, list):
            return []
        return [Item(self.document, (*self.path, key, index), value) for index, value in enumerate(values) if isinstance(value, dict)]

    def texts(self, key: str) -> list[tuple[int, str]]:
        """The texts in the list under `key`, each with its index."""
        values = self.data.get(key)
        return [(index, value) for index, value in enumerate(values) if isinstance(value, str)] if isinstance(values, list) else []

    def part(self, key: str) -> Item:
        """The mapping under `key`; empty when there is none."""
        value = self.data.get(key)
        return Item(self.document, (*self.path, key), value if isinstance(value, dict) else {})

    def line(self, *keys: str | int) -> int:
        """The 1-based line of a key, or of its nearest ancestor."""
        return self.problem("RNK1003E", *keys).line

    def problem(self, message_id: str, *keys: str | int, **facts: object) -> Problem:
        """A problem at a key of this item (at the item itself, when no key is given)."""
        return self.document.problem(message_id, (*self.path, *keys), **facts)


def suggestion(name: str, known: Iterable[str]) -> str:
    """` (did you mean "x"?)` when a known name is near, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""
