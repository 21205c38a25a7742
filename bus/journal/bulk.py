"""Writing many rows at once, at the cost of the database alone.

Owns: `Bulk`, an INSERT or UPDATE compiled once per kind of database and handed to its driver as it is. SQLAlchemy writes the statement;
only the handling of each row's values is left out, which costs more than the row itself. JSON columns must be given as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Insert, Update

MOST_IN_ONE: Final = 64
"""Rows of one statement: SQLite takes 32,766 parameters, the longest row has 24."""


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
        if pick is None:
            connection.exec_driver_sql(sql, list(rows))
        elif isinstance(self._statement, Insert):
            _insert_together(connection, sql, [pick(row) for row in rows])
        else:
            connection.exec_driver_sql(sql, [pick(row) for row in rows])

    def _for(self, connection: Connection) -> tuple[str, itemgetter[Any] | None]:
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
            pick = itemgetter(*compiled.positiontup) if compiled.positiontup else None
            self._compiled[dialect.name] = (str(compiled), pick)
        return self._compiled[dialect.name]


def _insert_together(connection: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Many rows with one statement each time. SQLite's driver lets other threads run after every row that it is given by itself, and
    then waits for its turn again: beside a busy event loop that takes longer than the rows. Numbers of rows are powers of two, so that
    there are few different statements to be compiled and kept."""
    head, _, values = sql.partition(" VALUES ")
    begin = 0
    while begin < len(rows):
        count = min(MOST_IN_ONE, 1 << ((len(rows) - begin).bit_length() - 1))
        together = rows[begin : begin + count]
        many = f"{head} VALUES {', '.join([values] * count)}"
        connection.exec_driver_sql(many, tuple(chain.from_iterable(together)))
        begin += count


def json_text(value: object) -> str:
    """`value` as the text of a JSON column."""
    return orjson.dumps(value).decode()
