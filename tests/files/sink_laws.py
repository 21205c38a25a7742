"""What every sink owes, whatever it writes to. A new adapter's test is a subclass of `SinkLaws` with the first methods filled in."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping

import pytest

from bus.adapter_ports import Publication, Sink
from bus.errors import Permanent, Transient

DELIVERY = "332020-d4"


class SinkLaws(ABC):
    """The laws. One test instance is one place; `new_sink` on the same place is what a restart does."""

    @abstractmethod
    def new_sink(self) -> Sink:
        """A sink on this test's place, knowing nothing of earlier ones."""

    @abstractmethod
    def visible(self) -> Mapping[str, bytes]:
        """What a receiver finds now, by name."""

    @abstractmethod
    def take(self, name: str) -> bytes:
        """Take one file, as its receiver does: afterwards it is gone."""

    @abstractmethod
    def hidden(self) -> list[str]:
        """Names of temporaries that stand there now."""

    def written(self, *chunks: bytes, name: str = "out.csv", marker: str | None = None, fence: int = 1) -> Publication:
        """A delivery written and sealed, not published."""
        opened = self.new_sink().open(DELIVERY, fence, [name], marker)
        for index, chunk in enumerate(chunks):
            opened.write_chunk(index, chunk)
        return opened.seal(b"done" if marker else None)

    def test_nothing_is_visible_before_it_is_published(self) -> None:
        publication = self.written(b"a" * 100_000, b"b", marker="out.csv.end")
        assert self.visible() == {}
        self.new_sink().publish(publication)
        assert self.visible() == {"out.csv": b"a" * 100_000 + b"b", "out.csv.end": b"done"}
        assert self.hidden() == []

    def test_the_publication_counts_its_bytes_and_survives_the_journal(self) -> None:
        publication = self.written(b"12", b"345", marker="m")
        assert publication.bytes == 5
        again = Publication.of_json(json.loads(json.dumps(publication.as_json())))
        self.new_sink().publish(again)
        assert self.visible()["out.csv"] == b"12345"

    def test_a_delivery_without_records_is_an_empty_file(self) -> None:
        self.new_sink().publish(self.written())
        assert self.visible() == {"out.csv": b""}

    def test_without_a_marker_name_there_is_no_marker(self) -> None:
        self.new_sink().publish(self.written(b"x"))
        assert set(self.visible()) == {"out.csv"}

    def test_publishing_again_changes_nothing(self) -> None:
        publication = self.written(b"x", marker="m")
        sink = self.new_sink()
        sink.publish(publication)
        sink.publish(publication)
        self.new_sink().publish(publication)
        assert self.visible() == {"out.csv": b"x", "m": b"done"}

    def test_what_was_taken_is_not_published_again(self) -> None:
        publication = self.written(b"x", marker="m")
        self.new_sink().publish(publication)
        assert (self.take("out.csv"), self.take("m")) == (b"x", b"done")
        self.new_sink().publish(publication)
        assert self.visible() == {}

    def test_a_name_not_yet_taken_is_never_overwritten(self) -> None:
        self.new_sink().publish(self.written(b"old"))
        with pytest.raises(Transient):
            self.new_sink().open("332020-d5", 1, ["out.csv"], None)
        assert self.visible() == {"out.csv": b"old"}

    def test_a_name_that_appears_before_publishing_is_not_overwritten_either(self) -> None:
        new = self.written(b"new", marker="m")
        other = self.new_sink().open("332020-d5", 1, ["out.csv"], None)
        other.write_chunk(0, b"old")
        self.new_sink().publish(other.seal(None))
        with pytest.raises(Transient):
            self.new_sink().publish(new)
        assert self.visible() == {"out.csv": b"old"}
        assert self.take("out.csv") == b"old"
        self.new_sink().publish(new)
        assert self.visible() == {"out.csv": b"new", "m": b"done"}

    def test_a_marker_not_yet_taken_holds_the_data_back(self) -> None:
        self.new_sink().publish(self.written(b"old", marker="m"))
        self.take("out.csv")
        with pytest.raises(Transient):
            self.written(b"new", marker="m", fence=2)
        assert self.visible() == {"m": b"done"}

    def test_abort_leaves_nothing_and_again_changes_nothing(self) -> None:
        opened = self.new_sink().open(DELIVERY, 1, ["out.csv"], "m")
        opened.write_chunk(0, b"x")
        opened.abort()
        opened.abort()
        assert (self.visible(), self.hidden()) == ({}, [])

    def test_abort_after_seal_leaves_nothing(self) -> None:
        opened = self.new_sink().open(DELIVERY, 1, ["out.csv"], "m")
        opened.seal(b"")
        opened.abort()
        assert (self.visible(), self.hidden()) == ({}, [])

    def test_a_new_fence_clears_what_older_ones_left(self) -> None:
        self.written(b"older", marker="m", fence=1)
        assert self.hidden()
        self.new_sink().publish(self.written(b"newer", marker="m", fence=2))
        assert self.visible() == {"out.csv": b"newer", "m": b"done"}
        assert self.hidden() == []

    def test_a_late_old_fence_does_not_harm_a_newer_one(self) -> None:
        publication = self.written(b"newer", fence=2)
        self.new_sink().open(DELIVERY, 1, ["out.csv"], None).abort()
        self.new_sink().publish(publication)
        assert self.visible() == {"out.csv": b"newer"}

    def test_a_new_fence_leaves_other_deliveries_alone(self) -> None:
        other = self.new_sink().open("332020-d45", 1, ["other.csv"], None)
        other.write_chunk(0, b"other")
        publication = other.seal(None)
        self.new_sink().publish(self.written(b"mine", fence=9))
        self.new_sink().publish(publication)
        assert self.visible() == {"out.csv": b"mine", "other.csv": b"other"}

    def test_several_files_hold_one_chunk_each_and_those_never_begun_are_left_out(self) -> None:
        opened = self.new_sink().open(DELIVERY, 1, ["1.xml", "2.xml", "3.xml"], "m")
        opened.write_chunk(0, b"one")
        opened.write_chunk(1, b"two")
        publication = opened.seal(None)
        assert publication.bytes == 6
        self.new_sink().publish(publication)
        assert self.visible() == {"1.xml": b"one", "2.xml": b"two", "m": b""}
        assert self.hidden() == []

    def test_chunks_out_of_order_are_refused(self) -> None:
        opened = self.new_sink().open(DELIVERY, 1, ["out.csv"], None)
        with pytest.raises(ValueError, match="out of order"):
            opened.write_chunk(1, b"x")
        opened.write_chunk(0, b"x")
        with pytest.raises(ValueError, match="out of order"):
            opened.write_chunk(0, b"x")
        opened.seal(None)
        with pytest.raises(ValueError, match="sealed"):
            opened.write_chunk(1, b"x")
        with pytest.raises(ValueError, match="sealed"):
            opened.seal(None)

    @pytest.mark.parametrize("name", ["../out.csv", "a/b.csv", ".hidden", "", "x\0y", "長" * 86])
    def test_a_name_that_leads_elsewhere_is_refused_for_good(self, name: str) -> None:
        for names, marker in (([name], None), (["out.csv"], name)):
            with pytest.raises(Permanent):
                self.new_sink().open(DELIVERY, 1, names, marker)
        assert (self.visible(), self.hidden()) == ({}, [])

    def test_one_name_twice_is_refused_for_good(self) -> None:
        with pytest.raises(Permanent):
            self.new_sink().open(DELIVERY, 1, ["out.csv"], "out.csv")

    def test_a_publication_that_is_not_ours_is_refused_for_good(self) -> None:
        with pytest.raises(Permanent):
            self.new_sink().publish(Publication((("../../etc/passwd", "out.csv"),), 0))

    def test_names_may_be_japanese_and_spaced(self) -> None:
        self.new_sink().publish(self.written(b"x", name="福祉 住民　異動.csv", marker="福祉 住民　異動.csv.完了"))
        assert set(self.visible()) == {"福祉 住民　異動.csv", "福祉 住民　異動.csv.完了"}


class RandomAccessLaws(SinkLaws):
    """What a sink owes whose open deliveries offer `local_path` as well."""

    def test_bytes_written_at_offsets_are_published(self) -> None:
        opened = self.new_sink().open(DELIVERY, 1, ["out.bin"], None)
        with open(opened.local_path(), "r+b") as file:  # type: ignore[attr-defined]  # noqa: PTH123
            os.pwrite(file.fileno(), b"world", 6)
            os.pwrite(file.fileno(), b"hello ", 0)
        publication = opened.seal(None)
        assert publication.bytes == 11
        self.new_sink().publish(publication)
        assert self.visible() == {"out.bin": b"hello world"}
