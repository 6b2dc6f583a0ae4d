"""What is known of a Dataverse table: plain values, read from its metadata, used by every room.

The facts behind the fields are Microsoft's `EntityMetadata` and `AttributeMetadata` types.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

__all__ = [
    "ALWAYS_SET",
    "CHANGED_BY_MESSAGES",
    "CHANGE_COUNTS",
    "PARTY_ROLES",
    "AlternateKey",
    "AttributeMetadata",
    "AttributeType",
    "Choice",
    "DateBehavior",
    "EntityMetadata",
    "LedgerEntry",
    "LedgerHead",
    "LedgerStore",
    "LinkEnd",
    "MirrorHead",
    "MirrorStore",
]

CHANGE_COUNTS: Final = (
    "created",
    "updated",
    "deleted",
    "expired",
    "deactivated",
    "marked",
    "reactivated",
    "upserted",
    "created_references",
)
"""The kinds of change that a plan and a run count, by their names in JSON and in the execution log."""


# Rights and memberships have checks of their own, so the service does not let these tables be written as others are.
CHANGED_BY_MESSAGES: Final[Mapping[str, str]] = {
    "campaignactivityitem": "AddItemCampaignActivity and RemoveItemCampaignActivity",
    "campaignitem": "AddItemCampaign and RemoveItemCampaign",
    "listmember": "AddMemberList and RemoveMemberList",
    "principalobjectaccess": "GrantAccess, ModifyAccess and RevokeAccess",
    "queuemembership": "AddPrincipalToQueue",
    "roleprivileges": "AddPrivilegesRole and RemovePrivilegeRole",
    "solutioncomponent": "AddSolutionComponent and RemoveSolutionComponent",
    "systemuserprofiles": "Associate and Disassociate with the relationship systemuserprofiles_association",
    "systemuserroles": "Associate and Disassociate with the relationship systemuserroles_association",
    "teammembership": "AddMembersTeam and RemoveMembersTeam",
    "teamprofiles": "Associate and Disassociate with the relationship teamprofiles_association",
    "teamroles": "Associate and Disassociate with the relationship teamroles_association",
}
"""Logical name of a table of links or rights that no sync may write -> the messages that change it."""


PARTY_ROLES: Final[Mapping[str, int]] = {
    "from": 1,
    "to": 2,
    "cc": 3,
    "bcc": 4,
    "requiredattendees": 5,
    "optionalattendees": 6,
    "organizer": 7,
    "resources": 10,
    "customer": 11,
    "customers": 11,
}
"""Column of an activity with a list of parties -> their `ParticipationTypeMask` (Microsoft: ActivityParty table)."""


class AttributeType(StrEnum):
    """The kinds of column, under the names that `AttributeTypeName` gives them (without the word Type)."""

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
    PARTY_LIST = "PartyList"
    UNIQUEIDENTIFIER = "Uniqueidentifier"
    IMAGE = "Image"
    FILE = "File"
    VIRTUAL = "Virtual"


class DateBehavior(StrEnum):
    """How a date column treats time zones (`DateTimeBehavior`)."""

    USER_LOCAL = "UserLocal"
    DATE_ONLY = "DateOnly"
    TIME_ZONE_INDEPENDENT = "TimeZoneIndependent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One option of a choice column: its value and its labels in every installed language.

    Attributes:
        state: Of a status: the state that it belongs to.
        default_status: Of a state: the status that a record gets with it.
        next: Of a status: the statuses that may follow it; None where the table does not enforce transitions.
    """

    value: int
    labels: tuple[str, ...]
    state: int | None = None
    default_status: int | None = None
    next: tuple[int, ...] | None = None

    def __str__(self) -> str:
        """Value and label, as messages name it: `2 Inactive`."""
        return f"{self.value} {self.labels[0]}" if self.labels else str(self.value)


ALWAYS_SET: Final = frozenset({AttributeType.STATE, AttributeType.STATUS, AttributeType.OWNER})
"""Types of columns that always have a value."""
_REFERENCES: Final = frozenset({AttributeType.LOOKUP, AttributeType.CUSTOMER, AttributeType.OWNER})


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeMetadata:
    """One column of a table.

    Attributes:
        name: Logical name, such as ``accountnumber``.
        max_length: Most characters, for text.
        precision: Digits behind the decimal point, for decimal, money and double.
        min_value: Smallest number allowed, None when unlimited.
        choices: The options of a choice, state, status or boolean column.
        has_default: Whether the service fills in a value if a new record has none.
        default: That value, of a choice or of a boolean column (0 or 1).
        targets: Logical names of the tables a lookup may point to.
        navigation: Target table -> the navigation property that writes the lookup (case kept).
        deleted_with: Targets whose delete deletes the records that refer to them (Microsoft: `CascadeConfiguration`).
        assigned_with: Targets whose new owner also becomes the owner of records that refer to them, of all or of some.
        required: `ApplicationRequired`, `SystemRequired`, `Recommended` or `None`.
        computed: How the service computes the column: `calculated`, `rollup` or `formula`; empty where it does not.
        secured: Whether column security decides who may read it.
        metadata_id: Identifies the column: one that is deleted and made again has another.
    """

    name: str
    type: AttributeType
    display_name: str = ""
    max_length: int | None = None
    precision: int | None = None
    min_value: float | None = None
    max_value: float | None = None
    date_behavior: DateBehavior | None = None
    choices: tuple[Choice, ...] = ()
    has_default: bool = False
    default: int | None = None
    targets: tuple[str, ...] = ()
    navigation: Mapping[str, str] = field(default_factory=dict)
    deleted_with: frozenset[str] = frozenset()
    assigned_with: frozenset[str] = frozenset()
    required: str = "None"
    creatable: bool = True
    updatable: bool = True
    readable: bool = True
    computed: str = ""
    secured: bool = False
    metadata_id: str = ""

    @property
    def refers(self) -> bool:
        """Whether the column holds a reference to another record; those of a table of links are plain ids."""
        return self.type in _REFERENCES or bool(self.targets)

    @property
    def polymorphic(self) -> bool:
        """Whether the column can refer to records of several tables."""
        return self.refers and (len(self.targets) > 1 or self.is_list)

    @property
    def is_list(self) -> bool:
        """Whether the column holds the parties of an activity: any number of references."""
        return self.type is AttributeType.PARTY_LIST

    def navigation_to(self, table: str) -> str:
        """The navigation property that refers to a table; an owner has one for users and teams.

        As Microsoft's own client chooses it: the relationship of this column and table, else the column's first one.
        """
        return self.navigation.get(table) or next(iter(self.navigation.values()), self.name)

    @property
    def clearable(self) -> bool:
        """Whether the service takes null; state, status and owner always have a value."""
        return self.required != "SystemRequired" and self.type not in ALWAYS_SET


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternateKey:
    """An alternate key; usable only while its index is active."""

    name: str
    columns: tuple[str, ...]
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEnd:
    """One side of a many-to-many relationship.

    Attributes:
        table: Logical name of the table.
        column: The column of the intersect table that holds the id of this table's record.
        navigation: The navigation property of this table that leads to the records of the other one.
    """

    table: str
    column: str
    navigation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMetadata:
    """One table: names, columns and keys.

    Attributes:
        entity_set: The name in URLs, from metadata; empty for an intersect table that the Web API does not show.
        attributes: Logical name -> column.
        intersect: Whether its records are links, the pairs of a many-to-many relationship.
        ends: The two sides of that relationship; empty for other tables.
        related: Logical name -> the tables that the mapped lookups of a sync refer to; the table itself is not in it.
        change_tracking: Whether the service can tell which records have changed since a moment.
        optimistic_concurrency: Whether the service makes a change only while the record has the version that it names.
        metadata_id: Identifies the table: one that is deleted and made again has another.
    """

    logical_name: str
    entity_set: str
    display_name: str
    primary_id: str
    primary_name: str
    attributes: Mapping[str, AttributeMetadata]
    keys: tuple[AlternateKey, ...] = ()
    elastic: bool = False
    intersect: bool = False
    ends: tuple[LinkEnd, ...] = ()
    related: Mapping[str, EntityMetadata] = field(default_factory=dict)
    change_tracking: bool = False
    optimistic_concurrency: bool = True
    metadata_id: str = ""

    def table(self, name: str) -> EntityMetadata | None:
        """A table that this one refers to, or the table itself; None if its metadata was not read."""
        return self if name == self.logical_name else self.related.get(name)

    def options(self, kind: AttributeType) -> tuple[Choice, ...]:
        """The options of the column of a kind that a table has once: its state or its status; none without it."""
        return next((column.choices for column in self.attributes.values() if column.type is kind), ())

    def default_status(self, state: int) -> int | None:
        """The status that a record gets with a state; None where the metadata does not tell."""
        return next((o.default_status for o in self.options(AttributeType.STATE) if o.value == state), None)

    def key_over(self, columns: frozenset[str]) -> AlternateKey | None:
        """The alternate key made of exactly these columns, active or not; None when there is none."""
        return next((key for key in self.keys if frozenset(key.columns) == columns), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHead:
    """What a ledger consists of at a moment.

    Attributes:
        parts: Names of its parts, the oldest first: rows of a later part replace those of an earlier one.
        version: Changes with every swap; compared, and not read.
        fence: Fencing number of the lease under which it was swapped.
    """

    parts: tuple[str, ...]
    version: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """What events have added to a ledger about one record.

    Attributes:
        text: Any text.
        version: Changes with every write; compared, and not read. Empty for an entry that is not there yet.
    """

    text: str
    version: str = ""


class LedgerStore(Protocol):
    """Keeps the ledgers of syncs; the state stores do."""

    def ledger(self, sync: str) -> LedgerHead | None:
        """What the ledger of a sync consists of; None where it has none."""

    def ledger_part(self, sync: str, name: str) -> bytes | None:
        """One part of a ledger; None where it is missing."""

    def put_ledger_part(self, sync: str, name: str, data: bytes) -> None:
        """Keep a part, which belongs to the ledger once `swap_ledger` names it. Names are used once."""

    def swap_ledger(
        self, sync: str, parts: Sequence[str], *, expected: LedgerHead | None, fence: int
    ) -> LedgerHead | None:
        """Let the ledger consist of other parts, at once; parts that are not named are removed.

        Args:
            sync: Name of the sync.
            parts: Names of the parts, the oldest first.
            expected: What the ledger consisted of when it was read.
            fence: Fencing number of the lease of the sync.

        Returns:
            The ledger as it is now; None, changing nothing, if it was swapped since it was read, or by a newer holder.
        """

    def ledger_entries(self, sync: str, ids: Collection[str] | None = None) -> Mapping[str, LedgerEntry]:
        """The entries of some records, by the record's id, or all of a sync; records without one are left out."""

    def put_ledger_entries(self, sync: str, entries: Mapping[str, LedgerEntry]) -> Mapping[str, LedgerEntry]:
        """Write entries that are unchanged since they were read, or still missing.

        Returns:
            Those that were written, with their new versions. The others are as another process has left them.
        """

    def remove_ledger_entries(self, sync: str, entries: Mapping[str, LedgerEntry]) -> None:
        """Remove entries that are unchanged since they were read; the others stay."""

    def use_ledger(self, sync: str) -> None:
        """Note that the ledger is in use: retention leaves it alone, though no run swaps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorHead:
    """What a mirror consists of at a moment.

    Attributes:
        manifest: What the parts are and what they belong to: a text that the store does not read.
        parts: Names of its parts.
        version: Changes with every swap; compared, and not read.
        fence: Fencing number of the lease under which it was swapped.
    """

    manifest: str
    parts: tuple[str, ...]
    version: str
    fence: int


class MirrorStore(Protocol):
    """Keeps the mirrors of syncs, one each; the state stores do. A mirror is a cache: it may be missing at any time."""

    def mirror(self, sync: str) -> MirrorHead | None:
        """What the mirror of a sync consists of; None where it has none, or one that cannot be read."""

    def mirror_part(self, sync: str, name: str, into: Path) -> bool:
        """Put one part of a mirror into a file that does not exist; False where the part is missing."""

    def put_mirror_part(self, sync: str, name: str, file: Path) -> None:
        """Keep a file as a part, which belongs to the mirror once `swap_mirror` names it. Names are used once."""

    def swap_mirror(
        self, sync: str, manifest: str, parts: Sequence[str], *, expected: MirrorHead | None, fence: int
    ) -> MirrorHead | None:
        """Let the mirror consist of other parts, at once; parts that are not named are removed.

        Args:
            sync: Name of the sync.
            manifest: What the parts are and what they belong to.
            parts: Names of the parts.
            expected: What the mirror consisted of when it was read.
            fence: Fencing number of the lease of the sync.

        Returns:
            The mirror as it is now; None, changing nothing, if it was swapped since it was read, or by a newer holder.
        """
