"""The manual of all messages as Markdown, made from the catalogue: `python -m bus.cli.messages_manual docs`.

Owns: `docs/messages.md` and `docs/messages.ja.md`, and the reading of an action for whom it calls. A test fails when the pages are older
than the catalogue.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bus.cli.exits import ExitCode
from bus.cli.language import word
from contracts.messages import AREAS, Entry, Language, catalogue

FILES: Final[dict[Language, str]] = {"en": "messages.md", "ja": "messages.ja.md"}
SEVERITIES: Final = "IWE"
_VENDOR: Final = ("fault of the product", "call maintenance", "report it with")
_SENDER: Final = ("sender", "the sending system")

_OF_THE_CONFIGURATION: Final = frozenset({"rule.era_date", "rule.not_in_table", "rule.too_wide", "rule.unmapped", "rule.unrepresentable"})
"""Rules that a record breaks on its way to one receiver: the sender is not at fault, the agreement with the receiver is."""


def manual(language: Language) -> str:
    """Every message by area: id, whom it calls, what happened, what to do."""
    lines = [f"# {word('manual.title', language)}", "", word("manual.made", language), "", word("manual.reading", language), ""]
    lines += [f"- **{letter}** {word(f'manual.severity.{letter}', language)}" for letter in SEVERITIES]
    lines += ["", word("manual.calls", language), ""]
    lines += [f"- **{word(f'manual.whom.{who}', language)}** {word(f'manual.who.{who}', language)}" for who in _WHO]
    lines += ["", f"{word('reference.exit_codes', language)}:", ""]
    lines += [f"- **{code.value}** {word(f'exit.{code.name}', language)}" for code in ExitCode]
    for area, beginning in AREAS.items():
        lines += ["", f"## {word(f'manual.area.{area}', language)}", "", *_table(beginning, language)]
    return "\n".join(lines) + "\n"


_WHO: Final = ("operator", "sender", "vendor", "nobody")


def called(message_id: str, entry: Entry) -> str:
    """Whom a message calls: `nobody` when nothing is to be done, `vendor` for a fault of the product, `sender` when the file must be
    mended where it was made, else the `operator` of the city.
    """
    action = entry.get("action_en", "")
    if action.startswith("nothing to do") or not (action or message_id.endswith("E")):
        return "nobody"
    if message_id in _OF_THE_CONFIGURATION:
        return "operator"
    if any(words in action for words in _VENDOR):
        return "vendor"
    return "sender" if message_id.startswith("rule.") or any(words in action for words in _SENDER) else "operator"


def _table(beginning: str, language: Language) -> Iterator[str]:
    yield f"| {' | '.join(word(f'manual.column.{name}', language) for name in ('id', 'whom', 'text', 'action'))} |"
    yield "|---|---|---|---|"
    for message_id, entry in sorted(catalogue().items()):
        if not message_id.startswith(beginning):
            continue
        whom = word(f"manual.whom.{called(message_id, entry)}", language)
        text, action = (entry["ja"], entry.get("action_ja", "")) if language == "ja" else (entry["en"], entry.get("action_en", ""))
        yield f"| {message_id} | {whom} | {_cell(text)} | {_cell(action)} |"


class _Names(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


def _cell(template: str) -> str:
    """A text with the names of its facts in braces, as one cell of a table."""
    filled = template.format_map(_Names())
    for character, shown in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("*", "\\*"), ("_", "\\_")):
        filled = filled.replace(character, shown)
    return " ".join(filled.split())


def main() -> None:
    """Write both files into the folder given."""
    folder = Path(sys.argv[1])
    for language, name in FILES.items():
        (folder / name).write_text(manual(language), "utf-8")


if __name__ == "__main__":
    main()
