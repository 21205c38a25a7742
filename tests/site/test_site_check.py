"""`check_site`: the example is clean, each mistake is found at its line, and all mistakes are found at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bus.errors import SiteInvalid
from bus.example import write_example
from bus.site_check import check_site, load_site, registry_of, translations_of
from contracts.errors import DocumentInvalid
from contracts.event_record import EventReader
from tests.site.conftest import ExampleSite


def test_the_example_is_clean(site: ExampleSite) -> None:
    assert site.found() == []


def test_the_example_loads(site: ExampleSite) -> None:
    loaded = load_site(site.folder / "site.yaml")
    assert list(loaded.tenants) == ["332020", "372013", "382019"]
    assert loaded.path("var/journal.db") == site.folder.resolve() / "var/journal.db"
    registry = registry_of(loaded)
    translations = translations_of(loaded, registry)
    for tenant in loaded.tenants.values():
        night = [subscription for subscription in tenant.tenant.subscriptions if subscription.interface == "resident"]
        assert len(night) == 3
        formats = set()
        for subscription in night:
            contract = translations[subscription.translation].to if subscription.translation else tenant.tenant.interfaces[0].contract
            formats.add(registry.layout(contract, subscription.layout).format)
        assert formats == {"csv", "fixed", "xml"}


def test_the_examples_event_keeps_its_contract(site: ExampleSite) -> None:
    loaded = load_site(site.folder / "site.yaml")
    (moved_in,) = [one for one in loaded.tenants["332020"].tenant.interfaces if one.id == "moved_in"]
    reader = EventReader(registry_of(loaded).contract(moved_in.contract))
    assert reader.check(reader.read((site.folder / "samples" / "moved_in.json").read_bytes())) == []


def test_the_example_is_not_written_over(site: ExampleSite) -> None:
    site.edit("332020", "例示A社", "作り直した会社")
    with pytest.raises(SiteInvalid, match="RNK2007E"):
        write_example(site.folder)
    assert "作り直した会社" in site.path("332020").read_text("utf-8")


def test_no_site(tmp_path: Path) -> None:
    with pytest.raises(SiteInvalid, match="RNK2001E"):
        check_site(tmp_path)


K = "332020"
ONE_MISTAKE = [
    ("site.yaml", "time_zone: Asia/Tokyo", "time_zone: Asia/Tokio", "RNK2002E"),
    ("site.yaml", "[translations]", "[translations, more]", "RNK2003E"),
    ("site.yaml", "- tenants/382019.yaml", "- tenants/999999.yaml", "RNK2004E"),
    ("site.yaml", "- tenants/382019.yaml", "- tenants/372013.yaml", "RNK2005E"),
    ("site.yaml", "node: node1", "nodes: node1", "RNK1005E"),
    ("site.yaml", "port: 9460", "port: 94600", "RNK1010E"),
    ("site.yaml", "{file: var/journal.db}", "{file: site.yaml/journal.db}", "RNK2204E"),
    ("site.yaml", "port: 9460", "port: high", "RNK1014E"),
    ("site.yaml", "host: 127.0.0.1", "host: 0.0.0.0", "RNK2232E"),
    ("site.yaml", "{workers: 2,", "{workers: 0,", "RNK1010E"),
    (K, 'tenant: "332020"', 'tenant: "332021"', "RNK2101E"),
    (K, 'tenant: "332020"', "tenant: 332020", "RNK1009E"),
    (K, 'tenant: "332020"', 'tenant: "33202"', "RNK1008E"),
    (K, "name: {ja: 倉敷市, en: Kurashiki}", "name: 倉敷市", "RNK1012E"),
    (K, "marker: \"{name}.end\"}", "ignore: nothing}", "RNK1011E"),
    (K, 'system: "010", adapter', 'system: "011", adapter', "RNK2102E"),
    (K, "{id: pension_in", "{id: tax_in", "RNK2103E"),
    (K, "endpoint: register_drop", "endpoint: register_drip", "RNK2104E"),
    (K, "contract: resident@1.0", "contract: resident@9.0", "RNK2105E"),
    (K, "layout: mainframe_csv", "layout: mainframe_scv", "RNK2106E"),
    (K, "layout: mainframe_csv", "layout: xml", "RNK2107E"),
    (K, 'end: "06:00"', 'end: "13:00"', "RNK2108E"),
    (K, 'day_ends: "12:00"', 'day_ends: "02:00"', "RNK2108E"),
    (K, "    layout: csv_utf8", "    layout: csv_utf9", "RNK2106E"),
    (K, "    layout: xml", "    layout: xlm", "RNK2106E"),
    (K, "interface: resident\n    system: \"010\"", "interface: residents\n    system: \"010\"", "RNK2110E"),
    (K, "endpoint: tax_in", "endpoint: pension_in", "RNK2111E"),
    (K, "endpoint: tax_in", 'filter: {fields: {shimey: {present: true}}}\n    endpoint: tax_in', "RNK2113E"),
    (K, "translation: resident-to-welfare@1.0", "translation: resident-to-welfair@1.0", "RNK2114E"),
    (K, "endpoint: tax_in", 'valid_from: "2026-02-29"\n    endpoint: tax_in', "RNK2116E"),
    (K, "endpoint: tax_in", 'valid_until: "2026-03-31"\n    valid_from: "2026-04-01"\n    endpoint: tax_in', "RNK2117E"),
    (K, "most_seconds: 900", "most_seconds: 1", "RNK2119W"),
    (K, "endpoints:", 'endpoints:\n  - {id: spare, system: "010", settings: {folder: out/spare}}', "RNK2121W"),
    (K, "interfaces:", "interfaces:\n  - {id: more, contract: resident@1.0, layout: csv_utf8, endpoint: register_drop, "
     'file: "M{business_date}.csv"}', "RNK2122W"),
    (K, "adapter: files", "adapter: fils", "RNK2123E"),
    (K, "folder: out/332020/tax", "folder: drop/332020/tax", "RNK2201E"),
    (K, "folder: out/332020/tax", "folder: out/372013/tax", "RNK2202E"),
    (K, "folder: out/332020/tax", "folder: var/payloads/tax", "RNK2203E"),
    (K, "folder: out/332020/tax", "folder: site.yaml", "RNK2204E"),
    (K, "folder: out/332020/tax", "folder: /nowhere/share", "RNK2220W"),
    (K, "JUMIN_{business_date:%Y%m%d}_", "JUMIN_", "RNK2210E"),
    (K, "JUMIN_{business_date:%Y%m%d}_", "JUMIN_{businessdate:%Y%m%d}_", "RNK5003E"),
    (K, "_{sequence:03}.xml", ".xml", "RNK2221W"),
    (K, "on_revision: hold ", "on_revision: accept ", "RNK2221W"),
    (K, 'marker: "{name}.end"\n    retry', 'marker: "{name}"\n    retry', "RNK2214E"),
    (K, 'marker: "{name}.end"}', 'markr: "{name}.end"}', "RNK1005E"),
    (K, "{policy: reject_records", "{policy: reject_recs", "RNK1007E"),
    (K, "    kind: full ", "    kind: ful ", "RNK1007E"),
    (K, "    layout: mainframe_csv\n", "", "RNK1006E"),
    ("translations/resident-to-welfare@1.0.yaml", "jumin_jotai", "juminjotai", "RNK1306E"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "message_id"), ONE_MISTAKE, ids=[f"{m[3]}-{i}" for i, m in enumerate(ONE_MISTAKE)])
def test_one_mistake_is_found_at_its_line(site: ExampleSite, file: str, old: str, new: str, message_id: str) -> None:
    line = site.edit(file, old, new)
    said = site.said()
    assert message_id in [found for found, _, _ in said]
    name, at = next((name, at) for found, name, at in said if found == message_id)
    if message_id == "RNK1006E":  # stands at the item that lacks the key
        assert at < line
    elif message_id == "RNK2202E":  # stands at the later of the two tenants
        assert name == "372013.yaml"
    elif "on_revision" in old:  # stands at the names of those who would get the revision
        assert at > line
    elif message_id == "RNK2108E":  # stands at the window, above day_ends
        assert at in (line - 1, line)
    else:
        assert name == site.path(file).name
        assert line <= at <= line + new.count("\n")
    for problem in site.found():
        for language in ("ja", "en"):
            assert "?" not in problem.text(language).replace("(did you mean", "").replace('"?)', "")
            assert problem.action(language)


def test_a_subscriber_may_not_be_the_sender(site: ExampleSite) -> None:
    site.edit(K, '{id: tax_in, system: "010"', '{id: tax_in, system: "001"')
    site.edit(K, 'interface: resident\n    system: "010"', 'interface: resident\n    system: "001"')
    assert [found for found, _, _ in site.said()] == ["RNK2112E"]


def test_a_translation_of_another_contract(site: ExampleSite) -> None:
    site.edit(K, "contract: resident@1.0\n    layout: mainframe_csv", "contract: resident-tax@1.0\n    layout: csv")
    assert "RNK2115E" in [found for found, _, _ in site.said()]


def test_one_endpoint_for_both_directions(site: ExampleSite) -> None:
    site.edit(K, "endpoint: welfare_in", "endpoint: register_drop")
    assert "RNK2124E" in [found for found, _, _ in site.said()]


def test_a_misspelt_adapter_is_not_blamed_for_serving_both_directions(site: ExampleSite) -> None:
    site.edit(K, "endpoint: welfare_in", "endpoint: register_drop")
    site.edit(K, 'register_drop\n    system: "001"\n    adapter: files', 'register_drop\n    system: "001"\n    adapter: htp')
    said = [found for found, _, _ in site.said()]
    assert "RNK2123E" in said
    assert "RNK2124E" not in said


def test_two_tenants_with_one_code(site: ExampleSite) -> None:
    site.edit("382019", 'tenant: "382019"', 'tenant: "372013"')
    ids = [found for found, _, _ in site.said()]
    assert "RNK2006E" in ids
    assert "RNK2120W" in ids


def test_two_interfaces_that_take_the_same_name(site: ExampleSite) -> None:
    other = (
        '  - {id: other, contract: resident@1.0, layout: csv_utf8, endpoint: register_drop, file: "{any}_{business_date:%Y%m%d}_001.csv"}\n'
    )
    site.edit(K, "subscriptions:", other + "subscriptions:")
    assert "RNK2213E" in [found for found, _, _ in site.said()]


def test_two_subscribers_that_write_the_same_name(site: ExampleSite) -> None:
    site.edit(K, "folder: out/332020/pension", "folder: out/332020/tax")
    assert site.found() == []
    site.edit(K, "JUMIN{business_date:%y%m%d}{sequence:03}.DAT", "resident_332020_{business_date:%Y%m%d}_{sequence}.csv")
    assert "RNK2214E" in [found for found, _, _ in site.said()]


def own_contract(site: ExampleSite) -> Path:
    """A copy of the resident contract under another name, to which the welfare translation leads."""
    library = registry_of(load_site(site.folder)).file("resident@1.0")
    own = site.folder / "contracts" / "town-resident@1.0.yaml"
    shutil.copy(library, own)
    own.write_text(own.read_text("utf-8").replace("contract: resident@1.0", "contract: town-resident@1.0", 1), "utf-8")
    site.edit("translations/resident-to-welfare@1.0.yaml", "to: resident@1.0", "to: town-resident@1.0")
    return own


def test_documents_need_their_number(site: ExampleSite) -> None:
    own = own_contract(site)
    text = own.read_text("utf-8")
    own.write_text(text.replace("    root: Residents", "    records_per_document: 1000\n    root: Residents", 1), "utf-8")
    assert [found for found, _, _ in site.said() if found.endswith("E")] == ["RNK2211E"] * 3


def test_the_digest_follows_a_contract_that_only_a_translation_leads_to(site: ExampleSite) -> None:
    own = own_contract(site)
    before = load_site(site.folder).tenants[K].digest
    own.write_text(own.read_text("utf-8") + "# a remark\n", "utf-8")
    assert load_site(site.folder).tenants[K].digest != before


@pytest.mark.parametrize(("start", "end"), [("12:00", "12:00"), ("12:00", "06:00"), ("01:00", "12:00"), ("00:00", "05:00")])
def test_windows_that_fit_a_business_date(site: ExampleSite, start: str, end: str) -> None:
    site.edit(K, 'window: {start: "20:00", end: "06:00"}', f'window: {{start: "{start}", end: "{end}"}}')
    assert site.found() == []


def test_ten_mistakes_are_ten_problems(site: ExampleSite) -> None:
    """A6: ten different mistakes over four files; all ten come out of one check, each with file and line."""
    edits = [
        ("site.yaml", "time_zone: Asia/Tokyo", "time_zone: Tokyo", "RNK2002E"),
        ("site.yaml", "node: node1", "nod: node1", "RNK1005E"),
        (K, 'tenant: "332020"', 'tenant: "332029"', "RNK2101E"),
        (K, "contract: resident@1.0", "contract: residents@1.0", "RNK2105E"),
        (K, "endpoint: tax_in", "endpoint: tax_out", "RNK2104E"),
        (K, "attempts: 8", "atempts: 8", "RNK1005E"),
        ("372013", 'layout: mainframe_fixed\n    endpoint: register', 'layout: mainframe_fixt\n    endpoint: register', "RNK2106E"),
        ("372013", 'start: "21:00", end: "05:00"', 'start: "05:00", end: "21:00"', "RNK2108E"),
        ("382019", "folder: out/382019/tax", "folder: out/372013/tax", "RNK2202E"),
        ("382019", "translation: resident-to-welfare@1.0", "translation: resident-to-tax@1.0", "RNK2114E"),
        ("382019", "{business_date:%Y%m%d}-{sequence}", "{sequence}", "RNK2210E"),
    ]
    expected = {(message_id, site.path(file).name, site.edit(file, old, new)) for file, old, new, message_id in edits}
    assert {(found, name, line) for found, name, line in site.said() if not found.endswith("W")} >= expected
    with pytest.raises(DocumentInvalid) as caught:
        load_site(site.folder)
    assert len(caught.value.problems) >= len(edits)


def test_a_broken_file_does_not_hide_the_others(site: ExampleSite) -> None:
    site.path(K).write_text("tenant: [\n", "utf-8")
    line = site.edit("382019", "endpoint: tax_in", "endpoint: tax_out")
    assert ("RNK1001E", "332020.yaml", 2) in site.said()
    assert ("RNK2104E", "382019.yaml", line) in site.said()


NONSENSE = ["", "[]", "tenant: 5", "systems: {a: 1}\nendpoints: 3", "interfaces: [1, {id: [x]}]\nsubscriptions: [{}]"]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_reported_not_raised(site: ExampleSite, text: str) -> None:
    site.path(K).write_text(text, "utf-8")
    assert any(found.endswith("E") for found, name, _ in site.said() if name == "332020.yaml")


def test_warnings_do_not_stop_a_site(site: ExampleSite) -> None:
    site.edit(K, "most_seconds: 900", "most_seconds: 1")
    assert len(site.found()) == 1
    load_site(site.folder)


def test_one_tenants_folder_that_cannot_be_used_stops_no_site(site: ExampleSite) -> None:
    """It is that tenant's trouble: `check` says it, its deliveries meet it, and everybody else's work goes on."""
    (site.folder / "out" / "332020").mkdir(parents=True, exist_ok=True)
    (site.folder / "out" / "332020" / "tax").write_bytes(b"no folder")
    assert [(found, name) for found, name, _ in site.said()] == [("RNK2204E", "332020.yaml")]
    load_site(site.folder)


def test_a_site_whose_own_folder_cannot_be_used_does_not_start(site: ExampleSite) -> None:
    (site.folder / "var").write_bytes(b"no folder")
    with pytest.raises(DocumentInvalid):
        load_site(site.folder)


def test_the_digest_follows_what_the_tenant_uses(site: ExampleSite) -> None:
    before = {code: tenant.digest for code, tenant in load_site(site.folder).tenants.items()}
    assert len(set(before.values())) == 3
    site.edit(K, "attempts: 8", "attempts: 9")
    after = {code: tenant.digest for code, tenant in load_site(site.folder).tenants.items()}
    assert [code for code in before if before[code] != after[code]] == [K]
    site.edit("translations/resident-to-welfare@1.0.yaml", "from:", "# a remark\nfrom:")
    last = {code: tenant.digest for code, tenant in load_site(site.folder).tenants.items()}
    assert all(after[code] != last[code] for code in after)
