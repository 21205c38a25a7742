"""What the architecture tests know of the code: its modules, and what each imports, read with `ast` (nothing is imported)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("adapters", "bus", "contracts", "monitoring")


@cache
def modules() -> dict[str, Path]:
    """Every module of the product by dotted name; a package goes by its folder's name."""
    found: dict[str, Path] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    """The parsed module."""
    return ast.parse(modules()[name].read_text("utf-8"))


@cache
def imports(name: str) -> frozenset[str]:
    """The product's own modules that `name` imports when it runs, at the top or inside a function; not under TYPE_CHECKING."""
    return frozenset(_imports(tree(name), name))


def imports_of_source(source: str, name: str) -> frozenset[str]:
    """The same for source text, so that the reading itself can be tested."""
    return frozenset(_imports(ast.parse(source), name))


def _imports(module: ast.AST, name: str) -> Iterator[str]:
    for node in _running(module):
        if isinstance(node, ast.Import):
            yield from (known for alias in node.names if (known := _module(alias.name)))
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, name)
            for alias in node.names:
                known = _module(f"{origin}.{alias.name}") or _module(origin)
                if known:
                    yield known
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"import_module", "importlib.import_module"}:
            first = node.args[0] if node.args else None
            known = _module(str(first.value)) if isinstance(first, ast.Constant) else None
            if known:
                yield known


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes, except what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _running(child)


def _origin(node: ast.ImportFrom, name: str) -> str:
    if not node.level:
        return node.module or ""
    above = name.split(".")
    kept = above[: len(above) - node.level + (1 if modules().get(name, Path()).name == "__init__.py" else 0)]
    return ".".join([*kept, node.module] if node.module else kept)


def _module(dotted: str) -> str | None:
    return dotted if dotted in modules() else None
