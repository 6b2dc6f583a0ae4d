"""Single rows: create, retrieve, update, upsert and delete, with `If-Match` and `return=representation`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from emulator.environment import Environment
from emulator.errors import (
    matching_record_exists,
    method_not_allowed,
    record_not_found_by_key,
    version_mismatch,
    versions_not_compared,
)
from emulator.messages import Effect, Planned, Request, Response, answer
from emulator.odata import RowKey, parse_query
from emulator.operations.changes import Changes, TableChanges, written
from emulator.operations.expansion import expand_records
from emulator.operations.reading import Record, RowShape, TableQuery, etag, session_token
from emulator.operations.references import (
    absent,
    drop_key_columns,
    existing_row,
    find_row,
    identity,
    take_identity,
)
from emulator.operations.relations.deep import DeepInsert, is_deep
from emulator.operations.rules.refusals import unsupported_message
from emulator.schema import Table
from emulator.store import Values, sql_name

__all__ = ["Conditions", "Records", "row_address"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """`If-Match` and `If-None-Match` (perform-conditional-operations-using-web-api)."""

    must_exist: bool = False
    must_not_exist: bool = False
    version: str | None = None
    known_version: str | None = None

    @property
    def operation(self) -> str:
        """What a `PATCH` with these conditions does."""
        if self.must_exist:
            return "update"
        return "create" if self.must_not_exist else "upsert"

    @classmethod
    def of(cls, request: Request) -> Self:
        """Reads the headers of a request; the text `null`, which some clients send, counts as no header."""
        match = request.headers.get("if-match", "null").strip()
        none_match = request.headers.get("if-none-match", "null").strip()
        return cls(
            must_exist=match != "null",
            must_not_exist=none_match == "*",
            version=None if match in {"*", "null"} else match,
            known_version=None if none_match in {"*", "null"} else none_match,
        )


def row_address(request: Request, table: Table, record_id: str) -> str:
    """Returns the URL of a row with its primary key."""
    return f"{request.root}{table.entity_set}({record_id})"


class Records:
    """The operations on one row; each is checked and returned as a plan."""

    def __init__(self, environment: Environment, changes: Changes) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._changes = changes

    def create(self, request: Request, table: Table) -> Planned:
        """Plans `POST accounts`.

        Raises:
            ServiceError: The body is not valid, or the table takes no new rows.
        """
        _check_writable(table, "Create")
        work = self._changes.of(table)
        asked = self._asked(request, table)
        body = request.json()
        if is_deep(body):
            return self._plan_deep(asked, body)
        values = work.bodies.created(body)
        _check(request, values)
        return Planned(rows={"create": 1}, act=lambda: self._create(asked, work, values))

    def _plan_deep(self, asked: TableQuery, body: Mapping[str, Any]) -> Planned:
        """A create with related rows: everything in one transaction."""
        deep = DeepInsert(self._environment, self._changes)

        def act() -> Response:
            with self._environment.database.transaction():
                record_id, effects = deep.insert(asked.request, asked.table, body)
                return _after_write(asked, None, record_id, effects=tuple(effects))

        return Planned(rows={"create": _rows_of(body)}, act=act)

    def _create(
        self, asked: TableQuery, work: TableChanges, values: Values, reference: RowKey | None = None
    ) -> Response:
        with self._environment.database.transaction():
            record_id = work.create([values], asked.request.caller)[0]
            effects = written(work.table, "create", (record_id,))
            return _after_write(asked, reference, record_id, effects=effects)

    def patch(self, request: Request, table: Table, reference: RowKey) -> Planned:
        """Plans `PATCH accounts(...)`: an upsert, or only a create or an update if a header says so.

        Raises:
            ServiceError: A condition is not met (404, 412), or the body is not valid.
        """
        _check_writable(table, "Update")
        conditions = Conditions.of(request)
        self._environment.permit(request.caller, table, conditions.operation)
        reference = _with_partition(request, table, reference)
        asked = self._asked(request, table)
        row = find_row(self._environment, table, reference)
        if row is None:
            return self._plan_insert(asked, reference)
        body = request.json()
        if conditions.must_not_exist:
            raise matching_record_exists()
        work = self._changes.of(table)
        values = work.bodies.updated(body) if conditions.must_exist else work.bodies.upserted(body)
        drop_key_columns(values, reference)
        _check(request, {**identity(table, reference), **values})
        return Planned(
            rows={"update" if conditions.must_exist else "upsert": 1},
            act=lambda: self._update(asked, work, reference, row, values),
        )

    def _plan_insert(self, asked: TableQuery, reference: RowKey) -> Planned:
        request, table = asked.request, asked.table
        body = request.json()
        conditions = Conditions.of(request)
        if conditions.must_exist:
            raise absent(table, reference)
        if conditions.must_not_exist and reference.key is not None:
            # A real organisation answers a create-only request by alternate key with 404, and creates no row.
            raise record_not_found_by_key(table.logical_name)
        work = self._changes.of(table)
        values = work.bodies.created(body)
        take_identity(self._environment, table, reference, values)
        _check(request, values)
        return Planned(rows={"upsert": 1}, act=lambda: self._insert_raced(asked, work, values, reference))

    def _insert_raced(self, asked: TableQuery, work: TableChanges, values: Values, reference: RowKey) -> Response:
        """Creates the row, unless another request has created it since this one arrived."""
        if find_row(self._environment, work.table, reference) is not None:
            raise matching_record_exists()
        return self._create(asked, work, values, reference)

    def _update(self, asked: TableQuery, work: TableChanges, reference: RowKey, row: int, values: Values) -> Response:
        request, table = asked.request, asked.table
        with self._environment.database.transaction():
            self._check_version(request, table, reference, row)
            record_id = self._id_of(table, reference, row)
            if values:
                work.update([(row, values)], request.caller)
            effects = written(table, "update", (record_id,))
            return _after_write(asked, reference, record_id, updated=row, effects=effects)

    def _id_of(self, table: Table, reference: RowKey, row: int) -> str:
        found = self._environment.rows(table).fetch(row, (table.primary_id,))
        if found is None:
            raise absent(table, reference)
        return str(found[0])

    def _check_version(self, request: Request, table: Table, reference: RowKey, row: int) -> None:
        expected = Conditions.of(request).version
        if expected is None:
            return
        if not table.optimistic_concurrency:
            raise versions_not_compared(table.logical_name)
        found = self._environment.rows(table).fetch(row, ("versionnumber",))
        if found is None:
            raise absent(table, reference)
        if etag(found[0], elastic=table.elastic) != expected:
            raise version_mismatch()

    def delete(self, request: Request, table: Table, reference: RowKey) -> Planned:
        """Plans `DELETE accounts(...)`.

        Raises:
            ServiceError: There is no such row (404), or the table's rows cannot be deleted.
        """
        _check_writable(table, "Delete")
        reference = _with_partition(request, table, reference)
        row = existing_row(self._environment, table, reference)
        work = self._changes.of(table)

        def act() -> Response:
            with self._environment.database.transaction():
                self._check_version(request, table, reference, row)
                record_id = self._id_of(table, reference, row)
                effects = work.delete([(row, record_id)], request.caller)
            return answer(effects=effects)

        return Planned(rows={"delete": 1}, act=act)

    def plan(self, request: Request, table: Table, reference: RowKey) -> Planned:
        """Plans a request on `accounts(...)`.

        Raises:
            ServiceError: A row does not support the method, or the operation is refused.
        """
        match request.method:
            case "GET" | "HEAD":
                return self.retrieve(request, table, reference)
            case "PATCH":
                return self.patch(request, table, reference)
            case "DELETE":
                return self.delete(request, table, reference)
            case _:
                raise method_not_allowed(request.method)

    def retrieve(self, request: Request, table: Table, reference: RowKey) -> Planned:
        """Plans `GET accounts(...)`.

        `If-None-Match` with the current version answers 304, except with `$expand` or annotations.

        Raises:
            ServiceError: There is no such row (404).
        """
        asked = self._asked(request, table)
        self._environment.permit(request.caller, table, "read")
        reference = _with_partition(request, table, reference)
        record = _record(asked, existing_row(self._environment, table, reference))
        known = Conditions.of(request).known_version
        plain = not asked.query.expand and not request.preferences.annotations
        headers = {"ETag": record["@odata.etag"]}
        if known == record["@odata.etag"] and table.optimistic_concurrency and plain:
            response = Response(status=304, headers={"OData-Version": "4.0", **headers})
        else:
            response = answer(_in_context(asked, record), headers=headers, effects=asked.read(1))
        return Planned(rows={"read": 1}, act=lambda: response)

    def _asked(self, request: Request, table: Table) -> TableQuery:
        query = parse_query(request.query)
        return TableQuery(environment=self._environment, request=request, table=table, query=query).checked()


def _record(asked: TableQuery, row: int) -> Record:
    """One row as JSON, with related rows."""
    shape = RowShape(asked)
    rows = asked.fetch(f'SELECT {shape.columns} FROM {asked.sql_table} WHERE "row_" = ?', (row,))
    records = shape.records(rows)
    expand_records(asked, records)
    return records[0]


def _newest(asked: TableQuery, record_id: str) -> int:
    """The number of the row with this identifier that was created last: of an elastic table others can have it, too."""
    identity = sql_name(asked.table.primary_id)
    newest = f'SELECT max("row_") FROM {asked.sql_table} WHERE {identity} = ?'
    return int(asked.environment.database.scalar(newest, (record_id,)))


def _representation(asked: TableQuery, row: int, *, created: bool, effects: tuple[Effect, ...]) -> Response:
    """The answer with the row as it is after the write; related rows come only after a create."""
    read = asked if created else asked.related(asked.table, replace(asked.query, expand=()))
    record = _record(read, row)
    return answer(
        _in_context(asked, record),
        status=201 if created else 200,
        headers={
            "ETag": record["@odata.etag"],
            "Preference-Applied": "return=representation",
            **session_token(asked.table),
        },
        effects=effects,
    )


def _after_write(
    asked: TableQuery,
    reference: RowKey | None,
    record_id: str,
    *,
    updated: int | None = None,
    effects: tuple[Effect, ...],
) -> Response:
    """The answer with the row, or with its address: the request's own URL where it names an alternate key.

    (use-upsert-insert-update-record)

    Args:
        asked: What the answer shows of the row.
        reference: The reference of the request to the row, if it has one.
        record_id: The identifier of the row.
        updated: The number of the row that was there before; None for a new one.
        effects: What the request has done.
    """
    request = asked.request
    address = row_address(request, asked.table, record_id)
    if reference is not None and reference.key is not None:
        address = request.root + request.path
    if request.preferences.representation:
        row = _newest(asked, record_id) if updated is None else updated
        response = _representation(asked, row, created=updated is None, effects=effects)
    else:
        response = answer(headers={"OData-EntityId": address, **session_token(asked.table)}, effects=effects)
    return replace(response, address=address)


def _check_writable(table: Table, message: str) -> None:
    if not table.writable:
        raise unsupported_message(message, table.logical_name)


def _check(request: Request, values: Mapping[str, Any]) -> None:
    if request.row_check is not None:
        request.row_check(values)


def _in_context(asked: TableQuery, record: Record) -> Record:
    return {"@odata.context": asked.context("/$entity"), **record}


def _rows_of(body: Mapping[str, Any]) -> int:
    """The number of rows that a body describes: itself and every object in it."""
    nested = [one for value in body.values() for one in (value if isinstance(value, list) else [value])]
    return 1 + sum(_rows_of(one) for one in nested if isinstance(one, dict))


def _with_partition(request: Request, table: Table, reference: RowKey) -> RowKey:
    """Adds the partition from `?partitionId='x'` to a reference to an elastic row (use-elastic-tables)."""
    if not table.elastic or "partitionid" in reference.values or reference.id is None:
        return reference
    given = parse_query(request.query).custom
    partition = next((value for name, value in given.items() if name.lower() == "partitionid"), None)
    if partition is None:
        return reference
    return replace(reference, values={"partitionid": partition.strip("'").replace("''", "'")})
