"""What a translation says: how the records of one contract become records of another. Plain, frozen data from one YAML file.

Owns: the words of a translation file. Reading files is in `contracts.translation_files`, finding mistakes in
`contracts.translation_lint`, doing it in `contracts.translate`. The list of steps is closed: a translation holds no program text.

    translation: resident-to-welfare@1.0
    from: resident@1.0
    to: welfare-resident@1.0
    same_names: true              # every target field that the source has too is copied
    drop: [tsusho]                # ... except these
    filter: {fields: {juminjotai: {eq: "1"}}}
    fields:
      name: shimei                                      # copy under another name
      kind: {constant: "1"}
      sex: {from: seibetsu, steps: [{map: {codes: {"1": M, "2": F}, default: X}}]}
      born_as_written: {from: seinengappi, steps: [{to_era: kanji}]}

An absent value (`""`) stays absent through every step; only a `map` that lists `""`, or `first_of`, fills it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StringConstraints, model_validator

from contracts.model import Condition, ContractName, FieldName, Strict, Words, fields_in

TranslationName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*@[0-9]+\.[0-9]+$")]
"""`name@major.minor`, e.g. `resident-to-welfare@1.0`."""
EraForm = Literal["kanji", "letter", "digits"]
"""How an era date is written: `令和8年11月20日`, `R08.11.20`, `5081120` (era code 1 to 5, then yymmdd)."""
WidthKind = Literal["digits", "latin", "kana", "symbols", "space"]


class CodeMap(Strict):
    """Each value becomes another. One that `codes` does not list becomes `default`, or stays itself with `keep`, or else the record is
    refused with rule `unmapped`."""

    codes: dict[str, str] = Field(min_length=1)
    default: str | None = None
    keep: bool = False

    @model_validator(mode="after")
    def _one_way_out(self) -> CodeMap:
        if self.keep and self.default is not None:
            raise ValueError("keep and default exclude each other")
        return self


class Lookup(Strict):
    """A code map that stands in a CSV table (UTF-8, first line = titles), at `table` beside the translation file.

    `key` and `value` are titles of columns. `entries` is filled from the table when the file is loaded.
    """

    table: str
    key: str
    value: str
    default: str | None = None
    keep: bool = False
    entries: dict[str, str] = Field(default_factory=dict)


class Width(Strict):
    """Full-width to half-width or back, for the kinds of characters named. `kana` to half splits voiced marks off (ガ -> ｶﾞ)."""

    to: Literal["full", "half"]
    kinds: list[WidthKind] = Field(default=["digits", "latin", "kana", "symbols", "space"], min_length=1)


class Trim(Strict):
    """Take characters away from the ends; spaces of both widths unless `characters` says others."""

    side: Literal["both", "left", "right"] = "both"
    characters: str = Field(default=" \u3000", min_length=1)


class Pad(Strict):
    """Fill up to `to` characters; a longer value stays as it is."""

    side: Literal["left", "right"] = "left"
    with_: str = Field(default="0", alias="with", min_length=1, max_length=1)
    to: int = Field(ge=1, le=10_000)


class Split(Strict):
    """One part of a value cut at `by`. `part` counts from 1, or from the end with -1; `rest` takes everything from that part on.
    A part that is not there is absent."""

    by: str = Field(min_length=1)
    part: int
    rest: bool = False

    @model_validator(mode="after")
    def _part_exists(self) -> Split:
        if self.part == 0 or (self.rest and self.part < 0):
            raise ValueError("part counts from 1, or from the end with -1 (not together with rest)")
        return self


class Cut(Strict):
    """Characters `start` to `start + length - 1`; `start` counts from 1."""

    start: int = Field(ge=1)
    length: int = Field(ge=1)


class FromEra(Strict):
    """A written era date becomes `YYYY-MM-DD`; one that is no date is refused with rule `era_date`.

    `lenient`: a year beyond the era's end (`平成32年`) is accepted. To keep the written form, copy it into a field of its own.
    """

    lenient: bool = False


class Step(Strict):
    """One change of a value: exactly one of these."""

    map: CodeMap | None = None
    lookup: Lookup | None = None
    from_era: FromEra | None = None
    to_era: EraForm | None = None
    width: Width | None = None
    trim: Trim | None = None
    pad: Pad | None = None
    split: Split | None = None
    cut: Cut | None = None
    replace_prefix: dict[str, str] | None = Field(default=None, min_length=1)
    """The first of these beginnings that a value has becomes the other."""

    @model_validator(mode="after")
    def _one(self) -> Step:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"a step is exactly one of: {', '.join(type(self).model_fields)}")
        return self

    @property
    def kind(self) -> str:
        """Which one it is."""
        return next(iter(self.model_fields_set))


class Join(Strict):
    """Values put together, with `separator` between them. Absent ones leave no separator behind."""

    parts: list[Rule] = Field(min_length=1)
    separator: str = ""


class Rule(Strict):
    """Where a target field's value comes from, and the steps it then goes through, in order.

    Exactly one of `from`, `constant`, `join`, `first_of` (the first that is not absent) or `when`/`then`/`else` (no `else`: absent).
    A plain name stands for `{from: name}`.
    """

    from_: FieldName | None = Field(default=None, alias="from")
    constant: str | None = None
    join: Join | None = None
    first_of: list[Rule] | None = Field(default=None, min_length=1)
    when: Condition | None = None
    then: Rule | None = None
    else_: Rule | None = Field(default=None, alias="else")
    steps: list[Step] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _plain_name(cls, data: Any) -> Any:
        return {"from": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _one_origin(self) -> Rule:
        origins = [self.from_, self.constant, self.join, self.first_of, self.when]
        if sum(origin is not None for origin in origins) != 1:
            raise ValueError("a rule is exactly one of: from, constant, join, first_of, when")
        if (self.when is None) != (self.then is None) or (self.else_ is not None and self.when is None):
            raise ValueError("when and then belong together; else belongs to them")
        return self

    @property
    def children(self) -> list[Rule]:
        """The rules inside this one."""
        parts = [*(self.join.parts if self.join else []), *(self.first_of or [])]
        return parts + [rule for rule in (self.then, self.else_) if rule is not None]

    @property
    def is_copy(self) -> bool:
        """Whether the value is a source field's, unchanged."""
        return self.from_ is not None and not self.steps


class Translation(Strict):
    """How records of `from` become records of `to`. `filter` sees source fields; a record for which it does not hold is left out
    and counted as filtered. `drop` names source fields that `same_names` shall not copy."""

    translation: TranslationName
    title: Words | None = None
    from_: ContractName = Field(alias="from")
    to: ContractName
    same_names: bool = False
    drop: list[FieldName] = Field(default_factory=list)
    filter: Condition | None = None
    fields: dict[FieldName, Rule] = Field(default_factory=dict)
    note: str = ""

    _file: Path = PrivateAttr(default=Path())
    _digest: str = PrivateAttr(default="")

    @property
    def file(self) -> Path:
        """The file it was loaded from."""
        return self._file

    @property
    def digest(self) -> str:
        """sha256 (hex) over the file and the tables it looks up in; empty when it was not loaded from a file."""
        return self._digest

    def loaded_from(self, file: Path, digest: str) -> Translation:
        """The same translation, knowing its file and digest."""
        copy = self.model_copy()
        copy._file, copy._digest = file, digest  # noqa: SLF001 - its own private attributes
        return copy

    def rules_for(self, source_names: list[str], target_names: list[str]) -> dict[str, Rule]:
        """The rule of each target field that is filled, in target order: those written down, then copies of same names."""
        copied = set(source_names) - set(self.drop) if self.same_names else set()
        rules: dict[str, Rule] = {}
        for name in target_names:
            if name in self.fields:
                rules[name] = self.fields[name]
            elif name in copied:
                rules[name] = Rule.model_validate(name)
        return rules


def sources_of(rule: Rule) -> list[str]:
    """The source fields whose values may reach the target field, in order; not those that only a `when` looks at."""
    names = [rule.from_] if rule.from_ else []
    for child in rule.children:
        names += sources_of(child)
    return list(dict.fromkeys(names))


def read_fields(rule: Rule) -> set[str]:
    """Every source field a rule looks at."""
    names = set(sources_of(rule))
    if rule.when is not None:
        names |= fields_in(rule.when)
    for child in rule.children:
        names |= read_fields(child)
    return names


Join.model_rebuild()
