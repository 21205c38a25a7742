"""On what the nodes of the tests stand: the embedded back ends, or real services.

RENKEI_TEST_BACKEND=embedded (the default) is SQLite and hints in the process; `services` is PostgreSQL and RabbitMQ, started by the tests
that need them. Whoever writes a site.yaml asks here for what stands under `journal:` and `broker:`. The same folder is always given the
same database.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from tests.services.postgres import Database, fresh_database

Backend = Literal["embedded", "services"]

VARIABLE: Final = "RENKEI_TEST_BACKEND"


def backend() -> Backend:
    """The back end of this run."""
    chosen = os.environ.get(VARIABLE, "embedded")
    assert chosen in {"embedded", "services"}, f"{VARIABLE} is `embedded` or `services`, not {chosen}"
    return "services" if chosen == "services" else "embedded"


def journal_settings(folder: Path) -> dict[str, str]:
    """What stands under `journal:` of the site in `folder`, besides its `file`."""
    return {} if backend() == "embedded" else journal_database(folder).settings


def broker_settings(folder: Path) -> dict[str, Any] | None:
    """What stands under `broker:` of the site in `folder`; None: nothing, the hints stay in the process."""
    return None


def journal_database(folder: Path) -> Database:
    """The PostgreSQL database of a folder, made when it is asked for first."""
    return _of_folder(folder.resolve())


@cache
def _of_folder(_folder: Path) -> Database:
    return fresh_database()
