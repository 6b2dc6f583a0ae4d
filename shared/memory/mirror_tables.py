"""The SQL of a mirror: from its files to the records of the target, and from the records to its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shared.transform import TargetColumn
from shared.transform.targets import key_columns, needs_version
from shared.workspace import NewTable, Table, literal, quoted

__all__ = ["MirrorTables"]

_LISTED = f"SELECT id FROM {Table.MIRROR_LISTED}"


class MirrorTables:
    """Statements over `current`, the files of a mirror, and what the service lists as changed.

    A file of the base has the columns of `current` that are not generated. A file of changes has `_gone` beside them:
    true for a record that has left the mirror, of which only `_id` is filled.

    Args:
        columns: The target columns.
    """

    def __init__(self, columns: Sequence[TargetColumn]) -> None:
        version = ["_version"] if needs_version(columns) else []
        values = ["_created", *version, *(quoted(column.name) for column in columns)]
        self._values = values
        self._names = ", ".join(["_seq", "_id", *values])
        self._keys = "".join(f", {column.key_sql} AS _k{column.key_part}" for column in key_columns(columns))

    def listed(self) -> NewTable:
        """The table of what the service lists."""
        return NewTable(name=Table.MIRROR_LISTED, columns="(id UUID, gone BOOLEAN)")

    def read(self) -> NewTable:
        """The table of the records that are read again."""
        return NewTable(name=Table.MIRROR_READ, query=f"SELECT {self._names} FROM {Table.CURRENT} LIMIT 0")

    def changed_ids(self) -> str:
        """The ids of the records to be read again."""
        return f"SELECT DISTINCT id FROM {Table.MIRROR_LISTED} WHERE NOT gone"

    def count(self, base: Path, changes: Sequence[Path]) -> str:
        """Count the records of a mirror; of the files of changes, the oldest comes first."""
        return f"SELECT count(*) FROM ({self._records(base, changes)})"

    def show(self, base: Path, changes: Sequence[Path], *, changed: bool = False) -> tuple[str, ...]:
        """Let `current` be a view of the files of a mirror: a million records are read, and not stored once more.

        Args:
            base: The file of the base.
            changes: The files of changes, the oldest first.
            changed: The changes of this run are part of it too; otherwise `current` is an empty table until now.
        """
        former = "VIEW" if changed else "TABLE"
        query = f"SELECT *{self._keys}\nFROM ({self._records(base, changes, changed=changed)})"
        return f"DROP {former} {Table.CURRENT}", NewTable(name=Table.CURRENT, query=query, is_view=True).sql

    def store(self) -> tuple[str, ...]:
        """Let `current` be a table that holds what the view shows."""
        held = f"{Table.CURRENT}_held"
        return (
            f"CREATE TABLE {held} AS SELECT * FROM {Table.CURRENT}",
            f"DROP VIEW {Table.CURRENT}",
            f"ALTER TABLE {held} RENAME TO {Table.CURRENT}",
        )

    def _records(self, base: Path, changes: Sequence[Path], *, changed: bool = False) -> str:
        whole = f"SELECT {self._names} FROM {_file(base)}"
        sources = [*map(_file, changes), *([Table.MIRROR_CHANGES] if changed else [])]
        if not sources:
            return whole
        parts = " UNION ALL ".join(
            f"SELECT {self._names}, _gone, {place} AS part FROM {source}" for place, source in enumerate(sources)
        )
        latest = f"SELECT * FROM ({parts}) QUALIFY row_number() OVER (PARTITION BY _id ORDER BY part DESC) = 1"
        return (
            f"WITH latest AS MATERIALIZED ({latest})\n"
            f"SELECT * FROM ({whole}) WHERE _id NOT IN (SELECT _id FROM latest)\n"
            f"UNION ALL SELECT {self._names} FROM latest WHERE NOT _gone"
        )

    def changes(self, last: int) -> NewTable:
        """What the mirror gets: records that were read again, and those of `current` that are gone.

        A record keeps its place among the others; new ones come last, the oldest first.

        Args:
            last: The last place that is taken.
        """
        known = f"SELECT _id, _seq FROM {Table.CURRENT} WHERE _id IN ({_LISTED})"
        values = ", ".join(f"r.{name}" for name in self._values)
        new = "row_number() OVER (PARTITION BY k._seq IS NULL ORDER BY r._created, r._id)"
        nothing = ", ".join(f"NULL AS {name}" for name in self._values)
        query = (
            f"WITH known AS MATERIALIZED ({known}),\n"
            f"read AS MATERIALIZED (SELECT DISTINCT ON (_id) * FROM {Table.MIRROR_READ})\n"
            f"SELECT coalesce(k._seq, {last} + {new}) AS _seq, r._id, {values}, false AS _gone\n"
            f"FROM read AS r LEFT JOIN known AS k ON k._id = r._id\n"
            f"UNION ALL SELECT k._seq, k._id, {nothing}, true FROM known AS k ANTI JOIN read AS r ON r._id = k._id"
        )
        return NewTable(name=Table.MIRROR_CHANGES, query=query)

    def counts(self) -> str:
        """Count the changes: records that were read again, and those that are gone."""
        gone = "count(*) FILTER (WHERE _gone)"
        return f"SELECT count(*) FILTER (WHERE NOT _gone), {gone} FROM {Table.MIRROR_CHANGES}"

    def whole_file(self, file: Path) -> str:
        """Write `current` as a file of the base."""
        return _written(f"SELECT {self._names} FROM {Table.CURRENT}", file)

    def changes_file(self, file: Path) -> str:
        """Write the changes as a file."""
        return _written(f"SELECT {self._names}, _gone FROM {Table.MIRROR_CHANGES}", file)

    def difference(self, base: Path, changes: Sequence[Path]) -> str:
        """Count the records that differ between a mirror and `current`, without those that the service lists."""
        differs = " OR ".join(f"m.{name} IS DISTINCT FROM c.{name}" for name in self._values)
        return (
            f"WITH mirror AS ({self._records(base, changes)})\n"
            f"SELECT count(*) FROM mirror AS m FULL JOIN {Table.CURRENT} AS c ON m._id = c._id\n"
            f"WHERE (m._id IS NULL OR c._id IS NULL OR {differs}) AND coalesce(m._id, c._id) NOT IN ({_LISTED})"
        )


def _file(file: Path) -> str:
    return f"read_parquet({literal(str(file))})"


def _written(query: str, file: Path) -> str:
    return f"COPY ({query}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)"
