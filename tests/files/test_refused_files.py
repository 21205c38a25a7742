"""Refused files: set aside once, each with its own reason, whatever they are called and whenever the node dies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.files import refusals
from tests.files.doubles import Killed, drop, files_source, kill_at


@pytest.mark.parametrize("step", range(1, 8))
def test_a_kill_while_setting_aside_keeps_one_file_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    drop(tmp_path, "bad.csv", b"bad")
    source = files_source(tmp_path)
    (arrival,) = source.arrivals()
    with monkeypatch.context() as patch:
        kill_at(patch, step, refusals)
        with pytest.raises(Killed):
            source.refused(arrival, {"reason": "first"})
    again = files_source(tmp_path)
    for left in again.arrivals():
        again.refused(left, {"reason": "second"})
    assert sorted(path.name for path in (tmp_path / "refused").iterdir()) == ["bad.csv", "bad.csv.reason.json", "bad.csv.reason.txt"]
    assert list((tmp_path / "claimed").iterdir()) == []


def test_a_refused_file_is_never_lost_to_the_reason_of_another(tmp_path: Path) -> None:
    """A sender may call a file as the reason of another would be called."""
    names = ["bad.csv.reason.json", "bad.csv.reason.txt", "bad.csv"]
    source = files_source(tmp_path, marker=None, stable_seconds=0.001)
    for name in names:
        home = tmp_path / "claimed" / f"claim-of-{name}"
        home.mkdir(parents=True)
        (home / name).write_bytes(name.encode())
    places = {arrival.name: source.refused(arrival, {"reason": "no"}) for arrival in source.arrivals()}
    assert {name: places[name].read_bytes() for name in names} == {name: name.encode() for name in names}
    reasons = {name: json.loads(place.with_name(place.name + ".reason.json").read_text("utf-8"))["file"] for name, place in places.items()}
    assert reasons == {name: name for name in names}


@pytest.mark.parametrize("length", [240, 255])
def test_a_long_name_leaves_room_for_its_reason(tmp_path: Path, length: int) -> None:
    name = ("住民" * 50)[: (length - 4) // 3] + ".csv"
    name = "x" * (length - len(name.encode())) + name
    source = files_source(tmp_path, marker=None)
    home = tmp_path / "claimed" / "1"
    home.mkdir(parents=True)
    (home / name).write_bytes(b"bad")
    for _ in range(2):
        (arrival,) = source.arrivals()
        place = source.refused(arrival, {"reason": "no"})
        assert place.read_bytes() == b"bad"
        assert json.loads(place.with_name(place.name + ".reason.json").read_text("utf-8"))["file"] == name
        home.mkdir()
        (home / name).write_bytes(b"bad")
