from __future__ import annotations

import random
import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.event_record import EventReader
from contracts.json_schema import DRAFT, json_schema
from contracts.model import Contract
from contracts.record_validator import RecordValidator
from contracts.registry import Registry
from tests.contracts.contract_samples import PATTERNS, TEXT, contracts
from tests.contracts.move_samples import CONTRACT, RECORD
from tests.contracts.test_compatibility_proof import good_records, good_values
from tests.contracts.test_validators_agree import like_records

QUIET = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LIBRARY = Registry.load()


def validator(contract: Contract) -> Any:
    schema = json_schema(contract)
    jsonschema_rs.meta.validate(schema)
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def wrongly_refused(contract: Contract, records: list[dict[str, str]]) -> list[dict[str, str]]:
    """Records that the schema refuses and the contract does not."""
    schema, rules = validator(contract), RecordValidator(contract)
    found = []
    for record in records:
        present = {name: value for name, value in record.items() if value}
        good = all(each.severity == "warn" for each in rules.check(record))
        found += [form for form in (record, present) if good and not schema.is_valid(form)]
    return found


@QUIET
@given(contract=contracts(), data=st.data())
def test_what_the_schema_refuses_the_contract_refuses(contract: Contract, data: st.DataObject) -> None:
    names = st.sampled_from([*contract.names, *contract.names, "unknown"])
    records = data.draw(st.lists(st.dictionaries(names, TEXT), max_size=8))
    assert wrongly_refused(contract, records) == []


@QUIET
@given(contract=contracts(), seed=st.integers(0, 10_000))
def test_every_good_record_passes(contract: Contract, seed: int) -> None:
    """Good records and records with good fields only, absent ones left out or not."""
    chance = random.Random(seed)
    values = {field.name: good_values(field, contract, chance) for field in contract.fields}
    mixed = [{name: chance.choice(known) for name, known in values.items() if known} for _ in range(20)]
    assert wrongly_refused(contract, [*good_records(contract, seed, 40), *mixed]) == []


@pytest.mark.parametrize("name", LIBRARY.names())
def test_every_good_record_of_the_library_passes(name: str) -> None:
    contract = LIBRARY.contract(name)
    assert wrongly_refused(contract, [*good_records(contract, 1, 60), *like_records(contract, 1, 60)]) == []


@pytest.mark.parametrize("severity", ["reject", "warn"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seibetsu", "7"),
        ("ido_jiyu", "77"),
        ("shimei", ""),
        ("shimei", "ﾀﾛｳ"),
        ("shimei", "山" * 101),
        ("atenabango", "x"),
        ("yubinbango", "123456"),
        ("yubinbango", "12345６7"),
        ("seinengappi", "1980/01/01"),
        ("rirekibango", "01"),
        ("biko", "a\nb"),
        ("biko", 5),
        ("shimei", None),
        ("unknown", ""),
    ],
)
def test_what_it_can_say_it_refuses_unless_it_only_warns(field: str, value: object, severity: str) -> None:
    rules = dict.fromkeys(["required", "length", "type", "codes", "pattern"], severity)
    fields = [each.model_copy(update={"severity": rules}) for each in CONTRACT.fields]
    schema = validator(CONTRACT.model_copy(update={"fields": fields}))
    assert schema.is_valid(RECORD)
    never = field == "unknown" or value == 5
    assert schema.is_valid({**RECORD, field: value}) == (severity == "warn" and not never)


def test_absence_has_three_spellings() -> None:
    schema = validator(CONTRACT)
    without = {name: value for name, value in RECORD.items() if name not in ("yubinbango", "ido_jiyu", "seinengappi")}
    for absent in ({}, dict.fromkeys(["yubinbango", "ido_jiyu", "seinengappi"], ""), dict.fromkeys(["yubinbango", "ido_jiyu"], None)):
        assert schema.is_valid({**without, **absent})
    assert not schema.is_valid({name: value for name, value in RECORD.items() if name != "shimei"})


def test_it_says_what_people_and_tools_need_to_know() -> None:
    schema = json_schema(LIBRARY.contract("resident@1.0"))
    assert (schema["$schema"], schema["type"], schema["additionalProperties"]) == (DRAFT, "object", False)
    assert schema["title"] == "住民基本台帳 個人 / Resident register, persons"
    assert schema["required"][:2] == ["shikuchoson_code", "atenabango"]
    assert schema["x-key"] == ["atenabango", "rirekibango"]
    assert schema["x-ordering-key"] == ["atenabango"]
    assert schema["x-rules"][0]["words"]["ja"] == "不詳でなければ生年月日が要ります"
    sex, flag, name = (schema["properties"][each] for each in ("seibetsu", "saishin_flag", "shimei"))
    assert sex["enum"] == ["0", "1", "2"]
    assert sex["x-enum-titles"]["1"] == {"ja": "男", "en": "male"}
    assert flag["enum"] == ["0", "1", "", None]
    assert (name["title"], name["maxLength"], name["minLength"], name["x-sensitivity"]) == ("氏名 / name", 100, 1, "personal")
    assert schema["properties"]["ido_jiyu"].keys() & {"enum", "x-enum-titles"} == {"x-enum-titles"}


@pytest.mark.parametrize("text", [*PATTERNS, r"a\-b", r"[a\-z]", r"\#\&\~", r"[\#\-\]]+", r"a\/b|\$"])
def test_patterns_keep_their_meaning_without_the_escapes_that_browsers_refuse(text: str) -> None:
    plain = CONTRACT.fields[0].model_copy(update={"pattern": text, "check_digit": None, "severity": {"type": "warn"}, "required": False})
    one = CONTRACT.model_copy(update={"fields": [plain], "key": [plain.name], "ordering_key": [], "rules": []})
    written = json_schema(one)["properties"][plain.name]["pattern"]
    assert not re.search(r"\\[#&~]", written)
    reader = EventReader(one.model_copy(update={"fields": [plain.model_copy(update={"length": 100, "exact": False})]}))
    schema = jsonschema_rs.Draft202012Validator({"pattern": written})
    for value in ["a-b", "-", "a", "b", "z", "#&~", "#-]", "a/b", "$", "123", "12", "AB1", "アイ", "x", "\\", "𠮷", "あ", "abcab"]:
        kept = "pattern" not in {each.rule for each in reader.check({plain.name: value})}
        assert schema.is_valid(value) == kept, value
