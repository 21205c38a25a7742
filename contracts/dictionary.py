"""The data dictionary of a contract: what a person who sends or receives its records must know, in Japanese or English.

Owns: which facts of a contract and its layouts a dictionary shows, and in what order. The same contract gives the same text, byte for
byte. Rendering is in `contracts.dictionary_render`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal

from contracts.dictionary_layouts import layout_blocks
from contracts.dictionary_render import Block, Heading, Paragraph, Table, html, markdown
from contracts.dictionary_words import WORDS
from contracts.explain import label
from contracts.layouts.model import Layout
from contracts.messages import Language
from contracts.model import Condition, Contract, ContractField, CrossRule

Format = Literal["markdown", "html"]


def dictionary(contract: Contract, layouts: Mapping[str, Layout], language: Language = "ja", form: Format = "markdown") -> str:
    """The whole dictionary of a contract and its layouts as one document.

    Markdown is escaped for tables; HTML is one page that loads nothing and prints on A4 landscape.
    """
    blocks = list(_blocks(contract, layouts, language))
    if form == "markdown":
        return markdown(blocks)
    return html(blocks, title=f"{contract.contract} {contract.title.said(language)}", language=language)


def _blocks(contract: Contract, layouts: Mapping[str, Layout], language: Language) -> Iterator[Block]:
    word = partial(_word, language)
    yield Heading(1, f"{contract.title.said(language)} ({contract.contract})")
    if contract.follows.status == "provisional":
        yield Paragraph(word("status.provisional"), strong=True)
    yield _about(contract, language)
    yield Heading(2, word("fields"))
    yield _fields(contract, language)
    if contract.rules:
        yield Heading(2, word("cross_rules"))
        yield _rules(contract, language)
    for name, table in contract.code_tables.items():
        yield Heading(2, f"{word('codes')} {name} ({word('version')} {table.version})")
        yield Table([word("code"), word("meaning")], [[code, words.said(language)] for code, words in table.values.items()])
    if layouts:
        yield Heading(2, word("layouts"))
    for name, layout in layouts.items():
        yield from layout_blocks(contract, name, layout, language)


def _word(language: Language, key: str) -> str:
    return WORDS[key].said(language)


def _about(contract: Contract, language: Language) -> Table:
    word = partial(_word, language)
    follows = contract.follows
    facts = [
        ("title", contract.title.said(language)),
        ("contract", contract.contract),
        ("follows", follows.document),
        ("version", follows.version),
        ("status", word(f"status.{follows.status}")),
        ("note", follows.note),
        ("counting", word(f"counting.{contract.counting}")),
        ("key", _named(contract, contract.key, language)),
        ("ordering_key", _named(contract, contract.ordering_key, language)),
        ("version_field", _named(contract, [contract.version_field] if contract.version_field else [], language)),
        ("control_sums", _named(contract, contract.control_sums, language)),
        ("note", contract.note),
    ]
    return Table(["", ""], [[word(key), value] for key, value in facts if value])


def _named(contract: Contract, names: list[str], language: Language) -> str:
    return ", ".join(f"{label(contract, name, language)} ({name})" for name in names)


def _fields(contract: Contract, language: Language) -> Table:
    word = partial(_word, language)
    with_items = any(field.item for field in contract.fields)
    titles = ["item"] if with_items else []
    titles += ["label", "name", "type", "length", "need", "rules", "sensitivity", "note"]
    rows = []
    for number, field in enumerate(contract.fields, 1):
        row = [str(number), *([field.item] if with_items else []), label(contract, field.name, language), field.name, field.type]
        row += [_length(field, word("exact")), word(f"need.{_need(contract, field)}"), "; ".join(_field_rules(field, language))]
        rows.append([*row, word(f"sensitivity.{field.sensitivity}"), field.note])
    return Table(["#", *map(word, titles)], rows)


def _length(field: ContractField, exactly: str) -> str:
    if field.digits is not None:
        return f"{field.digits[0]},{field.digits[1]}"
    if field.length is None:
        return {"DATE": "10", "TIME": "8", "YEAR": "4"}.get(field.type, "")
    return f"{exactly} {field.length}" if field.exact else str(field.length)


def _need(contract: Contract, field: ContractField) -> Literal["required", "conditional", "optional"]:
    if field.required:
        return "required"
    return "conditional" if any(_demands(rule, field.name) for rule in contract.rules) else "optional"


def _demands(rule: CrossRule, field: str) -> bool:
    return rule.field == field and rule.severity == "reject" and _asks_presence(rule.then, field)


def _asks_presence(condition: Condition, field: str) -> bool:
    if any(_asks_presence(part, field) for part in (condition.all or []) + (condition.any or [])):
        return True
    test = (condition.fields or {}).get(field)
    return test is not None and test.present is True


def _field_rules(field: ContractField, language: Language) -> Iterator[str]:
    word = partial(_word, language)
    if field.codes:
        yield f"{word('codes')} {field.codes}"
    if field.pattern:
        yield f"{word('pattern')} {field.pattern}"
    if field.minimum is not None:
        yield f"{word('minimum')} {field.minimum}"
    if field.maximum is not None:
        yield f"{word('maximum')} {field.maximum}"
    if field.check_digit:
        yield f"{word('check_digit')}: {word(f'check_digit.{field.check_digit}')}"
    if field.type == "DATE":
        yield from (word(f"dates.{name}") for name in ("open", "unknown_parts", "feb_29") if getattr(field.dates, name))
    for rule, severity in field.severity.items():
        if severity == "warn":
            name = word(f"rule.{rule}")
            yield f"{name}{word('warn_only')}" if language == "ja" else f"{name} {word('warn_only')}"


def _rules(contract: Contract, language: Language) -> Table:
    word = partial(_word, language)
    titles = [word(key) for key in ("rule_id", "label", "severity", "text")]
    rows = [
        [rule.id, label(contract, rule.field, language), word(f"severity.{rule.severity}"), rule.words.said(language)]
        for rule in contract.rules
    ]
    return Table(titles, rows)
