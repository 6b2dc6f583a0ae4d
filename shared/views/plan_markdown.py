"""A plan as Markdown, for a comment on a pull request. More people read it than those who may see rows.

So values, keys and messages of errors are left out unless they are asked for. What is shown stands in `<code>`, with
every sign that Markdown reads written as an entity: text of a row is never a link, a mention or a heading.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from shared.views.changes import ChangeLine, change_lines, shown_counts
from shared.views.forecast import forecast_lines
from shared.visible import for_terminal

__all__ = ["plan_markdown"]

# GitHub takes a comment of up to 65,536 characters, and a comment may hold several plans.
_LONGEST: Final = 20_000
_LONGEST_CELL: Final = 120  # characters
_LONGEST_SENTENCE: Final = 500
_MASKED: Final = "•••"
_WORDS: Final = {
    "created": "create",
    "updated": "update",
    "deleted": "delete",
    "expired": "expire",
    "deactivated": "deactivate",
    "marked": "mark as dropped",
    "reactivated": "reactivate",
    "upserted": "create or update",
    "created_references": "create in other tables",
}


def plan_markdown(plan: Mapping[str, Any], *, values: bool = False) -> str:
    """Render what `plan --json` prints.

    Args:
        plan: The object.
        values: Show values, keys and messages of errors.
    """
    about: Mapping[str, Any] = plan.get("about") or {}
    sections = [
        f"### Plan of {_code(plan['sync'])}",
        _facts(plan, about),
        *(f"> **Refused as unsafe:** {_code(each, _LONGEST_SENTENCE)}" for each in plan["violations"]),
        *(f"> {_code(note, _LONGEST_SENTENCE)}" for note in plan.get("notes", ()) if values),
        _counts(plan["planned"]),
        *_forecast(plan.get("forecast")),
        *_limits(about.get("limits", ())),
        *_errors(plan["errors"], values=values),
    ]
    end = f"Checksum {_code(plan['checksum'])}"
    sample = _sample(plan["sample"], values=values)
    shown = _joined([*sections, *sample, end])
    if len(shown) > _LONGEST:
        shown = _joined([*sections, "The examples are left out: they are too long for a comment.", end])
    return shown if len(shown) <= _LONGEST else _joined([sections[0], _counts(plan["planned"]), end])


def _joined(sections: Iterable[str]) -> str:
    return "\n\n".join(each for each in sections if each) + "\n"


def _facts(plan: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    table = about.get("table", {}).get("name", "")
    facts = (
        ("Environment", about.get("environment", "")),
        ("Table", table),
        ("Strategy", plan["strategy"]),
        ("Planned", about.get("at", "")),
    )
    return "  \n".join(f"{name}: {_code(value)}" for name, value in facts if value)


def _counts(planned: Mapping[str, Any]) -> str:
    rows = [(_WORDS.get(name, name), f"{count:,}") for name, count in shown_counts(planned).items()]
    source = planned["source"]
    rows += [(f"rows {name}", f"{source[name]:,}") for name in ("processed", "rejected", "filtered") if name in source]
    return _table(("Records", "Count"), rows, numbers={1})


def _forecast(cost: Mapping[str, Any] | None) -> Iterator[str]:
    lines = forecast_lines(cost)
    if lines:
        yield _table(("Forecast", ""), lines)


def _limits(limits: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    rows = []
    for each in limits:
        most = "none below 10 records" if each["most"] is None else f"{each['most']:,}"
        rows.append((_code(each["name"]), _code(each["limit"]), f"{each['planned']:,}", most))
    if rows:
        yield _table(("Safety limit", "Limit", "Planned", "Most"), rows, numbers={2, 3})


def _errors(errors: Sequence[Mapping[str, Any]], *, values: bool) -> Iterator[str]:
    if not errors:
        return
    head = ("Error", "Column", "Count", *(("Message",) if values else ()))
    rows = [
        (_code(each["type"]), _code(each["column"] or ""), f"{each['count']:,}", *([_code(each["message"])] * values))
        for each in errors
    ]
    yield _table(head, rows, numbers={2})


def _sample(sample: Sequence[Mapping[str, Any]], *, values: bool) -> Iterator[str]:
    """Examples of changes, drops first; masked, only which columns change and whether they had a value."""
    lines = list(change_lines(sorted(sample, key=lambda each: each["action"] not in {"delete", "expire"})))
    if not lines:
        return
    rows = [_change(line, values=values) for line in lines]
    said = "" if values else ", values hidden"
    table = _table(("Change", "Row", *(("Key",) if values else ()), "Column", "Before", "After"), rows)
    yield f"<details><summary>Examples{said}</summary>\n\n{table}\n\n</details>"


def _change(line: ChangeLine, *, values: bool) -> tuple[str, ...]:
    first = [line.action, "" if line.row is None else f"{line.row:,}"]
    if values:
        first.append(", ".join(_shown(each, values=values) for each in line.key))
    if not line.first:
        first = [""] * len(first)
    column = _code(line.column) if line.column else ""
    return (*first, column, _shown(line.before, values=values), _shown(line.after, values=values))


def _shown(value: Any, *, values: bool) -> str:
    if value in (None, ""):
        return ""
    if not values:
        return _MASKED
    return _code(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _code(value: object, longest: int = _LONGEST_CELL) -> str:
    """Text that neither Markdown nor HTML reads: everything but letters, digits and blanks is an entity."""
    text = " ".join(for_terminal(str(value)).split())
    if len(text) > longest:
        text = text[:longest] + "…"
    return f"<code>{''.join(each if each.isalnum() or each == ' ' else f'&#{ord(each)};' for each in text)}</code>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()) -> str:
    aligned = set(numbers)
    lines = [head, ["---:" if place in aligned else "---" for place in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
