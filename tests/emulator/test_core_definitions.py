"""Queries on definitions: what can be selected and filtered, and which options are for rows only."""

from __future__ import annotations

import pytest

from tests.emulator.http_client import Client, whole_error

ACCOUNT = "EntityDefinitions(LogicalName='account')"
COLUMN = f"{ACCOUNT}/Attributes(LogicalName='industrycode')/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"


@pytest.mark.parametrize("path", ["EntityDefinitions", f"{ACCOUNT}/Attributes", "RelationshipDefinitions"])
@pytest.mark.parametrize("option", ["$top=1", "$orderby=SchemaName", "$count=true"])
def test_definitions_have_no_pages_order_or_count(client: Client, path: str, option: str) -> None:
    """Real organisations refuse these options."""
    message = f"The query parameter {option.partition('=')[0]} is not supported"
    assert whole_error(client.send("GET", f"{path}?{option}")) == (400, "0x80060888", message)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("EntityDefinitions?$filter=Foo eq 1", "EntityMetadata"),
        ("EntityDefinitions?$filter=not (IsPrivate eq true or contains(Foo,'x'))", "EntityMetadata"),
        (f"{ACCOUNT}/Attributes?$filter=Foo eq null", "AttributeMetadata"),
        (f"{ACCOUNT}?$expand=Attributes($filter=Foo eq 1)", "AttributeMetadata"),
    ],
)
def test_a_filter_names_properties_of_the_definition(client: Client, path: str, kind: str) -> None:
    """An unknown one is refused, as in `$select`; it is not taken for null."""
    message = f"Could not find a property named 'Foo' on type 'Microsoft.Dynamics.CRM.{kind}'."
    assert whole_error(client.send("GET", path)) == (400, "0x0", message)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("EntityDefinitions?$filter=startswith(LogicalName,'acc')", "startswith"),
        ("EntityDefinitions/$count?$filter=endswith(LogicalName,'t')", "endswith"),
        (f"{ACCOUNT}/Attributes?$filter=IsSecured eq true and not contains(LogicalName,'a')", "contains"),
        (f"{ACCOUNT}?$expand=Attributes($filter=startswith(LogicalName,'na'))", "startswith"),
        ("RelationshipDefinitions?$filter=startswith(SchemaName,'account')", "startswith"),
        ("GlobalOptionSetDefinitions?$filter=startswith(Name,'x') or Name eq 'y'", "startswith"),
    ],
)
def test_filters_of_definitions_have_no_functions_for_texts(client: Client, path: str, name: str) -> None:
    """Real organisations refuse them, also where no definition would be read."""
    message = f'The "{name}" function isn\'t supported for Metadata Entities'
    assert whole_error(client.send("GET", path)) == (501, "0x8006088a", message)


@pytest.mark.parametrize("path", ["EntityDefinitions", f"{ACCOUNT}/Attributes", f"{ACCOUNT}/Attributes/$count"])
def test_filters_of_definitions_have_no_parts_of_labels(client: Client, path: str) -> None:
    """As documented, a filter reaches one level below a property."""
    answer = whole_error(client.send("GET", f"{path}?$filter=DisplayName/UserLocalizedLabel/Label eq 'Account'"))
    message = "The path 'DisplayName/UserLocalizedLabel/Label' can't be used in a filter of definitions."
    assert answer == (400, "0x80060888", message)


def test_all_properties_of_columns_can_be_selected(client: Client) -> None:
    """Also those that are the same for all columns here."""
    names = (
        "AttributeOf,AutoNumberFormat,CanBeSecuredForRead,CreatedOn,DeprecatedVersion,ExternalName,InheritsFrom,"
        "IsAuditEnabled,IsCustomizable,IsGlobalFilterEnabled,IsRenameable,IsRetrievable,IsSortableEnabled,"
        "IsValidForAdvancedFind,IsValidForForm,IsValidForGrid,LinkedAttributeId,ModifiedOn,Settings"
    )
    path = f"{ACCOUNT}/Attributes?$select={names}&$filter=IsCustomizable/Value eq true"
    columns = client.send("GET", path).json()["value"]
    assert all(column.keys() >= set(names.split(",")) for column in columns)
    assert len(columns) > 100


def test_the_context_names_what_is_selected(client: Client) -> None:
    """As in the samples of the page."""
    answers = {
        f"{ACCOUNT}?$select=DisplayName,EntitySetName": "EntityDefinitions(DisplayName,EntitySetName)/$entity",
        "EntityDefinitions?$select=LogicalName": "EntityDefinitions(LogicalName)",
        f"{COLUMN}?$select=LogicalName&$expand=OptionSet": "PicklistAttributeMetadata(LogicalName,OptionSet)/$entity",
        f"{COLUMN}/OptionSet?$select=Options": "PicklistAttributeMetadata/OptionSet(Options)/$entity",
    }
    for path, ending in answers.items():
        context = client.send("GET", path).json()["@odata.context"]
        assert context.endswith(ending), path


def test_a_complex_property_is_an_object(client: Client) -> None:
    """A simple one is in `value`."""
    label = client.send("GET", f"{ACCOUNT}/DisplayName").json()
    assert label["UserLocalizedLabel"]["Label"] == "Account"
    assert client.send("GET", f"{ACCOUNT}/EntitySetName").json()["value"] == "accounts"


def test_columns_are_not_cast_to_a_base_type(client: Client) -> None:
    """The page has the example; a type without columns gives none."""
    cast = f"{ACCOUNT}/Attributes/Microsoft.Dynamics.CRM"
    status, code, _ = whole_error(client.send("GET", f"{cast}.EnumAttributeMetadata"))
    assert (status, code) == (404, "0x8006088a")
    assert client.send("GET", f"{cast}.FileAttributeMetadata").json()["value"] == []
    message = "The table 'ManagedPropertyDefinitions' is not emulated."
    assert whole_error(client.send("GET", "ManagedPropertyDefinitions")) == (501, "0x80040800", message)


@pytest.mark.parametrize(
    ("kind", "refused"),
    [("File", (501, "0x80040800", "'File' is not emulated")), ("Text", (400, "0x80040203", "no such type 'Text'"))],
)
def test_a_column_of_a_type_that_is_not_emulated_is_named(
    client: Client, kind: str, refused: tuple[int, str, str]
) -> None:
    """A type of the service answers 501, an unknown one 400."""
    column = {"@odata.type": f"Microsoft.Dynamics.CRM.{kind}AttributeMetadata", "SchemaName": "new_Document"}
    answer = client.send("POST", "EntityDefinitions(LogicalName='account')/Attributes", column)
    status, code, named = refused
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert named in answer.json()["error"]["message"]
