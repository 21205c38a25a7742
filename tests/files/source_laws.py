"""What every source owes, whatever it reads from. A new adapter's test is a subclass of `SourceLaws` with the first methods filled in."""

from __future__ import annotations

import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from bus.adapter_ports import Arrival, Source


class SourceLaws(ABC):
    """The laws. One test instance is one place; `new_source` on the same place is what a restart does."""

    @abstractmethod
    def new_source(self) -> Source:
        """A source on this test's place, knowing nothing of earlier ones."""

    @abstractmethod
    def send(self, name: str, data: bytes) -> None:
        """Send a file completely, the way a sender does."""

    @abstractmethod
    def begin_sending(self, name: str, data: bytes) -> Callable[[], None]:
        """Send a file but for the last step; calling the result takes that step."""

    def arrived(self, source: Source) -> list[Arrival]:
        """All arrivals of now. A source that needs several looks overrides this."""
        return list(source.arrivals())

    def test_a_complete_file_arrives_with_its_name_and_bytes(self) -> None:
        self.send("resident.csv", b"1,2\r\n")
        (arrival,) = self.arrived(self.new_source())
        assert (arrival.name, arrival.bytes, arrival.path.read_bytes()) == ("resident.csv", 5, b"1,2\r\n")

    def test_an_empty_file_arrives(self) -> None:
        self.send("empty.csv", b"")
        (arrival,) = self.arrived(self.new_source())
        assert (arrival.bytes, arrival.path.read_bytes()) == (0, b"")

    def test_nothing_sent_nothing_arrives(self) -> None:
        assert self.arrived(self.new_source()) == []

    def test_an_unfinished_file_waits_and_arrives_when_finished(self) -> None:
        source = self.new_source()
        finish = self.begin_sending("growing.csv", b"half")
        assert self.arrived(source) == []
        assert self.arrived(source) == []
        finish()
        (arrival,) = self.arrived(source)
        assert arrival.path.read_bytes() == b"half"

    def test_names_may_be_japanese_and_spaced(self) -> None:
        names = ["住民 異動 データ.csv", "resident 01.csv", "髙﨑　住民.csv"]
        for name in names:
            self.send(name, name.encode())
        assert {arrival.name: arrival.path.read_bytes() for arrival in self.arrived(self.new_source())} == {
            name: name.encode() for name in names
        }

    def test_files_come_in_the_order_of_their_names(self) -> None:
        for name in ("b_002.csv", "a_010.csv", "a_002.csv"):
            self.send(name, b"")
        assert [arrival.name for arrival in self.arrived(self.new_source())] == ["a_002.csv", "a_010.csv", "b_002.csv"]

    def test_a_file_at_work_is_not_handed_out_again(self) -> None:
        source = self.new_source()
        self.send("once.csv", b"")
        assert len(self.arrived(source)) == 1
        assert self.arrived(source) == []

    def test_accepted_ends_it_and_again_changes_nothing(self) -> None:
        source = self.new_source()
        self.send("done.csv", b"")
        (arrival,) = self.arrived(source)
        source.accepted(arrival)
        source.accepted(arrival)
        assert not arrival.path.exists()
        assert self.arrived(source) == []
        assert self.arrived(self.new_source()) == []

    def test_unfinished_work_comes_again_after_a_restart_before_anything_new(self) -> None:
        self.send("m_older.csv", b"older")
        (before,) = self.arrived(self.new_source())
        self.send("a_newer.csv", b"newer")
        again = self.arrived(self.new_source())
        assert [(arrival.name, arrival.path.read_bytes()) for arrival in again] == [("m_older.csv", b"older"), ("a_newer.csv", b"newer")]
        assert again[0] == before

    def test_the_same_name_may_come_again_while_the_first_is_at_work(self) -> None:
        source = self.new_source()
        self.send("daily.csv", b"first")
        (first,) = self.arrived(source)
        self.send("daily.csv", b"second")
        (second,) = self.arrived(source)
        assert (first.path.read_bytes(), second.path.read_bytes()) == (b"first", b"second")
        source.accepted(first)
        assert second.path.read_bytes() == b"second"

    def test_refused_is_kept_whole_with_its_reason_out_of_others_sight(self) -> None:
        source = self.new_source()
        self.send("bad.csv", b"\x00bad")
        (arrival,) = self.arrived(source)
        place = source.refused(arrival, {"message_id": "RNK5016E", "facts": {"path": "bad.csv", "error": "EFBIG"}})
        assert place.read_bytes() == b"\x00bad"
        reasons = [path for path in place.parent.iterdir() if path.name.startswith("bad.csv.reason")]
        assert reasons
        assert all("EFBIG" in path.read_text("utf-8") for path in reasons)
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
        assert self.arrived(source) == []
        assert self.arrived(self.new_source()) == []

    def test_refused_again_changes_nothing(self) -> None:
        source = self.new_source()
        self.send("bad.csv", b"bad")
        (arrival,) = self.arrived(source)
        place = source.refused(arrival, {"reason": "first"})
        before = {path: path.read_bytes() for path in place.parent.iterdir()}
        assert source.refused(arrival, {"reason": "second"}) == place
        assert {path: path.read_bytes() for path in place.parent.iterdir()} == before

    def test_refusing_a_second_file_of_a_name_keeps_the_first(self) -> None:
        source = self.new_source()
        places = []
        for data in (b"first", b"second"):
            self.send("bad.csv", data)
            (arrival,) = self.arrived(source)
            places.append(source.refused(arrival, {"reason": "no"}))
        assert [place.read_bytes() for place in places] == [b"first", b"second"]

    def test_two_askers_at_once_get_each_file_once(self) -> None:
        source = self.new_source()
        names = [f"f{number:02}.csv" for number in range(20)]
        for name in names:
            self.send(name, b"")
        got: list[str] = []
        start = threading.Barrier(2)

        def ask() -> None:
            start.wait()
            got.extend(arrival.name for arrival in source.arrivals())

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        got.extend(arrival.name for arrival in self.arrived(source))
        assert sorted(got) == names
