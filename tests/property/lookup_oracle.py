"""What a full sync with lookups does, read aloud in plain Python: no SQL, no requests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "BAD",
    "KEY",
    "TABLES",
    "TEXT",
    "Case",
    "Entry",
    "Expected",
    "Record",
    "Ref",
    "Row",
    "State",
    "Table",
    "expected",
]

BAD = "bad"
"""A text that the service refuses where a case says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: its name in URLs, and its lookup columns with the tables that they refer to.

    All tables have the columns `KEY` and `TEXT`; `keyed` says whether there is an alternate key over the first.
    """

    entity_set: str
    id: str
    refs: Mapping[str, tuple[str, ...]]
    keyed: bool = True


KEY, TEXT = "new_number", "new_text"
TABLES: Mapping[str, Table] = {
    "new_company": Table(
        entity_set="new_companies",
        id="new_companyid",
        refs={"new_parentid": ("new_company",), "new_contactid": ("new_person",)},
    ),
    "new_person": Table(
        entity_set="new_people",
        id="new_personid",
        refs={"new_employerid": ("new_company", "new_person"), "new_friendid": ("new_person",)},
    ),
    "new_deal": Table(
        entity_set="new_deals",
        id="new_dealid",
        refs={
            "new_customerid": ("new_company", "new_person"),
            "new_agentid": ("new_person",),
            "new_sellerid": ("new_company",),
            "new_payerid": ("new_company",),
        },
        keyed=False,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a lookup."""

    table: str
    match: Literal["key", "text"]
    ambiguous: Literal["reject", "oldest", "newest"]
    default: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A mapped lookup column; with `by_row` the column `kind` of the source names the table."""

    column: str
    entries: tuple[Entry, ...]
    missing: Literal["reject", "clear", "keep", "create"]
    by_row: bool
    keeps: bool

    @property
    def creates(self) -> bool:
        return self.missing == "create"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the source; `values` has what each lookup searches for."""

    key: str
    text: str
    kind: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A definition and its source; `refuses`: the service refuses what is to get the text `BAD`."""

    table: str
    refs: tuple[Ref, ...]
    rows: tuple[Row, ...]
    new: Literal["insert", "ignore"]
    changed: Literal["update", "ignore"]
    dropped: Literal["delete", "ignore"]
    exact: bool
    refuses: bool = False

    def folded(self, text: str | None) -> str:
        """The form in which the sync compares a text."""
        return (text or "") if self.exact else (text or "").lower()


@dataclass(slots=True, kw_only=True)
class Record:
    """A record; references are ids."""

    key: str | None
    text: str | None
    created: str = "9999"
    refs: dict[str, str | None] = field(default_factory=dict)

    def values(self) -> tuple[object, ...]:
        return self.key, self.text, tuple(sorted((name, id_) for name, id_ in self.refs.items() if id_))


State = dict[str, dict[str, Record]]
"""Table -> id -> record."""


@dataclass(slots=True, kw_only=True)
class Expected:
    """How a run ends; new records have the id ``new:<table>:<key>``.

    Attributes:
        rejected: Numbers of rows, from 1.
        failed: Numbers of rows whose change fails.
    """

    state: State
    rejected: set[int]
    failed: set[int]


@dataclass(slots=True)
class _Found:
    """What became of one lookup of a row: the id of the record, or of the row that makes it."""

    id: str | None = None
    status: Literal["found", "empty", "missing", "ambiguous", "kept"] = "found"


@dataclass(frozen=True, slots=True)
class _Linkable:
    """A record as the run leaves it; where records are made in one second, the order of their rows decides."""

    id: str
    key: str | None
    text: str | None
    order: tuple[str, int, str]


class _Run:
    def __init__(self, case: Case, state: State) -> None:
        self.case = case
        self.state = copy.deepcopy(state)
        self.own = self.state[case.table]
        self.rejected: set[int] = set()
        self.failed: set[int] = set()
        self.protected: set[str] = set()
        self.wanted: dict[int, Row] = {}
        self.found: dict[int, dict[str, _Found]] = {}
        self.creations: dict[str, tuple[str, str]] = {}  # id -> table, value

    def run(self) -> Expected:
        self.settle()
        self.matched = self.match()
        self.leaving = self.dropped()
        self.link()
        self.write()
        return Expected(state=self.state, rejected=self.rejected, failed=self.failed)

    # -- Before the target is read

    def is_late(self, ref: Ref) -> bool:
        return any(entry.table == self.case.table for entry in ref.entries)

    def settle(self) -> None:
        refused = set[int]()
        for number, row in enumerate(self.case.rows, 1):
            self.found[number] = {}
            for ref in self.case.refs:
                if not self.is_late(ref):
                    found = self.found[number][ref.column] = self.resolve(ref, row, self.held)
                    if ref.creates and found.status == "missing":
                        found.id, found.status = self.created(ref, row), "found"
                    if self.rejects(ref, found):
                        refused.add(number)
        firsts = set[str]()
        for number, row in enumerate(self.case.rows, 1):
            if number in refused:
                self.protected.add(self.case.folded(row.key))
            elif self.case.folded(row.key) in firsts:
                refused.add(number)
            else:
                firsts.add(self.case.folded(row.key))
                self.wanted[number] = row
        self.rejected |= refused

    def created(self, ref: Ref, row: Row) -> str:
        table, value = ref.entries[-1].table, row.values[ref.column]
        made = f"create:{table}:{self.case.folded(value)}"
        self.creations.setdefault(made, (table, value))
        return made

    def held(self, entry: Entry) -> Iterator[_Linkable]:
        for id_, record in self.state[entry.table].items():
            yield _Linkable(id_, record.key, record.text, (record.created, 0, id_))

    def resolve(self, ref: Ref, row: Row, pool: Callable[[Entry], Iterator[_Linkable]]) -> _Found:
        value = row.values[ref.column]
        asked = [e for e in ref.entries if value and (not ref.by_row or row.kind.strip().lower() == e.table)]
        for entry in asked:
            matches = self.matches(entry, value, pool)
            if len(matches) > 1 and entry.ambiguous == "reject":
                return _Found(status="ambiguous")
            if matches:
                return _Found(self.chosen(entry, matches))
        for entry in ref.entries:
            matches = self.matches(entry, entry.default, pool) if entry.default else []
            if len(matches) == 1 or (matches and entry.ambiguous != "reject"):
                return _Found(self.chosen(entry, matches))
        return _Found(status="missing" if value else "empty")

    def matches(self, entry: Entry, value: str, pool: Callable[[Entry], Iterator[_Linkable]]) -> list[_Linkable]:
        wanted = self.case.folded(value)
        return [each for each in pool(entry) if self.case.folded(getattr(each, entry.match)) == wanted]

    @staticmethod
    def chosen(entry: Entry, matches: Sequence[_Linkable]) -> str:
        pick = max if entry.ambiguous == "newest" else min
        return pick(matches, key=lambda each: each.order).id

    @staticmethod
    def rejects(ref: Ref, found: _Found) -> bool:
        return found.status == "ambiguous" or (found.status == "missing" and ref.missing in {"reject", "create"})

    # -- The records that the run leaves behind

    def match(self) -> dict[int, str]:
        """Row -> the record that has its key."""
        keys = {self.case.folded(record.key): id_ for id_, record in self.own.items() if record.key}
        return {n: keys[key] for n, row in self.wanted.items() if (key := self.case.folded(row.key)) in keys}

    def dropped(self) -> set[str]:
        if self.case.dropped != "delete":
            return set()
        spared = {*self.matched.values()}
        return {
            id_
            for id_, record in self.own.items()
            if record.key and id_ not in spared and self.case.folded(record.key) not in self.protected
        }

    def linkable(self, entry: Entry) -> Iterator[_Linkable]:
        if entry.table != self.case.table:
            yield from self.held(entry)
            return
        for number, row in self.wanted.items():
            if number not in self.matched:
                if self.case.new == "insert":
                    yield _Linkable(f"row:{number}", row.key, row.text or None, ("9999", number, ""))
                continue
            id_ = self.matched[number]
            have = self.own[id_]
            key, text = (have.key, have.text) if self.case.changed == "ignore" else (row.key, row.text or None)
            yield _Linkable(id_, key, text, (have.created, number, id_))
        gone = {*self.leaving, *self.matched.values()}
        yield from (each for each in self.held(entry) if each.id not in gone)

    def link(self) -> None:
        late = [ref for ref in self.case.refs if self.is_late(ref)]
        lost = set[int]()
        for number, row in self.wanted.items():
            for ref in late:
                found = self.found[number][ref.column] = self.resolve(ref, row, self.linkable)
                if ref.creates and found.status == "missing":
                    found.id, found.status = self.created(ref, row), "found"
                if self.rejects(ref, found):
                    lost.add(number)
        while again := self.below(late, lost) - lost:
            lost |= again
        for number in self.wanted.keys() - lost:
            for ref in late:
                found = self.found[number][ref.column]
                if self.parent(found) in lost:
                    found.id, found.status = None, "missing"
        self.rejected |= lost
        for number in lost:
            del self.wanted[number]

    def below(self, late: Sequence[Ref], lost: set[int]) -> set[int]:
        return {
            number
            for number in self.wanted
            for ref in late
            if ref.missing in {"reject", "create"} and self.parent(self.found[number][ref.column]) in lost
        }

    @staticmethod
    def parent(found: _Found) -> int | None:
        """The row of the new record that a reference refers to."""
        return int(found.id[4:]) if found.id and found.id.startswith("row:") else None

    # -- Writing

    def write(self) -> None:
        self.holders = self.taken()
        self.adopted = set[str]()  # the service has named them, so they are not dropped
        self.deferred = self.circles()
        self.ends: dict[int, str | None] = {}  # row -> id of its record; None: it failed
        self.make_references()
        for number in self.wanted:
            if number not in self.matched:
                self.end_of(number)
        self.close_circles()
        for number, id_ in self.matched.items():
            if number in self.wanted and self.case.changed == "update":
                self.change(number, id_)
        for id_ in self.leaving - self.adopted:
            del self.own[id_]
        for records in self.state.values():
            for record in records.values():
                every = {id_ for each in self.state.values() for id_ in each}
                record.refs = {name: id_ if id_ in every else None for name, id_ in record.refs.items()}

    def taken(self) -> dict[int, str]:
        """New row -> the record that has its key as the service compares keys."""
        keys = {record.key.lower(): id_ for id_, record in self.own.items() if record.key}
        new = self.wanted.keys() - self.matched.keys() if TABLES[self.case.table].keyed else set()
        return {n: keys[key] for n in new if (key := self.wanted[n].key.lower()) in keys}

    def circles(self) -> set[int]:
        """New rows in a circle of new parents or below one: they are created first and linked afterwards."""
        parents = {
            number: {parent for found in self.found[number].values() if (parent := self.parent(found))}
            for number in self.wanted
        }
        settled = {number for number in parents if not parents[number]}
        while again := {n for n in parents if parents[n] <= settled} - settled:
            settled |= again
        return {number for number in parents.keys() - settled if number not in self.matched}

    def make_references(self) -> None:
        """Create what changes refer to; what is refused has no id."""
        self.made: dict[str, str | None] = {}
        for number in self.wanted:
            known = number in self.matched
            if self.case.changed == "ignore" if known else self.case.new == "ignore":
                continue
            for ref in self.case.refs:
                made = self.found[number][ref.column].id
                if made in self.creations and made not in self.made:
                    self.made[made] = self.make_reference(*self.creations[made])

    def make_reference(self, table: str, value: str) -> str | None:
        if self.case.refuses and value == BAD:
            return None
        id_ = f"new:{table}:{value}"
        self.state[table][id_] = Record(key=value, text=value)
        return id_

    def end_of(self, number: int) -> str | None:
        """The record of a new row, after it was written; None if that failed, or is not to be."""
        if number in self.ends:
            return self.ends[number]
        self.ends[number] = None
        row, adopted = self.wanted[number], self.holders.get(number)
        if self.case.new == "ignore":
            return None
        refs, complete = self.refs(number)
        text = row.text or None
        if not complete or (self.case.refuses and text == BAD):
            self.failed.add(number)
            return None
        have = self.own[adopted] if adopted else Record(key=None, text=None)
        self.adopted |= {adopted} if adopted else set()
        record = Record(key=row.key, text=text, created=have.created, refs={**have.refs, **refs})
        id_ = adopted or f"new:{self.case.table}:{row.key}"
        self.own[id_] = record
        self.ends[number] = id_
        return id_

    def refs(self, number: int, *, deferred: bool = False) -> tuple[dict[str, str | None], bool]:
        """The references that go with a record, or the deferred ones; and whether all records are there."""
        found, complete = dict[str, str | None](), True
        for ref in self.case.refs:
            each = self.found[number][ref.column]
            parent = self.parent(each)
            waits = number in self.deferred and parent in self.deferred
            if waits != deferred:
                continue
            if each.id is None:
                if not self.kept(ref, each):
                    found[ref.column] = None
                continue
            found[ref.column] = self.made[each.id] if each.id in self.creations else each.id
            if parent:
                found[ref.column] = self.end_of(parent)
            complete = complete and found[ref.column] is not None
        return found, complete

    @staticmethod
    def kept(ref: Ref, found: _Found) -> bool:
        return ref.missing == "keep" if found.status == "missing" else ref.keeps

    def close_circles(self) -> None:
        for number in self.deferred & self.wanted.keys():
            id_ = self.ends.get(number)
            if id_ is None:
                continue
            refs, complete = self.refs(number, deferred=True)
            if complete:
                self.own[id_].refs |= refs
            else:
                self.failed.add(number)

    def change(self, number: int, id_: str) -> None:
        row, have = self.wanted[number], self.own[id_]
        refs, complete = self.refs(number)
        text = row.text or None
        if not complete or (self.case.refuses and text == BAD and have.text != BAD):
            self.failed.add(number)
            return
        have.key, have.text = row.key, text
        have.refs |= refs


def expected(case: Case, state: State) -> Expected:
    """How a run ends; the state is all records before it."""
    return _Run(case, state).run()
