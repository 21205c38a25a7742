"""One id says one thing everywhere: each id used has its text, each text is used, and both languages say the same facts."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from contracts.messages import AREAS, catalogue
from tests.architecture.modules import PACKAGES, ROOT, modules, tree

MESSAGE_ID = re.compile(r"\bRNK[0-9]{4}[IWE]\b")
FACT = re.compile(r"(?<!\{)\{([a-z_]+)[^{}]*\}(?!\})")
JAPANESE_ONLY = {"label"}
"""A field's label is Japanese; English texts name the field by its romaji name alone."""
MESSAGES = ROOT / "contracts" / "messages"


def _texts_in_code(module: ast.Module) -> set[str]:
    """Every text constant that is not a docstring or a text standing alone."""
    alone = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    return {
        node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone
    }


@cache
def used_texts() -> frozenset[str]:
    """Texts in the product's code and in its data (alert rules name ids too); not the catalogue itself."""
    texts: set[str] = set()
    for name in modules():
        texts |= _texts_in_code(tree(name))
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.suffix in {".yaml", ".yml", ".json"} and not path.is_relative_to(MESSAGES):
                texts.add(path.read_text("utf-8"))
    return frozenset(texts)


@cache
def used_ids() -> frozenset[str]:
    return frozenset(found for text in used_texts() for found in MESSAGE_ID.findall(text))


def test_every_id_used_has_its_text() -> None:
    missing = sorted(used_ids() - catalogue().keys())
    assert not missing, f"write these in contracts/messages/: {missing}"


def test_every_text_is_used() -> None:
    rules = {f"rule.{text}" for text in used_texts()}
    unused = sorted(entry for entry in catalogue() if entry not in used_ids() and entry not in rules and entry not in used_texts())
    assert not unused, f"nothing says these: {unused}"


def test_both_languages_say_the_same() -> None:
    wrong = []
    for message_id, entry in catalogue().items():
        if set(entry) - {"ja", "en", "action_ja", "action_en"} or not entry.get("ja") or not entry.get("en"):
            wrong.append(f"{message_id}: ja and en, and perhaps action_ja and action_en")
            continue
        if (set(FACT.findall(entry["ja"])) ^ set(FACT.findall(entry["en"]))) - JAPANESE_ONLY:
            wrong.append(f"{message_id}: the texts name different facts")
        if bool(entry.get("action_ja")) != bool(entry.get("action_en")):
            wrong.append(f"{message_id}: an action in one language only")
    assert not wrong, "\n".join(wrong)


def test_errors_say_what_to_do() -> None:
    silent = [
        message_id
        for message_id, entry in catalogue().items()
        if MESSAGE_ID.fullmatch(message_id) and message_id.endswith("E") and message_id != "RNK1000E" and not entry.get("action_en")
    ]
    assert not silent, f"an error without an action leaves its reader alone: {silent}"


def test_texts_stand_in_their_area() -> None:
    files = {Path(path).stem for path in MESSAGES.glob("*.yaml")}
    others = files - set(AREAS) - {"phrases"}
    assert not others, f"no area is called {others}"
