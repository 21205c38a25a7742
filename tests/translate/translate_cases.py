"""Small contracts and frames that the tests of translation share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from contracts.model import Contract
from contracts.translate import Translated, Translator
from contracts.translation import Translation
from contracts.violations import BYTE, LINE, ORDINAL

SOURCE = Contract.model_validate(
    {
        "contract": "person@1.0",
        "title": {"ja": "人", "en": "person"},
        "follows": {"document": "test", "version": "1", "status": "provisional"},
        "key": ["id"],
        "control_sums": ["amount"],
        "code_tables": {"sex": {"version": "1", "values": {code: {"ja": code, "en": code} for code in ("0", "1", "2")}}},
        "fields": [
            {"name": "id", "label": "番号", "type": "X", "length": 10, "required": True, "sensitivity": "personal"},
            {"name": "name", "label": "氏名", "type": "N", "length": 20, "sensitivity": "personal"},
            {"name": "kana", "label": "カナ", "type": "X", "length": 20},
            {"name": "sex", "label": "性別", "type": "X", "length": 1, "codes": "sex"},
            {"name": "born", "label": "生年月日", "type": "DATE"},
            {"name": "era", "label": "和暦", "type": "X", "length": 20},
            {"name": "amount", "label": "金額", "type": "S9", "length": 12},
        ],
    }
)
TARGET = Contract.model_validate(
    {
        "contract": "client@1.0",
        "title": {"ja": "利用者", "en": "client"},
        "follows": {"document": "test", "version": "1", "status": "provisional"},
        "key": ["number"],
        "control_sums": ["yen", "fee"],
        "code_tables": {"kind": {"version": "1", "values": {code: {"ja": code, "en": code} for code in ("M", "F", "X")}}},
        "fields": [
            {"name": "number", "label": "番号", "type": "X", "length": 10, "required": True, "sensitivity": "personal"},
            {"name": "text", "label": "文字", "type": "X", "length": 40, "sensitivity": "personal"},
            {"name": "wide", "label": "全角", "type": "N", "length": 40, "sensitivity": "personal"},
            {"name": "kind", "label": "区分", "type": "X", "length": 1, "codes": "kind"},
            {"name": "day", "label": "日", "type": "DATE"},
            {"name": "yen", "label": "円", "type": "S9", "length": 12},
            {"name": "fee", "label": "料金", "type": "9", "length": 3},
        ],
    }
)
PERSON = {"id": "1", "name": "", "kana": "", "sex": "", "born": "", "era": "", "amount": ""}


def frame(*records: dict[str, str]) -> pl.DataFrame:
    """Records of SOURCE, each written as its difference from an empty one, with places."""
    rows = [PERSON | {"id": str(index)} | record for index, record in enumerate(records, 1)]
    places = pl.Series(range(1, len(rows) + 1), dtype=pl.UInt64)
    made = pl.DataFrame(rows, schema=dict.fromkeys(SOURCE.names, pl.String))
    return made.with_columns(places.alias(ORDINAL), (places + 1).alias(LINE), (places * 100).alias(BYTE))


def translation(fields: dict[str, Any], **more: Any) -> Translation:
    """A translation from SOURCE to TARGET whose key is a copy."""
    return Translation.model_validate(
        {"translation": "t@1.0", "from": "person@1.0", "to": "client@1.0", "fields": {"number": "id", **fields}, **more}
    )


def apply(fields: dict[str, Any], *records: dict[str, str], **more: Any) -> Translated:
    """What becomes of the records."""
    return Translator(translation(fields, **more), SOURCE, TARGET).apply(frame(*records))


def values(target: str, rule: Any, field: str, given: Sequence[str]) -> list[str]:
    """What one rule makes of the values of one source field; no record may be refused."""
    made = apply({target: rule}, *({field: value} for value in given))
    assert made.refused.height == 0, made.refused
    return made.frame[target].to_list()
