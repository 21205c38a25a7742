"""Writes sample/TOWN_20261120.csv: 27 invented people as a town's resident table would hold them.

Run from the top of the repository: `.venv/bin/python examples/town-resident/make_sample.py`. The same bytes come out every time.
"""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import numpy as np

from contracts.registry import Registry
from contracts.synthetic.residents import resident_block
from contracts.synthetic.vocabulary import Municipality

HERE = Path(__file__).parent
SAMPLE = HERE / "sample" / "TOWN_20261120.csv"
PEOPLE = 27
TOWN = Municipality("999997", "見本県", "見本町", "099")
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
HALF_WIDTH = str.maketrans({chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)} | {"\u3000": " "})
ERAS = {"M": "1", "T": "2", "S": "3", "H": "4", "R": "5"}


def town_record(person: dict[str, str]) -> dict[str, str]:
    """One person as the town's table writes it: numbers without leading zeros, full-width postal code, no written form of a day."""
    japanese = person["jumin_shubetsu"] == "1"
    surname, given = person["shimei"].split("\u3000") if japanese else ("", "")
    surname_kana, given_kana = person["shimei_furigana"].split("\u3000") if japanese else ("", "")
    gone = person["jumin_jotai"] != "1"
    return person | {
        "atenabango": person["atenabango"].lstrip("0"),
        "setaibango": person["setaibango"].lstrip("0"),
        "zokugara_code1": person["zokugara_code1"].lstrip("0"),
        "jusho_machiaza_code": person["jusho_machiaza_code"].lstrip("0"),
        "jusho_yubinbango": person["jusho_yubinbango"].translate(FULL_WIDTH),
        "shimei_gaikokujin_romaji": person["shimei_gaikokujin_romaji"].translate(HALF_WIDTH),
        "seinengappi_gengo": ERAS.get(person["seinengappi_wareki"][:1], ""),
        "seinengappi": person["seinengappi"] or "1950-00-00",
        "rireki_edaban": "1",
        "kaisei_bango": "1",
        "shi_nihonjin": surname,
        "mei_nihonjin": given,
        "shi_nihonjin_furigana": surname_kana,
        "mei_nihonjin_furigana": given_kana,
        "seibetsu_hyoki": {"1": "男", "2": "女"}.get(person["seibetsu"], "不明"),
        "koseki_hittosha": person["setainushi_shimei"] if japanese else "",
        "shojo_ido_ymd": person["ido_ymd"] if gone else "",
        "johyo_flag": "1" if gone else "0",
        "kokuho_shikaku_umu": "0",
        "jidoteate_kaishi_ym": person["ido_ymd"][:7] if person["zokugara_code1"] == "20" else "",
        "gyomu_id": "01",
        "sosasha_id": "SAMPLE",
    }


def make() -> bytes:
    """The bytes of the sample file: UTF-8 with BOM, LF, Japanese titles."""
    contract = Registry.load([HERE / "contracts"]).contract("town-resident@1.0")
    people = resident_block(np.random.default_rng(956), np.arange(1, PEOPLE + 1, dtype=np.int64), TOWN, date(2026, 11, 20))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.label for field in contract.fields])
    for person in people.iter_rows(named=True):
        record = town_record(person)
        writer.writerow([record.get(name, "") for name in contract.names])
    return text.getvalue().encode("utf-8-sig")


if __name__ == "__main__":
    SAMPLE.write_bytes(make())
