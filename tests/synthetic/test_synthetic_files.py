"""Generated files: the same bytes each time, totals that agree, and bad records exactly where the manifest says."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

from contracts.check_digits import valid
from contracts.errors import ContractUnknown
from contracts.frame_totals import totals_of
from contracts.frame_validator import FrameValidator
from contracts.layouts.build import cutter_for, reader_for
from contracts.registry import Registry
from contracts.synthetic import Manifest, generate
from contracts.synthetic.faults import kinds_for
from contracts.totals import Totals

NAMES = ("mainframe_csv", "mainframe_fixed", "csv_utf8")
LAYOUTS = [(contract, layout) for contract in ("resident@1.0", "resident-tax@1.0") for layout in NAMES]
Found = dict[int, list[tuple[str, str]]]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


def examined(registry: Registry, file: Path, manifest: Manifest) -> tuple[Found, pl.DataFrame, dict[str, str]]:
    """What the readers and validators say of each bad record; the readable records; what the control records declare."""
    contract, layout = registry.contract(manifest.contract), registry.layout(manifest.contract, manifest.layout)
    reader, validator, raw = reader_for(layout, contract), FrameValidator(contract), file.read_bytes()
    plan = cutter_for(layout, contract).plan(str(file), 1 << 17)
    assert plan.records == manifest.records
    assert len(plan.cuts) > 1, "duplicates shall stand in different chunks"
    found: Found = defaultdict(list)
    frames = []
    for cut in plan.cuts:
        chunk = reader.read(raw[cut.place.first_byte : cut.place.first_byte + cut.length], cut.place)
        findings = validator.check(chunk.frame)
        for violations in (chunk.unreadable, findings.violations.filter(pl.col("severity") == "reject")):
            for ordinal, field, rule in violations.select("ordinal", "field", "rule").iter_rows():
                found[ordinal].append((field, rule))
        frames.append(chunk.frame)
    return found, pl.concat(frames), dict(plan.declared)


@pytest.mark.parametrize(("contract", "layout"), LAYOUTS)
def test_bad_records_are_found_where_they_were_planted_only(registry: Registry, tmp_path: Path, contract: str, layout: str) -> None:
    file = tmp_path / "file"
    manifest = generate(contract, layout, file, records=6_000, seed=7, bad_share=0.02, registry=registry)
    found, readable, _ = examined(registry, file, manifest)
    keys: dict[tuple[str, ...], int] = {}
    for ordinal, *key in readable.select("_ordinal", *registry.contract(contract).key).iter_rows():
        if tuple(key) in keys:
            assert manifest.duplicate_of[ordinal] == keys[tuple(key)]
            found[ordinal].append(("", "duplicate_key"))
        keys.setdefault(tuple(key), ordinal)
    planted = {
        ordinal: [(manifest.expected[kind].field, manifest.expected[kind].rule)]
        for kind, ordinals in manifest.bad.items()
        for ordinal in ordinals
    }
    assert dict(sorted(found.items())) == dict(sorted(planted.items()))
    assert sum(map(len, manifest.bad.values())) == 120
    assert all(0 < original <= ordinal // 2 for ordinal, original in manifest.duplicate_of.items()), "mostly in another chunk"
    assert all(manifest.bad.values()), "every kind is there"
    assert list(manifest.bad) == list(kinds_for(contract, registry.layout(contract, layout)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("contract", "layout"), LAYOUTS)
def test_a_clean_file_reads_back_to_its_totals(registry: Registry, tmp_path: Path, contract: str, layout: str) -> None:
    file = tmp_path / "file"
    manifest = generate(contract, layout, file, records=2_000, bad_share=0, tenant="372013", sequence=4, registry=registry)
    found, readable, declared = examined(registry, file, manifest)
    assert not found
    assert manifest.totals == totals_of(readable, registry.contract(contract))
    assert set(readable["shikuchoson_code"]) == {"372013"}
    if declared:
        assert declared["count"] == "2000"
        assert declared["business_date"] == "2026-11-20"
        assert declared["tenant"] == "372013"
        assert int(declared["sequence"]) == 4
        sums = {name: value for name, value in declared.items() if name.startswith("sum.")}
        assert sums == {name: str(manifest.totals.sums[name.removeprefix("sum.")]) for name in sums}


def test_the_same_arguments_give_the_same_bytes_and_files_begin_alike(registry: Registry, tmp_path: Path) -> None:
    def made(name: str, records: int, seed: int = 1) -> bytes:
        generate("resident@1.0", "mainframe_csv", tmp_path / name, records=records, seed=seed, bad_share=0, registry=registry)
        return (tmp_path / name).read_bytes()

    first = made("a", 17_000)
    assert made("b", 17_000) == first
    assert first.startswith(made("c", 500))
    assert made("d", 500, seed=2) != made("c", 500)


def test_what_residents_are_like(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "file"
    manifest = generate("resident@1.0", "csv_utf8", file, records=20_000, bad_share=0, registry=registry)
    _, people, _ = examined(registry, file, manifest)
    households = people.group_by("setaibango").agg(
        size=pl.len(),
        heads=(pl.col("zokugara_code1") == "02").sum(),
        named=(pl.col("setainushi_shimei") != "").any(),
        addresses=pl.concat_str("jusho_machiaza", "jusho_banchigo", "jusho_katagaki").n_unique(),
    )
    assert households["addresses"].max() == 1
    assert set(households["heads"]) == {0, 1}
    assert households.filter(pl.col("heads") == 0)["named"].any() is False
    assert households["size"].max() == 6
    assert 0.01 < people.select((pl.col("jumin_shubetsu") == "2").mean()).item() < 0.06
    names = "".join(people["shimei"])
    assert {"髙", "﨑", "德", "濵"} <= set(names)
    assert {"1931-02-29", "1912-07-30"} & set(people["seinengappi"])
    assert people["seinengappi"].str.ends_with("-00-00").any()
    assert set(people["jumin_jotai"]) == {"1", "2", "3", "9"}
    wrong = [number for number in people["atenabango"] if not valid("modulus11_w2_7", number)]
    assert 0 < len(wrong) < 200, "some old numbers warn"
    assert people["atenabango"].n_unique() == 20_000


def test_what_cannot_be_made_is_said_and_leaves_nothing_behind(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "file"
    for contract, layout in (("resident@1.0", "xml"), ("resident@1.0", "none"), ("resident-number@1.0", "csv_utf8")):
        with pytest.raises(ContractUnknown):
            generate(contract, layout, file, records=1, registry=registry)
    for wrong in ({"tenant": "131016"}, {"bad_share": 1.5}, {"records": -1}, {"kinds": ["record_length"]}):
        with pytest.raises(ValueError, match=r"\w"):
            generate("resident@1.0", "mainframe_csv", file, **{"records": 1, "registry": registry, **wrong})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_small_files_and_chosen_kinds(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "file"
    nobody = generate("resident@1.0", "mainframe_fixed", file, records=0, registry=registry)
    assert nobody.totals == Totals()
    assert file.stat().st_size == 2 * 802
    reported: list[int] = []
    one = generate("resident@1.0", "mainframe_csv", file, records=1, bad_share=1, registry=registry, progress=reported.append)
    assert (one.bad, reported) == ({kind: [] for kind in one.bad}, [1])
    chosen = generate("resident@1.0", "mainframe_csv", file, records=9, bad_share=1, kinds=["code"], registry=registry)
    assert chosen.bad == {"code": [2, 3, 4, 5, 6, 7, 8, 9]}
    assert chosen.as_json()["expected"] == {"code": {"field": "seibetsu", "rule": "codes"}}
