"""Every contract the installation knows: the library that comes with it and the folders a site adds, read and checked at once.

Owns: finding contract files, the shape of a contract file (`ContractFile`: a contract and its text layouts), and names to objects.
What one contract or layout must satisfy beyond its shape is in `contracts.contract_check`. Loaded once; never changed afterwards.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import Field

from contracts.contract_check import problems_in
from contracts.documents import Document, parse, read_document
from contracts.errors import ContractUnknown, DocumentInvalid, Problem
from contracts.layouts.model import Layout
from contracts.model import Contract

CASES_ENDING: Final = ".cases.yaml"


class ContractFile(Contract):
    """One contract file: the contract and, by name, the text layouts its records may stand in."""

    layouts: dict[str, Layout] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Entry:
    contract: Contract
    layouts: dict[str, Layout]
    digest: str
    file: Path


def library_folder() -> Path:
    """Where the contracts stand that come with the product."""
    return Path(__file__).parent / "library"


class Registry:
    """Contracts and layouts by name. `warnings` are problems that do not stop the work (message ids ending in W); `broken` are the names
    of contracts whose files could not be read, where that did not end the reading (see `readable`)."""

    def __init__(self, entries: dict[str, _Entry], warnings: Sequence[Problem] = (), broken: Iterable[str] = ()) -> None:
        self._entries = entries
        self.broken = frozenset(broken)
        self.warnings = tuple(warnings)

    @classmethod
    def load(cls, folders: Sequence[Path] = ()) -> Registry:
        """Read the library and each folder's `*.yaml` (not its sub-folders, nor cases and translations).

        Raises:
            DocumentInvalid: with all problems of all files, each at its line; nothing is loaded then.
        """
        registry, problems = cls.readable(folders)
        if problems:
            raise DocumentInvalid(problems)
        return registry

    @classmethod
    def readable(cls, folders: Sequence[Path] = ()) -> tuple[Registry, list[Problem]]:
        """As `load`, but what can be read is there although other files have errors, which come back. For checking, not for working:
        a contract of `broken` is missing, and one with smaller mistakes is there with them."""
        entries: dict[str, _Entry] = {}
        problems: list[Problem] = []
        broken: set[str] = set()
        for folder in (library_folder(), *folders):
            if not folder.is_dir():
                problems.append(Problem("RNK1102E", folder, 0, 0, "", {"folder": str(folder)}))
                continue
            for file in sorted(folder.glob("*.yaml")):
                if not file.name.endswith(CASES_ENDING):
                    found = _read_into(entries, file)
                    problems.extend(found)
                    broken |= {file.stem} if any(problem.message_id.endswith("E") for problem in found) else set()
        errors = [problem for problem in problems if problem.message_id.endswith("E")]
        warnings = [problem for problem in problems if problem.message_id.endswith("W")]
        return cls(entries, warnings, broken - set(entries)), errors

    @classmethod
    def of_files(cls, paths: Iterable[Path]) -> Registry:
        """Read exactly these contract files and no others, e.g. one that is being written.

        Raises:
            DocumentInvalid: as `load`.
        """
        entries: dict[str, _Entry] = {}
        problems = [problem for path in paths for problem in _read_into(entries, path)]
        errors = [problem for problem in problems if problem.message_id.endswith("E")]
        if errors:
            raise DocumentInvalid(errors)
        return cls(entries, problems)

    def names(self) -> list[str]:
        """All contract names, sorted."""
        return sorted(self._entries)

    def contract(self, name: str) -> Contract:
        """The contract `name@version`.

        Raises:
            ContractUnknown: no such contract; names the nearest one.
        """
        return self._entry(name).contract

    def layouts(self, name: str) -> dict[str, Layout]:
        """The layouts of a contract by name, in file order.

        Raises:
            ContractUnknown: no such contract.
        """
        return dict(self._entry(name).layouts)

    def layout(self, name: str, layout: str) -> Layout:
        """One layout of one contract.

        Raises:
            ContractUnknown: no such contract, or it has no such layout.
        """
        layouts = self._entry(name).layouts
        if layout not in layouts:
            facts = {"contract": name, "layout": layout, "suggestion": _nearest(layout, layouts), "known": ", ".join(layouts)}
            raise ContractUnknown("RNK1104E", **facts)
        return layouts[layout]

    def digest(self, name: str) -> str:
        """SHA-256 of the contract's file, hexadecimal: recorded on what was validated with it."""
        return self._entry(name).digest

    def file(self, name: str) -> Path:
        """The file the contract was read from."""
        return self._entry(name).file

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            raise ContractUnknown("RNK1103E", contract=name, suggestion=_nearest(name, self._entries))
        return self._entries[name]


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def _read_into(entries: dict[str, _Entry], file: Path) -> list[Problem]:
    """Add one file to `entries`; what is wrong with it comes back."""
    try:
        document = read_document(file)
        if isinstance(document.data, dict) and "contract" not in document.data and "translation" in document.data:
            return []
        parsed = parse(document, ContractFile)
    except DocumentInvalid as invalid:
        return list(invalid.problems)
    return [*_add(entries, document, parsed), *problems_in(document, parsed, parsed.layouts)]


def _add(entries: dict[str, _Entry], document: Document, parsed: ContractFile) -> Iterable[Problem]:
    name = parsed.contract
    if name in entries:
        yield document.problem("RNK1105E", ("contract",), contract=name, other=str(entries[name].file))
        return
    if document.file.name != f"{name}.yaml":
        yield document.problem("RNK1106W", ("contract",), contract=name, expected=f"{name}.yaml")
    said = parsed.model_dump(exclude={"layouts"}, by_alias=True, exclude_unset=True)
    entries[name] = _Entry(Contract.model_validate(said), dict(parsed.layouts), document.digest, document.file)
