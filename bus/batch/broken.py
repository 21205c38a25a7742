"""Broken records on their way to quarantine: as JSON lines in a sealed part, and as counts without values for the journal.

Owns: the form of a rejects part. One line per record: `{"ordinal", "line", "byte", "raw", "broken": [{"field", "rule", "severity",
"byte", "value"}]}`; `raw` is base64 of the record's bytes as they came (absent where the record came from no file).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from bus.message import BrokenRule

Raw = Mapping[int, tuple[int, bytes]]
Locate = Callable[[bytes, str], int]


def _unknown(record: bytes, field: str) -> int:  # noqa: ARG001 - as every Locate
    return 0


def rejected_ordinals(violations: pl.DataFrame) -> list[int]:
    """Ordinals of the records that break a rule of severity reject, ascending."""
    rejecting = violations.filter(pl.col("severity") == "reject")
    return rejecting.get_column("ordinal").unique().sort().to_list()


def counts(violations: pl.DataFrame) -> list[BrokenRule]:
    """How often each rule was broken, by field, in order of first appearance."""
    grouped = violations.group_by("field", "rule", "severity", maintain_order=True).len()
    return [BrokenRule(field, rule, severity, count) for field, rule, severity, count in grouped.iter_rows()]


def merged(parts: Sequence[Sequence[BrokenRule]]) -> list[BrokenRule]:
    """Counts of several chunks added up."""
    total: dict[tuple[str, str, str], int] = {}
    for rule in (rule for part in parts for rule in part):
        key = (rule.field, rule.rule, rule.severity)
        total[key] = total.get(key, 0) + rule.count
    return [BrokenRule(*key, count) for key, count in total.items()]


def lines(violations: pl.DataFrame, raw: Callable[[Sequence[int]], Raw] | None, locate: Locate = _unknown) -> bytes:
    """The rejects part of the records that break a rule of severity reject; empty bytes when there is none.

    `locate` tells where a field begins within a record's bytes; a rule of which only the record's place is known gets its field's."""
    ordinals = rejected_ordinals(violations)
    if not ordinals:
        return b""
    kept = violations.filter(pl.col("ordinal").is_in(ordinals)).sort("ordinal", maintain_order=True)
    originals = raw(ordinals) if raw else {}
    return "".join(
        json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in _records(kept, originals, locate)
    ).encode("utf-8", "surrogatepass")


def _records(violations: pl.DataFrame, originals: Raw, locate: Locate) -> Iterator[dict[str, object]]:
    for (ordinal,), rows in violations.group_by("ordinal", maintain_order=True):
        number = int(str(ordinal))
        found = rows.to_dicts()
        record: dict[str, object] = {"ordinal": number, "line": found[0]["line"], "byte": found[0]["byte"]}
        if number in originals:
            offset, bytes_ = originals[number]
            record |= {"byte": offset, "raw": base64.b64encode(bytes_).decode("ascii")}
            for row in found:
                if row["field"] and row["byte"] == offset:
                    row["byte"] = offset + locate(bytes_, row["field"])
        record["broken"] = [{key: row[key] for key in ("field", "rule", "severity", "byte", "value")} for row in found]
        yield record


def read_lines(part: bytes) -> Iterator[dict[str, object]]:
    """The records of a rejects part."""
    for line in part.splitlines():
        yield json.loads(line)
