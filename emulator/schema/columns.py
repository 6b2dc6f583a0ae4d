"""One column from its description in YAML, with Dataverse's defaults for a new column of that type."""

from collections.abc import Mapping
from typing import Any, Final

from emulator.schema.faults import NotEmulatedTypeError, SchemaFileError
from emulator.schema.model import LOOKUP_TYPES, Column, ColumnType, DateBehavior, Option, Table
from emulator.schema.relationships import cascades_of

__all__ = ["DEFAULT_LANGUAGE", "build_column", "default_navigation", "is_custom"]

DEFAULT_LANGUAGE: Final = 1033  # English (United States)

_SETTINGS: Final = frozenset(
    {
        *("type", "label", "description", "length", "min", "max", "precision", "options", "options_of", "option_set"),
        *("global", "behavior", "format", "targets", "navigation", "relationship", "required", "read_only", "computed"),
        *("valid_for_create", "valid_for_update", "valid_for_read", "ascii_only", "default", "secured"),
        *("cascade", "hierarchical", "precision_source", "other_values"),
    }
)
# Of the types of AttributeTypeCode; a type in a schema file can be any value, also a list.
_NOT_EMULATED: Final = ("File", "ManagedProperty", "EntityName", "CalendarRules", "PartyList")
# The range of a column without one: Dataverse's defaults ("Attribute metadata": IntegerAttributeMetadata and so on).
_BOUNDS: Final[Mapping[ColumnType, tuple[float | int, float | int]]] = {
    ColumnType.INTEGER: (-2147483648, 2147483647),
    ColumnType.BIGINT: (-9223372036854775808, 9223372036854775807),
    ColumnType.DECIMAL: (-100000000000, 100000000000),
    ColumnType.DOUBLE: (-100000000000, 100000000000),
    ColumnType.MONEY: (-922337203685477, 922337203685477),
}
_PRECISION: Final = {ColumnType.DECIMAL: 10, ColumnType.DOUBLE: 5, ColumnType.MONEY: 4}
_PRECISION_SOURCES: Final = (0, 1, 2)  # MoneyAttributeMetadata: the column, the organisation, the currency
_LENGTH: Final = {ColumnType.STRING: 100, ColumnType.MEMO: 2000}
# What deleting the target does to the lookups that every table has (the relationships of account in the reference).
_CASCADES: Final = {
    **dict.fromkeys(("createdby", "createdonbehalfby", "modifiedby", "modifiedonbehalfby"), "none"),
    **dict.fromkeys(("ownerid", "owninguser", "owningteam", "owningbusinessunit", "organizationid"), "none"),
    "transactioncurrencyid": "restrict",
}
# The relationships of the lookups that every table has: of custom tables as Dataverse names them, of built-in tables as
# those of account (principal EntityType, web-api-types-operations).
_OF_CUSTOM_TABLES: Final[Mapping[str, str]] = {
    **{by: f"lk_{{table}}_{by}" for by in ("createdby", "createdonbehalfby", "modifiedby", "modifiedonbehalfby")},
    "ownerid": "owner_{table}",
    "owninguser": "user_{table}",
    "owningteam": "team_{table}",
    "owningbusinessunit": "business_unit_{table}",
    "organizationid": "organization_{table}",
    "transactioncurrencyid": "TransactionCurrency_{table}",
}
_OF_BUILT_IN_TABLES: Final[Mapping[str, str]] = {
    **{name: f"{pattern}s" for name, pattern in _OF_CUSTOM_TABLES.items()},
    **{by: f"lk_{{table}}base_{by}" for by in ("createdby", "createdonbehalfby", "modifiedby", "modifiedonbehalfby")},
    "organizationid": "organization_{table}",
    "transactioncurrencyid": "transactioncurrency_{table}",
}
_BOOLEAN_LABELS: Final = {0: "No", 1: "Yes"}


def is_custom(schema_name: str) -> bool:
    """Whether a name has the prefix of a publisher, as `new_Score` does; `Address1_City` does not."""
    prefix, separator, _ = schema_name.partition("_")
    return bool(separator) and prefix.islower() and prefix.isalnum()


def build_column(table: str, name: str, settings: Mapping[str, Any], known: Mapping[str, Table]) -> Column:
    """Returns the column that a description defines.

    Raises:
        SchemaFileError: A setting or type is unknown, a limit is not a number, or a lookup has no targets.
    """
    unknown = set(settings) - _SETTINGS
    if unknown:
        raise SchemaFileError(f"table {table}, column {name}: unknown setting {', '.join(sorted(unknown))}")
    if settings.get("type") in _NOT_EMULATED:
        raise NotEmulatedTypeError(f"table {table}, column {name}: the type {settings['type']!r} is not emulated")
    for setting in ("length", "min", "max", "precision"):
        limit = settings.get(setting)
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
            raise SchemaFileError(f"table {table}, column {name}: {setting} is not a number")
        if setting == "length" and limit is not None and limit < 1:
            raise SchemaFileError(f"table {table}, column {name}: length is below 1")
    try:
        column_type = ColumnType(settings["type"])
    except (KeyError, ValueError) as error:
        raise SchemaFileError(f"table {table}, column {name}: no such type {settings.get('type')!r}") from error
    targets = tuple(settings.get("targets", ()))
    if column_type in LOOKUP_TYPES and not targets:
        raise SchemaFileError(f"table {table}, column {name}: a lookup needs targets")
    low, high = _BOUNDS.get(column_type, (None, None))
    read_only = bool(settings.get("read_only"))
    return Column(
        logical_name=name.lower(),
        schema_name=name,
        type=column_type,
        display_name=str(settings.get("label", name)),
        description=str(settings.get("description", "")),
        max_length=settings.get("length", _LENGTH.get(column_type)),
        min_value=settings.get("min", low),
        max_value=settings.get("max", high),
        precision=settings.get("precision", _PRECISION.get(column_type)),
        precision_source=_precision_source(table, name, settings) if column_type is ColumnType.MONEY else None,
        options=_options(table, name, settings, known),
        other_values=bool(settings.get("other_values")),
        option_set_name=settings.get("option_set"),
        global_option_set=bool(settings.get("global")),
        date_behavior=_behavior(settings) if column_type is ColumnType.DATETIME else None,
        text_format=settings.get("format"),
        targets=targets,
        navigation=_navigation(name, targets, settings.get("navigation")),
        relationships=_relationships(table, name, targets, settings.get("relationship")),
        cascades=cascades_of(
            settings.get("cascade") or _CASCADES.get(name.lower()), targets, f"table {table}, column {name}"
        ),
        hierarchical=bool(settings.get("hierarchical")),
        required=str(settings.get("required", "None")),
        valid_for_create=bool(settings.get("valid_for_create", not read_only)),
        valid_for_update=bool(settings.get("valid_for_update", not read_only)),
        valid_for_read=bool(settings.get("valid_for_read", True)),
        ascii_only=bool(settings.get("ascii_only")),
        custom=is_custom(name),
        secured=bool(settings.get("secured")),
        # A Boolean column of Dataverse has a default value, `false` unless its maker says otherwise, and a record that
        # is created without a value gets it. `default: null` describes a column without one.
        default=settings.get("default", False if column_type is ColumnType.BOOLEAN else None),
        computed=bool(settings.get("computed")),
    )


def _precision_source(table: str, name: str, settings: Mapping[str, Any]) -> int:
    source = settings.get("precision_source", 0)
    if source not in _PRECISION_SOURCES or isinstance(source, bool):
        raise SchemaFileError(f"table {table}, column {name}: precision_source is 0, 1 or 2")
    return int(source)


def _behavior(settings: Mapping[str, Any]) -> DateBehavior:
    return DateBehavior(settings.get("behavior", DateBehavior.USER_LOCAL))


def _options(table: str, name: str, settings: Mapping[str, Any], known: Mapping[str, Table]) -> tuple[Option, ...]:
    if "options_of" in settings:
        other_table, _, other_column = str(settings["options_of"]).partition(".")
        try:
            return known[other_table].columns[other_column].options
        except KeyError as error:
            raise SchemaFileError(f"table {table}, column {name}: no options at {settings['options_of']!r}") from error
    labels = settings.get("options")
    if labels is None and settings["type"] == ColumnType.BOOLEAN:
        labels = _BOOLEAN_LABELS
    return tuple(_option(int(value), label) for value, label in (labels or {}).items())


def _option(value: int, description: str | Mapping[str, Any]) -> Option:
    if isinstance(description, Mapping):
        labels = description.get("labels") or {DEFAULT_LANGUAGE: str(description.get("label", value))}
        return Option(
            value=value,
            labels={int(language): str(text) for language, text in labels.items()},
            state=description.get("state"),
            default_status=description.get("default_status"),
            transitions=tuple(int(status) for status in description.get("transitions") or ()),
        )
    return Option(value=value, labels={DEFAULT_LANGUAGE: str(description)})


def _navigation(name: str, targets: tuple[str, ...], given: str | Mapping[str, str] | None) -> Mapping[str, str]:
    """Custom lookups use the schema name with its case; with several targets, each is appended to the name."""
    if isinstance(given, Mapping):
        return dict(given)
    return default_navigation(given or (name if is_custom(name) else name.lower()), targets)


def default_navigation(base: str, targets: tuple[str, ...]) -> dict[str, str]:
    """Returns the navigation property for each target of a lookup, `base` for the only one."""
    return {target: base if len(targets) == 1 else f"{base}_{target}" for target in targets}


def _relationships(
    table: str, name: str, targets: tuple[str, ...], given: str | Mapping[str, str] | None
) -> Mapping[str, str]:
    if isinstance(given, Mapping):
        return dict(given)
    if given and len(targets) == 1:
        return {targets[0]: given}
    standard = (_OF_CUSTOM_TABLES if is_custom(table) else _OF_BUILT_IN_TABLES).get(name.lower())
    if standard is not None:
        return dict.fromkeys(targets, standard.format(table=table.lower()))
    return {target: f"{target}_{table.lower()}_{name}" for target in targets}
