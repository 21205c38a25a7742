"""XML out: what a parser reads back is what was in the frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layout_samples import PEOPLE, broken, file_of, frame_of, layout_of
from lxml import etree

from contracts.errors import FileUnreadable
from contracts.layouts.build import cutter_for, reader_for, writer_for
from contracts.layouts.model import Layout

NAMESPACE = "urn:people:1.0"
LAYOUT = layout_of(format="xml", root="People", record="Person", namespace=NAMESPACE)
SPARSE = layout_of(format="xml", omit_absent=True, columns=[{"field": "id", "tag": "No"}, {"field": "note"}, {"field": "amount"}])
VALUE = st.text(st.sampled_from("<>&\"' a山𠮷]"), max_size=6)


@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys(PEOPLE.names, VALUE)), max_size=6))
def test_a_parser_reads_back_what_was_written(rows: list[dict[str, str]]) -> None:
    raw, rendered = file_of(frame_of(rows), LAYOUT)
    root = etree.fromstring(raw)
    assert root.tag == f"{{{NAMESPACE}}}People"
    found = [[(etree.QName(element).localname, element.text or "") for element in record] for record in root]
    assert found == [[(name.capitalize(), row[name]) for name in PEOPLE.names] for row in rows]
    assert rendered.totals.records == len(rows)


def test_absent_values_can_be_left_out() -> None:
    raw, _ = file_of(frame_of([{"id": "1"}, {"id": "2", "note": "a&b", "amount": "-7"}, {}]), SPARSE)
    assert raw.decode().splitlines()[2:-1] == [
        "<Record><No>1</No></Record>",
        "<Record><No>2</No><Note>a&amp;b</Note><Amount>-7</Amount></Record>",
        "<Record></Record>",
    ]


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("a\nb", "control_character"),
        ("\x00", "control_character"),
        ("\x85", "control_character"),
        ("\uffff", "unrepresentable"),
        ("\ue000", "private_use"),
    ],
)
@pytest.mark.parametrize("layout", [LAYOUT, SPARSE])
def test_what_xml_does_not_allow_is_refused(value: str, rule: str, layout: Layout) -> None:
    raw, rendered = file_of(frame_of([{"id": "1", "amount": "5"}, {"id": "2", "note": value}, {"id": "3", "amount": "6"}]), layout)
    assert broken(rendered) == [(2, 2, 200, "note", rule)]
    assert (rendered.totals.records, rendered.totals.sums["amount"]) == (2, 11)
    assert len(etree.fromstring(raw)) == 2


def test_recount_finds_what_was_done_to_the_bytes() -> None:
    writer = writer_for(LAYOUT, PEOPLE)
    data = writer.render(frame_of([{"id": "1", "amount": "5"}, {"id": "2", "amount": "-7"}])).data
    assert writer.recount(data).sums["amount"] == -2
    assert writer.recount(data.replace(b"-7", b"-8")).sums["amount"] == -3
    for damaged in (data[:-1], data + b"x", data.replace(b"</Person>", b"</person>", 1), data.replace(b"<Person>", b"<person>", 1)):
        with pytest.raises(FileUnreadable):
            writer.recount(damaged)


def test_xml_is_for_writing_only() -> None:
    for make in (cutter_for, reader_for):
        with pytest.raises(FileUnreadable) as error:
            make(LAYOUT, PEOPLE)
        assert error.value.message_id == "RNK1208E"
