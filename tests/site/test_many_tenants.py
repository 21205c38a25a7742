"""The generated site of many tenants is one that a city could write: no error, no warning, and every tenant has its own digest."""

from __future__ import annotations

from pathlib import Path

from bus.site_check import check_site, load_site
from tests.bench.many_tenants import SUBSCRIPTIONS, Services, codes, measured, write_many


def test_many_tenants_are_clean(tmp_path: Path) -> None:
    folder = write_many(tmp_path / "site", 40, Services(port=9460, api_port=9461))
    assert [str(problem) for problem in check_site(folder)] == []
    loaded = load_site(folder)
    assert list(loaded.tenants) == list(codes(40))
    assert len({tenant.digest for tenant in loaded.tenants.values()}) == 40
    assert sum(len(tenant.tenant.subscriptions) for tenant in loaded.tenants.values()) == 40 * SUBSCRIPTIONS


def test_what_it_takes_is_measured(tmp_path: Path) -> None:
    figures = measured(write_many(tmp_path / "site", 3), "load_site")
    assert figures["found"] == 3
    assert 0 < figures["cpu_seconds"] < figures["seconds"] * 2
    assert figures["peak_bytes"] > figures["memory_bytes"] >= 0
