"""A plan as one self-contained HTML page for the person who approves it: no scripts, no downloads, fit for mail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from shared.views.forecast import forecast_lines
from shared.views.pages.html import escaped, listed, section, whole
from shared.views.pages.plan_parts import (
    Change,
    ColumnLine,
    Group,
    LimitLine,
    error_lines,
    groups,
    limit_lines,
    moment,
    reasons,
    totals,
)

__all__ = ["plan_page"]

_CLASSES: Final = {"before": "was", "after": "will"}


def plan_page(plan: Mapping[str, Any]) -> str:
    """Render what `plan --json` prints as a page."""
    about: Mapping[str, Any] = plan.get("about") or {}
    title = f"Plan of {plan['sync']}"
    parts = (
        f"<h1>{escaped(title)}</h1>",
        "<p class=quiet>This is a plan: nothing has been written.</p>",
        _facts(plan, about),
        *(f"<p class=warn><b>Refused as unsafe:</b> {escaped(each)}</p>" for each in plan["violations"]),
        *(f"<p class=warn>{escaped(note)}</p>" for note in plan.get("notes", ())),
        "<h2>Records</h2>",
        _totals(plan["planned"]),
        *section("What the run will cost", _forecast(plan.get("forecast"))),
        *section("Safety limits", _limits(about.get("limits", ()))),
        *section("Changes", "\n".join(map(_group, groups(plan)))),
        "<h2>Rows</h2>",
        _rows(plan["planned"]),
        *section("Why rows are ignored or filtered", _reasons(plan["planned"], about)),
        *section("Errors", _errors(plan["errors"])),
        *section("Steps after the sync", _steps(plan.get("post_sync", ()))),
        f"<p class=quiet>Checksum <code>{escaped(plan['checksum'])}</code></p>",
    )
    return whole(title, parts)


def _facts(plan: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Where, from what, with which values, when and by whom."""
    table, source = about.get("table", {}), about.get("source", {})
    parameters = about.get("parameters", {})
    facts = {
        "Environment": escaped(about.get("environment", "")),
        "Table": _labelled(table.get("label", ""), table.get("name", "")),
        "Source": " ".join(escaped(source[key]) for key in ("type", "path") if source.get(key)),
        "Parameters": "<br>".join(
            f"<code>{escaped(name)}</code> = {escaped(each)}" for name, each in parameters.items()
        ),
        "Strategy": escaped(plan["strategy"]),
        "Planned": escaped(" by ".join(filter(None, (moment(about.get("at", "")), about.get("by", ""))))),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items() if value)
    return f"<dl class=facts>{rows}</dl>"


def _labelled(label: str, name: str) -> str:
    """A display name with the logical name beside it."""
    if not label or label == name:
        return f"<code>{escaped(name)}</code>" if name else ""
    return f"{escaped(label)} <small><code>{escaped(name)}</code></small>"


def _totals(planned: Mapping[str, Any]) -> str:
    tiles = (
        f"<div class='{each.kind}{' some' if each.count else ''}'><b>{each.count:,}</b>{each.words}</div>"
        for each in totals(planned)
    )
    return f"<div class=totals>{''.join(tiles)}</div>"


def _forecast(cost: Mapping[str, Any] | None) -> str:
    facts = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(said)}</dd>" for name, said in forecast_lines(cost))
    return f"<dl class=facts>{facts}</dl>" if facts else ""


def _limits(limits: Iterable[Mapping[str, Any]]) -> str:
    rows = [_limit(each) for each in limit_lines(limits)]
    return listed(("What", "Planned", "Distance", "Limit"), rows) if rows else ""


def _limit(line: LimitLine) -> list[str]:
    bar = f"<span class=meter><i style='width:{line.used}%'></i></span>" if line.used is not None else ""
    planned = f"<span class='{'broken' if line.over else ''}'>{line.planned}{bar}</span>"
    return [line.what, planned, escaped(line.rest), f"<code>{escaped(line.name)}</code>: {escaped(line.limit)}"]


def _steps(steps: Iterable[Mapping[str, str]]) -> str:
    rows = [[escaped(step["name"]), escaped(step["does"]), escaped(step["run_on"])] for step in steps]
    return listed(("Step", "What it does", "After runs with"), rows) if rows else ""


def _group(group: Group) -> str:
    titles = "".join(f"<th>{side.capitalize()}</th>" for side in group.sides)
    body = "\n".join(_change(each, group) for each in group.changes)
    head = f"<thead><tr><th class=k>Key</th><th class=c>Column</th>{titles}</tr></thead>"
    table = f"<table class=changes>{head}\n{body}\n</table>"
    return f"<section class={group.kind}><h3>{group.title} <small>{group.shown}</small></h3>{table}</section>"


def _change(change: Change, group: Group) -> str:
    """One change: its key once, and a row for each column that has a value on one of the sides."""
    lines = ["".join(_column(each, group)) for each in change.columns] or [f"<td colspan={len(group.sides) + 1}></td>"]
    row = f"<small>row {change.row:,}</small>" if change.row is not None else ""
    head = f"<th scope=rowgroup rowspan={len(lines)}>{escaped(change.key)} {row}</th>"
    rows = "".join(f"<tr>{head if place == 0 else ''}{line}</tr>" for place, line in enumerate(lines))
    return f"<tbody>{rows}</tbody>"


def _column(column: ColumnLine, group: Group) -> Iterator[str]:
    yield f"<td class=c>{_labelled(column.label, column.name)}</td>"
    for side, value, note in zip(group.sides, column.values, column.notes, strict=True):
        shown = escaped(value) if value else "<span class=empty>empty</span>"
        said = f" <small>{escaped(note)}</small>" if note else ""
        yield f"<td class={_CLASSES[side]} data-name={side}>{shown}{said}</td>"


def _rows(planned: Mapping[str, Any]) -> str:
    names = ("processed", "verified", "rejected", "filtered")
    rows = [
        [side.capitalize(), *(f"{planned[side].get(name, 0):,}" for name in names)] for side in ("source", "target")
    ]
    return listed(("Side", *(name.capitalize() for name in names)), rows, numbers=range(1, 5))


def _reasons(planned: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    rows = [
        [f"{count:,}", f"{escaped(why)}{f' <code>{escaped(code)}</code>' if code else ''}"]
        for count, why, code in reasons(planned, about)
    ]
    return listed(("Count", "Why"), rows, numbers=(0,)) if rows else ""


def _errors(errors: Iterable[Mapping[str, Any]]) -> str:
    rows = [[escaped(text) for text in line.values()] for line in error_lines(errors)]
    names = ("type", "column", "count", "rows", "message", "side", "class")
    return listed([name.capitalize() for name in names], rows, numbers=(2,)) if rows else ""
