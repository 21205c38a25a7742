"""YAML documents read safely, with the line and column of every value kept for error messages.

Owns: turning a file into plain data and a pydantic model, and every mistake in it into a `Problem` at its place.
Contracts, layouts, translations, `site.yaml` and tenants' files all come through here. No tags, no aliases, no duplicate keys.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from contracts.errors import DocumentInvalid, Problem
from contracts.findings import worded

LIMIT_BYTES: Final = 4 * 1024 * 1024
LIMIT_DEPTH: Final = 100
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where it is there: the same events and places, many times faster."""
_RESOLVER: Final[Any] = yaml.resolver.Resolver()
_STANDS_FOR_ITSELF: Final = "!"

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
    reader = _Reader(file)
    try:
        data = reader.document(yaml.parse(raw.decode("utf-8-sig"), Loader=_LOADER))
    except UnicodeDecodeError as error:
        raise DocumentInvalid([Problem("RNK1001E", file, 1, 1, "", {"reason": str(error)})]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise DocumentInvalid([Problem("RNK1001E", file, line, column, "", {"reason": error.problem or ""})]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise DocumentInvalid([Problem("RNK1001E", file, 1, 1, "", {"reason": str(error)})]) from error
    if reader.problems:
        raise DocumentInvalid(reader.problems)
    return Document(file, data, reader.places, digest)


class _Reader:
    """Takes a parser's events to plain data in one pass, noting places, duplicate keys and what may not stand in a document."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.places: dict[Path_, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._depth = 0

    def document(self, events: Iterator[yaml.Event]) -> Any:
        """The one document; an empty mapping when there is none."""
        next(events)  # the stream begins
        event = next(events)
        if isinstance(event, yaml.StreamEndEvent):
            return {}
        data = self._value(next(events), events, ())
        next(events)  # the document ends
        if not isinstance(event := next(events), yaml.StreamEndEvent):
            self._problem("RNK1001E", event, (), reason="but found another document")
        return data

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path_) -> Any:
        if path not in self.places:
            self.places[path] = _place(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        self._enter(event)
        value = self._mapping(events, path) if isinstance(event, yaml.MappingStartEvent) else self._sequence(events, path)
        self._depth -= 1
        return value

    def _enter(self, event: yaml.Event) -> None:
        """Count one level of nesting more; refuse aliases, and nesting deeper than any honest document's."""
        self._depth += 1
        if isinstance(event, yaml.AliasEvent) or self._depth > LIMIT_DEPTH:
            reason = f"*{event.anchor}" if isinstance(event, yaml.AliasEvent) else f"> {LIMIT_DEPTH} levels"
            raise DocumentInvalid([Problem("RNK1004E", self.file, *_place(event), "", {"reason": reason})])

    def _skip(self, event: yaml.Event, events: Iterator[yaml.Event]) -> None:
        """Pass over a value that nobody needs."""
        outside = self._depth
        while True:
            if isinstance(event, yaml.CollectionEndEvent):
                self._depth -= 1
            elif not isinstance(event, yaml.ScalarEvent):
                self._enter(event)
            if self._depth == outside:
                return
            event = next(events)

    def _sequence(self, events: Iterator[yaml.Event], path: Path_) -> list[Any]:
        result: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            result.append(self._value(event, events, (*path, len(result))))
        return result

    def _mapping(self, events: Iterator[yaml.Event], path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._problem("RNK1001E", event, path, reason="a key must be a text")
                self._skip(event, events)
                self._skip(next(events), events)
                continue
            key = str(event.value)
            here = (*path, key)
            if key in result:
                self._problem("RNK1002E", event, here, key=key, first_line=self.places[here][0])
                self._skip(next(events), events)
                continue
            self.places[here] = _place(event)
            result[key] = self._value(next(events), events, here)
        return result

    def _scalar(self, event: yaml.ScalarEvent, path: Path_) -> Any:
        try:
            if event.tag is not None and event.tag != _STANDS_FOR_ITSELF:
                return _of_tag(event.tag, event.value)
            return _plain(event.value) if event.implicit == (True, False) else str(event.value)
        except (yaml.YAMLError, ValueError) as error:
            self._problem("RNK1001E", event, path, reason=str(error).splitlines()[0])
            return None

    def _problem(self, message_id: str, event: yaml.Event, path: Path_, **facts: object) -> None:
        self.problems.append(Problem(message_id, self.file, *_place(event), ".".join(map(str, path)), facts))


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None  # noqa: S101 - a parsed event always has its mark
    return mark.line + 1, mark.column + 1


@lru_cache(20_000)
def _plain(text: str) -> Any:
    """The value of a text that stands without quotes and tag; always immutable, so that it can be shared."""
    return _of_tag(_RESOLVER.resolve(yaml.ScalarNode, text, (True, False)), text)


def _of_tag(tag: str, text: str) -> Any:
    """Plain YAML scalars, except that dates stay text and numbers with a leading zero stay text (codes, not octal)."""
    if tag == "tag:yaml.org,2002:timestamp":
        return text
    if tag == "tag:yaml.org,2002:int" and ((text.lstrip("+-")[:1] == "0" and text.lstrip("+-") != "0") or ":" in text):
        return text
    if tag == "tag:yaml.org,2002:float" and ":" in text:
        return text
    return yaml.constructor.SafeConstructor().construct_object(yaml.ScalarNode(tag, text), deep=True)


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
