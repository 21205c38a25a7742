"""The translations of a site, as events need them: data in one contract to data in another.

Owns: finding a translation by name and making it once. What a translation does is in `contracts.translate_record`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from bus.batch.recipes import Recipes
from bus.errors import SiteInvalid
from bus.events.render import Refused, Translating
from contracts.event_record import EventReader
from contracts.translate_record import RecordTranslator, TranslatedRecord


class _Translation:
    """One translation. Made once, used from any thread."""

    def __init__(self, translator: RecordTranslator, reader: EventReader) -> None:
        self._translator = translator
        self._reader = reader

    def data(self, data: Sequence[bytes]) -> Sequence[bytes | Refused | None]:
        """See `bus.events.render.Translating`."""
        return [self._told(found) for found in self._translator.apply([self._reader.read(one) for one in data])]

    def _told(self, found: TranslatedRecord) -> bytes | Refused | None:
        if found.outcome == "filtered":
            return None
        if found.outcome == "refused":
            return Refused([f"{one.field}:{one.rule}" for one in found.violations])
        return orjson.dumps(found.record)


@dataclass(slots=True)
class SiteTranslations:
    """`bus.events.render.Translations` of one loaded configuration."""

    recipes: Recipes
    _made: dict[str, Translating] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def translating(self, tenant: str, translation: str) -> Translating:
        """The translation of that name.

        Raises:
            SiteInvalid: it is not configured any more.
        """
        with self._lock:
            if translation not in self._made:
                self._made[translation] = self._make(tenant, translation)
            return self._made[translation]

    def _make(self, tenant: str, name: str) -> Translating:
        found = self.recipes.translations.get(name)
        if found is None:
            raise SiteInvalid("RNK4020E", kind="translation", name=name, tenant=tenant)
        registry = self.recipes.registry
        source, target = registry.contract(found.from_), registry.contract(found.to)
        return _Translation(RecordTranslator(found, source, target), EventReader(source))
