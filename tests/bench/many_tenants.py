"""A site of very many municipalities, to see what their number costs: `python -m tests.bench.many_tenants [--tenants 1700]`.

Owns: writing such a site, and timing how long checking and loading it takes. Each tenant has five subscriptions: two of the night's file,
three of two event interfaces (pull, pull or AMQP, webhook).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TENANTS = 1700
SUBSCRIPTIONS = 5
WITH_AMQP = 100

SITE = """\
site: many
node: node1
listen: {{host: 127.0.0.1, port: {port}}}
api: {{host: 127.0.0.1, port: {api_port}}}
{broker}{journal}tenants:
"""
BROKER = """\
broker: {{url: "{url}", password_file: secrets/broker, management_url: "{management_url}"}}
"""
TENANT = """\
tenant: "{code}"
name: {{ja: 第{number}市, en: City {number}}}
systems:
  - {{id: "001", name: {{ja: 住民記録, en: Resident register}}, vendor: 例示A社}}
  - {{id: "010", name: {{ja: 個人住民税, en: Resident tax}}, vendor: 例示B社, placed: government_cloud}}
  - {{id: "020", name: {{ja: 国民年金, en: National pension}}, vendor: 例示C社}}
  - {{id: "030", name: {{ja: 障害者福祉, en: Disability welfare}}, vendor: 例示D社, placed: government_cloud}}
endpoints:
  - {{id: register_drop, system: "001", adapter: files, settings: {{folder: drop/{code}}}}}
  - {{id: register, system: "001", adapter: {register}}}
  - {{id: tax_in, system: "010", adapter: files, settings: {{folder: out/{code}/tax}}}}
  - {{id: pension_in, system: "020", adapter: files, settings: {{folder: out/{code}/pension}}}}
  - {{id: tax, system: "010", adapter: {tax}}}
  - {{id: pension, system: "020", adapter: http}}
  - {{id: welfare, system: "030", adapter: webhook, settings: {{url: "https://welfare.example/{code}", secrets: [secrets/webhook]}}}}
interfaces:
  - id: resident
    contract: resident@1.0
    layout: mainframe_csv
    endpoint: register_drop
    file: "JUMIN_{{business_date:%Y%m%d}}_{{sequence:03}}.csv"
    expected: daily
  - id: moved_in
    contract: resident@1.0
    endpoint: register
    kind: event
    event: {{types: [jp.renkei.moved_in, jp.renkei.moved_out], expires_seconds: 604800}}
subscriptions:
  - id: tax_resident
    interface: resident
    system: "010"
    endpoint: tax_in
    layout: csv_utf8
    file: "resident_{{tenant}}_{{business_date:%Y%m%d}}_{{sequence:03}}.csv"
    marker: "{{name}}.end"
  - id: pension_resident
    interface: resident
    system: "020"
    endpoint: pension_in
    layout: mainframe_fixed
    file: "JUMIN{{business_date:%y%m%d}}{{sequence:03}}.DAT"
  - {{id: tax_moved_in, interface: moved_in, system: "010", endpoint: tax}}
  - {{id: pension_moved_in, interface: moved_in, system: "020", endpoint: pension}}
  - id: welfare_moved_in
    interface: moved_in
    system: "030"
    endpoint: welfare
    filter: {{fields: {{jumin_jotai: {{eq: "1"}}}}}}
    retry: {{first_seconds: 5, factor: 2, most_seconds: 900, attempts: 8}}
"""


@dataclass(frozen=True)
class Services:
    """What the site leans on besides the disk: RabbitMQ for `with_amqp` tenants, PostgreSQL; empty: none. Port 0: any free one."""

    with_amqp: int = 0
    broker_url: str = "amqp://renkei@127.0.0.1:5672/renkei"
    management_url: str = "http://127.0.0.1:15672"
    journal: str = ""
    port: int = 0
    api_port: int = 0


def codes(count: int) -> Iterator[str]:
    """Tenant codes with their check digits."""
    for number in range(1, count + 1):
        digits = f"{number:05}"
        weighted = sum(int(digit) * weight for digit, weight in zip(digits, (6, 5, 4, 3, 2), strict=True))
        yield digits + str(11 - weighted % 11)[-1]


def write_many(folder: Path, tenants: int = TENANTS, services: Services | None = None) -> Path:
    """Write the site into the new folder `folder`; returns it."""
    services = services or Services()
    for name in ("tenants", "secrets"):
        (folder / name).mkdir(parents=True)
    for name in ("broker", "webhook"):
        secret = folder / "secrets" / name
        secret.write_text("whsec_bm90IGEgcmVhbCBzZWNyZXQsIG5vdCBhdCBhbGw=\n", "ascii")
        secret.chmod(0o600)
    broker = BROKER.format(url=services.broker_url, management_url=services.management_url) if services.with_amqp else ""
    listed = SITE.format(port=services.port, api_port=services.api_port, broker=broker, journal=services.journal)
    for number, code in enumerate(codes(tenants), 1):
        adapter = "amqp" if number <= services.with_amqp else "http"
        text = TENANT.format(code=code, number=number, register=adapter, tax=adapter)
        (folder / "tenants" / f"{code}.yaml").write_text(text, "utf-8")
        listed += f"  - tenants/{code}.yaml\n"
    (folder / "site.yaml").write_text(listed, "utf-8")
    return folder


_MEASURED = """
import json, resource, sys, time
from pathlib import Path
from bus.site_check import check_site, load_site
before, began, worked = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), time.process_time()
found = {work}(Path(sys.argv[1]))
seconds, cpu = time.perf_counter() - began, time.process_time() - worked
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
told = {{"seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3), "memory_bytes": (after - before) * 1024}}
print(json.dumps(told | {{"peak_bytes": after * 1024, "found": {told}}}))
"""


def measured(folder: Path, work: str) -> dict[str, float]:
    """What `check_site` or `load_site` takes in a process of its own: seconds, and the memory it adds."""
    told = "[str(problem) for problem in found[:5]]" if work == "check_site" else "len(found.tenants)"
    code = _MEASURED.format(work=work, told=told)
    ended = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(ended.stdout)
    return result


def main() -> None:
    """Write the site into a temporary folder, check and load it, print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tenants", type=int, default=TENANTS)
    options.add_argument("--amqp", type=int, default=WITH_AMQP)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = write_many(Path(folder) / "site", given.tenants, Services(with_amqp=given.amqp, port=9460, api_port=9461))
        figures = {"tenants": given.tenants, "subscriptions": given.tenants * SUBSCRIPTIONS}
        print(json.dumps(figures | {work: measured(site, work) for work in ("check_site", "load_site")}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
