"""Single rows: create, retrieve, update, upsert and delete, with their conditions and representations."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from emulator.environment import Environment
from emulator.errors import matching_record_exists, no_resource, record_not_found_by_key, version_mismatch
from emulator.messages import Effect, Planned, Request, Response, answer
from emulator.odata import Query, RowKey, check_query, parse_query
from emulator.operations.bodies import Values
from emulator.operations.changes import Changes, TableChanges
from emulator.operations.expansion import expand_records
from emulator.operations.queries import context_columns
from emulator.operations.reading import Record, RowShape, etag
from emulator.operations.references import absent, checked_key_value, existing_row, find_row, key_values
from emulator.schema import ColumnType, Table
from emulator.store import sql_name

__all__ = ["Conditions", "Records", "row_address"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """`If-Match` and `If-None-Match` (perform-conditional-operations-using-web-api)."""

    must_exist: bool = False
    must_not_exist: bool = False
    version: str | None = None
    known_version: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Reads a request's headers; the literal `null` that clients send stands for nothing."""
        match = request.headers.get("if-match", "null").strip()
        none_match = request.headers.get("if-none-match", "null").strip()
        return cls(
            must_exist=match != "null",
            must_not_exist=none_match == "*",
            version=None if match in {"*", "null"} else match,
            known_version=None if none_match in {"*", "null"} else none_match,
        )


def row_address(request: Request, table: Table, record_id: str) -> str:
    """Returns the URL of a row by its primary key."""
    return f"{request.root}{table.entity_set}({record_id})"


class Records:
    """The operations on one row; each is understood first and carried out by what it returns."""

    def __init__(self, environment: Environment, changes: Changes) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._changes = changes

    def create(self, request: Request, table: Table) -> Planned:
        """Plans `POST accounts`."""
        work = self._changes.of(table)
        query = self._query(request, table)
        values = work.bodies.created(request.json())
        _check(request, values)
        return Planned(rows={"create": 1}, act=lambda: self._create(request, work, values, query))

    def _create(
        self, request: Request, work: TableChanges, values: Values, query: Query, reference: RowKey | None = None
    ) -> Response:
        table = work.table
        with self._environment.database.transaction():
            record_id = work.create([values], request.caller)[0]
            effects = (Effect(operation="create", table=table.logical_name, count=1, ids=(record_id,)),)
            if request.preferences.representation:
                return self._representation(request, table, record_id, query, created=True, effects=effects)
        address = row_address(request, table, record_id)
        if reference is not None and reference.key is not None:
            address = request.root + request.path  # the service echoes the key URL (use-upsert-insert-update-record)
        return answer(headers={"OData-EntityId": address, **_session(table)}, effects=effects)

    def patch(self, request: Request, table: Table, reference: RowKey) -> Planned:
        """Plans `PATCH accounts(...)`: an upsert, or less where the conditions say so.

        Raises:
            ServiceError: A condition is not met (404, 412), or the body is refused.
        """
        conditions = Conditions.of(request)
        reference = _with_partition(request, table, reference)
        query = self._query(request, table)
        row = find_row(self._environment, table, reference)
        body = request.json()
        if row is None:
            return self._plan_insert(request, table, reference, body, query)
        if conditions.must_not_exist:
            raise matching_record_exists()
        work = self._changes.of(table)
        values = work.bodies.updated(body)
        _drop_key_columns(values, reference)
        if table.elastic and not conditions.must_exist:
            values = {**_emptied(table), **values}  # an elastic upsert overwrites the whole row
        _check(request, {**_identity(table, reference), **values})
        return Planned(
            rows={"update" if conditions.must_exist else "upsert": 1},
            act=lambda: self._update(request, work, reference, row, values, query),
        )

    def _plan_insert(
        self, request: Request, table: Table, reference: RowKey, body: Mapping[str, Any], query: Query
    ) -> Planned:
        conditions = Conditions.of(request)
        if conditions.must_exist:
            raise absent(table, reference)
        if conditions.must_not_exist and reference.key is not None:
            # Seen in a live organisation: create-only by alternate key answers 404 and creates nothing.
            raise record_not_found_by_key(table.logical_name)
        work = self._changes.of(table)
        values = work.bodies.created(body)
        for name, value in _identity(table, reference).items():
            if values.get(name) is None or reference.id is not None:
                values[name] = checked_key_value(table, name, value)
        _add_shadows(self._environment, table, reference, values)
        _check(request, values)
        return Planned(rows={"upsert": 1}, act=lambda: self._insert_raced(request, work, values, query, reference))

    def _insert_raced(
        self, request: Request, work: TableChanges, values: Values, query: Query, reference: RowKey
    ) -> Response:
        """Creates what was not there on arrival; who comes second to a new key is told that it exists by now."""
        if find_row(self._environment, work.table, reference) is not None:
            raise matching_record_exists()
        return self._create(request, work, values, query, reference)

    def _update(
        self, request: Request, work: TableChanges, reference: RowKey, row: int, values: Values, query: Query
    ) -> Response:
        table = work.table
        with self._environment.database.transaction():
            self._check_version(request, table, reference, row)
            record_id = self._id_of(table, reference, row)
            if values:
                work.update([(row, values)], request.caller)
            effects = (Effect(operation="update", table=table.logical_name, count=1, ids=(record_id,)),)
            if request.preferences.representation:
                return self._representation(request, table, record_id, query, created=False, effects=effects)
        address = row_address(request, table, record_id)
        if reference.key is not None:
            address = request.root + request.path
        return answer(headers={"OData-EntityId": address, **_session(table)}, effects=effects)

    def _id_of(self, table: Table, reference: RowKey, row: int) -> str:
        found = self._environment.rows(table).fetch(row, (table.primary_id,))
        if found is None:
            raise absent(table, reference)
        return str(found[0])

    def _check_version(self, request: Request, table: Table, reference: RowKey, row: int) -> None:
        expected = Conditions.of(request).version
        if expected is None:
            return
        found = self._environment.rows(table).fetch(row, ("versionnumber",))
        if found is None:
            raise absent(table, reference)
        if etag(found[0], elastic=table.elastic) != expected:
            raise version_mismatch()

    def delete(self, request: Request, table: Table, reference: RowKey) -> Planned:
        """Plans `DELETE accounts(...)`.

        Raises:
            ServiceError: There is no such row (404).
        """
        reference = _with_partition(request, table, reference)
        row = existing_row(self._environment, table, reference)
        work = self._changes.of(table)

        def act() -> Response:
            with self._environment.database.transaction():
                self._check_version(request, table, reference, row)
                record_id = self._id_of(table, reference, row)
                work.delete(row, record_id, request.caller)
            return answer(effects=(Effect(operation="delete", table=table.logical_name, count=1, ids=(record_id,)),))

        return Planned(rows={"delete": 1}, act=act)

    def plan(self, request: Request, table: Table, reference: RowKey) -> Planned:
        """Plans a request on `accounts(...)`.

        Raises:
            ServiceError: The verb is none for a row, or the operation is refused.
        """
        match request.method:
            case "GET" | "HEAD":
                return self.retrieve(request, table, reference)
            case "PATCH":
                return self.patch(request, table, reference)
            case "DELETE":
                return self.delete(request, table, reference)
            case _:
                raise no_resource(request.url)

    def retrieve(self, request: Request, table: Table, reference: RowKey) -> Planned:
        """Plans `GET accounts(...)`; a known version answers 304 (not with `$expand` or annotations).

        Raises:
            ServiceError: There is no such row (404).
        """
        query = self._query(request, table)
        reference = _with_partition(request, table, reference)
        row = existing_row(self._environment, table, reference)
        record = self.record(request, table, row, query)
        known = Conditions.of(request).known_version
        plain = not query.expand and not request.preferences.annotations
        headers = {"ETag": record["@odata.etag"]}
        if known == record["@odata.etag"] and table.optimistic_concurrency and plain:
            response = Response(status=304, headers={"OData-Version": "4.0", **headers})
        else:
            effects = (Effect(operation="read", table=table.logical_name, count=1),)
            response = answer(_in_context(request, table, query, record), headers=headers, effects=effects)
        return Planned(rows={"read": 1}, act=lambda: response)

    def record(self, request: Request, table: Table, row: int, query: Query) -> Record:
        """Returns one row as JSON, with related rows."""
        shape = RowShape(self._environment, table, query, request.preferences)
        rows = self._environment.database.connection.execute(
            f'SELECT {shape.columns} FROM {sql_name(table.logical_name)} WHERE "row_" = ?', (row,)
        ).fetchall()
        records = shape.records(rows)
        expand_records(self._environment, request, table, query, records)
        return records[0]

    def _query(self, request: Request, table: Table) -> Query:
        query = parse_query(request.query) if request.query else Query()
        return check_query(query, table, self._environment.schema)

    def _representation(
        self,
        request: Request,
        table: Table,
        record_id: str,
        query: Query,
        *,
        created: bool,
        effects: tuple[Effect, ...],
    ) -> Response:
        rows = self._environment.database.connection.execute(
            f'SELECT max("row_") FROM {sql_name(table.logical_name)} WHERE {sql_name(table.primary_id)} = ?',
            (record_id,),
        )
        record = self.record(request, table, rows.fetchone()[0], replace(query, expand=()) if not created else query)
        headers = {"ETag": record["@odata.etag"], "Preference-Applied": "return=representation", **_session(table)}
        return answer(
            _in_context(request, table, query, record),
            status=201 if created else 200,
            headers=headers,
            effects=effects,
        )


def _check(request: Request, values: Mapping[str, Any]) -> None:
    if request.row_check is not None:
        request.row_check(values)


def _in_context(request: Request, table: Table, query: Query, record: Record) -> Record:
    return {"@odata.context": f"{request.root}$metadata#{context_columns(query, table.entity_set)}/$entity", **record}


def _with_partition(request: Request, table: Table, reference: RowKey) -> RowKey:
    """Elastic rows are addressed with `?partitionId='x'` as well (use-elastic-tables)."""
    if not table.elastic or "partitionid" in reference.values or reference.id is None:
        return reference
    given = parse_query(request.query).custom if request.query else {}
    partition = next((value for name, value in given.items() if name.lower() == "partitionid"), None)
    if partition is None:
        return reference
    return replace(reference, values={"partitionid": partition.strip("'").replace("''", "'")})


def _identity(table: Table, reference: RowKey) -> Values:
    """The columns that a reference says something about."""
    if reference.id is not None:
        return {table.primary_id: reference.id, **reference.values}
    return dict(reference.values)


def _add_shadows(environment: Environment, table: Table, reference: RowKey, values: Values) -> None:
    for part, value in zip(
        reference.key.columns if reference.key else (), key_values(environment, table, reference), strict=True
    ):
        column = table.columns[part]
        if column.type is ColumnType.STRING:
            values.setdefault(f"{part}__n", value)
            if values[f"{part}__n"] is None:
                values[f"{part}__n"] = value
        if column.is_polymorphic:
            values.setdefault(f"{part}__type", column.targets[0])


def _drop_key_columns(values: Values, reference: RowKey) -> None:
    """On an update by alternate key the key's columns in the body are passed over."""
    for part in reference.key.columns if reference.key else ():
        for name in (part, f"{part}__n", f"{part}__type"):
            values.pop(name, None)


def _emptied(table: Table) -> Values:
    return {
        name: column.default
        for name, column in table.columns.items()
        if column.valid_for_update
        and not column.primary_id
        and name not in {"ownerid", "statecode", "statuscode", "partitionid"}
    }


def _session(table: Table) -> dict[str, str]:
    return {"x-ms-session-token": "240:8#144035050#7=-1"} if table.elastic else {}
