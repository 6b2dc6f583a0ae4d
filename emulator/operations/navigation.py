"""Paths after a row: single properties, related rows and references."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import orjson

from emulator.environment import Environment
from emulator.errors import method_not_allowed, record_not_found, unknown_property, unknown_segment
from emulator.messages import Planned, Request, Response, answer, plain_text
from emulator.odata import ChildLink, RowKey, Segment, Sql, child_link, parse_query, resolve_key, row_reference
from emulator.operations.queries import COUNT_LIMIT, collection, count_of
from emulator.operations.reading import TableQuery
from emulator.operations.records import Records, row_address
from emulator.operations.references import absent, existing_id, existing_row
from emulator.schema import Column, ColumnType, Table
from emulator.schema.activities import parties_property
from emulator.schema.documented import check_emulated
from emulator.store import sql_name

__all__ = ["Navigation", "is_keyed"]


class Navigation:
    """The paths after `accounts(...)`."""

    def __init__(self, environment: Environment, records: Records) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._records = records

    def plan(self, request: Request, table: Table, reference: RowKey, rest: Sequence[Segment]) -> Planned:
        """Plans a request on a property or a related row.

        Raises:
            ServiceError: There is no such property, or it does not support the method.
        """
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
        match request.method:
            case "GET" | "HEAD":
                response = self._value(request, table, reference, column, raw=len(rest) > 1)
                return Planned(rows={"read": 1}, act=lambda: response)
            case "PUT" if not column.is_lookup:
                return self._change(request, table, reference, {column.logical_name: request.json().get("value")})
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
        """An update of one property; the answer has no `OData-EntityId`."""
        changed = replace(
            request,
            method="PATCH",
            query="",
            headers={"if-match": "*", **{n: v for n, v in request.headers.items() if n == "if-match"}},
            body=orjson.dumps(body),
        )
        planned = self._records.patch(changed, table, reference)

        def act() -> Response:
            response = planned.act()
            return replace(response, headers={n: v for n, v in response.headers.items() if n != "OData-EntityId"})

        return Planned(rows={"update": 1}, act=act)

    # Lookups

    def _related(self, request: Request, table: Table, reference: RowKey, rest: Sequence[Segment]) -> Planned:
        name = rest[0].name
        if len(rest) > 1 and rest[1].name == "$ref":
            match request.method:
                case "GET":
                    response = self._reference(request, table, reference, name)
                    return Planned(rows={"read": 1}, act=lambda: response)
                case "PUT" | "POST":
                    bound = request.json().get("@odata.id")
                    return self._change(request, table, reference, {f"{name}@odata.bind": bound})
                case "DELETE":
                    return self._change(request, table, reference, {f"{name}@odata.bind": None})
                case _:
                    raise method_not_allowed(request.method)
        target, related_id = self._target(table, reference, name)
        if related_id is None:
            response = answer()
            return Planned(rows={"read": 1}, act=lambda: response)
        related = RowKey(id=related_id)
        if len(rest) > 1:
            return self.plan(request, target, related, rest[1:])
        if request.method not in {"GET", "HEAD"}:
            raise method_not_allowed(request.method)
        return self._records.retrieve(request, target, related)

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

    def _children(self, request: Request, link: ChildLink, reference: RowKey, rest: Sequence[Segment]) -> Planned:
        parent_id = existing_id(self._environment, link.parent, reference)
        after = [segment.name for segment in rest[1:]]
        if after == ["$ref"] and request.method not in {"GET", "HEAD"}:
            return self._associate(request, link, parent_id, rest[0])
        if is_keyed(rest[0]):
            return self._child(request, link, parent_id, rest)
        if request.method == "POST" and not after:
            return self._create_child(request, link, parent_id)
        if request.method == "PUT" and not after and rest[0].name == parties_property(link.parent):
            body = {rest[0].name: request.json().get("value")}  # replaces the parties of an activity
            return self._change(request, link.parent, RowKey(id=parent_id), body)
        asked = TableQuery(
            environment=self._environment, request=request, table=link.table, query=parse_query(request.query)
        )
        if request.method not in {"GET", "HEAD"}:
            raise method_not_allowed(request.method)
        within = _within(link, parent_id)
        if after == ["$count"]:
            found = min(count_of(asked, within), COUNT_LIMIT)
            text = plain_text(found)
            return Planned(rows={"read": 1}, act=lambda: text)
        if after not in ([], ["$ref"]):
            raise unknown_segment(after[0])
        response = collection(asked, within=within)
        if after:
            response = _references_only(request, link.table, response)
        return Planned(rows={"read": sum(effect.count for effect in response.effects)}, act=lambda: response)

    def _child(self, request: Request, link: ChildLink, parent_id: str, rest: Sequence[Segment]) -> Planned:
        """One row of a collection, `contact_customer_accounts(...)`, and the rest of the path."""
        arguments = rest[0].arguments
        if arguments is None:
            raise unknown_segment(rest[0].name)
        reference = resolve_key(arguments, link.table)
        child_id = existing_id(self._environment, link.table, reference)
        condition = _within(link, parent_id)
        name = sql_name(link.table.logical_name)
        belongs = self._environment.database.scalar(
            f"SELECT 1 FROM {name} WHERE {sql_name(link.table.primary_id)} = ? AND {condition.text}",
            (child_id, *condition.parameters),
        )
        if not belongs:
            raise absent(link.table, reference)
        if [segment.name for segment in rest[1:]] == ["$ref"]:
            address = row_address(request, link.table, child_id)
            response = answer({"@odata.context": request.context("$ref"), "@odata.id": address})
            return Planned(rows={"read": 1}, act=lambda: response)
        if len(rest) > 1:
            return self.plan(request, link.table, reference, rest[1:])
        return self._records.plan(request, link.table, reference)

    def _create_child(self, request: Request, link: ChildLink, parent_id: str) -> Planned:
        """`POST accounts(...)/contact_customer_accounts`: a new row whose lookup refers to the parent."""
        navigation = link.column.navigation[link.parent.logical_name]
        body = {**request.json(), f"{navigation}@odata.bind": f"/{link.parent.entity_set}({parent_id})"}
        return self._records.create(replace(request, body=orjson.dumps(body)), link.table)

    def _associate(self, request: Request, link: ChildLink, parent_id: str, segment: Segment) -> Planned:
        """Sets the lookup of the child (POST, PUT), or sets it to null (DELETE)."""
        navigation = link.column.navigation[link.parent.logical_name]
        if request.method in {"POST", "PUT"}:
            child, reference = row_reference(str(request.json().get("@odata.id")), self._environment.schema)
            bound: str | None = f"/{link.parent.entity_set}({parent_id})"
        elif segment.arguments is not None and is_keyed(segment):
            child, reference = link.table, resolve_key(segment.arguments, link.table)
            bound = None
        else:
            child, reference = row_reference(_id_option(request), self._environment.schema)
            bound = None
        return self._change(request, child, reference, {f"{navigation}@odata.bind": bound})


def is_keyed(segment: Segment) -> bool:
    """Whether a segment addresses one row of a collection."""
    arguments = segment.arguments
    return arguments is not None and (arguments.single is not None or bool(arguments.named))


def _id_option(request: Request) -> str:
    options = (unquote(part).partition("=") for part in request.query.split("&"))
    return next((value for name, _, value in options if name == "$id"), "")


def _within(link: ChildLink, parent_id: str) -> Sql:
    name = sql_name(link.table.logical_name)
    text = f"{name}.{sql_name(link.column.logical_name)} = ?"
    if not link.column.is_polymorphic:
        return Sql(text=text, parameters=(parent_id,))
    kind = f"{name}.{sql_name(link.column.logical_name + '__type')}"
    return Sql(text=f"{text} AND {kind} = ?", parameters=(parent_id, link.parent.logical_name))


def _references_only(request: Request, table: Table, response: Response) -> Response:
    records = orjson.loads(response.body)["value"]
    references = [{"@odata.id": row_address(request, table, record[table.primary_id])} for record in records]
    content = {"@odata.context": request.context("Collection($ref)"), "value": references}
    return replace(answer(content), effects=response.effects)
