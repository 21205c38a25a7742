"""Who may call: keys of systems, their last day, and what is told to those without one."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bus.api.problems import CallRefused
from bus.api.sign_in import SignIn, Who
from bus.clock import ManualClock
from bus.site_check import load_site
from tests.api.api_site import ENDED, FOREIGN, OTHER, REGISTER, TENANT, WELFARE, Api, problem, write_site


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/v1/{TENANT}/interfaces/moved/events"),
        ("POST", f"/v1/{TENANT}/interfaces/question/requests"),
        ("POST", f"/v1/{TENANT}/interfaces/people/uploads"),
        ("POST", f"/v1/{TENANT}/subscriptions/welfare_moved/pull"),
        ("POST", f"/v1/{TENANT}/subscriptions/welfare_moved/ack"),
        ("POST", f"/v1/{TENANT}/subscriptions/welfare_moved/nack"),
        ("POST", f"/v1/{TENANT}/subscriptions/welfare_moved/renew"),
        ("GET", f"/v1/{TENANT}/subscriptions/welfare_moved/events"),
        ("GET", f"/v1/{TENANT}/messages/{TENANT}-m1"),
        ("GET", f"/v1/{TENANT}/messages/{TENANT}-m1/reply"),
        ("GET", f"/v1/{TENANT}/uploads/{'0' * 32}"),
        ("PATCH", f"/v1/{TENANT}/uploads/{'0' * 32}"),
        ("DELETE", f"/v1/{TENANT}/uploads/{'0' * 32}"),
        ("GET", f"/openapi.json?tenant={TENANT}"),
        ("GET", f"/asyncapi.json?tenant={TENANT}"),
    ],
)
def test_every_route_asks_for_a_key(api: Api, method: str, path: str) -> None:
    without = api.call(method, path, key=None)
    problem(without, 401, "RNK7201E")
    assert without.headers["www-authenticate"].startswith("Bearer")
    for wrong in ("x", FOREIGN, "k" * 600):
        problem(api.call(method, path, key=wrong), 401, "RNK7202E")
    problem(api.call(method, path, key=None, headers={"authorization": f"Basic {REGISTER}"}), 401, "RNK7201E")
    assert problem(api.call(method, path, key=ENDED), 403, "RNK7203E")["detail"].endswith("2020-03-31")
    elsewhere = path.replace(TENANT, "999999", 1)
    assert (
        problem(api.call(method, elsewhere), 401)["message_id"]
        == problem(api.call(method, path.replace(TENANT, OTHER, 1)), 401)["message_id"]
    )


def test_head_asks_for_a_key_too(api: Api) -> None:
    assert api.call("HEAD", f"uploads/{'0' * 32}", key=None).status_code == 401


def test_a_key_holds_to_the_end_of_its_last_day(tmp_path: Path) -> None:
    write_site(tmp_path)
    clock = ManualClock()
    sign_in = SignIn(load_site(tmp_path), clock)
    midnight = datetime(2020, 4, 1, tzinfo=ZoneInfo("Asia/Tokyo"))
    clock.set_us(int(midnight.timestamp()) * 1_000_000 - 1)
    assert sign_in.who(TENANT, f"bearer  {ENDED} ".encode()) == Who(TENANT, "001")
    clock.advance(0.000001)
    with pytest.raises(CallRefused, match="RNK7203E"):
        sign_in.who(TENANT, f"Bearer {ENDED}".encode())


def test_without_sign_in_whoever_calls_is_every_system_of_a_tenant_that_is_here(tmp_path: Path) -> None:
    write_site(tmp_path, sign_in="none")
    sign_in = SignIn(load_site(tmp_path), ManualClock())
    who = sign_in.who(TENANT, None)
    assert who.is_one_of("001")
    assert who.is_one_of("999")
    with pytest.raises(CallRefused) as refused:
        sign_in.who("999999", None)
    assert refused.value.status == 404


def test_no_key_stands_anywhere_in_memory_but_its_digest(tmp_path: Path) -> None:
    write_site(tmp_path)
    sign_in = SignIn(load_site(tmp_path), ManualClock())
    digests = {key.digest for keys in sign_in._keys.values() for key in keys}
    assert hashlib.sha256(WELFARE.encode()).digest() in digests
    assert WELFARE not in repr(sign_in._keys)
