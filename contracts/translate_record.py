"""One or a few records turned into those of another contract, as events need it; by the same expressions as whole files.

Owns: records in, what became of each out. How a translation works is in `contracts.translate`, so an event and a record of a file with the
same content come out alike. A call costs about 1 ms for one record and hardly more for a hundred: hand over together what waits together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from contracts.model import Contract
from contracts.translate import Translator
from contracts.translation import Translation
from contracts.violations import ORDINAL, PLACE, Violation

Outcome = Literal["out", "filtered", "refused"]


@dataclass(frozen=True, slots=True)
class TranslatedRecord:
    """What became of one record: `record` in the target contract (every field of it, `""` where absent) when it goes out; why not, naming
    fields of the target, when it is refused. `values` are what stood in those fields, unmasked, for `contracts.event_record.masked`."""

    outcome: Outcome
    record: dict[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    values: dict[str, str] = field(default_factory=dict)


_FILTERED = TranslatedRecord("filtered")


class RecordTranslator:
    """One translation for records. Made once, used from any number of threads."""

    def __init__(self, translation: Translation, source: Contract, target: Contract) -> None:
        self.translation = translation
        self.source = source
        self.target = target
        self._translator = Translator(translation, source, target)
        self._schema = {**dict.fromkeys(source.names, pl.String), **dict.fromkeys(PLACE, pl.UInt64)}

    def apply(self, records: Sequence[Mapping[str, str]]) -> list[TranslatedRecord]:
        """What becomes of each of these records, in their order.

        Raises nothing for content: a record that cannot be translated is refused.

        Args:
            records: good records of the source contract; a field that one lacks is absent.
        """
        columns: dict[str, list[str] | list[int]] = {name: [record.get(name, "") for record in records] for name in self.source.names}
        ordinals = list(range(1, len(records) + 1))
        made = self._translator.apply(pl.DataFrame({**columns, **dict.fromkeys(PLACE, ordinals)}, schema=self._schema))
        refused: dict[int, TranslatedRecord] = {}
        for ordinal, name, rule, severity, value in made.refused.select("ordinal", "field", "rule", "severity", "value").iter_rows():
            before = refused.get(ordinal) or TranslatedRecord("refused")
            found = (*before.violations, Violation(name, rule, severity))
            refused[ordinal] = TranslatedRecord("refused", violations=found, values={**before.values, name: value})
        rows = made.frame.select(self.target.names).to_dicts()
        out = {ordinal: TranslatedRecord("out", row) for ordinal, row in zip(made.frame[ORDINAL].to_list(), rows, strict=True)}
        return [out.get(ordinal) or refused.get(ordinal) or _FILTERED for ordinal in ordinals]
