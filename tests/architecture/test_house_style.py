"""Sizes and names that keep the code readable; ruff checks the rest."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.modules import PACKAGES, ROOT, modules, tree

MODULE_LINES = 400
FUNCTION_LINES = 60
FORBIDDEN = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_is_short_and_finished(name: str) -> None:
    text = modules()[name].read_text("utf-8")
    assert text.count("\n") <= MODULE_LINES, f"{name} has {text.count(chr(10))} lines: split it by role"
    assert not UNFINISHED.search(text), f"{name}: {UNFINISHED.search(text)}"
    long = [
        f"{name}.{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


def test_names_say_the_job() -> None:
    vague = [name for name in modules() if FORBIDDEN & set(name.split("."))]
    assert not vague, f"name the job: {vague}"


def test_test_files_have_names_of_their_own() -> None:
    seen: dict[str, str] = {}
    twice = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if path.name in seen:
            twice.append(f"{path.name}: {seen[path.name]} and {path.parent.name}")
        seen[path.name] = path.parent.name
    assert not twice, "\n".join(twice)


def test_no_test_is_switched_off() -> None:
    marks = re.compile(r"pytest\.(mark\.(skip|skipif|xfail)\b|skip\(|xfail\(|importorskip\()")
    off = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py") if marks.search(path.read_text("utf-8"))]
    assert not off, f"nothing may be skipped: {off}"


def test_packages_are_the_fixed_ones() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders == set(PACKAGES)
