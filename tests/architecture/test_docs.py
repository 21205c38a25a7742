"""The documents agree with the code: links lead somewhere, commands and targets named in them exist, floors are those of the test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.cli.app import build
from bus.cli.language import commands_of
from tests.architecture.modules import ROOT
from tests.architecture.test_layers import FLOORS

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"\brenkei ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+(?:-[a-z]+)*))?")
TARGET = re.compile(r"\bmake ([a-z]+)\b")
CODE = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)


def _documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]


def _code_in(text: str) -> Iterator[str]:
    return (found.group() for found in CODE.finditer(text))


@pytest.mark.parametrize("document", _documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_tells_the_truth(document: Path) -> None:
    text = document.read_text("utf-8")
    links = [link.split("#")[0] for link in LINK.findall(CODE.sub("", text)) if "://" not in link and not link.startswith("#")]
    dead = [link for link in links if link and not (document.parent / link).exists()]
    assert not dead, f"dead links: {dead}"
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {target for code in _code_in(text) for target in TARGET.findall(code)} <= targets
    known = {path for path, _ in commands_of(build())}
    groups = {path.split()[0] for path in known if " " in path}
    for code in _code_in(text):
        for first, second in COMMAND.findall(code):
            assert first in known, f"there is no command: renkei {first}"
            if first in groups and second:
                assert f"{first} {second}" in known, f"there is no command: renkei {first} {second}"


def test_architecture_names_every_room_on_its_floor() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for floor, rooms in FLOORS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| {floor} |"))
        missing = [room for room in rooms if f"`{room}`" not in row and f"`{room}.*`" not in row]
        assert not missing, f"floor {floor} of docs/architecture.md does not name {missing}"


def test_both_readmes_begin_with_the_two_commands() -> None:
    for name in ("README.md", "README.ja.md"):
        first = re.search(r"```\n(.*?)```", (ROOT / name).read_text("utf-8"), re.DOTALL)
        assert first is not None
        assert TARGET.findall(first.group(1)) == ["demo", "test"]


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(LINK.findall((folder / "README.md").read_text("utf-8")))
    assert listed == {path.name for path in folder.glob("[0-9]*.md")}
