"""Tables and a container of one storage account: opened at first use; errors say what to do next."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableEntity, TableServiceClient, TableTransactionError, UpdateMode
from azure.storage.blob import BlobServiceClient, ContainerClient

from shared.errors import AbortRun, UserError
from shared.state._bounds import json_text
from shared.state._reading import reading, record
from shared.state.azure._conditions import tag_of, unchanged
from shared.state.azure._errors import LostParts, explained

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.data.tables import TableClient

__all__ = [
    "PREFIX",
    "RETRIES",
    "TAGGED",
    "Storage",
    "document",
    "groups",
    "key",
    "options_of_files",
    "parts",
    "read_document",
    "read_record",
]

T = TypeVar("T")
R = TypeVar("R")

PREFIX = "dynamicssync"
CONTAINER = "dynamics-sync"
# What has values of rows lies apart, so that fewer people can be given the right to read it.
MEMORY = "dynamics-sync-memory"
# A text property holds 64 KiB of UTF-16; documents are ASCII, so this is below 32,768 characters.
CHUNK = 30_000
# An entity group transaction holds 100 entities of one partition.
TRANSACTION = 100
# … and 4 MiB of JSON, in which a character takes a byte, or two where it has to be escaped.
TRANSACTION_SIZE = 1_500_000
# A row holds 1 MiB, and each character of a text two bytes. The rest is for the other properties.
MOST_IN_A_ROW = 450_000
# Columns of a row that is deleted unless it has changed: its tag comes with its time alone.
TAGGED: Final = ("PartitionKey", "RowKey", "Timestamp")
# The service answers a query with at most so many rows a page.
PAGE = 1000
# The most that one request deletes.
FILES_AT_ONCE = 256
# The SDK's connection pool keeps ten connections.
PARALLEL = 8
# Together a few seconds: the caller decides whether to try for longer.
RETRIES = 4
_TIMEOUTS: dict[str, Any] = {"connection_timeout": 10, "read_timeout": 30}  # seconds
# The SDK of tables sends a POST only once where the connection breaks. Here each is sent again: whoever writes on a
# condition looks behind a refusal for its own first try, whose answer was lost.
_AGAIN: Final[Mapping[str, Any]] = {"retry_on_methods": frozenset({"POST"})}


class Storage:
    """A storage account as this app uses it.

    Args:
        tables: Client of the table service.
        blobs: Client of the blob service.
        lost: Looks at the answers that both get.
        now: Gives the time (aware, UTC), for ages.
    """

    def __init__(
        self,
        tables: TableServiceClient,
        blobs: BlobServiceClient,
        lost: LostParts,
        *,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._tables = tables
        self._blobs = blobs
        self._lost = lost
        self._now = now or (lambda: datetime.now(UTC))
        self._lock = threading.Lock()
        self._opened: dict[tuple[int, str], TableClient] = {}
        self._containers: dict[tuple[int, str], ContainerClient] = {}
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="state")

    @classmethod
    def by_connection_string(
        cls, text: str, *, now: Callable[[], datetime] | None = None, retries: int = RETRIES
    ) -> Self:
        """Open the account that a connection string names, such as `UseDevelopmentStorage=true` for Azurite.

        Args:
            text: The connection string.
            now: Gives the time (aware, UTC), for ages.
            retries: How often a request that failed is sent again.

        Raises:
            UserError: It is not a connection string.
        """
        lost = LostParts()
        hook: dict[str, Any] = {"raw_response_hook": lost.look}
        try:
            tables = TableServiceClient.from_connection_string(text, **_for_tables(retries), **hook)
            blobs = BlobServiceClient.from_connection_string(text, **options_of_files(retries), **hook)
        except ValueError as error:
            raise UserError("AzureWebJobsStorage is not a connection string of a storage account") from error
        return cls(tables, blobs, lost, now=now)

    @classmethod
    def by_identity(
        cls, *, tables: str, blobs: str, credential: TokenCredential, now: Callable[[], datetime] | None = None
    ) -> Self:
        """Open an account by its service URLs and an identity."""
        lost = LostParts()
        options: dict[str, Any] = {"credential": credential, "raw_response_hook": lost.look}
        return cls(
            TableServiceClient(tables, **options, **_for_tables(RETRIES)),
            BlobServiceClient(blobs, **options, **options_of_files(RETRIES)),
            lost,
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
        opened = (self._lost.count, name)
        with self._lock:
            if opened not in self._opened:
                with explained():
                    self._opened[opened] = self._tables.create_table_if_not_exists(f"{PREFIX}{name}", **_AGAIN)
            return self._opened[opened]

    def _files(self, name: str = CONTAINER) -> ContainerClient:
        """A container, made when it is missing."""
        opened = (self._lost.count, name)
        with self._lock:
            if opened not in self._containers:
                container = self._blobs.get_container_client(name)
                with explained():
                    if not container.exists():
                        _make(container)
                self._containers[opened] = container
            return self._containers[opened]

    def _get(self, table: str, partition: str, row: str) -> TableEntity | None:
        with explained():
            try:
                return self._table(table).get_entity(partition, row)
            except ResourceNotFoundError:
                return None

    def _get_with_time(self, table: str, partition: str, row: str) -> tuple[TableEntity | None, datetime | None]:
        """An entity, and when the service answered by its own clock; None for what there is not."""
        answered: list[datetime | None] = []

        def look(answer: Any) -> None:
            self._lost.look(answer)
            answered.append(_time_of(answer))

        with explained():
            try:
                found = self._table(table).get_entity(partition, row, raw_response_hook=look)
            except ResourceNotFoundError:
                return None, None
        return found, answered[-1] if answered else None

    def _query(
        self, table: str, condition: str, *, select: list[str] | None = None, limit: int | None = None
    ) -> list[TableEntity]:
        """Entities that meet an OData condition, in order of partition and row."""
        most = None if limit is None else min(limit, sys.maxsize)
        return list(islice(self._each_of(table, condition, select=select, page=limit), most))

    def _each_of(
        self, table: str, condition: str, *, select: list[str] | None = None, page: int | None = None
    ) -> Iterator[TableEntity]:
        """The same, one after the other, for as long as the caller wants more."""
        with explained():
            client = self._table(table)
            yield from client.query_entities(condition, select=select, results_per_page=min(page or PAGE, PAGE))

    def _put(self, table: str, entity: Mapping[str, Any]) -> None:
        """Write an entity, whatever was there."""
        with explained():
            self._table(table).upsert_entity(dict(entity), mode=UpdateMode.REPLACE)

    def _put_after(self, table: str, entity: Mapping[str, Any], before: TableEntity | None) -> bool:
        """Write an entity if it is unchanged since it was read (or still missing); False otherwise."""
        return bool(self._put_unchanged(table, entity, tag_of(before)))

    def _put_unchanged(self, table: str, entity: Mapping[str, Any], tag: str) -> str:
        """The same with the tag of the entity that was read, empty for a missing one; the new tag, or an empty text."""
        with explained():
            try:
                if not tag:
                    return str(self._table(table).create_entity(dict(entity), **_AGAIN)["etag"])
                found = self._table(table).update_entity(dict(entity), mode=UpdateMode.REPLACE, **unchanged(tag))
                return str(found["etag"])
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                return ""

    @classmethod
    def _write_after(cls, entity: Mapping[str, Any], before: TableEntity | None) -> tuple[Any, ...]:
        """The operation of a transaction that does what `_put_after` does."""
        return cls._write_unchanged(entity, tag_of(before))

    @staticmethod
    def _write_unchanged(entity: Mapping[str, Any], tag: str) -> tuple[Any, ...]:
        """The operation of a transaction that does what `_put_unchanged` does."""
        return ("update", entity, {"mode": UpdateMode.REPLACE, **unchanged(tag)}) if tag else ("create", entity)

    def _delete(self, table: str, entities: Iterable[Mapping[str, Any]]) -> int:
        """Delete rows, those with a `condition` only if it holds; returns how many are gone, by whomever."""
        return sum(map(len, self._each(lambda part: self._delete_group(table, part), groups(entities))))

    def _delete_group(self, table: str, entities: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The same with rows of one partition; those that are gone."""
        try:
            self._submit(table, [("delete", entity, entity.get("condition", {})) for entity in entities])
        except TableTransactionError:  # one of them is gone already, or has changed
            return [entity for entity in entities if self._delete_row(table, entity)]
        return list(entities)

    def _delete_row(self, table: str, entity: Mapping[str, Any]) -> bool:
        condition = entity.get("condition", {})
        with explained():
            try:
                self._table(table).delete_entity(entity["PartitionKey"], entity["RowKey"], **condition)
            except ResourceModifiedError:
                return False
        return True  # also where it was not there any more

    def _put_file(self, path: str, data: bytes, container: str = CONTAINER) -> None:
        """Write a blob, whatever was there."""
        with explained():
            self._files(container).upload_blob(path, data, overwrite=True)

    def _read_file(self, path: str, container: str = CONTAINER) -> bytes | None:
        with explained():
            try:
                return self._files(container).download_blob(path).readall()
            except ResourceNotFoundError:
                return None

    def _file_names(self, start: str, container: str = CONTAINER) -> list[str]:
        """The names of the blobs that begin with a text, sorted."""
        with explained():
            return [str(name) for name in self._files(container).list_blob_names(name_starts_with=start)]

    def _remove_other_files(self, folder: str, keep: Iterable[str]) -> None:
        """Delete the blobs of a folder with values of rows, but for some."""
        kept = {f"{folder}{name}" for name in keep}
        self._delete_files((path for path in self._file_names(folder, MEMORY) if path not in kept), MEMORY)

    def _delete_files(self, paths: Iterable[str], container: str = CONTAINER) -> None:
        """Delete blobs; one that is already deleted is not an error."""

        def remove(part: list[str]) -> None:
            with explained():
                self._files(container).delete_blobs(*part, raise_on_any_failure=False)

        self._each(remove, parts(paths, FILES_AT_ONCE))

    def _transact(self, table: str, operations: Sequence[tuple[Any, ...]]) -> None:
        """Do writes in transactions of one partition each, side by side; an entity may occur once.

        Raises:
            TableTransactionError: A condition of one write was not met; nothing of its transaction was written.
        """
        self._each(lambda part: self._submit(table, part), groups(operations, row=lambda operation: operation[1]))

    def _submit(self, table: str, operations: Iterable[tuple[Any, ...]]) -> list[Mapping[str, Any]]:
        """Do one transaction; the answers' metadata, such as `etag`, in order.

        Raises:
            TableTransactionError: A condition was not met: by what others wrote, or by this transaction's own first
                try, whose answer was lost.
        """
        with explained():
            try:
                return list(self._table(table).submit_transaction(operations, **_AGAIN))
            except TableTransactionError as error:
                self._lost.refuse(getattr(error, "error_code", None))
                raise

    def _each(self, work: Callable[[T], R], values: Iterable[T]) -> list[R]:
        """Work on all values side by side; results in order. The work may not call this: it would wait for itself."""
        return list(self._pool.map(work, values))


def key(text: str) -> str:
    """A text as a partition or row key: itself where that is allowed and short, else its digest."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text) else f"h.{hashlib.sha256(text.encode()).hexdigest()}"


def document(value: Any) -> dict[str, str]:
    """A JSON value as properties of an entity, in as many pieces as it takes.

    Raises:
        AbortRun: It is too large for a row.
    """
    text = json_text(value)
    if len(text) > MOST_IN_A_ROW:
        raise AbortRun(
            f"The state store cannot store a value of {len(text):,} characters: a row of a table holds "
            f"{MOST_IN_A_ROW:,}"
        )
    return {f"json{at // CHUNK:02}": text[at : at + CHUNK] for at in range(0, len(text), CHUNK)}


def read_document(entity: Mapping[str, Any]) -> Any:
    """The JSON value that `document` put into an entity; to be called where the row is being read."""
    return json.loads("".join(entity[name] for name in sorted(entity) if re.fullmatch(r"json\d\d", name)))


def read_record(kind: type[R], table: str, entity: Mapping[str, Any], **more: Any) -> R:
    """The record that `document` put into an entity, with the fields in `more` that lie elsewhere.

    Raises:
        AbortRun: The row cannot be read.
    """
    with reading(f"{PREFIX}{table}", f"{entity['PartitionKey']}/{entity['RowKey']}"):
        return record(kind, {**read_document(entity), **more})


def parts(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Values in lists of at most `size`."""
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part


def groups(
    values: Iterable[T],
    *,
    row: Callable[[T], Mapping[str, Any]] = lambda value: value,  # type: ignore[assignment,return-value]
) -> list[list[T]]:
    """Values for rows, in groups that a transaction can hold: of one partition, few and small enough."""
    groups: list[list[T]] = []
    latest: dict[str, tuple[list[T], int]] = {}  # by partition the group that is being filled, and its size
    for value in values:
        entity = row(value)
        size = sum(len(each) for each in entity.values() if isinstance(each, str | bytes))
        group, filled = latest.get(entity["PartitionKey"], ([], TRANSACTION_SIZE))
        if len(group) == TRANSACTION or filled + size > TRANSACTION_SIZE:
            group, filled = [], 0
            groups.append(group)
        group.append(value)
        latest[entity["PartitionKey"]] = (group, filled + size)
    return groups


def _time_of(answer: Any) -> datetime | None:
    """When the service sent an answer, by its own clock: whole seconds, cut off."""
    try:
        return parsedate_to_datetime(answer.http_response.headers["Date"]).replace(tzinfo=UTC)
    except (KeyError, TypeError, ValueError):
        return None


def _for_tables(retries: int) -> dict[str, Any]:
    """Options of the tables SDK."""
    return {"retry_total": retries, "retry_backoff_factor": 0.3, **_TIMEOUTS}


def options_of_files(retries: int) -> dict[str, Any]:
    """The same as options of the SDKs of blobs and queues."""
    return {"retry_total": retries, "initial_backoff": 1, "increment_base": 2, **_TIMEOUTS}


def _make(container: ContainerClient) -> None:
    try:
        container.create_container()
    except ResourceExistsError:
        return  # another instance was faster
