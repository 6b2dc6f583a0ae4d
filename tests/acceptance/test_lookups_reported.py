"""Problems with lookups that users of other tools reported, each as a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.errors import DefinitionError
from tests.acceptance.test_lookups import BY_NUMBER, opportunities, parents, row, seed, tree
from tests.acceptance.world import World, accounts, world

SCHEMA = """
new_Site:
  entity_set: new_sitesandmore
  keys: {code_key: [new_companyid, new_code], zip_key: [new_zip, new_code]}
  columns:
    new_Zip: {type: String, length: 20}
    new_CompanyId: {type: Lookup, targets: [account]}
    new_Code: {type: String, length: 20}
new_Visit:
  columns:
    new_Number: {type: String, length: 20}
    new_SiteId: {type: Lookup, targets: [new_site]}
    new_FirstId: {type: Lookup, targets: [contact]}
    new_SecondId: {type: Lookup, targets: [contact]}
    new_EarlierId: {type: Lookup, targets: [new_visit], cascade: {delete: Restrict}}
"""
COLUMNS = ("number", "company", "code", "first", "second", "earlier")


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("reported")
    schema = folder / "schema.yaml"
    schema.write_text(SCHEMA, "utf-8")
    with world(folder, schema=[schema]) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.environment["SOURCE"] = str(shared_world.folder / "source.csv")
    return shared_world


def visits(
    here: World,
    rows: Sequence[Mapping[str, str]],
    *mappings: Mapping[str, Any],
    entity: str = "new_visit",
    **changes: Any,
) -> None:
    """A sync named `visits`; columns that a row does not have are empty."""
    path: Path = here.csv([{name: each.get(name, "") for name in COLUMNS} for each in rows], "visits.csv")
    here.environment["SOURCE"] = str(path)
    definition = accounts()
    definition["source"]["columns"] = [{"name": name} for name in COLUMNS]
    number = [{"source": "number", "target": "new_number"}] if entity == "new_visit" else []
    definition["destination"] |= {"entity": entity, "id_column": f"{entity}id", "mappings": [*number, *mappings]}
    definition["sync_behaviour"] = {"sync_key": ["new_number"], **changes}
    here.define(definition, "visits")


def settled(here: World, name: str) -> bool:
    """Whether a second run has nothing to do."""
    return here.plan(name).plan.counts.changes == 0


def values(here: World, query: str, key: str, *columns: str) -> dict[Any, Any]:
    """Value of `key` -> one column, or several."""
    found = {each[key]: tuple(each[column] for column in columns) for each in here.records(query)}
    return found if len(columns) > 1 else {key: one for key, (one,) in found.items()}


# -- What identifies the record ---------------------------------------------------------------------------------------


def test_a_lookup_by_the_name_of_an_alternate_key_is_set(here: World) -> None:
    tree(here, [row("1"), row("2", "1")], {"match": "account_number_key"})

    assert here.run().errors == ()
    assert parents(here) == {"1": None, "2": "1"}
    assert settled(here, "accounts")


def test_a_key_with_a_lookup_in_it_finds_the_record_in_a_table_with_an_irregular_set_name(here: World) -> None:
    first, second = seed(here, "accounts", {"name": "Contoso"}, {"name": "Fabrikam"})
    ids = [
        here.create("new_sitesandmore", {"new_code": "N", "new_CompanyId@odata.bind": f"/accounts({each})"})
        for each in (first, second)
    ]
    rows = [{"number": "1", "company": second.upper(), "code": "n"}, {"number": "2", "company": first, "code": "N"}]
    visits(here, rows, {"source": ["company", "code"], "target": "new_siteid", "lookup": {"match": "code_key"}})

    assert here.run("visits").errors == ()
    assert values(here, "new_visits", "new_number", "_new_siteid_value") == {"1": ids[1], "2": ids[0]}
    assert settled(here, "visits")


def test_a_sync_key_with_a_lookup_in_it_matches_records(here: World) -> None:
    first, second = seed(here, "accounts", {"accountnumber": "C"}, {"accountnumber": "F"})
    rows = [{"company": "c", "code": "N"}, {"company": "F", "code": "N"}, {"company": "", "code": "N"}]
    mappings = (
        {"source": "company", "target": "new_companyid", "lookup": BY_NUMBER},
        {"source": "code", "target": "new_code"},
    )
    visits(here, rows, *mappings, entity="new_site", sync_key=["new_companyid", "new_code"])

    done = here.run("visits")

    assert (done.created.done, done.source.rejected) == (2, 1)
    assert [(e.error_type, e.message) for e in done.errors] == [("Mandatory Rule Violation", "a key needs a value")]
    assert {each["_new_companyid_value"] for each in here.records("new_sitesandmore")} == {first, second}
    again = here.plan("visits").plan.counts
    assert (again.changes, again.unchanged) == (0, 2)


def test_a_key_that_a_lookup_finds_is_never_empty(here: World) -> None:
    mappings = (
        {"source": "company", "target": "new_companyid", "lookup": BY_NUMBER, "on_null": "keep"},
        {"source": "code", "target": "new_code"},
    )
    visits(here, [{"company": "", "code": "N"}], *mappings, entity="new_site", sync_key=["new_companyid", "new_code"])

    done = here.run("visits")

    assert (done.created.planned, done.source.rejected) == (0, 1)


def test_two_columns_that_refer_to_one_table_do_not_mix(here: World) -> None:
    doe, roe = seed(here, "contacts", {"lastname": "Doe", "emailaddress1": "roe"}, {"lastname": "Roe"})
    rows = [{"number": "1", "first": "doe", "second": "Roe"}, {"number": "2", "first": "", "second": "roe"}]
    visits(
        here,
        rows,
        {"source": "first", "target": "new_firstid", "lookup": {"match": "lastname"}},
        {"source": "second", "target": "new_secondid", "lookup": [{"match": "emailaddress1"}]},
    )
    done = here.run("visits")
    assert (done.created.done, done.errors) == (2, ())
    found = values(here, "new_visits", "new_number", "_new_firstid_value", "_new_secondid_value")
    assert found == {"1": (doe, doe), "2": (None, doe)}

    visits(
        here,
        rows,
        {"source": "first", "target": "new_firstid", "lookup": {"match": "lastname"}},
        {"source": "second", "target": "new_secondid", "lookup": {"match": "lastname"}},
    )
    assert here.run("visits").updated.done == 2
    found = values(here, "new_visits", "new_number", "_new_firstid_value", "_new_secondid_value")
    assert found == {"1": (doe, roe), "2": (None, roe)}
    assert settled(here, "visits")


def test_an_empty_lookup_is_written_and_cleared_without_an_error(here: World) -> None:
    (doe,) = seed(here, "contacts", {"lastname": "Doe"})
    mapping = {"source": "first", "target": "new_firstid", "lookup": {"match": "lastname"}}
    visits(here, [{"number": "1", "first": "Doe"}, {"number": "2"}], mapping)
    assert here.run("visits").errors == ()
    assert values(here, "new_visits", "new_number", "_new_firstid_value") == {"1": doe, "2": None}

    visits(here, [{"number": "1"}, {"number": "2"}], mapping)
    done = here.run("visits")
    assert (done.updated.done, done.unchanged, done.errors) == (1, 1, ())
    assert values(here, "new_visits", "new_number", "_new_firstid_value") == {"1": None, "2": None}


def test_a_text_that_looks_like_an_id_is_compared_as_text(here: World) -> None:
    text = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    doe, other = seed(here, "contacts", {"lastname": text}, {"lastname": "Doe"})
    mapping = {"source": "first", "target": "new_firstid", "lookup": {"match": "lastname"}}
    visits(here, [{"number": "1", "first": text.upper()}, {"number": "2", "first": other}], mapping)

    done = here.run("visits")

    assert values(here, "new_visits", "new_number", "_new_firstid_value") == {"1": doe}
    (error,) = done.errors
    assert error.message == "no contact has this lastname; the value is an id; match: id searches by id"
    assert other not in error.message


def test_of_two_records_with_a_name_the_active_one_is_found_by_a_filter(here: World) -> None:
    closed, active = seed(here, "contacts", {"lastname": "Doe"}, {"lastname": "Doe"})
    here.update(f"contacts({closed})", {"statecode": 1, "statuscode": 2})
    mapping: dict[str, Any] = {"source": "first", "target": "new_firstid", "lookup": {"match": "lastname"}}
    visits(here, [{"number": "1", "first": "Doe"}], mapping)
    assert [error.error_type for error in here.run("visits").errors] == ["Ambiguous Link"]

    mapping["lookup"] = {"match": "lastname", "filter": "statecode eq 0"}
    visits(here, [{"number": "1", "first": "Doe"}], mapping)
    assert here.run("visits").errors == ()
    assert values(here, "new_visits", "new_number", "_new_firstid_value") == {"1": active}


@pytest.mark.parametrize(("policy", "expected"), [("oldest", "9"), ("newest", "8")])
def test_the_age_decides_between_records_of_the_table_itself(here: World, policy: str, expected: str) -> None:
    """An alternate key makes the sync key unique, so the sync itself does not need the age of records."""
    for number, day in (("8", 2), ("9", 1)):
        created = {"overriddencreatedon": f"2020-01-0{day}T00:00:00Z"}
        seed(here, "accounts", {"accountnumber": number, "name": "Twice", **created})
    lookup = {"match": "name", "on_ambiguous": policy}
    tree(here, [row("8", name="Twice"), row("9", name="Twice"), row("1", "Twice")], lookup)

    assert here.run().errors == ()
    assert parents(here) == {"8": None, "9": None, "1": expected}
    assert settled(here, "accounts")


def test_a_disabled_user_as_owner_is_an_error_of_the_row(here: World) -> None:
    unit = here.records("businessunits?$select=businessunitid")[0]["businessunitid"]
    common = {"businessunitid@odata.bind": f"/businessunits({unit})", "lastname": "User"}
    seed(
        here,
        "systemusers",
        {**common, "internalemailaddress": "on@contoso.com", "domainname": "on@contoso.com"},
        {**common, "internalemailaddress": "off@contoso.com", "domainname": "off@contoso.com", "isdisabled": True},
    )
    lookup: dict[str, Any] = {"entity": "systemuser", "match": "internalemailaddress"}
    rows = [{"name": "one", "owner": "on@contoso.com"}, {"name": "two", "owner": "off@contoso.com"}]
    opportunities(here, rows, {"source": "owner", "target": "ownerid", "lookup": [lookup]})

    done = here.run("opportunities")

    assert (done.created.done, done.failed) == (1, 1)
    assert done.errors[0].error_type == "INSERT 0x8004022b"
    assert [each["name"] for each in here.records("opportunities")] == ["one"]

    filtered = {**lookup, "filter": "isdisabled eq false"}
    opportunities(here, rows, {"source": "owner", "target": "ownerid", "lookup": [filtered]})
    (error,) = here.run("opportunities").errors
    assert error.message.startswith(
        "no systemuser has this internalemailaddress and passes the filter of the lookup; the value is an e-mail"
    )


# -- Parents that are not there ---------------------------------------------------------------------------------------


def test_a_parent_whose_row_is_rejected_is_not_found(here: World) -> None:
    tree(here, [row("1" * 21), row("2", "1" * 21), row("3", "2"), row("4")], BY_NUMBER)

    done = here.run()

    assert {error.error_type for error in done.errors} >= {"Unresolved Link"}
    assert parents(here) == {"4": None}
    assert settled(here, "accounts")


def test_a_child_follows_when_its_parent_is_dropped_in_the_same_run(here: World) -> None:
    dropping = {"sync_key": ["accountnumber"], "dropped": "delete"}
    tree(here, [row("1"), row("2"), row("3", "1"), row("4", "1")], BY_NUMBER)
    here.run()

    tree(here, [row("2"), row("3", "2"), row("4", "1")], BY_NUMBER, sync_behaviour=dropping)
    done = here.run()

    assert (done.deleted.done, done.updated.done, done.source.rejected) == (1, 1, 1)
    assert parents(here) == {"2": None, "3": "2", "4": None}
    assert settled(here, "accounts")


def test_children_are_dropped_before_parents_that_they_hold(here: World) -> None:
    """The relationship restricts the delete of a record that another one refers to."""
    mapping = {"source": "earlier", "target": "new_earlierid", "lookup": {"match": "new_number"}}
    chain = [{"number": str(n), "earlier": str(n - 1) if n > 1 else ""} for n in range(1, 6)]
    visits(here, [*chain, {"number": "9", "earlier": "1"}], mapping)
    here.run("visits")

    visits(here, [{"number": "9"}], mapping, dropped="delete")
    done = here.run("visits")

    assert (done.deleted.done, done.updated.done, done.failed) == (5, 1, 0)
    assert values(here, "new_visits", "new_number", "_new_earlierid_value") == {"9": None}


def test_children_refer_to_an_adopted_record(here: World) -> None:
    """Only the service compares the keys as equal: the record is updated, and is the parent."""
    (held,) = seed(here, "accounts", {"accountnumber": "a1", "name": "Old"})
    exact = {"sync_key": ["accountnumber"], "key_match": "exact", "dropped": "delete"}
    tree(here, [row("2", "A1"), row("A1"), row("3", "2")], BY_NUMBER, sync_behaviour=exact)

    done = here.run()

    assert (done.created.done, done.adopted, done.errors) == (2, 1, ())
    assert parents(here) == {"A1": None, "2": "A1", "3": "2"}
    assert values(here, "accounts", "accountnumber", "accountid")["A1"] == held
    assert settled(here, "accounts")


def test_what_refers_to_a_parent_that_the_service_refuses_follows_in_the_next_run(here: World) -> None:
    refused = {"path": "accounts", "filter": "accountnumber eq '1'"}
    here.emulator.faults({"action": "refuse_rows", "match": refused, "code": "0x80040265", "message": "no"})
    tree(here, [row("1"), row("2", "1"), row("3", "2"), row("4")], BY_NUMBER)

    done = here.run()

    assert (done.created.done, done.failed) == (1, 3)
    assert sorted(error.error_type for error in done.errors) == ["INSERT 0x80040265", "INSERT Parent Failed"]

    here.emulator.clear_faults()
    done = here.run()
    assert (done.created.done, done.failed) == (3, 0)
    assert parents(here) == {"1": None, "2": "1", "3": "2", "4": None}
    assert settled(here, "accounts")


def test_a_change_that_leaves_the_reference_out_does_not_fail_with_the_parent(here: World) -> None:
    """The lookup is only for new records, and the record exists: its name is changed."""
    refused = {"path": "accounts", "filter": "accountnumber eq '1'"}
    here.emulator.faults({"action": "refuse_rows", "match": refused, "code": "0x80040265", "message": "no"})
    definition = accounts()
    definition["source"]["columns"] = [{"name": name} for name in ("number", "name", "parent")]
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "name", "target": "name"},
        {"source": "parent", "target": "parentaccountid", "write": "on_insert", "lookup": BY_NUMBER},
    ]
    here.define(definition)
    here.csv([row("2", name="Old")])
    here.run()
    here.csv([row("1"), row("2", "1", name="New"), row("3", "1")])

    done = here.run()

    assert (done.updated.done, done.created.done, done.failed) == (1, 0, 2)
    assert sorted(error.error_type for error in done.errors) == ["INSERT 0x80040265", "INSERT Parent Failed"]
    assert values(here, "accounts", "accountnumber", "name") == {"2": "New"}


def test_what_is_not_sent_because_the_run_stops_is_left_for_the_next_run(here: World) -> None:
    """A parent that was not sent has not failed, so its children have not either."""
    refused = {"path": "accounts", "filter": "name eq 'bad'"}
    here.emulator.faults({"action": "refuse_rows", "match": refused, "code": "0x80040265", "message": "no"})
    stopping = {"sync_key": ["accountnumber"], "safety": {"max_errors": 1}}
    bad = [row(f"bad {n}", name="bad") for n in range(300)]
    tree(here, [*bad, row("1"), row("2", "1"), row("3", "2")], BY_NUMBER, sync_behaviour=stopping)

    done = here.run()

    assert {error.error_type for error in done.errors} == {"INSERT 0x80040265"}
    assert (done.state, done.created.done) == ("Failed", 0)
    assert done.skipped >= 3


# -- Records that lookups create --------------------------------------------------------------------------------------


def test_a_lookup_in_the_table_itself_and_in_another_creates_what_is_missing_there(here: World) -> None:
    here.csv([{"number": "1", "name": "Doe", "parent": "2"}, {"number": "2", "name": "Roe", "parent": "C9"}])
    definition = accounts()
    definition["source"]["columns"] = [{"name": "number"}, {"name": "name"}, {"name": "parent"}]
    lookup = [
        {"entity": "contact", "match": "externaluseridentifier"},
        {"entity": "account", "match": "accountnumber", "on_missing": "create", "create": {"name": "parent"}},
    ]
    definition["destination"] |= {
        "entity": "contact",
        "id_column": "contactid",
        "mappings": [
            {"source": "number", "target": "externaluseridentifier"},
            {"source": "name", "target": "lastname"},
            {"source": "parent", "target": "parentcustomerid", "lookup": lookup},
        ],
    }
    definition["sync_behaviour"] = {"sync_key": ["externaluseridentifier"]}
    here.define(definition, "people")

    assert here.plan("people").plan.counts.created_references == 1
    done = here.run("people")

    assert (done.created.done, done.created_references.done, done.errors) == (2, 1, ())
    ((company, name),) = values(here, "accounts", "accountid", "name").items()
    assert name == "C9"
    found = values(here, "contacts", "lastname", "contactid", "_parentcustomerid_value")
    assert found["Roe"][1] == company
    assert found["Doe"][1] == found["Roe"][0]
    assert settled(here, "people")


def test_nothing_is_created_for_rows_that_change_nothing(here: World) -> None:
    lookup = {"entity": "account", "match": "accountnumber", "on_missing": "create"}
    rows = [{"name": "one", "customer": "n1", "contact": "nobody"}, {"name": "two", "customer": "n2", "contact": ""}]
    mappings = (
        {"source": "customer", "target": "customerid", "lookup": [lookup]},
        {"source": "contact", "target": "parentcontactid", "lookup": {"match": "lastname"}},
    )
    behaviour = {"sync_behaviour": {"sync_key": ["name"], "new": "ignore"}}
    opportunities(here, rows, *mappings, **behaviour)

    done = here.run("opportunities")

    assert (done.source.rejected, done.ignored, done.created_references.planned) == (1, 1, 0)
    assert here.records("accounts") == []


def test_a_record_that_lacks_a_value_cannot_be_created(here: World) -> None:
    lookup = {"match": "zip_key", "on_missing": "create"}
    rows = [{"number": "1", "company": "80331", "code": ""}, {"number": "2", "company": "80331", "code": "N"}]
    visits(here, rows, {"source": ["company", "code"], "target": "new_siteid", "lookup": lookup})

    done = here.run("visits")

    assert (done.source.rejected, done.created.done) == (1, 1)
    assert [error.error_type for error in done.errors] == ["Unresolved Link"]
    assert values(here, "new_sitesandmore", "new_zip", "new_code") == {"80331": "N"}
    assert settled(here, "visits")


def test_a_key_with_a_lookup_in_it_cannot_be_created(here: World) -> None:
    lookup = {"match": "code_key", "on_missing": "create"}
    visits(here, [{"number": "1"}], {"source": ["company", "code"], "target": "new_siteid", "lookup": lookup})

    with pytest.raises(DefinitionError, match="create cannot set new_companyid of new_site: it is a lookup itself"):
        here.plan("visits")


@pytest.mark.parametrize(("policy", "expected"), [("clear", None), ("keep", "Doe")])
def test_what_is_not_found_follows_its_own_policy_and_not_the_one_for_empty_values(
    here: World, policy: str, expected: str | None
) -> None:
    seed(here, "contacts", {"lastname": "Doe"})
    lookup = {"match": "lastname", "on_missing": policy}
    mapping = {"source": "first", "target": "new_firstid", "lookup": lookup, "on_null": "keep"}
    visits(here, [{"number": "1", "first": "Doe"}, {"number": "2", "first": "Doe"}], mapping)
    here.run("visits")

    visits(here, [{"number": "1", "first": "nobody"}, {"number": "2", "first": ""}], mapping)
    here.run("visits")

    found = here.records("new_visits?$select=new_number&$expand=new_FirstId($select=lastname)")
    names = {each["new_number"]: each["new_FirstId"] and each["new_FirstId"]["lastname"] for each in found}
    assert names == {"1": expected, "2": "Doe"}
    assert settled(here, "visits")


def test_values_that_a_created_record_cannot_hold_are_reported_and_not_sent(here: World) -> None:
    """A number that does not fit is left out; a text that is too long or an unknown choice rejects the row."""
    create = {"numberofemployees": "staff", "industrycode": "segment", "address1_postalcode": "zip"}
    lookup = {"entity": "account", "match": "accountnumber", "on_missing": "create", "create": create}
    rows = [
        {"name": "one", "customer": "n1", "staff": "-4", "segment": "Consulting", "zip": "1"},
        {"name": "two", "customer": "n2", "staff": "5", "segment": "Consultng", "zip": "2"},
        {"name": "three", "customer": "n3", "staff": "5", "segment": "7", "zip": "3" * 21},
        {"name": "four", "customer": "N2", "staff": "6", "segment": "", "zip": "4"},
    ]
    opportunities(here, rows, {"source": "customer", "target": "customerid", "lookup": [lookup]})

    done = here.run("opportunities")

    assert (done.created.done, done.created_references.done, done.failed, done.source.rejected) == (2, 2, 0, 2)
    assert sorted((e.column, e.error_type) for e in done.errors) == [
        ("customerid.address1_postalcode", "Max Length Violation"),
        ("customerid.industrycode", "Unknown Choice"),
        ("customerid.numberofemployees", "Invalid Format Exception"),
    ]
    columns = ("numberofemployees", "industrycode", "address1_postalcode")
    found = values(here, "accounts?$filter=startswith(accountnumber,'n')", "accountnumber", *columns)
    assert found == {"n1": (None, 7, "1"), "N2": (6, None, "4")}


_ONLY_NAMES = {"destination": {"filter": "name ne 'hidden'"}, "sync_behaviour": {"dropped": "delete"}}


def test_a_parent_outside_the_filter_rejects_the_rows_below_it(here: World) -> None:
    """The plan says so before anything is sent, and nothing is told as refused by Dataverse."""
    tree(here, [row("1"), row("2"), row("5"), row("6", "5")], BY_NUMBER, **_ONLY_NAMES)
    here.run()

    rows = [row("1", "7"), row("2"), row("7", name="hidden"), row("8", "7"), row("9", "8"), row("5"), row("6", "5")]
    tree(here, rows, BY_NUMBER, **_ONLY_NAMES)
    plan, done = here.plan().plan, here.run()

    assert (plan.counts.changes, done.source.rejected, done.created.planned, done.updated.planned) == (0, 4, 0, 0)
    assert {(error.error_type, error.rows) for error in done.errors} == {
        ("Outside Filter", (3,)),
        ("Unresolved Link", (1, 4, 5)),
    }
    assert parents(here) == {"1": None, "2": None, "5": None, "6": "5"}


@pytest.mark.parametrize(("policy", "expected"), [("clear", None), ("keep", "2")])
def test_a_reference_to_a_parent_outside_the_filter_is_cleared_or_kept(
    here: World, policy: str, expected: str | None
) -> None:
    lookup = {**BY_NUMBER, "on_missing": policy}
    tree(here, [row("1", "2"), row("2")], lookup, **_ONLY_NAMES)
    here.run()

    rows = [row("1", "7"), row("2"), row("7", name="hidden"), row("8", "7")]
    tree(here, rows, lookup, **_ONLY_NAMES)
    done = here.run()

    assert (done.source.rejected, done.created.done, done.updated.done) == (1, 1, int(policy == "clear"))
    said = [(each.column, each.message) for each in done.errors if each.error_type == "Unresolved Link"]
    consequence = "is cleared" if policy == "clear" else "keeps its value"
    message = f"the row of the new record that it refers to is rejected; parentaccountid {consequence}"
    assert said == [("parentaccountid", message)]
    assert parents(here) == {"1": expected, "2": None, "8": None}
    assert here.plan().plan.counts.changes == 0


def test_a_row_is_rejected_if_the_filter_asks_for_its_cleared_reference(here: World) -> None:
    """Without the parent the new record would not pass the filter: each run would create it again."""
    lookup = {**BY_NUMBER, "on_missing": "clear"}
    condition = {"destination": {"filter": "name ne 'hidden' and parentaccountid ne null"}}
    tree(here, [row("7", name="hidden"), row("8", "7")], lookup, **condition)

    done = here.run()

    assert (done.created.done, done.source.rejected, parents(here)) == (0, 2, {})


@pytest.mark.parametrize(
    ("keys", "updated"),
    [
        ({"lookup": {"match": "isocurrencycode"}}, 1),
        ({}, 1),
        ({"lookup": {"match": "isocurrencycode"}, "on_null": "clear"}, 0),
    ],
)
def test_an_empty_currency_leaves_that_of_the_record(here: World, keys: dict[str, Any], updated: int) -> None:
    """Dataverse has filled in the base currency, and needs one for an amount: clearing it would refuse the row."""
    definition = accounts()
    definition["source"]["columns"].append({"name": "currency"})
    currency = {"source": "currency", "target": "transactioncurrencyid", **keys}
    definition["destination"]["mappings"].append(currency)
    here.define(definition)
    values = {"number": "1", "name": "One", "city": "", "currency": ""}
    here.environment["SOURCE"] = str(here.csv([{**values, "revenue": "2"}], "amounts.csv"))
    assert here.run().errors == ()
    (made,) = here.records("accounts?$select=_transactioncurrencyid_value")
    assert made["_transactioncurrencyid_value"] is not None
    assert here.plan().plan.counts.changes == 1 - updated
    here.csv([{**values, "revenue": "3"}], "amounts.csv")
    assert here.run().updated.done == updated
    assert here.plan().plan.counts.changes == 1 - updated
