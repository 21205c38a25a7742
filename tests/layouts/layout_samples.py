"""A small contract and the ways to push bytes through its layouts, for the tests of text layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import TypeAdapter

from contracts.layouts.build import cutter_for, reader_for, writer_for
from contracts.layouts.model import Layout
from contracts.layouts.ports import ChunkPlace, Facts, FilePlan, ReadChunk, Rendered
from contracts.model import Contract
from contracts.totals import Totals

FACTS = Facts("332020", "2026-11-20", 7)

PEOPLE = Contract.model_validate(
    {
        "contract": "people@1.0",
        "title": {"ja": "人", "en": "people"},
        "follows": {"document": "試験", "version": "1", "status": "provisional"},
        "key": ["id"],
        "control_sums": ["amount"],
        "fields": [
            {"name": "id", "label": "番号", "type": "9", "length": 4},
            {"name": "name", "label": "氏名", "type": "N", "length": 8},
            {"name": "note", "label": "備考", "type": "X", "length": 12},
            {"name": "born", "label": "生年月日", "type": "DATE"},
            {"name": "amount", "label": "金額", "type": "S9", "length": 8},
        ],
    }
)


def layout_of(**words: Any) -> Layout:
    """A layout from the words of its YAML."""
    return TypeAdapter(Layout).validate_python(words)


def csv(**words: Any) -> Layout:
    """A CSV layout without titles unless said otherwise."""
    return layout_of(**{"format": "csv", "titles": "none", **words})


def fixed(**words: Any) -> Layout:
    """A fixed-length layout of 50 bytes: id 4, name 16, note 12, born 8, amount 10."""
    columns = [
        {"field": "id", "bytes": 4},
        {"field": "name", "bytes": 16, "pad": "　"},
        {"field": "note", "bytes": 12},
        {"field": "born", "bytes": 8, "date": "yyyymmdd"},
        {"field": "amount", "bytes": 10, "justify": "right"},
    ]
    return layout_of(**{"format": "fixed", "record_bytes": 50, "columns": columns, **words})


def frame_of(rows: Sequence[Mapping[str, str]], contract: Contract = PEOPLE) -> pl.DataFrame:
    """Records as a frame, with places as intake gives them."""
    columns = {name: [row.get(name, "") for row in rows] for name in contract.names}
    frame = pl.DataFrame(columns, schema=dict.fromkeys(contract.names, pl.String))
    numbers = pl.Series("_ordinal", range(1, len(rows) + 1), pl.UInt64)
    return frame.with_columns(numbers, numbers.alias("_line"), (numbers * 100).alias("_byte"))


def read(raw: bytes, layout: Layout, contract: Contract = PEOPLE) -> ReadChunk:
    """Read bytes as the one chunk of a file."""
    return reader_for(layout, contract).read(raw, ChunkPlace(1, 1, 0))


def broken(chunk: ReadChunk | Rendered) -> list[tuple[int, int, int, str, str]]:
    """What was refused: (ordinal, line, byte, field, rule)."""
    frame = chunk.unreadable if isinstance(chunk, ReadChunk) else chunk.refused
    return frame.select("ordinal", "line", "byte", "field", "rule").rows()


def records(chunk: ReadChunk, contract: Contract = PEOPLE) -> list[tuple[str, ...]]:
    """The records that could be read."""
    return chunk.frame.select(contract.names).rows()


def file_of(frame: pl.DataFrame, layout: Layout, contract: Contract = PEOPLE) -> tuple[bytes, Rendered]:
    """A whole file as the engine puts it together, and what was rendered."""
    writer = writer_for(layout, contract)
    rendered = writer.render(frame)
    assert writer.recount(rendered.data) == rendered.totals
    assert len(writer.opening(FACTS, rendered.totals)) == len(writer.opening(FACTS, Totals()))
    return writer.opening(FACTS, rendered.totals) + rendered.data + writer.closing(FACTS, rendered.totals), rendered


def take_in(
    path: Path, raw: bytes, layout: Layout, chunk_bytes: int, contract: Contract = PEOPLE
) -> tuple[FilePlan, pl.DataFrame, pl.DataFrame]:
    """Cut a file and read its chunks: the plan, all readable records, all violations."""
    path.write_bytes(raw)
    plan = cutter_for(layout, contract).plan(str(path), chunk_bytes)
    reader = reader_for(layout, contract)
    chunks = [reader.read(raw[cut.place.first_byte : cut.place.first_byte + cut.length], cut.place) for cut in plan.cuts]
    for cut, chunk in zip(plan.cuts, chunks, strict=True):
        assert chunk.records == cut.records
        refused = set(chunk.unreadable.get_column("ordinal").to_list())
        assert chunk.frame.height + len(refused) == cut.records
        assert refused.isdisjoint(chunk.frame.get_column("_ordinal").to_list())
    empty = read(b"", layout, contract)
    frames = [chunk.frame for chunk in chunks] or [empty.frame]
    unreadable = [chunk.unreadable for chunk in chunks] or [empty.unreadable]
    return plan, pl.concat(frames), pl.concat(unreadable)
