"""A site whose systems speak in events, to break: move-ins, support-measure flags, a question with its answers."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from tests.site.conftest import ExampleSite

TENANT = "332020"
OTHER = "372013"

SITE = """\
site: setouchi
node: node1
listen: {host: 127.0.0.1, port: 9460}
api: {host: 127.0.0.1, port: 9461, sign_in: key}
journal: {file: var/journal.db}
broker: {url: "amqp://renkei@127.0.0.1:5672/renkei", password_file: secrets/broker, management_url: "http://127.0.0.1:15672"}
contracts: [contracts]
tenants: [tenants/332020.yaml, tenants/372013.yaml]
"""

TOWN = """\
tenant: "332020"
name: {ja: 倉敷市, en: Kurashiki}
systems:
  - id: "001"
    name: {ja: 住民記録, en: Resident register}
    api_keys: [{sha256: "1111111111111111111111111111111111111111111111111111111111111111", ends: "2999-03-31"}]
  - id: "010"
    name: {ja: 個人住民税, en: Resident tax}
    api_keys: [{sha256: "2222222222222222222222222222222222222222222222222222222222222222", ends: "2999-03-31"}]
  - {id: "030", name: {ja: 障害者福祉, en: Disability welfare}}
endpoints:
  - {id: register, system: "001", adapter: http}
  - {id: tax, system: "010", adapter: http}
  - id: welfare
    system: "030"
    adapter: webhook
    settings: {url: "https://welfare.example/hook", secrets: [secrets/welfare]}
    limits: {concurrent: 4}
interfaces:
  - {id: moved_in, contract: resident@1.0, endpoint: register, kind: event, event: {types: [jp.renkei.moved_in], support_measure: waits}}
  - {id: flags, contract: resident-number@1.0, endpoint: register, kind: event, event: {support_measure: flags}}
  - {id: question, contract: resident@1.0, endpoint: tax, kind: event, event: {replies: answer, expires_seconds: 60}}
  - {id: answer, contract: resident@1.0, endpoint: register, kind: event}
subscriptions:
  - {id: tax_moved_in, interface: moved_in, system: "010", endpoint: tax, expires_seconds: 86400}
  - {id: tax_flags, interface: flags, system: "010", endpoint: tax}
  - {id: welfare_moved_in, interface: moved_in, system: "030", endpoint: welfare}
  - {id: welfare_flags, interface: flags, system: "030", endpoint: welfare}
  - {id: register_question, interface: question, system: "001", endpoint: register}
"""

FILES = """\
tenant: "372013"
name: {ja: 高松市, en: Takamatsu}
systems:
  - {id: "001", name: {ja: 住民記録, en: Resident register}}
  - {id: "010", name: {ja: 個人住民税, en: Resident tax}}
endpoints:
  - {id: drop, system: "001", settings: {folder: drop}}
  - {id: tax, system: "010", settings: {folder: out}}
interfaces:
  - {id: night, contract: resident@1.0, endpoint: drop, layout: csv_utf8, file: "N{business_date}.csv"}
subscriptions:
  - {id: tax_night, interface: night, system: "010", endpoint: tax, layout: csv_utf8, file: "N{business_date}_{sequence}.csv"}
"""


def write_event_site(folder: Path) -> ExampleSite:
    """Write the site; it has neither errors nor warnings."""
    for name in ("tenants", "secrets", "contracts"):
        (folder / name).mkdir(parents=True)
    (folder / "site.yaml").write_text(SITE, "utf-8")
    (folder / "tenants" / f"{TENANT}.yaml").write_text(TOWN, "utf-8")
    (folder / "tenants" / f"{OTHER}.yaml").write_text(FILES, "utf-8")
    for name in ("broker", "welfare", "not_one"):
        secret(folder / "secrets" / name)
    (folder / "secrets" / "welfare").write_text(f"whsec_{b64encode(bytes(24)).decode()}\n", "utf-8")
    return ExampleSite(folder)


def secret(path: Path, mode: int = 0o600) -> None:
    path.write_text("not a real secret\n", "utf-8")
    path.chmod(mode)
