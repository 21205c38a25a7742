"""A site with ten different mistakes: `renkei check` reports all of them at once, with file, line and what to do, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bus.example import write_example
from tests.cli.conftest import Ended, Renkei

KURASHIKI, TAKAMATSU, MATSUYAMA = "tenants/332020.yaml", "tenants/372013.yaml", "tenants/382019.yaml"
TRANSLATION = "translations/resident-to-welfare@1.0.yaml"
OWN = "contracts/town@1.0.yaml"
CONTRACT = """\
contract: town@1.0
title: {ja: 町, en: Town}
follows: {document: none, version: "1", status: provisional}
key: [number]
fields:
  - {name: number, label: 番号, type: "9", length: 5, required: true, pattern: "[0-9"}
"""
MISTAKES = [
    ("unknown key", KURASHIKI, "attempts: 8", "atempts: 8", "RNK1005E"),
    ("wrong type", "site.yaml", "port: 9460", "port: many", "RNK1014E"),
    ("check digit of the tenant", KURASHIKI, 'tenant: "332020"', 'tenant: "332021"', "RNK2101E"),
    ("unknown contract", KURASHIKI, "contract: resident@1.0", "contract: residents@1.0", "RNK2105E"),
    ("unknown endpoint", KURASHIKI, "endpoint: tax_in", "endpoint: tax_out", "RNK2104E"),
    ("duplicate id", KURASHIKI, "{id: pension_in", "{id: tax_in", "RNK2103E"),
    ("overlapping folders", KURASHIKI, "folder: out/332020/welfare", "folder: drop/332020/welfare", "RNK2201E"),
    ("window", KURASHIKI, 'end: "06:00"', 'end: "13:00"', "RNK2108E"),
    ("retry", KURASHIKI, "factor: 2", "factor: 0", "RNK1010E"),
    ("unknown translation", KURASHIKI, "translation: resident-to-welfare@1.0", "translation: resident-to-tax@1.0", "RNK2114E"),
    ("translation of unknown fields", TRANSLATION, "jumin_jotai", "jumin_joutai", "RNK1306E"),
    ("broken YAML", TAKAMATSU, "systems:", "sys: tems:", "RNK1001E"),
    ("unknown layout", MATSUYAMA, "layout: csv_utf8", "layout: csv_utf9", "RNK2106E"),
    ("name without a business date", MATSUYAMA, "{business_date:%Y%m%d}-{sequence}", "{sequence}", "RNK2210E"),
    ("pattern", OWN, "", "", "RNK1003E"),
]
PLACE = re.compile(r"^(?P<file>\S+\.yaml):(?P<line>\d+):\d+: (?P<id>RNK\d{4}[EW]) \S.*\n  → \S", re.MULTILINE)


def write_mistakes(folder: Path) -> set[tuple[str, str, int]]:
    """A site with every mistake; returns the id, file and line of each."""
    write_example(folder)
    expected = {("RNK1003E", OWN, 6)}
    (folder / OWN).write_text(CONTRACT, "utf-8")
    for _, name, old, new, message_id in MISTAKES[:-1]:
        file = folder / name
        before, found, after = file.read_text("utf-8").partition(old)
        assert found, f"{old} is not in {name}"
        file.write_text(before + new + after, "utf-8")
        expected.add((message_id, name, before.count("\n") + 1))
    return expected


def places(folder: Path, ended: Ended) -> list[tuple[str, str, int]]:
    """Id, file and line of everything told, each with an action on the line below."""
    return [
        (found["id"], str(Path(found["file"]).relative_to(folder)), int(found["line"]))
        for found in PLACE.finditer(ended.out)
    ]


@pytest.mark.parametrize("language", ["ja", "en"])
def test_ten_mistakes_and_more_are_all_told_with_file_line_and_what_to_do(renkei: Renkei, tmp_path: Path, language: str) -> None:
    site = tmp_path
    expected = write_mistakes(site)
    assert len({kind for kind, *_ in MISTAKES}) >= 10
    ended = renkei("--lang", language, "check")
    assert ended.code == 8
    told = places(site, ended)
    assert expected - set(told) == set()
    assert len(told) == len(set(told))
    assert f"{sum(1 for found, _, _ in told if found.endswith('E'))} " in ended.out.splitlines()[-2], "the count of errors is told"
    follow_ups = {(found, file) for found, file, _ in told if found.endswith("E")} - {(found, file) for found, file, _ in expected}
    assert follow_ups == set(), "one mistake is told once, and nothing else is blamed for it"
