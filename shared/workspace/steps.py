"""The steps of a run as values: their SQL, and what a reader of the list of steps chooses them by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, StrEnum, auto

__all__ = ["NewTable", "Purpose", "Step", "Table"]


class Table(StrEnum):
    """The tables and views of a run, in the order in which they are made; then those of real time and undo."""

    SOURCE_RAW = "source_raw"
    SOURCE_ERRORS = "source_errors"
    SOURCE_PLACES = "source_places"
    SCRIPTED = "scripted"
    SHAPED = "shaped"
    SOURCE = "source"
    DESIRED = "desired"
    CREATIONS = "creations"
    SOURCE_FILTERED = "source_filtered"
    PROTECTED = "protected"
    SOURCE_COUNTS = "source_counts"
    CURRENT = "current"
    MIRROR_LISTED = "mirror_listed"
    MIRROR_READ = "mirror_read"
    MIRROR_CHANGES = "mirror_changes"
    TARGET_ERRORS = "target_errors"
    SET_ASIDE = "set_aside"
    RECORDS = "records"
    LEAVING = "leaving"
    PARENTS = "parents"
    UNLINKED = "unlinked"
    GENERATIONS = "generations"
    NEW_RECORDS = "new_records"
    LEDGER = "ledger"
    DECISIONS = "decisions"
    LEFT_BEHIND = "left_behind"
    KEPT_PARENTS = "kept_parents"
    DROP_ORDER = "drop_order"
    DELETE_ORDER = "delete_order"
    CHANGES = "changes"
    OWNERS_BEFORE = "owners_before"
    OWNER_ORDER = "owner_order"
    LEDGER_BEFORE = "ledger_before"
    CREATED_REFERENCES = "created_references"
    OUTCOMES = "outcomes"
    OWNERS_AFTER = "owners_after"
    LEDGER_AFTER = "ledger_after"
    HOLDERS = "holders"
    ADOPTIONS = "adoptions"
    ADOPTED_RECORDS = "adopted_records"
    UPDATE_RECORDS = "update_records"
    WANTED = "wanted"
    WANTED_SOURCE = "wanted_source"
    STEP_ROWS = "step_rows"
    JOURNAL = "journal"


class Purpose(Flag):
    """Why a run has a step. A step with several purposes may be left out where none of them matters."""

    RESULT = auto()
    """What is written follows from it."""
    COUNTS = auto()
    """It counts rows of the source."""
    CLEANUP = auto()
    """It drops columns that no later step reads."""
    SOURCE_DUPLICATES = auto()
    """It keeps one row of the source for each key."""
    REJECTED_ROWS = auto()
    """It protects the records of rejected rows from being dropped."""
    RECORDS_WITHOUT_KEY = auto()
    """It sets aside records of the target that have no key."""
    TARGET_DUPLICATES = auto()
    """It sets aside records of the target whose key is not unique."""
    CREATE_ONLY_COLUMNS = auto()
    """It reports values that differ and that only a create may set."""
    KEPT_PARENTS = auto()
    """It keeps dropped records for the records below them, which are known where the whole table was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTable:
    """A table or view that a statement makes; it has either columns or a query.

    Attributes:
        name: Its name, an SQL identifier that needs no quotes.
        columns: Its columns in parentheses, where it is made without rows.
        query: What it holds.
        is_view: It is a view.
        if_missing: It may exist already, and is then left as it is.
    """

    name: str
    columns: str = ""
    query: str = ""
    is_view: bool = False
    if_missing: bool = False

    @property
    def sql(self) -> str:
        """The `CREATE` statement."""
        kind = "VIEW" if self.is_view else "TABLE"
        condition = " IF NOT EXISTS" if self.if_missing else ""
        content = f"AS\n{self.query}" if self.query else self.columns
        return f"CREATE {kind}{condition} {self.name} {content}"


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a run: what `explain` prints and the workspace executes.

    Attributes:
        title: What it does, in a few words for people.
        sql: One SQL statement.
        origin: Where in the definition it comes from, such as ``source.filter``; empty for the program's own.
        needs: The tables that must exist before it.
        creates: The table that it makes; None where it works on tables that exist.
        purpose: Why a run has it.
        decision: The decision of `decisions` on whose rows it works; without such a row it does nothing. Empty where
            it does not depend on one decision.
        removes_from: The table from which it removes rows, and does nothing else. Empty for other steps.
        only_if: A query; where it gives no row, the step does nothing. Empty where it always has something to do. Of
            use where there are few rows, because there a statement takes as long for none as for all of them, and where
            the step would look at all rows to find none.
    """

    title: str
    sql: str
    origin: str = ""
    needs: frozenset[str] = frozenset()
    creates: NewTable | None = None
    purpose: Purpose = Purpose.RESULT
    decision: str = ""
    removes_from: str = ""
    only_if: str = ""

    @classmethod
    def creating(
        cls,
        title: str,
        table: NewTable,
        origin: str = "",
        *,
        needs: frozenset[str] = frozenset(),
        purpose: Purpose = Purpose.RESULT,
    ) -> Step:
        """The step that makes a table."""
        return cls(title, table.sql, origin, needs=needs, creates=table, purpose=purpose)
