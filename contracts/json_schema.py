"""A contract as JSON Schema (draft 2020-12): what one record looks like as the data of an event, for OpenAPI and AsyncAPI documents.

Owns: the translation into JSON Schema. The schema says less than the contract, never more: every record that breaks no rule of severity
reject passes it, so a client may check with it before sending, and the bus still decides. Check digits, ranges, calendars and cross rules
stand in it as annotations (`x-...`) only.

Patterns are written in the part that ECMA-262 (with `u`), Python and Rust read alike.
"""

from __future__ import annotations

from typing import Any, Final

from contracts.field_rules import HALF_KATAKANA, REFUSED, severity_of, type_shape
from contracts.model import Contract, ContractField, CrossRule, Words
from contracts.patterns import read_pattern

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_PLAIN_OUTSIDE: Final = "#&~-"
_PLAIN_INSIDE: Final = "#&~"
"""Characters that ECMA-262 wants unescaped, outside and inside a class."""


def json_schema(contract: Contract) -> dict[str, Any]:
    """The schema of one record: an object of texts and nothing else; a field that may be absent may be `""`, `null` or left out.

    `x-sensitivity` stands on every field; `x-key`, `x-ordering-key` and `x-rules` on the whole.

    Raises:
        PatternRefused: a pattern cannot be used (`contracts.contract_check` finds these when a contract is loaded).
    """
    schema: dict[str, Any] = {
        "$schema": DRAFT,
        "title": _both(contract.title),
        "description": contract.note,
        "type": "object",
        "properties": {field.name: _field(field, contract) for field in contract.fields},
        "required": [field.name for field in contract.fields if _demanded(field)],
        "additionalProperties": False,
        "x-contract": contract.contract,
        "x-key": list(contract.key),
        "x-ordering-key": list(contract.ordering_key or contract.key),
        "x-rules": [_rule(rule) for rule in contract.rules],
    }
    return {name: said for name, said in schema.items() if said not in ("", [])}


def _both(words: Words) -> str:
    return f"{words.ja} / {words.en}" if words.en and words.en != words.ja else words.ja


def _rule(rule: CrossRule) -> dict[str, Any]:
    return {"id": rule.id, "field": rule.field, "severity": rule.severity, "words": rule.words.model_dump()}


def _demanded(field: ContractField) -> bool:
    return field.required and severity_of(field, "required") == "reject"


def _field(field: ContractField, contract: Contract) -> dict[str, Any]:
    demanded = _demanded(field)
    schema: dict[str, Any] = {
        "title": _both(Words(ja=field.label, en=field.label_en)),
        "description": field.note,
        "type": "string" if demanded else ["string", "null"],
        **_length(field, contract, demanded=demanded),
        **_patterns(field, demanded=demanded),
        **_codes(field, contract, demanded=demanded),
        "x-type": field.type,
        "x-sensitivity": field.sensitivity,
        "x-check-digit": field.check_digit or "",
        "x-minimum": field.minimum or "",
        "x-maximum": field.maximum or "",
    }
    return {name: said for name, said in schema.items() if said not in ("", [])}


def _length(field: ContractField, contract: Contract, *, demanded: bool) -> dict[str, Any]:
    """JSON Schema counts code points; a text has at least half as many of them as UTF-16 units, and never more."""
    limits: dict[str, Any] = {"minLength": 1} if demanded else {}
    if field.length is None or severity_of(field, "length") != "reject":
        return limits
    limits["maxLength"] = field.length
    if field.exact:
        least = field.length if contract.counting == "code_points" else (field.length + 1) // 2
        if demanded:
            limits["minLength"] = least
        else:
            limits["anyOf"] = [{"type": "null"}, {"maxLength": 0}, {"minLength": least}]
    return limits


def _patterns(field: ContractField, *, demanded: bool) -> dict[str, Any]:
    """The field's own pattern, or what its type looks like; with both, the type's stands beside it."""
    bodies = []
    if field.pattern is not None and severity_of(field, "pattern") == "reject":
        bodies.append(_for_ecma(read_pattern(field.pattern).body))
    if severity_of(field, "type") == "reject":
        bodies.append(_type_body(field))
    anchored = [f"^(?:{body})$" if demanded else f"^(?:{body})?$" for body in bodies]
    if not anchored:
        return {}
    return {"pattern": anchored[0], **({"allOf": [{"pattern": each} for each in anchored[1:]]} if anchored[1:] else {})}


def _type_body(field: ContractField) -> str:
    if field.type not in REFUSED:
        return type_shape(field).replace("｡-ﾟ", f"{_code(HALF_KATAKANA[0])}-{_code(HALF_KATAKANA[1])}")
    basic = [reach for reach in REFUSED[field.type] if reach[1] <= 0xFFFF and not 0xD800 <= reach[0] <= 0xDFFF]
    return f"[^{''.join(f'{_code(first)}-{_code(last)}' for first, last in basic)}]+"


def _code(point: int) -> str:
    return f"\\u{point:04x}"


def _for_ecma(body: str) -> str:
    """A pattern's body without the escapes that ECMA-262 does not know."""
    made: list[str] = []
    inside, at = False, 0
    while at < len(body):
        character = body[at]
        if character == "\\":
            escaped = body[at + 1]
            made.append(escaped if escaped in (_PLAIN_INSIDE if inside else _PLAIN_OUTSIDE) else character + escaped)
            at += 2
            continue
        inside = character == "[" or (inside and character != "]")
        made.append(character)
        at += 1
    return "".join(made)


def _codes(field: ContractField, contract: Contract, *, demanded: bool) -> dict[str, Any]:
    if field.codes is None:
        return {}
    values = contract.code_tables[field.codes].values
    titles = {"x-enum-titles": {code: words.model_dump() for code, words in values.items()}}
    if severity_of(field, "codes") != "reject":
        return titles
    absent: list[str | None] = [] if demanded else ["", None]
    return {"enum": [*values, *absent], **titles}
