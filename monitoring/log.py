"""The log of the bus: one line per record, with the stable id that stands in the catalogue.

    2026-11-20T01:30:00+09:00 RNK4001I the text in the site's language tenant=332020 records=480000

Owns: the form of a line. Severity is the id's last letter (I, W, E); the text comes from `contracts.messages`, so that a job scheduler
may watch for ids and a person read on. Facts never hold personal data: the caller masks (`contracts.masking`).
Until `set_up_log` is called, lines go to standard error in English.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, TextIO

import structlog

from contracts.errors import RenkeiError
from contracts.messages import Language, text
from contracts.messages.retelling import split_id

_CONTROLS: Final = {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}
"""What could break a line in two, or hide in one."""
_NAMES: Final = {"I": "info", "W": "warning", "E": "error"}

_Record = MutableMapping[str, Any]


def _now() -> datetime:
    return datetime.now(UTC)


class _Form:
    """Turns an id and its facts into a line."""

    def __init__(self, language: Language, zone: tzinfo | None, as_json: bool, now: Callable[[], datetime]) -> None:
        self.language = language
        self.zone = zone
        self.as_json = as_json
        self.now = now

    def __call__(self, _logger: object, _method: str, record: _Record) -> str:
        message_id = str(record["event"])
        facts = {name: self._told(value) for name, value in record["facts"].items()}
        at = self.now().astimezone(self.zone).isoformat(timespec="seconds")
        said = text(message_id, self.language, **{name: _shown(value) for name, value in facts.items()})
        if self.as_json:
            line = {"at": at, "id": message_id, "severity": severity(message_id), "text": said, "facts": facts}
            return json.dumps(line, ensure_ascii=False, default=str)
        shown = {name: _shown(value) for name, value in facts.items()}
        pairs = "".join(f" {name}={_quoted(value)}" for name, value in shown.items() if not _is_told_error(value, said))
        return f"{at} {message_id} {said.translate(_CONTROLS)}{pairs}"

    def _told(self, value: object) -> object:
        """An error is told in the log's language, after its id."""
        return f"{value.message_id} {value.text(self.language)}" if isinstance(value, RenkeiError) else value


def _shown(value: object) -> str:
    return str(value).translate(_CONTROLS)


def _is_told_error(value: str, said: str) -> bool:
    """Whether the fact is an error that the text has told already, by its id: a whole sentence is not written twice into one line."""
    parts = split_id(value)
    return parts is not None and parts[0] in said


def _quoted(value: str) -> str:
    if value and not any(character in ' "=\u3000' for character in value):
        return value
    return '"' + value.replace('"', '\\"') + '"'


def severity(message_id: str) -> str:
    """`info`, `warning` or `error`, by the id's last letter; an id without one counts as an error, so that it is seen."""
    return _NAMES.get(message_id[-1:], "error")


class _Log:
    """The one logger of the process; replaced whole by `set_up_log`."""

    logger: Any = None


def set_up_log(
    *,
    language: Language = "en",
    zone: tzinfo | None = None,
    as_json: bool = False,
    stream: TextIO | None = None,
    now: Callable[[], datetime] = _now,
) -> None:
    """Say where and how this process logs. May be called again.

    Args:
        language: Of the texts.
        zone: Of the times; None is the machine's.
        as_json: One JSON object per line instead of text: `at`, `id`, `severity`, `text`, `facts`.
        stream: Where lines go; None is standard error.
        now: The time, for tests.
    """
    _Log.logger = structlog.wrap_logger(
        structlog.WriteLogger(stream or sys.stderr),
        processors=[_Form(language, zone, as_json, now)],
        wrapper_class=structlog.BoundLogger,
    )


def log(message_id: str, /, **facts: object) -> None:
    """Write one line. `facts` fill the text and follow it as `key=value`; a RenkeiError among them is told in the log's language, once.
    May be called from any thread."""
    if _Log.logger is None:
        set_up_log()
    getattr(_Log.logger, severity(message_id))(message_id, facts=facts)
