"""`check_site` on event interfaces: each mistake is found at its line, in both languages, and nothing else is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.site_check import load_site
from contracts.errors import DocumentInvalid
from tests.site.conftest import ExampleSite
from tests.site.site_of_events import OTHER, TENANT, write_event_site

T, F = TENANT, OTHER


@pytest.fixture
def site(tmp_path: Path) -> ExampleSite:
    return write_event_site(tmp_path / "site")


def test_a_site_of_events_is_clean(site: ExampleSite) -> None:
    assert [str(problem) for problem in site.found()] == []


def test_a_site_of_events_loads(site: ExampleSite) -> None:
    loaded = load_site(site.folder)
    interface = loaded.tenants[T].tenant.interfaces[0]
    assert (interface.kind, interface.event.types, interface.layout) == ("event", ["jp.renkei.moved_in"], "")


MOVED = "{id: moved_in, contract: resident@1.0, endpoint: register, kind: event, "
TAX = '{id: tax_moved_in, interface: moved_in, system: "010", endpoint: tax, '
ONE_MISTAKE = [
    (T, MOVED, MOVED + "layout: csv_utf8, ", "RNK2130E"),
    (T, MOVED, MOVED + 'file: "x{business_date}", ', "RNK2130E"),
    (T, MOVED, MOVED + 'window: {start: "20:00", end: "06:00"}, ', "RNK2130E"),
    (T, MOVED, MOVED + "expected: daily, ", "RNK2130E"),
    (T, TAX, TAX + "layout: csv_utf8, ", "RNK2130E"),
    (T, TAX, TAX + "marker: null, ", "RNK2130E"),
    (F, "layout: csv_utf8, file: \"N{business_date}.csv\"", "file: \"N{business_date}.csv\"", "RNK1006E"),
    (F, ', file: "N{business_date}.csv"', "", "RNK1006E"),
    (F, 'file: "N{business_date}.csv"', 'file: "N{business_date}.csv", event: {max_bytes: 2048}', "RNK2131E"),
    (F, ', file: "N{business_date}_{sequence}.csv"', "", "RNK1006E"),
    (F, 'endpoint: tax, layout', "endpoint: tax, expires_seconds: 60, layout", "RNK2131E"),
    (T, "{id: answer, contract: resident@1.0, endpoint: register", "{id: answer, contract: resident@1.0, endpoint: welfare", "RNK2132E"),
    (F, "endpoint: drop, layout: csv_utf8, file: \"N{business_date}.csv\"", "endpoint: drop, kind: event", "RNK2132E"),
    (F, "settings: {folder: out}", "adapter: http", "RNK2134E"),
    (F, "settings: {folder: drop}", "adapter: http", "RNK2134E"),
    (F, "settings: {folder: out}", "settings: {folder: out}, limits: {concurrent: 2}", "RNK2136W"),
    (T, "replies: answer", "replies: anwser", "RNK2110E"),
    (T, "replies: answer", "replies: question", "RNK2138E"),
    (T, "interface: question, system", "interface: answer, system", "RNK2139W"),
    (T, ", event: {support_measure: flags}", "", "RNK2140E"),
    (T, "id: flags, contract: resident-number@1.0", "id: flags, contract: resident-tax@1.0", "RNK2141E"),
    (T, "{id: tax_flags, interface: flags", "{id: tax_flags, interface: answer", "RNK2142W"),
    (T, "{support_measure: flags}", "{support_measure: flags, lane: bulk}", "RNK2143E"),
    (T, "types: [jp.renkei.moved_in]", "max_bytes: 16777216", "RNK2146W"),
    (T, "types: [jp.renkei.moved_in]", "max_bytes: 1024", "RNK2147W"),
    (T, "types: [jp.renkei.moved_in]", "types: [a, b, a]", "RNK2148E"),
    (T, "types: [jp.renkei.moved_in]", "types: ['']", "RNK2148E"),
    (T, 'adapter: http}\n  - {id: tax', 'adapter: http, settings: {url: "http://x"}}\n  - {id: tax', "RNK1005E"),
    (T, "secrets: [secrets/welfare]", "secrets: [secrets/warfare]", "RNK2233E"),
    (T, "secrets: [secrets/welfare]", "secrets: [secrets]", "RNK2233E"),
    (T, "adapter: webhook", "adapter: webhok", "RNK2123E"),
    (T, "secrets: [secrets/welfare]", "secrets: [secrets/not_one]", "RNK1003E"),
    (T, 'ends: "2999-03-31"', 'ends: "2019-03-31"', "RNK2152W"),
    (T, 'ends: "2999-03-31"', 'ends: "2999-02-29"', "RNK2116E"),
    (T, "2222222222222222222222222222222222222222222222222222222222222222", "1" * 64, "RNK2153E"),
    (T, 'api_keys: [{sha256: "' + "1" * 64, "api_keys: []\n    # [{", "RNK2154W"),
    ("site.yaml", "api: {host: 127.0.0.1, port: 9461, sign_in: key}", "api: {host: 0.0.0.0, sign_in: none}", "RNK2230E"),
    ("site.yaml", "api: {host: 127.0.0.1", "api: {host: 0.0.0.0", "RNK2236W"),
    ("site.yaml", "listen: {host: 127.0.0.1", "listen: {host: 10.0.0.1", "RNK2232E"),
    ("site.yaml", "listen: {host: 127.0.0.1", "listen: {host: 10.0.0.1, token_file: secrets/nowhere", "RNK2233E"),
    ("site.yaml", "port: 9461", "port: 9460", "RNK2237E"),
    ("site.yaml", "sign_in: key", "sign_in: key, tls_certificate: secrets/broker", "RNK2235E"),
    ("site.yaml", "sign_in: key", "sign_in: key, tls_key: secrets/broker", "RNK2235E"),
    ("site.yaml", ", password_file: secrets/broker", "", "RNK2239W"),
    ("site.yaml", "password_file: secrets/broker", "password_file: secrets/gone", "RNK2233E"),
    ("site.yaml", "file: var/journal.db", 'url: "postgresql+psycopg://renkei@db/renkei"', "RNK2239W"),
    ("site.yaml", "file: var/journal.db", 'url: "postgresql://renkei@db/renkei", password_file: secrets/broker', "RNK2240E"),
    ("site.yaml", "file: var/journal.db", 'url: "postgresql+psycopg://renkei:hush@db/renkei", password_file: secrets/broker', "RNK2241E"),
    ("site.yaml", "amqp://renkei@", "amqp://renkei:hush@", "RNK2241E"),
    ("site.yaml", "amqp://renkei@", "http://renkei@", "RNK2240E"),
    ("site.yaml", "http://127.0.0.1:15672", "127.0.0.1:15672", "RNK2240E"),
    ("site.yaml", "http://127.0.0.1:15672", "http://guest:hush@127.0.0.1:15672", "RNK2241E"),
    ("site.yaml", "sign_in: key", "sign_in: key, most_waiting_bytes: 0", "RNK1010E"),
]  # fmt: skip
ELSEWHERE = {"RNK2134E", "RNK2139W", "RNK2140E", "RNK2141E", "RNK2142W", "RNK2154W"}
"""Told where it matters, not where the edit was: at the flow, at the other end, at the system."""


@pytest.mark.parametrize(("file", "old", "new", "message_id"), ONE_MISTAKE, ids=[f"{m[3]}-{i}" for i, m in enumerate(ONE_MISTAKE)])
def test_one_mistake_is_found_at_its_line(site: ExampleSite, file: str, old: str, new: str, message_id: str) -> None:
    line = site.edit(file, old, new)
    found = site.found()
    said = [(problem.message_id, problem.file.name) for problem in found]
    assert said.count((message_id, site.path(file).name)) == 1, said
    told = next(problem for problem in found if problem.message_id == message_id)
    assert told.line == line or message_id in ELSEWHERE
    for problem in found:
        for language in ("ja", "en"):
            words = problem.text(language) + problem.action(language)
            assert problem.action(language)
            assert "?" not in words.replace("(did you mean", "").replace('"?)', "")
            assert "hush" not in words


def test_amqp_needs_a_broker(site: ExampleSite) -> None:
    at = site.edit(T, '{id: register, system: "001", adapter: http}', '{id: register, system: "001", adapter: amqp}')
    assert "RNK2150E" not in [found for found, _, _ in site.said()]
    site.edit("site.yaml", ', management_url: "http://127.0.0.1:15672"', "")
    assert ("RNK2231W", "site.yaml", 6) in site.said()
    site.edit("site.yaml", "broker:", "# broker:")
    said = site.said()
    assert ("RNK2150E", "332020.yaml", at) in said
    assert "RNK2231W" not in [found for found, _, _ in said]


def test_flows_that_would_share_a_queue(site: ExampleSite) -> None:
    at = site.edit(T, '{id: tax, system: "010", adapter: http}', '{id: tax, system: "010", adapter: amqp, settings: {queue: tax}}')
    assert ("RNK2151E", "332020.yaml", at) in site.said()  # a question goes out, move-ins and flags come in
    site.edit(T, "settings: {queue: tax}", "settings: {}")
    assert site.said() == []
    site.edit(T, "endpoints:", """endpoints:
  - {id: tax_more, system: "010", adapter: amqp, settings: {queue: in.question}}""")
    site.edit(T, 'interface: flags, system: "010", endpoint: tax', 'interface: flags, system: "010", endpoint: tax_more')
    assert [(found, name) for found, name, _ in site.said()] == [("RNK2155E", "332020.yaml")]


def test_a_contract_without_an_ordering_key(site: ExampleSite) -> None:
    library = Path(__file__).parents[2] / "contracts" / "library" / "resident@1.0.yaml"
    text = library.read_text("utf-8").replace("contract: resident@1.0", "contract: visit@1.0", 1)
    (site.folder / "contracts" / "visit@1.0.yaml").write_text(text.replace("ordering_key: [atenabango]\n", "", 1), "utf-8")
    at = site.edit(T, "id: answer, contract: resident@1.0", "id: answer, contract: visit@1.0")
    assert site.said() == [("RNK2144W", "332020.yaml", at)]


def test_a_key_of_another_tenant(site: ExampleSite) -> None:
    key = '{sha256: "' + "2" * 64 + '", ends: "2999-03-31"}'
    at = site.edit(F, "en: Resident tax}}", f"en: Resident tax}}, api_keys: [{key}]}}")
    assert site.said() == [("RNK2153E", "372013.yaml", at)]
    problem = site.found()[0]
    assert problem.facts["tenant"] == T
    assert problem.facts["system"] == "010"


def test_answers_over_files(site: ExampleSite) -> None:
    at = site.edit(T, "replies: answer", "replies: night")
    site.edit(T, "interfaces:", """interfaces:
  - {id: night, contract: resident@1.0, endpoint: drop, layout: csv_utf8, file: "N{business_date}.csv"}""")
    site.edit(T, "interfaces:", """  - {id: drop, system: "001", settings: {folder: drop/332020}}
interfaces:""")
    assert ("RNK2137E", "332020.yaml", at + 2) in site.said()


def test_more_than_the_memory_of_the_site(site: ExampleSite) -> None:
    site.edit("site.yaml", "sign_in: key", "sign_in: key, most_waiting_bytes: 1048576")
    at = site.edit(T, "types: [jp.renkei.moved_in]", "max_bytes: 1048577")
    assert site.said() == [("RNK2145E", "332020.yaml", at)]


@pytest.mark.parametrize(("mode", "said"), [(0o600, False), (0o400, False), (0o640, True), (0o644, True), (0o602, True)])
def test_a_secret_that_others_may_use(site: ExampleSite, mode: int, said: bool) -> None:
    for name in ("welfare", "broker"):
        (site.folder / "secrets" / name).chmod(mode)
    told = [(problem.message_id, problem.file.name) for problem in site.found()]
    assert told == ([("RNK2234E", "site.yaml"), ("RNK2234E", "332020.yaml")] if said else [])


def test_one_tenants_secret_stops_no_site(site: ExampleSite) -> None:
    """Its webhook's deliveries meet that; everybody else's work goes on. The site's own secret it cannot do without."""
    (site.folder / "secrets" / "welfare").unlink()
    load_site(site.folder)
    (site.folder / "secrets" / "broker").unlink()
    with pytest.raises(DocumentInvalid, match="RNK2233E"):
        load_site(site.folder)


def test_listeners_on_one_port_but_at_two_addresses(site: ExampleSite) -> None:
    site.edit("site.yaml", "api: {host: 127.0.0.1, port: 9461", "api: {host: 127.0.0.2, port: 9460")
    assert site.said() == []


def test_the_digest_follows_what_events_have(site: ExampleSite) -> None:
    before = load_site(site.folder).tenants[T].digest
    site.edit(T, "expires_seconds: 60", "expires_seconds: 61")
    assert load_site(site.folder).tenants[T].digest != before


def test_a_translation_between_versions_needs_no_layout(site: ExampleSite) -> None:
    site.edit(T, TAX, TAX + "translation: resident-up@1.0, ")
    assert site.said() == []
    site.edit(T, "id: register_question, interface: question,", "id: register_question, interface: flags, translation: resident-up@1.0,")
    assert "RNK2115E" in [found for found, _, _ in site.said()]


NONSENSE = [
    "interfaces: [{kind: event, event: 5}, {kind: event, event: {types: 3, replies: [], max_bytes: x}}, {kind: [event]}]",
    "systems: [{id: 5, api_keys: {a: 1}}, {api_keys: [1, {sha256: 5, ends: 7}]}]",
    "endpoints: [{adapter: webhook, settings: {secrets: {a: [1, {b: 2}]}, ca_file: []}}, {adapter: amqp, settings: 7, limits: 1}]",
]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_reported_not_raised(site: ExampleSite, text: str) -> None:
    site.path(T).write_text(text, "utf-8")
    assert any(found.endswith("E") for found, name, _ in site.said() if name == "332020.yaml")


@pytest.mark.parametrize("text", ["api: 5\nbroker: 7\nlisten: []", "api: {port: x, host: 3, most_waiting_bytes: []}\nbroker: {url: 7}"])
def test_nonsense_services_are_reported_not_raised(site: ExampleSite, text: str) -> None:
    site.path("site.yaml").write_text(f"site: x\ntenants: [tenants/372013.yaml]\n{text}\n", "utf-8")
    assert any(found.endswith("E") for found, _, _ in site.said())
