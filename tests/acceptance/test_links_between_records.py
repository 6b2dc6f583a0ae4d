"""Syncs of links, the pairs of many-to-many relationships: associated, removed, with faults and mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.errors import DefinitionError, UnsafePlanError
from tests.acceptance.world import World, accounts, world

ACCOUNT = {"match": "accountnumber"}
LEAD = {"match": "subject"}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        for number in "123":
            made.create("accounts", {"name": f"Account {number}", "accountnumber": number})
            made.create("leads", {"subject": f"Lead {number}", "lastname": f"Doe {number}"})
        yield made


def links(here: World, rows: Sequence[tuple[str, str]], **changes: Any) -> str:
    """A sync of links between accounts and leads from rows of an account number and the subject of a lead."""
    here.csv([{"number": number, "subject": subject} for number, subject in rows] or [{"number": "", "subject": ""}])
    definition = accounts()
    definition["source"]["columns"] = [{"name": "number"}, {"name": "subject"}, *changes.pop("columns", ())]
    definition["destination"] |= {
        "entity": "accountleads",
        "id_column": "accountleadid",
        "mappings": [
            {"source": "number", "target": "accountid", "lookup": {**ACCOUNT, **changes.pop("account", {})}},
            {"source": "subject", "target": "leadid", "lookup": {**LEAD, **changes.pop("lead", {})}},
        ],
        **changes.pop("destination", {}),
    }
    safety = {"max_delete": "100%"}
    definition["sync_behaviour"] = {
        "sync_key": ["accountid", "leadid"],
        "dropped": "delete",
        "safety": safety,
        **changes,
    }
    return here.define(definition, "links")


def linked(here: World) -> set[tuple[str, str]]:
    query = "accounts?$select=accountnumber&$expand=accountleads_association($select=subject)"
    return {
        (account["accountnumber"], lead["subject"])
        for account in here.records(query)
        for lead in account["accountleads_association"]
    }


ALL = [("1", "Lead 1"), ("1", "Lead 2"), ("2", "lead 2")]


def test_links_are_made_and_removed_and_a_second_run_has_nothing_to_do(here: World) -> None:
    links(here, ALL)
    done = here.run("links")

    assert (done.state, done.created.done, done.errors) == ("Succeeded", 3, ())
    assert linked(here) == {("1", "Lead 1"), ("1", "Lead 2"), ("2", "Lead 2")}
    again = here.plan("links").plan
    assert (again.counts.changes, again.counts.unchanged) == (0, 3)

    links(here, [*ALL[1:], ("3", "Lead 1")])
    done = here.run("links")

    assert (done.created.done, done.deleted.done, done.unchanged, done.errors) == (1, 1, 2, ())
    assert linked(here) == {("1", "Lead 2"), ("2", "Lead 2"), ("3", "Lead 1")}
    assert here.plan("links").plan.counts.changes == 0


def test_a_link_that_the_sync_made_is_its_own_and_is_removed_when_its_row_is_missing(here: World) -> None:
    """Also in the next run, in which nothing matches it any more; links of people stay."""
    links(here, [("3", "Lead 3")])
    here.run("links")  # as anybody: the sync keeps no ledger yet
    links(here, ALL, dropped_scope="own")
    here.run("links")

    links(here, ALL[1:], dropped_scope="own")
    done = here.run("links")

    assert (done.deleted.done, done.ignored, done.errors) == (1, 1, ())
    assert linked(here) == {("1", "Lead 2"), ("2", "Lead 2"), ("3", "Lead 3")}
    again = here.plan("links").plan
    assert (again.counts.changes, again.counts.ignored) == (0, 1)


def test_links_whose_ids_cannot_be_read_are_left_alone(here: World, caplog: pytest.LogCaptureFixture) -> None:
    """The run succeeds; they are its own from the next run on that has their rows."""
    links(here, ALL, dropped_scope="own")
    here.emulator.faults({"action": "status", "match": {"path": "leadid&$filter"}, "status": 403})
    done = here.run("links")
    assert (done.state, done.created.done) == ("Succeeded", 3)
    assert "The ids of new links cannot be read" in caplog.text

    links(here, ALL[1:], dropped_scope="own")
    assert (here.run("links").deleted.done, len(linked(here))) == (0, 3)
    links(here, ALL[2:], dropped_scope="own")
    assert (here.run("links").deleted.done, len(linked(here))) == (1, 2)


def test_a_lead_or_account_that_does_not_exist_is_an_unresolved_link(here: World) -> None:
    links(here, [("1", "Lead 1"), ("nobody", "Lead 2"), ("2", "nothing"), ("", "Lead 3")])

    done = here.run("links")

    assert (done.created.done, done.source.rejected, linked(here)) == (1, 3, {("1", "Lead 1")})
    assert sorted((error.error_type, error.column) for error in done.errors) == [
        ("Mandatory Rule Violation", "number"),
        ("Unresolved Link", "number"),
        ("Unresolved Link", "subject"),
    ]


def test_if_a_row_finds_no_record_no_link_is_removed(here: World) -> None:
    """The row may be about any of the links."""
    links(here, ALL)
    here.run("links")

    links(here, [("1", "Lead 1"), ("1", "misspelt")])
    done = here.run("links")

    assert (done.deleted.done, linked(here)) == (0, {("1", "Lead 1"), ("1", "Lead 2"), ("2", "Lead 2")})


def test_a_row_that_is_rejected_for_another_column_keeps_its_link(here: World) -> None:
    """Its key is searched although the row is rejected; only links that the source lacks are removed."""
    links(here, ALL)
    here.run("links")

    links(here, [], columns=[{"name": "size", "type": "number", "validate": True}])
    rows = zip(ALL[:2], ("1", "wrong"), strict=True)
    here.csv([{"number": number, "subject": subject, "size": size} for (number, subject), size in rows])
    done = here.run("links")

    assert (done.source.rejected, done.deleted.done, linked(here)) == (1, 1, {("1", "Lead 1"), ("1", "Lead 2")})


def test_a_pair_that_is_twice_in_the_source_is_one_link(here: World) -> None:
    links(here, [*ALL, ("1", "LEAD 1")])

    done = here.run("links")

    assert (done.created.done, done.source.rejected) == (3, 1)
    assert [error.error_type for error in done.errors] == ["Duplicate Key"]


def test_only_links_that_pass_the_filter_are_removed(here: World) -> None:
    links(here, ALL)
    here.run("links")
    (first,) = [each["accountid"] for each in here.records("accounts?$filter=accountnumber eq '1'")]

    links(here, [("1", "Lead 3"), ("2", "Lead 1")], destination={"filter": f"accountid eq {first}"})
    done = here.run("links")

    assert (done.created.done, done.deleted.done) == (1, 2)
    assert [(error.error_type, error.column, error.rows) for error in done.errors] == [
        ("Outside Filter", "accountid", (2,))
    ]
    assert linked(here) == {("1", "Lead 3"), ("2", "Lead 2")}


def test_a_plan_that_removes_too_many_links_is_refused(here: World) -> None:
    for number in range(20):
        here.create("leads", {"subject": f"More {number}", "lastname": "Doe"})
    links(here, [("1", f"More {number}") for number in range(20)])
    here.run("links")

    links(here, [("1", f"More {number}") for number in range(5)], safety={"max_delete": "30%"})
    plan = here.plan("links").plan

    assert (plan.counts.delete, len(plan.violations())) == (15, 1)
    with pytest.raises(UnsafePlanError):
        here.run("links")
    assert len(linked(here)) == 20


def test_a_plan_shows_both_records_of_new_and_removed_links_by_name(here: World) -> None:
    links(here, [("1", "Lead 1")])
    (change,) = here.plan("links").sample
    assert [(each.column, each.after_name) for each in change.columns] == [
        ("accountid", "Account 1"),
        ("leadid", "Doe 1"),
    ]
    here.run("links")

    links(here, [("2", "Lead 1")])
    removed = next(change for change in here.plan("links").sample if change.action == "delete")
    assert [(each.column, each.before_name) for each in removed.columns] == [
        ("accountid", "Account 1"),
        ("leadid", "Doe 1"),
    ]


def test_a_missing_record_can_be_created_for_its_link(here: World) -> None:
    create = {"on_missing": "create", "create": {"name": "subject"}}
    links(here, [("1", "Lead 1"), ("new", "Lead 2"), ("NEW", "Lead 3")], account=create)

    done = here.run("links")

    assert (done.created.done, done.created_references.done, done.errors) == (3, 1, ())
    assert linked(here) == {("1", "Lead 1"), ("new", "Lead 2"), ("new", "Lead 3")}
    assert here.plan("links").plan.counts.changes == 0


def ids(here: World, rows: Sequence[Mapping[str, str]], **behaviour: Any) -> str:
    """A sync of links whose source holds ids, and what to do with each."""
    here.csv(rows)
    definition = accounts()
    definition["source"]["columns"] = [{"name": name} for name in rows[0]]
    definition["destination"] |= {
        "entity": "accountleadscollection",
        "id_column": "accountleadid",
        "mappings": [{"source": "account", "target": "accountid"}, {"source": "lead", "target": "leadid"}],
    }
    definition["sync_behaviour"] = {"sync_key": ["leadid", "accountid"], **behaviour}
    return here.define(definition, "links")


def known(here: World) -> tuple[list[str], list[str]]:
    accounts = [each["accountid"] for each in here.records("accounts?$orderby=accountnumber")]
    leads = [each["leadid"] for each in here.records("leads?$orderby=subject")]
    return [each for each in accounts if each], leads


def test_a_source_with_ids_and_actions_needs_no_read(here: World) -> None:
    """Links that exist already and links that are removed already count as applied: the same file can be run again."""
    accounts, leads = known(here)
    nowhere = "00000000-0000-4000-8000-000000000001"
    rows = [
        {"account": accounts[0], "lead": leads[0].upper(), "action": "insert"},
        {"account": accounts[0], "lead": leads[1], "action": "upsert"},
        {"account": accounts[0], "lead": leads[2], "action": "delete"},
        {"account": nowhere, "lead": leads[2], "action": "delete"},
        {"account": nowhere, "lead": leads[0], "action": "insert"},
    ]
    ids(here, rows, strategy="delta", action_column="action")

    for _ in range(2):
        done = here.run("links")
        assert (done.created.done, done.upserted.done, done.deleted.done, done.failed) == (1, 1, 2, 1)
        assert [error.error_type for error in done.errors] == ["INSERT 0x80040217"]
        assert len(linked(here)) == 2

    ids(here, [{**row, "action": "delete"} for row in rows], strategy="delta", action_column="action")
    assert here.run("links").deleted.done == 5
    assert linked(here) == set()


def test_strategy_upsert_makes_links_and_can_run_again(here: World) -> None:
    accounts, leads = known(here)
    ids(here, [{"account": accounts[0], "lead": lead} for lead in leads], strategy="upsert")

    for _ in range(2):
        done = here.run("links")
        assert (done.upserted.done, done.errors, len(linked(here))) == (3, (), 3)


@pytest.mark.parametrize(
    "fault",
    [
        {
            "action": "status",
            "match": {"method": "POST", "path": "accountleads_association"},
            "status": 429,
            "times": 2,
        },
        {"action": "status", "match": {"method": "POST", "path": "$batch"}, "status": 429, "retry_after": 0},
        {"action": "drop_after", "match": {"method": "POST", "path": "$batch"}},
        {"action": "drop_before", "match": {"method": "POST", "path": "$batch"}},
    ],
)
def test_faults_while_links_are_written_are_retried(here: World, fault: Mapping[str, Any]) -> None:
    links(here, ALL)
    here.emulator.faults(fault)

    done = here.run("links")

    assert (done.created.done, done.failed, len(linked(here))) == (3, 0, 3), done
    assert here.plan("links").plan.counts.changes == 0


def test_a_refused_link_is_one_error_and_the_others_are_created(here: World) -> None:
    here.emulator.faults(
        {
            "action": "status",
            "match": {"method": "POST", "path": "accountleads_association"},
            "status": 400,
            "code": "0x80040265",
            "message": "not this one",
        }
    )
    links(here, ALL)

    done = here.run("links")

    assert (done.created.done, done.failed, len(linked(here))) == (2, 1, 2)
    assert [error.message for error in done.errors] == ["not this one"]
    assert here.run("links").created.done == 1


# -- What is wrong with a definition ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"dropped": {"expire": "modifiedon"}}, "expire:", "which have no column to mark them"),
        ({"changed": "ignore"}, "changed:", "a link exists or not, so none can be changed"),
        ({"sync_key": ["accountid"]}, "sync_key:", "the sync key is accountid, leadid"),
        (
            {"destination": {"mappings": [{"source": "number", "target": "accountid"}]}, "sync_key": ["accountid"]},
            "mappings:",
            "accountleads holds links between account and lead: leadid must be mapped as well",
        ),
    ],
)
def test_invalid_keys_of_links_are_refused_with_their_place(
    here: World, changes: Mapping[str, Any], key: str, message: str
) -> None:
    links(here, ALL, **changes)
    lines = (here.folder / "syncs" / "links.yaml").read_text("utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if key in text)

    with pytest.raises(DefinitionError) as refused:
        here.plan("links")

    found = [str(problem) for problem in refused.value.problems if message in problem.message]
    assert found, refused.value.problems
    assert f"links.yaml:{line}" in found[0] or f"links.yaml:{line + 1}" in found[0]


def test_only_the_two_columns_can_be_mapped(here: World) -> None:
    mappings = [
        {"source": "number", "target": "accountid"},
        {"source": "subject", "target": "leadid"},
        {"source": "number", "target": "accountleadid"},
    ]
    links(here, ALL, destination={"mappings": mappings})

    with pytest.raises(DefinitionError, match="only accountid and leadid can be mapped"):
        here.plan("links")


@pytest.mark.parametrize(
    ("table", "messages"),
    [
        ("teammembership", "AddMembersTeam and RemoveMembersTeam"),
        ("TeamMemberships", "AddMembersTeam and RemoveMembersTeam"),
        ("systemuserroles", "systemuserroles_association"),
        ("listmember", "AddMemberList and RemoveMemberList"),
        ("principalobjectaccess", "GrantAccess, ModifyAccess and RevokeAccess"),
    ],
)
def test_tables_that_only_actions_change_are_refused_with_these_actions(here: World, table: str, messages: str) -> None:
    links(here, ALL, destination={"entity": table})

    with pytest.raises(DefinitionError, match=messages) as refused:
        here.plan("links")

    assert "links.yaml:" in str(refused.value)


def test_links_between_records_of_one_table_have_a_direction(tmp_path: Path) -> None:
    schema = tmp_path / "friends.yaml"
    schema.write_text("many_to_many:\n  new_friends: {tables: [account, account]}\n", "utf-8")
    with world(tmp_path, schema=[schema]) as here:
        one, two = (here.create("accounts", {"name": name, "accountnumber": name}) for name in ("one", "two"))
        here.csv([{"of": "one", "friend": "two"}])
        definition = accounts()
        definition["source"]["columns"] = [{"name": "of"}, {"name": "friend"}]
        definition["destination"] |= {
            "entity": "new_friends",
            "id_column": "new_friendsid",
            "mappings": [
                {"source": "of", "target": "accountidone", "lookup": ACCOUNT},
                {"source": "friend", "target": "accountidtwo", "lookup": ACCOUNT},
            ],
        }
        definition["sync_behaviour"] = {"sync_key": ["accountidone", "accountidtwo"]}
        here.define(definition, "friends")

        assert here.run("friends").created.done == 1
        (link,) = here.records("new_friendsset")
        assert (link["accountidone"], link["accountidtwo"]) == (one, two)
        assert here.plan("friends").plan.counts.changes == 0


def test_the_example_of_the_page_runs(here: World) -> None:
    """With the names that Dataverse has."""
    page = Path("docs/many-to-many.md").read_text("utf-8")
    definition = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    definition["source"]["path"] = str(here.csv([{"account_no": "1", "lead_mail": "one@contoso.com"}]))
    definition["destination"] |= {
        "service_url": here.emulator.service_url,
        "client_id": {"env": "DYNAMICS_CLIENT_ID"},
        "client_secret": {"env": "DYNAMICS_CLIENT_SECRET"},
    }
    here.create("leads", {"subject": "By mail", "emailaddress1": "one@contoso.com"})
    name = here.define(yaml.safe_dump(definition), definition["name"])

    assert here.run(name).created.done == 1
    assert linked(here) == {("1", "By mail")}
