"""Relationships in the metadata: read, created, deleted, taken from files."""

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
import yaml

from emulator.schema.entity_definitions import read_entity_definitions
from emulator.schema.loader import SchemaFileError, builtin_schema, read_schema_file
from emulator.testing import running
from tests.emulator import relations_world
from tests.emulator.http_client import Client, error, made

SCHEMA = relations_world.SCHEMA

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
CASTS = "RelationshipDefinitions/Microsoft.Dynamics.CRM"
ACCOUNT = "EntityDefinitions(LogicalName='account')"


def _rows(client: Client, path: str) -> list[dict[str, Any]]:
    answer = client.send("GET", path)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["value"]
    return rows


def test_cascades_are_in_the_metadata(client: Client) -> None:
    """From both tables of a relationship, with the values of the reference pages."""
    query = "$filter=SchemaName eq 'account_parent_account'&$select=SchemaName,CascadeConfiguration,IsHierarchical"
    for name in ("ManyToOneRelationships", "OneToManyRelationships"):
        found = _rows(client, f"{ACCOUNT}/{name}?{query}")
        assert found[0]["IsHierarchical"] is True
        cascade = found[0]["CascadeConfiguration"]
        assert (cascade["Assign"], cascade["Delete"], cascade["Merge"]) == ("Cascade", "RemoveLink", "Cascade")
    found = _rows(client, f"{ACCOUNT}/OneToManyRelationships?$filter=ReferencingEntity eq 'contact'")
    by_name = {one["SchemaName"]: one["CascadeConfiguration"]["Delete"] for one in found}
    assert by_name["contact_customer_accounts"] == "Cascade"
    expanded = client.send(
        "GET", f"{ACCOUNT}?$select=LogicalName&$expand=ManyToManyRelationships($select=SchemaName,IntersectEntityName)"
    ).json()
    names = {one["SchemaName"]: one["IntersectEntityName"] for one in expanded["ManyToManyRelationships"]}
    assert names == {"accountleads_association": "accountleads", "new_parent_account": "new_parent_account"}


def test_relationships_by_kind_and_by_name(client: Client) -> None:
    """The collection has both kinds; a cast chooses one, and its own properties can be selected."""
    kinds = {one["RelationshipType"] for one in _rows(client, "RelationshipDefinitions?$select=RelationshipType")}
    assert kinds == {"OneToManyRelationship", "ManyToManyRelationship"}
    query = "$select=SchemaName,Entity1LogicalName,Entity2IntersectAttribute"
    found = _rows(client, f"{CASTS}.ManyToManyRelationshipMetadata?{query}")
    pairs = {one["SchemaName"]: (one["Entity1LogicalName"], one["Entity2IntersectAttribute"]) for one in found}
    assert pairs["accountleads_association"] == ("account", "leadid")
    assert pairs["new_parent_friends"] == ("new_parent", "new_parentidtwo")
    count = client.send("GET", f"{CASTS}.ManyToManyRelationshipMetadata/$count").content.decode("utf-8-sig")
    assert int(count) == len(found)
    one = client.send("GET", "RelationshipDefinitions(SchemaName='teammembership_association')").json()
    assert one["Entity1NavigationPropertyName"] == "teammembership_association"
    cast = f"RelationshipDefinitions({one['MetadataId']})/Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata"
    assert client.send("GET", f"{cast}?$select=IntersectEntityName").json()["IntersectEntityName"] == "teammembership"
    assert client.send("GET", f"{CASTS}.OneToManyRelationshipMetadata?$select=Entity1LogicalName").status_code == 400
    assert client.send("GET", "RelationshipDefinitions?$select=Entity1LogicalName").status_code == 400
    assert client.send("GET", f"{CASTS}.NothingMetadata").status_code == 404


def test_intersect_tables_are_marked(client: Client) -> None:
    """`IsIntersect`, no primary name, the set, and the relationship."""
    found = _rows(client, "EntityDefinitions?$filter=IsIntersect eq true&$select=LogicalName,EntitySetName")
    sets = {one["LogicalName"]: one["EntitySetName"] for one in found}
    assert sets["accountleads"] == "accountleadscollection"
    assert sets["teammembership"] == "teammemberships"
    assert sets["new_parent_friends"] == "new_parent_friendsset"
    table = client.send("GET", "EntityDefinitions(LogicalName='accountleads')?$expand=ManyToManyRelationships").json()
    assert table["PrimaryNameAttribute"] is None
    assert [one["SchemaName"] for one in table["ManyToManyRelationships"]] == ["accountleads_association"]
    attributes = _rows(client, "EntityDefinitions(LogicalName='accountleads')/Attributes")
    assert {one["LogicalName"]: one["IsValidForCreate"] for one in attributes} == dict.fromkeys(
        ("accountid", "accountleadid", "leadid", "versionnumber"), False
    )


def test_the_metadata_document_has_pairs_and_principals(client: Client) -> None:
    """Name and partner are equal for a pair; users and teams inherit their key; the owner is a principal."""
    document = fromstring(client.send("GET", "$metadata").content)  # noqa: S314 - our own document
    types = {one.get("Name"): one for one in document.iter(f"{EDM}EntityType")}
    pairs = [one for one in types["account"].iter(f"{EDM}NavigationProperty") if one.get("Name") == one.get("Partner")]
    assert [(one.get("Name"), one.get("Type")) for one in pairs] == [
        ("accountleads_association", "Collection(mscrm.lead)"),
        ("new_parent_account", "Collection(mscrm.new_parent)"),
    ]
    assert types["systemuser"].get("BaseType") == types["team"].get("BaseType") == "mscrm.principal"
    assert types["systemuser"].find(f"{EDM}Key") is None
    owners = [one for one in types["account"].iter(f"{EDM}NavigationProperty") if one.get("Name") == "ownerid"]
    assert [(one.get("Type"), one.get("Partner")) for one in owners] == [("mscrm.principal", "owner_accounts")]
    owned = {one.get("Name"): one for one in types["principal"].iter(f"{EDM}NavigationProperty")}
    assert (owned["owner_accounts"].get("Type"), owned["owner_accounts"].get("Partner")) == (
        "Collection(mscrm.account)",
        "ownerid",
    )
    bindings = [
        one.get("Target")
        for one in document.iter(f"{EDM}NavigationPropertyBinding")
        if one.get("Path") == "teammembership_association"
    ]
    assert sorted(map(str, bindings)) == ["systemusers", "teams"]


def test_every_partner_is_a_navigation_property_that_leads_back(client: Client) -> None:
    """Also one that the other type has from its base; and no type has a property twice."""
    document = fromstring(client.send("GET", "$metadata").content)  # noqa: S314 - our own document
    types = {str(one.get("Name")): one for one in document.iter(f"{EDM}EntityType")}
    own = {name: [one for one in kind if one.tag == f"{EDM}NavigationProperty"] for name, kind in types.items()}

    def properties(name: str) -> list[str]:
        base = str(types[name].get("BaseType", "")).removeprefix("mscrm.")
        found = [str(one.get("Name")) for one in types[name] if "Property" in one.tag]
        return [*found, *(properties(base) if base else [])]

    for name, navigations in own.items():
        assert len(properties(name)) == len(set(properties(name))), name
        for one in navigations:
            other = str(one.get("Type")).removeprefix("Collection(").removesuffix(")").removeprefix("mscrm.")
            assert one.get("Partner") is None or one.get("Partner") in properties(other), (name, one.attrib)


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (
            "account",
            ["lk_accountbase_createdby", "owner_accounts", "user_accounts", "team_accounts", "business_unit_accounts"],
        ),
        (
            "new_parent",
            ["lk_new_parent_createdby", "owner_new_parent", "user_new_parent", "team_new_parent"],
        ),
    ],
)
def test_the_lookups_of_every_table_have_dataverses_relationships(client: Client, table: str, names: list[str]) -> None:
    """Users and teams have the collections of their rows under these names."""
    made(client, "accounts", name="A")
    rows = _rows(client, f"EntityDefinitions(LogicalName='{table}')/ManyToOneRelationships")
    assert {one["SchemaName"] for one in rows} >= set(names)
    user = client.send("GET", "WhoAmI").json()["UserId"]
    if table == "account":
        for name in ("owner_accounts", "user_accounts", "lk_accountbase_createdby"):
            assert [one["name"] for one in _rows(client, f"systemusers({user})/{name}")] == ["A"]
        expanded = client.send("GET", f"systemusers({user})?$expand=owner_accounts($select=name)").json()
        assert [one["name"] for one in expanded["owner_accounts"]] == ["A"]


def test_relationships_are_created_and_deleted(client: Client) -> None:
    """One-to-many with its behaviour, many-to-many with its set; both work at once and go at once."""
    pairs = {
        "@odata.type": "Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata",
        "SchemaName": "new_contact_product",
        "IntersectEntityName": "new_contact_product",
        "Entity1LogicalName": "contact",
        "Entity2LogicalName": "product",
        "Entity1NavigationPropertyName": "new_products",
        "Entity2NavigationPropertyName": "new_contacts",
    }
    answer = client.send("POST", "RelationshipDefinitions", pairs)
    assert answer.status_code == 204, answer.text
    address = answer.headers["OData-EntityId"].partition("/api/data/v9.2/")[2]
    contact = made(client, "contacts", lastname="L", new_products=[{"name": "P", "productnumber": "1"}])
    assert _rows(client, f"contacts({contact})/new_products")[0]["name"] == "P"
    assert _rows(client, "products?$expand=new_contacts")[0]["new_contacts"][0]["contactid"] == contact
    assert len(_rows(client, "new_contact_productset")) == 1
    assert client.send("POST", "RelationshipDefinitions", pairs).status_code == 400
    assert client.send("DELETE", address).status_code == 204
    assert client.send("GET", "new_contact_productset").status_code == 404
    assert client.send("GET", f"contacts({contact})/new_products").status_code == 400
    system = client.send("GET", "RelationshipDefinitions(SchemaName='accountleads_association')").json()["MetadataId"]
    assert client.send("DELETE", f"RelationshipDefinitions({system})").status_code == 403


def test_a_created_lookup_has_its_behaviour(client: Client) -> None:
    """`CascadeConfiguration` of the request decides what a deletion does."""
    body = {
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "SchemaName": "new_account_lead_Partner",
        "ReferencedEntity": "account",
        "ReferencingEntity": "lead",
        "CascadeConfiguration": {"Delete": "Restrict", "Assign": "NoCascade"},
        "Lookup": {"SchemaName": "new_PartnerId", "AttributeType": "Lookup"},
    }
    assert client.send("POST", "RelationshipDefinitions", body).status_code == 204
    account = made(client, "accounts", name="A")
    made(client, "leads", subject="S", **{"new_PartnerId@odata.bind": f"accounts({account})"})
    assert error(client.send("DELETE", f"accounts({account})")) == (405, "0x80040227")
    other = {**body, "SchemaName": "new_contact_lead_Partner", "ReferencedEntity": "contact"}
    answer = client.send("POST", "RelationshipDefinitions", other)
    assert answer.status_code == 501
    assert "new_PartnerId" in answer.text


def test_a_deleted_table_loses_its_relationships(client: Client) -> None:
    """Its many-to-many relationships and their pairs are deleted too."""
    parent, account = made(client, "new_parents"), made(client, "accounts", name="A")
    answer = client.send(
        "POST", f"new_parents({parent})/new_parent_account/$ref", {"@odata.id": f"accounts({account})"}
    )
    assert answer.status_code == 204
    assert client.send("DELETE", "EntityDefinitions(LogicalName='new_parent')").status_code == 204
    assert client.send("GET", "new_parent_accountset").status_code == 404
    assert client.send("DELETE", f"accounts({account})").status_code == 204


def test_the_metadata_of_an_environment_is_a_schema(client: Client, tmp_path: Path) -> None:
    """What one emulator answers is a schema file for the next: cascades, hierarchies, pairs, sets."""
    query = "$expand=Attributes,Keys,ManyToOneRelationships,ManyToManyRelationships"
    filters = " or ".join(f"LogicalName eq '{name}'" for name in ("new_parent", "new_child", "new_parent_friends"))
    content = client.send("GET", f"EntityDefinitions?$filter={filters}&{query}").json()
    file = tmp_path / "tables.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    schema = read_entity_definitions(file, builtin_schema())
    columns = schema.tables["new_child"].columns
    assert columns["new_restrictid"].cascades["new_parent"].delete == "Restrict"
    assert columns["new_activeid"].cascades["new_parent"].assign == "Active"
    assert columns["new_anyid"].cascades["account"].delete == "Restrict"
    assert columns["new_anyid"].cascades["new_parent"].delete == "Cascade"
    assert columns["createdby"].cascades["systemuser"].delete == "NoCascade"
    assert schema.tables["new_parent"].columns["new_upid"].hierarchical
    friends = schema.by_entity_set["new_parent_friendsset"]
    assert (friends.primary_id, friends.intersect) == ("new_friendshipid", ("new_parentidone", "new_parentidtwo"))
    assert "new_parent_untracked" not in schema.many_to_many  # the other table is not in the file
    with running(in_thread=True, limits="none", schema=[file]) as emulator, Client(emulator) as other:
        first = made(other, "new_parents", new_name="A")
        made(
            other, "new_parents", new_name="B", **{"Referencednew_parent_friends@odata.bind": [f"new_parents({first})"]}
        )
        assert len(_rows(other, f"new_parents({first})/Referencingnew_parent_friends")) == 1


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"many_to_many": {"new_x": {"tables": ["account"]}}}, "new_x: tables"),
        ({"many_to_many": {"new_x": {"tables": ["account", "nothing"]}}}, "no table nothing"),
        ({"many_to_many": {"new_x": {"tables": ["account", "contact"], "wrong": 1}}}, "its settings are"),
        ({"many_to_many": {"new_x": {"tables": ["account", "contact"], "navigation": ["a"]}}}, "navigation is a list"),
        ({"many_to_many": {"new_x": {"tables": ["account", "account"], "navigation": ["a", "a"]}}}, "different names"),
        ({"many_to_many": ["new_x"]}, "many_to_many maps"),
        ({"new_T": {"columns": {"new_Name": {"type": "String"}, "new_L": {"cascade": "all"}}}}, "cascade is one of"),
        (
            {"new_T": {"columns": {"new_Name": {"type": "String"}, "new_L": {"cascade": {"erase": "Cascade"}}}}},
            "'erase'",
        ),
        (
            {"new_T": {"columns": {"new_Name": {"type": "String"}, "new_L": {"cascade": {"delete": "Active"}}}}},
            "cascade delete can be Cascade, NoCascade, RemoveLink, Restrict, not 'Active'",
        ),
    ],
)
def test_a_wrong_relationship_in_a_file_is_named(tmp_path: Path, content: dict[str, Any], named: str) -> None:
    """The message has the relationship or the column, and what is possible."""
    for table in content.values():
        lookup = table.get("columns", {}).get("new_L") if isinstance(table, dict) else None
        if lookup:
            lookup |= {"type": "Lookup", "targets": ["account"]}
    file = tmp_path / "schema.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(SchemaFileError, match=named):
        read_schema_file(file, builtin_schema())


def test_a_database_file_keeps_pairs(tmp_path: Path) -> None:
    """A second start on the same file has the pairs and the keys of principals."""
    for start in range(2):
        with running(in_thread=True, limits="none", db=tmp_path / "x.db") as emulator, Client(emulator) as client:
            if start == 0:
                account = made(client, "accounts", name="A", accountleads_association=[{"subject": "S"}])
            assert _rows(client, f"accounts({account})/accountleads_association")[0]["subject"] == "S"
            users = _rows(client, "systemusers?$select=fullname")
            assert all(one["ownerid"] == one["systemuserid"] for one in users)
