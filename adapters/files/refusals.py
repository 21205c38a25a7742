"""Refused files: set aside where only the bus's own user may look, each with its reason in a file beside it.

Owns: the restricted folder and the names in it. `<name>` is the file as it came, `<name>.reason.json` says why for machines,
`<name>.reason.txt` for people in both languages. A name that is taken gets `.2`, `.3` ... added; one too long for that is cut.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Final

from adapters.files.folder import private_folder, rename_noreplace, sync_folder, write_durably
from bus.names import LONGEST_NAME_BYTES
from contracts.messages import Language, action, text

_FOR_MACHINES: Final = ".reason.json"
_FOR_PEOPLE: Final = ".reason.txt"
_MOST_ADDED: Final = f".999999{_FOR_MACHINES}"


class Refusals:
    """The refused files of one drop folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def set_aside(self, data: Path, name: str, reason: Mapping[str, object]) -> Path:
        """Move a claimed file here, after its reason. Returns where it stands.

        When `data` is gone it was set aside before: then nothing changes, and the latest place of that name is returned.

        Raises:
            OSError: the file is still where it was.
        """
        private_folder(self._folder)
        if not os.path.lexists(data):
            return self._latest(name)
        place = next(place for place in self._places(name) if not _taken(place))
        for suffix, content in ((_FOR_MACHINES, _for_machines(name, reason)), (_FOR_PEOPLE, _for_people(name, reason))):
            note = _beside(place, suffix)
            note.unlink(missing_ok=True)  # of a refusal that a crash cut short
            write_durably(note, content)
        sync_folder(self._folder)
        rename_noreplace(data, place)
        sync_folder(self._folder)
        sync_folder(data.parent)
        return place

    def _places(self, name: str) -> Iterator[Path]:
        """Where a file of this name may stand, one place after another, without end."""
        kept = name.encode()[: LONGEST_NAME_BYTES - len(_MOST_ADDED)].decode(errors="ignore")
        yield self._folder / kept
        for number in count(2):
            yield self._folder / f"{kept}.{number}"

    def _latest(self, name: str) -> Path:
        latest = next(self._places(name))
        for place in self._places(name):
            if not _taken(place):
                break
            latest = place if os.path.lexists(place) else latest
        return latest


def _beside(place: Path, suffix: str) -> Path:
    return place.with_name(place.name + suffix)


def _taken(place: Path) -> bool:
    """Whether a file stands there, or a refused file stands where its reason would: that one has a reason of its own beside it."""
    reasons = (_beside(place, _FOR_MACHINES), _beside(place, _FOR_PEOPLE))
    return os.path.lexists(place) or any(os.path.lexists(_beside(reason, _FOR_MACHINES)) for reason in reasons)


def _for_machines(name: str, reason: Mapping[str, object]) -> bytes:
    return json.dumps({"file": name, **reason}, ensure_ascii=False, indent=2, default=str).encode() + b"\n"


def _for_people(name: str, reason: Mapping[str, object]) -> bytes:
    message_id = reason.get("message_id")
    facts = reason.get("facts")
    told = {str(key): value for key, value in (facts if isinstance(facts, Mapping) else reason).items()}
    lines = [name]
    if isinstance(message_id, str):
        languages: tuple[Language, Language] = ("ja", "en")
        lines += [f"{message_id} {text(message_id, language, **told)}\n{action(message_id, language, **told)}" for language in languages]
    else:
        lines += [f"{key}: {value}" for key, value in reason.items()]
    return ("\n\n".join(lines) + "\n").encode()
