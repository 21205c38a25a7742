"""Translations by name, read from the product's own folder and a site's folders, with the tables they look up in.

Owns: finding files, reading lookup tables into the translation, digests, and collecting every problem of every file at once.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from contracts.documents import Document, parse, read_document
from contracts.errors import ContractUnknown, DocumentInvalid, Problem
from contracts.model import Contract
from contracts.translation import Translation
from contracts.translation_lint import lint

LIBRARY: Final = Path(__file__).parent / "translations"
TABLE_LIMIT_BYTES: Final = 32 * 1024 * 1024

_Steps = tuple[str | int, ...]


class Contracts(Protocol):
    """What is needed of `contracts.registry.Registry`."""

    def contract(self, name: str) -> Contract:
        """The contract; ContractUnknown when there is none."""
        ...


@dataclass(slots=True)
class Found:
    """All translations that could be read, and all problems of all files: errors (ids ending in E) and warnings (W)."""

    translations: dict[str, Translation] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def errors(self) -> list[Problem]:
        """The problems that forbid use."""
        return [problem for problem in self.problems if problem.message_id.endswith("E")]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that a person should know of."""
        return [problem for problem in self.problems if problem.message_id.endswith("W")]


def load_translations(folders: Sequence[Path], registry: Contracts) -> dict[str, Translation]:
    """The product's translations and those of the folders (`*.yaml`), by name.

    Raises:
        DocumentInvalid: one or more files have errors; lists every one of them. Warnings are left out (see `find_translations`).
    """
    found = find_translations(folders, registry)
    if found.errors:
        raise DocumentInvalid(found.errors)
    return found.translations


def find_translations(folders: Sequence[Path], registry: Contracts) -> Found:
    """Like `load_translations`, but gives back problems, warnings too, instead of raising."""
    found = Found()
    for folder in (LIBRARY, *folders):
        if not folder.is_dir():
            found.problems.append(Problem("RNK1300E", folder, 0, 0, "", {"folder": str(folder)}))
            continue
        for file in sorted(folder.glob("*.yaml")):
            _add(file, registry, found)
    return found


def _add(file: Path, registry: Contracts, found: Found) -> None:
    try:
        document = read_document(file)
        tables = list(_fill_tables(document, found.problems))
        translation = parse(document, Translation)
    except DocumentInvalid as invalid:
        found.problems.extend(invalid.problems)
        return
    except OSError as error:
        found.problems.append(Problem("RNK1301E", file, 0, 0, "", {"path": str(file), "reason": error.strerror or str(error)}))
        return
    name = translation.translation
    earlier = found.translations.get(name)
    if earlier is not None:
        found.problems.append(document.problem("RNK1302E", ("translation",), name=name, other=str(earlier.file)))
        return
    digest = hashlib.sha256("".join([document.digest, *tables]).encode()).hexdigest()
    found.translations[name] = translation.loaded_from(file, digest)
    ends = [_contract(registry, document, key) for key in ("from", "to")]
    found.problems.extend(end for end in ends if isinstance(end, Problem))
    source, target = ends
    if isinstance(source, Contract) and isinstance(target, Contract):
        found.problems.extend(lint(translation, source, target, document))


def _contract(registry: Contracts, document: Document, key: str) -> Contract | Problem:
    name = str(document.data[key])
    try:
        return registry.contract(name)
    except ContractUnknown as unknown:
        return document.problem("RNK1303E", (key,), name=name, reason=unknown.text("en"))


def _fill_tables(document: Document, problems: list[Problem]) -> Iterator[str]:
    """Put the entries of every lookup table into the document; yields each table's digest."""
    for path, step in _lookups(document.data, ()):
        table, key, value = step.get("table"), step.get("key"), step.get("value")
        if not (isinstance(table, str) and isinstance(key, str) and isinstance(value, str)):
            continue  # the model will say what is missing
        try:
            raw = _table_bytes(document.file.parent, table)
            step["entries"] = _entries(raw, key, value)
            yield hashlib.sha256(raw).hexdigest()
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            problems.append(document.problem("RNK1304E", (*path, "table"), table=table, reason=reason))


def _lookups(data: Any, path: _Steps) -> Iterator[tuple[_Steps, dict[str, Any]]]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "lookup" and isinstance(value, dict):
                yield (*path, key), value
            else:
                yield from _lookups(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _lookups(value, (*path, index))


def _table_bytes(folder: Path, table: str) -> bytes:
    """A table stands beside its translation or below it, never elsewhere."""
    file = (folder / table).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise ValueError("outside the translation's folder")
    if file.stat().st_size > TABLE_LIMIT_BYTES:
        raise ValueError(f"> {TABLE_LIMIT_BYTES} bytes")
    return file.read_bytes()


def _entries(raw: bytes, key: str, value: str) -> dict[str, str]:
    rows = csv.DictReader(raw.decode("utf-8-sig").splitlines(), strict=True)
    missing = [title for title in (key, value) if title not in (rows.fieldnames or [])]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}")
    entries: dict[str, str] = {}
    try:
        for row in rows:
            old, new = row[key], row[value]
            if old is None or new is None or None in row:
                raise ValueError(f"line {rows.line_num}: wrong number of columns")
            if entries.setdefault(old, new) != new:
                raise ValueError(f"line {rows.line_num}: {key} stands twice with different values")
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}") from error
    return entries
