"""Columns as JSON of AttributeMetadata and its derived types, and their option sets."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid5

from emulator.schema import EARLIEST_DAY, LATEST_DAY, OPTION_TYPES, Column, ColumnType, DateBehavior, Option, Table
from emulator.schema.columns import DEFAULT_LANGUAGE
from emulator.store.system_rows import NAMESPACE

__all__ = [
    "ATTRIBUTE_CLASSES",
    "BASE_PROPERTIES",
    "attribute_class",
    "attribute_json",
    "column_id",
    "label_json",
    "managed",
    "option_set_json",
]

Json = dict[str, Any]
_CLASSES: Final = {
    ColumnType.MULTI_PICKLIST: "MultiSelectPicklistAttributeMetadata",
    ColumnType.UNIQUEIDENTIFIER: "UniqueIdentifierAttributeMetadata",
    ColumnType.CUSTOMER: "LookupAttributeMetadata",
    ColumnType.OWNER: "LookupAttributeMetadata",
    ColumnType.VIRTUAL: "AttributeMetadata",
}
ATTRIBUTE_CLASSES: Final = frozenset(
    {*_CLASSES.values(), *(f"{kind}AttributeMetadata" for kind in ColumnType if kind not in _CLASSES)}
    | {"FileAttributeMetadata", "EntityNameAttributeMetadata", "ManagedPropertyAttributeMetadata"}
) - {"AttributeMetadata"}
"""The derived types of `AttributeMetadata` to which the columns of a table can be cast."""
_TRANSITIONS: Final = "http://schemas.microsoft.com/crm/2009/WebServices"
_VIRTUAL: Final = frozenset({ColumnType.MULTI_PICKLIST, ColumnType.IMAGE, ColumnType.VIRTUAL})


def label_json(text: str | Mapping[int, str]) -> Json:
    """Returns a Label; an empty text has no localised labels."""
    labels = {DEFAULT_LANGUAGE: text} if isinstance(text, str) else text
    localized = [
        {
            "Label": label,
            "LanguageCode": language,
            "IsManaged": True,
            "MetadataId": str(uuid5(NAMESPACE, f"label {language} {label}")),
            "HasChanged": None,
        }
        for language, label in labels.items()
        if label
    ]
    return {"LocalizedLabels": localized, "UserLocalizedLabel": localized[0] if localized else None}


def managed(*, value: bool, name: str) -> Json:
    """Returns a BooleanManagedProperty."""
    return {"Value": value, "CanBeChanged": True, "ManagedPropertyLogicalName": f"{name}"}


_SAME_FOR_ALL: Final[Json] = {
    **dict.fromkeys(("DeprecatedVersion", "ExternalName", "InheritsFrom", "LinkedAttributeId")),
    **dict.fromkeys(("CanBeSecuredForCreate", "CanBeSecuredForRead", "CanBeSecuredForUpdate"), False),
    **dict.fromkeys(("IsDataSourceSecret", "IsRequiredForForm", "IsRetrievable"), False),
    **dict.fromkeys(("IsValidForForm", "IsValidForGrid"), True),
    **dict.fromkeys(("CreatedOn", "ModifiedOn"), "1900-01-01T00:00:00Z"),
    "CanModifyAdditionalSettings": managed(value=True, name="canmodifyadditionalsettings"),
    "IsAuditEnabled": managed(value=True, name="canmodifyauditsettings"),
    "IsCustomizable": managed(value=True, name="iscustomizable"),
    "IsGlobalFilterEnabled": managed(value=False, name="canmodifyglobalfiltersettings"),
    "IsRenameable": managed(value=True, name="isrenameable"),
    "IsSortableEnabled": managed(value=False, name="canmodifyissortablesettings"),
    "IsValidForAdvancedFind": managed(value=True, name="canmodifysearchsettings"),
    "Settings": [],
}


def attribute_class(column: Column) -> str:
    """Returns the derived type, `StringAttributeMetadata` and so on."""
    return _CLASSES.get(column.type, f"{column.type}AttributeMetadata")


def column_id(table: Table, column: Column) -> str:
    """Returns the identifier of a column, the same in every emulator for columns of its schema."""
    name = f"column {table.logical_name}.{column.logical_name}"
    return str(uuid5(NAMESPACE, f"{name} {column.made}" if column.made else name))


def attribute_json(table: Table, column: Column) -> Json:
    """Returns the column with the properties of its derived type; option sets are added by `$expand`."""
    return {
        "@odata.type": f"#Microsoft.Dynamics.CRM.{attribute_class(column)}",
        **_base(table, column),
        **_specific(table, column),
    }


def _base(table: Table, column: Column) -> Json:
    return {
        "MetadataId": column_id(table, column),
        "LogicalName": column.logical_name,
        "SchemaName": column.schema_name,
        "EntityLogicalName": table.logical_name,
        "AttributeType": "Virtual" if column.type in _VIRTUAL else str(column.type),
        "AttributeTypeName": {"Value": f"{column.type}Type"},
        "AttributeOf": None,
        "ColumnNumber": list(table.columns).index(column.logical_name) + 1,
        "DisplayName": label_json(column.display_name),
        "Description": label_json(column.description),
        "RequiredLevel": {
            "Value": column.required,
            "CanBeChanged": column.required != "SystemRequired",
            "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
        },
        "IsPrimaryId": column.primary_id,
        "IsPrimaryName": column.logical_name == table.primary_name,
        "IsCustomAttribute": column.custom,
        "IsManaged": not column.custom,
        "IsLogical": False,
        "IsSecured": column.secured,
        "IsValidForCreate": column.valid_for_create,
        "IsValidForRead": column.valid_for_read,
        "IsValidForUpdate": column.valid_for_update,
        "IsValidODataAttribute": True,
        "IsFilterable": True,
        "IsSearchable": False,
        "SourceType": 1 if column.computed else 0,
        "IntroducedVersion": "1.0",
        "HasChanged": None,
        "AutoNumberFormat": None,
        **_SAME_FOR_ALL,
    }


BASE_PROPERTIES: Final = frozenset(
    {
        *("MetadataId", "LogicalName", "SchemaName", "EntityLogicalName", "AttributeType", "AttributeTypeName"),
        *("AttributeOf", "ColumnNumber", "DisplayName", "Description", "RequiredLevel", "IsPrimaryId"),
        *("IsPrimaryName", "IsCustomAttribute", "IsManaged", "IsLogical", "IsSecured", "IsValidForCreate"),
        *("IsValidForRead", "IsValidForUpdate", "IsValidODataAttribute", "IsFilterable", "IsSearchable"),
        *("SourceType", "IntroducedVersion", "HasChanged", "AutoNumberFormat", *_SAME_FOR_ALL),
    }
)
"""The properties of `AttributeMetadata`; others can only be selected after a cast."""


def _specific(table: Table, column: Column) -> Json:
    match column.type:
        case ColumnType.STRING | ColumnType.MEMO:
            return {
                "MaxLength": column.max_length,
                "DatabaseLength": 2 * (column.max_length or 0),
                "Format": column.text_format or ("TextArea" if column.type is ColumnType.MEMO else "Text"),
                "FormatName": {"Value": column.text_format or "Text"},
                "ImeMode": "Auto",
                "IsLocalizable": False,
            }
        case ColumnType.INTEGER:
            return {"MinValue": column.min_value, "MaxValue": column.max_value, "Format": "None"}
        case ColumnType.BIGINT:
            return {"MinValue": column.min_value, "MaxValue": column.max_value}
        case ColumnType.DECIMAL | ColumnType.DOUBLE | ColumnType.MONEY:
            return _number(column)
        case ColumnType.DATETIME:
            date_only = column.date_behavior is DateBehavior.DATE_ONLY
            return {
                "Format": "DateOnly" if date_only else "DateAndTime",
                "DateTimeBehavior": {"Value": str(column.date_behavior)},
                "MinSupportedValue": f"{EARLIEST_DAY}T00:00:00Z",
                "MaxSupportedValue": f"{LATEST_DAY}T23:59:59Z",
            }
        case ColumnType.LOOKUP | ColumnType.CUSTOMER | ColumnType.OWNER:
            return {"Targets": list(column.targets), "Format": "None"}
        case ColumnType.BOOLEAN:
            return {"DefaultValue": None if column.default is None else bool(column.default)}
        case _ if column.type in OPTION_TYPES:
            return {"DefaultFormValue": -1 if column.default is None else column.default}
        case _:
            del table
            return {}


def _number(column: Column) -> Json:
    content: Json = {
        "MinValue": None if column.min_value is None else float(column.min_value),
        "MaxValue": None if column.max_value is None else float(column.max_value),
        "Precision": column.precision,
    }
    if column.type is ColumnType.MONEY:
        content |= {
            "IsBaseCurrency": column.computed,
            "PrecisionSource": column.precision_source,
            "CalculationOf": column.logical_name.removesuffix("_base") if column.computed else None,
        }
    return content


def option_set_json(table: Table, column: Column) -> Json:
    """Returns the column's OptionSetMetadata, or BooleanOptionSetMetadata."""
    name = column.option_set_name or f"{table.logical_name}_{column.logical_name}"
    common: Json = {
        "MetadataId": str(uuid5(NAMESPACE, f"option set {name}")),
        "Name": name,
        "DisplayName": label_json(column.display_name),
        "Description": label_json(""),
        "IsGlobal": column.global_option_set,
        "IsCustomOptionSet": column.custom,
        "IsManaged": not column.custom,
        "HasChanged": None,
    }
    if column.type is ColumnType.BOOLEAN:
        options = {option.value: _option(option) for option in column.options}
        return {**common, "OptionSetType": "Boolean", "TrueOption": options.get(1), "FalseOption": options.get(0)}
    kind = str(column.type) if column.type in {ColumnType.STATE, ColumnType.STATUS} else "Picklist"
    return {**common, "OptionSetType": kind, "Options": [_option(option) for option in column.options]}


def _option(option: Option) -> Json:
    content: Json = {
        "Value": option.value,
        "Label": label_json(option.labels),
        "Description": label_json(""),
        "Color": option.color,
        "IsManaged": True,
        "ExternalValue": "",
        "ParentValues": [],
        "MetadataId": None,
        "HasChanged": None,
    }
    if option.default_status is not None:
        kind = {"@odata.type": "#Microsoft.Dynamics.CRM.StateOptionMetadata"}
        return {**kind, **content, "DefaultStatus": option.default_status, "InvariantName": option.invariant_name}
    if option.state is not None:
        kind = {"@odata.type": "#Microsoft.Dynamics.CRM.StatusOptionMetadata"}
        return {**kind, **content, "State": option.state, "TransitionData": _transition_data(option)}
    return content


def _transition_data(option: Option) -> str | None:
    """Returns the status values that may follow, as XML (define-custom-state-model-transitions)."""
    if not option.transitions:
        return None
    allowed = "".join(
        f'<allowedtransition sourcestatusid="{option.value}" tostatusid="{status}" />' for status in option.transitions
    )
    return f'<allowedtransitions xmlns="{_TRANSITIONS}">{allowed}</allowedtransitions>'
