from __future__ import annotations

import json
import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import EventUnreadable
from contracts.event_record import SEPARATOR, EventReader, masked
from contracts.model import Contract
from contracts.record_validator import RecordValidator
from contracts.registry import Registry
from tests.contracts.contract_samples import TEXT, contracts
from tests.contracts.move_samples import CONTRACT, DATA, RECORD
from tests.contracts.test_validators_agree import like_records

QUIET = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LIBRARY = Registry.load()
READER = EventReader(CONTRACT)


def refusal(data: bytes) -> tuple[str, dict[str, object]]:
    with pytest.raises(EventUnreadable) as caught:
        READER.read(data)
    assert "山田" not in caught.value.text("ja")
    return caught.value.message_id, caught.value.facts


def test_a_good_event_is_read_as_it_was_sent_in_the_order_of_the_contract() -> None:
    turned = dict(reversed(RECORD.items()))
    for data in (DATA, json.dumps(turned).encode(), json.dumps(turned, indent=2, ensure_ascii=False).encode() + b"\r\n\t "):
        record = READER.read(data)
        assert list(record.items()) == list(RECORD.items())
        assert READER.check(record) == []


def test_null_and_a_field_left_out_are_absent() -> None:
    record = READER.read(b'{"shimei": null, "biko": ""}')
    assert record == dict.fromkeys(CONTRACT.names, "")
    assert READER.read(b" {} ") == record


@pytest.mark.parametrize(
    ("data", "expected", "facts"),
    [
        (b'{"shimei": "\x8eR\x93c"}', "RNK1500E", {"byte": 13}),
        (b'{"shimei": "\xed\xa0\x80"}', "RNK1500E", {"byte": 13}),
        (b"\xef\xbb\xbf{}", "RNK1501E", {}),
        (b"", "RNK1502E", {"line": 1, "column": 1}),
        (b"  ", "RNK1502E", {"line": 1, "column": 3}),
        (b"\xe3\x80\x80{}", "RNK1502E", {"line": 1, "column": 1}),
        (b"{", "RNK1502E", {"line": 1, "column": 2}),
        (b'{\n  "a": "b",\n}', "RNK1502E", {"line": 3, "column": 1}),
        (b"{'a': 'b'}", "RNK1502E", {"line": 1, "column": 2}),
        (b'{"a": "b"} {}', "RNK1502E", {"line": 1, "column": 11}),
        (b'{"a": "b\nc"}', "RNK1502E", {"line": 1, "column": 9}),
        (b'{"a": "\\x"}', "RNK1502E", {"line": 1, "column": 8}),
        (b'{"a": tru}', "RNK1502E", {"line": 1, "column": 7}),
        (b'{"a": "b"', "RNK1502E", {"line": 1, "column": 10}),
        (b"[" * 100_000, "RNK1503E", {"limit": 16}),
        (b'{"a":' * 100_000, "RNK1503E", {"limit": 16}),
        (b'{"a":' + b"[" * 16 + b"]" * 16 + b"}", "RNK1503E", {"limit": 16}),
        (b'{"a":' + b"[" * 15 + b"]" * 15 + b"}", "RNK1506E", {"fields": "a"}),
        (b'{"a": "1", "b": "2", "a": "1"}', "RNK1504E", {"field": "a"}),
        (b'{"a": "1", "\\u0061": "1"}', "RNK1504E", {"field": "a"}),
        ('{"山田": "1", "山田": "1"}'.encode(), "RNK1504E", {"field": "********"}),
        (b'{"a": {"b": 1, "b": 1}}', "RNK1504E", {"field": "b"}),
        (b'{"a": NaN}', "RNK1505E", {"constant": "NaN"}),
        (b'{"a": [-Infinity]}', "RNK1505E", {"constant": "-Infinity"}),
        (b'{"a": 1, "b": "2", "c": 1.5, "d": true, "e": [], "f": {}}', "RNK1506E", {"fields": "a, c, d, e, f"}),
        (b'{"a": ' + b"9" * 1_000_000 + b"}", "RNK1506E", {"fields": "a"}),
        (b'{"a": 1e999999999}', "RNK1506E", {"fields": "a"}),
        (b'{"a": "\\ud83d"}', "RNK1507E", {"field": "a"}),
        (b'{"a": "\\ude00\\ud83d"}', "RNK1507E", {"field": "a"}),
        (b'{"\\ud83d": "a"}', "RNK1507E", {"field": "********"}),
        (b'"text"', "RNK1508E", {}),
        (b"[{}]", "RNK1508E", {}),
        (b"12", "RNK1508E", {}),
        (b"null", "RNK1508E", {}),
    ],
)
def test_what_is_not_one_flat_object_of_texts_is_refused(data: bytes, expected: str, facts: dict[str, object]) -> None:
    assert refusal(data) == (expected, facts)


def test_hostile_data_is_refused_at_once() -> None:
    began = time.process_time()
    for data in (b'{"a":' * 1_000_000, b'{"a": ' + b"9" * 5_000_000 + b"}", b'{"a": [' + b"[]," * 500_000 + b"0]}"):
        refusal(data)
    assert time.process_time() - began < 5


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert READER.read(b'{"shimei": "\\ud842\\udfb7"}')["shimei"] == "𠮷"


@QUIET
@given(data=st.binary(max_size=40) | st.text('{}[]":,\\u0dDa 1eNn\n', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        record = READER.read(data)
    except EventUnreadable:
        return
    assert record == dict.fromkeys(CONTRACT.names, "") | {name: value or "" for name, value in json.loads(data).items()}


@QUIET
@given(contract=contracts(), data=st.data())
def test_it_reports_as_the_record_validator_does(contract: Contract, data: st.DataObject) -> None:
    reader, validator = EventReader(contract), RecordValidator(contract)
    names = st.sampled_from([*contract.names, *contract.names, "unknown", "other"])
    for record in data.draw(st.lists(st.dictionaries(names, TEXT), max_size=8)):
        read = reader.read(json.dumps(record).encode())
        assert reader.check(read) == validator.check(record)


@pytest.mark.parametrize("name", LIBRARY.names())
@pytest.mark.parametrize("seed", range(3))
def test_it_reports_as_the_record_validator_does_on_the_library(name: str, seed: int) -> None:
    contract = LIBRARY.contract(name)
    reader, validator = EventReader(contract), RecordValidator(contract)
    for record in like_records(contract, seed, 60):
        assert reader.check(record) == validator.check(record)


@QUIET
@given(seed=st.integers(0, 10_000))
def test_it_reports_as_the_record_validator_does_near_a_good_record(seed: int) -> None:
    chance = random.Random(seed)
    strange = like_records(CONTRACT, seed, 4)
    for record in strange:
        for name in chance.sample(CONTRACT.names, 10):
            record[name] = RECORD[name]
        assert READER.check(record) == RecordValidator(CONTRACT).check(record)


def test_the_publisher_is_told_every_broken_rule_and_no_personal_value() -> None:
    sent = {**RECORD, "seibetsu": "7", "shimei": "山田 太郎", "ido_ymd": "1970-01-01", "ide": "1", "山田": "太郎"}
    record = READER.read(json.dumps(sent).encode())
    told = masked(CONTRACT, READER.check(record), record)
    assert [(each["field"], each["rule"], each["severity"], each["value"]) for each in told] == [
        ("shimei", "type", "reject", "山＊＊＊＊"),
        ("seibetsu", "codes", "reject", "7"),
        ("ide", "unknown_field", "reject", "********"),
        ("********", "unknown_field", "reject", "********"),
        ("ido_ymd", "moved_after_birth", "reject", "1970-01-01"),
    ]
    assert told[0]["words"]["ja"] == "shimei: 型が合いません(期待: 全角文字)"
    assert told[1]["words"]["en"] == "seibetsu: not in the code table (expected: 0 words, 1 words, 2 words)"
    assert told[4]["words"]["en"] == "the change cannot be before the birth"
    assert told[0]["action"]["en"].startswith("check half and full width")
    assert "太郎" not in json.dumps(told, ensure_ascii=False)


@QUIET
@given(one=st.dictionaries(st.sampled_from(["seibetsu", "biko", "x"]), TEXT), two=st.dictionaries(st.sampled_from(["biko", "x"]), TEXT))
def test_the_canonical_form_is_equal_exactly_for_equal_records(one: dict[str, str], two: dict[str, str]) -> None:
    left, right = (READER.read(json.dumps(record).encode()) for record in (one, two))
    assert (READER.canonical(left) == READER.canonical(right)) == (left == right)


def test_neither_spelling_nor_absence_changes_the_content() -> None:
    spelt = b'{ "biko":"\\u5c71", "jusho": null,\n "shimei": "" }'
    assert READER.canonical(READER.read(spelt)) == READER.canonical(READER.read('{"biko": "山"}'.encode()))


def test_a_separator_inside_a_value_does_not_move_the_border_between_two() -> None:
    forms = [
        {"shimei": f"a{SEPARATOR}b"},
        {"shimei": "a", "shimei_furigana": "b"},
        {"shimei": "a", "shimei_furigana": f"b{SEPARATOR}"},
        {"shimei": f"a{SEPARATOR}b{SEPARATOR}"},
        {"shimei": f"{SEPARATOR}a", "unknown": "b"},
        {"shimei": f"{SEPARATOR}a", "unknown": f"b{SEPARATOR}"},
    ]
    made = {READER.canonical(READER.read(json.dumps(form).encode())) for form in forms}
    assert len(made) == len(forms)


def test_the_key_text_is_of_the_ordering_key_or_else_of_the_key() -> None:
    record = READER.read(DATA)
    assert READER.key_text(record) == "000000000000027"
    keyed = EventReader(CONTRACT.model_copy(update={"ordering_key": []}))
    assert keyed.key_text(record) == f"000000000000027{SEPARATOR}1"
    assert keyed.key_text({**record, "atenabango": "1", "rirekibango": f"2{SEPARATOR}3"}) != keyed.key_text(
        {**record, "atenabango": f"1{SEPARATOR}2", "rirekibango": "3"}
    )
