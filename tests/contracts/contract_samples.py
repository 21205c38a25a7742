"""Contracts and records of every kind, for tests that hold the two validators against each other."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import strategies as st

from contracts.check_digits import valid
from contracts.frame_validator import FrameValidator
from contracts.model import Contract
from contracts.record_validator import RecordValidator

TYPES = ["X", "N", "M", "9", "9V", "S9", "YEAR", "DATE", "TIME"]
PATTERNS = [
    "[0-9]+", "[0-9]{3}", "[1-9][0-9]*", "[ァ-ヶー・　－]+", "[A-Z]{1,2}[0-9]?", r"\d{3}-\d{4}|x*", "[^あ]+",
    ".{2}", "(?:ab|c)*", "[0-9A-Z]{2,4}",
    "[あ-ん]*", "[a-z𠮷]{1,3}", r"[+\-/]?\w+",
]  # fmt: skip
ODD = [
    "", "0", "00", "-", "+", "-0", "+5", "-5", "007", "1.", ".5", "1.5", "-1.50", "1.005", "1,5", "12 ", " 12",
    "１２", "٣", "1e3", "0x1",
    "123456", "1234567", "12345678901234567", "123456789012345678", "1234567890123456789", "99999999999999999999",
    "a", "ab", "abc", "x", "A1", "z~", " ", "  ", "\t", "a\nb", "\n", "a\n", "\x00", "a\x00", "\x7f", "é", "\x85",
    "\xa0", "ﾀﾅｶ", "ｱ", "｡", "ﾟ", "｠", "ﾠ",
    "山", "山田", "山田　太郎", "あ", "ァ", "カナ", "ー", "　", "山a", "山 田", "山\u3000",
    "髙﨑", "𠮷野", "葛󠄀城", "\ufffd", "\ufdd0", "\ufffe", "\U0001fffe",
    "\U0010ffff", "\ue000", "～", "〜", "－", "５", "\u2028", "ａ", "￥", "�山", "é山", "\u3000\u3000",
    "0000", "9999", "2026", "1899", "20x6", "２０２６", "00:00", "23:59", "24:00", "12:60", "12:30:59",
    "12:30:60", "1:30", "12-30", "12:30:", "12:30:5", "99:99:99",
    "0000-01-01", "9999-12-31", "0000-01-02", "0000-00-00", "0001-01-01", "1950-00-00", "1950-04-00", "1950-00-05",
    "1950-13-01", "1950-04-31", "2023-02-29",
    "2024-02-29", "1900-02-29", "2000-02-29", "2024-02-30", "2024-01-32", "2026-11-20", "2026-1-20", "2026/11/20",
    "20261120", "2026-11-2x", "2026-11-20 ", "/026-11-20",
    "2026-11:20", "２０２６-１１", "2026-1１-2", "山田山a", "2026-1/-20", "9999-99-99", "2026-0:-20",
    "332020", "372013", "382019", "332021", "123456789018", "123456789010", "000000000000", "8700110005901",
    "1234567890123", "10", "11", "27", "34", "000000000000027",
]  # fmt: skip
TEXT = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.text("0123456789", max_size=20),
    st.text("0123456789+-.", max_size=6),
    st.text("山田ァカー　ﾀab9 ", max_size=6),
    st.dates().map(str),
    st.times().map(lambda time: time.isoformat("seconds")),
)


def limit(kind: str) -> st.SearchStrategy[str]:
    values = {
        "9": ["0", "7", "123"], "S9": ["-5", "0", "+12"], "9V": ["0", "-1", "1"], "YEAR": ["1900", "2026", "9999"],
        "DATE": ["1900-01-01", "2026-11-20", "1950-04-00"], "TIME": ["12:30", "12:30:00", "00:00"], "X": ["a", "5", "Z"], "N": ["山", "あ"],
        "M": ["山5", "ｱ"],
    }  # fmt: skip
    return st.sampled_from(values[kind])


@st.composite
def fields(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(TYPES))
    field: dict[str, Any] = {"name": name, "label": name, "type": kind, "required": draw(st.booleans())}
    if kind in ("X", "N", "M", "9", "S9") or draw(st.integers(0, 5)) == 0:
        field["length"] = draw(st.sampled_from([1, 2, 3, 6, 7, 10, 12, 15, 18]))
        field["exact"] = draw(st.booleans())
    if kind == "9V":
        field["digits"] = draw(st.sampled_from([(3, 0), (5, 2), (1, 4), (0, 2)]))
    if kind == "DATE":
        field["dates"] = {key: draw(st.booleans()) for key in ("open", "unknown_parts", "feb_29")}
    if draw(st.integers(0, 3)) == 0:
        field["codes"] = draw(st.sampled_from(["one", "two", "mixed", "empty"]))
    if draw(st.integers(0, 3)) == 0:
        field["pattern"] = draw(st.sampled_from(PATTERNS))
    if draw(st.integers(0, 3)) == 0:
        field["minimum"] = draw(limit(kind))
    if draw(st.integers(0, 3)) == 0:
        field["maximum"] = draw(limit(kind))
    if draw(st.integers(0, 2)) == 0:
        field["check_digit"] = draw(
            st.sampled_from(["individual_number", "corporate_number", "local_government_code", "modulus11_w2_7"])
        )
    rules = st.sampled_from(["required", "length", "type", "codes", "pattern", "check_digit", "range"])
    field["severity"] = draw(st.dictionaries(rules, st.sampled_from(["warn", "reject"]), max_size=4))
    return field


@st.composite
def tests(draw: st.DrawFn, kinds: dict[str, str], name: str) -> dict[str, Any]:
    kind = kinds[name]
    operators: dict[str, st.SearchStrategy[Any]] = {
        "present": st.booleans(), "eq": st.sampled_from(ODD), "ne": st.sampled_from(ODD),
        "starts_with": st.sampled_from(["", "1", "山", "a"]),
        "in": st.lists(st.sampled_from(ODD), max_size=4), "not_in": st.lists(st.sampled_from(ODD), max_size=4),
        "longer_than": st.integers(-1, 6),
    }  # fmt: skip
    for operator in ("lt", "le", "gt", "ge"):
        operators[operator] = limit(kind)
    for operator in ("eq_field", "ne_field", "lt_field", "le_field", "gt_field", "ge_field"):
        operators[operator] = st.sampled_from(sorted(kinds))
    chosen = draw(st.lists(st.sampled_from(sorted(operators)), min_size=1, max_size=2, unique=True))
    return {operator: draw(operators[operator]) for operator in chosen}


def conditions(kinds: dict[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    @st.composite
    def leaves(draw: st.DrawFn) -> dict[str, Any]:
        names = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=0, max_size=2, unique=True))
        return {"fields": {name: draw(tests(kinds, name)) for name in names}}

    def grow(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        lists = st.lists(inner, max_size=3)
        every, some = lists.map(lambda parts: {"all": parts}), lists.map(lambda parts: {"any": parts})
        return st.one_of(every, some, inner.map(lambda part: {"not": part}))

    return st.recursive(leaves(), grow, max_leaves=4)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    listed = [draw(fields(f"f{index}")) for index in range(draw(st.integers(1, 5)))]
    kinds = {field["name"]: field["type"] for field in listed}
    rules = [
        {
            "id": f"rule_{index}",
            "field": draw(st.sampled_from(sorted(kinds))),
            "severity": draw(st.sampled_from(["warn", "reject"])),
            "then": draw(conditions(kinds)),
            "words": {"ja": "", "en": ""},
            **({"when": draw(conditions(kinds))} if draw(st.booleans()) else {}),
        }
        for index in range(draw(st.integers(0, 3)))
    ]
    words = {"ja": "", "en": ""}
    tables = {"one": ["1", "2"], "two": ["01", "02", "山"], "mixed": ["1", "22", "333", "山田", "2026-11-20"], "empty": []}
    return Contract.model_validate(
        {
            "contract": "generated@1.0",
            "title": words,
            "follows": {"document": "", "version": "", "status": "provisional"},
            "counting": draw(st.sampled_from(["code_points", "utf16_units"])),
            "key": ["f0"],
            "fields": listed,
            "rules": rules,
            "code_tables": {name: {"version": "1", "values": dict.fromkeys(values, words)} for name, values in tables.items()},
        }
    )


def numbered(method: str, width: int) -> list[str]:
    """Some numbers of `width` digits whose check digit is right."""
    tried = (f"{number % 10}{number * 7919:0{width - 1}d}"[:width] for number in range(400))
    return [text for text in tried if valid(method, text)]  # type: ignore[arg-type]


def frame_of(contract: Contract, records: list[dict[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(records, schema=dict.fromkeys(contract.names, pl.String))


def disagreement(contract: Contract, records: list[dict[str, str]]) -> str:
    """What the two validators say differently of these records; empty when they agree."""
    one, many = RecordValidator(contract), FrameValidator(contract)
    frame = frame_of(contract, records)
    found = many.check(frame)
    reports: list[list[tuple[str, ...]]] = [[] for _ in records]
    for ordinal, *said in found.violations.select("ordinal", "field", "rule", "severity", "value").iter_rows():
        reports[ordinal - 1].append(tuple(said))
    for index, record in enumerate(records):
        expected = [(each.field, each.rule, each.severity, record[each.field]) for each in one.check(record)]
        accepted = all(severity != "reject" for _, _, severity, _ in expected)
        if reports[index] != expected or found.good[index] != accepted:
            return f"record {index} {record!r}: record validator {expected}, frame validator {reports[index]}, good {found.good[index]}"
    return ""
