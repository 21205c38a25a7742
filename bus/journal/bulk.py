"""Writing many rows at once, at the cost of the database alone.

Owns: `Bulk`, an INSERT or UPDATE compiled once per kind of database and handed to its driver as it is. SQLAlchemy writes the statement;
only the handling of each row's values is left out, which costs more than the row itself. JSON columns must be given as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Connection, Insert, Update


class Bulk:
    """A statement for rows that all have the same values: an INSERT of `columns`, or an UPDATE with parameters of its own. What the
    statement sets besides them is the same for every row."""

    def __init__(self, statement: Insert | Update, columns: str = "") -> None:
        self._statement = statement
        self._columns = columns.split() or None
        self._compiled: dict[str, tuple[str, itemgetter[Any] | None]] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write `rows`; nothing when there are none. Each has every value that is asked for."""
        if not rows:
            return
        sql, pick = self._for(connection)
        connection.exec_driver_sql(sql, [pick(row) for row in rows] if pick is not None else list(rows))

    def _for(self, connection: Connection) -> tuple[str, itemgetter[Any] | None]:
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
            pick = itemgetter(*compiled.positiontup) if compiled.positiontup else None
            self._compiled[dialect.name] = (str(compiled), pick)
        return self._compiled[dialect.name]


def json_text(value: object) -> str:
    """`value` as the text of a JSON column."""
    return orjson.dumps(value).decode()
