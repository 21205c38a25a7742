"""Cuts files into chunks of whole records in one sequential pass, hashing them on the way.

Owns: what stands around the records (byte order mark, titles, control records, the end of the file) and where chunks end. The first and
last pieces of the file are looked at first, so that the pass itself knows which bytes are records.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from contracts.byte_scan import offsets_of
from contracts.characters import faults
from contracts.errors import FileUnreadable
from contracts.layouts.columns import bind
from contracts.layouts.control import NotControl, read_control
from contracts.layouts.model import ControlColumn, CsvLayout, FixedLayout
from contracts.layouts.ports import ChunkPlace, Cut, FilePlan
from contracts.layouts.quotes import CONTINUED_BYTES, records_of, split_fields, unquoted
from contracts.model import Contract

Indices = npt.NDArray[np.int64]

LOOK_BYTES: Final = 4 << 20
"""How much of the beginning and the end of a file is looked at for titles and control records."""
READ_BYTES: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"
_END_OF_FILE: Final = b"\x1a"


@dataclass(slots=True)
class _Region:
    """Which bytes of a file are data records, and what the rest says."""

    start: int
    end: int
    first_line: int = 1
    declared: dict[str, str] = field(default_factory=dict)


class _Cuts:
    """Collects cuts from buffers of records; places go on from one buffer to the next."""

    def __init__(self, chunk_bytes: int, region: _Region) -> None:
        self.cuts: list[Cut] = []
        self.records = 0
        self._chunk_bytes = max(1, chunk_bytes)
        self._byte = region.start
        self._line = region.first_line

    def take(self, after: Indices, lines: Indices, *, last: bool) -> int:
        """Cut a buffer whose records end at `after`, with `lines[i]` physical lines up to there; the number of bytes used up.

        A chunk is cut when all of its `chunk_bytes` are in the buffer, so that the buffers' borders do not show.
        """
        used = first = 0
        while first < len(after):
            stop = int(np.searchsorted(after, used + self._chunk_bytes, side="right"))
            stop = max(stop, first + 1)
            if stop >= len(after) and not last:
                break
            length = int(after[stop - 1]) - used
            place = ChunkPlace(self.records + 1, self._line, self._byte)
            self.cuts.append(Cut(len(self.cuts), place, length, stop - first))
            self._byte += length
            self._line += int(lines[stop - 1]) - (int(lines[first - 1]) if first else 0)
            self.records += stop - first
            used, first = used + length, stop
        return used


class LineCutter:
    """`Cutter` for CSV and for fixed-length records that end in a newline."""

    def __init__(self, layout: CsvLayout | FixedLayout, contract: Contract) -> None:
        self._layout = layout
        self._columns = bind(layout, contract)
        self._separator = ord(layout.separator) if isinstance(layout, CsvLayout) else -1
        self._quotes = isinstance(layout, CsvLayout) and layout.quoting != "none"

    def plan(self, path: str, chunk_bytes: int) -> FilePlan:
        """See `contracts.layouts.ports.Cutter`."""
        with open(path, "rb") as file:  # noqa: PTH123 - the port gives a text path
            size = _size(file, path)
            region = self._region(file, path, size)
            digest = hashlib.sha256()
            cuts = _Cuts(chunk_bytes, region)
            rest = b""
            room = max(chunk_bytes, READ_BYTES) + CONTINUED_BYTES
            for buffer, last in _buffers(file, digest, region, room):
                rest += buffer
                after, lines = self._records(rest, last=last)
                rest = rest[cuts.take(after, lines, last=last) :]
        return FilePlan(size, digest.hexdigest(), cuts.records, tuple(cuts.cuts), region.declared)

    def _records(self, buffer: bytes, *, last: bool) -> tuple[Indices, Indices]:
        """Offset after each record of the buffer, and the physical lines up to there; only records that are certain unless `last`."""
        ends = offsets_of(buffer, 0x0A)
        whole = len(buffer) if last else int(ends[-1]) + 1 if len(ends) else 0
        if last and buffer and buffer[-1] != 0x0A:
            ends = np.append(ends, len(buffer) - 1)
        after = ends + 1
        if not self._quotes or b'"' not in buffer:
            return after, np.arange(1, len(after) + 1)
        starts = np.concatenate((np.zeros(min(1, len(after)), np.int64), after[:-1]))
        text_ends = np.where(np.frombuffer(buffer, np.uint8)[ends] == 0x0A, ends, after)
        records = records_of(buffer[:whole], starts, text_ends, self._separator, len(self._columns))
        lines = np.append(records.first_lines[1:], len(starts))
        certain = after[lines - 1]
        if not last:
            # a record near the end of the buffer may turn out to go on once more of the file is there
            keep = certain <= len(buffer) - CONTINUED_BYTES
            lines, certain = lines[keep], certain[keep]
        return certain, lines

    def _region(self, file: BinaryIO, path: str, size: int) -> _Region:
        layout = self._layout
        head = os.pread(file.fileno(), min(size, LOOK_BYTES), 0)
        region = _Region(0, size)
        if isinstance(layout, CsvLayout):
            self._skip_bom(head, region, path)
            if layout.titles != "none":
                self._check_titles(self._line(head, region), path)
        if layout.header_record:
            place = region.start
            region.declared |= _control(self._line(head, region), layout.header_record, layout, "RNK1204E", path, place)
        self._find_end(file, region, path)
        return region

    def _skip_bom(self, head: bytes, region: _Region, path: str) -> None:
        bom = self._layout.bom if isinstance(self._layout, CsvLayout) else "none"
        present = head.startswith(_BOM)
        if (present and bom == "none") or (not present and bom == "required"):
            raise FileUnreadable("RNK1202E", path=path, expected=bom)
        region.start = len(_BOM) if present else 0

    def _line(self, head: bytes, region: _Region) -> bytes:
        """The next line of the head, which the region then leaves out."""
        end = head.find(b"\n", region.start)
        line = head[region.start :] if end < 0 else head[region.start : end]
        region.start = len(head) if end < 0 else end + 1
        region.first_line += 1
        return line.removesuffix(b"\r").removesuffix(_END_OF_FILE)

    def _check_titles(self, line: bytes, path: str) -> None:
        encoding = self._layout.encoding
        expected = [column.title for column in self._columns]
        fields = [unquoted(text) for _, text in split_fields(line, self._separator)]
        found = [text.decode(encoding, "replace") for text in fields]
        if faults(line, encoding) or found != expected:
            pairs = enumerate(zip(found, expected, strict=False))
            at = next((index for index, (one, other) in pairs if one != other), min(len(found), len(expected)))
            raise FileUnreadable(
                "RNK1203E",
                path=path,
                column=at + 1,
                expected=expected[at] if at < len(expected) else "",
                found=_told(found, expected)[at] if at < len(found) else "",
                expected_columns=len(expected),
                found_columns=len(found),
            )

    def _find_end(self, file: BinaryIO, region: _Region, path: str) -> None:
        """Leave the end mark, blank lines at the very end and the trailer out of the region."""
        base = max(region.start, region.end - LOOK_BYTES)
        tail = os.pread(file.fileno(), region.end - base, base).removesuffix(_END_OF_FILE)
        tail = tail[: _without_blank_end(tail)]
        if self._layout.trailer_record:
            begin = tail.rfind(b"\n", 0, max(0, len(tail) - 1)) + 1
            line = tail[begin:].removesuffix(b"\n").removesuffix(b"\r")
            region.declared |= _control(line, self._layout.trailer_record, self._layout, "RNK1205E", path, base + begin)
            tail = tail[:begin]
        region.end = base + len(tail)


class RecordCutter:
    """`Cutter` for fixed-length records without newlines: by counting bytes."""

    def __init__(self, layout: FixedLayout) -> None:
        self._layout = layout

    def plan(self, path: str, chunk_bytes: int) -> FilePlan:
        """See `contracts.layouts.ports.Cutter`."""
        length = self._layout.record_bytes
        with open(path, "rb") as file:  # noqa: PTH123 - the port gives a text path
            size = _size(file, path)
            region = _Region(0, size)
            if size % length == 1 and os.pread(file.fileno(), 1, size - 1) == _END_OF_FILE:
                region.end -= 1
            if region.end % length:
                raise FileUnreadable("RNK1206E", path=path, bytes=size, record_bytes=length, rest=region.end % length)
            self._controls(file, region, path)
            digest = hashlib.sha256()
            for _ in _buffers(file, digest, region, READ_BYTES):
                pass
        records = (region.end - region.start) // length
        per_chunk = max(1, chunk_bytes // length)
        cuts = tuple(
            Cut(index, ChunkPlace(first + 1, region.first_line + first, region.start + first * length), count * length, count)
            for index, first in enumerate(range(0, records, per_chunk))
            for count in (min(per_chunk, records - first),)
        )
        return FilePlan(size, digest.hexdigest(), records, cuts, region.declared)

    def _controls(self, file: BinaryIO, region: _Region, path: str) -> None:
        layout, length = self._layout, self._layout.record_bytes
        if layout.header_record:
            raw = os.pread(file.fileno(), min(length, region.end), 0)
            region.declared |= _control(raw, layout.header_record, layout, "RNK1204E", path, 0)
            region.start, region.first_line = length, 2
        if layout.trailer_record:
            begin = max(region.start, region.end - length)
            raw = os.pread(file.fileno(), region.end - begin, begin)
            region.declared |= _control(raw, layout.trailer_record, layout, "RNK1205E", path, begin)
            region.end = begin


def _told(found: list[str], expected: list[str]) -> list[str]:
    """Titles as a person may be told of them: all of them when most are those agreed. Else the line may be a record of data, and only
    texts that are titles of the layout are told.
    """
    known = [text in expected for text in found]
    titles = 2 * sum(known) >= len(found)
    return [text[:40] if titles or agreed else "***" for text, agreed in zip(found, known, strict=True)]


def _without_blank_end(tail: bytes) -> int:
    """How much of `tail` is left without the empty lines at its end."""
    end = len(tail)
    while tail[end - 1 : end] == b"\n":
        before = end - 2 if tail[end - 2 : end] == b"\r\n" else end - 1
        if before > 0 and tail[before - 1] != 0x0A:
            break
        end = before
    return end


def _size(file: BinaryIO, path: str) -> int:
    size = os.fstat(file.fileno()).st_size
    if not size:
        raise FileUnreadable("RNK1201E", path=path)
    return size


def _buffers(file: BinaryIO, digest: hashlib._Hash, region: _Region, room: int) -> Iterator[tuple[bytes, bool]]:
    """The whole file once through the hash; of it the region's bytes, in buffers of about `room` bytes, the last one marked."""
    pieces: list[bytes] = []
    gathered = at = 0
    while block := file.read(READ_BYTES):
        digest.update(block)
        part = block[max(0, region.start - at) : max(0, region.end - at)]
        at += len(block)
        pieces.append(part)
        gathered += len(part)
        if gathered >= room and at < region.end:
            yield b"".join(pieces), False
            pieces, gathered = [], 0
    yield b"".join(pieces), True


def _control(
    raw: bytes, columns: list[ControlColumn], layout: CsvLayout | FixedLayout, message_id: str, path: str, byte: int
) -> dict[str, str]:
    try:
        return read_control(raw, columns, layout)
    except NotControl as error:
        raise FileUnreadable(message_id, path=path, byte=byte, reason=error.reason) from error
