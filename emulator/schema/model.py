"""Tables, columns, keys and declared actions of a Dataverse environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from emulator.schema.relationships import Cascade, ManyToMany, PairEnd

__all__ = [
    "BULK_MESSAGES",
    "EARLIEST_DAY",
    "LATEST_DAY",
    "LOOKUP_TYPES",
    "OPTION_TYPES",
    "Action",
    "ActionParameter",
    "AlternateKey",
    "Cascade",
    "Column",
    "ColumnType",
    "DateBehavior",
    "ManyToMany",
    "Option",
    "PairEnd",
    "Schema",
    "Table",
]

BULK_MESSAGES: Final = ("CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple")
# The days in UTC that every date column takes: the minimum of SQL Server's datetime (in
# behavior-format-date-time-attribute) and the maximum of CrmDateTime (msdn aa613549).
EARLIEST_DAY: Final = date(1753, 1, 1)
LATEST_DAY: Final = date(9999, 12, 30)


class ColumnType(StrEnum):
    """The kinds of column, named as attribute metadata names them."""

    STRING = "String"
    MEMO = "Memo"
    INTEGER = "Integer"
    BIGINT = "BigInt"
    DECIMAL = "Decimal"
    MONEY = "Money"
    DOUBLE = "Double"
    BOOLEAN = "Boolean"
    PICKLIST = "Picklist"
    STATE = "State"
    STATUS = "Status"
    MULTI_PICKLIST = "MultiSelectPicklist"
    DATETIME = "DateTime"
    LOOKUP = "Lookup"
    CUSTOMER = "Customer"
    OWNER = "Owner"
    UNIQUEIDENTIFIER = "Uniqueidentifier"
    IMAGE = "Image"
    VIRTUAL = "Virtual"


LOOKUP_TYPES = frozenset({ColumnType.LOOKUP, ColumnType.CUSTOMER, ColumnType.OWNER})
OPTION_TYPES = frozenset({ColumnType.PICKLIST, ColumnType.STATE, ColumnType.STATUS, ColumnType.MULTI_PICKLIST})


class DateBehavior(StrEnum):
    """How a date column treats time zones."""

    USER_LOCAL = "UserLocal"
    DATE_ONLY = "DateOnly"
    TIME_ZONE_INDEPENDENT = "TimeZoneIndependent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One value of a choice.

    `labels` maps a language (LCID) to its text; `state` is the state a status value belongs to;
    `default_status` is the status a state value implies; `transitions` are the status values that may follow a status
    value if the table enforces its status transitions.
    """

    value: int
    labels: Mapping[int, str]
    state: int | None = None
    default_status: int | None = None
    color: str | None = None
    transitions: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """The text in the first language."""
        return next(iter(self.labels.values()), str(self.value))

    @property
    def invariant_name(self) -> str:
        """The name of a state in code, which does not depend on a language: `UnderRevision`."""
        return "".join(part for part in self.label if part.isalnum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One attribute of a table.

    `navigation` maps each target table to the single-valued navigation property for it,
    `relationships` maps it to the relationship's schema name, and `cascades` to what happens to the row when the
    target's row is deleted or assigned. `hierarchical` lookups may not form a loop. `made` is the version of the
    metadata in which a request added the column: one that is deleted and added again is another column.
    `precision_source` says where the decimals of an amount of money come from: 0 from `precision`, 1 from the
    organisation's setting for prices, 2 from the currency of the row. A choice with `other_values` has more options
    than are known: it takes any number, as one without options does.
    """

    logical_name: str
    schema_name: str
    type: ColumnType
    display_name: str
    description: str = ""
    max_length: int | None = None
    min_value: float | int | None = None
    max_value: float | int | None = None
    precision: int | None = None
    precision_source: int | None = None
    options: tuple[Option, ...] = ()
    other_values: bool = False
    option_set_name: str | None = None
    global_option_set: bool = False
    date_behavior: DateBehavior | None = None
    text_format: str | None = None
    targets: tuple[str, ...] = ()
    navigation: Mapping[str, str] = field(default_factory=dict)
    relationships: Mapping[str, str] = field(default_factory=dict)
    cascades: Mapping[str, Cascade] = field(default_factory=dict)
    hierarchical: bool = False
    required: str = "None"
    valid_for_create: bool = True
    valid_for_update: bool = True
    valid_for_read: bool = True
    primary_id: bool = False
    primary_name: bool = False
    ascii_only: bool = False
    custom: bool = False
    secured: bool = False
    default: str | int | float | bool | None = None
    computed: bool = False
    made: int = 0

    @property
    def is_lookup(self) -> bool:
        """Whether the column refers to a row of another table."""
        return self.type in LOOKUP_TYPES

    @property
    def is_polymorphic(self) -> bool:
        """Whether the lookup has several target tables, so that rows store the table beside the identifier."""
        return len(self.targets) > 1

    @property
    def property_name(self) -> str:
        """The structural OData property: `name`, or `_primarycontactid_value` for a lookup."""
        return f"_{self.logical_name}_value" if self.is_lookup else self.logical_name


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternateKey:
    """A set of columns whose values are unique in the table; `job` is the system job that builds its index."""

    name: str
    columns: tuple[str, ...]
    display_name: str = ""
    status: str = "Active"
    job: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One entity: its names, columns (by logical name, in order), keys and capabilities.

    `intersect` has the two columns of a table that holds the pairs of a many-to-many relationship.
    """

    logical_name: str
    schema_name: str
    entity_set: str
    display_name: str
    display_collection_name: str
    primary_id: str
    primary_name: str
    columns: Mapping[str, Column]
    keys: tuple[AlternateKey, ...] = ()
    elastic: bool = False
    change_tracking: bool = True
    optimistic_concurrency: bool = True
    object_type_code: int = 10000
    bulk_messages: frozenset[str] = frozenset({"CreateMultiple", "UpdateMultiple", "UpsertMultiple"})
    ownership: str = "UserOwned"
    activity: bool = False
    custom: bool = False
    bulk_all_or_nothing: bool = True
    guid_keys_addressable: bool = True
    enforce_transitions: bool = False
    has_activities: bool = False
    has_notes: bool = False
    activity_party: bool = False
    writable: bool = True
    intersect: tuple[str, str] | None = None
    by_property: Mapping[str, Column] = field(init=False, repr=False, compare=False)
    by_navigation: Mapping[str, tuple[Column, str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Indexes the columns by OData property and by navigation property (with its target table)."""
        by_property = {column.property_name: column for column in self.columns.values()}
        by_navigation: dict[str, tuple[Column, str]] = {}
        for column in self.columns.values():
            for target, name in column.navigation.items():
                by_navigation.setdefault(name, (column, target))  # `ownerid`: users first, then teams
        object.__setattr__(self, "by_property", MappingProxyType(by_property))
        object.__setattr__(self, "by_navigation", MappingProxyType(by_navigation))

    @property
    def has_state(self) -> bool:
        """Whether rows have a state and a status."""
        return "statecode" in self.columns and "statuscode" in self.columns

    @property
    def is_principal(self) -> bool:
        """Whether the rows are users or teams, whose key `ownerid` they have from the type `principal`."""
        owner = self.columns.get("ownerid")
        return owner is not None and owner.type is ColumnType.UNIQUEIDENTIFIER

    def targets_of(self, navigation: str) -> tuple[str, ...]:
        """Returns the tables that a single-valued navigation property leads to: two for `ownerid`, else one."""
        column = self.by_navigation[navigation][0]
        return tuple(target for target, name in column.navigation.items() if name == navigation)

    @property
    def edm_name(self) -> str:
        """The qualified OData type, `Microsoft.Dynamics.CRM.account`."""
        return f"Microsoft.Dynamics.CRM.{self.logical_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionParameter:
    """One parameter of a declared action; `type` is an Edm or entity type name."""

    name: str
    type: str = "Edm.String"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A declared action or function and its answer; without a `response` it answers 204."""

    name: str
    bound_to: str | None = None
    bound_to_collection: bool = False
    is_function: bool = False
    parameters: tuple[ActionParameter, ...] = ()
    response: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """All tables by logical name, the declared actions by name, and the many-to-many relationships by schema name.

    Attributes:
        by_entity_set: The tables by entity set.
        referring: For each table the lookups that refer to it.
        children: The lookup behind a collection, by parent table and relationship.
        pairs: The many-to-many relationship behind a collection, by table and navigation property, with the near end
            and the far end.
    """

    tables: Mapping[str, Table]
    actions: Mapping[str, Action] = field(default_factory=dict)
    many_to_many: Mapping[str, ManyToMany] = field(default_factory=dict)
    by_entity_set: Mapping[str, Table] = field(init=False, repr=False, compare=False)
    referring: Mapping[str, tuple[tuple[Table, Column], ...]] = field(init=False, repr=False, compare=False)
    children: Mapping[tuple[str, str], tuple[Table, Column]] = field(init=False, repr=False, compare=False)
    pairs: Mapping[tuple[str, str], tuple[ManyToMany, PairEnd, PairEnd]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Indexes the tables by entity set name, and the relationships by their tables."""
        referring: dict[str, list[tuple[Table, Column]]] = {}
        children: dict[tuple[str, str], tuple[Table, Column]] = {}
        for table in self.tables.values():
            for column in table.columns.values():
                for target in column.targets:
                    referring.setdefault(target, []).append((table, column))
                for target, name in column.relationships.items():
                    children.setdefault((target, name), (table, column))
        pairs: dict[tuple[str, str], tuple[ManyToMany, PairEnd, PairEnd]] = {}
        for relation in self.many_to_many.values():
            first, second = relation.ends
            pairs.setdefault((first.table, first.navigation), (relation, first, second))
            pairs.setdefault((second.table, second.navigation), (relation, second, first))
        index: dict[str, Mapping[Any, Any]] = {
            "by_entity_set": {table.entity_set: table for table in self.tables.values()},
            "referring": {target: tuple(found) for target, found in referring.items()},
            "children": children,
            "pairs": pairs,
        }
        for name, content in index.items():
            object.__setattr__(self, name, MappingProxyType(content))
