"""What every test shares: a quiet environment, one hypothesis profile, and the rule that nothing is skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Examples are the same in every run on CI, so that a red run can be run again; elsewhere they wander.
settings.register_profile(
    "renkei",
    max_examples=60,
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("renkei")


# No test sees the developer's own settings: language, site and fault labels come from the test alone; the run chooses its back end.
_OF_THE_RUN = {"RENKEI_TEST_BACKEND", "RENKEI_TEST_COUNTS"}
for _name in [name for name in os.environ if name.startswith("RENKEI_") or name in {"LANGUAGE", "LC_ALL", "LC_MESSAGES"}]:
    if _name not in _OF_THE_RUN:
        del os.environ[_name]
os.environ["LANG"] = "C.UTF-8"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skipped test proves nothing: the run fails on it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if skipped and session.exitstatus == 0:
        reporter.write_line(f"{len(skipped)} test(s) were skipped: nothing may be", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The tables of the tests, and on which back end how many of them ran."""
    _tables(terminalreporter)
    counts = {outcome: len(terminalreporter.stats.get(outcome, [])) for outcome in ("passed", "failed", "error", "skipped")}
    back_end = os.environ.get("RENKEI_TEST_BACKEND", "embedded")
    line = f"back end {back_end}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    terminalreporter.write_line(line)
    if told := os.environ.get("RENKEI_TEST_COUNTS"):
        with Path(told).open("a", encoding="ascii") as file:
            file.write(line + "\n")


def _tables(terminalreporter: pytest.TerminalReporter) -> None:
    """Tables that tests make line by line: `record_property("table: <title>", line)`."""
    tables: dict[str, list[str]] = {}
    for report in [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]:
        for name, line in report.user_properties if report.when == "call" else []:
            if name.startswith("table: "):
                tables.setdefault(name.removeprefix("table: "), []).append(str(line))
    for title, lines in tables.items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
