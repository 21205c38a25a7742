"""Faults on the way in: what is no file, what is not finished, what cannot be read, and a crash at any step of claiming."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.files import ADAPTER, claims, folder, open_writers
from adapters.files.settings import SinkSettings, SourceSettings
from adapters.files.source import FilesSource
from adapters.files.waiting import DropFolder
from bus.errors import Permanent, SiteInvalid, Transient
from contracts.messages import text
from tests.files.doubles import HandClock, Killed, as_nobody, drop, files_source, kill_at


def names(source: FilesSource) -> list[str]:
    return [arrival.name for arrival in source.arrivals()]


def noted(source: FilesSource) -> dict[str, str]:
    return {note.name: note.message_id for note in source.notes()}


# --- what is no file


def test_what_is_no_file_is_left_alone_with_a_reason(tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_bytes(b"secret")
    (tmp_path / "link.csv").symlink_to(outside)
    (tmp_path / "broken.csv").symlink_to("nowhere")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("link.csv", "broken.csv", "folder.csv", "pipe.csv"):
        (tmp_path / f"{name}.end").touch()
    drop(tmp_path, "good.csv")
    source = files_source(tmp_path)
    assert names(source) == ["good.csv"]
    seen = noted(source)
    assert {name: seen[name] for name in seen if not name.endswith(".end")} == {
        "link.csv": "RNK5030W",
        "broken.csv": "RNK5030W",
        "folder.csv": "RNK5031W",
        "pipe.csv": "RNK5032W",
    }
    assert outside.read_bytes() == b"secret"


def test_a_reason_is_said_once_as_long_as_it_lasts(tmp_path: Path) -> None:
    source = files_source(tmp_path)
    (tmp_path / "x.csv").mkdir()
    names(source)
    assert noted(source) == {"x.csv": "RNK5031W"}
    names(source)
    assert noted(source) == {}
    (tmp_path / "x.csv").rmdir()
    names(source)
    (tmp_path / "x.csv").mkdir()
    names(source)
    assert noted(source) == {"x.csv": "RNK5031W"}


def test_names_that_are_not_utf8_are_said_and_left(tmp_path: Path) -> None:
    name = os.fsdecode("住民.csv".encode("cp932"))
    drop(tmp_path, name)
    source = files_source(tmp_path)
    assert names(source) == []
    note = next(note for note in source.notes() if note.name == name)
    assert note.message_id == "RNK5033W"
    assert "\\udc" in text(note.message_id, "ja", **note.facts).encode("utf-8").decode()


def test_a_name_too_long_for_its_marker_stops_nobody_else(tmp_path: Path) -> None:
    long = "a" * 254
    (tmp_path / long).touch()
    drop(tmp_path, "good.csv")
    source = files_source(tmp_path)
    assert names(source) == ["good.csv"]
    assert noted(source) == {long: "RNK5033W"}


def test_senders_own_temporaries_are_left(tmp_path: Path) -> None:
    for name in (".hidden", "x.csv.filepart", "y.tmp"):
        drop(tmp_path, name, marker=None)
    source = files_source(tmp_path, marker=None, stable_seconds=1)
    names(source)
    assert (noted(source), source.next_look_seconds()) == ({}, None)


# --- markers


def test_a_marker_without_its_file_and_a_file_without_its_marker_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv.end").touch()
    (tmp_path / "b.csv").touch()
    source = files_source(tmp_path)
    assert names(source) == []
    assert noted(source) == {"a.csv.end": "RNK5036I", "b.csv": "RNK5034I"}


def test_stem_markers_and_one_that_fits_two_files(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv", marker="{stem}.end")
    drop(tmp_path, "b.csv", marker="{stem}.end")
    (tmp_path / "b.dat").touch()
    source = files_source(tmp_path, marker="{stem}.end")
    assert names(source) == ["a.csv"]
    assert noted(source) == {"b.end": "RNK5037W"}


def test_the_marker_leaves_with_its_file(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv")
    source = files_source(tmp_path)
    (arrival,) = source.arrivals()
    assert arrival.marker is not None
    assert arrival.marker.exists()
    assert not (tmp_path / "a.csv.end").exists()
    source.accepted(arrival)
    assert [path.name for path in tmp_path.rglob("*")] == ["claimed"]


def test_claims_are_out_of_others_sight(tmp_path: Path) -> None:
    (tmp_path / "claimed").mkdir(mode=0o777)
    drop(tmp_path, "a.csv")
    (arrival,) = files_source(tmp_path).arrivals()
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "claimed", arrival.path.parent)] == [0o700, 0o700]


def test_a_claimed_folder_that_is_a_link_is_not_trusted(tmp_path: Path) -> None:
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    (tmp_path / "claimed").symlink_to(elsewhere)
    drop(tmp_path, "a.csv")
    with pytest.raises(Permanent) as raised:
        names(files_source(tmp_path))
    assert raised.value.message_id == "RNK5016E"
    assert list(elsewhere.iterdir()) == []


# --- growing files


def test_a_growing_file_waits_for_stillness_and_for_its_writer(tmp_path: Path, hand_clock: HandClock) -> None:
    source = files_source(tmp_path, hand_clock, marker=None, stable_seconds=5)
    with (tmp_path / "growing.csv").open("ab", buffering=0) as file:
        for _ in range(3):
            file.write(b"more")
            assert names(source) == []
            hand_clock.seconds += 5
        assert names(source) == []  # still for long enough, but its writer is still there
    assert noted(source) == {"growing.csv": "RNK5035I"}
    (arrival,) = source.arrivals()
    assert arrival.path.read_bytes() == b"more" * 3


def test_a_marked_file_that_is_still_being_written_waits(tmp_path: Path) -> None:
    source = files_source(tmp_path)
    drop(tmp_path, "early.csv")
    with (tmp_path / "early.csv").open("ab"):
        assert names(source) == []
        assert noted(source) == {"early.csv": "RNK5035I"}
    assert names(source) == ["early.csv"]


def test_a_change_starts_the_wait_again(tmp_path: Path, hand_clock: HandClock) -> None:
    source = files_source(tmp_path, hand_clock, marker=None, stable_seconds=5)
    path = drop(tmp_path, "a.csv", b"12", marker=None)
    names(source)
    assert source.next_look_seconds() == 5
    hand_clock.seconds += 4
    path.write_bytes(b"34")  # the same size
    os.utime(path, ns=(0, 1))
    assert names(source) == []
    hand_clock.seconds += 4
    assert names(source) == []
    assert source.next_look_seconds() == 1
    hand_clock.seconds += 1
    assert names(source) == ["a.csv"]


def test_a_writer_that_comes_between_look_and_claim_gets_its_file_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = files_source(tmp_path)
    drop(tmp_path, "a.csv")
    monkeypatch.setattr(DropFolder, "is_held", lambda self, name: False)
    with (tmp_path / "a.csv").open("ab"):
        assert names(source) == []
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.csv", "a.csv.end"]
    assert names(source) == ["a.csv"]


def test_a_file_that_changed_between_look_and_claim_is_put_back(tmp_path: Path) -> None:
    path = drop(tmp_path, "a.csv")
    look = claims.Look.at(path)
    assert look is not None
    path.write_bytes(b"more data")
    assert claims.Claims(tmp_path, tmp_path / "claimed").take("a.csv", "a.csv.end", look) is None
    assert path.read_bytes() == b"more data"
    assert (tmp_path / "a.csv.end").exists()
    assert names(files_source(tmp_path)) == ["a.csv"]


def test_a_file_its_sender_took_back_is_no_claim(tmp_path: Path) -> None:
    path = drop(tmp_path, "a.csv")
    look = claims.Look.at(path)
    assert look is not None
    path.unlink()
    assert claims.Claims(tmp_path, tmp_path / "claimed").take("a.csv", None, look) is None
    assert list((tmp_path / "claimed").iterdir()) == []


@pytest.mark.parametrize("way", ["lease", "proc"])
def test_a_writer_in_another_process_is_seen(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "proc":
        monkeypatch.setattr(open_writers, "_lease", lambda descriptor: None)
    path = tmp_path / "x"
    path.touch()
    program = f"file = open({str(path)!r}, 'ab'); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert open_writers.is_being_written(path)
        writer.communicate(b"\n")
    assert not open_writers.is_being_written(path)
    with path.open("rb"):
        assert not open_writers.is_being_written(path)  # a reader is no writer


def test_without_the_right_to_a_lease_proc_is_asked(open_place: Path) -> None:
    path = open_place / "x"
    path.write_bytes(b"")
    path.chmod(0o666)
    with as_nobody():
        descriptor = os.open(path, os.O_RDONLY)
        assert open_writers._lease(descriptor) is None
        os.close(descriptor)
        with path.open("ab"):
            assert open_writers.is_being_written(path)
        assert not open_writers.is_being_written(path)


# --- what cannot be read or written


def test_a_missing_drop_folder_is_transient(tmp_path: Path) -> None:
    with pytest.raises(Transient) as raised:
        names(files_source(tmp_path / "gone"))
    assert raised.value.message_id == "RNK5011E"


def test_an_unreadable_file_is_said_and_stops_nobody_else(open_place: Path) -> None:
    drop(open_place, "a_secret.csv").chmod(0o600)
    source = files_source(open_place)
    with as_nobody():
        drop(open_place, "b_good.csv")
        assert names(source) == ["b_good.csv"]
    assert noted(source) == {"a_secret.csv": "RNK5038W"}


def test_a_folder_without_rights_is_for_a_person(open_place: Path) -> None:
    drop(open_place, "a.csv")
    open_place.chmod(0o755)
    with as_nobody(), pytest.raises(Permanent) as raised:
        names(files_source(open_place))
    assert raised.value.message_id == "RNK5015E"
    assert names(files_source(open_place)) == ["a.csv"]


@pytest.mark.slow
def test_claims_must_be_on_the_same_file_system(tmp_path: Path, small_disk: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    drop(folder, "a.csv")
    with pytest.raises(Permanent) as raised:
        names(files_source(folder, claimed=str(small_disk / "claimed")))
    assert (raised.value.message_id, raised.value.facts["error"]) == ("RNK5016E", "EXDEV")
    assert (folder / "a.csv").exists()


@pytest.mark.slow
def test_a_full_disk_while_claiming_loses_nothing(small_disk: Path) -> None:
    drop(small_disk, "a.csv", b"whole")
    ballast = small_disk / "ballast.tmp"
    with ballast.open("wb", buffering=0) as file:
        file.write(b"\0" * (2 << 20))
    source = files_source(small_disk)
    with pytest.raises(Transient) as raised:
        names(source)
    assert raised.value.message_id == "RNK5010E"
    assert (small_disk / "a.csv").read_bytes() == b"whole"
    ballast.unlink()
    (arrival,) = source.arrivals()
    assert arrival.path.read_bytes() == b"whole"
    assert len(list((small_disk / "claimed").iterdir())) == 1


# --- a crash at any step


CLAIM_STEPS = 8
"""Calls of one claim: private folder, record, two syncs, data, marker, two syncs."""


def test_one_claim_takes_the_steps_that_are_tried_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(tmp_path, "a.csv")
    with monkeypatch.context() as patch:
        kill_at(patch, CLAIM_STEPS + 1, claims)
        assert names(files_source(tmp_path)) == ["a.csv"]


@pytest.mark.parametrize("sends_again", [False, True])
@pytest.mark.parametrize("step", range(1, CLAIM_STEPS + 1))
def test_a_kill_at_any_step_of_a_claim_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, sends_again: bool
) -> None:
    drop(tmp_path, "a.csv", b"first")
    with monkeypatch.context() as patch:
        kill_at(patch, step, claims)
        with pytest.raises(Killed):
            names(files_source(tmp_path))
    moved = not (tmp_path / "a.csv").exists()
    if sends_again and moved:
        drop(tmp_path, "a.csv", b"half of the second", marker=None)
    source = files_source(tmp_path)
    (arrival,) = source.arrivals()  # never the second: what marker stands there still is the first one's
    assert arrival.path.read_bytes() == b"first"
    assert arrival.marker is not None
    assert not (tmp_path / "a.csv.end").exists()
    source.accepted(arrival)
    assert list((tmp_path / "claimed").iterdir()) == []
    assert names(files_source(tmp_path)) == []


def test_a_marker_that_came_later_stays_with_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(tmp_path, "a.csv", b"first")
    with monkeypatch.context() as patch:
        kill_at(patch, 6, claims)  # the data is claimed, its marker is not
        with pytest.raises(Killed):
            names(files_source(tmp_path))
    assert (tmp_path / "a.csv.end").exists()
    drop(tmp_path, "a.csv", b"second")
    os.utime(tmp_path / "a.csv.end", ns=(0, 1))
    assert [arrival.path.read_bytes() for arrival in files_source(tmp_path).arrivals()] == [b"first", b"second"]


@pytest.mark.parametrize("damage", [b"", b'{"name": "a.', None])
def test_a_claim_whose_record_is_damaged_still_gives_its_file(tmp_path: Path, damage: bytes | None) -> None:
    drop(tmp_path, "a.csv", b"precious")
    (before,) = files_source(tmp_path).arrivals()
    record = before.path.parent / "claim.json"
    record.unlink()
    if damage is not None:
        record.write_bytes(damage)
    source = files_source(tmp_path)
    (arrival,) = source.arrivals()
    assert (arrival.name, arrival.path.read_bytes()) == ("a.csv", b"precious")
    source.accepted(arrival)
    assert list((tmp_path / "claimed").iterdir()) == []


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_kill_at_any_step_of_removing_ends_in_nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    drop(tmp_path, "a.csv")
    source = files_source(tmp_path)
    (arrival,) = source.arrivals()
    seen, real = [0], Path.unlink

    def dying(path: Path, missing_ok: bool = False) -> None:
        seen[0] += 1
        if seen[0] == step:
            raise Killed
        real(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dying)
        with pytest.raises(Killed):
            source.accepted(arrival)
    again = files_source(tmp_path)
    left = list(again.arrivals())
    assert len(left) == (1 if step == 1 else 0)  # either it was not removed at all, or it never comes back
    for arrival in left:
        again.accepted(arrival)
    assert list((tmp_path / "claimed").iterdir()) == []


def test_given_back_work_comes_again(tmp_path: Path) -> None:
    source = files_source(tmp_path)
    drop(tmp_path, "a.csv")
    (arrival,) = source.arrivals()
    source.give_back(arrival)
    assert list(source.arrivals()) == [arrival]


def test_only_claimed_files_are_ever_removed(tmp_path: Path) -> None:
    source = files_source(tmp_path)
    drop(tmp_path, "a.csv")
    (arrival,) = source.arrivals()
    stranger = tmp_path / "stranger.csv"
    stranger.touch()
    with pytest.raises(ValueError, match="not a claimed file"):
        source.accepted(type(arrival)(arrival.endpoint, arrival.tenant, "stranger.csv", stranger, 0, None))
    assert stranger.exists()


def test_a_file_whose_marker_was_taken_back_is_no_claim(tmp_path: Path) -> None:
    source = files_source(tmp_path)
    first, second = drop(tmp_path, "a.csv"), drop(tmp_path, "b.csv")
    arrivals = source.arrivals()
    assert next(arrivals).name == first.name
    (tmp_path / "b.csv.end").unlink()
    assert list(arrivals) == []
    assert second.exists()
    (tmp_path / "b.csv.end").touch()
    assert names(source) == ["b.csv"]


def test_one_file_that_cannot_be_claimed_stops_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in a folder with a sticky bit may be its owner's alone to move."""
    for name in ("a.csv", "b.csv", "c.csv"):
        drop(tmp_path, name)
    real = folder.rename_noreplace

    def refusing(path: Path, target: Path) -> None:
        if path.name == "a.csv":
            raise PermissionError(errno.EPERM, "not yours")
        real(path, target)

    monkeypatch.setattr(claims, "rename_noreplace", refusing)
    source = files_source(tmp_path)
    taken: list[str] = []
    with pytest.raises(Permanent) as raised:
        taken.extend(arrival.name for arrival in source.arrivals())
    assert taken == ["b.csv", "c.csv"]
    assert (raised.value.message_id, raised.value.facts["path"]) == ("RNK5015E", str(tmp_path / "a.csv"))


def test_one_claim_that_cannot_be_read_stops_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(tmp_path, "a.csv")
    drop(tmp_path, "b.csv")
    assert names(files_source(tmp_path)) == ["a.csv", "b.csv"]
    real = open_writers.is_being_written

    def refusing(path: Path) -> bool:
        if path.name == "a.csv":
            raise PermissionError(errno.EACCES, "not readable")
        return real(path)

    monkeypatch.setattr("adapters.files.source.is_being_written", refusing)
    assert names(files_source(tmp_path)) == ["a.csv", "b.csv"]


# --- the adapter and its settings


def test_the_adapter_makes_the_sites_own_folders_and_only_those(tmp_path: Path) -> None:
    ADAPTER.source({"folder": "in/332020"}, "e", "332020", tmp_path)
    ADAPTER.sink({"folder": "out"}, "e", "332020", tmp_path)
    assert (tmp_path / "in/332020").is_dir()
    assert (tmp_path / "out").is_dir()
    mount = tmp_path / "mnt"
    with pytest.raises(Transient):
        names(ADAPTER.source({"folder": str(mount)}, "e", "332020", tmp_path))
    assert not mount.exists()


def test_a_source_whose_folder_cannot_be_made_is_there_and_says_so(tmp_path: Path) -> None:
    """One system's folder must not keep a node from starting for all others."""
    (tmp_path / "in").write_bytes(b"no folder")
    source = ADAPTER.source({"folder": "in/332020"}, "e", "332020", tmp_path)
    with pytest.raises(Permanent):
        names(source)
    (tmp_path / "in").unlink()
    (tmp_path / "in" / "332020").mkdir(parents=True)
    drop(tmp_path / "in" / "332020", "a.csv")
    assert names(source) == ["a.csv"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"folder": ""},
        {"folder": "in", "stable_second": 3},
        {"folder": "in", "stable_seconds": 0},
        {"folder": "in", "marker": "{name}"},
        {"folder": "in", "marker": "END"},
        {"folder": "in", "marker": "{sequence}.end"},
        {"folder": "in", "marker": "../{name}"},
    ],
)
def test_wrong_settings_are_said(settings: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(SiteInvalid) as raised:
        ADAPTER.source(settings, "resident_drop", "332020", tmp_path)
    assert raised.value.message_id == "RNK5009E"
    assert "resident_drop" in raised.value.text("ja")


def test_wrong_sink_settings_are_said(tmp_path: Path) -> None:
    with pytest.raises(SiteInvalid):
        ADAPTER.sink({"folder": "out", "file_mode": "rw"}, "e", "332020", tmp_path)
    assert ADAPTER.settings_model("source") is SourceSettings
    assert ADAPTER.settings_model("sink") is SinkSettings


def test_an_unforeseen_errno_of_the_claim_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(tmp_path, "a.csv")

    def failing(source: Path, target: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(claims, "rename_noreplace", failing)
        with pytest.raises(Transient) as raised:
            names(files_source(tmp_path))
    assert raised.value.message_id == "RNK5013E"
    assert names(files_source(tmp_path)) == ["a.csv"]
