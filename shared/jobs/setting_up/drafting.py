"""The order of the work for a first definition: look at the source, read it, match its columns, find a key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import TypeAdapter

from shared.dataverse import Dataverse
from shared.definitions import SelfDescribing, SyncDefinition
from shared.definitions.loading.definition import load_definition
from shared.definitions.models import Column, ColumnType, DynamicsEnvironment, DynamicsSource, TypedColumn
from shared.definitions.models import Source as SourceModel
from shared.drafts.first_definition import Draft, SourceColumn, column_keys, document, first_key
from shared.drafts.matching import Match, matched
from shared.drafts.yaml_text import yaml_text
from shared.entities import AttributeType, EntityMetadata
from shared.errors import UserError
from shared.jobs.setting_up.keys import KeyReport
from shared.sources import Source, SourceContext, open_source
from shared.sources.first_look import FirstLook
from shared.sources.rest.paging import NextPageError
from shared.transform import check
from shared.transform.choices.options import LABELLED
from shared.transform.notation.words import options_of
from shared.transform.profile.values import profile_of, profile_query, profiled_table, unlike_query
from shared.workspace import Workspace, literal, quoted

__all__ = ["DraftTarget", "columns_of", "drafted", "text_of", "with_key"]

ROW: Final = "_row"
_WHOLE: Final = "$"
_RECORD: Final = "record"
_MOST_COLUMNS: Final = 500
_NOT_IN_LABELS: Final = re.compile(r"[^0-9A-Za-z]+")
_RECORDS_WITHOUT_COLUMNS: Final = frozenset({"json", "rest"})
_MAPPING: Final = re.compile(r"destination\.mappings\[(\d+)\]")
_Named = tuple[str, str, str, ColumnType | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftTarget:
    """Where a first definition writes to.

    Attributes:
        name: Name of the sync.
        dataverse: The environment.
        entity: The table.
        destination: The keys of the destination that name the environment.
        parameters: The parameters that those need.
    """

    name: str
    dataverse: Dataverse
    entity: EntityMetadata
    destination: Mapping[str, Any]
    parameters: Mapping[str, Any]


def drafted(
    look: FirstLook, place: DraftTarget, context: SourceContext, open_workspace: Callable[[Sequence[str]], Workspace]
) -> Draft:
    """Read a source with the reader that runs use, look at the values of each column, and match the columns.

    Args:
        look: What is known of the source.
        place: Where the rows go.
        context: What sources may need.
        open_workspace: Opens a workspace that may read some local files.

    Raises:
        UserError: The source cannot be read, or has no column with simple values.
        AbortRun: A table may not be read.
    """
    model = _model(look, context)
    source = open_source(model, context)
    with open_workspace(source.readable) as workspace:
        columns = source.columns(workspace) if isinstance(model, SelfDescribing) else model.columns
        if (again := _better_look(look, source, workspace)) is not None:
            return drafted(again, place, context, open_workspace)
        named = _named_columns(look, columns, workspace)
        matches = _matches([label for _, label, _, _ in named], place.entity)
        found = tuple(_column(each, matches, workspace) for each in named)
    entity = replace(place.entity, related=dict(_related(matches, place)))
    draft = Draft(
        name=place.name,
        source=look.source,
        columns=found,
        matches=matches,
        entity=entity,
        place=place.destination,
        parameters=place.parameters,
        remarks=look.remarks,
    )
    return _sound(replace(draft, key=first_key(draft)))


def columns_of(
    look: FirstLook, context: SourceContext, open_workspace: Callable[[Sequence[str]], Workspace]
) -> tuple[FirstLook, list[dict[str, Any]], list[str]]:
    """What is known of a source then, the keys of its columns, typed from their values, and what is not certain.

    Args:
        look: What is known of the source.
        context: What sources may need.
        open_workspace: Opens a workspace that may read some local files.

    Raises:
        UserError: The source cannot be read, or has no column with simple values.
    """
    model = _model(look, context)
    source = open_source(model, context)
    with open_workspace(source.readable) as workspace:
        columns = source.columns(workspace) if isinstance(model, SelfDescribing) else model.columns
        if (again := _better_look(look, source, workspace)) is not None:
            return columns_of(again, context, open_workspace)
        found = [_column(each, {}, workspace) for each in _named_columns(look, columns, workspace)]
    made = [(column, *column_keys(column, None)) for column in found]
    return (
        look,
        [keys for _, keys, _ in made],
        [f"{column.name}: {note}" for column, _, notes in made for note in notes],
    )


def _better_look(look: FirstLook, source: Source, workspace: Workspace) -> FirstLook | None:
    """Read a source; what is known then where its records are elsewhere, or on more pages, else None."""
    try:
        source.load(workspace)
    except NextPageError as error:
        return _with_keys(look, pagination=error.pagination)
    if records := _list_of_records(look, workspace):
        return _with_keys(look, f"the records are taken from {records}; check it", records=records)
    return None


def _named_columns(look: FirstLook, columns: Sequence[Column], workspace: Workspace) -> list[_Named]:
    """The columns of a source that was read; makes the table of their values."""
    named = _named(look, columns, workspace)
    if not named:
        raise UserError("the source has no column with simple values: write the definition by hand")
    workspace.create(profiled_table([(label, sql) for _, label, sql, _ in named]))
    return named


def _with_keys(look: FirstLook, *remarks: str, **keys: Any) -> FirstLook:
    return replace(look, source={**look.source, **keys}, remarks=(*look.remarks, *remarks))


def _list_of_records(look: FirstLook, workspace: Workspace) -> str:
    """Where the records of a document are: its longest list of objects; empty where that is known or absent.

    A source has one document, or one for each page where the link to the next page is inside a document.
    """
    if look.source["type"] not in _RECORDS_WITHOUT_COLUMNS or "records" in look.source:
        return ""
    found = workspace.query(_LISTS_OF_RECORDS, ["next" in look.source.get("pagination", {})])
    if not found:
        return ""
    path = _json_path(_parts(found[0][0]))
    return path + "[*]" if path and look.source["type"] == "json" else path


def _model(look: FirstLook, context: SourceContext) -> SourceModel:
    """The source as a reader takes it: with the keys of its environment, and columns of text."""
    if ROW in (name.casefold() for name in look.names):
        raise UserError(f"the source has a column {ROW}, a name that is in use: rename it in the source")
    model: SourceModel = TypeAdapter[Any](SourceModel).validate_python({**look.source, **_columns_to_read(look)})
    if isinstance(model, DynamicsSource) and model.connection is not None:
        connection = context.connection(model.connection)
        shared = connection.model_fields_set & DynamicsEnvironment.model_fields.keys()
        return model.model_copy(update={"connection": None} | {key: getattr(connection, key) for key in shared})
    return model


def _matches(labels: Sequence[str], entity: EntityMetadata) -> dict[str, Match]:
    """The matches by name; without any, the first column goes into the name of the record."""
    found = matched(labels, entity)
    if all(match.attribute.refers for match in found.values()) and entity.primary_name in entity.attributes:
        attribute = entity.attributes[entity.primary_name]
        found[labels[0]] = Match(attribute=attribute, reason="no name of a column is similar: choose the columns")
    return found


def _column(named: _Named, matches: Mapping[str, Match], workspace: Workspace) -> SourceColumn:
    name, label, _, known = named
    match, unlike = matches.get(label), 0
    if (
        match is not None
        and match.attribute.type in LABELLED
        and match.attribute.type is not AttributeType.MULTI_PICKLIST
    ):
        unlike = int(workspace.query(unlike_query(label, [*options_of(match.attribute.choices)]))[0][0])
    profile = profile_of(workspace.query(profile_query(label))[0])
    return SourceColumn(name=name, label=label, known=known, profile=profile, unlike=unlike)


def _related(matches: Mapping[str, Match], place: DraftTarget) -> Iterator[tuple[str, EntityMetadata]]:
    """The tables that the matched lookups refer to."""
    for match in matches.values():
        if match.attribute.refers and not match.attribute.polymorphic:
            table = match.attribute.targets[0]
            if table != place.entity.logical_name:
                yield table, place.dataverse.entity(table)


def _sound(draft: Draft) -> Draft:
    """The draft without matches that its own table refuses, such as a date for a number."""
    definition = load_definition(text_of(draft), file="the first definition")
    if not definition.source.has_all_columns:
        return draft
    targets = [mapping.target for mapping in definition.destination.mappings]
    refused = {
        targets[int(found[1])]
        for problem in check(definition, draft.entity)
        if (found := _MAPPING.match(problem.path)) is not None
    }
    kept = {label: match for label, match in draft.matches.items() if match.attribute.name not in refused}
    if not refused or not kept:
        return draft
    again = replace(draft, matches=kept)
    return replace(again, key=first_key(again))


def text_of(draft: Draft) -> str:
    """The YAML of a draft."""
    return yaml_text(document(draft))


def with_key(draft: Draft, propose: Callable[[SyncDefinition], KeyReport]) -> Draft:
    """The draft with a key that is unique and filled on both sides, or with a note that there is none.

    Args:
        draft: A draft with a key by its names.
        propose: Counts the values of all possible keys of a definition.
    """
    report = propose(load_definition(text_of(draft), file="the first definition"))
    if report.now is not None and report.now.fits:
        return draft
    if report.found:
        best = report.found[0]
        note = "" if best.fits else f"{best.target.empty:,} records of the table have no value in it"
        return replace(draft, key=best.columns, key_note=note)
    said = "its values are not unique and filled in the source: rows without a key and repeated rows are rejected"
    return replace(draft, key_note=said)


def _columns_to_read(look: FirstLook) -> dict[str, Any]:
    if look.names:
        return {"columns": [{"name": name} for name in look.names]}
    if look.source["type"] in _RECORDS_WITHOUT_COLUMNS:
        return {"columns": [{"name": _WHOLE, "alias": _RECORD}]}
    return {}


def _named(look: FirstLook, columns: Sequence[Column], workspace: Workspace) -> list[_Named]:
    """Name in the source, name in the definition, SQL of the value, and the type that the source gives."""
    if look.source["type"] in _RECORDS_WITHOUT_COLUMNS:
        return _of_records(workspace)
    return [
        (column.name, column.name, quoted(column.name), column.type if isinstance(column, TypedColumn) else None)
        for column in columns
        if column.stored
    ][:_MOST_COLUMNS]


def _of_records(workspace: Workspace) -> list[_Named]:
    """The simple values of JSON records, also inside objects; lists are left out."""
    rows = workspace.query(_PATHS_OF_RECORDS)
    taken: set[str] = set()
    found: list[_Named] = []
    for (path,) in rows[:_MOST_COLUMNS]:
        parts = _parts(path)
        simple = len(parts) == 1 and not parts[0].startswith("$")
        inside = "_".join(_NOT_IN_LABELS.sub("_", part).strip("_") for part in parts) or "value"
        label = parts[0] if simple else inside
        if label.lower() in taken | {ROW} or not (path_of := _json_path(parts)):
            continue
        taken.add(label.lower())
        name = label if simple else path_of
        sql = f"json_extract_string({quoted(_WHOLE)}, {literal(path)})"
        found.append((name, label, sql, None))
    return found


def _parts(path: str) -> list[str]:
    """The names in a path of DuckDB, such as `$.a."b c"`."""
    return [part.strip('"') for part in re.findall(r'"[^"]*"|[^.]+', path.removeprefix("$."))]


def _json_path(parts: Sequence[str]) -> str:
    """The JSONPath of these names; empty where one of them cannot be part of it."""
    return "" if any('"' in part or "'" in part for part in parts) else "$" + "".join(f"['{part}']" for part in parts)


_LISTS_OF_RECORDS: Final = f"""
SELECT tree.fullkey FROM source_raw, json_tree({quoted(_WHOLE)}) AS tree
WHERE tree.type = 'ARRAY' AND NOT contains(tree.fullkey, '[') AND json_type(tree.value, '$[0]') = 'OBJECT'
  AND (? OR (SELECT count(*) FROM source_raw) = 1)
GROUP BY tree.fullkey
ORDER BY sum(json_array_length(tree.value)) DESC, min(tree.id) LIMIT 1""".strip()
_PATHS_OF_RECORDS: Final = f"""
SELECT found FROM (
  SELECT tree.fullkey AS found, min(tree.id) AS place,
    bool_or(tree.type IN ('OBJECT', 'ARRAY')) AS nested, bool_or(contains(tree.fullkey, '[')) AS listed
  FROM source_raw, json_tree({quoted(_WHOLE)}) AS tree
  WHERE tree.fullkey <> '$'
  GROUP BY found)
WHERE NOT nested AND NOT listed ORDER BY place, found""".strip()
