"""From the path of a request to the operation."""

from dataclasses import replace
from typing import Final

from emulator.environment import Environment
from emulator.errors import method_not_allowed, no_resource, unknown_segment, unsupported_message
from emulator.messages import Planned, Request, Response, answer, count_answer
from emulator.metadata import METADATA_ROOTS, Metadata
from emulator.metadata.csdl import metadata_document
from emulator.odata import Segment, parse_path, parse_query, resolve_key
from emulator.operations.actions import Actions
from emulator.operations.aggregates.apply import aggregated
from emulator.operations.bulk import Bulk
from emulator.operations.bulk_delete import BulkDeletes
from emulator.operations.changes import Changes
from emulator.operations.closing import Closing
from emulator.operations.counting import total_record_count
from emulator.operations.custom_apis import public_apis
from emulator.operations.fetch.answer import fetched, predefined
from emulator.operations.paths.navigation import Navigation
from emulator.operations.paths.segments import is_keyed
from emulator.operations.queries import COUNT_LIMIT, collection, count_of
from emulator.operations.reading import TableQuery
from emulator.operations.records import Records
from emulator.operations.references import existing_id
from emulator.operations.relations.members import Members
from emulator.operations.relations.restoring import Restoring
from emulator.operations.tracking import changes_since, changes_total, tracked_rows
from emulator.policies.privileges import Privileges
from emulator.schema import BULK_MESSAGES, Table
from emulator.schema.documented import check_headers

__all__ = ["Service"]

_NAMESPACE: Final = "Microsoft.Dynamics.CRM."
_VERSION: Final = "9.2.0.0"
_MESSAGES: Final = {"POST": "Create", "PATCH": "Update", "PUT": "Update", "DELETE": "Delete"}


def _at_once(response: Response) -> Planned:
    return Planned(
        rows={effect.operation: effect.count for effect in response.effects},
        act=lambda: response,
    )


class Service:
    """The Web API of one environment, without HTTP."""

    def __init__(self, environment: Environment, privileges: Privileges | None = None) -> None:
        """Creates the operations; `privileges` are those that `environment` asks for, all of them by default."""
        self.environment = environment
        self.privileges = privileges or Privileges()
        self.changes = Changes(environment)
        self.records = Records(environment, self.changes)
        self.bulk = Bulk(environment, self.changes)
        self.metadata = Metadata(environment)
        self.navigation = Navigation(environment, self.changes, self.records)
        self.actions = Actions(environment, Closing(environment, self.changes))
        self.members = Members(environment, self.changes)
        self.restoring = Restoring(environment, self.changes)
        self.bulk_deletes = BulkDeletes(environment, self.changes)

    def plan(self, request: Request) -> Planned:
        """Checks a request and plans its operation.

        With a time model the operation acts later, and refuses what others have made impossible by then.

        Raises:
            ServiceError: The request is refused.
        """
        planned = self._planned(request)
        if request.method in {"GET", "HEAD"}:
            return planned
        schema, deletion = self.environment.schema, self.environment.database.last_deletion()

        def act() -> Response:
            if self.environment.schema is not schema:
                return self._planned(request).act()
            if self.environment.database.last_deletion() != deletion:
                # It can refer to a row that is gone. What it found on arrival is still what it updates.
                self._planned(request)
            return planned.act()

        return replace(planned, act=act)

    def _planned(self, request: Request) -> Planned:  # noqa: C901, PLR0912 - one branch a function of the service
        check_headers(request.headers)
        if request.path.startswith("RetrieveMetadataChanges("):
            return self.metadata.changes(request)
        aliases = parse_query(request.query).aliases if "@" in request.query or "%40" in request.query else {}
        segments = parse_path(request.path, aliases)
        if not segments:
            return _at_once(self._service_document(request))
        first, *rest = segments
        table = self.environment.schema.by_entity_set.get(first.name)
        if table is not None:
            if request.method in {"GET", "HEAD"}:
                self.environment.permit(request.caller, table, "read")
            return self._table(request, table, first, rest)
        match first.name:
            case "$metadata":
                annotated = "annotations=true" in request.query
                schema = self.environment.schema
                shown = replace(schema, actions={**public_apis(self.environment), **schema.actions})
                body = metadata_document(shown, annotations=annotated)
                headers = {"Content-Type": "application/xml", "OData-Version": "4.0"}
                return _at_once(Response(status=200, headers=headers, body=body))
            case "WhoAmI" | "RetrieveVersion" | "RetrieveTotalRecordCount" if request.method not in {"GET", "HEAD"}:
                raise no_resource(request.url)
            case "WhoAmI":
                return _at_once(self._who_am_i(request))
            case "RetrieveVersion":
                context = request.context("Microsoft.Dynamics.CRM.RetrieveVersionResponse")
                return _at_once(answer({"@odata.context": context, "Version": _VERSION}))
            case "RetrieveTotalRecordCount":
                return total_record_count(self.environment, request, first)
            case name if name in METADATA_ROOTS:
                return self.metadata.plan(request, segments)
            case "BulkDelete" if request.method != "POST":
                raise no_resource(request.url)
            case "BulkDelete":
                return self.bulk_deletes.plan(request)
            case "Restore":
                return self.restoring.plan(request)
            case "ReactivateEntityKey":
                return self.metadata.reactivate_key(request)
        return self.actions.unbound(request, first)

    def _service_document(self, request: Request) -> Response:
        sets = [
            {"name": table.entity_set, "kind": "EntitySet", "url": table.entity_set}
            for table in self.environment.schema.tables.values()
        ]
        return answer({"@odata.context": f"{request.root}$metadata", "value": sets})

    def _who_am_i(self, request: Request) -> Response:
        return answer(
            {
                "@odata.context": request.context("Microsoft.Dynamics.CRM.WhoAmIResponse"),
                "BusinessUnitId": request.caller.business_unit_id,
                "UserId": request.caller.user_id,
                "OrganizationId": self.environment.organization_id,
            }
        )

    def _privileges(self, request: Request) -> Response:
        """The privileges of a user: all users of the emulator have the same."""
        held = self.privileges.held(self.environment.schema, request.caller.business_unit_id)
        context = request.context("Microsoft.Dynamics.CRM.RetrieveUserPrivilegesResponse")
        return answer({"@odata.context": context, "RolePrivileges": held})

    def _table(self, request: Request, table: Table, first: Segment, rest: list[Segment]) -> Planned:
        if table.intersect and request.method in _MESSAGES:
            raise unsupported_message(_MESSAGES[request.method], table.logical_name)
        if first.arguments is None or not is_keyed(first):
            return self._collection(request, table, rest)
        reference = resolve_key(first.arguments, table)
        if rest and rest[0].name.startswith(_NAMESPACE):
            action = rest[0].name.removeprefix(_NAMESPACE)
            if self.members.knows(table, action):
                return self.members.plan(request, table, reference, action)
            if table.logical_name == "systemuser" and action == "RetrieveUserPrivileges" and request.method == "GET":
                existing_id(self.environment, table, reference)
                return _at_once(self._privileges(request))
            return self.actions.bound(request, table, rest[0], to_row=True)
        if rest:
            return self.navigation.plan(request, table, reference, rest)
        return self.records.plan(request, table, reference)

    def _collection(self, request: Request, table: Table, rest: list[Segment]) -> Planned:
        if not rest:
            match request.method:
                case "GET" | "HEAD":
                    return _at_once(self._rows(self._asked(request, table)))
                case "POST":
                    return self.records.create(request, table)
                case _:
                    raise method_not_allowed(request.method)
        name = rest[0].name
        if name == "$count" and request.method == "GET":
            asked = self._asked(request, table).checked()
            found = changes_total(asked) if asked.query.delta_token else min(count_of(asked), COUNT_LIMIT)
            return _at_once(count_answer(found))
        message = name.removeprefix(_NAMESPACE)
        if name.startswith(_NAMESPACE) and message in BULK_MESSAGES:
            if request.method != "POST":
                raise no_resource(request.url)
            return self.bulk.plan(request, table, message)
        if name.startswith(_NAMESPACE):
            return self.actions.bound(request, table, rest[0], to_row=False)
        raise unknown_segment(name)

    def _rows(self, asked: TableQuery) -> Response:
        if asked.query.fetch_xml is not None:
            return fetched(asked, asked.query.fetch_xml)
        if (answered := predefined(asked)) is not None:
            return answered
        if asked.query.apply is not None:
            return aggregated(asked, asked.query.apply)
        if asked.query.delta_token is not None:
            return changes_since(asked)
        if asked.request.preferences.track_changes:
            return tracked_rows(asked)
        return collection(asked)

    def _asked(self, request: Request, table: Table) -> TableQuery:
        query = parse_query(request.query)
        return TableQuery(environment=self.environment, request=request, table=table, query=query)

    def reset(self) -> None:
        """Restores the first schema and rows, and forgets jobs and recorded calls."""
        self.bulk_deletes.cancel()
        self.metadata.indexes.cancel()
        self.environment.reset()
        self.actions.clear()
