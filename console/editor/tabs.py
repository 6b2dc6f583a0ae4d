"""The tabs of the editor: which keys of a definition each of them has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from console.editor.forms.making import Rows, all_rows, field_of, fields_of
from console.editor.forms.reading import Sent, value_of
from console.editor.forms.widgets import ABSENT, Kind, Widget
from shared.definitions import SyncDefinition
from shared.errors import Problem

__all__ = ["FIRST", "TABS", "YAML", "Tab", "placed", "tab_named", "tab_of", "values_with", "widgets_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some keys of a definition.

    Attributes:
        key: A key of the definition.
        only: If given, the keys in it that the part has.
        without: The keys in it that the part does not have.
    """

    key: str
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One tab.

    Attributes:
        slug: Its name in addresses.
        label: Its name for people.
        about: What it is for, in one sentence.
        parts: Its keys; none for all keys of the definition that no other tab has.
    """

    slug: str
    label: str
    about: str
    parts: tuple[Part, ...] = ()


TABS: Final[Sequence[Tab]] = (
    Tab(slug="info", label="Info", about="What the sync is called, when it runs, and its parameters."),
    Tab(
        slug="source",
        label="Source",
        about="Where the rows come from.",
        parts=(Part(key="source", without=("columns", "filter")),),
    ),
    Tab(
        slug="columns",
        label="Columns",
        about="The columns of the source, their types and how they are read or calculated.",
        parts=(Part(key="source", only=("columns",)),),
    ),
    Tab(
        slug="destination",
        label="Destination",
        about="The table of Dataverse, and how the app signs in.",
        parts=(Part(key="destination", without=("mappings", "filter")),),
    ),
    Tab(
        slug="mapping",
        label="Mapping",
        about="Which source column goes into which column of the table.",
        parts=(Part(key="destination", only=("mappings",)),),
    ),
    Tab(
        slug="filter",
        label="Filter",
        about="Which rows of the source and which records of the table take part.",
        parts=(Part(key="source", only=("filter",)), Part(key="destination", only=("filter",))),
    ),
    Tab(
        slug="behaviour",
        label="Behaviour",
        about="What happens to new, changed and dropped records.",
        parts=(Part(key="sync_behaviour"),),
    ),
    Tab(
        slug="post-sync",
        label="Post sync",
        about="Steps after the writes of a run.",
        parts=(Part(key="post_sync"),),
    ),
    Tab(
        slug="real-time",
        label="Real time",
        about="Events that are applied as they come.",
        parts=(Part(key="listener"),),
    ),
    Tab(
        slug="permissions",
        label="Permissions",
        about="Who may do what with this sync.",
        parts=(Part(key="permissions"),),
    ),
)
FIRST: Final = TABS[0]
YAML: Final = Tab(slug="yaml", label="YAML", about="The whole definition as text. Comments stay.")
_ELSEWHERE: Final = frozenset(part.key for tab in TABS for part in tab.parts)


def tab_named(slug: str) -> Tab:
    """A tab by its name in addresses; the first one where there is none."""
    return next((tab for tab in (*TABS, YAML) if tab.slug == slug), FIRST)


def tab_of(path: str) -> Tab:
    """The tab that has a path of a problem, such as `destination.mappings[3].target`."""
    parts = path.replace("[", ".").split(".")
    for tab in TABS:
        for part in tab.parts:
            if parts[0] == part.key and _has(part, parts[1] if len(parts) > 1 else ""):
                return tab
    return FIRST


def _has(part: Part, key: str) -> bool:
    return (not part.only or key in part.only) and key not in part.without


def widgets_of(tab: Tab, data: Any, rows: Rows = all_rows) -> list[Widget]:
    """The fields of a tab with the values of a definition; `rows` says which rows of its lists have fields."""
    values = data if isinstance(data, dict) else {}
    if not tab.parts:
        return fields_of(SyncDefinition, values, (), without=_ELSEWHERE, rows=rows)
    found = []
    for part in tab.parts:
        widget = field_of(SyncDefinition, part.key, values.get(part.key, ABSENT), (part.key,), rows=rows)
        if widget.kind is Kind.GROUP:
            widget.children = [each for each in widget.children if _has(part, each.key)]
        found.append(widget)
    return found


def values_with(tab: Tab, data: Any, sent: Sent) -> dict[str, Any]:
    """The values of a definition with those of a tab that was sent."""
    made: dict[str, Any] = {}
    values = dict(data) if isinstance(data, dict) else {}
    found: dict[str, Any] = {}
    for widget in widgets_of(tab, values, sent.rows):
        found[widget.key] = value_of(widget, sent)
    for name in SyncDefinition.model_fields:
        value = found.get(name, values.get(name, ABSENT))
        if value is not ABSENT:
            made[name] = value
    return made | {key: value for key, value in values.items() if key not in SyncDefinition.model_fields}


def placed(widgets: Sequence[Widget], problems: Sequence[Problem]) -> None:
    """Give each problem to the field that it is about: the one with the longest beginning of its path."""
    everything = [each for widget in widgets for each in widget.walk()]
    for problem in problems:
        about = [each for each in everything if _begins(problem.path, each.shown_path)]
        if about:
            nearest = max(about, key=lambda each: len(each.shown_path))
            nearest.problems.append(f"{_row(problem.path, nearest)}{problem.message}")


def _row(path: str, widget: Widget) -> str:
    """The number or name of a row that has no fields in the page, before what is wrong with it."""
    if widget.shown is None or path == widget.shown_path:
        return ""
    row = re.match(r"\[(\d+)\]|\.([^.\[]+)", path[len(widget.shown_path) :])
    if row is None:
        return ""
    return f"{int(row[1]) + 1:,}: " if row[1] else f"{row[2]}: "


def _begins(path: str, start: str) -> bool:
    return path == start or (path.startswith(start) and path[len(start)] in ".[")
