"""A plan as one self-contained HTML page: no scripts, no downloads, suitable for mail and archives."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from shared.views.changes import change_lines, shown_counts
from shared.visible import for_terminal

__all__ = ["plan_page"]

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; opacity: .7; }
th, td { text-align: left; vertical-align: top; padding: .4rem .7rem; border-bottom: 1px solid #8883; }
th { font-weight: 600; font-size: .85rem; opacity: .75; background: #8881; }
tbody tr:last-child td { border-bottom: 0; } tbody tr:hover { background: #8881; }
td.was, td.will, td.long, td.said { overflow-wrap: anywhere; min-width: 3rem; } td.said { min-width: 14rem; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.was, td.will { white-space: pre-wrap; }
.wide { overflow-x: auto; border: 1px solid #8883; border-radius: .5rem; }
.totals td { font-size: 1.6rem; line-height: 1.2; } .action { font-weight: 600; white-space: nowrap; }
.action::first-letter { text-transform: uppercase; } .was { color: #b3261e; } .will { color: #1b7f3b; }
@media (prefers-color-scheme: dark) { .was { color: #ff8a80; } .will { color: #7fd99a; } }
.warn { border-left: 4px solid #c77700; border-radius: .25rem; padding: .5rem 1rem; background: #c7770022; }
@media print { body { max-width: none; margin: 0; } .wide { overflow: visible; } tr { break-inside: avoid; } }
code { overflow-wrap: anywhere; }
"""


def plan_page(plan: Mapping[str, Any]) -> str:
    """Render what `plan --json` prints as a page."""
    title = f"Plan of {plan['sync']}"
    parts = (
        f"<h1>{escape(title)}</h1>",
        f"<p>Strategy {escape(plan['strategy'])}. Nothing has been written.</p>",
        *(f"<p>Note: {escape(note)}</p>" for note in plan.get("notes", ())),
        *(f"<p class=warn>Refused as unsafe: {escape(violation)}</p>" for violation in plan["violations"]),
        "<h2>Records</h2>",
        f"<div class=totals>{_counts(plan['planned'])}</div>",
        "<h2>Rows</h2>",
        _rows(plan["planned"]),
        *_section("Changes", _samples(plan["sample"]), plan["sample"]),
        *_section("Errors", _errors(plan["errors"]), plan["errors"]),
        f"<p>Checksum <code>{escape(plan['checksum'])}</code></p>",
    )
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{escape(title)}</title>"
    body = "\n".join(parts)
    return (
        f"<!doctype html>\n<html lang=en><head>{head}<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _section(title: str, table: str, rows: Iterable[object]) -> tuple[str, ...]:
    return (f"<h2>{title}</h2>", table) if rows else ()


def _counts(planned: Mapping[str, Any]) -> str:
    shown = shown_counts(planned)
    numbers = dict.fromkeys(range(len(shown)), "n")
    return _table([name.capitalize() for name in shown], [[f"{n:,}" for n in shown.values()]], classes=numbers)


def _rows(planned: Mapping[str, Any]) -> str:
    names = ("processed", "verified", "rejected", "filtered")
    rows = [
        [side.capitalize(), *(f"{planned[side].get(name, 0):,}" for name in names)] for side in ("source", "target")
    ]
    return _table(["Side", *(name.capitalize() for name in names)], rows, classes=dict.fromkeys(range(1, 5), "n"))


def _samples(sample: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for line in change_lines(sample):
        head = [line.action, _cell_text(line.row), ", ".join(map(_cell_text, line.key))]
        values = [line.column, _cell_text(line.before), _cell_text(line.after)]
        rows.append([*(head if line.first else ["", "", ""]), *values])
    classes = {0: "action", 1: "n", 2: "long", 4: "was", 5: "will"}
    return _table(["Action", "Row", "Key", "Column", "Before", "After"], rows, classes=classes)


def _errors(errors: Iterable[Mapping[str, Any]]) -> str:
    names = ("side", "class", "type", "column", "count", "rows", "message")
    rows = [[_cell_text(error[name]) for name in names] for error in errors]
    return _table([name.capitalize() for name in names], rows, classes={4: "n", 5: "long", 6: "said"})


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], *, classes: Mapping[int, str] | None = None) -> str:
    """A table; `classes` names the style of some columns, counted from 0."""
    kinds = classes or {}
    titles = _cells("th", head, {place: kind for place, kind in kinds.items() if kind == "n"})
    body = "\n".join(f"<tr>{_cells('td', row, kinds)}</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"


def _cells(tag: str, texts: Iterable[str], kinds: Mapping[int, str]) -> str:
    classes = {place: f" class={kind}" for place, kind in kinds.items()}
    return "".join(
        f"<{tag}{classes.get(place, '')}>{escape(for_terminal(text))}</{tag}>" for place, text in enumerate(texts)
    )


def _cell_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case list():
            return ", ".join(map(_cell_text, value))
        case _:
            return json.dumps(value, ensure_ascii=False)
