"""Leases, watermarks and used plans: rows that many instances want to change at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from azure.data.tables import TableEntity

from shared.errors import RetryLater
from shared.state._fences import first_fence
from shared.state._reading import reading, record
from shared.state.azure._storage import Storage, document, key, read_document, read_record
from shared.state.records import Lease, PlanUse

__all__ = ["LeaseTables"]

LEASES, WATERMARKS, PLANS = "leases", "watermarks", "usedplans"
# The time in an answer and that in a row may come from two machines of the service, which keeps its clocks together.
CLOCKS_OF_THE_SERVICE = timedelta(seconds=2)
# Each repetition means that another process wrote in between.
TURNS = 10


class LeaseTables(Storage):
    """The part of the state store that settles who may do what."""

    # A lease is counted by the service: it writes into each row when it was last written, and into each answer what
    # time it is. The clocks of the app are not used, and one read shows whether a lease is free: a process that was
    # just started need not watch a row for as long as the lease lasts.

    def acquire_lease(self, name: str, *, holder: str, seconds: float) -> Lease | None:
        """See `StateStore.acquire_lease`."""
        row, time = self._get_with_time(LEASES, key(name), "lease")
        if row and _is_held(row, time):
            return None
        fence = _lease(row).fence + 1 if row else first_fence(self._now())
        lease = Lease(name=name, holder=holder, fence=fence, expires=self._after(seconds))
        if self._put_after(LEASES, _lease_row(lease, seconds), row):
            return lease
        # Refused: another process was faster, unless the app's own first try succeeded and its answer was lost.
        row = self._get(LEASES, key(name), "lease")
        return lease if row and _lease(row) == lease else None

    def renew_lease(self, lease: Lease, *, seconds: float) -> Lease | None:
        """See `StateStore.renew_lease`."""
        renewed = replace(lease, expires=self._after(seconds))
        return renewed if self._change(lease, renewed, seconds) else None

    def release_lease(self, lease: Lease) -> bool:
        """See `StateStore.release_lease`."""
        # The row is kept, so that the fencing number continues to grow.
        return self._change(lease, replace(lease, holder="", expires=self._now()), 0.0)

    def lease(self, name: str) -> Lease | None:
        """See `StateStore.lease`."""
        row, time = self._get_with_time(LEASES, key(name), "lease")
        return _lease(row) if row and _is_held(row, time) else None

    def _change(self, lease: Lease, wanted: Lease, seconds: float) -> bool:
        """Change a lease that is held; a refused write means that another took it, or that our own got through."""
        for turn in range(TURNS):
            row = self._get(LEASES, key(lease.name), "lease")
            found = _lease(row) if row else None
            if turn and found == wanted:
                return True
            if found is None or (found.holder, found.fence) != (lease.holder, lease.fence):
                return False
            if self._put_after(LEASES, _lease_row(wanted, seconds), row):
                return True
        raise RetryLater(f"The lease {lease.name!r} is being changed by other processes", retry_after=1)

    def _after(self, seconds: float) -> datetime:
        return self._now() + timedelta(seconds=seconds)

    def watermark(self, sync: str) -> str | None:
        """See `StateStore.watermark`."""
        row = self._get(WATERMARKS, key(sync), "watermark")
        if row is None:
            return None
        with reading(WATERMARKS, sync):
            return str(read_document(row))

    def set_watermark(self, sync: str, value: str, *, fence: int) -> bool:
        """See `StateStore.set_watermark`."""
        entity = {
            "PartitionKey": key(sync),
            "RowKey": "watermark",
            "sync": sync,
            "fence": str(fence),
            **document(value),
        }
        for _ in range(TURNS):
            row = self._get(WATERMARKS, key(sync), "watermark")
            if row and int(row["fence"]) > fence:
                return False
            if self._put_after(WATERMARKS, entity, row):
                return True
        raise RetryLater(f"The watermark of {sync!r} is being changed by other processes", retry_after=1)

    def use_plan(self, use: PlanUse) -> PlanUse:
        """See `StateStore.use_plan`."""
        entity = {"PartitionKey": key(use.plan_id), "RowKey": "plan", "sync": use.sync, **document(asdict(use))}
        # Where it is refused, another run was first, or our own first try, whose answer got lost on the way.
        return use if self._put_after(PLANS, entity, None) else self.plan_use(use.plan_id) or use

    def plan_use(self, plan_id: str) -> PlanUse | None:
        """See `StateStore.plan_use`."""
        row = self._get(PLANS, key(plan_id), "plan")
        return read_record(PlanUse, PLANS, row) if row else None

    def return_plan(self, use: PlanUse) -> None:
        """See `StateStore.return_plan`."""
        found = self.plan_use(use.plan_id)
        if found is not None and found.run_id == use.run_id:
            self._delete(PLANS, [{"PartitionKey": key(use.plan_id), "RowKey": "plan"}])


def _lease(row: Mapping[str, Any]) -> Lease:
    with reading(LEASES, row["PartitionKey"]):
        return record(Lease, {name: row[name] for name in ("name", "holder", "fence", "expires")})


def _is_held(row: TableEntity, time: datetime | None) -> bool:
    """Whether the holder of a lease has it still; `time` is the service's."""
    lease = _lease(row)
    if not lease.holder:
        return False  # released, independent of clocks
    written = row.metadata["timestamp"]
    if time is None or written is None:
        return True
    if "seconds" not in row:  # written by an older version, which may still be running
        return lease.expires > time
    with reading(LEASES, lease.name):
        return bool(time < written + timedelta(seconds=float(row["seconds"])) + CLOCKS_OF_THE_SERVICE)


def _lease_row(lease: Lease, seconds: float) -> dict[str, Any]:
    return {
        "PartitionKey": key(lease.name),
        "RowKey": "lease",
        "name": lease.name,
        "holder": lease.holder,
        "fence": str(lease.fence),
        "seconds": float(seconds),
        "expires": lease.expires.isoformat(),
    }
