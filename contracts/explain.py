"""A broken rule in the words of the people who must mend the record: what was expected, and one sentence that says what is wrong.

Owns: the words for what a contract and a layout expect. The sentence for each rule stands in the message catalogue (`rule.<id>`), those
of cross rules in the contract itself. Values found are never part of these words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contracts.layouts.columns import columns_of
from contracts.layouts.model import FixedLayout, Layout, XmlLayout
from contracts.messages import Language, action, text
from contracts.model import Contract, ContractField, Words

CODES_SHOWN: Final = 12
"""A code table longer than this is named with its first codes only."""

_TYPES: Final = {
    "X": Words(ja="半角文字", en="half-width characters"),
    "N": Words(ja="全角文字", en="full-width characters"),
    "M": Words(ja="全角・半角の文字", en="characters of any width"),
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
_AS_LAYOUT_SAYS: Final = Words(ja="レイアウトのとおり", en="as the layout says")


def label(contract: Contract, field: str, language: Language) -> str:
    """What people call the field; the name itself when the contract has no such field, a word for the record when it is `""`."""
    if not field:
        return "レコード全体" if language == "ja" else "whole record"
    for known in contract.fields:
        if known.name == field:
            return known.label if language == "ja" else known.label_en or known.label
    return field


def expected(contract: Contract, field: str, rule: str, language: Language, layout: Layout | None = None) -> str:
    """What is expected where `rule` of `field` is broken; empty for rules that speak for themselves (`quote`, `undecodable` ...).

    With `layout`, rules about a file's form name its figures; without it they say that the layout decides.
    """
    for cross in contract.rules:
        if cross.id == rule:
            return cross.words.said(language)
    known = next((one for one in contract.fields if one.name == field), None)
    if known and rule in _TELLERS:
        return _TELLERS[rule](contract, known, language)
    if rule in _OF_LAYOUT:
        return (_OF_LAYOUT[rule](contract, layout, field, language) if layout else "") or _AS_LAYOUT_SAYS.said(language)
    return ""


def reason(contract: Contract, field: str, rule: str, language: Language, layout: Layout | None = None) -> str:
    """One sentence: what is wrong with the record. Holds no value of the record."""
    for cross in contract.rules:
        if cross.id == rule:
            return cross.words.said(language)
    told = expected(contract, field, rule, language, layout)
    return text(f"rule.{rule}", language, label=label(contract, field, language), field=field, expected=told)


def advice(rule: str, language: Language) -> str:
    """What to do about a broken rule; empty for cross rules, whose words say it."""
    return action(f"rule.{rule}", language)


def _required(_contract: Contract, _field: ContractField, language: Language) -> str:
    return _REQUIRED.said(language)


def _length(_contract: Contract, field: ContractField, language: Language) -> str:
    if field.length is None:
        return ""
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
    table = contract.code_tables.get(field.codes or "")
    if table is None:
        return ""
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


def _columns(contract: Contract, layout: Layout, _field: str, language: Language) -> str:
    count = len(columns_of(layout, contract))
    return f"{count} 列" if language == "ja" else f"{count} columns"


def _record_length(_contract: Contract, layout: Layout, _field: str, language: Language) -> str:
    if not isinstance(layout, FixedLayout):
        return ""
    return f"{layout.record_bytes} バイト" if language == "ja" else f"{layout.record_bytes} bytes"


def _newline(_contract: Contract, layout: Layout, _field: str, _language: Language) -> str:
    return "" if isinstance(layout, XmlLayout) else layout.newline.upper()


def _constant(_contract: Contract, layout: Layout, _field: str, _language: Language) -> str:
    return ", ".join(f'"{column.constant}"' for column in layout.columns if column.constant)


def _date_form(_contract: Contract, layout: Layout, field: str, _language: Language) -> str:
    return next((column.date for column in layout.columns if column.field == field), "")


def _too_wide(_contract: Contract, layout: Layout, field: str, language: Language) -> str:
    width = next((column.bytes for column in layout.columns if column.field == field), None)
    if width is None:
        return ""
    return f"{width} バイト以内" if language == "ja" else f"at most {width} bytes"


_OF_LAYOUT: Final[dict[str, Callable[[Contract, Layout, str, Language], str]]] = {
    "columns": _columns,
    "record_length": _record_length,
    "newline": _newline,
    "constant": _constant,
    "date_form": _date_form,
    "too_wide": _too_wide,
}
