"""Leases, watermarks and used plans: rows that many processes want to change at once."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from shared.state._fences import first_fence
from shared.state._reading import reading, record
from shared.state.records import Lease, PlanUse
from shared.state.sqlite import _tables as tables
from shared.state.sqlite._database import Database

__all__ = ["LeaseRows"]


class LeaseRows(Database):
    """The part of the state store that settles who may do what."""

    def acquire_lease(self, name: str, *, holder: str, seconds: float) -> Lease | None:
        """See `StateStore.acquire_lease`."""
        with self._writing() as db:
            found = _lease(name, db)
            if found and self._is_held(found):
                return None
            fence = found.fence + 1 if found else first_fence(self._now())
            lease = Lease(name=name, holder=holder, fence=fence, expires=self._after(seconds))
            _put_lease(lease, db)
            return lease

    def renew_lease(self, lease: Lease, *, seconds: float) -> Lease | None:
        """See `StateStore.renew_lease`."""
        with self._writing() as db:
            if not _held(lease, db):
                return None
            renewed = Lease(name=lease.name, holder=lease.holder, fence=lease.fence, expires=self._after(seconds))
            _put_lease(renewed, db)
            return renewed

    def release_lease(self, lease: Lease) -> bool:
        """See `StateStore.release_lease`."""
        with self._writing() as db:
            if not _held(lease, db):
                return False
            # The row is kept, so that the fencing number continues to grow.
            _put_lease(Lease(name=lease.name, holder="", fence=lease.fence, expires=self._time()), db)
            return True

    def lease(self, name: str) -> Lease | None:
        """See `StateStore.lease`."""
        with self._lock, self._explained():
            found = _lease(name, self._db)
        return found if found and self._is_held(found) else None

    def _after(self, seconds: float) -> datetime:
        return self._time() + timedelta(seconds=seconds)

    def _time(self) -> datetime:
        """The time that leases are counted by; where the system has no name for its last start, that of day."""
        if not self._machine.boot:
            return datetime.now(UTC)
        return self._zero + timedelta(seconds=self._machine.seconds())

    def _is_held(self, lease: Lease) -> bool:
        return bool(lease.holder) and lease.expires > self._time()

    def watermark(self, sync: str) -> str | None:
        """See `StateStore.watermark`."""
        found = self._one("SELECT value FROM watermarks WHERE sync = ?", (sync,))
        return str(found[0]) if found else None

    def set_watermark(self, sync: str, value: str, *, fence: int) -> bool:
        """See `StateStore.set_watermark`."""
        with self._writing() as db:
            done = db.execute(
                "INSERT INTO watermarks VALUES (?, ?, ?) ON CONFLICT (sync) DO UPDATE "
                "SET value = excluded.value, fence = excluded.fence WHERE excluded.fence >= fence",
                (sync, value, fence),
            )
            return done.rowcount > 0

    def use_plan(self, use: PlanUse) -> PlanUse:
        """See `StateStore.use_plan`."""
        with self._writing() as db:
            sql = f"{tables.insert('used_plans', tables.PLAN_FIELDS)} ON CONFLICT DO NOTHING"
            db.execute(sql, tables.row(use, tables.PLAN_FIELDS))
        return self.plan_use(use.plan_id) or use

    def plan_use(self, plan_id: str) -> PlanUse | None:
        """See `StateStore.plan_use`."""
        found = self._one(f"{tables.select('used_plans', tables.PLAN_FIELDS)} WHERE plan_id = ?", (plan_id,))
        return tables.plan_use(found) if found else None

    def return_plan(self, use: PlanUse) -> None:
        """See `StateStore.return_plan`."""
        with self._writing() as db:
            db.execute("DELETE FROM used_plans WHERE plan_id = ? AND run_id = ?", (use.plan_id, use.run_id))


def _lease(name: str, db: sqlite3.Connection) -> Lease | None:
    """The row of a lease, held or not."""
    found = db.execute("SELECT holder, fence, expires FROM leases WHERE name = ?", (name,)).fetchone()
    if found is None:
        return None
    with reading("leases", name):
        return record(Lease, dict(zip(("holder", "fence", "expires"), found, strict=True)) | {"name": name})


def _put_lease(lease: Lease, db: sqlite3.Connection) -> None:
    values = (lease.name, lease.holder, lease.fence, tables.text(lease.expires))
    db.execute(tables.replace("leases", ("name", "holder", "fence", "expires")), values)


def _held(lease: Lease, db: sqlite3.Connection) -> bool:
    found = _lease(lease.name, db)
    return found is not None and (found.holder, found.fence) == (lease.holder, lease.fence)
