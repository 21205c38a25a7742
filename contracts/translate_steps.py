"""The rules of a translation as Polars expressions. Vectorised; nothing here looks at one record at a time.

Owns: what each step does to a column. While a value is on its way, null means refused; `stages` tell afterwards which step refused it.
Columns that come in hold text and no null (`contracts.violations`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import polars as pl

from contracts.dates import EraForm as DateEraForm
from contracts.dates import era_to_iso_expression, iso_to_era_expression
from contracts.model import Contract
from contracts.rules import expression
from contracts.translate_width import twins
from contracts.translation import CodeMap, Cut, EraForm, Join, Lookup, Pad, Rule, Split, Step, Trim, Width

_EMPTY: Final = pl.lit("", dtype=pl.String)
_REFUSED: Final = pl.lit(None, dtype=pl.String)
_ERA_FORMS: Final[dict[EraForm, DateEraForm]] = {"kanji": "era_kanji", "letter": "era_letter", "digits": "era_digits"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A point where values may be refused: `value` is null where `rule` was broken here or at an earlier stage."""

    rule: str
    value: pl.Expr


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule as an expression. `value` is null for a refused record; `stages` are in the order in which they refuse."""

    value: pl.Expr
    stages: tuple[Stage, ...] = ()

    def then(self, step: Callable[[pl.Expr], pl.Expr]) -> Compiled:
        """This value with a step that refuses nothing. Absent and refused values pass by untouched."""
        changed = pl.when(self.value.str.len_bytes() > 0).then(step(self.value)).otherwise(self.value)
        return Compiled(changed, self.stages)


def compile_rule(rule: Rule, source: Contract) -> Compiled:
    """The rule as an expression over a frame of `source`."""
    made = _origin(rule, source)
    for step in rule.steps:
        made = _step(made, step)
    return made


def _origin(rule: Rule, source: Contract) -> Compiled:
    if rule.from_ is not None:
        return Compiled(pl.col(rule.from_))
    if rule.constant is not None:
        return Compiled(pl.lit(rule.constant, dtype=pl.String))
    if rule.join is not None:
        return _join(rule.join, source)
    if rule.first_of is not None:
        return _first_of([compile_rule(child, source) for child in rule.first_of])
    return _conditional(rule, source)


def _join(join: Join, source: Contract) -> Compiled:
    parts = [compile_rule(part, source) for part in join.parts]
    present = [pl.when(part.value.str.len_bytes() > 0).then(part.value) for part in parts]
    value = pl.concat_str(present, separator=join.separator, ignore_nulls=True)
    stages = tuple(stage for part in parts for stage in part.stages)
    if stages:
        refused = pl.any_horizontal([part.value.is_null() for part in parts if part.stages])
        value = pl.when(refused).then(_REFUSED).otherwise(value)
    return Compiled(value, stages)


def _first_of(choices: list[Compiled]) -> Compiled:
    """The first that is not absent. A refused choice refuses the record unless an earlier choice has a value."""
    value, stages = choices[-1].value, list(choices[-1].stages)
    for choice in reversed(choices[:-1]):
        absent = choice.value == ""
        value = pl.when(absent).then(value).otherwise(choice.value)
        stages = [*choice.stages, *(Stage(stage.rule, pl.when(absent).then(stage.value).otherwise(_EMPTY)) for stage in stages)]
    return Compiled(value, tuple(stages))


def _conditional(rule: Rule, source: Contract) -> Compiled:
    if rule.when is None or rule.then is None:  # the model never lets it come to this
        raise ValueError("a conditional rule needs when and then")
    holds = expression(rule.when, source)
    then = compile_rule(rule.then, source)
    other = compile_rule(rule.else_, source) if rule.else_ is not None else Compiled(_EMPTY)
    stages = [Stage(stage.rule, pl.when(holds).then(stage.value).otherwise(_EMPTY)) for stage in then.stages]
    stages += [Stage(stage.rule, pl.when(holds).then(_EMPTY).otherwise(stage.value)) for stage in other.stages]
    return Compiled(pl.when(holds).then(then.value).otherwise(other.value), tuple(stages))


def _step(made: Compiled, step: Step) -> Compiled:
    if step.map is not None:
        return _mapped(made, step.map, step.map.codes, "unmapped")
    if step.lookup is not None:
        return _mapped(made, step.lookup, step.lookup.entries, "not_in_table")
    if step.from_era is not None:
        return _refusing(made, era_to_iso_expression(made.value, lenient=step.from_era.lenient))
    if step.to_era is not None:
        return _refusing(made, iso_to_era_expression(made.value, _ERA_FORMS[step.to_era]))
    return made.then(_pure(step))


def _mapped(made: Compiled, step: CodeMap | Lookup, codes: dict[str, str], rule: str) -> Compiled:
    """Hash lookup of the whole column. `""` stays `""` unless the codes list it."""
    pairs = codes if "" in codes else {**codes, "": ""}
    total = step.keep or step.default is not None
    default = made.value if step.keep else pl.lit(step.default, dtype=pl.String)
    value = made.value.replace_strict(list(pairs), list(pairs.values()), default=default, return_dtype=pl.String)
    if total and made.stages:
        value = pl.when(made.value.is_null()).then(_REFUSED).otherwise(value)
    return Compiled(value, made.stages if total else (*made.stages, Stage(rule, value)))


def _refusing(made: Compiled, changed: pl.Expr) -> Compiled:
    """A conversion of dates that gives null for what is no date. Absent stays absent."""
    value = pl.when(made.value == "").then(_EMPTY).otherwise(changed)
    return Compiled(value, (*made.stages, Stage("era_date", value)))


def _pure(step: Step) -> Callable[[pl.Expr], pl.Expr]:
    if step.width is not None:
        return _width(step.width)
    if step.trim is not None:
        return _trim(step.trim)
    if step.pad is not None:
        return _pad(step.pad)
    if step.split is not None:
        return _split(step.split)
    if step.cut is not None:
        return _cut(step.cut)
    return _prefix(step.replace_prefix or {})


def _width(step: Width) -> Callable[[pl.Expr], pl.Expr]:
    pairs = twins(step)
    return lambda value: value.str.replace_many(list(pairs), list(pairs.values()), leftmost=True)


def _trim(step: Trim) -> Callable[[pl.Expr], pl.Expr]:
    if step.side == "left":
        return lambda value: value.str.strip_chars_start(step.characters)
    if step.side == "right":
        return lambda value: value.str.strip_chars_end(step.characters)
    return lambda value: value.str.strip_chars(step.characters)


def _pad(step: Pad) -> Callable[[pl.Expr], pl.Expr]:
    if step.side == "left":
        return lambda value: value.str.pad_start(step.to, step.with_)
    return lambda value: value.str.pad_end(step.to, step.with_)


def _split(step: Split) -> Callable[[pl.Expr], pl.Expr]:
    if step.rest:
        return lambda value: value.str.split(step.by).list.slice(step.part - 1).list.join(step.by)
    index = step.part - 1 if step.part > 0 else step.part
    return lambda value: value.str.split(step.by).list.get(index, null_on_oob=True).fill_null("")


def _cut(step: Cut) -> Callable[[pl.Expr], pl.Expr]:
    return lambda value: value.str.slice(step.start - 1, step.length)


def _prefix(prefixes: dict[str, str]) -> Callable[[pl.Expr], pl.Expr]:
    def replaced(value: pl.Expr) -> pl.Expr:
        result = value
        for old, new in reversed(prefixes.items()):
            changed = pl.concat_str(pl.lit(new), value.str.slice(len(old)))
            result = pl.when(value.str.starts_with(old)).then(changed).otherwise(result)
        return result

    return replaced
