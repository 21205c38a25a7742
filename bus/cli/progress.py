"""Progress of long work on standard error: a bar on a terminal, a line now and then in a log. Silent in the first two seconds.

Owns: showing. The numbers come from `Operations.intake_progress` or from a generator's call-back.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.progress import Task as BarTask
from rich.text import Text

from bus.cli.language import word
from bus.cli.session import Session

QUIET_SECONDS: Final = 2.0
LINE_EVERY_SECONDS: Final = 10.0


class _Rate(ProgressColumn):
    """Records a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: BarTask) -> Text:
        return Text(f"{task.speed:,.0f} {self._unit}" if task.speed else "", style="progress.data.speed")


class Progress:
    """Use as a context manager; call `show` as often as there is news. With `silent` (for `--json`) it shows nothing at all."""

    def __init__(self, session: Session, *, silent: bool = False) -> None:
        self._session = session
        self._silent = silent
        self._began = session.now()
        self._last_line = self._began
        self._stage = ""
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` records of a stage; total 0 while it is not known."""
        now = self._session.now()
        if self._silent or now - self._began < QUIET_SECONDS:
            return
        if self._session.err.is_terminal:
            self._draw(stage, done, total)
        elif stage != self._stage or now - self._last_line >= LINE_EVERY_SECONDS:
            self._line(stage, done, total, now)
        self._stage = stage

    def _draw(self, stage: str, done: int, total: int) -> None:
        label = word(f"stage.{stage}", self._session.language).removeprefix("stage.")
        if self._bar is not None and stage != self._stage and "deliver" in (stage, self._stage):
            self._bar.stop()
            self._bar = self._task = None
        if self._bar is None:
            unit = word("records_per_second", self._session.language)
            figures = () if stage == "deliver" else (_Rate(unit), TimeRemainingColumn())
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *figures)
            self._bar = Bar(*columns, console=self._session.err, transient=True)
            self._bar.start()
        if self._task is None or stage != self._stage:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(label, total=total or None)
        self._bar.update(self._task, completed=done, total=total or None)

    def _line(self, stage: str, done: int, total: int, now: float) -> None:
        language = self._session.language
        label = word(f"stage.{stage}", language).removeprefix("stage.")
        # deliveries are few and unlike each other: a rate of them would say nothing
        rate = 0.0 if stage == "deliver" else done / (now - self._began)
        left = word("seconds_left", language, seconds=f"{(total - done) / rate:,.0f}") if rate and total > done else ""
        share = f"{done:,} / {total:,}" if total else f"{done:,}"
        speed = f"{rate:,.0f} {word('records_per_second', language)}" if rate else ""
        self._session.err.print("  ".join(part for part in (f"{label}: {share}", speed, left) if part), soft_wrap=True, markup=False)
        self._last_line = now
