"""The CSDL document has what a reader of OData 4.0 needs."""

from xml.etree.ElementTree import Element, fromstring

import pytest

from emulator.metadata.csdl import metadata_document
from emulator.schema import Action, ActionParameter, Schema
from tests.emulator.language_world import SCHEMA

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
ACTIONS = {
    "new_Act": Action(name="new_Act", parameters=(ActionParameter(name="Depth", type="Edm.Int32", required=True),)),
    "new_Ask": Action(name="new_Ask", is_function=True, bound_to="new_thing", response={"Answer": 42}),
}


@pytest.fixture(scope="module")
def document() -> Element:
    """The parsed document of the tests' schema and two actions."""
    text = metadata_document(Schema(tables=SCHEMA.tables, actions=ACTIONS), annotations=True)
    return fromstring(text)  # noqa: S314 - our own document


def named(parent: Element, kind: str, name: str) -> Element:
    found = [item for item in parent.iter(f"{EDM}{kind}") if item.get("Name") == name]
    assert len(found) == 1
    return found[0]


def test_tables_are_entity_types_with_a_key(document: Element) -> None:
    """Key, properties with their types, and lookups under the name of their value property."""
    thing = named(document, "EntityType", "new_thing")
    assert thing.find(f"{EDM}Key/{EDM}PropertyRef").attrib == {"Name": "new_thingid"}  # type: ignore[union-attr]  # a None fails the test
    types = {item.get("Name"): item.get("Type") for item in thing.iter(f"{EDM}Property")}
    assert types["new_name"] == "Edm.String"
    assert types["new_day"] == "Edm.Date"
    assert types["new_moment"] == "Edm.DateTimeOffset"
    assert types["new_amount"] == "Edm.Decimal"
    assert types["_new_parentid_value"] == "Edm.Guid"
    assert "new_parentid" not in types


def test_lookups_are_navigation_properties_in_both_directions(document: Element) -> None:
    """The lookup refers to its table and names the collection of the other table; polymorphic ones once per target."""
    thing = named(document, "EntityType", "new_thing")
    parent = named(thing, "NavigationProperty", "new_ParentId")
    assert (parent.get("Type"), parent.get("Partner")) == ("mscrm.new_thing", "new_thing_children")
    constraint = parent.find(f"{EDM}ReferentialConstraint")
    assert constraint is not None
    assert constraint.attrib == {"Property": "_new_parentid_value", "ReferencedProperty": "new_thingid"}
    children = named(thing, "NavigationProperty", "new_thing_children")
    assert (children.get("Type"), children.get("Partner")) == ("Collection(mscrm.new_thing)", "new_ParentId")
    assert named(thing, "NavigationProperty", "new_PartyId_new_other").get("Type") == "mscrm.new_other"


def test_alternate_keys_are_annotated(document: Element) -> None:
    """Under the properties by which a URL names them."""
    thing = named(document, "EntityType", "new_thing")
    paths = [item.get("PropertyPath") for item in thing.iter(f"{EDM}PropertyValue") if item.get("PropertyPath")]
    assert paths == ["new_code", "new_big", "_new_parentid_value"]


def test_the_container_has_sets_messages_and_imports(document: Element) -> None:
    """Entity sets with their bindings, bulk messages bound to collections, declared actions imported."""
    container = named(document, "EntityContainer", "System")
    things = named(container, "EntitySet", "new_things")
    assert things.get("EntityType") == "Microsoft.Dynamics.CRM.new_thing"
    bindings = {item.get("Path"): item.get("Target") for item in things}
    assert bindings["new_ParentId"] == bindings["new_thing_children"] == "new_things"
    assert bindings["new_PartyId_new_other"] == "new_others"
    upserts = [item for item in document.iter(f"{EDM}Action") if item.get("Name") == "UpsertMultiple"]
    assert len(upserts) == len(SCHEMA.tables)
    assert named(container, "ActionImport", "new_Act").get("Action") == "Microsoft.Dynamics.CRM.new_Act"
    assert [item.get("Name") for item in container.iter(f"{EDM}FunctionImport")] == ["WhoAmI", "RetrieveVersion"]
    ask = named(document, "Function", "new_Ask")
    assert ask.get("IsBound") == "true"


def test_descriptions_need_an_option() -> None:
    """`?annotations=true` adds permissions; the plain document is shorter."""
    plain, full = metadata_document(SCHEMA), metadata_document(SCHEMA, annotations=True)
    assert b"Org.OData.Core.V1.Permissions" not in plain
    assert b"Org.OData.Core.V1.Permissions" in full
