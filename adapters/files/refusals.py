"""Refused files: set aside where only the bus's own user may look, each with its reason in a file beside it.

Owns: the restricted folder and the names in it. `<name>` is the file as it came, `<name>.reason.json` says why for machines,
`<name>.reason.txt` for people in both languages. A name that is taken gets `.2`, `.3` ... added.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from adapters.files.folder import private_folder, rename_noreplace, sync_folder, write_durably
from contracts.messages import Language, action, text


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
        place = self._free(name)
        for suffix, content in ((".reason.json", _for_machines(name, reason)), (".reason.txt", _for_people(name, reason))):
            note = place.with_name(place.name + suffix)
            note.unlink(missing_ok=True)  # of a refusal that a crash cut short
            write_durably(note, content)
        sync_folder(self._folder)
        rename_noreplace(data, place)
        sync_folder(self._folder)
        sync_folder(data.parent)
        return place

    def _free(self, name: str) -> Path:
        number, place = 1, self._folder / name
        while os.path.lexists(place):
            number += 1
            place = self._folder / f"{name}.{number}"
        return place

    def _latest(self, name: str) -> Path:
        number, place = 2, self._folder / name
        while os.path.lexists(following := self._folder / f"{name}.{number}"):
            number, place = number + 1, following
        return place


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
