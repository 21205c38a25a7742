"""Characters: strict decoding and encoding by Renkei's own tables, never by what a codec happens to do.

Owns: the Windows-31J (CP932) table in `contracts/character_tables/` and the rules about characters that may not stand in a record.
Guarantees, both ways: nothing is replaced or dropped silently; private-use code points (F040-F9FC and U+E000 and the like) are
refused; each character has exactly one code when written (twins: see the table's note); U+301C and U+2212 are not Windows-31J.

A fast converter (the C library's, else Python's) does the work on whole chunks. It is used only after it has been compared with the
table over every one- and two-byte sequence, and what it lets through beyond the table is found afterwards (`Decoded.suspects`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from contracts.byte_scan import highest, offsets_after, offsets_of, pattern_offsets
from contracts.system_iconv import Iconv

CHARACTERS_VERSION: Final = "windows-31j/1"
"""Version of the character table; recorded on every message, so that a replay gives the same bytes."""

Encoding = Literal["utf-8", "cp932"]
Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint16]
Offsets = npt.NDArray[np.int64]

REPLACEMENT: Final = "\ufffd"
MANY_FAULTS: Final = 2_000
"""Undecodable places in one chunk after which the slower converter, which does not stop at each of them, takes over."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A place in a record's bytes that may not stand there. `rule`: undecodable, private_use or control_character."""

    offset: int
    rule: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A chunk as UTF-8 with every ASCII byte (so every separator and newline) kept in its order.

    `suspects_raw` are offsets in the bytes given, `suspects` offsets in `utf8`; the records they fall in must be examined with
    `faults`, all other records hold only characters of the table.
    """

    utf8: bytes
    suspects_raw: list[int]
    suspects: Offsets


@cache
def decoding_table() -> Codes:
    """Code -> UTF-16 unit for all 65,536 codes; a one-byte code stands at its own value, 0xFFFF means no character."""
    document = json.loads((files("contracts.character_tables") / "windows_31j.json").read_text("utf-8"))
    if document["version"] != CHARACTERS_VERSION:
        raise ValueError(f"windows_31j.json is {document['version']}, this program expects {CHARACTERS_VERSION}")
    table = np.full(0x10000, 0xFFFF, np.uint16)
    table[:0x80] = np.arange(0x80)
    table[0xA1:0xE0] = np.arange(0xFF61, 0xFFA0)
    for start, characters in document["runs"].items():
        code = int(start, 16)
        for character in characters:
            table[code] = ord(character)
            code += 2 if code & 0xFF == 0x7E else 1
    table.flags.writeable = False
    return table


@cache
def encoding_table() -> Codes:
    """UTF-16 unit -> code for all units; 0 means not representable (NUL has no code: it may never be written)."""
    decoding = decoding_table()
    table = np.zeros(0x10000, np.uint16)
    codes = np.flatnonzero(decoding != 0xFFFF)
    for code in sorted(codes.tolist(), key=_preference, reverse=True):
        table[decoding[code]] = code
    table[0] = 0
    table.flags.writeable = False
    return table


def _preference(code: int) -> int:
    """Which of several codes is written: JIS X 0208 (0), NEC row 13 (1), IBM extension (2), NEC selected (3)."""
    lead = code >> 8
    if lead == 0x87:
        return 1
    if lead >= 0xFA:
        return 2
    return 3 if lead in (0xED, 0xEE) else 0


def to_utf8(raw: bytes, encoding: Encoding) -> Decoded:
    """Decode a chunk of whole records. Never raises; see `Decoded` for what must be examined."""
    if encoding == "utf-8":
        return _check_utf8(raw)
    converter = _converter()
    if converter is not None:
        converted = converter.convert(raw, MANY_FAULTS)
        if converted is not None:
            utf8, stopped = converted
            return Decoded(utf8, stopped, _private(utf8))
    utf8 = _by_codec(raw)
    # the codec has U+F8F0 for the byte A0, which is too common a second byte to be looked for in `raw`
    marks = np.concatenate((pattern_offsets(utf8, b"\xef\xbf\xbd"), pattern_offsets(utf8, b"\xef\xa3")))
    return Decoded(utf8, [], np.union1d(marks, _private(utf8)))


def _by_codec(raw: bytes) -> bytes:
    """Python's codec, a cache-sized piece of whole lines at a time; undecodable bytes become U+FFFD one by one."""
    pieces: list[bytes] = []
    start, step = 0, 1 << 18
    while start < len(raw):
        end = raw.rfind(b"\n", start, start + step) + 1 or raw.find(b"\n", start) + 1 or len(raw)
        pieces.append(raw[start:end].decode("cp932", "replace").encode("utf-8"))
        start = end
    return b"".join(pieces)


@cache
def _converter() -> Iconv | None:
    """The C library's converter, if it is there and agrees with the table on everything the table has."""
    converter = Iconv.open("CP932", "UTF-8")
    return converter if converter is not None and _agrees(converter) else None


def _agrees(converter: Iconv) -> bool:
    table = decoding_table()
    codes = np.flatnonzero(table != 0xFFFF)
    raw = b"".join(bytes([code]) if code < 0x100 else code.to_bytes(2, "big") for code in codes.tolist())
    expected = table[codes].tobytes().decode("utf-16-le").encode("utf-8")
    if converter.convert(raw, 0) != (expected, []):
        return False
    return all(_refuses(converter, code) for code in _strangers())


def _strangers() -> Iterator[bytes]:
    """Every one- and two-byte sequence that begins no character of the table."""
    table = decoding_table()
    leads = {code >> 8 for code in np.flatnonzero(table != 0xFFFF).tolist() if code > 0xFF}
    for lead in range(0x80, 0x100):
        if lead in leads or table[lead] == 0xFFFF:
            yield from (bytes([lead, trail]) for trail in range(0x100) if table[lead << 8 | trail] == 0xFFFF)


def _refuses(converter: Iconv, sequence: bytes) -> bool:
    """Whether a stranger is stopped at, or comes out as something `_private` finds, and swallows no ASCII byte."""
    converted = converter.convert(sequence, len(sequence))
    if converted is None:
        return False
    utf8, stopped = converted
    kept = sequence[1] >= 0x40 or utf8.endswith(sequence[1:])
    return kept and (bool(stopped) or bool(_private(utf8).size))


def _private(utf8: bytes) -> Offsets:
    """Where decoded CP932 holds what the table does not have though converters do: U+E000-E757, U+0080, U+00A0."""
    found: list[Offsets] = []
    if b"\xee" in utf8:
        found.append(offsets_of(utf8, 0xEE))
    if b"\xc2" in utf8:
        found.extend((pattern_offsets(utf8, b"\xc2\x80"), pattern_offsets(utf8, b"\xc2\xa0")))
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def _check_utf8(raw: bytes) -> Decoded:
    """UTF-8 given: unchanged when it is well-formed, else with U+FFFD marks; private use and U+FFFD itself are suspects."""
    try:
        raw.decode("utf-8")
        utf8 = raw
    except UnicodeDecodeError:
        utf8 = raw.decode("utf-8", "replace").encode("utf-8")
    return Decoded(utf8, [], _strangers_in_utf8(utf8))


def _strangers_in_utf8(utf8: bytes) -> Offsets:
    """Where well-formed UTF-8 holds C1 controls, private use, U+FFFD or noncharacters: just what `rule_of` forbids above ASCII."""
    found: list[Offsets] = []
    view = np.frombuffer(utf8, np.uint8)
    if b"\xee" in utf8:
        found.append(offsets_of(utf8, 0xEE))
    if b"\xef" in utf8:
        # EF 80..EF A3 is private use, EF B7 90..AF noncharacters, EF BF BD..BF U+FFFD to U+FFFF
        at = offsets_after(utf8, 0xEF, 0xBC, 0xBE)  # what is left is rare
        second, third = view[at + 1], view[at + 2]
        allowed = (second >= 0xA4) & (second != 0xB7) & (second != 0xBF)
        allowed |= ((second == 0xB7) & ((third < 0x90) | (third >= 0xB0))) | ((second == 0xBF) & (third < 0xBD))
        found.append(at[~allowed])
    if b"\xc2" in utf8:
        found.append(offsets_after(utf8, 0xC2, 0xA0, 0xBF))
    if highest(utf8) >= 0xF0:
        at = np.flatnonzero(view >= 0xF0)
        lead, second = view[at], view[at + 1]
        beyond = ((lead == 0xF3) & (second >= 0xB0)) | (lead >= 0xF4)
        noncharacter = (second & 0x0F == 0x0F) & (view[at + 2] == 0xBF) & (view[at + 3] >= 0xBE)
        found.append(at[beyond | noncharacter])
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def faults(raw: bytes, encoding: Encoding) -> list[Fault]:
    """Every place of one record's bytes that may not stand, in order, by the table and nothing else (slow and exact)."""
    return list(_faults_utf8(raw) if encoding == "utf-8" else _faults_cp932(raw))


def _faults_cp932(raw: bytes) -> Iterator[Fault]:
    table = decoding_table()
    at = 0
    while at < len(raw):
        byte = raw[at]
        pair = raw[at : at + 2]
        if byte < 0x80 or 0xA1 <= byte <= 0xDF:
            if byte < 0x20 or byte == 0x7F:
                yield Fault(at, "control_character")
            at += 1
        elif len(pair) == 2 and table[byte << 8 | pair[1]] != 0xFFFF:
            at += 2
        elif len(pair) == 2 and 0xF0 <= byte <= 0xF9 and 0x40 <= pair[1] <= 0xFC and pair[1] != 0x7F:
            yield Fault(at, "private_use")
            at += 2
        else:
            yield Fault(at, "undecodable")
            at += 1


def _faults_utf8(raw: bytes) -> Iterator[Fault]:
    at = 0
    while at < len(raw):
        try:
            text, broken = raw[at:].decode("utf-8"), None
        except UnicodeDecodeError as error:
            text, broken = raw[at : at + error.start].decode("utf-8"), error
        for character in text:
            rule = rule_of(character)
            if rule:
                yield Fault(at, rule)
            at += len(character.encode("utf-8"))
        if broken is None:
            return
        yield Fault(at, "undecodable")
        at += broken.end - broken.start


def rule_of(character: str) -> str | None:
    """The rule that forbids a character in a record, or None."""
    point = ord(character)
    if point < 0x20 or 0x7F <= point <= 0x9F:
        return "control_character"
    if 0xE000 <= point <= 0xF8FF or 0xF0000 <= point <= 0xFFFFD or 0x100000 <= point <= 0x10FFFD:
        return "private_use"
    if character == REPLACEMENT or point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF:
        return "undecodable"
    return None


def decode_record(raw: bytes, encoding: Encoding) -> str:
    """The text of bytes in which `faults` finds nothing, or with U+FFFD for what cannot be decoded."""
    return raw.decode(encoding, "replace")


def codes_of(text: str) -> Codes:
    """The Windows-31J code of each UTF-16 unit of `text`; 0 where the character cannot be represented."""
    units = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), "<u2")
    return encoding_table().take(units)


def representable(text: str, encoding: Encoding) -> bool:
    """Whether `text` can be written, whole, in `encoding`: no private use, no control character, nothing without a code."""
    if any(rule_of(character) and character not in "\r\n" for character in text):
        return False
    return encoding == "utf-8" or bool(codes_of(text).all())


def encode_codes(codes: Codes) -> bytes:
    """Bytes of a sequence of codes, one or two each. No code may be 0."""
    # no code has a zero byte but as the unused half of a one-byte code
    return codes.astype(">u2").tobytes().translate(None, b"\0")


def encode(text: str, encoding: Encoding) -> bytes:
    """Encode a text known to be representable.

    Raises:
        ValueError: it is not; nothing is replaced.
    """
    if not representable(text, encoding):
        raise ValueError(f"not representable in {encoding}")
    return text.encode("utf-8") if encoding == "utf-8" else encode_codes(codes_of(text))


def strange_in_utf8(utf8: bytes) -> bool:
    """Whether well-formed UTF-8 holds characters no record may hold, control characters of ASCII apart."""
    return bool(len(_strangers_in_utf8(utf8)))
