"""Rules between the keys of a definition; each problem has its own path.

The rules read the raw document and not the model. So they are checked even where other parts are wrong, and the user
sees every problem at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from shared.definitions.loading.located import PathProblem
from shared.definitions.loading.rules.environment import NO_ENVIRONMENT, environment_problems
from shared.definitions.loading.rules.marks import marks, scopes, written
from shared.definitions.loading.rules.post_sync import steps_after
from shared.definitions.loading.rules.raw import Raw, items_at, mapping_at, texts_at
from shared.definitions.loading.rules.sources import own_columns, own_types, source_problems
from shared.definitions.loading.rules.watermarks import watermarks
from shared.definitions.loading.wording import close_to
from shared.definitions.loading.yaml_loader import Path
from shared.entities import CHANGED_BY_MESSAGES

__all__ = ["between_keys"]


def between_keys(document: Raw) -> Iterator[PathProblem]:
    """Every problem between keys of a raw definition."""
    for rule in _RULES:
        yield from rule(document)


def _labels(document: Raw) -> list[str]:
    """The names that expressions and mappings may use; empty where only the source knows them."""
    if own_columns(mapping_at(document, "source")):
        return []
    labels = (each.get("alias") or each.get("name") for _, each in items_at(document, "source", "columns"))
    return [label for label in labels if isinstance(label, str)]


def _aliases(document: Raw) -> dict[str, str]:
    """The names of columns that have an alias -> the alias."""
    pairs = ((each.get("name"), each.get("alias")) for _, each in items_at(document, "source", "columns"))
    return {name: alias for name, alias in pairs if isinstance(name, str) and isinstance(alias, str)}


def _targets(document: Raw) -> list[str]:
    targets = (each.get("target") for _, each in items_at(document, "destination", "mappings"))
    return [target for target in targets if isinstance(target, str)]


def _source(document: Raw) -> Iterator[PathProblem]:
    yield from source_problems(mapping_at(document, "source"))


def _unique_columns(document: Raw) -> Iterator[PathProblem]:
    """Names are unique, and so is what expressions call the columns; SQL does not regard case."""
    names: dict[str, int] = {}
    labels: dict[str, int] = {}
    for path, column in items_at(document, "source", "columns"):
        key = "alias" if isinstance(column.get("alias"), str) else "name"
        yield from _taken(names, column.get("name"), (*path, "name"))
        yield from _taken(labels, column.get(key), (*path, key))


def _taken(seen: dict[str, int], name: object, path: Path) -> Iterator[PathProblem]:
    index, what = int(path[-2]), str(path[-1])
    if isinstance(name, str) and (first := seen.setdefault(name.lower(), index)) != index:
        yield PathProblem(path=path, message=_TWICE[what], first=(*path[:-2], first, what))


_TWICE: Final = {
    "name": "two columns have this name, {both}; upper and lower case are the same: remove one",
    "alias": "two columns have this name, {both}; upper and lower case are the same: give one another alias",
    "target": "this target column is mapped twice, {both}; remove one of the mappings",
}


_NOT_LOGICAL: Final = re.compile(r"[^A-Za-z0-9_]")


def _mappings(document: Raw) -> Iterator[PathProblem]:
    labels, aliases = _labels(document), _aliases(document)
    targets: dict[str, int] = {}
    for path, mapping in items_at(document, "destination", "mappings"):
        source = mapping.get("source")
        if (source is None) == (mapping.get("value") is None):
            yield PathProblem(path=path, message="a mapping needs exactly one of source and value")
        yield from _unknown_sources(source, labels, aliases, path)
        if isinstance(source, list) and mapping.get("lookup") is None:
            yield PathProblem(path=(*path, "source"), message="a list of columns needs a lookup that matches them")
        target = mapping.get("target")
        yield from _taken(targets, target, (*path, "target"))
        if isinstance(target, str) and _NOT_LOGICAL.search(target):
            message = "a target is the logical name of a column, such as accountnumber, and not its display name"
            yield PathProblem(path=(*path, "target"), message=message, at_value=True)


def _unknown_sources(
    source: object, labels: list[str], aliases: Mapping[str, str], path: Path
) -> Iterator[PathProblem]:
    """Columns of a mapping that the source does not have."""
    named = enumerate(source) if isinstance(source, list) else ((None, source),)
    for index, name in named:
        if isinstance(name, str) and labels and name not in labels:
            own = (*path, "source") if index is None else (*path, "source", index)
            alias = aliases.get(name)
            hint = f"write its alias {alias}" if alias else close_to(name, labels)
            yield PathProblem(path=own, message=f"no source column has this name; {hint}")


def _lookups(document: Raw) -> Iterator[PathProblem]:
    for path, mapping in items_at(document, "destination", "mappings"):
        raw = mapping.get("lookup")
        entries = [((*path, "lookup"), raw)] if isinstance(raw, dict) else []
        if isinstance(raw, list):
            entries = [((*path, "lookup", n), each) for n, each in enumerate(raw) if isinstance(each, dict)]
        for number, (own, lookup) in enumerate(entries):
            yield from _lookup(own, lookup, last=number == len(entries) - 1)


def _lookup(path: Path, lookup: Raw, *, last: bool) -> Iterator[PathProblem]:
    match, by_row = lookup.get("match"), lookup.get("entity_from") is not None
    if by_row and match is not None and not isinstance(match, dict):
        message = (
            "with entity_from, match has one entry for each table: {account: accountnumber, contact: emailaddress1}"
        )
        yield PathProblem(path=(*path, "match"), message=message)
    if isinstance(match, dict) and not by_row:
        message = "match with one entry for each table needs entity_from, the source column that names the table"
        yield PathProblem(path=(*path, "match"), message=message)
    if by_row and lookup.get("entity") is not None:
        yield PathProblem(path=(*path, "entity"), message="a lookup can have entity or entity_from, not both")
    if lookup.get("create") and lookup.get("on_missing") != "create":
        yield PathProblem(path=(*path, "create"), message="create is allowed only with on_missing: create")
    if by_row and lookup.get("on_missing") == "create":
        yield PathProblem(path=(*path, "on_missing"), message="create is not possible with entity_from")
    if not last:
        for key in ("on_missing", "create"):
            if lookup.get(key) is not None:
                message = f"{key} belongs to the last entry of the list, which is tried when the others found no record"
                yield PathProblem(path=(*path, key), message=message)


def _entity(document: Raw) -> Iterator[PathProblem]:
    name = mapping_at(document, "destination").get("entity")
    messages = CHANGED_BY_MESSAGES.get(name.lower()) if isinstance(name, str) else None
    if messages is not None:
        message = f"a sync cannot write {name}: only these messages of Dataverse change it: {messages}"
        yield PathProblem(path=("destination", "entity"), message=message)


def _id_column(document: Raw) -> Iterator[PathProblem]:
    destination, targets = mapping_at(document, "destination"), _targets(document)
    if destination.get("id_column_insert") is True and destination.get("id_column") not in targets:
        yield PathProblem(
            path=("destination", "id_column_insert"),
            message="inserts cannot contain the id: no mapping has it as target",
        )


def _environment(document: Raw) -> Iterator[PathProblem]:
    """Where the table is; with a connection this is known when its file is read, too."""
    destination = mapping_at(document, "destination")
    if destination and destination.get("connection") is None:
        for key, message in environment_problems(destination, without=NO_ENVIRONMENT):
            yield PathProblem(path=("destination", key), message=message)


def _behaviour(document: Raw) -> Iterator[PathProblem]:
    targets = _targets(document)
    if any(_NOT_LOGICAL.search(target) for target in targets):
        return  # display names instead of logical names: that is the problem
    keys: dict[str, int] = {}
    for path, key in texts_at(document, "sync_behaviour", "sync_key"):
        if targets and key not in targets:
            yield PathProblem(
                path=path,
                message="the sync key consists of target columns, and no mapping has this column; "
                f"{close_to(key, targets)}",
            )
        if keys.setdefault(key.lower(), int(path[-1])) != path[-1]:
            yield PathProblem(path=path, message="this column is already in the key")


def _strategy(document: Raw) -> Iterator[PathProblem]:
    # Tuples, not sets: a raw value may be a list, which has no hash.
    behaviour = mapping_at(document, "sync_behaviour")
    strategy, column = behaviour.get("strategy", "full"), behaviour.get("action_column")
    if isinstance(behaviour.get("changed"), dict) and strategy in ("delta", "upsert"):
        yield PathProblem(
            path=("sync_behaviour", "changed"),
            message=f"strategy {strategy} does not read the target, so a condition is not allowed",
        )
    if isinstance(column, str):
        path, labels = ("sync_behaviour", "action_column"), _labels(document)
        if strategy in ("full", "upsert"):
            yield PathProblem(path=path, message="an action_column is allowed only with strategy delta")
        elif labels and column not in labels:
            yield PathProblem(path=path, message=f"no source column has this name; {close_to(column, labels)}")


def _real_time(document: Raw) -> Iterator[PathProblem]:
    events = mapping_at(document, "source").get("type") == "events"
    if events and document.get("listener") is None:
        yield PathProblem(path=("source", "type"), message="a source of events needs a listener, and there is none")
    if document.get("listener") is not None and own_types(mapping_at(document, "source")):
        message = (
            "with a listener, name the columns and give each a type: an event does not have the types of the files"
        )
        yield PathProblem(path=("source", "type"), message=message)
    if document.get("listener") is not None and mapping_at(document, "source").get("type") == "sql":
        yield from _filter_of_events(mapping_at(document, "source"))
    for path, column in items_at(document, "source", "columns"):
        if document.get("listener") is not None and column.get("header") is not None:
            message = "with a listener, a column is not read from a header: an event has no headers of an answer"
            yield PathProblem(path=(*path, "header"), message=message)
    if events and document.get("schedule") is not None:
        yield PathProblem(path=("schedule",), message="a sync with a source of events cannot have a schedule")


def _schedule(document: Raw) -> Iterator[PathProblem]:
    for key in ("time_zone", "quiet"):
        if document.get(key) is not None and document.get("schedule") is None:
            yield PathProblem(path=(key,), message=f"{key} needs a schedule: set one, or remove {key}")


def _topic(document: Raw) -> Iterator[PathProblem]:
    topic = mapping_at(document, "listener", "topic")
    place, format_ = ("listener", "topic"), topic.get("format", "json")
    if topic.get("key_change") is not None and format_ in ("json", "avro", "cloudevents"):
        yield PathProblem(
            path=(*place, "key_change"),
            message="events of this format do not contain the record before the change, so a changed key is not "
            "detected",
        )
    for key in ("schema", "encoding"):
        if topic.get(key) is not None and format_ != "avro":
            yield PathProblem(path=(*place, key), message="only bodies of the format avro have this: set format: avro")
    if topic.get("encoding", "auto") != "auto" and topic.get("schema") is None and format_ == "avro":
        yield PathProblem(path=(*place, "encoding"), message="bodies of this encoding need a schema: set schema")


def _filter_of_events(source: Raw) -> Iterator[PathProblem]:
    if source.get("filter") is not None:
        message = (
            "the database applies this filter, and not to events; with a listener, read a view that has only these rows"
        )
        yield PathProblem(path=("source", "filter"), message=message)


_RULES: Final[tuple[Callable[[Raw], Iterator[PathProblem]], ...]] = (
    _source,
    _unique_columns,
    _mappings,
    _lookups,
    _entity,
    _id_column,
    _environment,
    _behaviour,
    _strategy,
    _real_time,
    _schedule,
    _topic,
    written,
    scopes,
    marks,
    watermarks,
    steps_after,
)
