"""Pages from templates. Every value is escaped; a template that names an unknown value fails in a test."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.run_ids import SHORT_ID
from shared.visible import in_html

__all__ = ["STATIC", "add_filters", "render", "static_file"]

_FOLDER: Final = Path(__file__).resolve().parents[1]
STATIC: Final[Mapping[str, str]] = {
    "style.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def render(template: str, **values: Any) -> str:
    """A page; what a terminal would obey in it is written as references.

    Args:
        template: File in `console/templates`.
        values: What it shows.
    """
    return in_html(_environment().get_template(template).render(**values))


def add_filters(filters: Mapping[str, Callable[..., Any]]) -> None:
    """Let the templates of a part use filters of its own."""
    _environment().filters.update(filters)


@cache
def static_file(name: str) -> tuple[bytes, str]:
    """The bytes of a file that pages load, and a text that changes with them."""
    data = (_FOLDER / "static" / name).read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:16]


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"number": _number, "ago": _ago, "moment": _moment, "short": _short, "seconds": _seconds}
    made.filters["capitalize_first"] = _capitalized
    made.globals |= {"static": _static, "now": lambda: datetime.now(UTC)}
    return made


def _static(name: str) -> str:
    return f"/static/{name}?v={static_file(name)[1]}"


def _number(value: float | None) -> str:
    """A count with separators of thousands."""
    return "" if value is None else f"{value:,}"


def _moment(value: datetime | None) -> str:
    """A moment in UTC, to the second."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if value else ""


def _ago(value: datetime | None) -> str:
    """How long ago a moment was, or how far ahead it is, in one unit."""
    if value is None:
        return ""
    seconds = (datetime.now(UTC) - value).total_seconds()
    said = _seconds(abs(seconds))
    return f"{said} ago" if seconds >= 0 else f"in {said}"


def _seconds(value: float) -> str:
    """A duration in one unit."""
    if value < _MINUTE:
        return f"{value:.0f} s"
    if value < _HOUR:
        return f"{value / _MINUTE:.0f} min"
    if value < _DAY:
        return f"{value / _HOUR:.0f} h"
    days = round(value / _DAY)
    return "1 day" if days == 1 else f"{days:,} days"


def _capitalized(text: str) -> str:
    """A text that begins a sentence; all other letters stay as they are."""
    return text[:1].upper() + text[1:]


def _short(run_id: str) -> str:
    """The beginning of an id, which is enough for a person."""
    return run_id[:SHORT_ID]
