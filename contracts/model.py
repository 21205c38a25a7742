"""What a contract says: fields, codes, keys and rules. Plain, frozen data read from one YAML file per `name@version`.

Owns: the meaning of the words in a contract file. Text layouts of the same file are in `contracts.layouts.model`; how a rule is
checked is in `contracts.record_validator` (one record) and `contracts.frame_validator` (many).

A record is one text per field; `""` means absent. Validation works on the canonical text: dates `YYYY-MM-DD`, times `HH:MM:SS`,
padding removed. Lengths count characters (see `Counting`), never bytes: bytes belong to a fixed-length layout.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

ContractName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*@[0-9]+\.[0-9]+$")]
"""`name@major.minor`, e.g. `resident@1.0`."""
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
"""Romaji name of a field (Hepburn), as the national item definitions use it."""

FieldType = Literal["X", "N", "M", "9", "9V", "S9", "YEAR", "DATE", "TIME"]
"""X half-width text, N full-width text, M both mixed (not of the national definitions: what older systems really send), 9 digits,
9V decimal (n,m), S9 signed integer, YEAR, DATE, TIME
(項目定義書 凡例, common-feature specification)."""
Severity = Literal["reject", "warn"]
Counting = Literal["code_points", "utf16_units"]
"""How a length is counted. `code_points`: each Unicode code point is one, a variation selector too."""
Sensitivity = Literal["none", "personal", "individual_number", "support_measure"]
"""Drives masking: see `contracts.masking`."""
CheckDigit = Literal["individual_number", "corporate_number", "local_government_code", "modulus11_w2_7"]


class Strict(BaseModel):
    """Base of all documents: immutable, and a key nobody knows is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Words(Strict):
    """One text in Japanese and English."""

    ja: str
    en: str

    def said(self, language: Literal["ja", "en"]) -> str:
        """The text in that language."""
        return self.ja if language == "ja" else self.en


class Follows(Strict):
    """The public document a contract follows."""

    document: str
    version: str
    status: Literal["confirmed", "provisional"]
    note: str = ""


class CodeTable(Strict):
    """The allowed values of a coded field, with the version of the list."""

    version: str
    values: dict[str, Words]


class DateRules(Strict):
    """What a DATE may hold besides a day of the calendar.

    `open`: `0000-01-01` and `9999-12-31` mean no beginning and no end. `unknown_parts`: month and day may be `00`
    (`1950-00-00`, `1950-04-00`), the written form stands in another field. `feb_29`: Feb 29 of a common year is let through.
    """

    open: bool = True
    unknown_parts: bool = False
    feb_29: bool = False


class ContractField(Strict):
    """One field. `length` is the most characters; with `exact`, the only length. `digits` = (whole, fraction) for 9V."""

    name: FieldName
    label: str
    label_en: str = ""
    item: str = ""
    type: FieldType
    length: int | None = Field(default=None, ge=1, le=100_000)
    exact: bool = False
    digits: tuple[int, int] | None = None
    required: bool = False
    codes: str | None = None
    pattern: str | None = None
    check_digit: CheckDigit | None = None
    minimum: str | None = None
    maximum: str | None = None
    dates: DateRules = DateRules()
    severity: dict[Literal["required", "length", "type", "codes", "pattern", "check_digit", "range"], Severity] = Field(
        default_factory=dict
    )
    sensitivity: Sensitivity = "none"
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> ContractField:
        if self.type == "9V" and self.digits is None:
            raise ValueError("a 9V field needs digits: [whole, fraction]")
        if self.type != "9V" and self.digits is not None:
            raise ValueError("digits belongs to 9V only")
        if self.type in ("X", "N", "M", "9", "S9") and self.length is None:
            raise ValueError(f"a field of type {self.type} needs a length")
        if self.exact and self.length is None:
            raise ValueError("exact needs a length")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern: {error}") from error
        return self


class Test(Strict):
    """What one field's value must satisfy; several operators in one test must all hold. The closed list of operators.

    `present: true|false` · `eq`/`ne` a text · `in`/`not_in` a list · `lt le gt ge` a value compared by the field's type ·
    `eq_field ne_field lt_field le_field gt_field ge_field` another field · `starts_with` · `longer_than` (characters).
    A comparison with an absent or unreadable value does not hold (`ne`, `not_in`, `ne_field` hold).
    """

    present: bool | None = None
    eq: str | None = None
    ne: str | None = None
    in_: list[str] | None = Field(default=None, alias="in")
    not_in: list[str] | None = None
    lt: str | None = None
    le: str | None = None
    gt: str | None = None
    ge: str | None = None
    eq_field: FieldName | None = None
    ne_field: FieldName | None = None
    lt_field: FieldName | None = None
    le_field: FieldName | None = None
    gt_field: FieldName | None = None
    ge_field: FieldName | None = None
    starts_with: str | None = None
    longer_than: int | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Test:
        if not self.model_fields_set:
            raise ValueError("a test needs at least one operator")
        return self


class Condition(Strict):
    """A truth about a record: exactly one of `all`, `any`, `not`, or `fields` (each field's test must hold)."""

    all: list[Condition] | None = None
    any: list[Condition] | None = None
    not_: Condition | None = Field(default=None, alias="not")
    fields: dict[FieldName, Test] | None = None

    @model_validator(mode="after")
    def _one(self) -> Condition:
        if len(self.model_fields_set) != 1:
            raise ValueError("a condition is exactly one of: all, any, not, fields")
        return self


class CrossRule(Strict):
    """A rule over several fields: when `when` holds (always, if left out), `then` must hold. Broken rules name `field`."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    field: FieldName
    severity: Severity = "reject"
    when: Condition | None = None
    then: Condition
    words: Words


class Contract(Strict):
    """Fields, keys, codes and rules of one `name@version`.

    `key`: fields unique together over a whole file. `ordering_key`: what must stay in order. `version_field`: the receiver's
    order within a key (履歴番号). `control_sums`: numeric fields summed exactly over a file.
    """

    contract: ContractName
    title: Words
    follows: Follows
    counting: Counting = "code_points"
    key: list[FieldName] = Field(min_length=1)
    ordering_key: list[FieldName] = Field(default_factory=list)
    version_field: FieldName | None = None
    control_sums: list[FieldName] = Field(default_factory=list)
    code_tables: dict[str, CodeTable] = Field(default_factory=dict)
    fields: list[ContractField] = Field(min_length=1)
    rules: list[CrossRule] = Field(default_factory=list)
    note: str = ""

    @property
    def names(self) -> list[str]:
        """Field names in order."""
        return [field.name for field in self.fields]

    def field(self, name: str) -> ContractField:
        """The field of that name; KeyError when there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    @model_validator(mode="after")
    def _references_exist(self) -> Contract:
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"fields stand twice: {', '.join(twice)}")
        mentioned = {"key": self.key, "ordering_key": self.ordering_key, "control_sums": self.control_sums}
        if self.version_field:
            mentioned["version_field"] = [self.version_field]
        for rule in self.rules:
            used = fields_in(rule.then) | ({rule.field}) | (fields_in(rule.when) if rule.when else set())
            mentioned[f"rule {rule.id}"] = sorted(used)
        for where, used_names in mentioned.items():
            unknown = sorted(set(used_names) - set(names))
            if unknown:
                raise ValueError(f"{where} names unknown fields: {', '.join(unknown)}")
        for name in self.control_sums:
            if self.field(name).type not in ("9", "S9", "9V"):
                raise ValueError(f"control_sums: {name} is not numeric")
        for field in self.fields:
            if field.codes is not None and field.codes not in self.code_tables:
                raise ValueError(f"field {field.name} names unknown code table {field.codes}")
        return self


def fields_in(condition: Condition) -> set[str]:
    """All fields a condition looks at."""
    used: set[str] = set()
    for part in (condition.all or []) + (condition.any or []) + ([condition.not_] if condition.not_ else []):
        used |= fields_in(part)
    for name, test in (condition.fields or {}).items():
        used.add(name)
        others = (test.eq_field, test.ne_field, test.lt_field, test.le_field, test.gt_field, test.ge_field)
        used |= {other for other in others if other}
    return used
