"""Headings, paragraphs and tables as Markdown or as one HTML page that needs nothing else and prints on A4.

Owns: the two renderings and their escaping. What a dictionary says is in `contracts.dictionary`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 4."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; `strong` marks what must not be overlooked."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of plain text; every row has as many cells as `titles`."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = Heading | Paragraph | Table

STYLE: Final = """
body {
  font-family: "Noto Sans CJK JP", "Noto Sans JP", "Yu Gothic", "Hiragino Sans", sans-serif;
  margin: 2rem; line-height: 1.5; color: #1a1a1a;
}
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2rem; border-bottom: 2px solid #444; } h3 { font-size: 1.05rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.85rem; }
th, td { border: 1px solid #999; padding: 0.2rem 0.4rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { background: #eef1f4; white-space: nowrap; }
p.strong { font-weight: bold; border-left: 4px solid #b35900; padding-left: 0.6rem; }
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  body { margin: 0; } table { font-size: 7.5pt; } thead { display: table-header-group; }
  tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
}
""".strip()

_MARKDOWN_SPECIAL: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<>|#~&"})


def markdown(blocks: Sequence[Block]) -> str:
    """The blocks as GitHub-flavoured Markdown, ending in one newline. Signs that mean something to Markdown are escaped."""
    parts = [_markdown_block(block) for block in blocks]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {_markdown_text(text)}"
        case Paragraph(text, strong):
            return f"**{_markdown_text(text)}**" if strong else _markdown_text(text)
        case Table(titles, rows):
            lines = [titles, ["---"] * len(titles), *rows]
            cells = [list(line) if index == 1 else [_markdown_text(cell) for cell in line] for index, line in enumerate(lines)]
            return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _markdown_text(text: str) -> str:
    return " ".join(text.translate(_MARKDOWN_SPECIAL).split("\n"))


def html(blocks: Sequence[Block], *, title: str, language: str) -> str:
    """The blocks as one self-contained page: no script, nothing loaded from elsewhere, every text escaped."""
    body = "\n".join(_html_block(block) for block in blocks)
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>\n{STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _html_block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text, strong):
            return f'<p class="strong">{escape(text)}</p>' if strong else f"<p>{escape(text)}</p>"
        case Table(titles, rows):
            head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
            lines = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
            return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>"
