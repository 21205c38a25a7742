"""YAML documents read safely, with the line and column of every value kept for error messages.

Owns: turning a file into plain data and a pydantic model, and every mistake in it into a `Problem` at its place.
Contracts, layouts, translations, `site.yaml` and tenants' files all come through here. No tags, no aliases, no duplicate keys.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from contracts.errors import DocumentInvalid, Problem
from contracts.findings import worded

LIMIT_BYTES: Final = 4 * 1024 * 1024
LIMIT_DEPTH: Final = 100
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where it is there: the same nodes and places, many times faster; it counts on `LIMIT_DEPTH`, as it has no limit itself."""

Path_ = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document. `places` maps the path of each key and value to its 1-based (line, column)."""

    file: Path
    data: Any
    places: dict[Path_, tuple[int, int]]
    digest: str

    def problem(self, message_id: str, path: Path_, /, **facts: object) -> Problem:
        """A problem at `path`, or at its nearest ancestor that has a place."""
        place = path
        while place and place not in self.places:
            place = place[:-1]
        line, column = self.places.get(place, (1, 1))
        return Problem(message_id, self.file, line, column, ".".join(map(str, path)) or "(document)", facts)


def read_document(file: Path) -> Document:
    """Read one YAML file.

    Raises:
        DocumentInvalid: not YAML, too large, an alias or tag in it, or a key that stands twice.
        OSError: the file cannot be opened.
    """
    raw = file.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if len(raw) > LIMIT_BYTES:
        raise DocumentInvalid([Problem("RNK1004E", file, 0, 0, "", {"reason": f"{len(raw)} > {LIMIT_BYTES} bytes"})])
    try:
        source = raw.decode("utf-8-sig")
        _refuse_aliases(file, source)
        root = yaml.compose(source, Loader=_LOADER)
    except UnicodeDecodeError as error:
        raise DocumentInvalid([Problem("RNK1001E", file, 1, 1, "", {"reason": str(error)})]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise DocumentInvalid([Problem("RNK1001E", file, line, column, "", {"reason": error.problem or ""})]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise DocumentInvalid([Problem("RNK1001E", file, 1, 1, "", {"reason": str(error)})]) from error
    reader = _Reader(file)
    data = reader.value(root, ()) if root is not None else {}
    if reader.problems:
        raise DocumentInvalid(reader.problems)
    return Document(file, data, reader.places, digest)


def _refuse_aliases(file: Path, source: str) -> None:
    """And nesting deeper than any honest document's."""
    depth = 0
    for event in yaml.parse(source, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        reason = f"*{event.anchor}" if isinstance(event, yaml.AliasEvent) else f"> {LIMIT_DEPTH} levels" if depth > LIMIT_DEPTH else ""
        if reason:
            mark = event.start_mark
            assert mark is not None  # noqa: S101 - a parsed event always has its mark
            raise DocumentInvalid([Problem("RNK1004E", file, mark.line + 1, mark.column + 1, "", {"reason": reason})])


class _Reader:
    """Walks composed nodes into plain data, noting places and duplicate keys."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.places: dict[Path_, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._scalars = yaml.constructor.SafeConstructor()

    def value(self, node: yaml.Node, path: Path_) -> Any:
        self.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        try:
            return _scalar(self._scalars, node)
        except (yaml.YAMLError, ValueError) as error:
            self._problem("RNK1001E", node, path, reason=str(error).splitlines()[0])
            return None

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            here = (*path, key)
            if key in result:
                self._problem("RNK1002E", key_node, here, key=key, first_line=self.places[here][0])
                continue
            self.places[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = self.value(value_node, here)
        return result

    def _problem(self, message_id: str, node: yaml.Node, path: Path_, **facts: object) -> None:
        mark = node.start_mark
        self.problems.append(
            Problem(message_id, self.file, mark.line + 1, mark.column + 1, ".".join(map(str, path)), facts)
        )


def _scalar(constructor: yaml.constructor.SafeConstructor, node: yaml.Node) -> Any:
    """Plain YAML scalars, except that dates stay text and numbers with a leading zero stay text (codes, not octal)."""
    text = str(node.value)
    if node.tag == "tag:yaml.org,2002:timestamp":
        return text
    if node.tag == "tag:yaml.org,2002:int" and ((text.lstrip("+-")[:1] == "0" and text.lstrip("+-") != "0") or ":" in text):
        return text
    if node.tag == "tag:yaml.org,2002:float" and ":" in text:
        return text
    return constructor.construct_object(node, deep=True)


def parse(document: Document, model: type[ModelT], *, at: Path_ = ()) -> ModelT:
    """Make `model` of the document (or of the part at `at`).

    Raises:
        DocumentInvalid: with one problem per mistake, each at its line.
    """
    data = document.data
    for step in at:
        data = data[step]
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise DocumentInvalid(list(problems_of(document, error, model, at))) from error


def problems_of(document: Document, error: ValidationError, model: type[BaseModel], at: Path_ = ()) -> Iterable[Problem]:
    """Pydantic's findings as problems in the document's words and places."""
    for found in error.errors(include_url=False):
        path = (*at, *_real_path(document, at, found["loc"]))
        where = ".".join(map(str, path)) or "(document)"
        if found["type"] == "extra_forbidden":
            key = str(found["loc"][-1])
            yield document.problem("RNK1005E", path, key=key, suggestion=_suggestion(key, model))
        elif found["type"] == "missing":
            yield document.problem("RNK1006E", path[:-1] if path else path, key=str(found["loc"][-1]))
        else:
            message_id, facts = worded(found, where)
            yield document.problem(message_id, path, **facts)


def _real_path(document: Document, at: Path_, loc: tuple[int | str, ...]) -> Path_:
    """Drop the union tags that pydantic puts into `loc`, keeping only steps that exist (and the last, for a missing key)."""
    data: Any = document.data
    for step in at:
        data = data[step]
    kept: list[str | int] = []
    for position, step in enumerate(loc):
        known = (isinstance(data, dict) and step in data) or (isinstance(data, list) and isinstance(step, int) and step < len(data))
        if known:
            data = data[step]
        elif position != len(loc) - 1:
            continue
        kept.append(step)
    return tuple(kept)


def _suggestion(key: str, model: type[BaseModel]) -> str:
    known = _known_keys(model, set())
    close = difflib.get_close_matches(key, sorted(known), n=1)
    return f" (did you mean \"{close[0]}\"?)" if close else ""


def _known_keys(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[str]:
    if model in seen:
        return set()
    seen.add(model)
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        keys.add(field.alias or name)
        for nested in _models_in(field.annotation):
            keys |= _known_keys(nested, seen)
    return keys


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models_in(part)
