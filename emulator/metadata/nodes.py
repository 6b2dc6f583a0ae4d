"""Definitions that are selected, filtered and expanded like rows, but are made from the schema."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from emulator.errors import ODataError, no_function_of_definitions, unknown_property
from emulator.metadata.attributes import BASE_PROPERTIES, attribute_class, attribute_json, option_set_json
from emulator.metadata.definitions import entity_json, key_json
from emulator.metadata.party_lists import party_lists
from emulator.metadata.relationships import relationships, relationships_of
from emulator.odata import Query, matches, paths_of, text_functions_of
from emulator.schema import OPTION_TYPES, Column, ColumnType, Schema, Table
from emulator.schema.activities import PARTIES

__all__ = [
    "Node",
    "attribute_node",
    "check_options",
    "child_nodes",
    "context_of",
    "entity_node",
    "global_option_sets",
    "matching",
    "party_list_nodes",
    "relationship_nodes",
    "shaped",
]

Json = dict[str, Any]
_DEEPEST: Final = (
    2  # query-metadata-web-api: a part of a complex value, such as IsCustomizable/Value, but not of a label
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One definition: its JSON, the properties that can be selected, and related definitions, made on demand."""

    content: Json
    type_name: str
    selectable: frozenset[str] | None = None
    expandable: Mapping[str, Callable[[], "Node | list[Node] | None"]] = field(default_factory=dict)


def entity_node(table: Table, schema: Schema) -> Node:
    """Returns the node of a table."""
    names = ("Attributes", "Keys", "ManyToOneRelationships", "OneToManyRelationships", "ManyToManyRelationships")
    return Node(
        content=entity_json(table),
        type_name="EntityMetadata",
        expandable={name: _later(table, name, schema) for name in names},
    )


def _later(table: Table, name: str, schema: Schema) -> Callable[[], list[Node]]:
    return lambda: child_nodes(table, name, schema)


def child_nodes(table: Table, name: str, schema: Schema) -> list[Node]:
    """Returns the nodes of one of a table's collections."""
    if name == "Attributes":
        nodes = [attribute_node(table, column, schema) for column in table.columns.values()]
        return [*nodes, *party_list_nodes(table, schema)]
    if name == "Keys":
        return [Node(content=key_json(table, key), type_name="EntityKeyMetadata") for key in table.keys]
    return [_relationship_node(one) for one in relationships_of(table, name, schema)]


def _relationship_node(content: Json) -> Node:
    return Node(content=content, type_name=str(content["@odata.type"]).rpartition(".")[2])


def attribute_node(table: Table, column: Column, schema: Schema, *, cast: bool = False) -> Node:
    """Returns the node of a column; with a cast, the properties of its own type can be selected and expanded."""
    del schema
    content = attribute_json(table, column)
    if not cast:
        return Node(content=content, type_name="AttributeMetadata", selectable=BASE_PROPERTIES)
    expandable: dict[str, Callable[[], Node | list[Node] | None]] = {}
    if column.type in OPTION_TYPES or column.type is ColumnType.BOOLEAN:
        options = Node(content=option_set_json(table, column), type_name="OptionSetMetadata")
        expandable["OptionSet"] = lambda: None if column.global_option_set else options
        expandable["GlobalOptionSet"] = lambda: options if column.global_option_set else None
    return Node(content=content, type_name=attribute_class(column), expandable=expandable)


def party_list_nodes(table: Table, schema: Schema, *, cast: bool = False) -> list[Node]:
    """Returns the nodes of an activity's lists of parties, which are columns in the metadata alone."""
    parties = schema.tables.get(PARTIES)
    if parties is None:
        return []
    lists = party_lists(table, parties)
    if cast:
        return [Node(content=content, type_name="LookupAttributeMetadata") for content in lists]
    return [Node(content=content, type_name="AttributeMetadata", selectable=BASE_PROPERTIES) for content in lists]


def relationship_nodes(schema: Schema) -> list[Node]:
    """Returns all relationships."""
    return [_relationship_node(one) for one in relationships(schema)]


def global_option_sets(schema: Schema) -> list[Node]:
    """Returns the global option sets, each once."""
    found: dict[str, Node] = {}
    for table in schema.tables.values():
        for column in table.columns.values():
            if column.global_option_set and column.option_set_name:
                content = option_set_json(table, column)
                found[column.option_set_name] = Node(content=content, type_name="OptionSetMetadata")
    return list(found.values())


def shaped(nodes: Iterable[Node], query: Query) -> list[Json]:
    """Returns the JSON of the nodes that match, with what the query selects and expands.

    Raises:
        ODataError: A property is unknown to the type.
    """
    return [_shape(node, query) for node in matching(nodes, query)]


def matching(nodes: Iterable[Node], query: Query) -> list[Node]:
    """Returns the nodes that the query's filter keeps.

    Raises:
        ODataError: A property of the filter is unknown to the type, or the filter has a function for texts or a path
            to a part of a label.
    """
    all_nodes = list(nodes)
    if query.filter is None:
        return all_nodes
    paths, functions = paths_of(query.filter), text_functions_of(query.filter)
    for node in all_nodes:
        _check(node, [path[0] for path in paths])
    for path in (path for path in paths if len(path) > _DEEPEST):
        raise ODataError(f"The path '{'/'.join(path)}' can't be used in a filter of definitions.")
    if functions:
        raise no_function_of_definitions(functions[0])
    return [node for node in all_nodes if matches(query.filter, _filterable(node.content))]


def check_options(query: Query) -> None:
    """Refuses the options that the service has for rows only: definitions have no pages, order or count.

    Raises:
        ODataError: The query has one of these options; the text is that of real organisations.
    """
    given = {
        "$top": query.top is not None,
        "$orderby": bool(query.order),
        "$count": query.count,
        "$apply": query.apply is not None,
    }
    for name in (name for name, there in given.items() if there):
        raise ODataError(f"The query parameter {name} is not supported")


def context_of(query: Query) -> str:
    """Returns what `@odata.context` says of the query: the names that it selects and expands."""
    expanded = (f"{one.name}{context_of(one.query)}" for one in query.expand)
    names = [*(query.select or ()), *expanded]
    return f"({','.join(names)})" if names else ""


def _filterable(content: Json) -> Json:
    """Adds the parts of managed properties, which filters name as `IsCustomizable/Value`."""
    nested = {
        f"{name}/{inner}": deep
        for name, value in content.items()
        if isinstance(value, dict)
        for inner, deep in value.items()
    }
    return {**content, **nested}


def _shape(node: Node, query: Query) -> Json:
    if query.select is None:
        content = dict(node.content)
    else:
        _check(node, query.select)
        names = dict.fromkeys(("@odata.type", *query.select, "MetadataId"))
        content = {name: node.content[name] for name in names if name in node.content}
    for expand in query.expand:
        if expand.name not in node.expandable:
            raise unknown_property(expand.name, node.type_name)
        child = node.expandable[expand.name]()
        content[expand.name] = _expanded(child, expand.query)
    return content


def _expanded(child: "Node | list[Node] | None", query: Query) -> Json | list[Json] | None:
    if child is None:
        return None
    return shaped(child, query) if isinstance(child, list) else _shape(child, query)


def _check(node: Node, names: Sequence[str]) -> None:
    for name in names:
        known = name in node.content if node.selectable is None else name in node.selectable
        if not known and name not in node.expandable:
            raise unknown_property(name, node.type_name)
