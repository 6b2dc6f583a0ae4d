"""The columns of tables and FetchXML queries, from metadata alone."""

from __future__ import annotations

import pytest

from shared.definitions.models import ColumnType
from shared.entities import AttributeMetadata, AttributeType, DateBehavior, EntityMetadata
from shared.errors import UserError
from shared.fetch_xml import read_fetch
from shared.sources.dynamics.fetched import fetched_columns
from shared.sources.dynamics.members import Columns, table_columns


def table(table_name: str, **kinds: AttributeType) -> EntityMetadata:
    attributes = {each: AttributeMetadata(name=each, type=kind) for each, kind in kinds.items()}
    return EntityMetadata(
        logical_name=table_name,
        entity_set=f"{table_name}s",
        display_name=table_name,
        primary_id=f"{table_name}id",
        primary_name="name",
        attributes=attributes,
    )


ACCOUNT = table(
    "account",
    name=AttributeType.STRING,
    revenue=AttributeType.MONEY,
    share=AttributeType.DOUBLE,
    size=AttributeType.BIGINT,
    open=AttributeType.BOOLEAN,
    kind=AttributeType.PICKLIST,
    kinds=AttributeType.MULTI_PICKLIST,
    createdon=AttributeType.DATETIME,
    parentid=AttributeType.LOOKUP,
    logo=AttributeType.IMAGE,
)
CONTACT = table("contact", fullname=AttributeType.STRING, accountid=AttributeType.LOOKUP)


def fetched(inside: str, settings: str = "") -> Columns:
    query = read_fetch(f"<fetch {settings}><entity name='account'>{inside}</entity></fetch>")
    return fetched_columns(query, ACCOUNT, {"contact": CONTACT}.__getitem__)


def members(columns: Columns) -> dict[str, str]:
    return {name: member.name for name, member in columns.members.items()}


def test_types_are_those_of_the_metadata() -> None:
    """Decimals keep their digits, doubles are read as their texts, and a lookup is an id."""
    found = {name: (member.known.type, member.known.sql_type) for name, member in table_columns(ACCOUNT).own.items()}
    assert found == {
        "name": (ColumnType.TEXT, "VARCHAR"),
        "revenue": (ColumnType.NUMBER, "DECIMAL(38,10)"),
        "share": (ColumnType.NUMBER, "VARCHAR"),
        "size": (ColumnType.NUMBER, "BIGINT"),
        "open": (ColumnType.BOOL, "BOOLEAN"),
        "kind": (ColumnType.NUMBER, "BIGINT"),
        "kinds": (ColumnType.TEXT, "VARCHAR"),
        "createdon": (ColumnType.DATE, "TIMESTAMP"),
        "parentid": (ColumnType.TEXT, "VARCHAR"),
    }


def test_a_date_without_time_is_a_date() -> None:
    """A moment without a zone would be another value."""
    attribute = AttributeMetadata(name="due", type=AttributeType.DATETIME, date_behavior=DateBehavior.DATE_ONLY)
    entity = EntityMetadata(
        logical_name="a",
        entity_set="as",
        display_name="",
        primary_id="",
        primary_name="",
        attributes={"due": attribute},
    )
    assert table_columns(entity).own["due"].known.sql_type == "DATE"


def test_labels_and_parts_of_lookups_are_further_columns() -> None:
    """A text column has no label; a column that cannot be read is named with the reason."""
    found = table_columns(ACCOUNT)
    assert "name__label" not in found.parts
    assert found.parts["parentid__id"].name == "_parentid_value"
    assert found.parts["parentid__entity"].name == "_parentid_value@Microsoft.Dynamics.CRM.lookuplogicalname"
    assert found.parts["parentid__label"].name == "_parentid_value@OData.Community.Display.V1.FormattedValue"
    assert found.parts["kind__label"].name == "kind@OData.Community.Display.V1.FormattedValue"
    assert found.unreadable == {
        "logo": "account: the column logo is of type Image, which a source does not read",
    }


def test_a_query_has_the_columns_of_its_elements() -> None:
    """By alias if there is one."""
    found = fetched("<attribute name='name' alias='title'/><attribute name='parentid'/><attribute name='kind'/>")
    assert list(found.own) == ["title", "parentid", "kind"]
    assert members(found)["title"] == "title"
    assert members(found)["parentid__label"] == "_parentid_value@OData.Community.Display.V1.FormattedValue"


@pytest.mark.parametrize("inside", ["", "<all-attributes/>", "<filter/>"])
def test_a_query_without_columns_has_all_columns_of_its_table(inside: str) -> None:
    """As Microsoft documents it."""
    assert fetched(inside).own.keys() == table_columns(ACCOUNT).own.keys()


def test_the_alias_of_a_joined_table_is_a_prefix_of_its_columns() -> None:
    """Also in a join of a join; a lookup in it has no underscores."""
    inner = "<link-entity name='contact' from='a' to='b' alias='d'><attribute name='fullname'/></link-entity>"
    joined = f"<link-entity name='contact' from='a' to='b' alias='c'><attribute name='accountid'/>{inner}</link-entity>"
    found = fetched(f"<attribute name='name'/>{joined}")
    assert list(found.own) == ["name", "c.accountid", "d.fullname"]
    assert members(found)["c.accountid"] == "c.accountid"
    assert members(found)["c.accountid__label"] == "c.accountid@OData.Community.Display.V1.FormattedValue"


def test_a_join_without_columns_needs_no_alias() -> None:
    """It only selects records."""
    assert list(fetched("<attribute name='name'/><link-entity name='contact'/>").own) == ["name"]
    with pytest.raises(UserError, match="the link-entity contact needs an alias"):
        fetched("<link-entity name='contact'><attribute name='fullname'/></link-entity>")


def test_aggregates_are_numbers() -> None:
    """Except the smallest and the largest value, which have the type of the column."""
    found = fetched(
        "<attribute name='name' alias='n' aggregate='count'/><attribute name='createdon' alias='first' aggregate='min'/>"
        "<attribute name='createdon' alias='year' groupby='true' dategrouping='year'/>",
        "aggregate='true'",
    )
    assert {name: member.known.type for name, member in found.own.items()} == {
        "n": ColumnType.NUMBER,
        "first": ColumnType.DATE,
        "year": ColumnType.NUMBER,
    }


def test_a_computed_column_needs_an_alias() -> None:
    """Dataverse refuses the query otherwise."""
    for attribute in ("aggregate='count'", "groupby='true' dategrouping='year'"):
        with pytest.raises(UserError, match="the attribute createdon needs an alias"):
            fetched(f"<attribute name='createdon' {attribute}/>", "aggregate='true'")
