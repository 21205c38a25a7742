"""Uploads by tus 1.0.0 over real sockets: pieces, broken lines, restarts, full disks, and the file's way into the journal."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Message

from bus.api.upload_routes import _received
from bus.errors import NotFound
from bus.events.uploads import KEPT_SECONDS, UploadBusy, Uploads
from tests.api.api_site import REGISTER, TENANT, WELFARE, Api, problem, running_api, write_site
from tests.node.small_city import csv, people, until

TUS = {"tus-resumable": "1.0.0"}
PIECE = {**TUS, "content-type": "application/offset+octet-stream"}


def named(name: str) -> str:
    return f"filename {base64.b64encode(name.encode()).decode()},kind dGV4dA=="


def create(api: Api, name: str, length: int | str, key: str | None = REGISTER, **headers: str) -> httpx.Response:
    given = {**TUS, "upload-length": str(length), "upload-metadata": named(name), **headers}
    return api.call("POST", "interfaces/people/uploads", key, given)


def created(api: Api, name: str, length: int) -> str:
    answer = create(api, name, length)
    assert answer.status_code == 201, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"
    place: str = answer.headers["location"]
    return place


def patch(api: Api, place: str, offset: int, body: Any, **headers: str) -> httpx.Response:
    return api.call("PATCH", place, headers={**PIECE, "upload-offset": str(offset), **headers}, content=body)


def offset(api: Api, place: str) -> int:
    answer = api.call("HEAD", place, headers=TUS)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    return int(answer.headers["upload-offset"])


def ended(api: Api, place: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = api.call("GET", place).json()
        return found if found["state"] not in {"receiving", "taking"} else None

    found: dict[str, Any] = until(look)
    return found


def test_a_file_in_pieces_goes_the_way_of_any_file(api: Api) -> None:
    body = csv(people(20))
    place = created(api, "PEOPLE_20260401.csv", len(body))
    assert api.call("GET", place).json() == {"state": "receiving", "receipt": None, "message": None}
    assert offset(api, place) == 0
    answer = patch(api, place, 0, body[:100])
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "100")
    assert offset(api, place) == 100
    assert patch(api, place, 100, (body[at : at + 50] for at in range(100, len(body), 50))).headers["upload-offset"] == str(len(body))
    found = ended(api, place)
    assert found["state"] == "accepted"
    message = api.call("GET", f"messages/{found['message']}").json()
    assert message["deliveries"][0]["subscription"] == "welfare_people"
    assert offset(api, place) == len(body)
    assert api.call("DELETE", place, headers=TUS).status_code == 409
    again = created(api, "PEOPLE_20260401.csv", len(body))
    patch(api, again, 0, body)
    assert ended(api, again)["state"] == "duplicate"


def test_a_bad_file_is_refused_by_the_intake_and_told(api: Api) -> None:
    place = created(api, "PEOPLE_20260402.csv", 0)
    assert ended(api, place)["state"] == "refused"


def test_what_the_protocol_asks_for(api: Api) -> None:
    told = api.call("OPTIONS", "interfaces/people/uploads", key=None)
    assert (told.status_code, told.headers["tus-extension"]) == (204, "creation,termination")
    problem(create(api, "PEOPLE_20260403.csv", 10, **{"tus-resumable": "0.2.2"}), 412, "RNK7223E")
    for length in ("", "-1", "1e3", "9" * 30):
        problem(create(api, "PEOPLE_20260403.csv", length), 400, "RNK7224E")
    problem(create(api, "PEOPLE_20260403.csv", 10**17), 413, "RNK7206E")
    for metadata in ("", "filename ***", "filename /w==", "name eA=="):
        problem(create(api, "x", 10, **{"upload-metadata": metadata}), 400, "RNK7224E")
    place = created(api, "PEOPLE_20260403.csv", 10)
    problem(patch(api, place, 5, b"x"), 409, "RNK7226E")
    problem(patch(api, place, 0, b"x" * 11), 413, "RNK7206E")
    problem(patch(api, place, 0, (b"x" for _ in range(11))), 413, "RNK7206E")
    problem(patch(api, place, offset(api, place), b"x", **{"content-type": "text/plain"}), 415, "RNK7207E")
    problem(api.call("PATCH", place, headers={**PIECE}, content=b"x"), 400, "RNK7224E")
    assert api.call("DELETE", place, headers=TUS).status_code == 204
    assert api.call("HEAD", place, headers=TUS).status_code == 404
    problem(patch(api, place, 0, b"x"), 404)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", "", ".hidden", "a\x00b", "a\nb", "x" * 300, "OTHER.csv", "PEOPLE_20261399.csv"]
)
def test_hostile_and_foreign_names_are_refused(api: Api, name: str) -> None:
    answer = create(api, name, 10)
    problem(answer, 422, "RNK7225E")
    assert not name or name not in answer.text


def test_uploads_are_for_the_system_of_the_interface(api: Api) -> None:
    problem(create(api, "PEOPLE_20260404.csv", 10, WELFARE), 404)
    problem(api.call("POST", "interfaces/moved/uploads", headers={**TUS, "upload-length": "1", "upload-metadata": named("x")}), 404)
    place = created(api, "PEOPLE_20260404.csv", 10)
    for method in ("GET", "PATCH", "DELETE"):
        problem(api.call(method, place, WELFARE, {**PIECE, "upload-offset": "0"}), 404, "RNK7204E")


def test_a_broken_line_keeps_what_came_and_another_writer_waits(api: Api) -> None:
    body = csv(people(20, first=100))
    place = created(api, "PEOPLE_20260405.csv", len(body))
    with contextlib.closing(socket.create_connection(("127.0.0.1", api.node.api_port), timeout=30)) as line:
        head = f"PATCH {place} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {REGISTER}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n"
        more = f"content-type: application/offset+octet-stream\r\ncontent-length: {len(body)}\r\nexpect: 100-continue\r\n\r\n"
        line.sendall(f"{head}{more}".encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 100 "), "said when it is this writer's turn"
        line.sendall(body[:70])
        problem(api.call("DELETE", place, headers=TUS), 423, "RNK7222E")
        problem(patch(api, place, 0, b"x"), 423, "RNK7222E")
    until(lambda: offset(api, place) == 70)
    assert until(lambda: (answer := patch(api, place, 70, body[70:])).status_code == 204 and answer)
    assert ended(api, place)["state"] == "accepted"


def test_an_upload_goes_on_after_a_restart_and_what_became_of_it_is_known_after_another(tmp_path: Path) -> None:
    write_site(tmp_path, sign_in="none")
    body = csv(people(20))
    with running_api(tmp_path) as api:
        place = created(api, "PEOPLE_20260401.csv", len(body))
        patch(api, place, 0, body[:333])
        data = next((tmp_path / "var").glob(f"*uploads/{TENANT}/*/data"))
    with data.open("ab") as file:
        file.write(b"never told of")
    with running_api(tmp_path) as api:
        assert offset(api, place) == 333
        patch(api, place, 333, body[333:])
        until(lambda: api.node.parts.journal.receipts(tenant=TENANT))
    with running_api(tmp_path) as api:
        assert ended(api, place)["state"] == "accepted"
        until(lambda: not list((tmp_path / "var").glob("*submitted/*")))


def test_a_whole_file_that_was_not_handed_over_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_site(tmp_path, sign_in="none")
    body = csv(people(20))
    with monkeypatch.context() as broken:
        broken.setattr("bus.events.uploads.Uploads._adopt", _no_room)
        with running_api(tmp_path) as api:
            place = created(api, "PEOPLE_20260401.csv", len(body))
            assert patch(api, place, 0, body).status_code == 204
            assert api.call("GET", place).json()["state"] == "receiving"
    with running_api(tmp_path) as api:
        assert ended(api, place)["state"] == "accepted"


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "no space left")


def test_an_undecided_upload_is_kept_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_site(tmp_path, sign_in="none")
    body = csv(people(20))
    monkeypatch.setattr("bus.api.applications.TEND_SECONDS", 0.05)
    with monkeypatch.context() as broken:
        broken.setattr("bus.node.take_one", _no_room)
        with running_api(tmp_path) as api:
            place = created(api, "PEOPLE_20260401.csv", len(body))
            patch(api, place, 0, body)
            until(lambda: list((tmp_path / "var").glob("*submitted/*/PEOPLE_20260401.csv")))
            assert api.call("GET", place).json()["state"] == "taking"
            broken.undo()
            assert ended(api, place)["state"] == "accepted"


def test_a_full_disk_answers_507_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_site(tmp_path, sign_in="none")
    body = csv(people(20))
    real = os.pwrite
    with running_api(tmp_path) as api:
        place = created(api, "PEOPLE_20260401.csv", len(body))
        patch(api, place, 0, body[:100])
        with monkeypatch.context() as full:
            full.setattr("bus.events.uploads.os.pwrite", lambda handle, piece, at: real(handle, piece, at) if at == 0 else _no_room())
            problem(patch(api, place, 100, body[100:]), 507, "RNK7227E")
        assert offset(api, place) == 100
        with monkeypatch.context() as full:
            full.setattr("bus.events.uploads.shutil.disk_usage", lambda _: type("Usage", (), {"free": 5}))
            problem(create(api, "PEOPLE_20260402.csv", 6), 507, "RNK7227E")
        assert patch(api, place, 100, body[100:]).status_code == 204
        assert ended(api, place)["state"] == "accepted"


def test_uploads_that_nobody_goes_on_with_are_removed_after_a_week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_site(tmp_path, sign_in="none")
    monkeypatch.setattr("bus.events.uploads.MOST_OPEN", 2)
    with running_api(tmp_path) as api:
        place = created(api, "PEOPLE_20260401.csv", 10)
        created(api, "PEOPLE_20260402.csv", 10)
        problem(create(api, "PEOPLE_20260403.csv", 10), 429, "RNK7220E")
        uploads = _uploads(api)
        newest = max(path.stat().st_mtime for path in (tmp_path / "var").glob(f"*uploads/{TENANT}/**/*"))
        uploads.tend(newest + KEPT_SECONDS - 60)
        assert offset(api, place) == 0
        uploads.tend(newest + KEPT_SECONDS + 60)
        assert api.call("HEAD", place, headers=TUS).status_code == 404
        assert create(api, "PEOPLE_20260403.csv", 10).status_code == 201


async def test_a_write_that_hangs_while_the_node_ends_keeps_its_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the thread writes must not land in whatever file gets the same descriptor next."""
    uploads = Uploads(tmp_path, cast("Any", SimpleNamespace(endpoint_of=lambda *_: "drop")), cast("Any", None))
    upload = uploads.begin(TENANT, "people", "001", "PEOPLE_20260401.csv", 10)
    writes, go_on = asyncio.Event(), threading.Event()
    loop, real = asyncio.get_running_loop(), os.pwrite

    def slowly(handle: int, piece: bytes, at: int) -> int:
        loop.call_soon_threadsafe(writes.set)
        assert go_on.wait(30)
        return real(handle, piece, at)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 10}

    monkeypatch.setattr("bus.events.uploads.os.pwrite", slowly)
    patching = asyncio.create_task(_received(uploads, upload, 0, Request({"type": "http", "headers": []}, receive)))
    await writes.wait()
    patching.cancel()
    ended, _ = await asyncio.wait((patching,), timeout=0.2)
    assert not ended
    with pytest.raises(UploadBusy):
        uploads.remove(upload)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await patching
    assert uploads.offset(upload) == 10


def test_an_upload_that_is_written_to_is_not_removed(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, cast("Any", SimpleNamespace(endpoint_of=lambda *_: "drop")), cast("Any", None))
    upload = uploads.begin(TENANT, "people", "001", "PEOPLE_20260401.csv", 10)
    with uploads.writing(upload):
        uploads.tend(time.time() + 2 * KEPT_SECONDS)
    assert uploads.find(TENANT, upload.id) == upload
    uploads.tend(time.time() + 2 * KEPT_SECONDS)
    with pytest.raises(NotFound):
        uploads.find(TENANT, upload.id)


def _uploads(api: Api) -> Uploads:
    parts = api.node.parts
    (folder,) = (parts.site.folder / "var").glob("*uploads")
    return Uploads(folder, parts.operations.submissions, parts.journal)
