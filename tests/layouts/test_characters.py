"""The character table against every byte sequence, and the fast converters against the table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import characters
from contracts.characters import Fault, codes_of, decoding_table, encode, encode_codes, encoding_table, faults, representable, to_utf8

PRIVATE_LEADS = range(0xF0, 0xFA)
CODEC_EXTRAS = {0x80, 0xA0, 0xFD, 0xFE, 0xFF}
"""Bytes for which Python's codec has a character though Windows-31J has none."""


@pytest.fixture(params=["fast", "codec"])
def converter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "codec":
        monkeypatch.setattr(characters, "_converter", lambda: None)
    return str(request.param)


def all_sequences() -> list[bytes]:
    leads = [lead for lead in range(0x80, 0x100) if not 0xA1 <= lead <= 0xDF]
    return [bytes([byte]) for byte in range(256)] + [bytes([lead, trail]) for lead in leads for trail in range(256)]


def test_table_has_the_characters_of_windows_31j_and_nothing_else() -> None:
    table = decoding_table()
    for raw in all_sequences():
        code = raw[0] if len(raw) == 1 else raw[0] << 8 | raw[1]
        try:
            expected = raw.decode("cp932")
        except UnicodeDecodeError:
            expected = ""
        if len(raw) == 1 and raw[0] in CODEC_EXTRAS:
            expected = ""
        if len(raw) == 2 and (len(expected) != 1 or raw[0] in PRIVATE_LEADS or raw[0] in CODEC_EXTRAS):
            expected = ""
        if len(raw) == 1 and raw[0] > 0x80 and not 0xA1 <= raw[0] <= 0xDF:
            expected = ""
        assert ("" if table[code] == 0xFFFF else chr(table[code])) == expected, raw.hex()
    assert int((table != 0xFFFF).sum()) == 128 + 63 + 6879 + 83 + 374 + 388


def test_faults_and_fast_converters_agree_on_every_sequence(converter: str) -> None:
    for raw in all_sequences():
        decoded = to_utf8(raw + b",", "cp932")
        suspected = bool(decoded.suspects_raw) or bool(len(decoded.suspects))
        wrong = [fault for fault in faults(raw, "cp932") if fault.rule != "control_character"]
        assert suspected == bool(wrong), raw.hex()
        assert decoded.utf8.endswith(b",")
        if not wrong:
            text = decoded.utf8[:-1].decode("utf-8")
            assert text == raw.decode("cp932")


def test_broken_sequences_never_swallow_what_separates(converter: str) -> None:
    for lead in range(0x80, 0x100):
        for separator in b',"\r\n\t\x1f':
            if 0xA1 <= lead <= 0xDF:
                continue
            raw = bytes([0x82, 0xA0, lead, separator, 0x41])
            decoded = to_utf8(raw, "cp932")
            assert bytes([separator, 0x41]) == decoded.utf8[-2:]
            assert Fault(2, "undecodable") in faults(raw, "cp932")


def test_each_character_has_one_code_and_comes_back() -> None:
    encoding, decoding = encoding_table(), decoding_table()
    characters_ = np.flatnonzero(encoding)
    assert np.array_equal(decoding[encoding[characters_]], characters_)
    assert set(characters_.tolist()) == set(decoding[decoding != 0xFFFF].tolist()) - {0}


@pytest.mark.parametrize(
    ("character", "code"),
    [
        ("∵", "81e6"), ("≒", "81e0"), ("≡", "81df"), ("∫", "81e7"), ("√", "81e3"), ("∪", "81be"), ("￢", "81ca"),
        ("Ⅰ", "8754"), ("№", "8782"), ("㈱", "878a"), ("℡", "8784"),
        ("ⅰ", "fa40"), ("髙", "fbfc"), ("﨑", "fab1"), ("纊", "fa5c"), ("黑", "fc4b"), ("＂", "fa57"),
        ("～", "8160"), ("－", "817c"), ("∥", "8161"), ("￠", "8191"), ("ｱ", "b1"), ("\\", "5c"), ("~", "7e"),
    ],
)  # fmt: skip
def test_twins_are_written_with_the_preferred_code(character: str, code: str) -> None:
    assert encode(character, "cp932").hex() == code


@pytest.mark.parametrize("twins", [("8790", "81e0"), ("ed40", "fa5c"), ("eee0", "fbfc"), ("fa5b", "81e6"), ("eef9", "81ca")])
def test_twins_are_read_as_the_same_character(twins: tuple[str, str]) -> None:
    first, second = (to_utf8(bytes.fromhex(code), "cp932").utf8 for code in twins)
    assert first == second


@pytest.mark.parametrize(
    "character", ["\u301c", "\u2212", "\u2016", "\u00a2", "\u00a5", "\u203e", "\ue000", "\uf8f1", "𠮷", "\u00a0", "\x80", "\ufffd"]
)
def test_what_has_no_code_is_refused(character: str) -> None:
    assert not representable(character, "cp932")
    with pytest.raises(ValueError, match="not representable"):
        encode(f"あ{character}", "cp932")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\x81\xad\xfd", [Fault(0, "undecodable"), Fault(1 + 1, "undecodable")]),
        (b"A\xf0\x40B", [Fault(1, "private_use")]),
        (b"\x82\xa0\x82", [Fault(2, "undecodable")]),
        (b"\x00\x1f\x7f", [Fault(0, "control_character"), Fault(1, "control_character"), Fault(2, "control_character")]),
        (b"\x80\xa0\xff", [Fault(0, "undecodable"), Fault(1, "undecodable"), Fault(2, "undecodable")]),
    ],
)
def test_faults_of_cp932_have_exact_places(raw: bytes, expected: list[Fault]) -> None:
    assert faults(raw, "cp932") == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("あ\ue000".encode(), [Fault(3, "private_use")]),
        (b"\xe3\x81\x82\xe3\x81,\xff", [Fault(3, "undecodable"), Fault(6, "undecodable")]),
        ("a\ufffd\ufeff".encode(), [Fault(1, "undecodable")]),
        ("\x85".encode(), [Fault(0, "control_character")]),
        (b"\xed\xa0\x80", [Fault(0, "undecodable"), Fault(1, "undecodable"), Fault(2, "undecodable")]),
        ("𠮷葛\U000e0100".encode(), []),
    ],
)
def test_faults_of_utf8_have_exact_places(raw: bytes, expected: list[Fault]) -> None:
    assert faults(raw, "utf-8") == expected


def test_quick_look_at_utf8_finds_just_what_the_rule_forbids() -> None:
    for first in range(0x80, 0x110000, 0x400):
        block = [chr(point) for point in range(first, min(first + 0x400, 0x110000)) if not 0xD800 <= point < 0xE000]
        forbidden = [character for character in block if characters.rule_of(character)]
        allowed = "".join(character for character in block if not characters.rule_of(character))
        assert not characters.strange_in_utf8(allowed.encode()), hex(first)
        found = to_utf8("".join(forbidden).encode(), "utf-8").suspects
        assert len(found) == len(forbidden), hex(first)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_judged_alike_by_table_and_converters(raw: bytes, by_codec: bool) -> None:
    utf8, stops = characters._by_codec(raw), None
    converter = characters._converter()
    if not by_codec and converter is not None:
        converted = converter.convert(raw, 1_000)
        assert converted is not None
        utf8, stops = converted
    wrong = [fault.offset for fault in faults(raw, "cp932") if fault.rule == "undecodable"]
    private = [fault for fault in faults(raw, "cp932") if fault.rule == "private_use"]
    if stops is not None and not private:
        assert set(stops) <= set(wrong)
    if not wrong and not private:
        assert utf8.decode("utf-8") == raw.decode("cp932")
    else:
        decoded = to_utf8(raw, "cp932")
        assert decoded.suspects_raw or len(decoded.suspects)


@settings(max_examples=50, deadline=None)
@given(st.text(st.sampled_from([chr(unit) for unit in np.flatnonzero(encoding_table()).tolist()]), max_size=40))
def test_text_of_the_table_goes_and_comes_back(text: str) -> None:
    raw = encode_codes(codes_of(text))
    decoded = to_utf8(raw, "cp932")
    assert decoded.utf8.decode() == text
    assert [fault for fault in faults(raw, "cp932") if fault.rule != "control_character"] == []


def test_a_file_in_another_encoding_does_not_stop_the_converter() -> None:
    raw = "これはＵＴＦ－８の文字列です\r\n".encode() * 500
    decoded = to_utf8(raw, "cp932")
    assert decoded.utf8.count(b"\r\n") == 500
    assert len(decoded.suspects) + len(decoded.suspects_raw) > 0


class Imitation:
    """A converter that is Python's codec, with one character changed or one stranger let through."""

    def __init__(self, changed: dict[bytes, str]) -> None:
        self._changed = changed

    def convert(self, raw: bytes, most_stops: int) -> tuple[bytes, list[int]] | None:
        if raw in self._changed:
            return self._changed[raw].encode(), []
        real = characters.Iconv.open("CP932", "UTF-8")
        return real.convert(raw, most_stops) if real is not None else None


@pytest.mark.parametrize("changed", [{b"\xf0\x40": "あ"}, {b"\x80\x40": "@"}, {b"\xfd\x20": "\uf8f1 "}, {b"\x81\x20": "\ufffd"}])
def test_a_converter_that_differs_from_the_table_is_not_used(changed: dict[bytes, str]) -> None:
    assert characters._agrees(Imitation({}))  # type: ignore[arg-type]
    assert not characters._agrees(Imitation(changed))  # type: ignore[arg-type]
