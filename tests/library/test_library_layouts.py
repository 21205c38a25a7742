"""Every layout of the library carries every accepted case there and back, and refuses only what its encoding does not have."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from lxml import etree

from contracts.cases import cases_file_of, frame_of, load_cases
from contracts.layouts.build import cutter_for, reader_for, writer_for
from contracts.layouts.model import CsvLayout, FixedLayout, XmlLayout
from contracts.layouts.ports import Facts
from contracts.registry import Registry

LIBRARY = Registry.load()
TEXT = [
    (name, layout) for name in LIBRARY.names() for layout, said in LIBRARY.layouts(name).items() if not isinstance(said, XmlLayout)
]
FACTS = Facts(tenant="332020", business_date="2026-11-20", sequence=7)


def accepted(name: str) -> pl.DataFrame:
    contract = LIBRARY.contract(name)
    cases = load_cases(cases_file_of(LIBRARY.file(name)), contract)
    return frame_of(contract, [cases.record(case) for case in cases.cases if case.accept])


def representable(value: str, encoding: str) -> bool:
    try:
        value.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize(("name", "layout_name"), TEXT)
def test_what_is_written_is_read_again(name: str, layout_name: str, tmp_path: Path) -> None:
    contract, layout = LIBRARY.contract(name), LIBRARY.layout(name, layout_name)
    assert isinstance(layout, CsvLayout | FixedLayout)
    frame = accepted(name)
    writer = writer_for(layout, contract)
    rendered = writer.render(frame)
    kept = [all(representable(value, layout.encoding) for value in row) for row in frame.select(contract.names).iter_rows()]
    assert rendered.totals.records == sum(kept)
    assert set(rendered.refused["ordinal"].to_list()) == {number for number, good in enumerate(kept, 1) if not good}

    opening = writer.opening(FACTS, rendered.totals)
    file = tmp_path / "data"
    file.write_bytes(opening + rendered.data + writer.closing(FACTS, rendered.totals))
    plan = cutter_for(layout, contract).plan(str(file), 1 << 20)
    assert plan.records == sum(kept)
    declared = {"count": str(sum(kept)), "business_date": FACTS.business_date, "sequence": "7", "tenant": FACTS.tenant}
    for total, value in plan.declared.items():
        expected = declared.get(total) or str(rendered.totals.sums[total.removeprefix("sum.")])
        assert value.lstrip("0") == expected.lstrip("0"), total
    assert writer.recount(rendered.data) == rendered.totals

    (cut,) = plan.cuts
    chunk = reader_for(layout, contract).read(file.read_bytes()[cut.place.first_byte : cut.place.first_byte + cut.length], cut.place)
    assert chunk.unreadable.height == 0
    assert chunk.frame.select(contract.names).rows() == frame.filter(pl.Series(kept)).select(contract.names).rows()


@pytest.mark.parametrize("name", LIBRARY.names())
def test_xml_holds_every_field_of_every_record(name: str) -> None:
    contract, layout = LIBRARY.contract(name), LIBRARY.layout(name, "xml")
    frame = accepted(name)
    writer = writer_for(layout, contract)
    rendered = writer.render(frame)
    document = writer.opening(FACTS, rendered.totals) + rendered.data + writer.closing(FACTS, rendered.totals)
    assert rendered.refused.height == 0
    root = etree.fromstring(document)
    rows = [[child.text or "" for child in record] for record in root]
    assert rows == [list(row) for row in frame.select(contract.names).iter_rows()]


@pytest.mark.parametrize("name", ["resident@1.0", "resident-tax@1.0", "resident-number@1.0"])
def test_fixed_files_declare_what_they_hold(name: str) -> None:
    layout = LIBRARY.layout(name, "mainframe_fixed")
    assert isinstance(layout, FixedLayout)
    assert {"tenant", "business_date", "sequence"} <= {column.total for column in layout.header_record}
    assert "count" in {column.total for column in layout.trailer_record}
    first = {record[0].constant for record in (layout.header_record, layout.trailer_record)} | {layout.columns[0].constant}
    assert first == {"H", "D", "T"}
