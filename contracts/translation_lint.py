"""Mistakes in a translation that its two contracts show before any record comes: what nothing fills, what cannot fit, what is unknown.

Owns: which findings are errors (the translation is refused) and which are warnings. Every finding stands at its line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final

from contracts.documents import Document, Path_
from contracts.errors import Problem
from contracts.model import Contract, ContractField, FieldType, fields_in
from contracts.translate_proof import field_length, less_sensitive, longest, mapped_values
from contracts.translation import CodeMap, Rule, Translation, sources_of


def lint(translation: Translation, source: Contract, target: Contract, document: Document) -> list[Problem]:
    """Every finding, in the order of the document: ids ending in E forbid use, those in W are to be known."""
    found = _Lint(translation, source, target, document)
    return list(found.problems())


class _Lint:
    def __init__(self, translation: Translation, source: Contract, target: Contract, document: Document) -> None:
        self.translation = translation
        self.source = source
        self.target = target
        self.document = document
        self.rules = translation.rules_for(source.names, target.names)

    def problems(self) -> Iterator[Problem]:
        """The findings one after the other."""
        if self.translation.filter is not None:
            yield from self._unknown_sources(sorted(fields_in(self.translation.filter)), ("filter",))
        for index, name in enumerate(self.translation.drop):
            yield from self._unknown_sources([name], ("drop", index))
        for name, rule in self.translation.fields.items():
            path = ("fields", name)
            if name not in self.target.names:
                yield self.document.problem("RNK1305E", path, field=name, contract=self.target.contract, hint=_near(name, self.target))
                continue
            known = list(self._rule_sources(rule, path))
            yield from known
            if not known:
                yield from self._target_findings(name, rule, path)
        copied = [name for name in self.rules if name not in self.translation.fields]
        for name in copied:
            yield from self._target_findings(name, self.rules[name], ("same_names",))
        yield from self._unfilled()

    def _unknown_sources(self, names: list[str], path: Path_) -> Iterator[Problem]:
        for name in names:
            if name not in self.source.names:
                yield self.document.problem("RNK1306E", path, field=name, contract=self.source.contract, hint=_near(name, self.source))

    def _rule_sources(self, rule: Rule, path: Path_) -> Iterator[Problem]:
        if rule.from_ is not None:
            yield from self._unknown_sources([rule.from_], (*path, "from"))
        if rule.when is not None:
            yield from self._unknown_sources(sorted(fields_in(rule.when)), (*path, "when"))
        for child, step in _children(rule):
            yield from self._rule_sources(child, (*path, *step))

    def _unfilled(self) -> Iterator[Problem]:
        for field in self.target.fields:
            if field.name not in self.rules:
                message_id = "RNK1307E" if _must(field) else "RNK1308W"
                yield self.document.problem(message_id, ("fields",), field=field.name, label=field.label, contract=self.target.contract)

    def _target_findings(self, name: str, rule: Rule, path: Path_) -> Iterator[Problem]:
        field = self.target.field(name)
        if rule.constant == "" and _must(field):
            yield self.document.problem("RNK1307E", path, field=name, label=field.label, contract=self.target.contract)
        yield from self._code_findings(field, rule, path)
        yield from self._source_findings(field, rule, path)
        if rule.constant is None:
            yield from self._width(field, rule, path)
        elif field.length is not None and len(rule.constant) > field.length:
            yield self._too_long("RNK1310E", field, len(rule.constant), path)
        if less_sensitive(name, rule, self.source, self.target):
            facts = {"field": name, "sources": ", ".join(sources_of(rule)), "contract": self.target.contract}
            yield self.document.problem("RNK1312W", path, **facts)

    def _width(self, field: ContractField, rule: Rule, path: Path_) -> Iterator[Problem]:
        most, room = longest(rule, self.source), field_length(field)
        if room is not None and (most is None or most > room):
            yield self._too_long("RNK1311W", field, most, path)

    def _too_long(self, message_id: str, field: ContractField, most: int | None, path: Path_) -> Problem:
        return self.document.problem(message_id, path, field=field.name, most=most if most is not None else "?", room=field_length(field))

    def _code_findings(self, field: ContractField, rule: Rule, path: Path_) -> Iterator[Problem]:
        """Values that no record can change: constants and what maps write, if nothing follows them."""
        for child, step in _children(rule):
            if not rule.steps and rule.join is None:
                yield from self._code_findings(field, child, (*path, *step))
        last = rule.steps[-1] if rule.steps else None
        mapping = last.map or last.lookup if last is not None else None
        written = mapped_values(mapping) if mapping is not None else [rule.constant] if rule.constant and not rule.steps else []
        if field.codes is not None:
            allowed = self.target.code_tables[field.codes].values
            for value in written:
                if value and value not in allowed:
                    facts = {"value": value, "field": field.name, "table": field.codes, "allowed": ", ".join(list(allowed)[:20])}
                    yield self.document.problem("RNK1309E", path, **facts)

    def _source_findings(self, field: ContractField, rule: Rule, path: Path_) -> Iterator[Problem]:
        """Values of the source field that are bound to be refused, seen from the two fields alone."""
        if rule.from_ is None:
            return
        origin = self.source.field(rule.from_)
        facts = {"field": field.name, "source": origin.name, "contract": self.target.contract}
        step = rule.steps[0] if rule.steps else None
        fills = any(step.map is not None and "" in step.map.codes for step in rule.steps)
        if _must(field) and not origin.required and not fills:
            yield self.document.problem("RNK1315W", path, **facts)
        if rule.is_copy and field.type != origin.type and field.type not in _HOLDS.get(origin.type, ()):
            yield self.document.problem("RNK1316W", path, type=field.type, source_type=origin.type, **facts)
        if origin.codes is None or len(rule.steps) > 1 or (step is not None and step.map is None):
            return
        codes = {code: _mapped(code, step.map if step else None) for code in self.source.code_tables[origin.codes].values}
        unmapped = [code for code, new in codes.items() if new is None]
        if unmapped:
            yield self.document.problem("RNK1313W", (*path, "steps", 0, "map", "codes"), codes=", ".join(unmapped[:20]), **facts)
        if field.codes is not None:
            allowed = self.target.code_tables[field.codes].values
            kept = [code for code, new in codes.items() if new == code and new not in allowed]
            if kept:
                yield self.document.problem("RNK1314W", path, codes=", ".join(kept[:20]), table=field.codes, **facts)


_HOLDS: Final[dict[FieldType, tuple[FieldType, ...]]] = {
    "9": ("S9", "9V", "X", "M"),
    "X": ("M",),
    "N": ("M",),
    "S9": ("X", "M"),
    "9V": ("X", "M"),
    "YEAR": ("X", "M", "9", "S9"),
    "DATE": ("X", "M"),
    "TIME": ("X", "M"),
}
"""Which types hold every value of a type, besides itself."""


def _mapped(code: str, step: CodeMap | None) -> str | None:
    """What becomes of a code; None when it is refused."""
    if step is None:
        return code
    return step.codes.get(code, code if step.keep else step.default)


def _must(field: ContractField) -> bool:
    return field.required and field.severity.get("required", "reject") == "reject"


def _children(rule: Rule) -> Iterator[tuple[Rule, Path_]]:
    """The rules inside a rule, each with its place in the document."""
    for index, part in enumerate(rule.join.parts if rule.join else []):
        yield part, ("join", "parts", index)
    for index, choice in enumerate(rule.first_of or []):
        yield choice, ("first_of", index)
    if rule.then is not None:
        yield rule.then, ("then",)
    if rule.else_ is not None:
        yield rule.else_, ("else",)


def _near(name: str, contract: Contract) -> str:
    close = difflib.get_close_matches(name, contract.names, n=1)
    return close[0] if close else ""
