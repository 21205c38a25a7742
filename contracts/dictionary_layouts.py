"""The part of a data dictionary that tells how the records stand in a file: one section for each text layout.

Owns: the facts shown of a layout. Byte positions count from 1, as people read a record plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from contracts.dictionary_render import Block, Heading, Paragraph, Table
from contracts.dictionary_words import WORDS
from contracts.explain import label
from contracts.layouts.columns import columns_of
from contracts.layouts.model import Column, ControlColumn, CsvLayout, FixedLayout, Layout, XmlLayout
from contracts.messages import Language
from contracts.model import Contract


def layout_blocks(contract: Contract, name: str, layout: Layout, language: Language) -> Iterator[Block]:
    """One layout: its settings, its control records and its columns."""
    words = _Words(contract, language)
    yield Heading(3, f"{name}: {words.word(f'layout.{layout.format}')}")
    yield Table(["", ""], [[words.word(key), value] for key, value in _settings(layout, words)])
    if not isinstance(layout, XmlLayout):
        yield from _control(layout.header_record, "header_record", words)
    yield Heading(4, words.word("data_record"))
    if layout.columns:
        yield _columns(columns_of(layout, contract), words, fixed=isinstance(layout, FixedLayout))
    else:
        yield Paragraph(words.word("all_fields"))
    if not isinstance(layout, XmlLayout):
        yield from _control(layout.trailer_record, "trailer_record", words)


class _Words:
    """Words of one contract in one language."""

    def __init__(self, contract: Contract, language: Language) -> None:
        self.contract = contract
        self.language = language

    def word(self, key: str) -> str:
        return WORDS[key].said(self.language)

    def label(self, field: str) -> str:
        return label(self.contract, field, self.language)

    def constant(self, value: str) -> str:
        return f'{self.word("constant")} "{value}"' if value else self.word("filler")


def _settings(layout: Layout, words: _Words) -> Iterator[tuple[str, str]]:
    if isinstance(layout, XmlLayout):
        yield "encoding", "utf-8"
        yield "root", layout.root
        yield "record", layout.record
        if layout.namespace:
            yield "namespace", layout.namespace
        yield "records_per_document", str(layout.records_per_document)
        return
    yield "encoding", layout.encoding
    yield "newline", layout.newline
    if isinstance(layout, CsvLayout):
        yield "bom", layout.bom
        yield "titles", words.word(f"titles.{layout.titles}")
    else:
        yield "record_bytes", str(layout.record_bytes)


def _control(columns: Sequence[ControlColumn], which: Literal["header_record", "trailer_record"], words: _Words) -> Iterator[Block]:
    if not columns:
        return
    yield Heading(4, words.word(which))
    position = 1
    rows = []
    for number, column in enumerate(columns, 1):
        content = words.constant(column.constant) if column.constant is not None else _total(column.total or "", words)
        form = _placing(column.justify, column.pad, words) if column.bytes else ""
        if column.total == "business_date":
            form = f"{column.date}; {form}" if form else column.date
        rows.append([str(number), *_bytes_cells(column.bytes, position), content, form])
        position += column.bytes or 0
    yield _table(rows, words, fixed=bool(columns[0].bytes))


def _total(total: str, words: _Words) -> str:
    if total.startswith("sum."):
        return f"{words.word('total.sum')} {words.label(total.removeprefix('sum.'))}"
    return words.word(f"total.{total}")


def _columns(columns: Sequence[Column], words: _Words, *, fixed: bool) -> Table:
    position = 1
    rows = []
    for number, column in enumerate(columns, 1):
        content = f"{words.label(column.field)} ({column.field})" if column.field else words.constant(column.constant or "")
        rows.append([str(number), *_bytes_cells(column.bytes, position), content, "; ".join(_form(column, words, fixed=fixed))])
        position += column.bytes or 0
    return _table(rows, words, fixed=fixed)


def _table(rows: list[list[str]], words: _Words, *, fixed: bool) -> Table:
    titles = ["column", "from_byte", "bytes", "content", "form"]
    if not fixed:
        titles = ["column", "content", "form"]
        rows = [[row[0], *row[3:]] for row in rows]
    return Table([words.word(title) for title in titles], rows)


def _bytes_cells(width: int | None, position: int) -> tuple[str, str]:
    return (str(position), str(width)) if width else ("", "")


def _form(column: Column, words: _Words, *, fixed: bool) -> Iterator[str]:
    if column.field and words.contract.field(column.field).type == "DATE":
        yield words.word("date.any") if column.date == "any" else column.date
    if fixed:
        yield _placing(column.justify, column.pad or " ", words)
    elif column.pad:
        yield f'{words.word("pad")} "{column.pad}"'
    if column.absent:
        yield f"{words.word('absent')} {', '.join(column.absent)}"
    if column.zero_fill:
        yield f"{words.word('zero_fill')} {column.zero_fill}"
    if column.narrow:
        yield words.word("narrow")
    if column.line_breaks is not None:
        yield words.word("line_breaks")
    if column.shorter:
        yield words.word("shorter")
    if column.tag:
        yield f"<{column.tag}>"


def _placing(justify: Literal["left", "right"], pad: str, words: _Words) -> str:
    return f'{words.word(f"justify.{justify}")}, {words.word("pad")} "{pad}"'
