"""Which language the command speaks, and its words.

Owns: the choice (`--lang`, `RENKEI_LANG`, the locale), the words of tables and progress (`words.yaml`), and the Japanese help
(`help_ja.yaml`, laid over the English help that stands beside each command). Messages with an id are in `contracts/messages/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Any

import yaml

from contracts.messages import Language

_LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")


def chosen(option: str | None, environment: Mapping[str, str]) -> Language:
    """`ja` or `en`: the option, else RENKEI_LANG, else the locale of messages; anything but Japanese is English."""
    given = option or environment.get("RENKEI_LANG") or next((environment[name] for name in _LOCALE if environment.get(name)), "")
    return "ja" if given.lower().startswith("ja") else "en"


def known(option: str | None) -> bool:
    """Whether `--lang` names a language that the command speaks (none given counts as one): `ja`, `en`, or a locale of them."""
    return option is None or option.lower().replace("-", "_").split("_")[0] in ("ja", "en")


@cache
def words() -> dict[str, dict[str, str]]:
    """All words of tables and progress, by key: `{"ja": ..., "en": ...}`."""
    return dict(yaml.safe_load(files(__package__).joinpath("words.yaml").read_text("utf-8")))


def word(key: str, language: Language, /, **facts: object) -> str:
    """The word for `key`; the key itself when there is none (a state or stage that is newer than this list)."""
    entry = words().get(key)
    return entry[language].format(**facts) if entry else key


@cache
def _japanese_help() -> dict[str, dict[str, str]]:
    return dict(yaml.safe_load(files(__package__).joinpath("help_ja.yaml").read_text("utf-8")))


def commands_of(command: Any, path: Sequence[str] = ()) -> Iterator[tuple[str, Any]]:
    """Every command below `command` (itself first, its path `renkei`) with its path, e.g. `quarantine list`."""
    yield " ".join(path) or "renkei", command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands_of(child, [*path, name])


def speak(command: Any, language: Language) -> None:
    """Put the help of a whole command tree into `language`. English is what stands in the code."""
    if language == "en":
        return
    for path, found in commands_of(command):
        texts = _japanese_help().get(path, {})
        found.help = texts.get("help", found.help)
        found.short_help = _first_sentence(found.help or "")
        found.get_help = partial(_japanese_page, found.get_help)
        for parameter in found.params:
            parameter.help = texts.get(parameter.name, parameter.help)


def _first_sentence(text: str) -> str:
    return text.split("。", 1)[0]


def _japanese_page(english: Callable[[Any], str], context: Any) -> str:
    """A help page with the words of the page itself (headings, marks) in Japanese; its texts are Japanese already."""
    page = english(context)
    for key, entry in words().items():
        if key.startswith("help."):
            page = page.replace(entry["en"], entry["ja"])
    return page


def untranslated(command: Any) -> list[str]:
    """Commands and parameters without Japanese help, and Japanese help of what no longer exists."""
    missing, known = [], set()
    for path, found in commands_of(command):
        texts = _japanese_help().get(path, {})
        wanted = {"help", *(parameter.name for parameter in found.params if parameter.name != "help")}
        known.add(path)
        missing += [f"{path}: {name}" for name in sorted(wanted ^ set(texts))]
    return missing + sorted(set(_japanese_help()) - known)
