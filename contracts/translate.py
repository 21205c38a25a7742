"""Turns frames of one contract into frames of another, as a translation says. Many records at once; pure; knows nothing of the bus.

Owns: filtering, mapping and refusing, with totals that add up: taken in = out + filtered + refused, in records and in every sum that
reaches the target unchanged. What cannot be proven from the two contracts alone (`contracts.translate_proof`) is validated against the
target contract, so that what leaves is valid there too; what is copied between equal fields is neither copied in memory nor checked.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from contracts.frame_totals import totals_of
from contracts.frame_validator import FrameValidator
from contracts.model import Contract
from contracts.rules import expression
from contracts.totals import Totals
from contracts.translate_proof import carried_sums, less_sensitive, unproven
from contracts.translate_steps import Stage, compile_rule
from contracts.translation import Translation, sources_of
from contracts.violations import BYTE, LINE, ORDINAL, PLACE, VIOLATIONS, no_violations


@dataclass(frozen=True, slots=True)
class Translated:
    """What became of one frame. All totals are in the target's words: they sum those `control_sums` of the target that are copies of a
    source field (`Translator.carried_sums`). `refused` is a violations frame, one row or more per refused record, naming fields of the
    target; a field that is less sensitive than its source shows no value."""

    frame: pl.DataFrame
    taken_in: Totals
    filtered: Totals
    refused_totals: Totals
    refused: pl.DataFrame


class Translator:
    """One translation, compiled once and used for any number of frames. Quick to make again in another process."""

    def __init__(self, translation: Translation, source: Contract, target: Contract) -> None:
        self.translation = translation
        self.source = source
        self.target = target
        self.carried_sums = carried_sums(translation, source, target)
        rules = translation.rules_for(source.names, target.names)
        compiled = {name: compile_rule(rule, source) for name, rule in rules.items()}
        self._columns = [compiled[name].value.alias(name) if name in compiled else _absent(name) for name in target.names]
        self._stages = {name: made.stages for name, made in compiled.items() if made.stages}
        self._shown = {name: [] if less_sensitive(name, rule, source, target) else sources_of(rule) for name, rule in rules.items()}
        self._filter = expression(translation.filter, source) if translation.filter is not None else None
        self._summed = source.model_copy(update={"control_sums": list(dict.fromkeys(self.carried_sums.values()))})
        guard = unproven(translation, source, target)
        self._guarded = guard.names if guard is not None else []
        self._validator = FrameValidator(guard) if guard is not None else None

    def totals(self, frame: pl.DataFrame) -> Totals:
        """Records of a frame of the source contract and its carried sums, in the target's names."""
        if not self.carried_sums:
            return Totals(frame.height)
        found = totals_of(frame, self._summed)
        return Totals(found.records, {name: found.sums[source] for name, source in self.carried_sums.items()})

    def apply(self, frame: pl.DataFrame) -> Translated:
        """Translate a frame of valid source records; place columns are carried along.

        Deterministic, and independent of how the records are split into frames. Raises nothing for content: a record that cannot be
        translated is refused.
        """
        taken_in = self.totals(frame)
        kept, filtered = self._sift(frame)
        made = kept.select(*self._columns, *PLACE)
        broken = self._untranslatable(kept, made)
        if broken.height:
            made = made.filter(~pl.any_horizontal([pl.col(name).is_null() for name in self._stages]))
        good, invalid = self._validated(made)
        refused = pl.concat([broken, invalid]).sort("ordinal", maintain_order=True) if broken.height or invalid.height else broken
        if refused.height == 0:
            return Translated(good, taken_in, filtered, taken_in - taken_in, refused)
        lost = kept.filter(~pl.col(ORDINAL).is_in(good[ORDINAL].implode()))
        return Translated(good, taken_in, filtered, self.totals(lost), refused)

    def _sift(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, Totals]:
        """The records the filter lets through, and totals of the others. Nothing is copied when it lets all through."""
        if self._filter is None:
            return frame, self.totals(frame.clear())
        holds = frame.select(holds=self._filter).to_series()
        if holds.all():
            return frame, self.totals(frame.clear())
        return frame.filter(holds), self.totals(frame.filter(~holds))

    def _untranslatable(self, kept: pl.DataFrame, made: pl.DataFrame) -> pl.DataFrame:
        """A violation for each value that a step refused."""
        found = [no_violations()]
        for name, stages in self._stages.items():
            if made[name].null_count():
                found.append(_refusals(kept.filter(made[name].is_null()), name, stages, self._shown[name]))
        return pl.concat(found)

    def _validated(self, made: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The records that are valid in the target contract, and the rejecting violations of the others."""
        if self._validator is None:
            return made, no_violations()
        findings = self._validator.check(made.select(*self._guarded, *PLACE))
        if findings.good.all():
            return made, no_violations()
        quiet = [name for name, shown in self._shown.items() if not shown]
        value = pl.when(pl.col("field").is_in(quiet)).then(pl.lit("")).otherwise(pl.col("value")).alias("value")
        broken = findings.violations.filter(pl.col("severity") == "reject").with_columns(value)
        return made.filter(findings.good), broken


def _absent(name: str) -> pl.Expr:
    return pl.lit("", dtype=pl.String).alias(name)


def _refusals(records: pl.DataFrame, name: str, stages: tuple[Stage, ...], shown: list[str]) -> pl.DataFrame:
    rule = pl.coalesce([pl.when(stage.value.is_null()).then(pl.lit(stage.rule)) for stage in stages])
    present = [pl.when(pl.col(origin) != "").then(pl.col(origin)) for origin in shown]
    value = pl.concat_str(present, separator=" ", ignore_nulls=True) if shown else pl.lit("")
    return records.select(
        pl.col(ORDINAL).alias("ordinal"),
        pl.col(LINE).alias("line"),
        pl.col(BYTE).alias("byte"),
        pl.lit(name).alias("field"),
        rule.alias("rule"),
        pl.lit("reject").alias("severity"),
        value.alias("value"),
    ).cast(VIOLATIONS)
