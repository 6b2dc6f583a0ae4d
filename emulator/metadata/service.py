"""`EntityDefinitions`, `RelationshipDefinitions`, `GlobalOptionSetDefinitions` and their parts, over HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from emulator.environment import Environment
from emulator.errors import (
    ServiceError,
    invalid_argument,
    method_not_allowed,
    no_resource,
    not_implemented,
    unknown_segment,
)
from emulator.json_depth import is_too_deep
from emulator.messages import Planned, Request, Response, answer, count_answer
from emulator.metadata.attributes import ATTRIBUTE_CLASSES, attribute_class
from emulator.metadata.key_indexes import KeyIndexes
from emulator.metadata.nodes import (
    Node,
    attribute_node,
    check_options,
    child_nodes,
    context_of,
    entity_node,
    global_option_sets,
    matching,
    party_list_nodes,
    relationship_nodes,
    shaped,
)
from emulator.metadata.relationships import MANY_TO_MANY, ONE_TO_MANY
from emulator.metadata.writes import MetadataWrites
from emulator.odata import Query, Segment, parse_query
from emulator.schema import Table
from emulator.schema.faults import NotEmulatedTypeError, SchemaFileError

__all__ = ["METADATA_ROOTS", "Metadata"]

METADATA_ROOTS: Final = frozenset(
    {
        *("EntityDefinitions", "RelationshipDefinitions", "GlobalOptionSetDefinitions", "CreateEntities"),
        "RetrieveMetadataChanges",
    }
)
_NAMESPACE: Final = "Microsoft.Dynamics.CRM."
_WRITES: Final = frozenset({"POST", "PUT", "DELETE"})  # the methods that change definitions
_RELATIONSHIP_BASE: Final = frozenset(
    {
        *("MetadataId", "SchemaName", "RelationshipType", "IsCustomRelationship", "IsManaged", "IsCustomizable"),
        *("IsValidForAdvancedFind", "SecurityTypes", "IntroducedVersion", "HasChanged"),
    }
)
_COLLECTIONS: Final = frozenset(
    {"Attributes", "Keys", "ManyToOneRelationships", "OneToManyRelationships", "ManyToManyRelationships"}
)


class Metadata:
    """Definitions, read and changed."""

    def __init__(self, environment: Environment) -> None:
        """Works on the schema of `environment`."""
        self._environment = environment
        self.indexes = KeyIndexes(environment)
        self._writes = MetadataWrites(environment, self.indexes)

    def plan(self, request: Request, segments: Sequence[Segment]) -> Planned:
        """Plans a metadata request.

        Raises:
            ServiceError: There is no such definition, or the change is not possible.
        """
        if request.method in {"GET", "HEAD"}:
            response = self._read(request, segments)
            return Planned(act=lambda: response)
        return Planned(act=lambda: self._write_checked(request, segments))

    def reactivate_key(self, request: Request) -> Planned:
        """Plans `POST ReactivateEntityKey`.

        Raises:
            ServiceError: There is no such key, or its index has not failed.
        """
        if request.method != "POST":
            raise no_resource(request.url)
        names = ("EntityLogicalName", "EntityKeyLogicalName")
        body = request.parameters("ReactivateEntityKey", names)
        for name in names:
            if not isinstance(body.get(name), str):
                raise invalid_argument(f"Required field '{name}' is missing")

        def act() -> Response:
            self._writes.reactivate_key(body["EntityLogicalName"], body["EntityKeyLogicalName"])
            return answer()

        return Planned(act=act)

    def _write_checked(self, request: Request, segments: Sequence[Segment]) -> Response:
        """Writes a definition; JSON that lacks a property or has a wrong type in it answers 400."""
        try:
            return self._write(request, segments)
        except NotEmulatedTypeError as error:
            raise not_implemented(f"The definition can't be written: {error}.") from error
        except SchemaFileError as error:
            raise invalid_argument(f"The definition is refused: {error}") from error
        except KeyError as error:
            raise invalid_argument(f"The definition is refused: '{error.args[0]}' is missing or unknown.") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise invalid_argument("The definition is refused: one of its values has the wrong type.") from error

    def _read(self, request: Request, segments: Sequence[Segment]) -> Response:
        first, rest = segments[0], segments[1:]
        query = parse_query(request.query)
        check_options(query)
        nodes: list[Node]
        match first.name:
            case "EntityDefinitions" if first.arguments is not None:
                return self._entity(request, self._table(first), rest, query)
            case "EntityDefinitions":
                schema = self._environment.schema
                nodes = [entity_node(table, schema) for table in schema.tables.values()]
            case "RelationshipDefinitions":
                nodes, rest, cast = _cast(relationship_nodes(self._environment.schema), rest)
                if cast:
                    return _relationships(request, first, nodes, cast, rest, query)
                nodes = [_base_only(node) for node in nodes] if first.arguments is None else nodes
            case "GlobalOptionSetDefinitions":
                nodes = global_option_sets(self._environment.schema)
            case _:
                raise unknown_segment(first.name)
        if first.arguments is not None:
            return _one(request, first.name, _addressed(nodes, first), query)
        if _is_count(rest):
            return _total(nodes, query)
        return _many(request, first.name, nodes, query)

    def _table(self, segment: Segment) -> Table:
        wanted = _named(segment)
        for table in self._environment.schema.tables.values():
            content = entity_node(table, self._environment.schema).content
            if all(str(content.get(name)).lower() == str(value).lower() for name, value in wanted.items()):
                return table
        value = next(iter(wanted.values()), "")
        raise ServiceError(404, "0x80060888", f"Could not find an entity with name {value} and metadata id {value}.")

    def _entity(self, request: Request, table: Table, rest: Sequence[Segment], query: Query) -> Response:
        schema = self._environment.schema
        context = f"EntityDefinitions('{table.logical_name}')"
        if not rest:
            return _one(request, "EntityDefinitions", entity_node(table, schema), query)
        child, *rest = rest
        if child.name not in _COLLECTIONS:
            node = entity_node(table, schema)
            if child.name in node.content and not rest:
                value = node.content[child.name]
                content = value if isinstance(value, dict) else {"value": value}
                return answer({"@odata.context": request.context(f"{context}/{child.name}"), **content})
            raise unknown_segment(child.name)
        if _is_count(rest):
            return _total(child_nodes(table, child.name, schema), query)
        if child.name == "Attributes" and (rest or child.arguments is not None):
            return self._attributes(request, table, child, rest, query)
        nodes = child_nodes(table, child.name, schema)
        if child.arguments is not None:
            return _one(request, f"{context}/{child.name}", _addressed(nodes, child), query)
        return _many(request, f"{context}/{child.name}", nodes, query)

    def _attributes(
        self, request: Request, table: Table, segment: Segment, rest: Sequence[Segment], query: Query
    ) -> Response:
        """Columns by cast, by name, or by both; and the option set of a column."""
        context = f"EntityDefinitions('{table.logical_name}')/Attributes"
        cast = rest[0].name.removeprefix(_NAMESPACE) if rest and rest[0].name.startswith(_NAMESPACE) else None
        schema = self._environment.schema
        columns = [column for column in table.columns.values() if cast in {None, attribute_class(column)}]
        nodes = [attribute_node(table, column, schema, cast=cast is not None) for column in columns]
        if cast is not None and cast not in ATTRIBUTE_CLASSES:  # query-metadata-web-api: no cast to their base types
            raise unknown_segment(rest[0].name)
        if cast in {None, "LookupAttributeMetadata"}:
            nodes += party_list_nodes(table, schema, cast=cast is not None)
        if cast is not None:
            context += f"/{_NAMESPACE}{cast}"
            rest = rest[1:]
        if segment.arguments is None:
            return _many(request, context, [_without_type(node) for node in nodes], query)
        node = _addressed(nodes, segment)
        if not rest:
            return _one(request, context, node, query)
        child = node.expandable[rest[0].name]() if rest[0].name in node.expandable else None
        if not isinstance(child, Node):
            raise unknown_segment(rest[0].name)
        return _one(request, f"{context}/{rest[0].name}", child, query)

    def _write(self, request: Request, segments: Sequence[Segment]) -> Response:
        first, *rest = segments
        match request.method, first.name:
            case "POST", "CreateEntities":
                for entity in request.json().get("Entities") or []:
                    self._writes.create_table(entity)
                return answer()
            case "POST", "EntityDefinitions" if first.arguments is None:
                return _made(request, "EntityDefinitions", self._writes.create_table(request.json()))
            case "POST", "RelationshipDefinitions":
                return _made(request, "RelationshipDefinitions", self._writes.create_relationship(request.json()))
            case "DELETE", "RelationshipDefinitions":
                content = _addressed(relationship_nodes(self._environment.schema), first).content
                self._writes.delete_relationship(content)
                return answer()
            case _, "EntityDefinitions" if first.arguments is not None:
                return self._write_table(request, self._table(first), rest)
            case _ if request.method in _WRITES:
                raise not_implemented(f"{request.method} of '{first.name}' is not emulated.")
            case _:
                raise method_not_allowed(request.method)

    def _write_table(self, request: Request, table: Table, rest: Sequence[Segment]) -> Response:
        kind = rest[0].name if rest else ""
        context = f"EntityDefinitions(LogicalName='{table.logical_name}')/{kind}"
        match request.method, kind:
            case "DELETE", "":
                self._writes.delete_table(table)
            case "POST", "Attributes":
                return _made(request, context, self._writes.create_column(table, request.json()))
            case "PUT", "Attributes":
                self._writes.replace_column(table, self._child(table, rest[0])["LogicalName"], request.json())
            case "DELETE", "Attributes":
                self._writes.delete_column(table, self._child(table, rest[0])["LogicalName"])
            case "POST", "Keys":
                return _made(request, context, self._writes.create_key(table, request.json()))
            case "DELETE", "Keys":
                self._writes.delete_key(table, self._child(table, rest[0])["SchemaName"])
            case _ if request.method in _WRITES:
                raise not_implemented(f"{request.method} of '{kind or 'EntityDefinitions'}' is not emulated.")
            case _:
                raise method_not_allowed(request.method)
        return answer()

    def _child(self, table: Table, segment: Segment) -> Mapping[str, Any]:
        return _addressed(child_nodes(table, segment.name, self._environment.schema), segment).content

    def changes(self, request: Request) -> Planned:
        """Plans `RetrieveMetadataChanges(Query=@p1)`: the tables and columns that meet its criteria."""
        wanted = _query_parameter(request)
        try:
            response = self._changes(request, wanted)
        except (TypeError, AttributeError) as error:
            raise invalid_argument("The Query parameter is refused: one of its values has the wrong type.") from error
        return Planned(act=lambda: response)

    def _changes(self, request: Request, wanted: Mapping[str, Any]) -> Response:
        schema = self._environment.schema
        entities = []
        for table in schema.tables.values():
            content = entity_node(table, schema).content
            if not _meets(content, wanted.get("Criteria")):
                continue
            columns = wanted.get("AttributeQuery") or {}
            found = [node.content for node in child_nodes(table, "Attributes", schema)]
            found = [
                _projected(one, columns.get("Properties")) for one in found if _meets(one, columns.get("Criteria"))
            ]
            entities.append({**_projected(content, wanted.get("Properties")), "Attributes": found})
        return answer(
            {
                "@odata.context": request.context("Microsoft.Dynamics.CRM.RetrieveMetadataChangesResponse"),
                "ServerVersionStamp": str(self._environment.metadata_version),
                "EntityMetadata": entities,
                "DeletedMetadata": None,
            }
        )


def _query_parameter(request: Request) -> Mapping[str, Any]:
    text = next(iter(parse_query(request.query).aliases.values()), "{}")
    try:
        wanted = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise invalid_argument(f"The Query parameter is not valid JSON: {error}") from error
    if not isinstance(wanted, dict) or is_too_deep(wanted):
        raise invalid_argument("The Query parameter is not a JSON object, or is nested too deeply.")
    return wanted


def _meets(content: Mapping[str, Any], criteria: Mapping[str, Any] | None) -> bool:
    conditions = (criteria or {}).get("Conditions") or []
    for condition in conditions:
        if condition.get("ConditionOperator") != "Equals":
            raise invalid_argument(
                f"The emulator compares definitions by Equals, not by {condition.get('ConditionOperator')}."
            )
        if str(content.get(condition.get("PropertyName"))) != str((condition.get("Value") or {}).get("Value")):
            return False
    return True


def _projected(content: Mapping[str, Any], properties: Mapping[str, Any] | None) -> dict[str, Any]:
    names = (properties or {}).get("PropertyNames")
    if not names:
        return dict(content)
    kept = {"@odata.type", "MetadataId", "LogicalName", *names}
    return {name: value for name, value in content.items() if name in kept}


def _named(segment: Segment) -> dict[str, Any]:
    """The values in a key predicate: `(LogicalName='account')`, `(Name='x')` or a MetadataId."""
    arguments = segment.arguments
    if arguments is None:
        return {}
    if arguments.single is not None:
        value = arguments.single.value
        return {"MetadataId" if arguments.single.edm == "Edm.Guid" else "LogicalName": value}
    return {name: literal.value for name, literal in arguments.named.items()}


def _addressed(nodes: Sequence[Node], segment: Segment) -> Node:
    wanted = _named(segment)
    for node in nodes:
        if all(str(node.content.get(name)).lower() == str(value).lower() for name, value in wanted.items()):
            return node
    raise ServiceError(404, "0x80060888", f"Could not find a definition with {wanted} in {segment.name}.")


def _without_type(node: Node) -> Node:
    content = {name: value for name, value in node.content.items() if name != "@odata.type"}
    return Node(content=content, type_name=node.type_name, selectable=node.selectable, expandable=node.expandable)


def _one(request: Request, context: str, node: Node, query: Query) -> Response:
    content = shaped([node], replace(query, filter=None))[0]
    return answer({"@odata.context": request.context(f"{context}{context_of(query)}/$entity"), **content})


def _many(request: Request, context: str, nodes: Sequence[Node], query: Query) -> Response:
    return answer({"@odata.context": request.context(context + context_of(query)), "value": shaped(nodes, query)})


def _cast(nodes: list[Node], rest: Sequence[Segment]) -> tuple[list[Node], Sequence[Segment], str | None]:
    """Handles a cast after the collection: the nodes of the type, the rest of the path, and the type's name."""
    if not rest or not rest[0].name.startswith(_NAMESPACE):
        return nodes, rest, None
    name = rest[0].name.removeprefix(_NAMESPACE)
    if name not in {ONE_TO_MANY, MANY_TO_MANY}:
        raise unknown_segment(rest[0].name)
    return [node for node in nodes if node.type_name == name], rest[1:], name


def _relationships(
    request: Request, first: Segment, nodes: Sequence[Node], cast: str, rest: Sequence[Segment], query: Query
) -> Response:
    """The relationships of one kind, or one of them."""
    context = f"{first.name}/{_NAMESPACE}{cast}"
    if first.arguments is not None:
        return _one(request, context, _without_type(_addressed(nodes, first)), query)
    if _is_count(rest):
        return _total(nodes, query)
    return _many(request, context, [_without_type(node) for node in nodes], query)


def _base_only(node: Node) -> Node:
    """A relationship in the collection of all kinds: every property is in the answer, those of the base are known."""
    known = frozenset(node.content) & _RELATIONSHIP_BASE
    return Node(content=node.content, type_name="RelationshipMetadataBase", selectable=known)


def _is_count(rest: Sequence[Segment]) -> bool:
    return [segment.name for segment in rest] == ["$count"]


def _total(nodes: Sequence[Node], query: Query) -> Response:
    return count_answer(len(matching(nodes, query)))


def _made(request: Request, context: str, definition_id: str) -> Response:
    address = f"{request.root}{context}({definition_id})"
    return replace(answer(headers={"OData-EntityId": address}), address=address)
