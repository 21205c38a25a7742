"""A written example site to break, and ways to look at what the check says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from bus.example import write_example
from bus.site_check import check_site
from contracts.errors import Problem


@dataclass(frozen=True)
class ExampleSite:
    folder: Path

    def path(self, file: str) -> Path:
        return self.folder / (f"tenants/{file}.yaml" if file.isdigit() else file)

    def edit(self, file: str, old: str, new: str) -> int:
        """Replace the first `old`; returns the line of it."""
        path = self.path(file)
        text = path.read_text("utf-8")
        assert old in text, (file, old)
        path.write_text(text.replace(old, new, 1), "utf-8")
        return text[: text.index(old)].count("\n") + 1

    def found(self) -> list[Problem]:
        return check_site(self.folder)

    def said(self) -> list[tuple[str, str, int]]:
        """(message id, file, line) of every problem."""
        return [(p.message_id, p.file.name, p.line) for p in self.found()]


@pytest.fixture
def site(tmp_path: Path) -> ExampleSite:
    folder = tmp_path / "site"
    write_example(folder)
    return ExampleSite(folder)


