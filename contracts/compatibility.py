"""What changes from one version of a contract to another, field by field, and for whom it breaks something.

Owns: the list of changes, their kinds and the verdict. What can be proven of the records is in `contracts.compatibility_proof`.

- A change is breaking for a **publisher** who stays with the old contract when a record that was good may be refused now.
- It is breaking for a **subscriber** who stays with the old contract when something may arrive that could not before, or no longer
  arrives. A subscriber must pass over fields it does not know, as JSON and AMQP receivers do; a column more in a file is not passed
  over, so every change of a layout under its name is breaking.
- What nothing proves to be harmless (another pattern, another cross rule) counts as breaking. Nothing is guessed: a field under another
  name is one removed and one added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as field_of
from typing import Final, Literal

from contracts.compatibility_layouts import layout_changes
from contracts.compatibility_proof import Proof, crosses_refused, newly_refused, same_rule
from contracts.field_rules import severity_of
from contracts.layouts.model import Layout
from contracts.messages import Language, text
from contracts.model import CodeTable, Contract, ContractField, CrossRule
from contracts.translation import Translation

Side = Literal["publisher", "subscriber"]
Verdict = Literal["compatible", "breaking"]
PUBLISHER: Final = "publisher"
SUBSCRIBER: Final = "subscriber"
BOTH: Final[tuple[Side, ...]] = (PUBLISHER, SUBSCRIBER)

_IDS: Final = {
    "field_added": "RNK1510I",
    "required_field_added": "RNK1511I",
    "field_removed": "RNK1512I",
    "required": "RNK1513I",
    "length": "RNK1514I",
    "type": "RNK1515I",
    "codes_added": "RNK1516I",
    "codes_removed": "RNK1517I",
    "code_words": "RNK1518I",
    "codes": "RNK1519I",
    "pattern": "RNK1520I",
    "range": "RNK1521I",
    "check_digit": "RNK1522I",
    "sensitivity": "RNK1523I",
    "label": "RNK1524I",
    "key": "RNK1525I",
    "ordering_key": "RNK1526I",
    "version_field": "RNK1527I",
    "control_sums": "RNK1528I",
    "counting": "RNK1529I",
    "rule_added": "RNK1530I",
    "rule_removed": "RNK1531I",
    "rule_changed": "RNK1532I",
    "layout_added": "RNK1533I",
    "layout_removed": "RNK1534I",
    "layout_changed": "RNK1535I",
}
"""Kinds of changes, and the words for them."""
_CONSEQUENCES: Final[dict[Side, str]] = {PUBLISHER: "RNK1540I", SUBSCRIBER: "RNK1541I"}
_UNPROVEN: Final = "RNK1542I"
_RULES: Final = ("required", "length", "type", "codes", "pattern", "range", "check_digit")
_NOTHING: Final = "-"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `field` is `""` where the whole contract is meant; `facts` fill the words; `proven` is false where a side counts as
    broken only because nothing proves the opposite."""

    field: str
    kind: str
    breaking_for: tuple[Side, ...] = ()
    proven: bool = True
    facts: dict[str, object] = field_of(default_factory=dict)

    def text(self, language: Language) -> str:
        """What changed, in one sentence."""
        return text(_IDS[self.kind], language, field=self.field, **self.facts)

    def consequences(self, language: Language) -> list[str]:
        """What it means for each side it breaks; empty for a change that breaks nothing."""
        told = [text(_CONSEQUENCES[side], language) for side in self.breaking_for]
        return told if self.proven or not told else [*told, text(_UNPROVEN, language)]


@dataclass(frozen=True, slots=True)
class Compatibility:
    """What became of a contract. `translations` are the declared ones, by the side they serve while it stays with the old contract: from
    old to new for publishers, from new to old for subscribers. They do not change the verdict, since a translation may refuse records."""

    old: str
    new: str
    changes: tuple[Change, ...]
    translations: dict[Side, tuple[str, ...]]

    def breaks(self, side: Side) -> bool:
        """Whether some change is breaking for that side."""
        return any(side in change.breaking_for for change in self.changes)

    @property
    def verdict(self) -> Verdict:
        """Breaking when some change is, for anybody."""
        return "breaking" if any(change.breaking_for for change in self.changes) else "compatible"


def compare(
    old: Contract,
    new: Contract,
    translations: Iterable[Translation] = (),
    *,
    layouts: tuple[Mapping[str, Layout], Mapping[str, Layout]] = ({}, {}),
) -> Compatibility:
    """Every change from `old` to `new`: fields in the order of the old contract, added ones, then what concerns the whole contract.

    Args:
        translations: the declared ones; those between the two contracts are named in the result.
        layouts: the layouts of the old and of the new contract, where files matter too.

    Raises:
        ValueError: a pattern, limit or condition cannot be used (`contracts.contract_check` finds these when a contract is loaded).
    """
    changes = [*_fields(old, new), *_whole(old, new), *_crosses(old, new), *_layouts(old, new, *layouts)]
    serving: dict[Side, tuple[str, str]] = {PUBLISHER: (old.contract, new.contract), SUBSCRIBER: (new.contract, old.contract)}
    known = list(translations)
    named = {
        side: tuple(sorted(each.translation for each in known if (each.from_, each.to) == ends)) for side, ends in serving.items()
    }
    return Compatibility(old.contract, new.contract, tuple(changes), named)


def _fields(old: Contract, new: Contract) -> Iterator[Change]:
    for before in old.fields:
        if before.name in new.names:
            yield from _field(before.name, old, new)
        else:
            yield Change(before.name, "field_removed", BOTH)
    for after in new.fields:
        if after.name in old.names:
            continue
        if after.required and severity_of(after, "required") == "reject":
            yield Change(after.name, "required_field_added", (PUBLISHER,))
        else:
            yield Change(after.name, "field_added")


def _field(name: str, old: Contract, new: Contract) -> Iterator[Change]:
    refused: dict[Side, dict[str, Proof]] = {PUBLISHER: newly_refused(old, new, name), SUBSCRIBER: newly_refused(new, old, name)}
    before, after = old.field(name), new.field(name)
    for rule in _RULES:
        sides = tuple(side for side in BOTH if rule in refused[side])
        proven = all(refused[side][rule] == "shown" for side in sides)
        said = (_said(before, rule, old), _said(after, rule, new))
        if rule == "codes" and before.codes and after.codes:
            yield from _codes(name, (old.code_tables[before.codes], new.code_tables[after.codes]), sides)
            said = (_marked(before, rule, "…"), _marked(after, rule, "…"))
            sides = sides if said[0] != said[1] else ()
        if said[0] != said[1] or sides:
            yield Change(name, rule, sides, proven, {"old": said[0], "new": said[1]})
    if before.sensitivity != after.sensitivity:
        yield Change(name, "sensitivity", facts={"old": before.sensitivity, "new": after.sensitivity})
    if (before.label, before.label_en) != (after.label, after.label_en):
        yield Change(name, "label", facts={"old": before.label, "new": after.label})


def _codes(name: str, tables: tuple[CodeTable, CodeTable], sides: tuple[Side, ...]) -> Iterator[Change]:
    """Codes that come and go; a code more is new to a subscriber, a code less is refused to a publisher."""
    before, after = (table.values for table in tables)
    added, removed = [code for code in after if code not in before], [code for code in before if code not in after]
    if added:
        yield Change(name, "codes_added", tuple(side for side in sides if side == SUBSCRIBER), facts={"codes": _list(added)})
    if removed:
        yield Change(name, "codes_removed", tuple(side for side in sides if side == PUBLISHER), facts={"codes": _list(removed)})
    reworded = [code for code in before if code in after and before[code] != after[code]]
    if reworded:
        yield Change(name, "code_words", facts={"codes": _list(reworded)})


def _said(one: ContractField, rule: str, contract: Contract) -> str:
    """What a field demands by one rule, in signs that both languages read."""
    whole, fraction = one.digits or (0, 0)
    flags = ", ".join(flag for flag, allowed in one.dates.model_dump().items() if allowed)
    limits = f"{one.minimum or ''} 〜 {one.maximum or ''}" if one.minimum is not None or one.maximum is not None else ""
    demands = {
        "required": "✓" if one.required else "",
        "length": "" if one.length is None else f"{'=' if one.exact else '≤'} {one.length}",
        "type": {"9V": f"9V({whole},{fraction})", "DATE": f"DATE({flags})" if flags else "DATE"}.get(one.type, one.type),
        "codes": f"[{', '.join(contract.code_tables[one.codes].values)}]" if one.codes else "",
        "pattern": one.pattern or "",
        "range": limits,
        "check_digit": one.check_digit or "",
    }
    return _marked(one, rule, demands[rule])


def _marked(one: ContractField, rule: str, demand: str) -> str:
    """A demand with its severity where it only warns."""
    if not demand:
        return _NOTHING
    return demand if severity_of(one, rule) == "reject" else f"{demand} (warn)"


def _whole(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = set(old.key), set(new.key)
    if before != after:
        # what is unique by some fields is unique by more, never by fewer
        sides = (*((PUBLISHER,) if not before <= after else ()), *((SUBSCRIBER,) if not after <= before else ()))
        yield Change("", "key", sides, facts=_lists(old.key, new.key))
    before, after = set(old.ordering_key or old.key), set(new.ordering_key or new.key)
    if before != after:
        # what stays in order by fewer fields stays in order by more
        kept = after <= before
        facts = _lists(old.ordering_key or old.key, new.ordering_key or new.key)
        yield Change("", "ordering_key", () if kept else (SUBSCRIBER,), facts=facts)
    if old.version_field != new.version_field:
        facts = {"old": old.version_field or _NOTHING, "new": new.version_field or _NOTHING}
        yield Change("", "version_field", (SUBSCRIBER,) if old.version_field else (), facts=facts)
    if set(old.control_sums) != set(new.control_sums):
        gone = set(old.control_sums) - set(new.control_sums)
        yield Change("", "control_sums", (SUBSCRIBER,) if gone else (), facts=_lists(old.control_sums, new.control_sums))
    if old.counting != new.counting:  # the lengths it changes are told with their fields
        yield Change("", "counting", facts={"old": old.counting, "new": new.counting})


def _crosses(old: Contract, new: Contract) -> Iterator[Change]:
    refused: dict[Side, set[str]] = {PUBLISHER: crosses_refused(old, new), SUBSCRIBER: crosses_refused(new, old)}
    before, after = ({rule.id: rule for rule in contract.rules} for contract in (old, new))
    for name, rule in before.items():
        sides = tuple(side for side in BOTH if name in refused[side])
        if name not in after:
            yield Change(rule.field, "rule_removed", sides, not sides, {"rule": name})
        elif sides or not _unchanged(rule, after[name], old, new):
            yield Change(rule.field, "rule_changed", sides, not sides, {"rule": name})
    for name, rule in after.items():
        if name not in before:
            sides = tuple(side for side in BOTH if name in refused[side])
            yield Change(rule.field, "rule_added", sides, not sides, {"rule": name})


def _unchanged(one: CrossRule, two: CrossRule, old: Contract, new: Contract) -> bool:
    return one.severity == two.severity and same_rule(one, two, old, new)


def _layouts(old: Contract, new: Contract, before: Mapping[str, Layout], after: Mapping[str, Layout]) -> Iterator[Change]:
    for name, layout in before.items():
        if name not in after:
            yield Change("", "layout_removed", _concerned(layout), facts={"layout": name})
        elif differences := layout_changes((old, layout), (new, after[name])):
            yield Change("", "layout_changed", _concerned(layout), facts={"layout": name, "differences": _list(differences)})
    for name in after:
        if name not in before:
            yield Change("", "layout_added", facts={"layout": name})


def _concerned(layout: Layout) -> tuple[Side, ...]:
    return (SUBSCRIBER,) if layout.format == "xml" else BOTH  # XML is only written


def _list(values: Iterable[str]) -> str:
    return ", ".join(values) or _NOTHING


def _lists(before: Iterable[str], after: Iterable[str]) -> dict[str, object]:
    return {"old": _list(before), "new": _list(after)}
