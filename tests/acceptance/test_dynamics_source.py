"""One Dataverse environment is the source, another one the target: tables, filters, FetchXML and saved views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import running
from shared.dataverse import Connection, Dataverse, RetryPolicy
from shared.errors import DefinitionError, RetryLater, UserError
from tests.acceptance.world import World, accounts, world

ROWS: list[dict[str, Any]] = [
    {"accountnumber": "1", "name": "Ä & Co", "revenue": 1234.5678, "numberofemployees": 3, "address1_city": "Ulm"},
    {"accountnumber": "2", "name": 'O\'Neil "B"', "donotphone": True, "industrycode": 7, "address1_city": "Ulm"},
    {"accountnumber": "3", "name": "Three", "new_dueon": "2024-02-03", "new_expiredon": "2024-02-03T18:05:00Z"},
    {"accountnumber": "4", "name": "Four", "revenue": 0, "address1_city": "Köln"},
]
SAME = (
    "accountnumber",
    "name",
    "revenue",
    "numberofemployees",
    "donotphone",
    "industrycode",
    "new_dueon",
    "new_expiredon",
)
SCHEMA = Path(__file__).parents[1] / "integration" / "dataverse" / "tables.yml"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, World]]:
    """The target and the source."""
    folder = tmp_path_factory.mktemp("dynamics")
    with world(folder) as target, running() as emulator:
        environment = target.environment
        environment |= {"SOURCE_URL": emulator.service_url, "SOURCE_SECRET": emulator.client_secret}
        environment["SOURCE_ID"] = emulator.client_id
        yield target, World(folder=folder, emulator=emulator, environment=environment)


@pytest.fixture
def source(both: tuple[World, World]) -> World:
    for here in both:
        here.emulator.reset()
        here.emulator.clear_faults()
    for row in ROWS:
        both[1].create("accounts", row)
    return both[1]


@pytest.fixture
def target(both: tuple[World, World], source: World) -> World:
    both[0].parts = {}
    return both[0]


def define(target: World, mappings: dict[str, str], **source: Any) -> str:
    """A sync of accounts from another environment; mappings by target column."""
    made = accounts()
    made["parameters"] |= {"source_url": {"formula": "ENV('SOURCE_URL')"}, "city": {"default": "Ulm"}}
    made["source"] = {
        "type": "dynamics",
        "service_url": "@source_url",
        "client_id": {"env": "SOURCE_ID"},
        "client_secret": {"env": "SOURCE_SECRET"},
        **source,
    }
    made["destination"]["mappings"] = [{"target": target, "source": name} for target, name in mappings.items()]
    made["sync_behaviour"] |= {"dropped": "delete"}
    return target.define(made)


def held(here: World, *columns: str) -> list[tuple[Any, ...]]:
    return sorted(
        tuple(record[name] for name in columns) for record in here.records(f"accounts?$select={','.join(columns)}")
    )


def _fault(status: int, *, path: str = "accounts?", times: int = 1, **members: Any) -> dict[str, Any]:
    return {"action": "status", "status": status, "match": {"path": path}, "times": times, **members}


def unchanged(target: World, name: str, **parameters: Any) -> bool:
    again = target.run(name, parameters=parameters)
    return (again.created.planned, again.updated.planned, again.deleted.planned) == (0, 0, 0)


@pytest.mark.parametrize("alias", ["n", "N", "r", "_seq", "rows", "_id"])
def test_an_alias_of_a_query_may_have_any_name(target: World, source: World, alias: str) -> None:
    """Also one that the SQL of this program could use for itself."""
    xml = (
        "<fetch><entity name='account'><attribute name='accountnumber'/>"
        f"<attribute name='name' alias='{alias}'/></entity></fetch>"
    )
    name = define(target, {"accountnumber": "accountnumber", "name": alias}, fetch_xml=xml)
    assert target.run(name).created.done == len(ROWS)
    assert held(target, "accountnumber", "name") == held(source, "accountnumber", "name")
    assert unchanged(target, name)


def test_a_table_equals_that_of_another_environment(target: World, source: World) -> None:
    """Every type is unchanged; a change and a deletion follow; validate and explain know the columns."""
    name = define(target, {each: each for each in SAME}, entity="account")
    assert target.app.validate([name]) == []
    assert target.app.explain(name)
    first = target.run(name)
    assert (first.created.done, first.errors) == (4, ())
    assert held(target, *SAME) == held(source, *SAME)
    assert unchanged(target, name)
    (one, *_) = source.records("accounts?$select=accountid&$filter=accountnumber eq '1'")
    source.update(f"accounts({one['accountid']})", {"name": "New", "revenue": None})
    assert target.run(name).updated.done == 1
    assert held(target, *SAME) == held(source, *SAME)


def test_a_filter_with_a_parameter_is_applied_by_the_service(target: World, source: World) -> None:
    """As in a target filter, the value becomes a literal of the column's type."""
    name = define(target, {"accountnumber": "accountnumber"}, entity="accounts", filter="address1_city eq @city")
    assert target.run(name).source.processed == 2
    assert held(target, "accountnumber") == [("1",), ("2",)]
    assert unchanged(target, name)
    assert target.plan(name, parameters={"city": "Köln"}).plan.counts.insert == 1


def test_columns_are_named_with_labels_and_parts_of_lookups(target: World, source: World) -> None:
    """A lookup is its id; choices, lookups and amounts also have the label that users see."""
    (one, two) = source.records("accounts?$select=accountid&$orderby=accountnumber&$filter=address1_city eq 'Ulm'")
    source.update(f"accounts({two['accountid']})", {"parentaccountid@odata.bind": f"accounts({one['accountid']})"})
    columns = [
        {"name": "accountnumber"},
        {"name": "industrycode__label", "alias": "industry"},
        {"name": "parentaccountid", "alias": "parent"},
        {"name": "parentaccountid__id", "alias": "parent_id"},
        {"name": "parentaccountid__label", "alias": "parent_name"},
        {"name": "ownerid__entity", "alias": "owner_table"},
        {"name": "told", "formula": "concat_ws('/', industry, parent_name, owner_table, parent = parent_id)"},
    ]
    mappings = {"accountnumber": "accountnumber", "name": "told", "description": "parent"}
    name = define(target, mappings, entity="account", filter="address1_city eq 'Ulm'", columns=columns)
    assert target.run(name).created.done == 2
    assert held(target, "name", "description") == [
        ("Consulting/Ä & Co/systemuser/true", one["accountid"]),
        ("systemuser", None),
    ]
    assert unchanged(target, name)


def test_a_query_in_fetch_xml_is_read_page_by_page(target: World, source: World) -> None:
    """With the paging cookie; parameters are escaped for XML, and columns have the names of the query."""
    xml = (
        "<fetch count='2'><entity name='account'><attribute name='accountnumber' alias='number'/>"
        "<attribute name='name'/><attribute name='revenue'/><attribute name='donotphone'/>"
        "<filter><condition attribute='name' operator='ne' value='@other'/></filter>"
        "<order attribute='name'/></entity></fetch>"
    )
    made = {"accountnumber": "number", "name": "name", "revenue": "revenue", "donotphone": "donotphone"}
    name = define(target, made, fetch_xml=xml)
    file = target.folder / "syncs" / f"{name}.yaml"
    file.write_text(file.read_text().replace("parameters:\n", "parameters:\n  other: {default: 'O''Neil \"B\"'}\n"))
    target.reopen()
    assert target.app.validate([name]) == []
    assert target.run(name).created.done == 3
    assert held(target, "accountnumber", "revenue")[0] == ("1", 1234.57)
    queries = [entry["path"] for entry in source.emulator.log() if "fetchXml" in str(entry)]
    assert len(queries) >= 2
    assert unchanged(target, name)
    assert target.plan(name, parameters={"other": "<&'>"}).plan.counts.insert == 1


def test_the_groups_of_an_aggregate_query_are_read_page_by_page(target: World, source: World) -> None:
    """Each group once, although the query has no order; more records than Dataverse allows end the run."""
    xml = (
        "<fetch aggregate='true' count='1'><entity name='account'><attribute name='address1_city' alias='city' "
        "groupby='true'/><attribute name='accountid' alias='members' aggregate='count'/>"
        "<attribute name='revenue' alias='income' aggregate='sum'/></entity></fetch>"
    )
    made = {"accountnumber": "city", "numberofemployees": "members", "revenue": "income"}
    name = define(
        target,
        made,
        fetch_xml=xml,
        columns=[{"name": "city", "mandatory": True, "validate": True}, {"name": "members"}, {"name": "income"}],
    )
    done = target.run(name)
    assert (done.source.processed, done.source.rejected, done.created.done) == (3, 1, 2)
    assert held(target, "accountnumber", "numberofemployees", "revenue") == [("Köln", 1, 0), ("Ulm", 2, 1234.57)]
    assert unchanged(target, name)
    limited = xml.replace("count='1'", "count='1' aggregatelimit='3'")
    define(target, made, fetch_xml=limited)
    with pytest.raises(UserError, match=r"^source: Dataverse refuses the query: AggregateQueryRecordLimit exceeded"):
        target.run(name)


@pytest.mark.parametrize("table", ["savedqueries", "userqueries"])
def test_a_saved_view_is_read_by_its_name(target: World, source: World, table: str) -> None:
    """Its columns and conditions apply to the sync; a view that does not exist is reported with similar names."""
    xml = (
        "<fetch version='1.0' mapping='logical'><entity name='account'><attribute name='accountnumber'/>"
        "<attribute name='industrycode'/><filter><condition attribute='address1_city' operator='eq' value='Ulm'/>"
        "</filter></entity></fetch>"
    )
    source.create(table, {"name": "From Ulm", "returnedtypecode": "account", "fetchxml": xml})
    source.create(table, {"name": "From Ulm", "returnedtypecode": "contact", "fetchxml": "<fetch/>"})
    made = {"accountnumber": "accountnumber", "industrycode": "industrycode"}
    name = define(target, made, entity="account", view="from ulm")
    assert target.run(name).created.done == 2
    assert held(target, "accountnumber", "industrycode") == [("1", None), ("2", 7)]
    assert unchanged(target, name)
    define(target, made, entity="account", view="From Ulmm")
    (problem,) = target.app.validate([name])
    assert (problem.path, problem.line > 0) == ("source.view", True)
    assert problem.message == "account has no view From Ulmm; did you mean From Ulm?"


def test_a_query_may_join_tables(target: World, source: World) -> None:
    """The alias of the joined table is a prefix of its columns, which have their types."""
    contact = source.create("contacts", {"firstname": "Ada", "lastname": "Byron", "annualincome": 12.5})
    (one,) = source.records("accounts?$select=accountid&$filter=accountnumber eq '1'")
    source.update(f"accounts({one['accountid']})", {"primarycontactid@odata.bind": f"contacts({contact})"})
    xml = (
        "<fetch count='3'><entity name='account'><attribute name='accountnumber'/>"
        "<link-entity name='contact' from='contactid' to='primarycontactid' link-type='outer' alias='person'>"
        "<attribute name='fullname'/><attribute name='annualincome'/><attribute name='ownerid'/></link-entity>"
        "</entity></fetch>"
    )
    columns = [
        {"name": "accountnumber"},
        {"name": "person.fullname", "alias": "person"},
        {"name": "person.annualincome", "alias": "income"},
        {"name": "person.ownerid__entity", "alias": "kind"},
    ]
    made = {"accountnumber": "accountnumber", "name": "person", "revenue": "income", "description": "kind"}
    name = define(target, made, fetch_xml=xml, columns=columns)
    assert target.app.validate([name]) == []
    assert target.run(name).created.done == 4
    assert held(target, "accountnumber", "name", "revenue", "description")[:2] == [
        ("1", "Ada Byron", 12.5, "systemuser"),
        ("2", None, None, None),
    ]
    assert unchanged(target, name)


def test_a_connection_has_the_keys_of_the_source(target: World, source: World) -> None:
    """Chosen by a parameter; both sides may use the same connection."""
    for name, prefix in (("one", "SOURCE"), ("two", "DYNAMICS")):
        key = "DYNAMICS_CLIENT" if prefix == "DYNAMICS" else prefix
        (target.folder / "syncs" / f"{name}.yaml").write_text(
            f"kind: connection\nname: {name}\ntype: dynamics\nservice_url: {target.environment[f'{prefix}_URL']}\n"
            f"client_id: {{env: {key}_ID}}\nclient_secret: {{env: {key}_SECRET}}\n"
        )
    made = accounts()
    made["parameters"] = {"side": {"default": "one"}}
    made["source"] = {"type": "dynamics", "connection": "@side", "entity": "account"}
    made["destination"] = {
        **{key: made["destination"][key] for key in ("type", "entity", "id_column")},
        "connection": "two",
        "mappings": [{"source": "accountnumber", "target": "accountnumber"}, {"source": "name", "target": "name"}],
    }
    name = target.define(made)
    assert target.app.validate([name]) == []
    assert target.run(name).created.done == 4
    assert unchanged(target, name)
    assert unchanged(target, name, side="two")
    for file in ("one", "two"):
        (target.folder / "syncs" / f"{file}.yaml").unlink()


def in_small_pages(connection: Connection, **options: Any) -> Dataverse:
    """A client whose pages have two records, and that makes few retries."""
    return Dataverse(replace(connection, page_rows=2, retry_policy=RetryPolicy(seconds=0.5)), **options)


FETCH = "<fetch count='2'><entity name='account'><attribute name='accountnumber'/></entity></fetch>"


@pytest.mark.parametrize(
    ("keys", "second_page"), [({"fetch_xml": FETCH}, "paging-cookie"), ({"entity": "account"}, "$skiptoken")]
)
def test_an_environment_that_fails_between_pages_ends_the_run_with_nothing_dropped(
    target: World, source: World, keys: dict[str, Any], second_page: str
) -> None:
    """The first page of a query was read, and the second one was not: no row of the first is used."""
    target.parts = {"open_dataverse": in_small_pages}
    name = define(target, {"accountnumber": "accountnumber"}, **keys)
    target.run(name)
    before = held(target, "accountnumber")
    assert len(before) == 4
    source.emulator.faults(_fault(503, path=second_page, times=100))
    with pytest.raises(RetryLater, match=r"^source: Dataverse is not available"):
        target.run(name)
    assert held(target, "accountnumber") == before
    (last,) = target.app.state.runs(name, 1)
    assert (last.state, last.message.startswith("source: ")) == ("Failed", True)
    source.emulator.clear_faults()
    assert unchanged(target, name)


def test_throttled_and_failed_requests_are_retried(target: World, source: World) -> None:
    """As for the target: 429 with Retry-After, and 503."""
    name = define(target, {"accountnumber": "accountnumber"}, entity="account")
    source.emulator.faults([_fault(429, retry_after=1), _fault(503)])
    assert target.run(name).created.done == 4


@pytest.mark.parametrize(
    ("source_keys", "path", "message"),
    [
        ({"entity": "acount"}, "source.entity", "did you mean"),
        (
            {"entity": "account", "columns": [{"name": "accountnumber"}, {"name": "nmae"}]},
            "source.columns[1].name",
            "did you mean name?",
        ),
        (
            {"entity": "account", "columns": [{"name": "accountnumber"}, {"name": "name__label"}]},
            "source.columns[1].name",
            "account has no column",
        ),
        (
            {
                "entity": "account",
                "columns": [{"name": "accountnumber"}, {"name": "revenue", "decimal_separator": ","}],
            },
            "source.columns[1].decimal_separator",
            "number values",
        ),
        ({"fetch_xml": "<fetch><entity name='acount'/></fetch>"}, "source.fetch_xml", "did you mean"),
        (
            {"fetch_xml": "<fetch><entity name='account'><attribute name='nmae'/></entity></fetch>"},
            "source.fetch_xml",
            "account has no column nmae; did you mean name?",
        ),
        (
            {"entity": "account", "columns": [{"name": "accountnumber"}, {"name": "entityimage"}]},
            "source.columns[1].name",
            "no column entityimage",
        ),
    ],
)
def test_validate_reports_what_the_environment_does_not_have(
    target: World, source_keys: dict[str, Any], path: str, message: str
) -> None:
    """At its key, and nothing is written."""
    name = define(target, {"accountnumber": "accountnumber"}, **source_keys)
    problems = target.app.validate([name])
    assert [each.path for each in problems if message in each.message] == [path], problems
    with pytest.raises((DefinitionError, UserError)):
        target.run(name)


def test_a_filter_that_the_service_refuses_is_reported(target: World, source: World) -> None:
    """The message says whether it is the filter of the source or of the target."""
    name = define(target, {"accountnumber": "accountnumber"}, entity="account", filter="nmae eq 'x'")
    with pytest.raises(UserError, match=r"^source: Dataverse refuses the query: .*nmae"):
        target.run(name)
