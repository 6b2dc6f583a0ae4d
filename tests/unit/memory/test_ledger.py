"""The ledger of one sync: the latest row of a record counts, files are written anew as few, and a lost one is begun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest

from shared.entities import LedgerHead
from shared.memory import Ledger, LedgerConflictError
from shared.workspace import Workspace

FORM = "id UUID, origin VARCHAR, marked BOOLEAN, written VARCHAR, pending VARCHAR"
FENCE = 7
Row = tuple[Any, ...]


class Store:
    """Ledgers in memory."""

    def __init__(self) -> None:
        self.head: LedgerHead | None = None
        self.parts: dict[str, bytes] = {}

    def ledger(self, sync: str) -> LedgerHead | None:
        """The head."""
        assert sync == "customers"
        return self.head

    def ledger_part(self, sync: str, name: str) -> bytes | None:
        """A part."""
        assert sync == "customers"
        return self.parts.get(name)

    def put_ledger_part(self, sync: str, name: str, data: bytes) -> None:
        """Keep a part; names are used once."""
        assert sync == "customers"
        assert name not in self.parts
        self.parts[name] = data

    def swap_ledger(
        self, sync: str, parts: Sequence[str], *, expected: LedgerHead | None, fence: int
    ) -> LedgerHead | None:
        """Swap where nobody else has."""
        assert sync == "customers"
        if self.head != expected:
            return None
        assert set(parts) <= set(self.parts)
        version = str(int(self.head.version) + 1) if self.head else "1"
        self.head = LedgerHead(parts=tuple(parts), version=version, fence=fence)
        self.parts = {name: self.parts[name] for name in parts}
        return self.head


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace.open(threads=1) as opened:
        yield opened


def known(number: int) -> UUID:
    return UUID(int=number)


def opened(store: Store, workspace: Workspace, **options: int) -> Ledger:
    """A ledger as a run opens it."""
    ledger = Ledger(store, "customers", **options)
    workspace.execute(f"CREATE OR REPLACE TABLE ledger ({FORM})")
    ledger.load(workspace, lambda rows: f"INSERT INTO ledger {rows}")
    return ledger


def append(ledger: Ledger, workspace: Workspace, *rows: Row) -> None:
    workspace.execute(f"CREATE OR REPLACE TABLE added ({FORM})")
    for row in rows:
        workspace.execute("INSERT INTO added VALUES (?, ?, ?, ?, ?)", row)
    ledger.append(workspace, "added", fence=FENCE)


def rows_of(store: Store) -> list[Row]:
    """What the next run reads, without rows that say that a record is forgotten."""
    with Workspace.open(threads=1) as workspace:
        assert not opened(store, workspace).missing
        return workspace.query(
            "SELECT id, origin, marked, written, pending FROM ledger WHERE origin IS NOT NULL ORDER BY id"
        )


def test_a_ledger_that_does_not_exist_is_missing_until_a_run_has_added_to_it(
    store: Store, workspace: Workspace
) -> None:
    """The table stays empty, and the run can say why."""
    ledger = opened(store, workspace)
    assert ledger.missing
    assert workspace.query("SELECT count(*) FROM ledger") == [(0,)]
    append(ledger, workspace)
    assert rows_of(store) == []


def test_the_latest_row_of_a_record_counts(store: Store, workspace: Workspace) -> None:
    """A row of a later part replaces the earlier one; one without an origin removes it."""
    ledger = opened(store, workspace)
    append(ledger, workspace, (known(1), "created", False, "{}", None), (known(2), "matched", False, None, "{}"))
    append(ledger, workspace, (known(1), "created", True, '{"a":"x"}', None), (known(2), None, False, None, None))
    assert rows_of(store) == [(known(1), "created", True, '{"a":"x"}', None)]


def test_many_parts_are_written_anew(store: Store, workspace: Workspace) -> None:
    """Their number stays small whatever happens, rows that were removed are gone, and a part has a bound."""
    ledger = opened(store, workspace, rows_in_a_part=4)
    for n in range(20):
        append(ledger, workspace, (known(n), "created", False, None, None), (known(n // 2), None, False, None, None))
    assert store.head is not None
    assert len(store.head.parts) <= 8
    assert [row[0] for row in rows_of(store)] == [known(n) for n in range(10, 20)]


def test_a_run_continues_what_an_earlier_one_wrote(store: Store, workspace: Workspace) -> None:
    """Parts that are there are not written again."""
    append(opened(store, workspace), workspace, (known(1), "created", False, None, None))
    before = set(store.parts)
    append(opened(store, workspace), workspace, (known(2), "matched", False, None, None))
    assert before < set(store.parts)
    assert [row[0] for row in rows_of(store)] == [known(1), known(2)]


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_ledger_that_cannot_be_read_is_begun_anew(store: Store, workspace: Workspace, damage: str) -> None:
    """Nothing of it is used, not even the parts that are whole."""
    ledger = opened(store, workspace)
    append(ledger, workspace, (known(1), "created", False, None, None))
    append(ledger, workspace, (known(2), "created", False, None, None))
    assert store.head is not None
    if damage == "missing":
        del store.parts[store.head.parts[-1]]
    else:
        store.parts[store.head.parts[-1]] = b"x"
    ledger = opened(store, workspace)
    assert "missing or damaged" in ledger.missing
    assert workspace.query("SELECT count(*) FROM ledger") == [(0,)]
    append(ledger, workspace, (known(3), "created", False, None, None))
    assert [row[0] for row in rows_of(store)] == [known(3)]


def test_a_ledger_that_another_run_has_changed_is_not_overwritten(store: Store, workspace: Workspace) -> None:
    """The run that read it first is told, and nothing is changed."""
    late = opened(store, workspace)
    append(opened(store, workspace), workspace, (known(1), "created", False, None, None))
    with pytest.raises(LedgerConflictError, match="another run of customers"):
        append(late, workspace, (known(2), "created", False, None, None))
    assert [row[0] for row in rows_of(store)] == [known(1)]
