"""Fixed-length records, both ways: by byte position, padded and not, whole or cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layout_samples import PEOPLE, broken, file_of, fixed, frame_of, layout_of, read, records, take_in

from contracts.errors import FileUnreadable
from contracts.layouts.build import reader_for, writer_for
from contracts.layouts.model import Layout
from contracts.layouts.ports import ChunkPlace

CONTROLS = {
    "header_record": [
        {"constant": "H", "bytes": 1},
        {"total": "tenant", "bytes": 6},
        {"total": "business_date", "bytes": 8},
        {"constant": "", "bytes": 35},
    ],
    "trailer_record": [
        {"constant": "T", "bytes": 1},
        {"total": "count", "bytes": 9, "justify": "right", "pad": "0"},
        {"total": "sum.amount", "bytes": 12, "justify": "right"},
        {"constant": "", "bytes": 28},
    ],
}  # fmt: skip
LAYOUTS = [fixed(), fixed(newline="none", **CONTROLS), fixed(newline="lf", encoding="utf-8"), fixed(**CONTROLS)]
WIDE = st.text(st.sampled_from("ソ表ー～－髙﨑ⅰ①㈱∵山田　"), max_size=5).map(lambda text: text.rstrip("　"))
MIXED = st.text(st.sampled_from("ソｱaｶﾞ表b 1"), max_size=4).map(lambda text: text.rstrip(" "))
RECORD = st.fixed_dictionaries(
    {
        "id": st.integers(0, 9999).map("{:04}".format),
        "name": WIDE,
        "note": st.one_of(MIXED, st.just(""), st.just("abc")),
        "born": st.sampled_from(["", "2026-11-20", "0000-01-01", "9999-12-31"]),
        "amount": st.integers(-999, 999).map(str),
    }
)


@pytest.mark.parametrize("layout", LAYOUTS)
@given(rows=st.lists(RECORD, min_size=1, max_size=12), chunk_bytes=st.integers(1, 400))
def test_what_is_written_comes_back_however_it_is_cut(
    layout: Layout, rows: list[dict[str, str]], chunk_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame = frame_of(rows)
    raw, rendered = file_of(frame, layout)
    assert broken(rendered) == []
    plan, back, unreadable = take_in(tmp_path_factory.mktemp("cut") / "file", raw, layout, chunk_bytes)
    assert unreadable.height == 0
    assert back.select(PEOPLE.names).rows() == frame.select(PEOPLE.names).rows()
    assert plan.records == len(rows)
    stride = len(rendered.data) // len(rows)
    assert {len(rendered.data) % stride, stride - 50} <= {0, 1, 2}
    if getattr(layout, "trailer_record", []):
        assert plan.declared["count"] == str(len(rows))
        assert plan.declared["sum.amount"] == str(sum(int(row["amount"]) for row in rows))


def test_padding_is_laid_byte_by_byte() -> None:
    layout = layout_of(
        format="fixed",
        record_bytes=34,
        newline="none",
        columns=[
            {"field": "id", "bytes": 6, "justify": "right", "pad": "0"},
            {"field": "name", "bytes": 7, "pad": "　"},
            {"field": "note", "bytes": 7, "pad": "　", "justify": "right"},
            {"field": "born", "bytes": 8, "date": "yyyymmdd"},
            {"field": "amount", "bytes": 6, "justify": "right"},
        ],
    )
    rendered = writer_for(layout, PEOPLE).render(frame_of([{"id": "12", "name": "山", "note": "田", "born": "2026-11-20", "amount": "-5"}]))
    assert rendered.data == b"000012" + "山　　".encode("cp932") + b" " + b" " + "　　田".encode("cp932") + b"20261120" + b"    -5"
    mixed = writer_for(layout, PEOPLE).render(frame_of([{"name": "山a", "note": "ｱ"}]))
    assert mixed.data == b"000000" + "山a　　".encode("cp932") + "　　　ｱ".encode("cp932") + b" " * 8 + b" " * 6
    assert records(read(rendered.data + mixed.data, layout)) == [("12", "山", "田", "2026-11-20", "-5"), ("", "山a", "ｱ", "", "")]


GOOD = b"0001" + "山田　　　　　　".encode("cp932") + b"x           " + b"20261120" + b"         5"


def cut(at: int, new: bytes) -> bytes:
    """The good record with other bytes at a place."""
    return GOOD[:at] + new + GOOD[at + len(new) :]


BAD_RECORDS = [
    (cut(18, b"\x81\x81"), None, "", 0),
    (cut(18, b" \x81"), "undecodable", "name", 19),
    (cut(4, b"\xfd"), "undecodable", "name", 4),
    (cut(4, b"\xf0\x40"), "private_use", "name", 4),
    (cut(31, b"\x81"), "undecodable", "note", 31),
    (cut(21, b"\x00"), "control_character", "note", 21),
    (cut(21, b"\x1f"), "control_character", "note", 21),
    (cut(22, b"\x7f"), "control_character", "note", 22),
    (cut(22, b"\r"), "control_character", "note", 22),
    (GOOD[:-1], "record_length", "", 0),
    (GOOD + b" ", "record_length", "", 0),
    (b"", "empty_line", "", 0),
]


@pytest.mark.parametrize(("bad", "rule", "field", "offset"), BAD_RECORDS)
def test_a_bad_record_is_refused_at_its_byte_and_its_neighbours_are_read(
    bad: bytes, rule: str | None, field: str, offset: int, tmp_path: Path
) -> None:
    assert len(GOOD) == 50
    raw = b"\r\n".join([GOOD, bad, GOOD, GOOD, b""])
    chunk = read(raw, fixed())
    assert broken(chunk) == ([(2, 2, 52 + offset, field, rule)] if rule else [])
    assert len(records(chunk)) == (3 if rule else 4)
    for chunk_bytes in (1, 60, 110, 1000):
        _, back, unreadable = take_in(tmp_path / "file", raw, fixed(), chunk_bytes)
        assert (back.rows(), unreadable.rows()) == (chunk.frame.rows(), chunk.unreadable.rows())


def test_wrong_newlines_concern_their_records_only() -> None:
    chunk = read(GOOD + b"\r\n" + GOOD + b"\n" + GOOD + b"\r\n", fixed())
    assert broken(chunk) == [(2, 2, 102, "", "newline")]
    assert len(records(chunk)) == 2


@pytest.mark.parametrize(("end", "rule"), [(GOOD, None), (GOOD[:30], "truncated")])
def test_a_last_record_without_its_newline_counts_when_it_is_whole(end: bytes, rule: str | None) -> None:
    chunk = read(GOOD + b"\r\n" + end, fixed())
    assert [row[4] for row in broken(chunk)] == ([rule] if rule else [])


def test_records_without_newlines_must_fill_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable) as error:
        take_in(tmp_path / "file", GOOD * 3 + b"0001", fixed(newline="none"), 100)
    assert error.value.message_id == "RNK1206E"
    assert error.value.facts["rest"] == 4
    plan, back, _ = take_in(tmp_path / "file", GOOD * 3 + b"\x1a", fixed(newline="none"), 100)
    assert (plan.records, back.height, [cut.records for cut in plan.cuts]) == (3, 3, [2, 1])


@pytest.mark.parametrize(
    ("values", "field", "rule"),
    [
        ({"name": "山田山田山田山田山"}, "name", "too_wide"),
        ({"note": "0123456789abc"}, "note", "too_wide"),
        ({"note": "ｱｲｳｴｵｶｷｸｹｺｻｼｽ"}, "note", "too_wide"),
        ({"note": "山ｱ山ｱ山ｱ山ｱ山"}, "note", "too_wide"),
        ({"name": "\u301c"}, "name", "unrepresentable"),
        ({"name": "\ue000"}, "name", "private_use"),
        ({"note": "a\nb"}, "note", "control_character"),
        ({"note": "a\x1fb"}, "note", "control_character"),
        ({"note": "a\x7fb"}, "note", "control_character"),
        ({"born": "20261120"}, "born", "date_form"),
    ],
)
def test_a_row_that_cannot_be_written_is_refused_and_the_others_are_written(values: dict[str, str], field: str, rule: str) -> None:
    rows = [{"id": "1", "name": "山"}, {"id": "2", **values}, {"id": "3", "note": "ｱ", "amount": "7"}]
    raw, rendered = file_of(frame_of(rows), fixed())
    assert broken(rendered) == [(2, 2, 200, field, rule)]
    assert rendered.totals.records == 2
    assert rendered.totals.sums["amount"] == 7
    assert [row[0] for row in records(read(raw, fixed()))] == ["1", "3"]


def test_a_value_as_wide_as_its_column_fits() -> None:
    rows = [{"name": "山" * 8, "note": "ｱ" * 12}, {"name": "山" * 8, "note": "a" * 12, "amount": "1234567890"}]
    raw, rendered = file_of(frame_of(rows), fixed())
    assert broken(rendered) == []
    assert [row[1:3] for row in records(read(raw, fixed()))] == [("山" * 8, "ｱ" * 12), ("山" * 8, "a" * 12)]


def test_recount_finds_what_was_done_to_the_bytes() -> None:
    writer = writer_for(fixed(), PEOPLE)
    data = writer.render(frame_of([{"id": "1", "amount": "5"}, {"id": "2", "amount": "-7"}])).data
    assert str(writer.recount(data).sums["amount"]) == "-2"
    assert writer.recount(data.replace(b"-7", b"-8")).sums["amount"] == -3
    for damaged in (data[:-1], data + b"x", data.replace(b"\r\n", b"\n\r", 1)):
        with pytest.raises(FileUnreadable):
            writer.recount(damaged)


def test_original_bytes_and_columns_can_be_found_again() -> None:
    reader = reader_for(fixed(), PEOPLE)
    raw = GOOD + b"\r\n" + GOOD[:7] + b"\r\n" + GOOD
    assert reader.raw_records(raw, ChunkPlace(5, 5, 1000), [5, 6, 7]) == [(1000, GOOD), (1052, GOOD[:7]), (1061, GOOD)]
    assert reader.raw_records(GOOD + b"\r\n", ChunkPlace(5, 5, 1000), [5]) == [(1000, GOOD)]
    assert [reader.locate(GOOD, name) for name in PEOPLE.names] == [0, 4, 20, 32, 40]
    assert reader.locate(GOOD[:7], "amount") == 0
