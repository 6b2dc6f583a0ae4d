"""A plan as one self-contained HTML page for the person who approves it: no scripts, no downloads, fit for mail."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from shared.views.errors import first_rows
from shared.views.forecast import forecast_lines
from shared.views.pages.html import escaped, listed, section, whole

__all__ = ["plan_page"]

# The changes of a record: the name of the count, its heading, and its kind, which has a colour. Drops come first:
# an approver must not miss them.
_ACTIONS: Final = (
    ("delete", "deleted", "To delete", "drop"),
    ("expire", "expired", "To expire", "drop"),
    ("deactivate", "deactivated", "To deactivate", "drop"),
    ("mark", "marked", "To mark as dropped", "drop"),
    ("reactivate", "reactivated", "To reactivate", "edit"),
    ("update", "updated", "To update", "edit"),
    ("insert", "created", "To create", "add"),
    ("upsert", "upserted", "To create or update", "add"),
)
_TOTALS: Final = (("created", "to create", "add"), ("updated", "to update", "edit"), ("deleted", "to delete", "drop"))
_OTHER_TOTALS: Final = (
    ("expired", "to expire", "drop"),
    ("deactivated", "to deactivate", "drop"),
    ("marked", "to mark as dropped", "drop"),
    ("reactivated", "to reactivate", "edit"),
    ("upserted", "to create or update", "add"),
    ("created_references", "to create in other tables", "add"),
    ("unchanged", "unchanged", "none"),
    ("ignored", "ignored", "none"),
)
_LIMITS: Final = {
    "max_delete": "Records to delete, expire or deactivate",
    "max_update": "Records to update",
    "max_created_references": "Records to create in other tables",
    "max_requests": "Requests to Dataverse",
    "max_minutes": "Minutes",
}
_GROUPED_FROM: Final = 10_000  # a number of four digits may be a year


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
        *section("Changes", "\n".join(_changes(plan, about))),
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
        "Planned": escaped(" by ".join(filter(None, (_moment(about.get("at", "")), about.get("by", ""))))),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items() if value)
    return f"<dl class=facts>{rows}</dl>"


def _moment(text: str) -> str:
    return f"{dt.datetime.fromisoformat(text).astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC" if text else ""


def _labelled(label: str, name: str) -> str:
    """A display name with the logical name beside it."""
    if not label or label == name:
        return f"<code>{escaped(name)}</code>" if name else ""
    return f"{escaped(label)} <small><code>{escaped(name)}</code></small>"


def _totals(planned: Mapping[str, Any]) -> str:
    shown = [*_TOTALS, *(each for each in _OTHER_TOTALS if planned.get(each[0]))]
    tiles = (
        f"<div class='{kind}{' some' if planned.get(name) else ''}'><b>{planned.get(name, 0):,}</b>{words}</div>"
        for name, words, kind in shown
    )
    return f"<div class=totals>{''.join(tiles)}</div>"


def _forecast(cost: Mapping[str, Any] | None) -> str:
    facts = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(said)}</dd>" for name, said in forecast_lines(cost))
    return f"<dl class=facts>{facts}</dl>" if facts else ""


def _limits(limits: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for each in limits:
        planned, most = each["planned"], each["most"]
        said = f"{planned:,} of at most {most:,}" if most is not None else f"{planned:,}"
        used = 0 if not planned else 100 if not most else min(100, round(100 * planned / most))
        over = most is not None and planned > most
        bar = f"<span class=meter><i style='width:{used}%'></i></span>" if most is not None else ""
        rest = "above the limit" if over else _allowed(planned, most)
        limit = f"<code>{escaped(each['name'])}</code>: {escaped(each['limit'])}"
        if str(each["limit"]).endswith("%"):
            limit += f" of {each['of']:,} records"
        cells = [
            _LIMITS.get(each["name"], each["name"]),
            f"<span class='{'broken' if over else ''}'>{said}{bar}</span>",
        ]
        rows.append([*cells, escaped(rest), limit])
    return listed(("What", "Planned", "Distance", "Limit"), rows) if rows else ""


def _allowed(planned: int, most: int | None) -> str:
    """What a limit still allows; `most` is None where a percentage does not apply because the table has few records."""
    return (
        "allowed: a percentage applies from 10 records on" if most is None else f"{most - planned:,} more are allowed"
    )


def _changes(plan: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[str]:
    """Samples of every kind of change, drops first."""
    columns: Mapping[str, Any] = about.get("columns", {})
    for action, count, title, kind in _ACTIONS:
        sample = [each for each in plan["sample"] if each["action"] == action]
        if sample:
            total = max(plan["planned"].get(count, 0), len(sample))
            shown = f"{len(sample):,} of {total:,} shown" if total > len(sample) else "all shown"
            table = _change_table(sample, columns, _SIDES.get(action, _BOTH))
            yield f"<section class={kind}><h3>{title} <small>{shown}</small></h3>{table}</section>"


def _steps(steps: Iterable[Mapping[str, str]]) -> str:
    rows = [[escaped(step["name"]), escaped(step["does"]), escaped(step["run_on"])] for step in steps]
    return listed(("Step", "What it does", "After runs with"), rows) if rows else ""


_BEFORE, _AFTER = ("before", "was", "Before"), ("after", "will", "After")
_BOTH: Final = (_BEFORE, _AFTER)
_SIDES: Final = {"delete": (_BEFORE,), "insert": (_AFTER,)}
_Sides = Sequence[tuple[str, str, str]]


def _change_table(sample: Sequence[Mapping[str, Any]], columns: Mapping[str, Any], sides: _Sides) -> str:
    titles = "".join(f"<th>{title}</th>" for _, _, title in sides)
    body = "\n".join(_change(each, columns, sides) for each in sample)
    head = f"<thead><tr><th class=k>Key</th><th class=c>Column</th>{titles}</tr></thead>"
    return f"<table class=changes>{head}\n{body}\n</table>"


def _change(change: Mapping[str, Any], columns: Mapping[str, Any], sides: _Sides) -> str:
    """One change: its key once, and a row for each column that has a value on one of the sides."""
    held = [each for each in change["columns"] if any(each.get(side) not in (None, "") for side, _, _ in sides)]
    lines = [_column(each, columns, sides) for each in held] or [f"<td colspan={len(sides) + 1}></td>"]
    row = f"<small>row {change['row']:,}</small>" if change["row"] is not None else ""
    key = ", ".join(escaped(_value(each)) for each in change["key"].values())
    head = f"<th scope=rowgroup rowspan={len(lines)}>{key} {row}</th>"
    rows = "".join(f"<tr>{head if place == 0 else ''}{line}</tr>" for place, line in enumerate(lines))
    return f"<tbody>{rows}</tbody>"


def _column(column: Mapping[str, Any], columns: Mapping[str, Any], sides: _Sides) -> str:
    name = column["column"]
    about = columns.get(name, {})
    options = about.get("options", {})
    cells = [f"<td class=c>{_labelled(about.get('label', ''), name)}</td>"]
    for key, kind, title in sides:
        value = column.get(f"{key}_name") or _with_option(column.get(key), options)
        shown = escaped(value) if value else "<span class=empty>empty</span>"
        cells.append(f"<td class={kind} data-name={title.lower()}>{shown}</td>")
    return "".join(cells)


def _with_option(value: Any, options: Mapping[str, str]) -> str:
    """A value; of a choice, each option with its label."""
    text = _value(value)
    found = [options.get(part.strip()) for part in text.split(",")] if options and text else []
    if not found or None in found:
        return text
    return ", ".join(f"{part.strip()} {label}" for part, label in zip(text.split(","), found, strict=True))


def _value(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:,.2f}" if round(value, 2) == value else f"{value:,}"
        case int() if abs(value) >= _GROUPED_FROM:
            return f"{value:,}"
        case list():
            return ", ".join(map(_value, value))
        case _:
            return json.dumps(value, ensure_ascii=False)


def _rows(planned: Mapping[str, Any]) -> str:
    names = ("processed", "verified", "rejected", "filtered")
    rows = [
        [side.capitalize(), *(f"{planned[side].get(name, 0):,}" for name in names)] for side in ("source", "target")
    ]
    return listed(("Side", *(name.capitalize() for name in names)), rows, numbers=range(1, 5))


def _reasons(planned: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    reasons = [[f"{each['count']:,}", escaped(each["why"])] for each in about.get("ignored", ())]
    filtered = planned["source"].get("filtered", 0)
    if filtered and about.get("filter"):
        reasons.append(
            [f"{filtered:,}", f"rows for which the filter is not true: <code>{escaped(about['filter'])}</code>"]
        )
    return listed(("Count", "Why"), reasons, numbers=(0,)) if reasons else ""


def _errors(errors: Iterable[Mapping[str, Any]]) -> str:
    names = ("type", "column", "count", "rows", "message", "side", "class")
    named = (
        {**error, "rows": first_rows(error["rows"], error["count"], error.get("examples", ()))} for error in errors
    )
    rows = [[escaped(_value(error[name])) for name in names] for error in named]
    return listed([name.capitalize() for name in names], rows, numbers=(2,)) if rows else ""
