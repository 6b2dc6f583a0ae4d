"""A sync definition as a value: the user's text, parsed, with all checks that need only the text.

The models define the keys, their values and their meaning: the JSON Schema and the reference page are
made from them. Rules between keys are in `loading/rules/between_keys.py`, where each mistake gets its own place.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, Tag

from shared.definitions.models.base import (
    LONGEST_NAME,
    PARAMETER_NAME,
    SHAPE,
    SHARE,
    SYNC_NAME,
    WHOLE,
    Model,
    ODataFilter,
    Seconds,
    Sql,
    Verbatim,
)
from shared.definitions.models.dynamics_environment import (
    CONNECTION,
    ConnectionName,
    DynamicsEnvironment,
    Options,
    WriteOptions,
)
from shared.definitions.models.listener import Listener
from shared.definitions.models.lookup import Lookup
from shared.definitions.models.marks import DROPPED, RETURNED, Expire, SetColumns
from shared.definitions.models.notation import TimeZone
from shared.definitions.models.permissions import Permissions
from shared.definitions.models.post_sync import PostSyncStep
from shared.definitions.models.schedules import QuietHours, Timetable, checked_schedule
from shared.definitions.models.sources import Source

__all__ = [
    "CURRENCY",
    "ChangedWhen",
    "DynamicsDestination",
    "Expire",
    "KeyMatch",
    "Lookup",
    "Mapping",
    "NullPolicy",
    "Parameter",
    "ParameterValue",
    "PartialBehaviour",
    "Safety",
    "SetColumns",
    "Strategy",
    "SyncBehaviour",
    "SyncDefinition",
    "WritePolicy",
]

ParameterValue = str | int | float | bool | dt.datetime | dt.date | None


class Parameter(Model):
    """A named value, used as `@name`. Without `default` and `formula`, the run must give the value."""

    default: Annotated[ParameterValue, Verbatim()] = Field(
        default=None, description="The value, if the run does not give another one."
    )
    formula: str | None = Field(
        default=None,
        min_length=1,
        description="Computes the value at the start of a run: `FILENAME(path, regex)`, `FILEPATH(path, regex)` (first"
        " group), `GUID()`, `ENV('NAME')`, `NOW()`, `SECRET('name')` (only in keys that take a secret); a path can "
        "be another parameter.",
    )
    description: str = Field(default="", description="Description of the value; no effect.")


class NullPolicy(StrEnum):
    """What an empty source value does to the target column."""

    CLEAR = "clear"
    KEEP = "keep"


class WritePolicy(StrEnum):
    """When a sync writes the value of a column."""

    ALWAYS = "always"
    IF_EMPTY = "if_empty"
    ON_INSERT = "on_insert"
    UNLESS_EDITED = "unless_edited"


CURRENCY: Final = "transactioncurrencyid"
"""The column with the currency of a record's amounts, in each table that has amounts."""

_ColumnName = Annotated[str, Field(min_length=1)]


class Mapping(Model):
    """Where one target column gets its value: from a source column or from an SQL expression."""

    source: (
        Annotated[
            Annotated[_ColumnName, Tag("text")] | Annotated[tuple[_ColumnName, ...], Field(min_length=1), Tag("list")],
            SHAPE,
        ]
        | None
    ) = Field(
        default=None,
        description="Alias or name of a source column; a list if `lookup` matches several columns.",
    )
    value: Sql | None = Field(default=None, description="Expression over source columns, instead of `source`.")
    target: str = Field(min_length=1, description="Logical name of the target column.")
    lookup: (
        Annotated[
            Annotated[Lookup, Tag("mapping")] | Annotated[tuple[Lookup, ...], Field(min_length=1), Tag("list")], SHAPE
        ]
        | None
    ) = Field(
        default=None,
        description="For a lookup column: how the referenced record is found. With a list the first entry that finds "
        "a record is used. Without it the source holds ids.",
    )
    delimiter: Annotated[str | None, Verbatim()] = Field(
        default=None,
        min_length=1,
        max_length=10,
        description="For a list of activity parties (`to`, `requiredattendees`, …): what separates the values of the "
        "source column; `;` without this key.",
    )
    on_null: NullPolicy = Field(
        default=NullPolicy.CLEAR,
        description="Whether an empty value clears the target column or keeps its value. Without this key, "
        "`transactioncurrencyid` keeps its value: Dataverse needs a currency for amounts, and fills it in.",
    )
    write: WritePolicy = Field(
        default=WritePolicy.ALWAYS,
        description="When the value is written: `always`; `if_empty` fills an empty column only; `on_insert` sets it "
        "when the record is created and never again; `unless_edited` leaves a value that was changed in Dataverse "
        "since this sync last wrote it. `if_empty` and `unless_edited` need strategy `full`.",
    )

    @property
    def keeps_on_null(self) -> bool:
        """Whether an empty value leaves the column as it is: a record with an amount needs a currency."""
        return self.on_null is NullPolicy.KEEP or (self.target == CURRENCY and "on_null" not in self.model_fields_set)

    @property
    def sources(self) -> tuple[str, ...]:
        """The source columns, by alias or name; none for an expression."""
        if self.source is None:
            return ()
        return (self.source,) if isinstance(self.source, str) else self.source

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        """How the referenced record is found, in the order of trying; none if the source holds values."""
        if self.lookup is None:
            return ()
        return (self.lookup,) if isinstance(self.lookup, Lookup) else self.lookup


class DynamicsDestination(DynamicsEnvironment):
    """The Dataverse table that is kept equal to the source."""

    connection: ConnectionName | None = Field(default=None, description=CONNECTION)
    entity: str = Field(min_length=1, description="Table: logical name, entity set name or display name.")
    id_column: str = Field(min_length=1, description="Logical name of the table's primary id column.")
    id_column_insert: bool = Field(
        default=False,
        description="Whether inserts contain the mapped id. Without it, mapped ids are used to find "
        "records but are not written.",
    )
    mappings: tuple[Mapping, ...] = Field(min_length=1, description="One entry for each target column.")
    filter: ODataFilter | None = Field(
        default=None,
        description="OData filter without `$filter=`; only these records of the table are compared and changed.",
    )
    mirror: bool = Field(
        default=False,
        description="Whether the app keeps a copy of the records that it reads, and reads only what has changed since "
        "the run before. The table must track changes; `validate` says why there is no mirror.",
    )
    mirror_verify_every: Seconds = Field(
        default=604_800,
        description="After this time a run reads the whole table again and compares it with the mirror: seconds, or "
        "`24h`. Default 7 days.",
    )
    options: Options = WriteOptions()


class Strategy(StrEnum):
    """How a run compares and writes."""

    FULL = "full"
    DELTA = "delta"
    UPSERT = "upsert"


class KeyMatch(StrEnum):
    """How keys are compared."""

    SERVICE = "service"
    ACCENT_SENSITIVE = "accent_sensitive"
    EXACT = "exact"


class ChangedWhen(Model):
    """Update a changed record only when a condition holds."""

    when: Sql = Field(description="Condition over `source.*` and `target.*`.")


def _limit(value: str | int) -> str | int:
    if isinstance(value, str) and not 0 <= float(value.rstrip("%")) <= 100:  # noqa: PLR2004 - percent
        raise ValueError("a share is between 0% and 100%")
    return value


Share = Annotated[str, Field(pattern=SHARE), AfterValidator(_limit)]
Limit = Annotated[
    Annotated[Share, Tag("text")] | Annotated[int, Field(ge=0), WHOLE, Tag("mapping")],
    SHAPE,
]


class Safety(Model):
    """Limits that a plan must keep; `30%` is a share of the target's rows, `30` a number of rows."""

    max_delete: Limit = Field(default="30%", description="Most dropped records; a share counts from 10 records on.")
    max_update: Limit = Field(default="100%", description="Most updated and reactivated records; a share as above.")
    allow_empty_source: bool = Field(
        default=False, description="Whether a source without a valid row may drop all records of the target."
    )
    max_created_references: Annotated[int, Field(ge=0), WHOLE] = Field(
        default=1000, description="Most records that lookups create in other tables (`on_missing: create`)."
    )
    max_requests: Annotated[int, Field(ge=1), WHOLE] | None = Field(
        default=None, description="Most requests to Dataverse, by the forecast of the plan."
    )
    max_minutes: Annotated[int, Field(ge=1), WHOLE] | None = Field(
        default=None, description="Most minutes, by the forecast of the plan."
    )
    max_errors: Annotated[int, Field(ge=1), WHOLE] = Field(
        default=1000, description="The run stops after this number of refused changes."
    )


class SyncBehaviour(Model):
    """What happens to new, changed and dropped records."""

    strategy: Strategy = Field(
        default=Strategy.FULL,
        description="`full` compares with the whole target; `delta` writes the changes that the source names; with "
        "`upsert` the service decides between insert and update.",
    )
    sync_key: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1, description="Target columns that identify a record; each of them needs a mapping."
    )
    key_match: KeyMatch = Field(
        default=KeyMatch.SERVICE,
        description="How keys are compared: as the service does (without case, accents, width, kana and trailing "
        "spaces), with accents, or exactly.",
    )
    new: Literal["insert", "ignore"] = Field(
        default="insert", description="What happens to rows that the target does not have."
    )
    changed: Annotated[
        Annotated[Literal["update", "ignore"], Tag("text")] | Annotated[ChangedWhen, Tag("mapping")], SHAPE
    ] = Field(
        default="update", description="What happens to rows that differ from their record, including adopted records."
    )
    dropped: Annotated[
        Annotated[Literal["delete", "ignore", "deactivate"], Tag("text")]
        | Annotated[Expire, Tag("mapping")]
        | Annotated[SetColumns, Tag("set")],
        DROPPED,
    ] = Field(
        default="ignore",
        description="What happens to records that the source does not have. `deactivate` sets the state Inactive with "
        "its default status reason.",
    )
    returned: Annotated[
        Annotated[Literal["ignore", "reactivate"], Tag("text")] | Annotated[SetColumns, Tag("set")], RETURNED
    ] = Field(
        default="ignore",
        description="What happens to the mark of a record that this sync has marked and whose row is back. "
        "`reactivate` takes the mark of `deactivate` or `expire` away. Records that other users closed are left alone.",
    )
    dropped_scope: Literal["all", "own"] = Field(
        default="all",
        description="Which records are dropped: `all`, or only those that this sync created or matched in an earlier "
        "run (`own`).",
    )
    action_column: str | None = Field(
        default=None,
        min_length=1,
        description="With `strategy: delta` the source column that holds INSERT, UPDATE, DELETE or UPSERT.",
    )
    safety: Safety = Field(default=Safety(), description="Limits for a plan.")

    @property
    def as_written(self) -> SyncBehaviour:
        """The rules of the definition; a run with some rows only follows fewer of them."""
        return self


class PartialBehaviour(SyncBehaviour):
    """The rules for a run with some rows of the source only: nothing is dropped, and no mark is taken away.

    The run reads the same columns of the target as every run of the sync, and keeps the same ledger. Made from the
    rules of a definition, never written.
    """

    written: SyncBehaviour = Field(description="The rules of the definition.")

    @property
    def as_written(self) -> SyncBehaviour:
        """The rules of the definition."""
        return self.written

    @classmethod
    def of(cls, behaviour: SyncBehaviour) -> PartialBehaviour:
        """The rules of a definition for a run with some rows only."""
        rules = {**dict(behaviour), "dropped": "ignore", "returned": "ignore"}
        return cls.model_construct(**rules, written=behaviour)


def _quiet(text: str) -> str:
    return str(QuietHours.parse(text))


ParameterName = Annotated[str, Field(pattern=PARAMETER_NAME)]


class SyncDefinition(Model):
    """One sync: one source, one target table, one key and the rules between them."""

    name: str = Field(
        pattern=SYNC_NAME, max_length=LONGEST_NAME, description="The sync's name: `a-z`, `0-9`, `-`; unique."
    )
    version: str = Field(default="1.0.0", min_length=1, description="Version for the execution log; no other effect.")
    description: str = Field(default="", description="Description; no effect.")
    enabled: bool = Field(default=True, description="Whether the timer starts the sync.")
    schedule: Annotated[str, AfterValidator(checked_schedule)] | None = Field(
        default=None,
        description="When the timer starts the sync: six-field NCRONTAB (seconds first) or five-field cron, in "
        "`time_zone`; without it, the sync runs only on demand or by events.",
    )
    time_zone: TimeZone | None = Field(
        default=None,
        description="Time zone of `schedule` and `quiet`: an IANA name such as `Europe/Berlin`. Default UTC.",
    )
    quiet: Annotated[str, AfterValidator(_quiet)] | None = Field(
        default=None,
        description='Hours of the day in which the timer does not start the sync, as in `"22:00-06:00"`; what falls '
        "due in them starts once at their end. Requested runs and events are not held back.",
    )
    parameters: dict[ParameterName, Parameter] = Field(
        default_factory=dict, description="Named values, used as `@name` in the definition; a run can override them."
    )
    source: Source = Field(description="Source of the rows.")
    destination: DynamicsDestination = Field(description="Table that is kept equal to the source.")
    sync_behaviour: SyncBehaviour = Field(description="What happens to new, changed and dropped records.")
    listener: Listener | None = Field(default=None, description="Real time; without it, the sync runs only as a batch.")
    post_sync: tuple[PostSyncStep, ...] = Field(
        default=(),
        max_length=20,
        description="Steps after the writes of a batch run, in this order. Events run no steps.",
    )
    permissions: Permissions = Field(
        default_factory=Permissions,
        description="Who may do what in the console and its API: app roles, and object ids of Entra groups and people. "
        "The app role `Sync.Admin` may do everything; without an entry the sync does not exist for a person. The "
        "command line checks no rights: it can do what its settings allow.",
    )

    @property
    def timetable(self) -> Timetable | None:
        """When the timer starts the sync; None where it never does."""
        if self.schedule is None or not self.enabled:
            return None
        quiet = QuietHours.parse(self.quiet) if self.quiet else None
        return Timetable(schedule=self.schedule, time_zone=self.time_zone or "UTC", quiet=quiet)

    @property
    def keeps_ledger(self) -> bool:
        """Whether the sync has to remember which records it created, matched or marked, or what it wrote."""
        behaviour = self.sync_behaviour.as_written
        if behaviour.strategy is not Strategy.FULL:
            return False
        edited = any(mapping.write is WritePolicy.UNLESS_EDITED for mapping in self.destination.mappings)
        return edited or behaviour.returned != "ignore" or behaviour.dropped_scope == "own"
