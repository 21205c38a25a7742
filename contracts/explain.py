"""A broken rule in the words of the people who must mend the record: what was expected, and one sentence that says what is wrong.

Owns: the words for what a contract expects of a field. The sentence for each rule stands in the message catalogue (`rule.<id>`), those
of cross rules in the contract itself. Values found are never part of these words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contracts.messages import Language, text
from contracts.model import Contract, ContractField, Words

CODES_SHOWN: Final = 12
"""A code table longer than this is named with its first codes only."""

_TYPES: Final = {
    "X": Words(ja="半角文字", en="half-width characters"),
    "N": Words(ja="全角文字", en="full-width characters"),
    "9": Words(ja="半角数字", en="digits"),
    "S9": Words(ja="符号付きの整数", en="an integer with an optional sign"),
    "9V": Words(ja="小数", en="a decimal number"),
    "YEAR": Words(ja="西暦 4 桁", en="a year of 4 digits"),
    "DATE": Words(ja="暦にある日付 YYYY-MM-DD", en="a day of the calendar, YYYY-MM-DD"),
    "TIME": Words(ja="時刻 HH:MM:SS", en="a time of day, HH:MM:SS"),
}
_CHECK_DIGITS: Final = {
    "individual_number": Words(ja="個人番号の検査数字", en="the check digit of an individual number"),
    "corporate_number": Words(ja="法人番号の検査数字", en="the check digit of a corporate number"),
    "local_government_code": Words(ja="団体コードの検査数字", en="the check digit of a local government code"),
    "modulus11_w2_7": Words(ja="検査数字 (モジュラス11、重み 2〜7)", en="a check digit (modulus 11, weights 2 to 7)"),
}
_REQUIRED: Final = Words(ja="値があること", en="a value")


def label(contract: Contract, field: str, language: Language) -> str:
    """What people call the field; the name itself when the contract has no such field, a word for the record when it is `""`."""
    if not field:
        return "レコード全体" if language == "ja" else "whole record"
    for known in contract.fields:
        if known.name == field:
            return known.label if language == "ja" else known.label_en or known.label
    return field


def expected(contract: Contract, field: str, rule: str, language: Language) -> str:
    """What the contract expects where `rule` of `field` is broken; empty for rules of reading and writing, which speak for themselves."""
    for cross in contract.rules:
        if cross.id == rule:
            return cross.words.said(language)
    tell = _TELLERS.get(rule)
    known = next((one for one in contract.fields if one.name == field), None)
    return tell(contract, known, language) if tell and known else ""


def reason(contract: Contract, field: str, rule: str, language: Language) -> str:
    """One sentence: what is wrong with the record. Holds no value of the record."""
    for cross in contract.rules:
        if cross.id == rule:
            return cross.words.said(language)
    facts = {"label": label(contract, field, language), "field": field, "expected": expected(contract, field, rule, language)}
    return text(f"rule.{rule}", language, **facts)


def _required(_contract: Contract, _field: ContractField, language: Language) -> str:
    return _REQUIRED.said(language)


def _length(_contract: Contract, field: ContractField, language: Language) -> str:
    if language == "ja":
        return f"{field.length} 文字" + ("ちょうど" if field.exact else "以内")
    return f"{'exactly' if field.exact else 'at most'} {field.length} characters"


def _type(_contract: Contract, field: ContractField, language: Language) -> str:
    words = _TYPES[field.type].said(language)
    if field.digits is None:
        return words
    whole, fraction = field.digits
    return f"{words} (整数部 {whole} 桁、小数部 {fraction} 桁以内)" if language == "ja" else f"{words}, at most {whole}.{fraction} digits"


def _codes(contract: Contract, field: ContractField, language: Language) -> str:
    table = contract.code_tables[field.codes or ""]
    shown = [f"{code} {words.said(language)}" for code, words in list(table.values.items())[:CODES_SHOWN]]
    more = " …" if len(table.values) > CODES_SHOWN else ""
    return ("、" if language == "ja" else ", ").join(shown) + more


def _pattern(_contract: Contract, field: ContractField, _language: Language) -> str:
    return field.pattern or ""


def _range(_contract: Contract, field: ContractField, _language: Language) -> str:
    return f"{field.minimum or ''} 〜 {field.maximum or ''}".strip()


def _check_digit(_contract: Contract, field: ContractField, language: Language) -> str:
    return _CHECK_DIGITS[field.check_digit].said(language) if field.check_digit else ""


_TELLERS: Final[dict[str, Callable[[Contract, ContractField, Language], str]]] = {
    "required": _required,
    "length": _length,
    "type": _type,
    "codes": _codes,
    "pattern": _pattern,
    "range": _range,
    "check_digit": _check_digit,
}
