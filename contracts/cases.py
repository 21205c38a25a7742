"""Cases of a contract: records it accepts and refuses, with the reasons, in `name@version.cases.yaml` beside the contract.

Owns: the shape of a cases file and running it on both validators. A case is a base record with some fields changed, and the exact
list of broken rules to expect. The cases are examples for the readers of a contract and tests of whoever changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from contracts.documents import Document, parse, read_document
from contracts.errors import DocumentInvalid, Problem
from contracts.frame_validator import FrameValidator
from contracts.model import Contract, ContractName, FieldName, Severity, Strict
from contracts.record_validator import RecordValidator
from contracts.violations import BYTE, LINE, ORDINAL, PLACE, Violation

Validator = Literal["record", "frame"]


class Expected(Strict):
    """One broken rule a case must show."""

    field: FieldName | Literal[""]
    rule: str
    severity: Severity = "reject"


class Case(Strict):
    """One record and what the contract says of it. `base` names a record of the file; `record` changes fields of it (`""` = absent)."""

    name: str
    accept: bool
    base: str
    record: dict[str, str] = Field(default_factory=dict)
    expect: list[Expected] = Field(default_factory=list)


class CaseFile(Strict):
    """All cases of one contract, and the named records they start from."""

    cases_of: ContractName
    records: dict[str, dict[str, str]]
    cases: list[Case] = Field(min_length=1)

    def record(self, case: Case) -> dict[str, str]:
        """The whole record of a case."""
        return {**self.records[case.base], **case.record}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one validator said of one case. `found` and `expected` are in the order of the report."""

    case: str
    validator: Validator
    expected: tuple[Violation, ...]
    found: tuple[Violation, ...]

    @property
    def passed(self) -> bool:
        """Exactly the expected rules were found broken."""
        return self.expected == self.found


def cases_file_of(contract_file: Path) -> Path:
    """Where the cases of a contract file stand."""
    return contract_file.with_name(contract_file.name.removesuffix(".yaml") + ".cases.yaml")


def load_cases(file: Path, contract: Contract) -> CaseFile:
    """Read and check a cases file.

    Raises:
        DocumentInvalid: not of this contract, unknown fields or base records, a name twice, `accept` against `expect`; all at once.
        OSError: the file cannot be opened.
    """
    document = read_document(file)
    cases = parse(document, CaseFile)
    problems = list(_problems(document, cases, contract))
    if problems:
        raise DocumentInvalid(problems)
    return cases


def _problems(document: Document, cases: CaseFile, contract: Contract) -> Iterator[Problem]:
    if cases.cases_of != contract.contract:
        yield document.problem("RNK1400E", ("cases_of",), found=cases.cases_of, contract=contract.contract)
        return
    known = set(contract.names)
    for name, record in cases.records.items():
        for field in record.keys() - known:
            yield document.problem("RNK1401E", ("records", name, field), field=field, contract=contract.contract)
    seen: set[str] = set()
    for index, case in enumerate(cases.cases):
        at = ("cases", index)
        if case.base not in cases.records:
            yield document.problem("RNK1402E", (*at, "base"), base=case.base, known=", ".join(cases.records))
        for field in case.record.keys() - known:
            yield document.problem("RNK1401E", (*at, "record", field), field=field, contract=contract.contract)
        if case.name in seen:
            yield document.problem("RNK1403E", (*at, "name"), name=case.name)
        seen.add(case.name)
        if case.accept == any(expected.severity == "reject" for expected in case.expect):
            yield document.problem("RNK1404E", (*at, "accept"), name=case.name)


def run_cases(cases: CaseFile, contract: Contract) -> list[Outcome]:
    """Run every case on the record validator and, all in one frame, on the frame validator."""
    records = [cases.record(case) for case in cases.cases]
    runs: dict[Validator, Callable[[Contract, Sequence[Mapping[str, str]]], list[tuple[Violation, ...]]]] = {
        "record": _by_record,
        "frame": _by_frame,
    }
    outcomes: list[Outcome] = []
    for validator, run in runs.items():
        for case, found in zip(cases.cases, run(contract, records), strict=True):
            expected = tuple(Violation(one.field, one.rule, one.severity) for one in case.expect)
            outcomes.append(Outcome(case.name, validator, expected, found))
    return outcomes


def _by_record(contract: Contract, records: Sequence[Mapping[str, str]]) -> list[tuple[Violation, ...]]:
    validator = RecordValidator(contract)
    return [tuple(validator.check(record)) for record in records]


def _by_frame(contract: Contract, records: Sequence[Mapping[str, str]]) -> list[tuple[Violation, ...]]:
    findings = FrameValidator(contract).check(frame_of(contract, records))
    found: list[list[Violation]] = [[] for _ in records]
    for row in findings.violations.sort("ordinal", maintain_order=True).iter_rows(named=True):
        found[row["ordinal"] - 1].append(Violation(row["field"], row["rule"], row["severity"]))
    for good, violations in zip(findings.good.to_list(), found, strict=True):
        if good == any(one.severity == "reject" for one in violations):
            violations.append(Violation("", "good_disagrees", "reject"))
    return [tuple(violations) for violations in found]


def frame_of(contract: Contract, records: Sequence[Mapping[str, str]]) -> pl.DataFrame:
    """Records as a frame: every field of the contract as text, and places as if each record were one line of one byte."""
    columns = {name: [record.get(name, "") for record in records] for name in contract.names}
    frame = pl.DataFrame(columns, schema=dict.fromkeys(contract.names, pl.String))
    ordinals = pl.int_range(1, len(records) + 1, dtype=pl.UInt64, eager=True)
    return frame.with_columns(ordinals.alias(ORDINAL), ordinals.alias(LINE), (ordinals - 1).alias(BYTE)).select(*contract.names, *PLACE)
