from __future__ import annotations

import pytest

from contracts.masking import mask, mask_for, sensitivity_of
from contracts.model import Contract, Sensitivity

CONTRACT = Contract.model_validate(
    {
        "contract": "sample@1.0",
        "title": {"ja": "", "en": ""},
        "follows": {"document": "", "version": "", "status": "provisional"},
        "key": ["atenabango"],
        "fields": [
            {"name": "atenabango", "label": "宛名番号", "type": "X", "length": 15},
            {"name": "shimei", "label": "氏名", "type": "N", "length": 100, "sensitivity": "personal"},
            {"name": "kojinbango", "label": "個人番号", "type": "X", "length": 12, "sensitivity": "individual_number"},
            {"name": "seibetsu", "label": "性別", "type": "X", "length": 1},
        ],
    }
)


@pytest.mark.parametrize(
    ("value", "sensitivity", "shown"),
    [
        ("山田　太郎", "personal", "山＊＊＊＊"),
        ("山", "personal", "＊"),
        ("000000000000019", "personal", "************"),
        ("1950-04-01", "personal", "**********"),
        ("ﾔﾏﾀﾞ", "personal", "ﾔ＊＊＊"),
        ("本町１－２", "personal", "*****"),
        ("123456789018", "individual_number", "********"),
        ("1", "support_measure", "********"),
        ("", "individual_number", ""),
        ("男", "none", "男"),
    ],
)
def test_what_may_be_shown(value: str, sensitivity: Sensitivity, shown: str) -> None:
    assert mask(value, sensitivity) == shown


def test_masks_say_nothing_of_a_number_but_its_length() -> None:
    assert mask("1234567", "personal") == mask("7654321", "personal")
    assert mask("123456789012", "individual_number") == mask("1", "individual_number")


def test_a_key_is_personal_and_what_is_no_field_is_hidden() -> None:
    assert sensitivity_of(CONTRACT, "atenabango") == "personal"
    assert mask_for(CONTRACT, "atenabango", "12345") == "*****"
    assert mask_for(CONTRACT, "seibetsu", "7") == "7"
    assert mask_for(CONTRACT, "", "a whole record") == "********"
    assert mask_for(CONTRACT, "no_such_field", "x") == "********"
