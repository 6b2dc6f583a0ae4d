"""Paths after a row: single properties, related rows and references."""

from collections.abc import Mapping, Sequence
from typing import Any

from emulator.environment import Environment
from emulator.errors import method_not_allowed, no_resource, record_not_found, unknown_property, unknown_segment
from emulator.messages import Planned, Request, Response, answer, plain_text
from emulator.odata import Link, RowKey, Segment, check_query, child_link, parse_query
from emulator.operations.changes import Changes
from emulator.operations.paths.collections import Collections
from emulator.operations.paths.segments import address_of, changed_property, is_keyed, property_value
from emulator.operations.records import Records, row_address
from emulator.operations.references import existing_row
from emulator.schema import Column, ColumnType, Table
from emulator.schema.activities import parties_property
from emulator.schema.documented import check_emulated

__all__ = ["Navigation"]


class Navigation:
    """The paths after `accounts(...)`."""

    def __init__(self, environment: Environment, changes: Changes, records: Records) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._records = records
        self._collections = Collections(environment, changes, records)

    def plan(self, request: Request, table: Table, reference: RowKey, rest: Sequence[Segment]) -> Planned:
        """Plans a request on a property or a related row.

        Raises:
            ServiceError: There is no such property, it does not support the method, or the user may not read a row on
                the path (403).
        """
        if request.method in {"GET", "HEAD"}:
            self._environment.permit(request.caller, table, "read")
        name = rest[0].name
        if name in table.by_property:
            return self._property(request, table, reference, rest)
        if name in table.by_navigation:
            return self._related(request, table, reference, rest)
        link = child_link(name, table, self._environment.schema)
        if link is not None:
            return self._children(request, link, reference, rest)
        check_emulated(name)
        raise unknown_property(name, table.logical_name)

    # Properties

    def _property(self, request: Request, table: Table, reference: RowKey, rest: Sequence[Segment]) -> Planned:
        column = table.by_property[rest[0].name]
        after = [segment.name for segment in rest[1:]]
        if after not in ([], ["$value"]):
            raise unknown_segment(after[0] if after[0] != "$value" else after[1])
        if after and request.method not in {"GET", "HEAD"}:
            raise method_not_allowed(request.method)
        match request.method:
            case "GET" | "HEAD":
                response = self._value(request, table, reference, column, raw=bool(after))
                return Planned(rows={"read": 1}, act=lambda: response)
            case "PUT" if not column.is_lookup:
                return self._change(request, table, reference, {column.logical_name: property_value(request)})
            case "DELETE" if not column.is_lookup:
                return self._change(request, table, reference, {column.logical_name: None})
            case _:
                raise method_not_allowed(request.method)

    def _value(self, request: Request, table: Table, reference: RowKey, column: Column, *, raw: bool) -> Response:
        row = existing_row(self._environment, table, reference)
        found = self._environment.rows(table).fetch(row, (column.logical_name, table.primary_id))
        if found is None:
            raise record_not_found(table.logical_name, "")
        value = bool(found[0]) if column.type is ColumnType.BOOLEAN and found[0] is not None else found[0]
        if value is None:
            return answer()
        if raw:
            return plain_text(value)
        context = request.context(f"{table.entity_set}({found[1]})/{column.property_name}")
        return answer({"@odata.context": context, "value": value})

    def _change(self, request: Request, table: Table, reference: RowKey, body: Mapping[str, Any]) -> Planned:
        return changed_property(self._records, request, table, reference, body)

    # Lookups

    def _related(self, request: Request, table: Table, reference: RowKey, rest: Sequence[Segment]) -> Planned:
        name = rest[0].name
        if len(rest) > 1 and rest[1].name == "$ref":
            match request.method:
                case "GET":
                    response = self._reference(request, table, reference, name)
                    return Planned(rows={"read": 1}, act=lambda: response)
                case "PUT" | "POST":
                    return self._change(request, table, reference, {f"{name}@odata.bind": address_of(request)})
                case "DELETE":
                    return self._change(request, table, reference, {f"{name}@odata.bind": None})
                case _:
                    raise method_not_allowed(request.method)
        self._environment.permit(request.caller, table, "read")
        target, related_id = self._target(table, reference, name)
        if related_id is None:
            return self._unrelated(request, target, rest[1:])
        related = RowKey(id=related_id)
        if len(rest) > 1:
            return self.plan(request, target, related, rest[1:])
        if request.method not in {"GET", "HEAD"}:
            raise method_not_allowed(request.method)
        return self._records.retrieve(request, target, related)

    def _unrelated(self, request: Request, target: Table, rest: Sequence[Segment]) -> Planned:
        """The answer of a lookup that is null: nothing is read (OData 4.0, 11.2.6: 204), and nothing can be written.

        Raises:
            ServiceError: The path or the query names what the target does not have, or the request would write (404).
        """
        reads = request.method in {"GET", "HEAD"}
        name = rest[0].name if rest else ""
        link = child_link(name, target, self._environment.schema)
        if name and link is None and name not in target.by_property and name not in target.by_navigation:
            check_emulated(name)
            raise unknown_property(name, target.logical_name)
        if not reads and (not rest or (name in target.by_property and request.method not in {"PUT", "DELETE"})):
            raise method_not_allowed(request.method)
        if not reads:
            raise no_resource(request.url)
        if len(rest) < 2:  # noqa: PLR2004 - a query of the row, or of its collection
            check_query(parse_query(request.query), link.table if link else target, self._environment.schema)
        response = answer()
        return Planned(rows={"read": 1}, act=lambda: response)

    def _target(self, table: Table, reference: RowKey, name: str) -> tuple[Table, str | None]:
        """The table and identifier that a lookup refers to; the identifier is None if the lookup is null."""
        column, target_name = table.by_navigation[name]
        row = existing_row(self._environment, table, reference)
        kind = (f"{column.logical_name}__type",) if column.is_polymorphic else ()
        found = self._environment.rows(table).fetch(row, (column.logical_name, *kind))
        related_id, actual = (found[0], found[1] if kind else target_name) if found else (None, None)
        if actual is not None and column.navigation.get(str(actual)) == name:
            target_name = str(actual)
        elif actual != target_name:
            related_id = None
        target = self._environment.schema.tables.get(target_name)
        if target is None:  # imported tables can refer to tables that were not imported
            raise unknown_segment(target_name)
        return target, related_id

    def _reference(self, request: Request, table: Table, reference: RowKey, name: str) -> Response:
        target, related_id = self._target(table, reference, name)
        if related_id is None:
            return answer()
        address = row_address(request, target, related_id)
        return answer({"@odata.context": request.context("$ref"), "@odata.id": address})

    # Collections

    def _children(self, request: Request, link: Link, reference: RowKey, rest: Sequence[Segment]) -> Planned:
        if request.method == "PUT" and len(rest) == 1 and rest[0].name == parties_property(link.parent):
            body = {rest[0].name: property_value(request)}  # replaces the parties of an activity
            return changed_property(self._records, request, link.parent, reference, body)
        removes = request.method == "DELETE" and [segment.name for segment in rest[1:]] == ["$ref"]
        if not is_keyed(rest[0]) or removes:
            return self._collections.plan(request, link, reference, rest)
        key, child_id = self._collections.member(link, reference, rest[0])
        if [segment.name for segment in rest[1:]] == ["$ref"]:
            if request.method not in {"GET", "HEAD"}:
                raise method_not_allowed(request.method)
            address = row_address(request, link.table, child_id)
            response = answer({"@odata.context": request.context("$ref"), "@odata.id": address})
            return Planned(rows={"read": 1}, act=lambda: response)
        if len(rest) > 1:
            return self.plan(request, link.table, key, rest[1:])
        return self._records.plan(request, link.table, key)
