"""Tables from EntityMetadata JSON: a real environment's answer to `EntityDefinitions`, or a request for a new table.

The JSON is converted to a description as in the YAML files, so that there is one way to make tables. Properties that
the JSON lacks get Dataverse's defaults; choices without options accept any number. A request for a table states only
its own columns, and the others are added; a file lists all columns, and a table has no others.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from emulator.schema.activities import PARTIES
from emulator.schema.faults import SchemaFileError
from emulator.schema.loader import schema_from, standard_states
from emulator.schema.model import Option, Schema, Table
from emulator.schema.pairs import with_pairs

__all__ = [
    "cascade_description",
    "column_description",
    "key_description",
    "pair_description",
    "plural",
    "read_entity_definitions",
    "table_description",
]

Json = Mapping[str, Any]
_CLASS: Final = re.compile(r"#?(?:Microsoft\.Dynamics\.CRM\.)?(?:Complex)?(\w+?)AttributeMetadata$")
_TYPES_OF_CLASSES: Final = {"UniqueIdentifier": "Uniqueidentifier", "MultiSelectPicklist": "MultiSelectPicklist"}
# Kinds of columns without a stored value: files, party lists, names and types of lookups, managed properties.
_SKIPPED: Final = frozenset({"File", "PartyList", "EntityName", "ManagedProperty", "CalendarRules", "Virtual", ""})
_STATES: Final = frozenset({"State", "Status"})
_TRANSITION: Final = re.compile(r'tostatusid="(\d+)"')
_CASCADE: Final = {
    **{name: name.lower() for name in ("Assign", "Delete", "Merge", "Reparent", "Share", "Unshare", "Archive")},
    "RollupView": "rollup_view",
}
# The columns that the emulator writes with each row, so that a table has them also where a file does not list them.
_WRITTEN: Final = (
    *("CreatedBy", "CreatedOn", "CreatedOnBehalfBy", "ModifiedBy", "ModifiedOn", "ModifiedOnBehalfBy"),
    "VersionNumber",
)
_WRITTEN_OF_OWNED: Final = ("OwnerId", "OwningBusinessUnit", "OwningTeam", "OwningUser")
_ACTIVITY_TYPE: Final = "activitytypecode"
_WITH_DEFAULT: Final = frozenset({"Boolean", "Picklist", "MultiSelectPicklist", "State", "Status"})
_NO_DEFAULT: Final = -1  # EnumAttributeMetadata.DefaultFormValue
_CALCULATED: Final = 1  # AttributeMetadata.SourceType
_Relationship = tuple[str, str, dict[str, str], bool]
_SPELLED_WITH_ES: Final = ("s", "x", "ch", "sh")


def read_entity_definitions(path: Path, base: Schema) -> Schema:
    """Returns `base` with the tables of a JSON file added; tables of the same name are replaced.

    The file holds one EntityMetadata object or the answer to `EntityDefinitions?$expand=Attributes,Keys,...`.

    Raises:
        SchemaFileError: The file is missing or not such JSON.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise SchemaFileError(f"{path} can't be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise SchemaFileError(f"{path} is not valid JSON: {error}") from error
    entities = content.get("value", [content]) if isinstance(content, dict) else content
    if not isinstance(entities, list) or not all(isinstance(one, dict) and "SchemaName" in one for one in entities):
        raise SchemaFileError(f"{path} does not hold EntityMetadata: expected SchemaName, Attributes and so on")
    names = {str(one["SchemaName"]).lower() for one in entities}
    kept = replace(base, tables={name: table for name, table in base.tables.items() if name not in names})
    described = [
        (str(one["SchemaName"]), _complete_description(one, base.tables.get(str(one["SchemaName"]).lower())))
        for one in entities
        if not one.get("IsIntersect")
    ]
    intersects = {str(one.get("LogicalName")): one for one in entities if one.get("IsIntersect")}
    return with_pairs(schema_from(described, kept), _pairs(entities, base, intersects), known_only=True)


def _pairs(entities: list[Json], base: Schema, intersects: Mapping[str, Json]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The many-to-many relationships of tables, each once; an intersect in the file or in `base` names its set."""
    found = {
        str(one["SchemaName"]): pair_description(one)
        for entity in entities
        for one in entity.get("ManyToManyRelationships") or []
    }
    for name, description in found.items():
        intersect = str(description["intersect"])
        known, given = base.tables.get(intersect), intersects.get(intersect, {})
        own = {
            "entity_set": given.get("EntitySetName") or (known.entity_set if known else None),
            "primary_id": given.get("PrimaryIdAttribute") or (known.primary_id if known else None),
        }
        yield name, {**description, **{setting: value for setting, value in own.items() if value}}


def pair_description(relation: Json) -> dict[str, Any]:
    """Returns the description of a ManyToManyRelationshipMetadata object."""
    description: dict[str, Any] = {
        "tables": [str(relation["Entity1LogicalName"]), str(relation["Entity2LogicalName"])],
        "intersect": str(relation.get("IntersectEntityName") or relation["SchemaName"]).lower(),
        "custom": relation.get("IsCustomRelationship") is not False,
    }
    for setting, name in (("attributes", "IntersectAttribute"), ("navigation", "NavigationPropertyName")):
        given = [relation.get(f"Entity{side}{name}") for side in (1, 2)]
        if all(given):
            description[setting] = [str(one) for one in given]
    return description


def _complete_description(entity: Json, known: Table | None) -> dict[str, Any]:
    """Returns the description of a table all of whose columns are listed; `known` is the one of that name so far."""
    description = table_description(entity)
    written = ("VersionNumber",) if str(entity["SchemaName"]).lower() == PARTIES else _WRITTEN
    owned = _WRITTEN_OF_OWNED if description["ownership"] == "UserOwned" else ()
    states = dict(_states(entity.get("Attributes") or [], description, known))
    columns = description["columns"] | states
    if description["activity"]:  # the type of an activity is a standard column: each table has its own value
        columns = {name: settings for name, settings in columns.items() if name.lower() != _ACTIVITY_TYPE}
    unstated: dict[str, Any] = {}
    if known is not None:
        unstated = {"bulk_messages": known.bulk_messages, "guid_keys_addressable": known.guid_keys_addressable}
        columns = {name: _with_known_default(name, settings, known) for name, settings in columns.items()}
    return {
        **description,
        **unstated,
        "standard_columns": [*written, *owned],
        "stateless": not states,
        "columns": columns,
        # Which status may follow which is stated by the options.
        "enforce_state_transitions": description["enforce_state_transitions"] and not _is_open(states),
    }


def _with_known_default(name: str, settings: dict[str, Any], known: Table) -> dict[str, Any]:
    """The settings with the default of a number or a text that the emulator knows: definitions do not state those."""
    column = known.columns.get(name.lower())
    if column is None or column.default is None or settings["type"] in _WITH_DEFAULT:
        return settings
    return {**settings, "default": column.default}


def _is_open(states: Mapping[str, Json]) -> bool:
    return any(settings.get("other_values") for settings in states.values())


def _states(
    attributes: list[Json], description: Mapping[str, Any], known: Table | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """State and status of a table that has them.

    `$expand=Attributes` gives no options. Then those of the known table apply, or else the usual ones, and any other
    number is accepted, because an environment can have more of them. Every activity has a state.
    """
    listed = {_logical(one): one for one in attributes if _type(one) in _STATES}
    own = {name.lower(): settings for name, settings in description["columns"].items() if settings["type"] in _STATES}
    if not listed and not description["activity"]:
        return
    for name, usual in standard_states(activity=description["activity"]).items():
        logical = name.lower()
        if logical in own:
            continue
        attribute = listed.get(logical)
        settings = {**usual, **(column_description(attribute) if attribute else {}), "other_values": True}
        if known is not None and logical in known.columns:
            settings["options"] = {option.value: _settings(option) for option in known.columns[logical].options}
        elif own:
            settings["options"] = {}  # the usual statuses belong to the usual states
        yield str(attribute["SchemaName"]) if attribute else name, settings


def _settings(option: Option) -> dict[str, Any]:
    return {
        "labels": option.labels,
        "state": option.state,
        "default_status": option.default_status,
        "transitions": option.transitions,
    }


def table_description(entity: Json) -> dict[str, Any]:
    """Returns the description of an EntityMetadata object."""
    attributes = entity.get("Attributes") or []
    primary_name = next((one["SchemaName"] for one in attributes if one.get("IsPrimaryName")), None)
    navigation = _navigation(entity.get("ManyToOneRelationships") or [])
    primary_id = entity.get("PrimaryIdAttribute")
    columns = dict(_columns(attributes, navigation, primary_id))
    description: dict[str, Any] = {
        "entity_set": entity.get("EntitySetName") or plural(str(entity["SchemaName"]).lower()),
        "label": _label(entity.get("DisplayName")) or entity["SchemaName"],
        "collection_label": _label(entity.get("DisplayCollectionName")) or entity["SchemaName"],
        "primary_name": (entity.get("PrimaryNameAttribute") or primary_name or next(iter(columns), "")).lower(),
        "ownership": entity.get("OwnershipType") or "UserOwned",
        "activity": bool(entity.get("IsActivity")),
        "activity_party": bool(entity.get("IsActivityParty")),
        "activities": bool(entity.get("HasActivities")),
        "notes": bool(entity.get("HasNotes")),
        "enforce_state_transitions": bool(entity.get("EnforceStateTransitions")),
        "elastic": entity.get("TableType") == "Elastic",
        "change_tracking": entity.get("ChangeTrackingEnabled") is not False,
        "optimistic_concurrency": entity.get("IsOptimisticConcurrencyEnabled") is not False,
        "columns": columns,
        "keys": dict(key_description(key) for key in entity.get("Keys") or []),
    }
    if isinstance(entity.get("ObjectTypeCode"), int):
        description["object_type_code"] = entity["ObjectTypeCode"]
    if primary_id:
        schema_names = {str(one.get("LogicalName")): str(one["SchemaName"]) for one in attributes}
        description["primary_id_schema"] = schema_names.get(str(primary_id), str(primary_id))
    return description


def plural(name: str) -> str:
    """Returns the entity set name that Dataverse derives from a logical name: countries, extrarunses."""
    if name.endswith("y") and name[-2:-1] not in set("aeiou"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(_SPELLED_WITH_ES) else f"{name}s"


def key_description(key: Json) -> tuple[str, dict[str, Any]]:
    """Returns name and description of an EntityKeyMetadata object."""
    columns = [str(column) for column in key["KeyAttributes"]]
    return str(key["SchemaName"]), {"columns": columns, "status": key.get("EntityKeyIndexStatus") or "Active"}


def _columns(
    attributes: list[Json], navigation: Mapping[str, Mapping[str, _Relationship]], primary_id: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    for attribute in attributes:
        logical = _logical(attribute)
        if attribute.get("AttributeOf") or logical == primary_id or _type(attribute) in _SKIPPED:
            continue
        settings = column_description(attribute)
        if settings["type"] in _STATES and not settings.get("options"):
            continue  # states that the JSON does not list are described with their tables
        known = navigation.get(logical, {})
        if known:
            settings["targets"] = settings.get("targets") or list(known)
            settings["navigation"] = {target: names[0] for target, names in known.items()}
            settings["relationship"] = {target: names[1] for target, names in known.items()}
            cascades = {target: names[2] for target, names in known.items()}
            settings["cascade"] = cascades if any(cascades.values()) else None
            settings["hierarchical"] = any(names[3] for names in known.values())
        if settings["type"] in {"Lookup", "Customer", "Owner"} and not settings.get("targets"):
            settings["targets"] = {"Owner": ["systemuser", "team"], "Customer": ["account", "contact"]}.get(
                settings["type"], ["systemuser"]
            )
        yield str(attribute["SchemaName"]), settings


def _logical(attribute: Json) -> str:
    return str(attribute.get("LogicalName") or attribute["SchemaName"]).lower()


def _type(attribute: Json) -> str:
    match = _CLASS.search(str(attribute.get("@odata.type", "")))
    named = str((attribute.get("AttributeTypeName") or {}).get("Value") or "").removesuffix("Type")
    kind = str(attribute.get("AttributeType") or "")
    if kind in {"Customer", "Owner", "PartyList"}:  # their class is that of all lookups
        return kind
    from_class = _TYPES_OF_CLASSES.get(match[1], match[1]) if match else ""
    return from_class or named or kind


def column_description(attribute: Json) -> dict[str, Any]:
    """Returns the settings of an AttributeMetadata object.

    Raises:
        SchemaFileError: Its default value is of another type.
    """
    kind = _type(attribute)
    settings: dict[str, Any] = {
        "type": kind,
        "label": _label(attribute.get("DisplayName")) or attribute["SchemaName"],
        "description": _label(attribute.get("Description")),
        "required": (attribute.get("RequiredLevel") or {}).get("Value") or "None",
        "valid_for_create": attribute.get("IsValidForCreate") is not False,
        "valid_for_update": attribute.get("IsValidForUpdate") is not False,
        "valid_for_read": attribute.get("IsValidForRead") is not False,
        "secured": bool(attribute.get("IsSecured")),
        # Of money, `computed` are the amounts in the base currency.
        "computed": bool(attribute.get("CalculationOf"))
        or (kind != "Money" and attribute.get("SourceType") == _CALCULATED),
    }
    taken = {"MaxLength": "length", "MinValue": "min", "MaxValue": "max", "Precision": "precision"}
    settings |= {ours: attribute[theirs] for theirs, ours in taken.items() if attribute.get(theirs) is not None}
    if attribute.get("Targets"):
        settings["targets"] = list(attribute["Targets"])
    settings |= _default(attribute)
    if kind == "Money":
        settings["precision_source"] = 2 if attribute.get("PrecisionSource") is None else attribute["PrecisionSource"]
    if kind == "String":
        settings["format"] = (attribute.get("FormatName") or {}).get("Value")
    if kind == "DateTime":
        settings["behavior"] = _behavior(attribute)
    options = attribute.get("OptionSet") or attribute.get("GlobalOptionSet")
    if options:
        settings["options"] = dict(_options(options))
        settings["option_set"] = options.get("Name")
        settings["global"] = bool(options.get("IsGlobal"))
    return settings


def _default(attribute: Json) -> dict[str, Any]:
    """The value that a new row without one gets, if the JSON states it: null is a Boolean column without one."""
    if "DefaultValue" in attribute:
        value = attribute["DefaultValue"]
        if value is not None and not isinstance(value, bool):
            raise SchemaFileError(f"column {attribute['SchemaName']}: DefaultValue is true, false or null")
        return {"default": value}
    chosen = attribute.get("DefaultFormValue")
    if chosen is not None and type(chosen) is not int:
        raise SchemaFileError(f"column {attribute['SchemaName']}: DefaultFormValue is the number of an option")
    return {} if chosen in {None, _NO_DEFAULT} else {"default": chosen}


def _behavior(attribute: Json) -> str:
    return str((attribute.get("DateTimeBehavior") or {}).get("Value") or "UserLocal")


def _options(option_set: Json) -> Iterator[tuple[int, dict[str, Any]]]:
    if "TrueOption" in option_set:
        for name, value in (("FalseOption", 0), ("TrueOption", 1)):
            yield value, {"label": _label((option_set.get(name) or {}).get("Label")) or str(bool(value))}
    for option in option_set.get("Options") or []:
        described: dict[str, Any] = {"label": _label(option.get("Label")) or str(option["Value"])}
        if option.get("State") is not None:
            described["state"] = option["State"]
        if option.get("DefaultStatus") is not None:
            described["default_status"] = option["DefaultStatus"]
        if option.get("TransitionData"):
            described["transitions"] = _TRANSITION.findall(str(option["TransitionData"]))
        yield int(option["Value"]), described


def _label(label: Any) -> str:
    if not isinstance(label, Mapping):
        return ""
    own = label.get("UserLocalizedLabel") or next(iter(label.get("LocalizedLabels") or []), None) or {}
    return str(own.get("Label") or "")


def _navigation(relationships: list[Json]) -> dict[str, dict[str, _Relationship]]:
    """Column -> target table -> navigation property, relationship, behaviour and whether it is hierarchical."""
    found: dict[str, dict[str, _Relationship]] = {}
    for one in relationships:
        described = (
            str(one.get("ReferencingEntityNavigationPropertyName") or ""),
            str(one.get("SchemaName") or ""),
            cascade_description(one),
            bool(one.get("IsHierarchical")),
        )
        found.setdefault(str(one.get("ReferencingAttribute")), {})[str(one.get("ReferencedEntity"))] = described
    return found


def cascade_description(relationship: Json) -> dict[str, str]:
    """Returns the verbs of a CascadeConfiguration in the form of a schema file."""
    given = relationship.get("CascadeConfiguration") or {}
    return {_CASCADE[name]: str(value) for name, value in given.items() if name in _CASCADE and value is not None}
