"""Pieces of a page: the frame with style and script inside, tables, names of things."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent


class Markup(str):
    """Text that is HTML already."""


def text(value: object) -> str:
    """A cell's content: HTML as it is, nothing for None and nan, anything else escaped."""
    if isinstance(value, Markup):
        return value
    return "" if value is None or value != value else escape(str(value))


def page(title: str, lead: str, sections: dict[str, str], note: str = "") -> str:
    """A whole page that needs nothing from elsewhere; ``sections`` are HTML by heading."""
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    links = "".join(f'<a href="#{anchor(name)}">{escape(name)}</a>' for name in sections)
    body = "".join(
        f'<section id="{anchor(name)}"><h2>{escape(name)}</h2>{html}</section>' for name, html in sections.items()
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>"
        f"<h1>{escape(title)}</h1><p>{lead}</p><nav>{links}</nav>{body}"
        f'<p class="soft">{note}</p></main><script>{script}</script></body></html>\n'
    )


def table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], words: Sequence[str] = (), *, sortable: bool = False
) -> str:
    """A table that scrolls inside its frame; columns named in ``words`` are text, the others numbers."""

    def kind(i: int) -> str:
        return ' class="text"' if i == 0 or heads[i] in words else ""

    head = "".join(f"<th{kind(i)}>{escape(name)}</th>" for i, name in enumerate(heads))
    body = "".join(
        "<tr>" + "".join(f"<td{kind(i)}>{text(cell)}</td>" for i, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table{" class=sortable" if sortable else ""}><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def verdict(word: str) -> Markup:
    """A verdict in its colour."""
    return Markup(f'<span class="verdict {word.replace(" ", "-")}">{escape(word)}</span>')


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """A list of names and values, those without a value left out."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs if text(value))
    return f"<dl>{rows}</dl>" if rows else ""


def anchor(name: str) -> str:
    """A name as the target of a link."""
    return "".join(letter if letter.isalnum() or letter in "-+" else "_" for letter in name)
