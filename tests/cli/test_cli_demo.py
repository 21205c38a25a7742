"""The demonstration, run whole as a new user runs it, with few records; and its proof, which must be able to fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bus.cli.demo_night import agrees, prepare
from bus.cli.exits import NothingThere
from tests.cli.conftest import delivery, message, totals


@pytest.mark.slow
@pytest.mark.parametrize(("language", "word"), [("en", "duplicate"), ("ja", "重複")])
def test_a_night_is_shown_from_the_drop_to_the_duplicate(tmp_path: Path, language: str, word: str) -> None:
    command = [str(Path(sys.executable).with_name("renkei")), "--lang", language, "demo", "--records", "2000", "--bad-share", "0.01"]
    environment = {**os.environ, "COLUMNS": "80"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for shown in ("csv_utf8", "mainframe_fixed", "xml", "2,000", "1,980", word, "RNK6051I", "RNK6053I", "+09:00"):
        assert shown in ended.stdout
    written = [Path(path) for path in re.findall(r"^  [a-z_]+: (/.*)$", ended.stdout, re.MULTILINE)]
    assert len(written) == 3
    assert all(path.stat().st_size > 0 and path.is_relative_to(tmp_path) for path in written)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(NothingThere):
        prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("a record was lost", {"out": totals(999)}),
    ("a record was doubled", {"out": totals(1001)}),
    ("less was taken in than was good", {"taken_in": totals(999), "out": totals(999)}),
    ("a sum disagrees", {"taken_in": totals(1000, tax="100"), "out": totals(1000, tax="99")}),
    ("not delivered", {"state": "quarantined"}),
]


@pytest.mark.parametrize(("why", "change"), WRONG, ids=[why for why, _ in WRONG])
def test_the_proof_fails_when(tmp_path: Path, why: str, change: dict[str, Any]) -> None:
    file = tmp_path / "out.csv"
    file.touch()
    assert agrees(message(), delivery(), file)
    assert not agrees(message(), {**delivery(), **change}, file)


def test_the_proof_wants_the_file(tmp_path: Path) -> None:
    assert not agrees(message(), delivery(), tmp_path / "gone.csv")


def test_the_proof_counts_rejected_records(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.touch()
    assert agrees(message(rejected=3), delivery(records=997), file)
    assert not agrees({**message(rejected=3), "records": 1001}, delivery(records=997), file)
