"""CSV, both ways: what is written comes back, what is wrong is refused at its byte, and neighbours never notice."""

from __future__ import annotations

import csv as standard_csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from layout_samples import PEOPLE, broken, csv, file_of, frame_of, read, records, take_in

from contracts.errors import FileUnreadable
from contracts.layouts.build import reader_for, writer_for
from contracts.layouts.model import Layout
from contracts.layouts.ports import ChunkPlace

LAYOUTS = [
    csv(),
    csv(encoding="cp932", titles="labels"),
    csv(newline="lf", quoting="all", bom="required", titles="names"),
    csv(separator="\t", newline="any"),
    csv(
        encoding="cp932",
        header_record=[{"constant": "H"}, {"total": "business_date"}, {"total": "count"}],
        trailer_record=[{"constant": "T"}, {"total": "count"}, {"total": "sum.amount"}],
    ),
]
CP932_EDGES = "ソ表ー～－∥￢￤髙﨑ⅰ①㈱∵ｱﾟ\\~纊黑熙"
TEXT = st.text(st.sampled_from(CP932_EDGES + ' ,"\n\t;abc　0'), max_size=9)
RECORD = st.fixed_dictionaries(
    {
        "id": st.integers(0, 9999).map("{:04}".format),
        "name": TEXT,
        "note": TEXT,
        "born": st.sampled_from(["", "2026-11-20", "0000-01-01"]),
        "amount": st.integers(-999, 999).map(str),
    }
)


def without_tabs(rows: list[dict[str, str]], layout: Layout) -> list[dict[str, str]]:
    """A tab is a control character where it does not separate."""
    if getattr(layout, "separator", ",") == "\t":
        return rows
    return [{name: value.replace("\t", " ") for name, value in row.items()} for row in rows]


@pytest.mark.parametrize("layout", LAYOUTS)
@given(rows=st.lists(RECORD, max_size=12), chunk_bytes=st.integers(1, 400))
def test_what_is_written_comes_back_however_it_is_cut(
    layout: Layout, rows: list[dict[str, str]], chunk_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame = frame_of(without_tabs(rows, layout))
    raw, rendered = file_of(frame, layout)
    assume(raw)
    assert broken(rendered) == []
    path = tmp_path_factory.mktemp("cut") / "file.csv"
    plan, back, unreadable = take_in(path, raw, layout, chunk_bytes)
    assert unreadable.height == 0
    assert back.select(PEOPLE.names).rows() == frame.select(PEOPLE.names).rows()
    assert plan.records == len(rows) == rendered.totals.records
    assert sum(cut.length for cut in plan.cuts) <= len(raw) == plan.bytes
    whole, whole_back, _ = take_in(path, raw, layout, 1 << 20)
    assert whole_back.rows() == back.rows()
    assert whole.declared == plan.declared
    for ordinal, line, byte in back.select("_ordinal", "_line", "_byte").rows():
        assert raw[:byte].count(b"\n") == line - 1
        assert ordinal >= 1


@given(rows=st.lists(st.lists(st.text(st.sampled_from('a,"\n\r '), max_size=4), min_size=5, max_size=5), min_size=1, max_size=8))
def test_quoting_is_that_of_the_standard_library(rows: list[list[str]]) -> None:
    rows = [[value.replace("\r", "\r\n") for value in row] for row in rows]
    target = io.StringIO()
    standard_csv.writer(target, quoting=standard_csv.QUOTE_ALL).writerows(rows)
    chunk = read(target.getvalue().encode(), csv())
    assert records(chunk) == [tuple(row) for row in rows]
    written = writer_for(csv(), PEOPLE).render(frame_of([dict(zip(PEOPLE.names, row, strict=True)) for row in rows]))
    assert list(standard_csv.reader(io.StringIO(written.data.decode(), newline=""), strict=True)) == rows


GOOD = b"0001,\x8eR\x93c,x,,5\r\n"
BAD_RECORDS = [
    (b"0002,\x8eR\xfd\x93c,x,,5\r\n", "undecodable", "name", 7),
    (b"0002,\x8eR\x93,x,,5\r\n", "undecodable", "name", 7),
    (b"0002,\x81\xad,x,,5\r\n", "undecodable", "name", 5),
    (b"0002,\xf0\x40,x,,5\r\n", "private_use", "name", 5),
    (b"0002,a,x\x00y,,5\r\n", "control_character", "note", 8),
    (b"0002,a,x\ty,,5\r\n", "control_character", "note", 8),
    (b"0002,a,x\x7f,,5\r\n", "control_character", "note", 8),
    (b"0002,a\rb,x,,5\r\n", "control_character", "name", 6),
    (b"0002,a,x,5\r\n", "columns", "", 0),
    (b"0002,a,x,,5,\r\n", "columns", "", 0),
    (b"0002\r\n", "columns", "", 0),
    (b"\r\n", "empty_line", "", 0),
    (b"0002,a,x,,5\n", "newline", "", 11),
    (b'0002,a"b,x,,5\r\n', "quote", "", 0),
    (b'0002,"ab,x,,5\r\n', "quote", "", 0),
    (b'0002,"a"b,x,,5\r\n', "quote", "", 0),
    (b'0002,a,x,,"5\r\n', "quote", "", 0),
]


@pytest.mark.parametrize(("raw", "rule", "field", "offset"), BAD_RECORDS)
@pytest.mark.parametrize("quoted_neighbours", [False, True])
def test_a_bad_record_is_refused_at_its_byte_and_its_neighbours_are_read(
    raw: bytes, rule: str, field: str, offset: int, quoted_neighbours: bool, tmp_path: Path
) -> None:
    good = GOOD.replace(b"x", b'"x,""\r\ny"') if quoted_neighbours else GOOD
    text = good + raw + good + good
    chunk = read(text, csv(encoding="cp932"))
    lines = 2 if quoted_neighbours else 1
    assert broken(chunk) == [(2, 1 + lines, len(good) + offset, field, rule)]
    assert chunk.frame.get_column("_ordinal").to_list() == [1, 3, 4]
    assert {row[1] for row in records(chunk)} == {"山田"}
    for chunk_bytes in (1, 7, 40, 1000):
        plan, back, unreadable = take_in(tmp_path / "file.csv", text, csv(encoding="cp932"), chunk_bytes)
        assert (plan.records, unreadable.rows(), back.rows()) == (4, chunk.unreadable.rows(), chunk.frame.rows())


def test_bad_records_of_every_kind_side_by_side_are_told_apart() -> None:
    chunk = read(b"".join(raw for raw, *_ in BAD_RECORDS) + GOOD, csv(encoding="cp932"))
    assert [(ordinal, field, rule) for ordinal, _, _, field, rule in broken(chunk)] == [
        (number, field, rule) for number, (_, rule, field, _) in enumerate(BAD_RECORDS, start=1)
    ]
    assert records(chunk) == [("0001", "山田", "x", "", "5")]


def test_too_few_and_too_many_columns_do_not_make_up_for_each_other() -> None:
    chunk = read(b"1,a,b,,\r\n2,a,b,\r\n3,a,b,,,\r\n4,a,b,,\r\n", csv())
    assert [(row[0], row[4]) for row in broken(chunk)] == [(2, "columns"), (3, "columns")]
    assert [row[0] for row in records(chunk)] == ["1", "4"]


@pytest.mark.parametrize(("end", "rule"), [(b"2,a,b,,5", None), (b"2,a,b,", "truncated"), (b'2,a,"b', "truncated"), (b"2,a,b,,5\r", None)])
def test_a_last_record_without_its_newline_counts_when_it_is_whole(end: bytes, rule: str | None) -> None:
    chunk = read(b"1,a,b,,5\r\n" + end, csv())
    assert [row[4] for row in broken(chunk)] == ([rule] if rule else [])
    assert len(records(chunk)) == (1 if rule else 2)


def test_an_opened_quote_does_not_swallow_the_file() -> None:
    lines = [b"%d,a,b,,5\r\n" % number for number in range(20_000)]
    lines[10] = b'10,"a,b,,5\r\n'
    lines[19_990] = b'19990,a",b,,5\r\n'
    chunk = read(b"".join(lines), csv())
    assert [(row[0], row[4]) for row in broken(chunk)] == [(11, "quote"), (19_991, "quote")]
    assert chunk.frame.height == 19_998


def test_a_record_over_several_lines_counts_only_with_the_right_number_of_columns() -> None:
    chunk = read(b'1,a,b,,"5\r\n2,a,b,,5\r\n",a,b,,5\r\n4,a,"b\r\nb",,5\r\n', csv())
    assert [(row[0], row[1], row[4]) for row in broken(chunk)] == [(1, 1, "quote"), (3, 3, "quote")]
    assert [row[0] for row in records(chunk)] == ["2", "4"]


def test_utf8_with_broken_bytes_and_private_use() -> None:
    raw = "1,山,x,,5\r\n".encode() + b"2,\xe5\xb1,x,,5\r\n" + "3,\ue000,x,,5\r\n4,𠮷葛\U000e0100,x,,5\r\n".encode()
    chunk = read(raw, csv())
    assert [(row[0], row[3], row[4]) for row in broken(chunk)] == [(2, "name", "undecodable"), (3, "name", "private_use")]
    assert [row[1] for row in records(chunk)] == ["山", "𠮷葛\U000e0100"]


def test_constants_must_match_and_fields_left_out_are_absent() -> None:
    layout = csv(columns=[{"constant": "D"}, {"field": "id"}])
    chunk = read(b"D,1\r\nX,2\r\n", layout)
    assert records(chunk) == [("1", "", "", "", "")]
    assert broken(chunk) == [(2, 2, 5, "", "constant")]
    assert chunk.unreadable.item(0, "value") == "X"


def test_places_go_on_from_the_chunk_before() -> None:
    chunk = reader_for(csv(), PEOPLE).read(b"1,a,b,,5\r\n2\r\n3,a,b,,5\r\n", ChunkPlace(101, 205, 9000))
    assert chunk.frame.select("_ordinal", "_line", "_byte").rows() == [(101, 205, 9000), (103, 207, 9013)]
    assert broken(chunk) == [(102, 206, 9010, "", "columns")]


def test_original_bytes_and_columns_can_be_found_again() -> None:
    reader = reader_for(csv(), PEOPLE)
    raw = b'1,"a,\r\nb",c,,5\r\n2,x\r\n3,a,b,,5'
    place = ChunkPlace(11, 1, 100)
    assert reader.raw_records(raw, place, [11, 12, 13]) == [(100, raw[:14]), (116, b"2,x"), (121, b"3,a,b,,5")]
    assert reader.raw_records(raw, place, []) == []
    assert [reader.locate(raw[:14], name) for name in PEOPLE.names] == [0, 2, 10, 12, 13]
    assert reader.locate(b"2,x", "amount") == 0


@pytest.mark.parametrize(
    ("value", "encoding", "quoting", "rule"),
    [
        ("\u301c", "cp932", "minimal", "unrepresentable"),
        ("𠮷", "cp932", "minimal", "unrepresentable"),
        ("\ue000", "utf-8", "minimal", "private_use"),
        ("\ue000", "cp932", "all", "private_use"),
        ("\ufffd", "utf-8", "minimal", "unrepresentable"),
        ("a\x00", "utf-8", "minimal", "control_character"),
        ("a\rb", "utf-8", "minimal", "control_character"),
        ("a\x85b", "utf-8", "minimal", "control_character"),
        ("a\tb", "cp932", "all", "control_character"),
        ("a,b", "utf-8", "none", "quote"),
        ("a\nb", "cp932", "none", "control_character"),
    ],
)
def test_a_row_that_cannot_be_written_is_refused_and_the_others_are_written(value: str, encoding: str, quoting: str, rule: str) -> None:
    layout = csv(encoding=encoding, quoting=quoting)
    rows = [{"id": "1", "name": "山"}, {"id": "2", "name": value}, {"id": "3", "amount": "7"}]
    raw, rendered = file_of(frame_of(rows), layout)
    assert broken(rendered) == [(2, 2, 200, "name", rule)]
    assert rendered.refused.item(0, "value") == value
    assert rendered.totals.records == 2
    assert [row[0] for row in records(read(raw, layout))] == ["1", "3"]


def test_a_date_without_a_written_form_is_refused() -> None:
    layout = csv(columns=[{"field": "id"}, {"field": "born", "date": "yyyymmdd"}])
    rendered = writer_for(layout, PEOPLE).render(frame_of([{"id": "1", "born": "2026-11-20"}, {"id": "2", "born": "20261120"}]))
    assert rendered.data == b"1,20261120\r\n"
    assert broken(rendered) == [(2, 2, 200, "born", "date_form")]


def test_recount_finds_what_was_done_to_the_bytes() -> None:
    writer = writer_for(csv(), PEOPLE)
    data = writer.render(frame_of([{"id": "1", "amount": "5"}, {"id": "2", "note": "a\nb", "amount": "-7"}])).data
    assert writer.recount(data).records == 2
    assert str(writer.recount(data).sums["amount"]) == "-2"
    assert writer.recount(data.replace(b"-7", b"-8")).sums["amount"] == -3
    for damaged in (data[:-1], data + b"x", data.replace(b'"', b"", 1)):
        with pytest.raises(FileUnreadable):
            writer.recount(damaged)


def test_sums_are_exact_beyond_64_bits() -> None:
    rows = [{"id": str(number), "amount": str(9 * 10**17 + number)} for number in range(30)]
    _, rendered = file_of(frame_of(rows), csv())
    assert rendered.totals.sums["amount"] == 30 * 9 * 10**17 + sum(range(30))


def test_without_quoting_a_quote_is_a_character() -> None:
    layout = csv(quoting="none", encoding="cp932")
    rows = [{"id": "1", "name": 'a"b'}, {"id": "2", "name": '"山"'}]
    raw, _ = file_of(frame_of(rows), layout)
    assert [row[1] for row in records(read(raw, layout))] == ['a"b', '"山"']
    assert reader_for(layout, PEOPLE).locate(b'1,"a,b",,,', "note") == 5


def test_an_empty_frame_is_written_as_nothing() -> None:
    rendered = writer_for(csv(), PEOPLE).render(frame_of([]))
    assert (rendered.data, rendered.totals.records, rendered.refused.height) == (b"", 0, 0)
    assert isinstance(read(b"", csv()).frame, pl.DataFrame)
