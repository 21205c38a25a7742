"""The surface of the command: languages, help, exit codes of errors, and the reference made from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import pytest

from bus.cli import app
from bus.cli.app import build, run
from bus.cli.exits import ExitCode, NothingThere, WaitedTooLong, of_error
from bus.cli.language import chosen, untranslated, word, words
from bus.cli.link import Operations
from bus.cli.reference import FILES, reference
from bus.cli.session import Session
from bus.errors import JournalUnavailable, NodeBusy, NotFound, OperationRefused
from bus.journal.transaction import EntryKind
from bus.message import DeliveryState, MessageState, QuarantineKind, ReceiptOutcome
from contracts.errors import ContractUnknown, RenkeiError
from contracts.messages import Language
from tests.architecture.modules import ROOT
from tests.cli.conftest import Night, Renkei


@pytest.mark.parametrize(
    ("option", "environment", "language"),
    [
        ("ja", {"LANG": "en_US.UTF-8"}, "ja"),
        ("en", {"LANG": "ja_JP.UTF-8"}, "en"),
        (None, {"RENKEI_LANG": "ja", "LANG": "C.UTF-8"}, "ja"),
        (None, {"LANG": "ja_JP.UTF-8"}, "ja"),
        (None, {"LC_ALL": "C", "LANG": "ja_JP.UTF-8"}, "en"),
        (None, {"LC_ALL": "", "LC_MESSAGES": "ja_JP.eucJP", "LANG": "C"}, "ja"),
        (None, {}, "en"),
    ],
)
def test_language_is_the_option_then_our_variable_then_the_locale(
    option: str | None, environment: dict[str, str], language: Language
) -> None:
    assert chosen(option, environment) == language


def test_every_command_and_option_has_japanese_help() -> None:
    assert untranslated(build()) == []


def test_every_word_has_both_languages() -> None:
    assert [key for key, entry in words().items() if set(entry) != {"ja", "en"} or not all(entry.values())] == []


@pytest.mark.parametrize("kinds", [DeliveryState, MessageState, QuarantineKind, ReceiptOutcome, EntryKind])
def test_every_state_and_kind_has_a_word(kinds: type[StrEnum]) -> None:
    assert [kind.value for kind in kinds if f"value.{kind.value}" not in words()] == []


def test_a_word_that_is_not_listed_is_shown_as_it_is() -> None:
    assert word("value.brand_new", "ja") == "value.brand_new"


@pytest.mark.parametrize(("language", "shown"), [("en", "Usage:"), ("ja", "使い方:")])
def test_help_is_in_the_language(capsys: pytest.CaptureFixture[str], renkei: Renkei, language: str, shown: str) -> None:
    assert renkei("--lang", language, "intake", "--help").code == 0
    page = capsys.readouterr().out
    assert shown in page
    assert ("取り込むファイル" in page) == (language == "ja")


def test_language_and_site_may_stand_after_the_command(night: Night, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["messages", f"--site={tmp_path}", "--lang=ja"], {}) == ExitCode.NOT_FOUND
    assert "site.yaml がありません" in capsys.readouterr().err


def test_a_folder_without_a_site_is_not_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["messages"], {"RENKEI_SITE": str(tmp_path)}) == ExitCode.NOT_FOUND
    assert "RNK6003E" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["intake"], "file"),
        (["trace", "332020-m1", "--colour"], "--colour"),
        (["messages", "--limit", "0"], "--limit"),
        (["mesages"], "mesages"),
        (["messages", "--lang"], "--lang"),
    ],
)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_wrong_command_line_is_usage(renkei: Renkei, arguments: list[str], reason: str, language: str) -> None:
    ended = renkei(f"--lang={language}", *arguments)
    assert ended.code == 2
    assert "RNK6001E" in ended.err
    assert reason in ended.err.lower()
    assert "--help" in ended.err


def test_no_command_shows_the_help(renkei: Renkei) -> None:
    ended = renkei()
    assert ended.code == 2
    assert "quarantine" in ended.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("RNK3001E"), 5),
        (OperationRefused("RNK3004E"), 5),
        (OperationRefused("RNK6092E"), 3),
        (NodeBusy("RNK7001E"), 3),
        (JournalUnavailable("RNK3002E"), 3),
        (ContractUnknown("RNK1103E"), 5),
        (NothingThere("RNK6006E"), 5),
        (WaitedTooLong("RNK6007E"), 6),
        (OperationRefused("RNK6101E"), 8),
        (RenkeiError("RNK6004E"), 8),
    ],
)
def test_each_error_has_its_exit_code(error: RenkeiError, code: int) -> None:
    assert of_error(error) == code


class _Breaks:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def status(self) -> object:
        raise self.error


@contextmanager
def _breaking(error: BaseException) -> Iterator[Operations]:
    yield _Breaks(error)  # type: ignore[misc]


def _ended(error: BaseException, environment: dict[str, str], tmp_path: Path) -> int:
    session = replace(Session("en", tmp_path), opens=lambda folder, language: _breaking(error))
    return run(["status"], environment, session)


def test_an_unexpected_error_is_told_and_traced_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended(ZeroDivisionError("oops"), {}, tmp_path) == 8
    told = capsys.readouterr().err
    assert "RNK6002E" in told
    assert "Traceback" not in told
    _ended(ZeroDivisionError("oops"), {"RENKEI_DEBUG": "1"}, tmp_path)
    assert "Traceback" in capsys.readouterr().err


def test_interrupting_is_130(tmp_path: Path) -> None:
    assert _ended(KeyboardInterrupt(), {}, tmp_path) == 130


def test_an_error_says_what_to_do_in_the_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["--lang", "ja", "intake", str(tmp_path / "none")], {"RENKEI_SITE": str(tmp_path)})
    told = capsys.readouterr().err
    assert told.startswith("RNK6006E ファイルがありません")
    assert "パスを確かめてください" in told


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_reference_is_what_the_commands_say(language: Language) -> None:
    written = (ROOT / "docs" / FILES[language]).read_text("utf-8")
    assert written == reference(language), "run: make docs"


def test_the_command_is_the_entry_point() -> None:
    assert callable(app.main)
