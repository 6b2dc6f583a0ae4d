"""The SQL of a listener over `new.*` and `old.*`: its filter and its message key.

A field has the type that JSON gives it, so the events of a batch are asked in one query for each combination of types:
one in nearly every batch. If a query fails, its events are tried one by one, to find the event that causes the error.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import duckdb

from shared.definitions.models import SyncDefinition
from shared.definitions.models.listener import Topic
from shared.errors import DefinitionError, Problem
from shared.events.bodies import json_text
from shared.events.records import Event, Undecodable, Unusable
from shared.workspace import Workspace, checked, json_rows, quoted

__all__ = ["SelectedEvents", "Selection", "listener_problems"]

_QUOTED_TEXT: Final = re.compile(r"'(?:[^']|'')*'")
_NAME: Final = re.compile(r'\b(new|old)((?:\s*\.\s*(?:[A-Za-z_]\w*|"(?:[^"]|"")*"))+)', re.IGNORECASE)
_PART: Final = re.compile(r'[A-Za-z_]\w*|"(?:[^"]|"")*"')
_NO_TYPE: Final = "NULL"
_LARGEST: Final = 2**127  # HUGEINT
_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedEvents:
    """The events of a batch that a listener takes; positions are indices into the batch.

    Attributes:
        wanted: The events that the filter lets through, with their message key where the listener gives one.
        filtered: How many it does not.
        failed: Events whose expressions could not be computed.
    """

    wanted: tuple[tuple[int, Event], ...]
    filtered: int
    failed: tuple[tuple[int, Undecodable], ...]


class Selection:
    """A listener's filter and message key, ready to be asked."""

    def __init__(self, topic: Topic) -> None:
        """Check the expressions.

        Raises:
            DefinitionError: One of them is not allowed or no SQL.
        """
        texts = (topic.filter, topic.message_key)
        self._paths = tuple(sorted({path for text in texts if text for path in _paths(text)}))
        names = [".".join(path) for path in self._paths]
        origins = ("listener.topic.filter", "listener.topic.message_key")
        sqls = [
            checked(text, names=names, origin=origin) if text else None
            for text, origin in zip(texts, origins, strict=True)
        ]
        self._filter, self._key = sqls

    def select(self, events: Sequence[Event], workspace: Workspace) -> SelectedEvents:
        """Ask the expressions for a batch."""
        if self._filter is None and self._key is None:
            return SelectedEvents(wanted=tuple(enumerate(events)), filtered=0, failed=())
        alike: dict[tuple[str, ...], dict[int, str]] = defaultdict(dict)
        answers: dict[int, tuple[bool | None, str | None] | Undecodable] = {}
        for index, event in enumerate(events):
            values = [_at(event, path) for path in self._paths]
            row = _document(index, values)
            if isinstance(row, Unusable):
                answers[index] = Undecodable(
                    reason=f"the listener's filter or message key uses a value that cannot be used: {row.reason}"
                )
            else:
                alike[tuple(map(_type, values))][index] = row
        for types, rows in alike.items():
            answers |= self._asked(types, rows, workspace)
        return _sorted_out(events, answers)

    def _asked(
        self, types: Sequence[str], rows: Mapping[int, str], workspace: Workspace
    ) -> dict[int, tuple[bool | None, str | None] | Undecodable]:
        try:
            found = workspace.query(self._sql(types), [f"[{','.join(rows.values())}]"])
        except duckdb.Error:
            if len(rows) == 1:
                reason = "the listener's filter or message key cannot be computed: a value does not fit the expression"
                return {index: Undecodable(reason=reason) for index in rows}
            return {
                index: answer
                for one, row in rows.items()
                for index, answer in self._asked(types, {one: row}, workspace).items()
            }
        return {index: (passes, key) for index, passes, key in found}

    def _sql(self, types: Sequence[str]) -> str:
        fields = {f"f{number}": kind for number, kind in enumerate(types) if kind != _NO_TYPE}
        tree: dict[str, Any] = {}
        for number, path in enumerate(self._paths):
            _plant(tree, path, f"r.f{number}" if f"f{number}" in fields else "NULL")
        structs = "".join(f", {_struct(branch)} AS {name}" for name, branch in tree.items())
        return (
            f"SELECT r.n, CAST({self._filter or 'true'} AS BOOLEAN), CAST({self._key or 'NULL'} AS VARCHAR) "
            f"FROM (SELECT r{structs} FROM {json_rows({'n': 'BIGINT'} | fields)})"
        )


def listener_problems(definition: SyncDefinition) -> tuple[Problem, ...]:
    """What is wrong with the expressions of a definition's listener; empty where it has none."""
    try:
        Selection(definition.listener.topic if definition.listener else Topic())
    except DefinitionError as error:
        return error.problems
    return ()


def _sorted_out(
    events: Sequence[Event], answers: Mapping[int, tuple[bool | None, str | None] | Undecodable]
) -> SelectedEvents:
    wanted: list[tuple[int, Event]] = []
    failed: list[tuple[int, Undecodable]] = []
    filtered = 0
    for index, event in enumerate(events):
        match answers[index]:
            case Undecodable(reason=reason):
                failed.append((index, Undecodable(reason=reason, item=event.position.item)))
            case True, key:
                wanted.append((index, replace(event, key=key or "")))
            case _:
                filtered += 1
    return SelectedEvents(wanted=tuple(wanted), filtered=filtered, failed=tuple(failed))


def _paths(expression: str) -> Iterable[_Path]:
    """The fields that an expression reads, spelled as in the expression."""
    for found in _NAME.finditer(_QUOTED_TEXT.sub("''", expression)):
        names = (part.strip('"').replace('""', '"') for part in _PART.findall(found[2]))
        yield (found[1].lower(), *names)


def _at(event: Event, path: _Path) -> Any:
    value: Any = event.fields if path[0] == "new" else event.old
    for name in path[1:]:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _type(value: Any) -> str:
    match value:
        case None:  # it fits every expression: nothing is neither text nor number
            return _NO_TYPE
        case bool():
            return "BOOLEAN"
        case int() if abs(value) < _LARGEST:
            return "HUGEINT"
        case Decimal():
            return "DOUBLE"
        case dict() | list():
            return "JSON"
        case _:
            return "VARCHAR"


def _document(index: int, values: Sequence[Any]) -> str | Unusable:
    return json_text({"n": index} | {f"f{number}": value for number, value in enumerate(values) if value is not None})


def _plant(tree: dict[str, Any], path: _Path, leaf: str) -> None:
    for name in path[:-1]:
        branch = tree.setdefault(name, {})
        if not isinstance(branch, dict):  # `new.a` beside `new.a.b`: the shorter one is the whole object
            return
        tree = branch
    tree[path[-1]] = leaf


def _struct(branch: Any) -> str:
    if isinstance(branch, str):
        return branch
    return "struct_pack(" + ", ".join(f"{quoted(name)} := {_struct(inner)}" for name, inner in branch.items()) + ")"
