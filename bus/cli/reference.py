"""The reference of all commands as Markdown, made from the commands themselves: `python -m bus.cli.reference docs`.

Owns: `docs/cli.md` and `docs/cli.ja.md`. A test fails when they are older than the commands.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bus.cli.app import build
from bus.cli.exits import ExitCode
from bus.cli.language import commands_of, speak, word
from contracts.messages import Language

FILES: Final[dict[Language, str]] = {"en": "cli.md", "ja": "cli.ja.md"}


def reference(language: Language) -> str:
    """All commands with their arguments and options, and the exit codes."""
    command = build()
    speak(command, language)
    lines = [f"# {word('reference.title', language)}", "", word("reference.made", language), ""]
    for path, found in commands_of(command):
        lines += [*_command(path, found, language), ""]
    lines += [f"## {word('reference.exit_codes', language)}", ""]
    lines += [f"- **{code.value}** {word(f'exit.{code.name}', language)}" for code in ExitCode]
    return "\n".join(lines) + "\n"


def _command(path: str, found: Any, language: Language) -> Iterator[str]:
    shown = "renkei" if path == "renkei" else f"renkei {path}"
    pieces = [parameter.name.upper() for parameter in found.params if parameter.param_type_name == "argument"]
    if getattr(found, "commands", None):
        pieces.append(word("reference.command", language))
    yield f"## `{' '.join([shown, *pieces])}`"
    yield ""
    yield (found.help or "").strip()
    listed = [parameter for parameter in found.params if parameter.name != "help"]
    if listed:
        yield ""
    for parameter in listed:
        argument = parameter.param_type_name == "argument"
        name = parameter.name.upper() if argument else ", ".join(parameter.opts)
        yield f"- `{name}` {parameter.help or ''}".rstrip()


def main() -> None:
    """Write both files into the folder given."""
    folder = Path(sys.argv[1])
    for language, name in FILES.items():
        (folder / name).write_text(reference(language), "utf-8")


if __name__ == "__main__":
    main()
