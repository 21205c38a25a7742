"""What `api` and `listen` of site.yaml say has its effect on a running node."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.errors import SiteInvalid
from bus.node import running_node
from tests.api.api_site import TENANT, cloud_event, running_api, write_site
from tests.node.small_city import until
from tests.webhook.receivers import Authority, authority


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


def test_with_certificate_and_key_the_api_is_served_over_tls_alone(tmp_path: Path, ours: Authority) -> None:
    write_site(tmp_path, sign_in="none", tls_certificate=str(ours.certificate), tls_key=str(ours.key))
    with running_api(tmp_path) as api:
        url = f"https://localhost:{api.node.api_port}/openapi.json"
        assert httpx.get(url, verify=ssl.create_default_context(cafile=ours.file)).status_code == 200
        with pytest.raises(httpx.HTTPError):
            httpx.get(url.replace("https", "http"))


@pytest.mark.parametrize("broken", ["no certificate", "another's key"])
def test_a_certificate_that_cannot_be_used_keeps_the_node_from_starting(tmp_path: Path, ours: Authority, broken: str) -> None:
    """Not up and silent: its callers would wait for ever."""
    certificate, key = tmp_path / "certificate.pem", ours.key
    certificate.write_bytes(b"none" if broken == "no certificate" else ours.file.read_bytes())
    write_site(tmp_path, sign_in="none", tls_certificate=str(certificate), tls_key=str(key))
    with pytest.raises(SiteInvalid, match="RNK7016E"), running_node(tmp_path):
        pass


def test_so_many_connections_are_served_and_no_more(tmp_path: Path) -> None:
    write_site(tmp_path, sign_in="none", connections=1)
    with running_api(tmp_path) as api:
        until(lambda: api.client.get("/openapi.json").status_code == 200, "a connection before ours has ended")
        with httpx.Client(base_url=api.url) as another:
            assert another.get("/openapi.json").status_code == 503
        until(lambda: api.client.get("/openapi.json").status_code == 200, "the one that was too many has ended")


def test_events_that_wait_take_so_much_memory_and_no_more(tmp_path: Path) -> None:
    write_site(tmp_path, sign_in="none", most_waiting_bytes=1024 * 1024)
    long = {f"long{number}": "x" * 1000 for number in range(20)}
    batch = [cloud_event(**long) for _ in range(60)]
    with running_api(tmp_path) as api:
        answer = api.call(
            "POST", "interfaces/streamed/events", headers={"content-type": "application/cloudevents-batch+json"}, content=json.dumps(batch)
        )
    found = [one["status"] for one in answer.json()["results"]]
    assert set(found) == {202, 429}
    assert found.count(202) == 1024 * 1024 // len(json.dumps(batch[0], ensure_ascii=False, separators=(",", ":")).encode())


def test_monitoring_asks_for_the_token_of_its_file(tmp_path: Path) -> None:
    write_site(tmp_path, sign_in="none")
    (tmp_path / "token").write_text("the-token")
    (tmp_path / "token").chmod(0o600)
    site: dict[str, Any] = json.loads((tmp_path / "site.yaml").read_text("utf-8"))
    site["listen"]["token_file"] = "token"
    (tmp_path / "site.yaml").write_text(json.dumps(site), "utf-8")
    with running_api(tmp_path) as api:
        url = f"http://127.0.0.1:{api.node.port}/metrics"
        assert httpx.get(url).status_code == 401
        metrics = httpx.get(url, headers={"authorization": "Bearer the-token"})
        assert f'tenant="{TENANT}"' in metrics.text
