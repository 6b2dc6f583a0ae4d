"""Activities with their parties: lists of people and records from one column each, given to new activities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.errors import DefinitionError
from tests.acceptance.world import World, accounts, world

PEOPLE = [{"entity": "contact", "match": "emailaddress1"}, {"entity": "account", "match": "emailaddress1"}]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        for name in ("anna", "bert"):
            made.create("contacts", {"lastname": name, "emailaddress1": f"{name}@contoso.com"})
        made.create("accounts", {"name": "Contoso", "emailaddress1": "office@contoso.com"})
        yield made


def emails(here: World, rows: Sequence[Mapping[str, str]], **changes: Any) -> str:
    """A sync of emails by subject; the columns `from`, `to` and `cc` of the source are lists of addresses."""
    here.csv(rows)
    definition = accounts()
    definition["source"]["columns"] = [{"name": name} for name in rows[0]]
    lookup = changes.pop("lookup", PEOPLE)
    lists = [
        {"source": n, "target": n, "lookup": lookup, **changes.get("mapping", {})} for n in rows[0] if n != "subject"
    ]
    changes.pop("mapping", None)
    definition["destination"] |= {
        "entity": "email",
        "id_column": "activityid",
        "mappings": [{"source": "subject", "target": "subject"}, *lists],
    }
    definition["sync_behaviour"] = {"sync_key": ["subject"], **changes}
    return here.define(definition, "emails")


def parties(here: World) -> dict[str, list[tuple[int, str]]]:
    """Subject -> role and address of the parties that were given."""
    query = "emails?$select=subject&$expand=email_activity_parties($select=participationtypemask,addressused)"
    return {
        email["subject"]: [
            (party["participationtypemask"], party["addressused"].partition("@")[0])
            for party in email["email_activity_parties"]
            if party["participationtypemask"] < 8
        ]
        for email in here.records(query)
    }


def sent(subject: str, to: str, *, sender: str = "", cc: str = "") -> dict[str, str]:
    return {"subject": subject, "from": sender, "to": to, "cc": cc}


ANNA, BERT, OFFICE = "anna@contoso.com", "Bert@contoso.com ", "office@contoso.com"


def test_parties_are_given_to_new_activities_and_a_second_run_has_nothing_to_do(here: World) -> None:
    rows = [
        sent("one", f"{ANNA};\n{BERT}\t; ;\r\n;\u00a0", sender=OFFICE),
        sent("two", OFFICE, cc=f"{BERT};{ANNA}"),
        sent("three", ""),
    ]
    emails(here, rows)

    done = here.run("emails")

    assert (done.state, done.created.done, done.errors) == ("Succeeded", 3, ())
    assert parties(here) == {
        "one": [(1, "office"), (2, "anna"), (2, "bert")],
        "two": [(2, "office"), (3, "bert"), (3, "anna")],
        "three": [],
    }
    assert here.plan("emails").plan.counts.changes == 0


def test_the_parties_of_an_activity_that_exists_are_neither_compared_nor_changed(here: World) -> None:
    emails(here, [sent("one", ANNA)])
    here.run("emails")

    emails(here, [sent("one", BERT), sent("two", BERT)])
    done = here.run("emails")

    assert (done.created.done, done.updated.done, done.errors) == (1, 0, ())
    assert parties(here) == {"one": [(2, "anna")], "two": [(2, "bert")]}


def test_a_party_that_is_not_found_rejects_the_row(here: World) -> None:
    emails(here, [sent("one", f"{ANNA};nobody@contoso.com;x"), sent("two", BERT)])

    done = here.run("emails")

    assert (done.created.done, done.source.rejected, parties(here)) == (1, 1, {"two": [(2, "bert")]})
    said = "no contact has this emailaddress1 and no account has this emailaddress1; the value is "
    assert {(error.error_type, error.column, error.message) for error in done.errors} == {
        ("Unresolved Link", "to", f"{said}an e-mail address"),
        ("Unresolved Link", "to", f"{said}a text of 1 characters"),
    }


@pytest.mark.parametrize("policy", ["clear", "keep"])
def test_a_party_that_is_not_found_can_be_left_out(here: World, policy: str) -> None:
    lookup = {**PEOPLE[0], "on_missing": policy}
    emails(here, [sent("one", f"nobody@contoso.com;{ANNA}")], lookup=lookup)

    done = here.run("emails")

    assert (done.created.done, parties(here)) == (1, {"one": [(2, "anna")]})
    assert [error.message.rpartition("; ")[2] for error in done.errors] == ["this party is left out"]


def test_an_ambiguous_party_rejects_the_row(here: World) -> None:
    here.create("contacts", {"lastname": "other", "emailaddress1": ANNA})
    emails(here, [sent("one", f"{BERT};{ANNA}")])

    assert [error.error_type for error in here.run("emails").errors] == ["Ambiguous Link"]
    emails(here, [sent("one", f"{BERT};{ANNA}")], lookup={**PEOPLE[0], "on_ambiguous": "oldest"})
    assert here.run("emails").created.done == 1


def test_another_delimiter_and_ids(here: World) -> None:
    ids = [each["contactid"] for each in here.records("contacts?$orderby=lastname")]
    lookup = {"entity": "contact", "match": "id"}
    emails(here, [sent("one", f"{ids[0]} | {{{ids[1].upper()}}}")], lookup=lookup, mapping={"delimiter": "|"})

    assert here.run("emails").errors == ()
    assert parties(here) == {"one": [(2, "anna"), (2, "bert")]}


def test_a_plan_shows_the_parties_of_a_new_activity(here: World) -> None:
    emails(here, [sent("one", ANNA, cc=OFFICE)])

    (change,) = here.plan("emails").sample

    assert [each.column for each in change.columns] == ["subject", "email_activity_parties"]
    assert [party["participationtypemask"] for party in change.columns[1].after] == [2, 3]


def test_attendees_of_an_appointment_come_from_an_expression(here: World) -> None:
    here.csv([{"subject": "one", "first": ANNA, "second": "bert@contoso.com"}])
    definition = accounts()
    definition["source"]["columns"] = [{"name": name} for name in ("subject", "first", "second")]
    lookup = {"entity": "contact", "match": "emailaddress1"}
    definition["destination"] |= {
        "entity": "appointment",
        "id_column": "activityid",
        "mappings": [
            {"source": "subject", "target": "subject"},
            {"value": "'2026-03-01T09:00:00Z'", "target": "scheduledstart"},
            {"value": "'2026-03-01T10:00:00Z'", "target": "scheduledend"},
            {"value": "first || ';' || second", "target": "requiredattendees", "lookup": lookup},
            {"source": "first", "target": "organizer", "lookup": lookup},
        ],
    }
    definition["sync_behaviour"] = {"sync_key": ["subject"]}
    here.define(definition, "appointments")

    assert here.run("appointments").errors == ()
    query = "appointments?$expand=appointment_activity_parties($select=participationtypemask)"
    (found,) = here.records(query)
    roles = [party["participationtypemask"] for party in found["appointment_activity_parties"]]
    assert sorted(role for role in roles if role < 8) == [5, 5, 7]
    assert here.plan("appointments").plan.counts.changes == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sync_key": ["subject", "to"]}, "to is a list, which is given to new records only and never read"),
        ({"changed": {"when": "target.to is null"}}, "this reads target.to, but lists of parties are not read"),
        ({"dropped": {"set": {"description": "target.to"}}}, "this reads target.to, but lists of parties are not read"),
        ({"strategy": "upsert", "sync_key": ["subject"]}, "does not know which are new; use full or delta"),
        ({"lookup": {**PEOPLE[0], "on_missing": "create"}}, "the parties of to are not created; sync them first"),
        ({"lookup": {**PEOPLE[0], "default": ANNA}}, "to is a list, which has no default"),
        (
            {"lookup": {"entity": "contact", "match": ["emailaddress1", "lastname"]}},
            "each party of to is one value; match one column",
        ),
        ({"lookup": {"entity": "email", "match": "subject"}}, "to cannot refer to email"),
        ({"mapping": {"delimiter": ""}}, "delimiter"),
    ],
)
def test_invalid_keys_of_a_list_of_parties_are_refused(here: World, changes: Mapping[str, Any], message: str) -> None:
    emails(here, [{"subject": "one", "to": ANNA}], **changes)

    with pytest.raises(DefinitionError, match=message) as refused:
        here.plan("emails")

    assert "emails.yaml:" in str(refused.value)


def test_only_a_list_of_parties_can_have_a_delimiter(here: World) -> None:
    emails(here, [{"subject": "one", "regarding": "1"}], lookup=None, mapping={"delimiter": ",", "target": "category"})

    with pytest.raises(DefinitionError, match="only a list of activity parties can have a delimiter"):
        here.plan("emails")


def test_a_list_of_too_many_parties_rejects_the_row(here: World) -> None:
    emails(here, [sent("one", f"{ANNA};" * 1001), sent("two", ANNA)])

    done = here.run("emails")

    assert (done.created.done, [error.message for error in done.errors]) == (1, ["a list has at most 1,000 parties"])


def test_an_activity_gets_its_parties_before_it_is_closed(here: World) -> None:
    here.csv([{"subject": "one", "to": ANNA, "state": "Completed"}])
    definition = accounts()
    definition["source"]["columns"] = [{"name": name} for name in ("subject", "to", "state")]
    definition["destination"] |= {
        "entity": "phonecall",
        "id_column": "activityid",
        "mappings": [
            {"source": "subject", "target": "subject"},
            {"source": "to", "target": "to", "lookup": {"entity": "contact", "match": "emailaddress1"}},
            {"source": "state", "target": "statecode"},
        ],
    }
    definition["sync_behaviour"] = {"sync_key": ["subject"]}
    here.define(definition, "calls")

    assert here.run("calls").errors == ()
    (call,) = here.records("phonecalls?$expand=phonecall_activity_parties($select=participationtypemask)")
    roles = [party["participationtypemask"] for party in call["phonecall_activity_parties"]]
    assert (call["statecode"], 2 in roles) == (1, True)
    assert here.plan("calls").plan.counts.changes == 0
