"""The metadata of tables and their relationships, from answers as the service gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import pytest

from shared.dataverse.http.connection import Connection
from shared.dataverse.http.service import Service
from shared.dataverse.metadata.tables import MetadataCache, read_entity
from shared.entities import EntityMetadata, LinkEnd
from shared.http.transport import Request, Response
from tests.unit.dataverse.simulation import BASE, FixedToken, SimulatedClock

TABLE = {
    "LogicalName": "accountleads",
    "EntitySetName": "accountleadscollection",
    "PrimaryIdAttribute": "accountleadid",
    "PrimaryNameAttribute": None,
    "IsIntersect": True,
}
RELATION = {
    "IntersectEntityName": "accountleads",
    "Entity1LogicalName": "account",
    "Entity1IntersectAttribute": "accountid",
    "Entity1NavigationPropertyName": "accountleads_association",
    "Entity2LogicalName": "lead",
    "Entity2IntersectAttribute": "leadid",
    "Entity2NavigationPropertyName": "accountleads_association",
}
COLUMNS = [
    {
        "LogicalName": name,
        "AttributeTypeName": {"Value": "UniqueidentifierType"},
        "IsValidForCreate": False,
        "IsValidForUpdate": False,
    }
    for name in ("accountleadid", "accountid", "leadid")
]


class Answers:
    """A service that knows one table."""

    def __init__(
        self, table: Mapping[str, Any], *relations: Mapping[str, Any], lookups: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self.asked: list[str] = []
        self._table = table
        self._relations = relations
        self._lookups = lookups

    def send(self, request: Request) -> Response:
        path = unquote(request.url.removeprefix(BASE))
        self.asked.append(path)
        if path.startswith("EntityDefinitions?"):
            value: Any = {"value": [self._table]}
        elif "/Attributes" in path:
            value = {"value": COLUMNS}
        elif path.startswith("EntityDefinitions("):
            many = {"ManyToOneRelationships": self._lookups, "ManyToManyRelationships": self._relations}
            value = {"Keys": [], **many}
        else:
            value = {"value": []}
        return Response(status=200, body=json.dumps(value).encode())

    def close(self) -> None:
        pass


def read(answers: Answers) -> EntityMetadata:
    service = Service(Connection(service_url=BASE), transport=answers, users=[FixedToken()], clock=SimulatedClock())
    return read_entity(service, "accountleads", MetadataCache())


def test_the_two_columns_of_an_intersect_table_are_lookups_that_a_new_link_sets() -> None:
    other = {**RELATION, "IntersectEntityName": "accountcontacts"}
    entity = read(Answers(TABLE, other, RELATION))
    assert entity.intersect
    assert entity.ends == (
        LinkEnd(table="account", column="accountid", navigation="accountleads_association"),
        LinkEnd(table="lead", column="leadid", navigation="accountleads_association"),
    )
    columns = entity.attributes
    assert [(columns[name].refers, columns[name].targets) for name in ("accountid", "leadid")] == [
        (True, ("account",)),
        (True, ("lead",)),
    ]
    assert (columns["leadid"].creatable, columns["leadid"].updatable, columns["leadid"].clearable) == (
        True,
        False,
        False,
    )
    assert (columns["accountleadid"].refers, columns["accountleadid"].creatable) == (False, False)


def test_an_intersect_table_need_not_be_shown_by_the_web_api() -> None:
    answers = Answers({**TABLE, "EntitySetName": None}, RELATION)
    assert read(answers).entity_set == ""
    assert all(path.startswith("EntityDefinitions") for path in answers.asked)


def test_an_intersect_table_without_its_relationship_has_no_ends() -> None:
    assert read(Answers(TABLE)).ends == ()


def test_other_tables_are_not_asked_for_relationships_between_many() -> None:
    answers = Answers({**TABLE, "IsIntersect": False}, RELATION)
    entity = read(answers)
    assert (entity.intersect, entity.ends) == (False, ())
    assert not any("ManyToMany" in path for path in answers.asked)


@pytest.mark.parametrize(("stated", "compared"), [(True, True), (False, False), (None, True)])
def test_the_metadata_says_whether_versions_are_compared(*, stated: bool | None, compared: bool) -> None:
    assert read(Answers({**TABLE, "IsOptimisticConcurrencyEnabled": stated})).optimistic_concurrency is compared


def relationship(column: str, table: str, **cascade: str) -> dict[str, Any]:
    return {
        "ReferencingEntityNavigationPropertyName": f"{column}_{table}",
        "ReferencedEntity": table,
        "ReferencingAttribute": column,
        "CascadeConfiguration": cascade or None,
    }


def test_the_relationships_say_with_which_records_a_record_is_deleted_or_gets_another_owner() -> None:
    """By target table; one request asks for navigation properties and cascades."""
    lookups = [
        relationship("accountid", "account", Assign="Cascade", Delete="RemoveLink"),
        relationship("leadid", "lead", Delete="Cascade", Assign="NoCascade"),
        relationship("leadid", "contact", Delete="Cascade", Assign="UserOwned"),
        relationship("leadid", "account", Delete="Restrict", Assign="Active"),
        relationship("accountleadid", "lead"),
        relationship("unlisted", "lead", Delete="Cascade"),
    ]
    answers = Answers({**TABLE, "IsIntersect": False}, lookups=lookups)

    columns = read(answers).attributes

    assert {name: set(column.deleted_with) for name, column in columns.items()} == {
        "accountid": set(),
        "leadid": {"lead", "contact"},
        "accountleadid": set(),
    }
    assert {name: set(column.assigned_with) for name, column in columns.items()} == {
        "accountid": {"account"},
        "leadid": {"contact", "account"},
        "accountleadid": set(),
    }
    assert columns["leadid"].navigation["lead"] == "leadid_lead"
    (asked,) = [path for path in answers.asked if "ManyToOneRelationships" in path]
    assert "CascadeConfiguration" in asked
