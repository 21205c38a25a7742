"""Operations of a site whose node is stopped, in the process of whoever asks: they answer, and begin nothing that was not asked for."""

from __future__ import annotations

from pathlib import Path

from bus.message import DeliveryState
from bus.node import open_operations
from tests.node.small_city import TENANT, csv, interface, people, running_city, subscription, until, write_city

FILE = "PEOPLE_20260401_001.csv"


def test_what_waits_is_delivered_by_the_node_and_not_by_who_only_asks(tmp_path: Path) -> None:
    write_city(
        tmp_path, [interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv")], [subscription("tax", "people")]
    )
    with running_city(tmp_path) as city:
        message = city.send("people", FILE, csv(people(5))).message
        assert message is not None
        city.deliveries(message)
        (tmp_path / "out" / "tax" / "tax_20260401_001.csv").unlink()
    with open_operations(tmp_path) as operations:
        operations.resend(message, "tax")
        before = len(operations.journal.entries(TENANT))
    for _ in range(2):
        with open_operations(tmp_path) as operations:
            states = [delivery["state"] for delivery in operations.deliveries(message=message)]
            assert states == [DeliveryState.DUE, DeliveryState.DELIVERED]
            assert len(operations.journal.entries(TENANT)) == before
    with running_city(tmp_path):
        until((tmp_path / "out" / "tax" / "tax_20260401_001.csv").exists)


def test_a_file_handed_in_is_delivered_by_who_handed_it_in(tmp_path: Path) -> None:
    write_city(
        tmp_path, [interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv")], [subscription("tax", "people")]
    )
    mine = tmp_path / FILE
    mine.write_bytes(csv(people(5)))
    with open_operations(tmp_path) as operations:
        intake = operations.submit(str(mine))["intake"]
        until(lambda: operations.intake_progress(intake)["finished"])
    assert (tmp_path / "out" / "tax" / "tax_20260401_001.csv").exists()
