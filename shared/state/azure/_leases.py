"""Leases, watermarks and job requests: rows that many instances want to change at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from shared.errors import RetryLater
from shared.state.azure._storage import Storage, document, key, read_document
from shared.state.records import JobRequest, Lease

__all__ = ["LeaseTables"]

LEASES, WATERMARKS, JOBS = "leases", "watermarks", "jobs"
# Each turn means that somebody else's write got through in between.
TURNS = 10


class LeaseTables(Storage):
    """The part of the state store that settles who may do what."""

    def acquire_lease(self, name: str, *, holder: str, seconds: float) -> Lease | None:
        """See `StateStore.acquire_lease`."""
        row = self._get(LEASES, key(name), "lease")
        found = _lease(row) if row else None
        if found and found.expires > self._now():
            return None
        lease = Lease(name=name, holder=holder, fence=found.fence + 1 if found else 1, expires=self._after(seconds))
        if self._put_after(LEASES, _lease_row(lease), row):
            return lease
        # Refused: somebody was faster, unless it was our own first try, whose answer got lost on the way.
        row = self._get(LEASES, key(name), "lease")
        return lease if row and _lease(row) == lease else None

    def renew_lease(self, lease: Lease, *, seconds: float) -> Lease | None:
        """See `StateStore.renew_lease`."""
        renewed = replace(lease, expires=self._after(seconds))
        return renewed if self._change(lease, renewed) else None

    def release_lease(self, lease: Lease) -> bool:
        """See `StateStore.release_lease`."""
        # The row stays, so that the fencing number goes on growing.
        return self._change(lease, replace(lease, holder="", expires=self._now()))

    def lease(self, name: str) -> Lease | None:
        """See `StateStore.lease`."""
        row = self._get(LEASES, key(name), "lease")
        found = _lease(row) if row else None
        return found if found and found.holder and found.expires > self._now() else None

    def _change(self, lease: Lease, wanted: Lease) -> bool:
        """Change a lease that is held; a refused write means that another took it, or that our own got through."""
        for _ in range(TURNS):
            row = self._get(LEASES, key(lease.name), "lease")
            if row is None or (row["holder"], int(row["fence"])) != (lease.holder, lease.fence):
                return False
            if self._put_after(LEASES, _lease_row(wanted), row):
                return True
        raise RetryLater(f"The lease {lease.name!r} is being changed by others", retry_after=1)

    def _after(self, seconds: float) -> datetime:
        return self._now() + timedelta(seconds=seconds)

    def watermark(self, sync: str) -> str | None:
        """See `StateStore.watermark`."""
        row = self._get(WATERMARKS, key(sync), "watermark")
        return str(read_document(row)) if row else None

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
        raise RetryLater(f"The watermark of {sync!r} is being changed by others", retry_after=1)

    def request_job(self, request: JobRequest) -> None:
        """See `StateStore.request_job`."""
        keys = {"PartitionKey": "job", "RowKey": key(request.id)}
        self._put(JOBS, {**keys, "sync": request.sync, "taken": False, **document(asdict(request))})

    def job_requests(self) -> tuple[JobRequest, ...]:
        """See `StateStore.job_requests`."""
        found = [_job(entity) for entity in self._query(JOBS, "PartitionKey eq 'job' and taken eq false")]
        return tuple(sorted(found, key=lambda request: (request.requested, request.id)))

    def remove_job_request(self, request_id: str) -> bool:
        """See `StateStore.remove_job_request`."""
        row = self._get(JOBS, "job", key(request_id))
        # Deleting a row that is gone is no error in this service, so a mark decides who the one is that removed it.
        if row is None or row["taken"] or not self._put_after(JOBS, {**row, "taken": True}, row):
            return False
        self._delete(JOBS, [row])
        return True


def _lease(row: Mapping[str, Any]) -> Lease:
    expires = datetime.fromisoformat(row["expires"])
    return Lease(name=row["name"], holder=row["holder"], fence=int(row["fence"]), expires=expires)


def _lease_row(lease: Lease) -> dict[str, str]:
    return {
        "PartitionKey": key(lease.name),
        "RowKey": "lease",
        "name": lease.name,
        "holder": lease.holder,
        "fence": str(lease.fence),
        "expires": lease.expires.isoformat(),
    }


def _job(entity: Mapping[str, Any]) -> JobRequest:
    of = read_document(entity)
    return JobRequest(**of | {"requested": datetime.fromisoformat(of["requested"])})
