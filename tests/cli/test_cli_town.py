"""A town's CSV of 122 columns through the command, up to its subscribers, with YAML alone: as the guide says, and with all that may be
odd about such a file."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.cli.app import run
from monitoring.log import set_up_log

EXAMPLE = Path(__file__).parents[2] / "examples" / "town-resident"
SAMPLE = EXAMPLE / "sample" / "TOWN_20261120.csv"
TENANT = "tenants/999997.yaml"
CONTRACT = "contracts/town-resident@1.0.yaml"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A copy of the example's site; the log, which its commands set up anew, is given back a stream that stays open."""
    yield Path(shutil.copytree(EXAMPLE, tmp_path / "site", ignore=shutil.ignore_patterns("var", "drop", "out")))
    set_up_log(stream=io.StringIO())


def edit(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text, "utf-8")


def odd_town(file: Path, changes: list[dict[str, str]]) -> None:
    """Records of the sample, each with its changes by title; every value in its own way quoted, empty lines at the end."""
    titles, *records = list(csv.reader(io.StringIO(SAMPLE.read_text("utf-8-sig"))))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    for record, changed in zip(records, changes, strict=False):
        writer.writerow([changed.get(title, value) for title, value in zip(titles, record, strict=True)])
    file.write_bytes(text.getvalue().encode("utf-8-sig") + b"\n\n")


def out(site: Path, name: str) -> str:
    return (site / "out" / name).read_text("utf-8-sig")


def test_the_example_is_a_whole_site(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--json", "--site", str(site)], {}) in (0, 4)
    found = json.loads(capsys.readouterr().out)
    assert {problem["id"] for problem in found} == {"RNK1311W"}, "the prefecture of a town's table may be too long for resident@1.0"
    assert run(["intake", str(SAMPLE), "--wait", "--json", "--site", str(site)], {}) == 0
    deliveries = json.loads(capsys.readouterr().out)["deliveries"]
    assert {made["subscription"]: made["out"]["records"] for made in deliveries} == {"counter": 27, "welfare": 27, "tax": 27}
    table = list(csv.DictReader(io.StringIO(out(site, "counter/town_resident_20261120_001.csv"))))
    assert {len(row["続柄コード1"]) for row in table} == {2}
    assert out(site, "welfare/town_resident_20261120_001.xml").count("</Resident>") == 27


ODD = [
    {"住所_方書": "サンプルハイツ２０１号室,（裏）"},
    {"住所_方書": "サンプルハイツ\n２０１号室"},
    {"住所_方書": 'ﾊｲﾂ"主"'},
    {"氏名_フリガナ": "ｺｳﾉ ｲﾁﾛｳ"},
    {"氏名": "甲野　一郎  "},
    {"通知日": "昭和55年3月5日"},
    {"通知日": "S55.3.5"},
    {"通知日": "1980/3/5"},
    {"市区町村コード": "999999", "住所_都道府県": "サンプル県", "宛名番号": "1"},
    {"続柄コード1": "2 "},
]
YAML_ALONE = [
    ("label: 住所_方書, type: N", "label: 住所_方書, type: M"),
    ("label: 氏名_フリガナ, type: N", "label: 氏名_フリガナ, type: M"),
    (
        "      - {field: zokugara_code1, zero_fill: 2}\n",
        '      - {field: zokugara_code1, pad: " ", zero_fill: 2}\n      - {field: shimei, pad: " "}\n'
        '      - {field: tsuchi_ymd, date: any}\n      - {field: jusho_katagaki, line_breaks: "　"}\n',
    ),
]


def test_what_is_odd_about_a_towns_file_is_taken_in_by_yaml_alone(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "TOWN_20261121.csv"
    odd_town(file, ODD)
    testing = ["contract", "test", str(file), "--contract", "town-resident@1.0", "--layout", "town_csv", "--json", "--site", str(site)]
    assert run(testing, {}) == 4
    assert json.loads(capsys.readouterr().out)["rejected"] == len(ODD) - 1, "a made-up code and prefecture are the town's own affair"
    edit(site / CONTRACT, *YAML_ALONE)
    assert run(testing, {}) == 0, capsys.readouterr().out
    capsys.readouterr()
    head = (site / TENANT).read_text("utf-8").split("  # 製品の契約", 1)[0]
    (site / TENANT).write_text(head, "utf-8")
    assert run(["intake", str(file), "--wait", "--json", "--site", str(site)], {}) == 0
    deliveries = json.loads(capsys.readouterr().out)["deliveries"]
    assert {made["subscription"]: (made["state"], made["out"]["records"]) for made in deliveries} == {
        "counter": ("delivered", len(ODD)),
        "welfare": ("delivered", len(ODD)),
    }
    table = list(csv.DictReader(io.StringIO(out(site, "counter/town_resident_20261121_001.csv"))))
    assert [row["住所_方書"] for row in table[:3]] == ["サンプルハイツ２０１号室,（裏）", "サンプルハイツ　２０１号室", 'ﾊｲﾂ"主"']
    assert table[4]["氏名"] == "甲野　一郎"
    assert {row["通知日"] for row in table[5:8]} == {"1980-03-05"}
    assert (table[8]["市区町村コード"], table[8]["住所_都道府県"]) == ("999999", "サンプル県")
    assert table[9]["続柄コード1"] == "02"
