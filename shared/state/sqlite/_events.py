"""Dead letters and positions of events."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from operator import attrgetter

from shared.state._bounds import fitting_letter
from shared.state._reading import reading, record
from shared.state.event_records import DeadLetter, Position
from shared.state.sqlite import _tables as tables
from shared.state.sqlite._database import MOST_ROWS, MOST_VALUES, Database, marks, of_sync

__all__ = ["EventRows"]

_LETTERS = tables.select("dead_letters", tables.LETTER_FIELDS)
_SEEN = 'sync, key, partition, sequence, "when", written, item'
# Within a partition a position never moves back.
_UNLESS_LATER = """
    ON CONFLICT (sync, key) DO UPDATE SET partition = excluded.partition, sequence = excluded.sequence,
    item = excluded.item, "when" = excluded."when", written = excluded.written
    WHERE excluded.partition <> seen.partition OR (excluded.sequence, excluded.item) > (seen.sequence, seen.item)
"""


class EventRows(Database):
    """The part of the state store that real-time syncs use."""

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """See `StateStore.add_dead_letters`."""
        changed = ", ".join(
            f'"{name}" = excluded."{name}"' for name in tables.LETTER_FIELDS if name not in ("id", "kept")
        )
        sql = f"{tables.insert('dead_letters', tables.LETTER_FIELDS)} ON CONFLICT (id) DO UPDATE SET {changed}"
        with self._writing() as db:
            db.executemany(sql, [tables.row(fitting_letter(letter), tables.LETTER_FIELDS) for letter in letters])

    def dead_letters(
        self, sync: str | None = None, *, ids: Collection[str] = (), limit: int = 1000
    ) -> tuple[DeadLetter, ...]:
        """See `StateStore.dead_letters`."""
        if ids:
            found = [letter for letter in self._letters_by_id(ids) if sync is None or letter.sync == sync]
            return tuple(sorted(found, key=attrgetter("partition", "sequence", "id"))[:limit])
        where, values = of_sync(sync)
        sql = f"{_LETTERS}{where} ORDER BY partition, sequence, id LIMIT ?"
        return tuple(map(tables.letter, self._all(sql, (*values, min(limit, MOST_ROWS)))))

    def _letters_by_id(self, ids: Collection[str]) -> Iterator[DeadLetter]:
        for part in _parts(set(ids), MOST_VALUES):
            yield from map(tables.letter, self._all(f"{_LETTERS} WHERE id IN ({marks(part)})", part))

    def dead_letter_sizes(self, sync: str | None = None) -> Mapping[str, int]:
        """See `StateStore.dead_letter_sizes`."""
        where, values = of_sync(sync)
        sizes = "length(body) + 4 * (length(properties) + length(system))"  # of texts it counts characters
        return dict(self._all(f"SELECT id, {sizes} FROM dead_letters{where} ORDER BY partition, sequence, id", values))

    def count_dead_letters(self, sync: str | None = None) -> int:
        """See `StateStore.count_dead_letters`."""
        where, values = of_sync(sync)
        return int(self._all(f"SELECT count(*) FROM dead_letters{where}", values)[0][0])

    def dead_letter_counts(self) -> Mapping[str, int]:
        """See `StateStore.dead_letter_counts`."""
        return dict(self._all("SELECT sync, count(*) FROM dead_letters GROUP BY sync"))

    def remove_dead_letters(self, ids: Collection[str]) -> int:
        """See `StateStore.remove_dead_letters`."""
        with self._writing() as db:
            gone = 0
            for part in _parts(ids, MOST_VALUES):
                gone += db.execute(f"DELETE FROM dead_letters WHERE id IN ({marks(part)})", part).rowcount
            return gone

    def seen(self, sync: str, keys: Collection[str]) -> Mapping[str, Position]:
        """See `StateStore.seen`."""
        found: dict[str, Position] = {}
        for part in _parts(keys, MOST_VALUES):
            sql = f'SELECT key, partition, sequence, item, "when" FROM seen WHERE sync = ? AND key IN ({marks(part)})'
            for key, partition, sequence, item, when in self._all(sql, (sync, *part)):
                with reading("seen", key):
                    of = {"partition": partition, "sequence": sequence, "item": item, "when": when}
                    found[key] = record(Position, of)
        return found

    def mark_seen(self, sync: str, positions: Mapping[str, Position]) -> None:
        """See `StateStore.mark_seen`."""
        written = tables.text(self._now())
        rows = [
            (sync, key, at.partition, at.sequence, tables.text(at.when) if at.when else None, written, at.item)
            for key, at in positions.items()
        ]
        with self._writing() as db:
            db.executemany(f"INSERT INTO seen({_SEEN}) VALUES (?, ?, ?, ?, ?, ?, ?) {_UNLESS_LATER}", rows)

    def copy_positions(self, old: str, new: str) -> None:
        """See `StateStore.copy_positions`."""
        theirs = f"SELECT ?, {_SEEN.removeprefix('sync, ')} FROM seen WHERE sync = ?"
        with self._writing() as db:
            db.execute(f"INSERT INTO seen({_SEEN}) {theirs} {_UNLESS_LATER}", (new, old))

    def remove_positions(self, before: datetime, *, limit: int) -> int:
        """See `StateStore.remove_positions`."""
        old = "SELECT sync, key FROM seen WHERE written < ? LIMIT ?"
        with self._writing() as db:
            return db.execute(f"DELETE FROM seen WHERE (sync, key) IN ({old})", (tables.text(before), limit)).rowcount


def _parts(values: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part
