"""JSON as it comes from strangers: RFC 8259 in UTF-8 without a byte order mark, no name twice (RFC 7493, section 2.3), no NaN.

Owns: what every reader refuses, and in which words; each tells its sender by an error of its own. What becomes of numbers is the reader's
choice. Nothing of what was read stands in an error but a name or a constant, in an attribute, for a reader that knows how to hide it.
"""

from __future__ import annotations

from collections.abc import Callable
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn


class NotStrict(ValueError):
    """It is no such JSON. `reason` says why and where, without anything that stands there."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NameTwice(NotStrict):
    """An object has a name twice."""

    def __init__(self, name: str) -> None:
        super().__init__("a name stands twice")
        self.name = name


class NoNumber(NotStrict):
    """`NaN`, `Infinity` or `-Infinity`."""

    def __init__(self, constant: str) -> None:
        super().__init__("NaN or Infinity")
        self.constant = constant


def strict_decoder(*, integer: Callable[[str], Any] = int, fraction: Callable[[str], Any] = float) -> JSONDecoder:
    """A decoder that refuses a name that stands twice, and what is no number. `integer` and `fraction` make of a number's text what the
    reader wants; they refuse one with NotStrict."""
    return JSONDecoder(object_pairs_hook=_object, parse_int=integer, parse_float=fraction, parse_constant=_no_constant)


def read_strictly(body: bytes, decoder: JSONDecoder) -> Any:
    """What the body says.

    Raises:
        NotStrict: it is no JSON that `decoder`, made by `strict_decoder`, takes.
    """
    try:
        return decoder.decode(body.decode("utf-8"))
    except NotStrict:
        raise
    except UnicodeDecodeError as error:
        raise NotStrict(f"byte {error.start + 1} is not UTF-8") from None
    except JSONDecodeError as error:  # it holds the whole text, which must not travel on
        raise NotStrict(f"line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise NotStrict("nested too deeply") from None
    except ValueError:  # more digits than Python converts
        raise NotStrict("a number is too long") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise NameTwice(next(name for name in names if names.count(name) > 1))
    return found


def _no_constant(text: str) -> NoReturn:
    raise NoNumber(text)
