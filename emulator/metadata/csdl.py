"""``$metadata``: the schema as a CSDL document (OData 4.0), with the structure of Dataverse's document."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from emulator.errors import NAMESPACE
from emulator.odata.types import edm_type
from emulator.schema.closing import built_in_actions
from emulator.schema.model import Action, Column, Schema, Table

__all__ = ["metadata_document"]

_ALIAS: Final = "mscrm"
_EDMX: Final = "http://docs.oasis-open.org/odata/ns/edmx"
_EDM: Final = "http://docs.oasis-open.org/odata/ns/edm"
_READ_ONLY: Final = "Org.OData.Core.V1.PermissionType/Read"
_FUNCTIONS: Final = ("WhoAmI", "RetrieveVersion")
_DECIMAL_TYPES: Final = frozenset({"Edm.Decimal"})
# A collection-valued navigation property: its name, the children's table, and the lookup's navigation property.
_Incoming = tuple[str, Table, str]


def metadata_document(schema: Schema, *, annotations: bool = False) -> bytes:
    """Return the document as UTF-8 XML.

    Args:
        schema: The tables and actions to describe.
        annotations: Whether to add descriptions and permissions, as for ``?annotations=true``.
    """
    root = Element("edmx:Edmx", {"Version": "4.0", "xmlns:edmx": _EDMX})
    services = SubElement(root, "edmx:DataServices")
    body = SubElement(services, "Schema", {"Namespace": NAMESPACE, "Alias": _ALIAS, "xmlns": _EDM})
    SubElement(body, "EntityType", Name="crmbaseentity", Abstract="true")
    incoming = _incoming(schema)
    shared = _shared(schema)
    _principal(body, shared)
    for table in schema.tables.values():
        own = [one for one in incoming[table.logical_name] if not (table.is_principal and one in shared)]
        _entity_type(body, table, schema, own, annotations=annotations)
    _functions(body)
    for table in schema.tables.values():
        _bulk_actions(body, table)
    for action in _actions(schema):
        _action(body, action)
    _container(body, schema, incoming)
    document: bytes = tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>' + document


def _incoming(schema: Schema) -> Mapping[str, list[_Incoming]]:
    """The collection-valued navigation properties of each table, from the lookups of the other tables."""
    found: defaultdict[str, list[_Incoming]] = defaultdict(list)
    for table in schema.tables.values():
        for column in table.columns.values():
            for target, relationship in column.relationships.items():
                if target in schema.tables and target in column.navigation:
                    found[target].append((relationship, table, column.navigation[target]))
    return found


def _shared(schema: Schema) -> list[_Incoming]:
    """The collections that users and teams have in common: of lookups with one navigation property for both."""
    found: list[_Incoming] = []
    for table in schema.tables.values():
        for column in table.columns.values():
            targets = [schema.tables.get(target) for target in column.targets]
            if len(targets) > 1 and all(target is not None and target.is_principal for target in targets):
                relationships, navigations = {*column.relationships.values()}, {*column.navigation.values()}
                if len(relationships) == len(navigations) == 1:
                    found.append((relationships.pop(), table, navigations.pop()))
    return found


def _principal(body: Element, shared: list[_Incoming]) -> None:
    """The base of users and teams: their key, and the rows of both (web-api-entitytypes, "EntityType inheritance")."""
    principal = SubElement(body, "EntityType", Name="principal", BaseType=f"{_ALIAS}.crmbaseentity", Abstract="true")
    SubElement(SubElement(principal, "Key"), "PropertyRef", Name="ownerid")
    SubElement(principal, "Property", Name="ownerid", Type="Edm.Guid")
    _collections(principal, shared)


def _entity_type(body: Element, table: Table, schema: Schema, incoming: list[_Incoming], *, annotations: bool) -> None:
    base = "principal" if table.is_principal else "crmbaseentity"
    entity = SubElement(body, "EntityType", Name=table.logical_name, BaseType=f"{_ALIAS}.{base}")
    if not table.is_principal:
        SubElement(SubElement(entity, "Key"), "PropertyRef", Name=table.primary_id)
    for column in table.columns.values():
        if not (table.is_principal and column.logical_name == "ownerid"):
            _property(entity, column, annotations=annotations)
    for column in table.columns.values():
        for target, name in column.navigation.items():
            if target in schema.tables:
                _lookup(entity, table, column, name, schema.tables[target])
    _pairs(entity, table, schema)
    _collections(entity, incoming)
    _alternate_keys(entity, table)


def _collections(entity: Element, incoming: list[_Incoming]) -> None:
    for relationship, child, partner in incoming:
        kind = f"Collection({_ALIAS}.{child.logical_name})"
        SubElement(entity, "NavigationProperty", Name=relationship, Type=kind, Partner=partner)


def _property(entity: Element, column: Column, *, annotations: bool) -> None:
    kind = edm_type(column)
    described = SubElement(entity, "Property", Name=column.property_name, Type=kind)
    if kind in _DECIMAL_TYPES:
        described.set("Scale", "Variable")
    if column.ascii_only:
        described.set("Unicode", "false")
    if not annotations:
        return
    if column.description:
        _annotation(described, "Org.OData.Core.V1.Description", String=column.description)
    if column.computed:
        _annotation(described, "Org.OData.Core.V1.Computed", Bool="true")
    if not column.valid_for_create and not column.valid_for_update:
        permissions = SubElement(described, "Annotation", Term="Org.OData.Core.V1.Permissions")
        SubElement(permissions, "EnumMember").text = _READ_ONLY


def _annotation(parent: Element, term: str, **value: str) -> None:
    SubElement(parent, "Annotation", {"Term": term, **value})


def _pairs(entity: Element, table: Table, schema: Schema) -> None:
    """The collections of many-to-many relationships: name and partner are mostly the same."""
    for (owner, name), (_, _, far) in schema.pairs.items():
        if owner == table.logical_name:
            kind = f"Collection({_ALIAS}.{far.table})"
            SubElement(entity, "NavigationProperty", Name=name, Type=kind, Partner=far.navigation)


def _lookup(entity: Element, table: Table, column: Column, name: str, target: Table) -> None:
    targets = table.targets_of(name)
    if targets[0] != target.logical_name:  # the owner has one navigation property for users and teams
        return
    kind = "principal" if len(targets) > 1 else target.logical_name
    navigation = SubElement(entity, "NavigationProperty", Name=name, Type=f"{_ALIAS}.{kind}")
    if column.required == "SystemRequired":
        navigation.set("Nullable", "false")
    partners = {column.relationships.get(each) for each in targets}
    if len(partners) == 1 and target.logical_name in column.relationships:  # else a principal has none of them
        navigation.set("Partner", column.relationships[target.logical_name])
    key = "ownerid" if target.is_principal else target.primary_id
    constraint = {"Property": column.property_name, "ReferencedProperty": key}
    SubElement(navigation, "ReferentialConstraint", constraint)


def _alternate_keys(entity: Element, table: Table) -> None:
    if not table.keys:
        return
    annotation = SubElement(entity, "Annotation", Term="OData.Community.Keys.V1.AlternateKeys")
    collection = SubElement(annotation, "Collection")
    for key in table.keys:
        record = SubElement(collection, "Record", Type="OData.Community.Keys.V1.AlternateKey")
        parts = SubElement(SubElement(record, "PropertyValue", Property="Key"), "Collection")
        for name in key.columns:
            part = SubElement(parts, "Record", Type="OData.Community.Keys.V1.PropertyRef")
            property_name = table.columns[name].property_name
            SubElement(part, "PropertyValue", Property="Alias", String=property_name)
            SubElement(part, "PropertyValue", Property="Name", PropertyPath=property_name)


def _functions(body: Element) -> None:
    response = SubElement(body, "ComplexType", Name="WhoAmIResponse")
    for name in ("BusinessUnitId", "UserId", "OrganizationId"):
        SubElement(response, "Property", Name=name, Type="Edm.Guid", Nullable="false")
    version = SubElement(body, "ComplexType", Name="RetrieveVersionResponse")
    SubElement(version, "Property", Name="Version", Type="Edm.String", Nullable="false")
    for name in _FUNCTIONS:
        function = SubElement(body, "Function", Name=name)
        SubElement(function, "ReturnType", Type=f"{_ALIAS}.{name}Response", Nullable="false")


def _bulk_actions(body: Element, table: Table) -> None:
    for message in sorted(table.bulk_messages):
        action = SubElement(body, "Action", Name=message, IsBound="true")
        rows = f"Collection({_ALIAS}.{table.logical_name})"
        SubElement(action, "Parameter", Name="entityset", Type=rows, Nullable="false")
        SubElement(action, "Parameter", Name="Targets", Type=rows, Nullable="false")


def _actions(schema: Schema) -> list[Action]:
    """The actions of the emulator itself, and those that a schema file declares instead of them or besides them."""
    return [*(one for one in built_in_actions() if one.name not in schema.actions), *schema.actions.values()]


def _action(body: Element, action: Action) -> None:
    described = SubElement(body, "Function" if action.is_function else "Action", Name=action.name)
    if action.bound_to is not None:
        described.set("IsBound", "true")
        bound = f"{_ALIAS}.{action.bound_to}"
        kind = f"Collection({bound})" if action.bound_to_collection else bound
        SubElement(described, "Parameter", Name="entity", Type=kind, Nullable="false")
    for parameter in action.parameters:
        given = SubElement(described, "Parameter", Name=parameter.name, Type=parameter.type)
        if parameter.required:
            given.set("Nullable", "false")
    if action.response is not None:
        SubElement(described, "ReturnType", Type=f"{_ALIAS}.{action.name}Response", Nullable="false")


def _container(body: Element, schema: Schema, incoming: Mapping[str, list[_Incoming]]) -> None:
    for action in schema.actions.values():
        if action.response is not None:
            SubElement(body, "ComplexType", Name=f"{action.name}Response", OpenType="true")
    container = SubElement(body, "EntityContainer", Name="System")
    for table in schema.tables.values():
        entity_set = SubElement(
            container, "EntitySet", Name=table.entity_set, EntityType=f"{NAMESPACE}.{table.logical_name}"
        )
        for path, target in _bindings(table, schema, incoming[table.logical_name]):
            SubElement(entity_set, "NavigationPropertyBinding", {"Path": path, "Target": target.entity_set})
    for name in _FUNCTIONS:
        SubElement(container, "FunctionImport", Name=name, Function=f"{NAMESPACE}.{name}")
    for action in _actions(schema):
        if action.bound_to is None:
            kind = "Function" if action.is_function else "Action"
            SubElement(container, f"{kind}Import", {"Name": action.name, kind: f"{NAMESPACE}.{action.name}"})


def _bindings(table: Table, schema: Schema, incoming: list[_Incoming]) -> Iterator[tuple[str, Table]]:
    """Every navigation property of a table with the table that it leads to."""
    for column in table.columns.values():
        for target, name in column.navigation.items():
            if target in schema.tables and table.targets_of(name)[0] == target:
                yield name, schema.tables[target]
    for (owner, name), (_, _, far) in schema.pairs.items():
        if owner == table.logical_name:
            yield name, schema.tables[far.table]
    for relationship, child, _ in incoming:
        yield relationship, child
