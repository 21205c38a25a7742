"""One corrupted byte between writing and publishing: nothing is published, and the delivery is written again, unless a part is out."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus import delivery
from bus.adapter_ports import Publication
from bus.batch.pool import WorkerPool
from bus.batch.recipe import WriteRecipe
from bus.delivery_output import Output, seal_and_recount
from bus.message import FINISHED, Delivery, DeliveryState, QuarantineKind
from bus.node import Node, running_node
from tests.faults.night import Nights, nights
from tests.faults.night_site import TENANT, Tries, drop, people, write_site
from tests.faults.real_node import until


def damage(path: Path, place: int) -> None:
    """Flip one bit of one byte; a negative place counts from the end."""
    with path.open("r+b") as file:
        file.seek(place, 2 if place < 0 else 0)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def temporaries(folder: Path) -> list[Path]:
    """What waits in a target folder under temporary names, the marker last."""
    return sorted(folder.glob(".renkei-*.tmp"))


# --- before it is counted again


@pytest.mark.slow
def test_a_byte_damaged_before_the_recount_is_never_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file is left alone. Of each file after it one byte is flipped: in the header, a record, the trailer, the last of all."""
    site = write_site(tmp_path / "site", tries=Tries(first_seconds=0.05))
    places = {2: 0, 3: 40, 4: 20_000, 5: 71_500, 6: -1}
    damaged: list[Path] = []

    async def damaging(pool: WorkerPool, claimed: Delivery, recipe: WriteRecipe, output: Output, marker: bytes | None) -> Publication:
        place = places.pop(int(claimed.file_name[:3]), None) if claimed.subscription == "fixed" else None
        if place is not None:
            damaged.extend(output.files)
            damage(output.files[0], place)
        return await seal_and_recount(pool, claimed, recipe, output, marker)

    monkeypatch.setattr(delivery, "seal_and_recount", damaging)
    for sequence in range(1, 7):
        drop(site, sequence, people())
    with running_node(site, listen=False) as node:
        until(lambda: _done(node, 18), "all is delivered")
        for fixed in node.parts.journal.deliveries(subscription="fixed"):
            assert fixed.state is DeliveryState.DELIVERED_WITH_REFUSALS
            assert (fixed.attempts, fixed.last_error[:8]) == ((0, "") if fixed.file_name == "001.dat" else (1, "RNK4005E"))
        assert {one.attempts for one in node.parts.journal.deliveries() if one.subscription != "fixed"} == {0}
    assert not places
    assert len(damaged) == 5
    assert not any(path.exists() for path in damaged)
    assert len({path.read_bytes() for path in (site / "out" / "fixed").glob("*.dat")}) == 1
    assert temporaries(site / "out" / "fixed") == []


def _done(node: Node, deliveries: int) -> bool:
    states = [one.state for one in node.parts.journal.deliveries()]
    return len(states) == deliveries and all(state in FINISHED for state in states)


# --- after it was counted, before it is renamed


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    with nights(tmp_path_factory.mktemp("damaged")) as made:
        yield made


def killed_ready(chain: Nights, subscription: str) -> int:
    """A night whose node was killed as the delivery to `subscription` was ready to publish; returns its sequence."""
    while True:
        chain.node.start()
        chain.node.stop_at("before_rename=kill-group")
        sequence = chain.drop()
        assert chain.node.died() == -signal.SIGKILL
        if chain.deliveries(sequence)[subscription].state is DeliveryState.READY_TO_PUBLISH:
            return sequence
        chain.node.start()
        chain.finish(sequence)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "place"), [(0, 300), (0, 10), (2, -5), (-1, 2)], ids=["record", "opening", "closing", "marker"])
def test_a_byte_damaged_after_the_recount_is_refused_and_all_is_written_again(chain: Nights, file: int, place: int) -> None:
    sequence = killed_ready(chain, "xml")
    damage(temporaries(chain.site / "out" / "xml")[file], place)
    chain.node.start()
    chain.finish(sequence)
    xml = chain.deliveries(sequence)["xml"]
    assert (xml.state, xml.attempts, xml.last_error[:8]) == (DeliveryState.DELIVERED, 1, "RNK4005E")
    assert chain.taken(sequence) == chain.expected
    assert chain.outcome(sequence).duplicated == 0
    voided = [entry for entry in chain.journal.entries(TENANT, subject=xml.id) if entry.facts.get("unpublished")]
    assert len(voided) == 1


@pytest.mark.slow
def test_what_is_published_in_part_is_never_written_again(chain: Nights) -> None:
    sequence = killed_ready(chain, "xml")
    xml = chain.deliveries(sequence)["xml"]
    renames = xml.publication["renames"]
    assert isinstance(renames, list)
    folder = chain.site / "out" / "xml"
    first = renames[0]
    (folder / first[0]).rename(folder / first[1])  # published, and taken at once
    until(lambda: chain.receiver.has({f"xml/{first[1]}"}), "the receiver has the first document")
    damage(folder / renames[1][0], 300)
    chain.node.start()
    until(lambda: chain.deliveries(sequence)["xml"].state is DeliveryState.QUARANTINED, "it is given up", chain.node.told)
    given_up = chain.journal.quarantine(kind=QuarantineKind.GIVEN_UP.value)
    assert [entry.delivery for entry in given_up] == [xml.id]
    assert chain.deliveries(sequence)["xml"].last_error.startswith("RNK4032E")
    assert [label for label in chain.taken(sequence) if label.startswith("xml/")] == ["xml/SEQ-01.xml"]

    damage(folder / renames[1][0], 300)  # somebody restores the bytes: what is left may go out after all
    chain.journal.release(given_up[0].id, by="operator")
    chain.finish(sequence)
    assert chain.taken(sequence) == chain.expected
    assert chain.outcome(sequence).duplicated == 0
