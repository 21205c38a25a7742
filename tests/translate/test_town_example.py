"""The example of the guide: a town's CSV of 122 columns is taken in, and translated, with YAML alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from contracts.event_record import EventReader
from contracts.frame_validator import Findings, FrameValidator
from contracts.layouts.build import cutter_for, reader_for
from contracts.layouts.ports import ReadChunk
from contracts.registry import Registry
from contracts.translate import Translated, Translator
from contracts.translation_files import find_translations

EXAMPLE = Path(__file__).parents[2] / "examples" / "town-resident"
SAMPLE = EXAMPLE / "sample" / "TOWN_20261120.csv"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load([EXAMPLE / "contracts"])


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    specification = importlib.util.spec_from_file_location("make_sample", EXAMPLE / "make_sample.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def take_in(registry: Registry, file: Path) -> tuple[ReadChunk, Findings]:
    contract, layout = registry.contract("town-resident@1.0"), registry.layout("town-resident@1.0", "town_csv")
    plan = cutter_for(layout, contract).plan(str(file), 1 << 20)
    (cut,) = plan.cuts
    raw = file.read_bytes()[cut.place.first_byte : cut.place.first_byte + cut.length]
    chunk = reader_for(layout, contract).read(raw, cut.place)
    return chunk, FrameValidator(contract).check(chunk.frame)


def translated(registry: Registry, frame: pl.DataFrame) -> Translated:
    found = find_translations([EXAMPLE / "translations"], registry)
    assert found.errors == []
    translation = found.translations["town-resident-to-resident@1.0"]
    return Translator(translation, registry.contract(translation.from_), registry.contract(translation.to)).apply(frame)


def test_the_sample_is_what_its_maker_writes_and_has_the_towns_shape(maker: ModuleType) -> None:
    raw = SAMPLE.read_bytes()
    assert raw == maker.make()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in raw
    lines = raw.decode("utf-8-sig").splitlines()
    assert [len(line.split(",")) for line in lines] == [122] * 28
    assert ",2,世帯主," in lines[1], "the relationship has lost its zero"


def test_every_record_of_the_sample_is_good(registry: Registry) -> None:
    chunk, findings = take_in(registry, SAMPLE)
    assert (chunk.records, chunk.frame.height, chunk.unreadable.height) == (27, 27, 0)
    assert findings.good.all()
    assert set(findings.violations["severity"]) <= {"warn"}
    assert set(chunk.frame["zokugara_code1"].str.len_chars()) == {2}
    assert set(chunk.frame["jusho_machiaza_code"].str.len_chars()) == {7}
    assert chunk.frame["jusho_yubinbango"].str.contains("^[0-9]{7}$").all()


def test_the_event_of_the_sample_keeps_the_contract(registry: Registry) -> None:
    reader = EventReader(registry.contract("town-resident@1.0"))
    assert reader.check(reader.read((EXAMPLE / "sample" / "moved_in.json").read_bytes())) == []


def test_the_translation_gives_valid_residents(registry: Registry) -> None:
    chunk, _ = take_in(registry, SAMPLE)
    made = translated(registry, chunk.frame)
    assert made.refused.height == 0
    assert made.frame.height == 27
    findings = FrameValidator(registry.contract("resident@1.0")).check(made.frame)
    assert findings.good.all()
    unknown = made.frame.filter(pl.col("seinengappi_fusho_flag") == "1")
    assert unknown.height > 0
    assert set(unknown["seinengappi_wareki"]) == {""}
    assert unknown["seinengappi_fusho_hyoki"].str.contains("^[０-９]{4}年頃$").all()
    foreign = made.frame.filter(pl.col("jumin_shubetsu") == "2")
    assert foreign["shimei_gaikokujin_romaji"].str.contains("^[Ａ-Ｚ　]+$").all()


def test_a_mistake_in_the_file_is_one_rejected_record(registry: Registry, tmp_path: Path) -> None:
    lines = SAMPLE.read_bytes().split(b"\n")
    cells = lines[3].split(b",")
    cells[26] = b"7"
    lines[3] = b",".join(cells)
    broken = tmp_path / SAMPLE.name
    broken.write_bytes(b"\n".join(lines))
    _, findings = take_in(registry, broken)
    rejected = findings.violations.filter(pl.col("severity") == "reject")
    assert rejected.select("ordinal", "line", "field", "rule", "value").rows() == [(3, 4, "seibetsu", "codes", "7")]
    assert findings.good.to_list().count(False) == 1


def test_the_guide_shows_what_the_example_says() -> None:
    """Every YAML line of the guides about the town stands in the example, so that they cannot part."""
    said = {line.strip() for file in EXAMPLE.rglob("*.yaml") for line in file.read_text("utf-8").splitlines()}
    guides = Path(__file__).parents[2] / "docs" / "guide"
    for guide in ("new-contract.md", "new-contract.ja.md"):
        blocks = (guides / guide).read_text("utf-8").split("```yaml town\n")[1:]
        assert blocks
        shown = [line.strip() for block in blocks for line in block.split("```")[0].splitlines()]
        assert [line for line in shown if line and line != "..." and not line.startswith("#") and line not in said] == []
