"""A contract of the size that events usually have: 12 fields, about 1 KB of JSON."""

from __future__ import annotations

import json

from contracts.model import Contract

WORDS = {"ja": "言葉", "en": "words"}
CONTRACT = Contract.model_validate(
    {
        "contract": "moved@1.0",
        "title": WORDS,
        "follows": {"document": "", "version": "", "status": "provisional"},
        "key": ["atenabango", "rirekibango"],
        "ordering_key": ["atenabango"],
        "code_tables": {
            "seibetsu": {"version": "1", "values": dict.fromkeys("012", WORDS)},
            "ido_jiyu": {"version": "1", "values": dict.fromkeys(["01", "02", "21"], WORDS)},
        },
        "fields": [
            {"name": name, "label": name, **said}
            for name, said in {
                "shikuchoson_code": {"type": "X", "length": 6, "exact": True, "required": True, "check_digit": "local_government_code"},
                "atenabango": {
                    "type": "X", "length": 15, "required": True, "pattern": "[0-9]+", "check_digit": "modulus11_w2_7",
                    "severity": {"check_digit": "warn"}, "sensitivity": "personal",
                },
                "rirekibango": {"type": "9", "length": 3, "required": True, "pattern": "[1-9][0-9]*"},
                "shimei": {"type": "N", "length": 100, "required": True, "sensitivity": "personal"},
                "shimei_furigana": {"type": "N", "length": 100, "pattern": "[ァ-ヶー・　－]+", "severity": {"pattern": "warn"}},
                "seibetsu": {"type": "X", "length": 1, "exact": True, "required": True, "codes": "seibetsu"},
                "seinengappi": {"type": "DATE", "sensitivity": "personal"},
                "yubinbango": {"type": "X", "length": 7, "exact": True, "pattern": "[0-9]{7}", "sensitivity": "personal"},
                "jusho": {"type": "N", "length": 300, "sensitivity": "personal"},
                "ido_ymd": {"type": "DATE", "required": True, "minimum": "1900-01-01"},
                "ido_jiyu": {"type": "X", "length": 2, "exact": True, "codes": "ido_jiyu", "severity": {"codes": "warn"}},
                "biko": {"type": "M", "length": 500},
            }.items()
        ],
        "rules": [
            {
                "id": "moved_after_birth",
                "field": "ido_ymd",
                "when": {"fields": {"seinengappi": {"present": True}}},
                "then": {"fields": {"ido_ymd": {"ge_field": "seinengappi"}}},
                "words": {"ja": "異動年月日は生年月日以後でなければなりません", "en": "the change cannot be before the birth"},
            }
        ],
    }
)  # fmt: skip
RECORD = {
    "shikuchoson_code": "332020",
    "atenabango": "000000000000027",
    "rirekibango": "1",
    "shimei": "山田　太郎左衛門",
    "shimei_furigana": "ヤマダ　タロウザエモン",
    "seibetsu": "1",
    "seinengappi": "1980-02-28",
    "yubinbango": "7108565",
    "jusho": "岡山県倉敷市西中新田六四〇番地　倉敷ハイツ三〇五号室",
    "ido_ymd": "2026-11-20",
    "ido_jiyu": "01",
    "biko": "転入届 2026 年受付 窓口 3 番。" * 18,
}
DATA = json.dumps(RECORD, ensure_ascii=False).encode()
