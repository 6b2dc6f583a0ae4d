"""Reads tables and actions from YAML: the built-in ones and those of a user.

A file maps the schema name of each table to its description; the names `actions` and `many_to_many` are reserved. A
description of a known table extends it: columns and keys are added, other settings are replaced.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml

from emulator.schema.activities import linked
from emulator.schema.columns import build_column, is_custom
from emulator.schema.faults import SchemaFileError
from emulator.schema.model import Action, ActionParameter, AlternateKey, Column, ColumnType, Schema, Table
from emulator.schema.pairs import with_pairs
from emulator.schema.yaml_text import read_yaml

__all__ = ["SchemaFileError", "builtin_schema", "extended", "read_schema_file", "schema_from", "standard_states"]

_TABLE_SETTINGS: Final = frozenset(
    {
        *("entity_set", "label", "collection_label", "object_type_code", "primary_id", "primary_id_schema"),
        *("primary_name", "ownership", "keys", "states", "columns", "elastic", "change_tracking", "activity"),
        *("bulk_messages", "all_or_nothing", "guid_keys_addressable", "optimistic_concurrency"),
        *(
            "activities",
            "notes",
            "activity_party",
            "enforce_state_transitions",
            "writable",
            "standard_columns",
            "stateless",
        ),
    }
)
_STANDARD_MESSAGES: Final = ("CreateMultiple", "UpdateMultiple", "UpsertMultiple")
_DEFAULT_STATES: Final[Mapping[int, Any]] = {
    0: {"label": "Active", "statuses": {1: "Active"}},
    1: {"label": "Inactive", "statuses": {2: "Inactive"}},
}
_ACTIVITY_STATES: Final[Mapping[int, Any]] = {
    0: {"label": "Open", "statuses": {1: "Open"}},
    1: {"label": "Completed", "statuses": {2: "Completed"}},
    2: {"label": "Canceled", "statuses": {3: "Canceled"}},
    3: {"label": "Scheduled", "statuses": {4: "Scheduled"}},
}

# libyaml reads the built-in tables seven times as fast; for a user's file, its errors do not show the line.
_FAST_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _fast(text: str) -> Any:
    return yaml.load(text, _FAST_LOADER)  # noqa: S506 - both loaders are safe


Description = dict[str, Any]


def _yaml(text: str, name: str, read: Callable[[str], Any] = read_yaml) -> Description:
    try:
        content = read(text)
    except yaml.YAMLError as error:
        raise SchemaFileError(f"{name} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise SchemaFileError(f"{name} must map table names to descriptions")
    return content


def _builtin_descriptions() -> Iterator[tuple[str, Description]]:
    folder = files("emulator.schema") / "tables"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".yaml") and not file.name.startswith("_"):
            yield from _yaml(file.read_text(encoding="utf-8"), file.name, _fast).items()


def _shared(name: str) -> Description:
    return _yaml((files("emulator.schema") / "tables" / name).read_text(encoding="utf-8"), name, _fast)


@cache
def builtin_schema() -> Schema:
    """Returns the built-in tables: the usual ones of a Dataverse environment. Read once in a process."""
    pairs = _shared("_many_to_many.yaml")
    return with_pairs(schema_from(_builtin_descriptions()), pairs.items(), known_only=True)


def read_schema_file(path: Path, base: Schema) -> Schema:
    """Returns `base` with the tables and actions of a YAML file added.

    Raises:
        SchemaFileError: The file is missing, no YAML, or says something the emulator does not know.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SchemaFileError(f"{path} can't be read: {error.strerror}") from error
    content = _yaml(text, str(path))
    actions = content.pop("actions", {})
    pairs = content.pop("many_to_many", None) or {}
    if not isinstance(pairs, dict):
        raise SchemaFileError(f"{path}: many_to_many maps schema names to descriptions")
    schema = with_pairs(schema_from(content.items(), base), pairs.items())
    return replace(
        schema, actions={**base.actions, **{name: _action(name, body or {}) for name, body in actions.items()}}
    )


def schema_from(descriptions: Iterable[tuple[str, Description]], base: Schema | None = None) -> Schema:
    """Builds tables from descriptions, in order, on top of `base`."""
    standard = _shared("_standard.yaml")
    tables = dict(base.tables) if base else {}
    for schema_name, description in descriptions:
        unknown = set(description) - _TABLE_SETTINGS
        if unknown:
            raise SchemaFileError(f"table {schema_name}: unknown setting {', '.join(sorted(unknown))}")
        logical = schema_name.lower()
        if logical in tables:
            tables[logical] = extended(tables[logical], description, tables)
        else:
            tables[logical] = _new_table(schema_name, description, standard, tables)
    linked_tables = linked(tables)
    return replace(base, tables=linked_tables) if base else Schema(tables=linked_tables)


def _new_table(schema_name: str, description: Description, standard: Description, known: Mapping[str, Table]) -> Table:
    logical = schema_name.lower()
    elastic = bool(description.get("elastic"))
    ownership = str(description.get("ownership", "UserOwned"))
    activity = bool(description.get("activity"))
    primary_id_schema = description.get("primary_id_schema") or ("ActivityId" if activity else f"{schema_name}Id")
    primary_name = str(description.get("primary_name") or _first_text(description)).lower()
    messages = description.get("bulk_messages", (*_STANDARD_MESSAGES, *(("DeleteMultiple",) if elastic else ())))
    columns = _columns(schema_name, description, standard, known)
    columns[primary_id_schema.lower()] = Column(
        logical_name=primary_id_schema.lower(),
        schema_name=primary_id_schema,
        type=ColumnType.UNIQUEIDENTIFIER,
        display_name=str(description.get("label", schema_name)),
        required="SystemRequired",
        valid_for_update=False,
        primary_id=True,
        custom=is_custom(schema_name),
    )
    if primary_name not in columns:
        raise SchemaFileError(f"table {schema_name}: the primary name {primary_name!r} is not one of its columns")
    return Table(
        logical_name=logical,
        schema_name=schema_name,
        entity_set=str(description.get("entity_set", f"{logical}s")),
        display_name=str(description.get("label", schema_name)),
        display_collection_name=str(description.get("collection_label", f"{schema_name}s")),
        primary_id=primary_id_schema.lower(),
        primary_name=primary_name,
        columns=dict(sorted(columns.items())),
        keys=_keys(schema_name, description, columns),
        elastic=elastic,
        change_tracking=bool(description.get("change_tracking", True)),
        optimistic_concurrency=bool(description.get("optimistic_concurrency", True)),
        object_type_code=int(description.get("object_type_code", 10000 + len(known))),
        bulk_messages=frozenset(messages),
        ownership=ownership,
        activity=activity,
        custom=is_custom(schema_name),
        bulk_all_or_nothing=bool(description.get("all_or_nothing", not elastic)),
        guid_keys_addressable=bool(description.get("guid_keys_addressable", True)),
        enforce_transitions=bool(description.get("enforce_state_transitions")),
        has_activities=bool(description.get("activities")),
        has_notes=bool(description.get("notes")),
        activity_party=bool(description.get("activity_party")),
        writable=bool(description.get("writable", True)),
    )


def _first_text(description: Description) -> str:
    columns = (description.get("columns") or {}).items()
    default = "subject" if description.get("activity") else "name"
    return next((name for name, settings in columns if settings.get("type") == "String"), default)


def _columns(
    schema_name: str, description: Description, standard: Description, known: Mapping[str, Table]
) -> dict[str, Column]:
    own = dict(description.get("columns") or {})
    ownership = str(description.get("ownership", "UserOwned"))
    described: Description = {**standard["every"], **standard.get(ownership, {})}
    kept = description.get("standard_columns")
    if kept is not None:
        described = {name: described[name] for name in kept}
    if description.get("activity"):
        code = {**standard["activity"]["ActivityTypeCode"], "default": schema_name.lower()}
        described |= standard["activity"] | {"ActivityTypeCode": code}
    if description.get("elastic"):
        described |= standard["elastic"]
    if any(settings.get("type") == "Money" for settings in own.values()):
        described |= standard["money"]
        described |= _base_columns(own)
    with_state = ownership in {"UserOwned", "OrganizationOwned"} or "states" in description
    if with_state and not description.get("stateless"):
        given = description.get("states")
        activity = bool(description.get("activity"))
        described |= _state_columns(given) if given is not None else standard_states(activity=activity)
    # The description of the table replaces a standard one; names compare without regard to case.
    own_names = {name.lower() for name in own}
    described = {name: settings for name, settings in described.items() if name.lower() not in own_names} | own
    return {name.lower(): build_column(schema_name, name, settings, known) for name, settings in described.items()}


def _base_columns(own: Description) -> Description:
    """Each money column `x` has a column `x_base`, its value in the organisation's currency."""
    return {
        f"{name}_Base": {
            **{key: value for key, value in settings.items() if key in {"min", "max", "precision"}},
            "type": "Money",
            "precision_source": 2,
            "label": f"{settings.get('label', name)} (Base)",
            "read_only": True,
            "computed": True,
        }
        for name, settings in own.items()
        if settings.get("type") == "Money" and not settings.get("computed")
    }


def standard_states(*, activity: bool) -> Description:
    """Returns the columns of state and status that a new table gets, as descriptions by schema name."""
    return _state_columns(_ACTIVITY_STATES if activity else _DEFAULT_STATES)


def _state_columns(states: Mapping[int, Any]) -> Description:
    return {
        "StateCode": {
            "type": "State",
            "label": "Status",
            "required": "SystemRequired",
            "valid_for_create": False,
            "options": {
                value: {"label": state["label"], "default_status": next(iter(state["statuses"]))}
                for value, state in states.items()
            },
        },
        "StatusCode": {
            "type": "Status",
            "label": "Status Reason",
            "options": {
                value: {**(status if isinstance(status, Mapping) else {"label": status}), "state": state_value}
                for state_value, state in states.items()
                for value, status in state["statuses"].items()
            },
        },
    }


def _keys(schema_name: str, description: Description, columns: Mapping[str, Column]) -> tuple[AlternateKey, ...]:
    keys = []
    for name, given in (description.get("keys") or {}).items():
        parts = given["columns"] if isinstance(given, dict) else given
        status = str(given.get("status", "Active")) if isinstance(given, dict) else "Active"
        missing = [part for part in parts if part not in columns]
        if missing:
            raise SchemaFileError(f"table {schema_name}, key {name}: no column {', '.join(missing)}")
        keys.append(AlternateKey(name=str(name), columns=tuple(parts), display_name=str(name), status=status))
    return tuple(keys)


def extended(table: Table, description: Description, known: Mapping[str, Table]) -> Table:
    """Returns a known table with more columns and keys, and with other settings replaced."""
    added = {
        name.lower(): build_column(table.schema_name, name, settings, known)
        for name, settings in (description.get("columns") or {}).items()
    }
    columns = dict(sorted({**table.columns, **added}.items()))
    return Table(
        logical_name=table.logical_name,
        schema_name=table.schema_name,
        entity_set=str(description.get("entity_set", table.entity_set)),
        display_name=str(description.get("label", table.display_name)),
        display_collection_name=str(description.get("collection_label", table.display_collection_name)),
        primary_id=table.primary_id,
        primary_name=table.primary_name,
        columns=columns,
        keys=(*table.keys, *_keys(table.schema_name, description, columns)),
        elastic=table.elastic,
        change_tracking=bool(description.get("change_tracking", table.change_tracking)),
        optimistic_concurrency=bool(description.get("optimistic_concurrency", table.optimistic_concurrency)),
        object_type_code=table.object_type_code,
        bulk_messages=frozenset(description.get("bulk_messages", table.bulk_messages)),
        ownership=table.ownership,
        activity=table.activity,
        custom=table.custom,
        bulk_all_or_nothing=bool(description.get("all_or_nothing", table.bulk_all_or_nothing)),
        guid_keys_addressable=table.guid_keys_addressable,
        enforce_transitions=bool(description.get("enforce_state_transitions", table.enforce_transitions)),
        has_activities=bool(description.get("activities", table.has_activities)),
        has_notes=bool(description.get("notes", table.has_notes)),
        activity_party=bool(description.get("activity_party", table.activity_party)),
        writable=table.writable,
    )


def _action(name: str, body: Description) -> Action:
    parameters = tuple(
        ActionParameter(
            name=parameter, type=str(settings.get("type", "Edm.String")), required=bool(settings.get("required"))
        )
        for parameter, settings in (body.get("parameters") or {}).items()
    )
    return Action(
        name=name,
        bound_to=body.get("bound_to"),
        bound_to_collection=bool(body.get("collection")),
        is_function=bool(body.get("function")),
        parameters=parameters,
        response=body.get("response"),
    )
