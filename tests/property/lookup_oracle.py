"""What a sync with lookups does, in plain Python: no SQL, no requests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "BAD",
    "FILTERS",
    "FLAG",
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

    All tables have the columns `KEY`, `TEXT` and `FLAG`; no sync maps the last one. `keyed` says whether there is an
    alternate key over the first, and `cascades` what the delete of a referenced record does: nothing is RemoveLink.
    """

    entity_set: str
    id: str
    refs: Mapping[str, tuple[str, ...]]
    keyed: bool = True
    cascades: Mapping[tuple[str, str], Literal["Restrict", "Cascade"]] = field(default_factory=dict)


KEY, TEXT, FLAG = "new_number", "new_text", "new_flag"
TABLES: Mapping[str, Table] = {
    "new_company": Table(
        entity_set="new_companies",
        id="new_companyid",
        refs={"new_parentid": ("new_company",), "new_contactid": ("new_person",)},
        cascades={("new_parentid", "new_company"): "Restrict"},
    ),
    "new_person": Table(
        entity_set="new_people",
        id="new_personid",
        refs={"new_employerid": ("new_company", "new_person"), "new_friendid": ("new_person",)},
        cascades={("new_employerid", "new_company"): "Cascade", ("new_friendid", "new_person"): "Cascade"},
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
        cascades={("new_customerid", "new_company"): "Restrict"},
    ),
}
# Each by its OData text; a comparison with an empty column is true for `ne` alone.
FILTERS: Mapping[str, Callable[[str | None, int | None], bool]] = {
    f"{TEXT} eq 'X'": lambda text, _: (text or "").lower() == "x",
    f"not ({TEXT} eq 'y')": lambda text, _: (text or "").lower() != "y",
    f"{FLAG} ge 1": lambda _, flag: (flag or 0) >= 1,
    f"({FLAG} eq null or {FLAG} eq 2) and {TEXT} ne null": lambda text, flag: flag in {None, 2} and bool(text),
}
"""The filters of lookups: OData -> whether a text and a flag pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a lookup."""

    table: str
    match: Literal["key", "text"]
    ambiguous: Literal["reject", "oldest", "newest"]
    default: str
    filter: str = ""

    def passes(self, text: str | None, flag: int | None) -> bool:
        """Whether a record passes the filter."""
        return not self.filter or FILTERS[self.filter](text, flag)


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
    """A row of the source; `values` has what each lookup searches for, and `action` what `delta` does."""

    key: str
    text: str
    kind: str
    values: Mapping[str, str]
    action: str = "upsert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A definition and its source.

    Attributes:
        refuses: The service refuses what is to get the text `BAD`.
        deleted: Keys of the records that events delete; `dropped` has no meaning then.
    """

    table: str
    refs: tuple[Ref, ...]
    rows: tuple[Row, ...]
    new: Literal["insert", "ignore"]
    changed: Literal["update", "ignore"]
    dropped: Literal["delete", "ignore"]
    exact: bool
    refuses: bool = False
    strategy: Literal["full", "upsert", "delta"] = "full"
    deleted: tuple[str, ...] | None = None

    def folded(self, text: str | None) -> str:
        """The form in which the sync compares a text."""
        return (text or "") if self.exact else (text or "").lower()


@dataclass(slots=True, kw_only=True)
class Record:
    """A record; references are ids."""

    key: str | None
    text: str | None
    flag: int | None = None
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
        failed: What fails: numbers of rows, and ids of records that cannot be deleted.
    """

    state: State
    rejected: set[int]
    failed: set[int | str]


@dataclass(slots=True)
class _Found:
    """The result of one lookup of a row: the id of the record, or of the row that makes it."""

    id: str | None = None
    status: Literal["found", "empty", "missing", "ambiguous", "kept"] = "found"


@dataclass(frozen=True, slots=True)
class _Linkable:
    """A record after the run; if records are created in one second, the order of their rows decides."""

    id: str
    key: str | None
    text: str | None
    order: tuple[str, int, str]


class _Run:
    def __init__(self, case: Case, state: State) -> None:
        self.case = case
        self.state = copy.deepcopy(state)
        self.own = self.state[case.table]
        self.start = copy.deepcopy(self.own)
        self.rejected: set[int] = set()
        self.failed: set[int | str] = set()
        self.protected: set[str] = set()
        self.wanted: dict[int, Row] = {}
        self.found: dict[int, dict[str, _Found]] = {}
        self.creations: dict[str, str] = {}  # id -> table

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
                    found = self.found[number][ref.column] = self.search(ref, row, self.held)
                    if ref.creates and row.values[ref.column] and found.status == "missing":
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
        self.creations[made] = table
        return made

    def value_of(self, made: str) -> str:
        """How the record's value is written: as in the first row that is kept; lookups in other tables go first."""
        return next(
            self.wanted[number].values[ref.column]
            for ref in sorted(self.case.refs, key=self.is_late)
            for number in sorted(self.wanted)
            if self.found[number][ref.column].id == made
        )

    def held(self, entry: Entry) -> Iterator[_Linkable]:
        for id_, record in self.state[entry.table].items():
            if entry.passes(record.text, record.flag):
                yield _Linkable(id_, record.key, record.text, (record.created, 0, id_))

    def search(self, ref: Ref, row: Row, pool: Callable[[Entry], Iterator[_Linkable]]) -> _Found:
        """What a lookup finds; a row that deletes its record needs none."""
        deletes = self.case.strategy == "delta" and row.action == "delete"
        return _Found(status="kept") if deletes else self.resolve(ref, row, pool)

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
        return _Found(status="missing" if value or any(entry.default for entry in ref.entries) else "empty")

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
        if self.case.deleted is not None:
            deleted = {*map(self.case.folded, self.case.deleted)}
            return {id_ for id_, record in self.own.items() if record.key and self.case.folded(record.key) in deleted}
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
                if self.case.new == "insert" and entry.passes(row.text or None, None):
                    yield _Linkable(f"row:{number}", row.key, row.text or None, ("9999", number, ""))
                continue
            id_ = self.matched[number]
            have = self.own[id_]
            key, text = (have.key, have.text) if self.case.changed == "ignore" else (row.key, row.text or None)
            if entry.passes(text, have.flag):
                yield _Linkable(id_, key, text, (have.created, number, id_))
        gone = {*self.leaving, *self.matched.values()}
        yield from (each for each in self.held(entry) if each.id not in gone)

    def link(self) -> None:
        late = [ref for ref in self.case.refs if self.is_late(ref)]
        lost = set[int]()
        for number, row in self.wanted.items():
            for ref in late:
                found = self.found[number][ref.column] = self.search(ref, row, self.linkable)
                if ref.creates and row.values[ref.column] and found.status == "missing":
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
        leaving = self.leaving - self.adopted
        self.drop(leaving - self.kept_parents(leaving))

    # -- Deleting

    def kept_parents(self, leaving: set[str]) -> set[str]:
        """What a batch does not delete, because records that stay would go with it by a lookup that is mapped.

        What an adopted record refers to after its update is not looked at in the run that adopts it.
        """
        table, mapped, kept = self.case.table, {ref.column for ref in self.case.refs}, set[str]()
        cascading = {ref for (ref, to), verb in TABLES[table].cascades.items() if (to, verb) == (table, "Cascade")}
        if self.case.deleted is not None:
            return kept
        held = {**self.own, **{id_: self.start[id_] for id_ in self.adopted}}
        above = {id_: {held[id_].refs.get(ref) for ref in cascading & mapped} & leaving for id_ in held}
        stay = held.keys() - leaving
        while again := {parent for id_ in stay | kept for parent in above[id_] if parent} - kept:
            kept |= again
        return kept

    def drop(self, leaving: set[str]) -> None:
        """Delete records, children first; a record with references stays if the relationship restricts its delete."""
        left = {*leaving}
        while left:
            last = {id_ for id_ in left if not any(id_ in self.parents_of(other) for other in left - {id_})}
            for id_ in sorted(last or left):
                if not self.delete(id_):
                    self.failed.add(id_)
                left.discard(id_)

    def parents_of(self, id_: str) -> set[str | None]:
        return {*self.own[id_].refs.values()} if id_ in self.own else set()

    def delete(self, id_: str) -> bool:
        """Delete a record with all that cascades; False if a record that stays restricts it."""
        if id_ not in self.own:
            return True  # it went with another one
        gone = {(self.case.table, id_)}
        level = gone
        while level := {each for parent in level for each in self.referring(*parent, "Cascade")} - gone:
            gone |= level
        if any({*self.referring(*each, "Restrict")} - gone for each in gone):
            return False
        for table, each in gone:
            del self.state[table][each]
        ids = {each for _, each in gone}
        for records in self.state.values():
            for record in records.values():
                record.refs = {name: None if other in ids else other for name, other in record.refs.items()}
        return True

    def referring(self, table: str, id_: str, verb: str) -> Iterator[tuple[str, str]]:
        """The records that refer to one by relationships with a behaviour."""
        for name, each in TABLES.items():
            for other, record in self.state[name].items():
                if any(record.refs.get(ref) == id_ and each.cascades.get((ref, table)) == verb for ref in each.refs):
                    yield name, other

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
                    self.made[made] = self.make_reference(self.creations[made], self.value_of(made))

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
        merged = {**have.refs, **refs}
        record = Record(key=row.key, text=text, flag=have.flag, created=have.created, refs=merged)
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


class _Unread(_Run):
    """Strategies that do not read the target: records are found by the values that they had before the run."""

    def match(self) -> dict[int, str]:
        return {}

    def dropped(self) -> set[str]:
        return set()

    def linkable(self, entry: Entry) -> Iterator[_Linkable]:
        yield from self.held(entry)
        if entry.table == self.case.table:
            known = {self.case.folded(getattr(each, entry.match)) for each in self.held(entry)}
            for number, row in self.wanted.items():
                value = row.key if entry.match == "key" else row.text
                if self.case.folded(value) not in known:
                    yield _Linkable(f"row:{number}", row.key, row.text or None, ("9999", number, ""))

    def action(self, number: int) -> str:
        return self.wanted[number].action if self.case.strategy == "delta" else "upsert"

    def write(self) -> None:
        self.holders = self.taken()
        self.deferred = self.circles()
        self.ends = {}
        self.make_references()
        creates = [number for number in self.wanted if self.action(number) in {"insert", "upsert"}]
        for number in creates:
            self.end_of(number)
        self.close_circles()
        for number in self.wanted:
            if self.action(number) == "update":
                self.update(number)
        deletes = (number for number in self.wanted if self.action(number) == "delete")
        rows = {self.holders[number]: number for number in deletes if number in self.holders}
        self.drop({*rows})
        self.failed = {rows.get(str(each), each) for each in self.failed}

    def end_of(self, number: int) -> str | None:
        if number in self.ends:
            return self.ends[number]
        self.ends[number] = None
        row, have = self.wanted[number], self.holders.get(number)
        if self.action(number) not in {"insert", "upsert"}:
            return None
        refs, complete = self.refs(number)
        taken = have is not None and self.action(number) == "insert"
        if not complete or taken or (self.case.refuses and row.text == BAD):
            self.failed.add(number)
            return None
        id_ = have or f"new:{self.case.table}:{row.key}"
        record = self.own.setdefault(id_, Record(key=row.key, text=None))
        record.text = row.text or None
        record.refs |= refs
        self.ends[number] = id_
        return id_

    def close_circles(self) -> None:
        for number in self.deferred & self.ends.keys():
            if (id_ := self.ends[number]) is None:
                continue
            refs, complete = self.refs(number, deferred=True)
            if complete:
                self.own[id_].refs |= refs
            else:
                self.failed.add(number)

    def update(self, number: int) -> None:
        row, id_ = self.wanted[number], self.holders.get(number)
        found = [self.refs(number), self.refs(number, deferred=True)]
        complete = all(each for _, each in found)
        if id_ is None or not complete or (self.case.refuses and row.text == BAD):
            self.failed.add(number)
            return
        self.own[id_].text = row.text or None
        for refs, _ in found:
            self.own[id_].refs |= refs


def expected(case: Case, state: State) -> Expected:
    """How a run ends; the state is all records before it."""
    return (_Run if case.strategy == "full" else _Unread)(case, state).run()
