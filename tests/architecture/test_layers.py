"""An arrow only ever points down: floors, rooms that may not know each other, and no cycle anywhere (docs/architecture.md)."""

from __future__ import annotations

import pytest

from tests.architecture.modules import imports, imports_of_source, modules

FLOORS: dict[int, tuple[str, ...]] = {
    0: ("contracts", "bus.message", "bus.event", "bus.errors", "monitoring"),
    1: (
        "bus.ports", "bus.adapter_ports", "bus.event_ports", "bus.rabbitmq", "bus.site", "bus.site_check", "bus.example",
        "bus.calendar", "bus.retry", "bus.names", "bus.steps", "bus.clock", "bus.direct_io", "bus.durable",
        "bus.secret_files", "bus.loopback",
    ),
    2: ("bus.journal", "bus.broker", "bus.payloads", "bus.routing", "bus.security", "adapters"),
    3: ("bus.intake", "bus.batch", "bus.delivery", "bus.events", "bus.operations"),
    4: ("bus.api",),
    5: ("bus.node",),
    6: ("bus.cli", "bus.testing"),
}  # fmt: skip
"""Rooms by floor. A room is a module or package, and modules beside it that carry its name on (`bus.site_names`)."""

ADAPTERS_MAY_USE = (
    "adapters", "contracts", "bus.adapter_ports", "bus.event_ports", "bus.message", "bus.event", "bus.event_envelope", "bus.errors",
    "bus.names", "bus.steps", "bus.clock", "bus.rabbitmq", "bus.loopback",
)  # fmt: skip
CONTRACTS_MAY_USE = ("contracts",)
MONITORING_MAY_USE = ("monitoring", "contracts")
ROOTS = {"bus", "adapters"}
"""Package roots stand above the floors: they hold nothing but their docstring, and nobody imports through them."""


def room_of(module: str) -> str | None:
    """The room a module is in, the most exact name winning."""
    rooms = [room for rooms in FLOORS.values() for room in rooms]
    fitting = [room for room in rooms if module == room or module.startswith((f"{room}.", f"{room}_"))]
    return max(fitting, key=len, default=None)


def floor_of(room: str) -> int:
    """The floor of a room."""
    return next(floor for floor, rooms in FLOORS.items() if room in rooms)


def within(module: str, allowed: tuple[str, ...]) -> bool:
    """Whether a module is one of `allowed` or inside it."""
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def test_every_module_has_a_floor() -> None:
    homeless = [name for name in modules() if name not in ROOTS and room_of(name) is None]
    assert not homeless, f"name a floor for {homeless} in FLOORS and in docs/architecture.md"


def test_arrows_point_down() -> None:
    wrong = []
    for name in modules():
        room = room_of(name)
        for used in imports(name):
            other = room_of(used)
            if room and other and floor_of(other) > floor_of(room):
                wrong.append(f"{name} (floor {floor_of(room)}) imports {used} (floor {floor_of(other)})")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("package", "allowed"),
    [("contracts", CONTRACTS_MAY_USE), ("monitoring", MONITORING_MAY_USE), ("adapters", ADAPTERS_MAY_USE)],
)
def test_rooms_know_only_what_they_may(package: str, allowed: tuple[str, ...]) -> None:
    wrong = [
        f"{name} imports {used}" for name in modules() if within(name, (package,)) for used in imports(name) if not within(used, allowed)
    ]
    assert not wrong, "\n".join(wrong)


def test_adapters_do_not_know_each_other() -> None:
    wrong = []
    for name in modules():
        if within(name, ("adapters",)):
            own = ".".join(name.split(".")[:2])
            wrong += [f"{name} imports {used}" for used in imports(name) if within(used, ("adapters",)) and not within(used, (own,))]
    assert not wrong, "\n".join(wrong)


def test_nothing_imports_through_an_empty_root() -> None:
    wrong = [f"{name} imports {used}" for name in modules() for used in imports(name) if used in ROOTS]
    assert not wrong, "\n".join(wrong)


def cycles(graph: dict[str, frozenset[str]]) -> list[list[str]]:
    """Every cycle found by walking depth first, each once."""
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
            return
        if name in done:
            return
        for used in sorted(graph.get(name, frozenset())):
            walk(used, [*path, name])
        done.add(name)

    for name in graph:
        walk(name, [])
    return found


def test_no_import_cycle() -> None:
    found = cycles({name: imports(name) - {name} for name in modules()})
    assert not found, "\n".join(" -> ".join(cycle) for cycle in found)


def test_no_cycle_between_packages() -> None:
    graph: dict[str, set[str]] = {}
    for name in modules():
        package = ".".join(name.split(".")[:2])
        others = {".".join(used.split(".")[:2]) for used in imports(name)}
        graph.setdefault(package, set()).update(others - {package})
    found = cycles({package: frozenset(others) for package, others in graph.items()})
    assert not found, "\n".join(" -> ".join(cycle) for cycle in found)


def test_the_reading_sees_every_kind_of_import() -> None:
    source = """
import bus.ports
from bus import message
from bus.site import Site
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from bus.errors import BusError
def later():
    from contracts.model import Contract
    import_module("contracts.totals")
"""
    seen = imports_of_source(source, "bus.retry")
    assert seen == {"bus.ports", "bus.message", "bus.site", "contracts.model", "contracts.totals"}


def test_a_cycle_is_found() -> None:
    graph = {"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"a"}), "d": frozenset({"a"})}
    assert cycles(graph) == [["a", "b", "c", "a"]]
