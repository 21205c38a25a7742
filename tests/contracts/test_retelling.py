"""A Japanese reader is told in Japanese what stands in a fact: errors within errors, complaints of validators and of YAML."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import contracts
from contracts.documents import read_document
from contracts.errors import DocumentInvalid
from contracts.messages import retold, text

ROOT = Path(contracts.__file__).parents[1]
MODELS = ("contracts/model.py", "contracts/layouts/model.py", "contracts/translation.py", "bus/site.py", "adapters/files/settings.py")


def said_by(node: ast.expr) -> str:
    """The text of a raised error, `x` for every value in it."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else ""


def complaints() -> list[str]:
    """What the validators of documents say, as they raise it."""
    trees = [ast.parse((ROOT / model).read_text("utf-8")) for model in MODELS]
    raised = [node.exc for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    return [said_by(call.args[0]) for call in raised if ast.unparse(call.func) == "ValueError"]


def test_every_complaint_of_a_document_is_in_the_phrase_book() -> None:
    said = complaints()
    assert len(said) > 15
    assert [words for words in said if retold(words, "ja") == words] == []


@pytest.mark.parametrize(
    "broken", ["a: b: c\n", "a:\n  - b\n c\n", 'a: "b\n', "a: [b\n", "a: {b: c\n", "a: @b\n", "a:\n\t- b\n", "a:\nb\nc: d\n", 'a: "\\q"\n']
)
def test_yaml_mistakes_are_told_in_japanese(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(broken, "utf-8")
    with pytest.raises(DocumentInvalid) as caught:
        read_document(file)
    (problem,) = caught.value.problems
    assert problem.message_id == "RNK1001E"
    reason = problem.text("ja").removeprefix(text("RNK1001E", "ja", reason=""))
    assert any(ord(character) > 0x3000 for character in reason), reason


def test_an_error_within_an_error_is_told_in_the_language() -> None:
    inner = f"RNK5020E {text('RNK5020E', 'en', path='out/a.csv')}"
    assert retold(inner, "ja") == f"RNK5020E {text('RNK5020E', 'ja', path='out/a.csv')}"
    assert retold(inner, "en") == inner
    assert "out/a.csv" in text("RNK6088E", "ja", intake="i1", reason=inner)
    assert "taken" not in text("RNK6088E", "ja", intake="i1", reason=inner)


def test_names_and_values_stay_as_they_are() -> None:
    for words in ("message", "山田", "RNK5020E", "RNK9999E what is this", "JUMIN_20261119_001.csv", ""):
        assert retold(words, "ja") == words
    assert "message" not in text("RNK3004E", "ja", what="message", id="332020-m1")
    assert "message" in text("RNK3004E", "ja", what="delivery", id="message")
