"""What stands around the records of a file, and where it is cut."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from layout_samples import csv, fixed, take_in

from contracts.errors import FileUnreadable
from contracts.layouts import cut as cut_module
from contracts.layouts.model import Layout

TITLED = csv(titles="labels", bom="allowed")
CONTROLLED = csv(
    header_record=[{"constant": "H"}, {"total": "tenant"}, {"total": "business_date"}, {"total": "sequence"}],
    trailer_record=[{"constant": "T"}, {"total": "count"}, {"total": "sum.amount"}],
)
TITLES = "番号,氏名,備考,生年月日,金額\r\n".encode()
RECORD = b"1,a,b,,5\r\n"
HEADER = b"H,332020,20261120,007\r\n"
TRAILER = b"T,2,10\r\n"


@pytest.mark.parametrize("chunk_bytes", [1, 15, 25, 1 << 20])
@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 20])
def test_chunks_cover_the_records_and_nothing_else(
    chunk_bytes: int, block_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut_module, "READ_BYTES", block_bytes)
    raw = HEADER + RECORD * 9 + TRAILER.replace(b"2,10", b"9,45")
    plan, back, unreadable = take_in(tmp_path / "file", raw, CONTROLLED, chunk_bytes)
    assert (plan.bytes, plan.sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert (plan.records, back.height, unreadable.height) == (9, 9, 0)
    assert plan.declared == {"tenant": "332020", "business_date": "2026-11-20", "sequence": "7", "count": "9", "sum.amount": "45"}
    assert plan.cuts[0].place.first_byte == len(HEADER)
    assert plan.cuts[0].place.first_line == 2
    for number, (one, other) in enumerate(zip(plan.cuts, plan.cuts[1:], strict=False)):
        assert one.index == number
        assert one.place.first_byte + one.length == other.place.first_byte
        assert one.place.first_ordinal + one.records == other.place.first_ordinal
        assert one.length <= max(chunk_bytes, len(RECORD))


@pytest.mark.parametrize(
    ("layout", "raw", "records"),
    [
        (TITLED, TITLES, 0),
        (TITLED, b"\xef\xbb\xbf" + TITLES + RECORD, 1),
        (TITLED, TITLES.rstrip(), 0),
        (TITLED, TITLES + RECORD + b"\r\n\n\r\n", 1),
        (TITLED, TITLES + RECORD + b"\x1a", 1),
        (TITLED, TITLES + RECORD + b"\r\n\x1a", 1),
        (TITLED, TITLES + b"\r\n", 0),
        (csv(), RECORD + b"\r\n" + RECORD, 3),
        (CONTROLLED, HEADER + TRAILER, 0),
        (CONTROLLED, HEADER + RECORD + TRAILER.rstrip(), 1),
        (CONTROLLED, HEADER + RECORD + TRAILER + b"\r\n\x1a", 1),
    ],
)
def test_only_records_count(layout: Layout, raw: bytes, records: int, tmp_path: Path) -> None:
    plan, back, unreadable = take_in(tmp_path / "file", raw, layout, 100)
    assert plan.records == records == back.height + unreadable.height


@pytest.mark.parametrize(
    ("layout", "raw", "message_id"),
    [
        (TITLED, b"", "RNK1201E"),
        (fixed(newline="none"), b"", "RNK1201E"),
        (csv(), b"\xef\xbb\xbf" + RECORD, "RNK1202E"),
        (csv(bom="required"), RECORD, "RNK1202E"),
        (TITLED, RECORD, "RNK1203E"),
        (TITLED, TITLES.replace("備考".encode(), "備号".encode()) + RECORD, "RNK1203E"),
        (TITLED, TITLES.rstrip() + b",x\r\n" + RECORD, "RNK1203E"),
        (csv(titles="labels", encoding="cp932"), TITLES + RECORD, "RNK1203E"),
        (CONTROLLED, RECORD + TRAILER, "RNK1204E"),
        (CONTROLLED, b"H,332020,2026112,7\r\n" + TRAILER, "RNK1204E"),
        (CONTROLLED, HEADER + RECORD, "RNK1205E"),
        (CONTROLLED, HEADER, "RNK1205E"),
        (CONTROLLED, HEADER + RECORD + b"T,2", "RNK1205E"),
        (CONTROLLED, HEADER + RECORD + b"T,x,10\r\n", "RNK1205E"),
    ],
)
def test_a_file_that_is_not_the_layouts_is_refused_whole(layout: Layout, raw: bytes, message_id: str, tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable) as error:
        take_in(tmp_path / "file", raw, layout, 100)
    assert error.value.message_id == message_id
    assert str(tmp_path / "file") in error.value.text("ja")
    assert error.value.action("en")


def test_titles_say_which_column_differs(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable) as error:
        take_in(tmp_path / "file", TITLES.replace("備考".encode(), "備号".encode()), TITLED, 100)
    assert (error.value.facts["column"], error.value.facts["expected"], error.value.facts["found"]) == (3, "備考", "備号")


def test_a_quoted_record_is_never_cut_in_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut_module, "READ_BYTES", 64)
    record = b'1,"a\r\n""b""\n,c",d,,5\r\n'
    raw = record * 20 + b'2,"x,y,,5\r\n' + record * 20
    for chunk_bytes in (1, 30, 100, 10_000):
        plan, back, unreadable = take_in(tmp_path / "file", raw, csv(), chunk_bytes)
        assert (plan.records, back.height) == (41, 40)
        assert unreadable.select("ordinal", "line", "byte", "rule").rows() == [(21, 61, 20 * len(record), "quote")]
        assert all(cut.length <= max(chunk_bytes, len(record)) for cut in plan.cuts)


def test_a_file_larger_than_the_buffers_is_cut_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut_module, "READ_BYTES", 1 << 12)
    monkeypatch.setattr(cut_module, "CONTINUED_BYTES", 1 << 12)
    raw = b"".join(b'%d,"a%s",b,,5\r\n' % (number, b"\n" if number % 7 == 0 else b"") for number in range(3_000))
    plan, back, unreadable = take_in(tmp_path / "file", raw, csv(), 5_000)
    assert (plan.records, back.height, unreadable.height) == (3_000, 3_000, 0)
    assert back.get_column("id").to_list() == [str(number) for number in range(3_000)]
    assert all(4_900 < cut.length <= 5_000 for cut in plan.cuts[:-1])
