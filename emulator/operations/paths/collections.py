"""Collections of related rows, `accounts(...)/contact_customer_accounts`, and the references in them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import orjson

from emulator.body_errors import invalid_payload
from emulator.environment import Environment
from emulator.errors import invalid_argument, method_not_allowed, unknown_segment
from emulator.messages import Planned, Request, Response, answer, count_answer
from emulator.odata import ChildLink, Link, PairLink, RowKey, Segment, Sql, parse_query, resolve_key, row_reference
from emulator.operations.changes import Changes
from emulator.operations.paths.segments import address_of, changed_property, is_keyed
from emulator.operations.queries import COUNT_LIMIT, collection, count_of
from emulator.operations.reading import TableQuery
from emulator.operations.records import Records, row_address
from emulator.operations.references import absent, existing_id
from emulator.operations.relations.pairs import Pairs
from emulator.schema import Table
from emulator.store import sql_name

__all__ = ["Collections"]


class Collections:
    """The collections of one-to-many and many-to-many relationships."""

    def __init__(self, environment: Environment, changes: Changes, records: Records) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._records = records
        self._pairs = Pairs(environment, changes)

    def plan(self, request: Request, link: Link, reference: RowKey, rest: Sequence[Segment]) -> Planned:
        """Plans a request on the whole collection or on references in it; `rest` starts with the collection.

        Raises:
            ServiceError: The parent's row does not exist, or the path or method is not supported.
        """
        parent_id = existing_id(self._environment, link.parent, reference)
        after = [segment.name for segment in rest[1:]]
        if after == ["$ref"] and request.method not in {"GET", "HEAD"}:
            return self._reference(request, link, parent_id, rest[0])
        if request.method == "POST" and not after:
            return self._create(request, link, parent_id)
        if request.method not in {"GET", "HEAD"}:
            raise method_not_allowed(request.method)
        asked = TableQuery(
            environment=self._environment, request=request, table=link.table, query=parse_query(request.query)
        )
        within = _within(link, parent_id)
        if after == ["$count"]:
            text = count_answer(min(count_of(asked.checked(), within), COUNT_LIMIT))
            return Planned(rows={"read": 1}, act=lambda: text)
        if after not in ([], ["$ref"]):
            raise unknown_segment(after[0])
        response = collection(asked, within=within)
        if after:
            response = _references_only(request, link.table, response)
        return Planned(rows={"read": sum(effect.count for effect in response.effects)}, act=lambda: response)

    def member(self, link: Link, reference: RowKey, segment: Segment) -> tuple[RowKey, str]:
        """Returns key and identifier of the row that `contact_customer_accounts(...)` addresses.

        Raises:
            ServiceError: There is no such row, or it is not in the collection of the parent's row (404).
        """
        if segment.arguments is None:
            raise unknown_segment(segment.name)
        parent_id = existing_id(self._environment, link.parent, reference)
        key = resolve_key(segment.arguments, link.table)
        child_id = existing_id(self._environment, link.table, key)
        if not self._contains(link, parent_id, child_id):
            raise absent(link.table, key)
        return key, child_id

    def _contains(self, link: Link, parent_id: str, child_id: str) -> bool:
        within = _within(link, parent_id)
        name = sql_name(link.table.logical_name)
        found: Any = self._environment.database.scalar(
            f"SELECT 1 FROM {name} WHERE {sql_name(link.table.primary_id)} = ? AND {within.text}",
            (child_id, *within.parameters),
        )
        return bool(found)

    def _create(self, request: Request, link: Link, parent_id: str) -> Planned:
        """A new row in the collection: its lookup refers to the parent, or it is in a pair with the parent."""
        if isinstance(link, ChildLink):
            navigation = link.column.navigation[link.parent.logical_name]
            body = {**request.json(), f"{navigation}@odata.bind": f"/{link.parent.entity_set}({parent_id})"}
            return self._records.create(replace(request, body=orjson.dumps(body)), link.table)
        planned = self._records.create(request, link.table)

        def act() -> Response:
            with self._environment.database.transaction():
                response = planned.act()
                new_id = response.effects[0].ids[0]  # the effect of the row itself is the first
                paired = self._pairs.associate(link, parent_id, new_id, request.caller)
            return replace(response, effects=(*response.effects, *paired))

        return replace(planned, act=act)

    # References

    def _reference(self, request: Request, link: Link, parent_id: str, segment: Segment) -> Planned:
        """`POST …/$ref` adds a row to the collection; `DELETE …(id)/$ref` and `…/$ref?$id=` remove one."""
        adds = request.method == "POST" or (request.method == "PUT" and isinstance(link, ChildLink))
        if not adds and request.method != "DELETE":
            raise method_not_allowed(request.method)
        table, key = self._named(request, link, segment, adds=adds)
        if table is not link.table:
            raise invalid_argument(
                f"A row of {table.entity_set} cannot be in {segment.name}: it contains rows of {link.table.entity_set}."
            )
        other_id = existing_id(self._environment, table, key)
        if isinstance(link, PairLink):
            return self._pair(request, link, parent_id, other_id, adds=adds)
        if not adds and not self._contains(link, parent_id, other_id):
            return Planned(act=answer)
        bound = f"/{link.parent.entity_set}({parent_id})" if adds else None
        navigation = link.column.navigation[link.parent.logical_name]
        return changed_property(self._records, request, table, key, {f"{navigation}@odata.bind": bound})

    def _named(self, request: Request, link: Link, segment: Segment, *, adds: bool) -> tuple[Table, RowKey]:
        """The row that a request on references names."""
        if not adds and segment.arguments is not None and is_keyed(segment):
            return link.table, resolve_key(segment.arguments, link.table)
        address = address_of(request) if adds else _id_option(request)
        if not address:
            raise invalid_payload("The address of the row is missing: '$id' in the query.")
        return row_reference(address, self._environment.schema)

    def _pair(self, request: Request, link: PairLink, parent_id: str, other_id: str, *, adds: bool) -> Planned:
        change = self._pairs.associate if adds else self._pairs.disassociate

        def act() -> Response:
            with self._environment.database.transaction():
                return answer(effects=change(link, parent_id, other_id, request.caller))

        return Planned(rows={"create" if adds else "delete": 1}, act=act)


def _within(link: Link, parent_id: str) -> Sql:
    return Sql(text=link.belongs(sql_name(link.table.logical_name), "?"), parameters=(parent_id,))


def _id_option(request: Request) -> str:
    options = (unquote(part).partition("=") for part in request.query.split("&"))
    return next((value for name, _, value in options if name == "$id"), "")


def _references_only(request: Request, table: Table, response: Response) -> Response:
    records = orjson.loads(response.body)["value"]
    references = [{"@odata.id": row_address(request, table, record[table.primary_id])} for record in records]
    content = {"@odata.context": request.context("Collection($ref)"), "value": references}
    return replace(answer(content), effects=response.effects)
