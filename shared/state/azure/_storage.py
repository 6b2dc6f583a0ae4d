"""Tables and a container of one storage account: opened at first use, errors told as what to do next."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableEntity, TableServiceClient, TableTransactionError, UpdateMode
from azure.storage.blob import BlobServiceClient, ContainerClient

from shared.errors import AbortRun, RetryLater, SyncError, UserError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.data.tables import TableClient

__all__ = ["Storage", "document", "explained", "key", "parts", "read_document"]

T = TypeVar("T")
R = TypeVar("R")

PREFIX = "dynamicssync"
CONTAINER = "dynamics-sync"
# A text property holds 64 KiB of UTF-16; documents are ASCII, so this is below 32,768 characters.
CHUNK = 30_000
# An entity group transaction holds 100 entities of one partition.
TRANSACTION = 100
# The SDK's connection pool keeps ten connections.
PARALLEL = 8
# Together a few seconds: longer patience is the caller's affair.
PATIENCE: dict[str, Any] = {"retry_total": 4, "retry_backoff_factor": 0.3, "connection_timeout": 10, "read_timeout": 30}
REFUSED = frozenset({401, 403})
PASSING = frozenset({408, 429})
SERVER_ERROR = 500


class Storage:
    """A storage account as this app uses it.

    Args:
        tables: Client of the table service.
        blobs: Client of the blob service.
        now: Tells the time (aware, UTC), for leases and ages.
    """

    def __init__(
        self, tables: TableServiceClient, blobs: BlobServiceClient, *, now: Callable[[], datetime] | None = None
    ) -> None:
        self._tables = tables
        self._blobs = blobs
        self._now = now or (lambda: datetime.now(UTC))
        self._lock = threading.Lock()
        self._opened: dict[str, TableClient] = {}
        self._container: ContainerClient | None = None
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="state")

    @classmethod
    def by_connection_string(cls, text: str, *, now: Callable[[], datetime] | None = None) -> Self:
        """Open the account that a connection string names, such as `UseDevelopmentStorage=true` for Azurite.

        Raises:
            UserError: It is no connection string.
        """
        try:
            tables = TableServiceClient.from_connection_string(text, **PATIENCE)
            blobs = BlobServiceClient.from_connection_string(text, **_for_blobs())
        except ValueError as error:
            raise UserError("AzureWebJobsStorage is no connection string of a storage account") from error
        return cls(tables, blobs, now=now)

    @classmethod
    def by_identity(
        cls, *, tables: str, blobs: str, credential: TokenCredential, now: Callable[[], datetime] | None = None
    ) -> Self:
        """Open an account by its service URLs and an identity."""
        return cls(
            TableServiceClient(tables, credential=credential, **PATIENCE),
            BlobServiceClient(blobs, credential=credential, **_for_blobs()),
            now=now,
        )

    def close(self) -> None:
        """See `StateStore.close`."""
        self._pool.shutdown()
        self._tables.close()
        self._blobs.close()

    # -- What the tables are made of -----------------------------------------------------------------------------

    def _table(self, name: str) -> TableClient:
        """A table, made when it is missing."""
        with self._lock:
            if name not in self._opened:
                with explained():
                    self._opened[name] = self._tables.create_table_if_not_exists(f"{PREFIX}{name}")
            return self._opened[name]

    def _files(self) -> ContainerClient:
        """The container, made when it is missing."""
        with self._lock:
            if self._container is None:
                container = self._blobs.get_container_client(CONTAINER)
                with explained():
                    if not container.exists():
                        _make(container)
                self._container = container
            return self._container

    def _get(self, table: str, partition: str, row: str) -> TableEntity | None:
        with explained():
            try:
                return self._table(table).get_entity(partition, row)
            except ResourceNotFoundError:
                return None

    def _query(
        self, table: str, condition: str, *, select: list[str] | None = None, limit: int | None = None
    ) -> list[TableEntity]:
        """Entities that meet an OData condition, in order of partition and row."""
        with explained():
            found = self._table(table).query_entities(
                condition, select=select, results_per_page=min(limit or 1000, 1000)
            )
            return list(islice(found, limit))

    def _put(self, table: str, entity: Mapping[str, Any]) -> None:
        """Write an entity, whatever was there."""
        with explained():
            self._table(table).upsert_entity(dict(entity), mode=UpdateMode.REPLACE)

    def _put_after(self, table: str, entity: Mapping[str, Any], before: TableEntity | None) -> bool:
        """Write an entity if what was read before is still there (or still not); False where somebody was faster."""
        with explained():
            try:
                if before is None:
                    self._table(table).create_entity(dict(entity))
                else:
                    self._table(table).update_entity(
                        dict(entity),
                        mode=UpdateMode.REPLACE,
                        etag=before.metadata["etag"],
                        match_condition=MatchConditions.IfNotModified,
                    )
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                return False
            return True

    @staticmethod
    def _write_after(entity: Mapping[str, Any], before: TableEntity | None) -> tuple[Any, ...]:
        """The operation of a transaction that does what `_put_after` does."""
        if before is None:
            return ("create", entity)
        condition = {"etag": before.metadata["etag"], "match_condition": MatchConditions.IfNotModified}
        return ("update", entity, {"mode": UpdateMode.REPLACE, **condition})

    def _delete(self, table: str, entities: Iterable[Mapping[str, Any]]) -> None:
        self._transact(table, [("delete", entity) for entity in entities])

    def _transact(self, table: str, operations: Sequence[tuple[Any, ...]]) -> None:
        """Do writes in transactions of one partition each, side by side; an entity may occur once.

        Raises:
            TableTransactionError: A condition of one write was not met; nothing of its transaction was written.
        """
        groups: dict[str, list[tuple[Any, ...]]] = {}
        for operation in operations:
            groups.setdefault(operation[1]["PartitionKey"], []).append(operation)
        client = self._table(table)

        def send(part: list[tuple[Any, ...]]) -> None:
            with explained():
                client.submit_transaction(part)

        self._each(send, [part for group in groups.values() for part in parts(group, TRANSACTION)])

    def _each(self, work: Callable[[T], R], values: Iterable[T]) -> list[R]:
        """Work on all values side by side; results in order."""
        return list(self._pool.map(work, values))


def key(text: str) -> str:
    """A text as a partition or row key: itself where that is allowed and short, else its digest."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text) else f"h.{hashlib.sha256(text.encode()).hexdigest()}"


def document(value: Any) -> dict[str, str]:
    """A JSON value as properties of an entity, in as many pieces as it takes."""
    text = json.dumps(value, default=str)
    return {f"json{at // CHUNK:02}": text[at : at + CHUNK] for at in range(0, len(text), CHUNK)}


def read_document(entity: Mapping[str, Any]) -> Any:
    """The JSON value that `document` put into an entity."""
    return json.loads("".join(entity[name] for name in sorted(entity) if re.fullmatch(r"json\d\d", name)))


def parts(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Values in lists of at most `size`."""
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part


def _for_blobs() -> dict[str, Any]:
    """The same patience in the words of the blob SDK."""
    return {"retry_total": 4, "initial_backoff": 1, "increment_base": 2, "connection_timeout": 10, "read_timeout": 30}


def _make(container: ContainerClient) -> None:
    try:
        container.create_container()
    except ResourceExistsError:
        return  # another instance was faster


@contextmanager
def explained() -> Iterator[None]:
    """Errors of the storage SDKs as what to do next; those that callers decide on go through."""
    try:
        yield
    except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError, TableTransactionError):
        raise
    except AzureError as error:
        raise _told(error) from error


def _told(error: AzureError) -> SyncError:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    said = (str(error.message).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, ClientAuthenticationError) or status in REFUSED:
        return AbortRun(
            f"The state store refuses this identity: {said}. It needs the roles 'Storage Table Data Contributor' and "
            "'Storage Blob Data Owner' on the account of AzureWebJobsStorage"
        )
    if status is None or status in PASSING or status >= SERVER_ERROR:
        return RetryLater(f"The state store is away: {said}", retry_after=10)
    return AbortRun(f"The state store refused a request ({status}): {said}")
