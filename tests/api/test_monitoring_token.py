"""Beyond loopback, monitoring shows its token; the file may be exchanged while the node runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bus.api.app import monitoring_app


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = monitoring_app(lambda: b"up 1\n", list, tmp_path / "token")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
        yield client


async def test_metrics_and_readiness_ask_for_the_token_and_health_does_not(asked: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-one\n")
    good = {"Authorization": "Bearer secret-one"}
    for path in ("/metrics", "/readyz"):
        assert (await asked.get(path)).status_code == 401
        for wrong in ("Bearer secret-two", "Basic secret-one", "Bearer", "secret-one", "Bearer secret-one x"):
            assert (await asked.get(path, headers={"Authorization": wrong})).status_code == 401
        assert (await asked.get(path, headers=good)).status_code == 200
    assert (await asked.get("/healthz")).status_code == 200
    (tmp_path / "token").write_text("secret-two\n")
    assert (await asked.get("/metrics", headers=good)).status_code == 401
    assert (await asked.get("/metrics", headers={"Authorization": "bearer secret-two"})).status_code == 200


@pytest.mark.parametrize("content", [None, "", " \n"])
async def test_a_missing_or_empty_token_lets_nobody_in(asked: httpx.AsyncClient, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    for header in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}):
        answer = await asked.get("/metrics", headers=header)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_without_a_token_file_everything_is_open() -> None:
    app = monitoring_app(lambda: b"up 1\n", lambda: ["no journal"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
        assert (await client.get("/metrics")).text == "up 1\n"
        assert (await client.get("/readyz")).status_code == 503
