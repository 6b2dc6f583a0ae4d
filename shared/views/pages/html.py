"""The parts that all pages are made of. Nothing on a page is loaded from elsewhere, and no page has a script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from shared.views.pages.style import STYLE
from shared.visible import for_terminal

__all__ = ["escaped", "listed", "section", "whole"]


def whole(title: str, parts: Iterable[str]) -> str:
    """A page.

    Args:
        title: Text.
        parts: HTML; empty ones are left out.
    """
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{escaped(title)}</title>"
    body = "\n".join(part for part in parts if part)
    return f"<!doctype html>\n<html lang=en><head>{head}<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"


def escaped(value: object) -> str:
    """Text for a page. A long word may wrap where people would do it: behind the signs that join its parts."""
    shown = escape(for_terminal(str(value)))
    return re.sub(r"\S{25,}", lambda word: re.sub(r"(?<=\w)([_/.@-])(?=\w)", r"\1<wbr>", word[0]), shown)


def section(title: str, content: str) -> tuple[str, ...]:
    """A heading and what is under it; nothing where that is empty."""
    return (f"<h2>{title}</h2>", content) if content else ()


def listed(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()) -> str:
    """A table of cells that are HTML already; `numbers` are the places of its numbers."""
    kinds = dict.fromkeys(numbers, " class=n")
    titles = "".join(f"<th{kinds.get(place, '')}>{name}</th>" for place, name in enumerate(head))
    body = "\n".join(
        "<tr>"
        + "".join(
            f"<td{kinds.get(place, '')} data-name='{head[place].lower()}'>{cell}</td>" for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table class=list><thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
