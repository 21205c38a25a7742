"""The entry point: builds the commands in the chosen language, runs one, and turns its end into an exit code.

Owns: the options that every command takes (`--lang`, `--site`, before or after the command's name) and the meaning of errors.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from bus.cli import api_commands, bench, contract_commands, demo, generate, keys, night, publish, quarantine, show, site_commands, subscribe
from bus.cli.exits import ExitCode, of_error
from bus.cli.language import chosen, known, speak
from bus.cli.session import Session
from bus.errors import told_of
from contracts.errors import RenkeiError
from contracts.messages import Language, retold

EVERYWHERE = ("--lang", "--site")


def build() -> Any:
    """The command tree, in English."""
    app = typer.Typer(
        name="renkei",
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"max_content_width": 110},
        help="Renkei: the integration bus of a municipality. Files and events come in, stay in the journal, and are delivered once.",
    )

    @app.callback()
    def root(
        lang: Annotated[str | None, typer.Option(help="Language: ja or en. Otherwise RENKEI_LANG, otherwise the locale.")] = None,
        site: Annotated[Path | None, typer.Option(help="Folder of site.yaml. Otherwise RENKEI_SITE, otherwise the current folder.")] = None,
        version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version and exit.")] = False,
    ) -> None:
        # The first two are taken out of the arguments before; they stand here to be shown in the help.
        del lang, site, version

    for part in (site_commands, demo, night, publish, subscribe, generate):
        part.add(app)
    app.add_typer(quarantine.commands(), name="quarantine")
    app.add_typer(keys.commands(), name="keys")
    app.add_typer(api_commands.commands(), name="api")
    app.add_typer(contract_commands.commands(), name="contract")
    app.add_typer(bench.commands(), name="bench")
    return get_command(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"renkei {version('renkei-bus')}")
        raise typer.Exit


def main() -> None:
    """`renkei`, as the shell starts it."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environment: Mapping[str, str], session: Session | None = None) -> int:
    """Run one command line and return its exit code. `session` replaces what would be made from options and environment."""
    rest, given = _taken_out(arguments)
    language = chosen(given.get("--lang"), environment)
    folder = Path(given.get("--site") or environment.get("RENKEI_SITE") or ".")
    session = replace(session, language=language) if session else Session(language, folder)
    try:
        command = build()
        speak(command, language)
        if not known(given.get("--lang")):
            raise typer.BadParameter(f"{given['--lang']!r} is not one of 'ja', 'en'.", param_hint="'--lang'")
        ended = command.main(list(rest), prog_name="renkei", standalone_mode=False, obj=session)
    except RenkeiError as error:
        show.error(session, error)
        return of_error(error)
    except typer.TyperException as error:
        return _misused(session, error)
    except (KeyboardInterrupt, typer.Abort):
        show.warn(session, "RNK6005W")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`renkei messages | head`); nothing is wrong. Keep the interpreter's last flush quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.NORMAL
    except Exception as error:  # noqa: BLE001 - the last place that can tell a person
        return _unexpected(session, error, environment)
    return ended if isinstance(ended, int) else ExitCode.NORMAL


def _taken_out(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The options that stand anywhere, taken out of the others. Nothing after `--` is looked at."""
    rest: list[str] = []
    given: dict[str, str] = {}
    waiting = iter(arguments)
    for argument in waiting:
        name, equals, value = argument.partition("=")
        if argument == "--":
            return [*rest, argument, *waiting], given
        if name not in EVERYWHERE:
            rest.append(argument)
        elif equals:
            given[name] = value
        elif (following := next(waiting, None)) is not None:
            given[name] = following
        else:
            rest.append(argument)
    return rest, given


def _misused(session: Session, error: typer.TyperException) -> int:
    """A wrong command line: what is wrong, and where the help is."""
    if type(error).__name__ == "NoArgsIsHelpError":
        session.err.print(error.format_message(), soft_wrap=True, markup=False)
        return ExitCode.USAGE
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "renkei"
    show.warn(session, "RNK6001E", reason=_reason(error, session.language), command=command)
    return ExitCode.USAGE


def _reason(error: typer.TyperException, language: Language) -> str:
    """What is wrong with the command line, in `language` as far as it can be told apart."""
    if language == "en":
        return error.format_message().replace("Value error, ", "")
    parameter = getattr(error, "param", None)
    name = parameter.get_error_hint() if parameter is not None else getattr(error, "param_hint", None) or getattr(error, "option_name", "")
    why = retold(str(getattr(error, "message", "")).removeprefix("Value error, "), "ja")
    told = {
        "MissingParameter": f"{name} がありません",
        "NoSuchOption": f"{name} というオプションはありません",
        "BadParameter": f"{name} の値が正しくありません({why})",
        "BadOptionUsage": f"{name} に値がありません",
    }
    return told.get(type(error).__name__) or retold(error.format_message(), "ja")


def _unexpected(session: Session, error: Exception, environment: Mapping[str, str]) -> int:
    if environment.get("RENKEI_DEBUG"):
        session.err.print("".join(traceback.format_exception(error)), soft_wrap=True, markup=False)
    show.warn(session, "RNK6002E", reason=told_of(error))
    return ExitCode.ABNORMAL


if __name__ == "__main__":
    main()
