"""What changes in the files of a layout from one version of its contract to another.

Owns: the comparison of two layouts by what stands in the file, so that a layout without columns of its own changes with the fields.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from contracts.layouts.columns import bind
from contracts.layouts.model import Layout
from contracts.model import Contract


def layout_changes(before: tuple[Contract, Layout], after: tuple[Contract, Layout]) -> list[str]:
    """The differences, in signs that both languages read: `+name` and `-name` for columns that come and go, `~name` for one that is
    written in another way, `<>` for another order, and the names of other settings. Empty when the files are the same."""
    one, two = _columns(*before), _columns(*after)
    found = [f"-{name}" for name in one if name not in two]
    found += [f"+{name}" for name in two if name not in one]
    found += [f"~{name}" for name in one if name in two and one[name] != two[name]]
    if [name for name in one if name in two] != [name for name in two if name in one]:
        found.append("<>")
    old, new = _settings(before[1]), _settings(after[1])
    return found + [name for name in {**old, **new} if old.get(name) != new.get(name)]


def _columns(contract: Contract, layout: Layout) -> dict[str, tuple[Any, ...]]:
    """What each column looks like in the file. The constants go by their number: `#1` is the first of them."""
    titled = getattr(layout, "titles", "none") != "none"
    constants = count(1)
    return {
        bound.name or f"#{next(constants)}": (
            bound.column.model_dump(exclude={"header", "tag"}),
            bound.title if titled else "",
            bound.tag if layout.format == "xml" else "",
        )
        for bound in bind(layout, contract)
    }


def _settings(layout: Layout) -> dict[str, Any]:
    return layout.model_dump(mode="json", exclude={"columns", "all_fields"})
