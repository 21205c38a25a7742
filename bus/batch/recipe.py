"""What a worker needs to read and to write the records of one interface, as data that travels to the worker and is compiled there.

Owns: turning contracts, layouts and translations into readers, validators, translators and writers, once per process and version.
A message in the work keeps the recipe it began with; a reloaded configuration makes a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from contracts.frame_validator import FrameValidator
from contracts.layouts.build import reader_for, writer_for
from contracts.layouts.model import CsvLayout, FixedLayout, Layout
from contracts.layouts.ports import Reader, Writer
from contracts.model import Condition, Contract
from contracts.rules import expression
from contracts.translate import Translator
from contracts.translation import Translation


@dataclass(frozen=True, slots=True, eq=False)
class ReadRecipe:
    """How the records of a message are read and checked. `digest` names this content: the same digest compiles once."""

    contract: Contract
    layout: CsvLayout | FixedLayout
    digest: str

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReadRecipe) and other.digest == self.digest


@dataclass(frozen=True, slots=True, eq=False)
class WriteRecipe:
    """How one subscription's records are filtered, translated and written. Without `translation`, `target` is the source contract.
    `selection` names filter and translation, `digest` all of it: equal names mean equal results."""

    source: Contract
    target: Contract
    layout: Layout
    translation: Translation | None
    filter: Condition | None
    selection: str
    digest: str

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WriteRecipe) and other.digest == self.digest


@dataclass(frozen=True, slots=True)
class Reading:
    """A compiled ReadRecipe."""

    reader: Reader
    validator: FrameValidator


@dataclass(frozen=True, slots=True)
class Writing:
    """A compiled WriteRecipe."""

    keep: pl.Expr | None
    translator: Translator | None
    writer: Writer


@lru_cache(maxsize=64)
def reading(recipe: ReadRecipe) -> Reading:
    """Compile, or take what this process compiled before."""
    return Reading(reader_for(recipe.layout, recipe.contract), FrameValidator(recipe.contract))


@lru_cache(maxsize=256)
def writing(recipe: WriteRecipe) -> Writing:
    """Compile, or take what this process compiled before."""
    return Writing(
        keep=expression(recipe.filter, recipe.source) if recipe.filter else None,
        translator=Translator(recipe.translation, recipe.source, recipe.target) if recipe.translation else None,
        writer=writer_for(recipe.layout, recipe.target),
    )
