"""Planted bad records: each kind breaks one rule in one field, on the bytes of a record as it stands in the file.

Owns: the kinds of damage, the rule each is expected to break, and how a record's bytes are changed. Works on records whose values hold
neither separator nor quote, as synthetic ones are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.layouts.model import Column, CsvLayout, FixedLayout
from contracts.model import Contract

FileLayout = CsvLayout | FixedLayout


@dataclass(frozen=True, slots=True)
class Expected:
    """What a checker must say of a damaged record. `field` is `""` when the rule is about the whole record."""

    field: str
    rule: str


@dataclass(frozen=True, slots=True)
class _Fault:
    """One kind of damage to `field`: its new text, or bytes by encoding or date form. `also` sets other fields."""

    field: str
    rule: str
    value: str | Mapping[str, bytes]
    also: tuple[tuple[str, str], ...] = ()


_NO_SUCH_DAY: Final = {"yyyymmdd": b"20261345", "slash": b"2026/13/45", "iso": b"2026-13-45"}
_UNDECODABLE: Final = {"cp932": b"\x8d\x82\xfd\xfd\x96\xd8", "utf-8": b"\xe9\xab\x98\xff\xfe"}
_PRIVATE_USE: Final = {"cp932": b"\xf0\x40", "utf-8": "\ue000".encode()}
_FAULTS: Final[Mapping[str, Mapping[str, _Fault]]] = {
    "resident@1.0": {
        "undecodable": _Fault("shimei", "undecodable", _UNDECODABLE),
        "private_use": _Fault("shimei", "private_use", _PRIVATE_USE),
        "control_character": _Fault("jusho_banchigo", "control_character", "\0\0"),
        "check_digit": _Fault("shikuchoson_code", "check_digit", "332021"),
        "date": _Fault("seinengappi", "type", _NO_SUCH_DAY),
        "code": _Fault("seibetsu", "codes", "7"),
        "required": _Fault("shimei", "required", ""),
        "type": _Fault("rirekibango", "type", "1A"),
        "pattern": _Fault("jusho_yubinbango", "pattern", "710-001"),
        "length": _Fault("seinengappi_wareki", "length", "S3.4.5"),
        "cross_rule": _Fault("seinengappi", "seinengappi_or_fusho", "", (("seinengappi_fusho_flag", "0"),)),
    },
    "resident-tax@1.0": {
        "undecodable": _Fault("tsuchishobango", "undecodable", {"cp932": b"12\xfd\xfd", "utf-8": b"12\xff\xfe"}),
        "private_use": _Fault("tsuchishobango", "private_use", _PRIVATE_USE),
        "control_character": _Fault("shitei_bango", "control_character", "1\0"),
        "check_digit": _Fault("shikuchoson_code", "check_digit", "332021"),
        "date": _Fault("sosa_ymd", "type", _NO_SUCH_DAY),
        "code": _Fault("kazei_kubun", "codes", "7"),
        "required": _Fault("kazei_kubun", "required", ""),
        "type": _Fault("rirekibango", "type", "1A"),
        "pattern": _Fault("tsuchishobango", "pattern", "00-001"),
    },
}
_TOO_LONG: Final = {"resident@1.0": ("shimei", "髙" * 101), "resident-tax@1.0": ("tsuchishobango", "9" * 16)}
DUPLICATE: Final = "duplicate_key"


def kinds_for(contract: str, layout: FileLayout) -> tuple[str, ...]:
    """The kinds of bad records that can be planted in files of this layout, `duplicate_key` last."""
    present = {column.field for column in layout.columns} if layout.columns else None
    faults = _FAULTS.get(contract, {})
    kinds = [kind for kind, fault in faults.items() if present is None or fault.field in present]
    kinds += ["too_long", "columns", "quote"] if isinstance(layout, CsvLayout) else ["record_length"]
    if layout.newline == "crlf":
        kinds.append("newline")
    return (*kinds, DUPLICATE)


def expected(contract: str, kind: str) -> Expected:
    """What must be found in a record of that kind."""
    if kind == "too_long":
        return Expected(_TOO_LONG[contract][0], "length")
    if kind in ("columns", "quote", "record_length", "newline", DUPLICATE):
        return Expected("", kind)
    fault = _FAULTS[contract][kind]
    return Expected(fault.field, fault.rule)


class Damage:
    """Damages the bytes of single records of one layout. Records come and go without their newline, except as `newline` says."""

    def __init__(self, contract: Contract, layout: FileLayout) -> None:
        self._contract = contract.contract
        self._layout = layout
        self._columns = layout.columns or [Column(field=name) for name in contract.names]
        self._index = {column.field: index for index, column in enumerate(self._columns) if column.field is not None}
        self._offsets = [sum(column.bytes or 0 for column in self._columns[:index]) for index in range(len(self._columns))]

    def apply(self, kind: str, record: bytes) -> bytes:
        """The record with that kind of damage."""
        if kind == "too_long":
            field, value = _TOO_LONG[self._contract]
            return self._put(record, field, value.encode(self._layout.encoding))
        if kind in ("columns", "quote") and isinstance(self._layout, CsvLayout):
            cells = record.split(self._layout.separator.encode())
            cells = cells[:-1] if kind == "columns" else [*cells[:-1], b'a"b"' + cells[-1]]
            return self._layout.separator.encode().join(cells)
        if kind == "record_length":
            return record[:-7]
        if kind == "newline":
            return record
        fault = _FAULTS[self._contract][kind]
        for field, value in fault.also:
            record = self._put(record, field, value.encode(self._layout.encoding))
        return self._put(record, fault.field, self._bytes(fault))

    def with_key(self, record: bytes, key: Mapping[str, str]) -> bytes:
        """The record with these key fields of another one."""
        for field, value in key.items():
            record = self._put(record, field, value.encode(self._layout.encoding))
        return record

    def _bytes(self, fault: _Fault) -> bytes:
        encoding = self._layout.encoding
        if isinstance(fault.value, str):
            return fault.value.encode(encoding)
        return fault.value[encoding] if encoding in fault.value else fault.value[self._columns[self._index[fault.field]].date]

    def _put(self, record: bytes, field: str, value: bytes) -> bytes:
        index = self._index[field]
        if isinstance(self._layout, CsvLayout):
            separator = self._layout.separator.encode()
            cells = record.split(separator)
            cells[index] = value
            return separator.join(cells)
        column, offset = self._columns[index], self._offsets[index]
        width = column.bytes or 0
        pad = (column.pad or " ").encode(self._layout.encoding)
        times, rest = divmod(width - len(value), len(pad))
        if times < 0 or rest:
            raise ValueError(f"{field}: {len(value)} bytes cannot be padded to {width}")
        filled = pad * times + value if column.justify == "right" else value + pad * times
        return record[:offset] + filled + record[offset + width :]
