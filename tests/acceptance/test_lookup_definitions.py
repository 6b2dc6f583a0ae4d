"""A definition for each key and each policy of lookups: run twice and sent twice as events, the second time idle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import yaml

from shared.cli.real_time import feed
from shared.definitions.models import Lookup, WritePolicy
from tests.acceptance.test_links_between_records import linked
from tests.acceptance.world import World, world

FOLDER: Final = Path(__file__).parent / "definitions"
SCHEMA: Final = """
new_Node:
  keys: {number_key: [new_number]}
  columns:
    new_Number: {type: String, length: 20}
    new_Kind: {type: String, length: 20}
    new_ParentId: {type: Lookup, targets: [new_node]}
"""
CONTACT, CUSTOMER = "parentcontactid($select=firstname)", "customerid_account($select=name)"
EITHER: Final = (CUSTOMER, "customerid_contact($select=firstname)")
OWNER: Final = ("owninguser($select=lastname)", "owningteam($select=name)")
NODE: Final = ("new_nodes", "new_number", ("new_ParentId($select=new_number)",))
UNRESOLVED, AMBIGUOUS = "Unresolved Link", "Ambiguous Link"
DROPPED: Final = {"op": "d"}
Row = Mapping[str, Any]
Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the source has, what the records refer to afterwards, and the errors of the rows."""

    rows: Sequence[Row]
    found: Found
    errors: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One definition; `shown` are the entity set, the key, and the navigation properties of which one has a record."""

    stages: Sequence[Stage]
    shown: tuple[str, str, Sequence[str]] = field(default=("opportunities", "name", (CONTACT,)))


def deals(**searched: Any) -> list[dict[str, Any]]:
    """Rows by name, each with what it searches for, or with its columns."""
    return [
        {"name": name, **(each if isinstance(each, dict) else {"searched": each})} for name, each in searched.items()
    ]


def one(rows: Sequence[Row], errors: Sequence[str] = (), **found: str | None) -> Sequence[Stage]:
    return (Stage(rows=rows, found=found, errors=errors),)


def missing(*errors: str, then: str | None) -> Sequence[Stage]:
    """First Anna is found, then no record is."""
    first = Stage(rows=deals(one="anna@contoso.com"), found={"one": "Anna"})
    return (first, Stage(rows=deals(one="nobody@contoso.com"), found={"one": then}, errors=errors))


ANNA: Final = deals(one="ANNA@contoso.com ", two="bert@contoso.com")
# The parent is dropped, and comes back with the row that refers to it.
RETURNING: Final = (
    Stage(rows=deals(c="p", p=""), found={"p": None, "c": "p"}),
    Stage(rows=deals(c="", p=DROPPED), found={"p": None, "c": None}),
    Stage(rows=deals(c="p", p=""), found={"p": None, "c": "p"}),
    Stage(rows=deals(c=DROPPED, p=DROPPED, d=""), found={"p": None, "c": "p", "d": None}),
    Stage(rows=deals(c="p", p="", d=""), found={"p": None, "c": "p", "d": None}),
)
CASES: Final[Mapping[str, Case]] = {
    "match-column": Case(stages=one(ANNA, one="Anna", two="Bert")),
    "match-columns": Case(
        stages=one(deals(one={"last": "doe", "first": "bert"}, two={"last": "doe", "first": ""}), [UNRESOLVED], one="Bert")
    ),
    "match-key": Case(
        stages=one(deals(one="c1", two=""), one="Contoso", two=None),
        shown=("opportunities", "name", ("parentaccountid($select=name)",)),
    ),
    "match-id": Case(stages=one(deals(one="{id}", two=f"{1:032}"), [UNRESOLVED], one="Anna")),
    "entity-left-out": Case(stages=one(ANNA, one="Anna", two="Bert")),
    "entities": Case(
        stages=one(deals(one="C1", two="bert@contoso.com"), one="Contoso", two="Bert"),
        shown=("opportunities", "name", EITHER),
    ),
    "entity-from": Case(
        stages=one(
            deals(
                one={"kind": "account", "searched": "C1"},
                two={"kind": " Contact", "searched": "bert@contoso.com"},
                three={"kind": "lead", "searched": "C1"},
            ),
            [UNRESOLVED],
            one="Contoso",
            two="Bert",
        ),
        shown=("opportunities", "name", EITHER),
    ),
    "filter": Case(stages=one(deals(one="Old"), one="Dora")),
    "on-missing-reject": Case(stages=missing(UNRESOLVED, then="Anna")),
    "on-missing-clear": Case(stages=missing(UNRESOLVED, then=None)),
    "on-missing-keep": Case(stages=missing(UNRESOLVED, then="Anna")),
    "on-missing-create": Case(
        stages=one(
            deals(one={"searched": "C1", "company": "x"}, two={"searched": "n2", "company": "Fabrikam"}),
            one="Contoso",
            two="Fabrikam",
        ),
        shown=("opportunities", "name", ("parentaccountid($select=name)",)),
    ),
    "on-ambiguous-reject": Case(stages=one(deals(one="Doe", two="Single"), [AMBIGUOUS], two="Eve")),
    "on-ambiguous-oldest": Case(stages=one(deals(one="Doe"), one="Anna")),
    "on-ambiguous-newest": Case(stages=one(deals(one="Doe"), one="Bert")),
    "default": Case(stages=one(deals(one="", two="nobody", three="bert@contoso.com"), one="Anna", two="Anna", three="Bert")),
    "owner": Case(
        stages=one(deals(one="user@contoso.com", two="first team", three="nobody"), [UNRESOLVED], one="User", two="First Team"),
        shown=("opportunities", "name", OWNER),
    ),
    "currency": Case(
        stages=one(
            deals(one={"searched": "eur", "amount": "1.50"}, two={"searched": "USD", "amount": "2"}), one="EUR", two="USD"
        ),
        shown=("opportunities", "name", ("transactioncurrencyid($select=isocurrencycode)",)),
    ),
    "own-table": Case(
        stages=one(deals(c="b", b="a", a="c", d="d", e=""), a="c", b="a", c="b", d="d", e=None), shown=NODE
    ),
    "own-table-filter": Case(
        stages=(
            Stage(
                rows=deals(
                    c={"searched": "b", "kind": ""}, b={"searched": "A", "kind": "x"}, a={"searched": "", "kind": "Group"}
                ),
                found={"a": None, "b": "a"},
                errors=[UNRESOLVED],
            ),
            Stage(
                rows=deals(
                    c={"searched": "b", "kind": ""}, b={"searched": "", "kind": "group"}, a={"searched": "", "kind": "x"}
                ),
                found={"a": None, "b": None, "c": "b"},
            ),
        ),
        shown=NODE,
    ),
    "own-table-filter-reactivate": Case(stages=RETURNING, shown=NODE),
    "own-table-filter-set": Case(stages=RETURNING, shown=NODE),
    "links": Case(
        stages=one(
            [{"number": "C1", "subject": "lead 1"}, {"number": "c1", "subject": "Lead 2"}, {"number": "x", "subject": "Lead 1"}],
            [UNRESOLVED],
        ),
    ),
    "parties": Case(
        stages=one(
            [
                {"name": "one", "sender": "user@contoso.com", "recipients": "anna@contoso.com, office@contoso.com"},
                {"name": "two", "sender": "", "recipients": "nobody"},
            ],
            [UNRESOLVED],
        ),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("lookups")
    schema = folder / "schema.yaml"
    schema.write_text(SCHEMA, "utf-8")
    with world(folder, schema=[schema]) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    """A world with the records that lookups find."""
    made = shared_world
    made.emulator.reset()
    made.create("accounts", {"name": "Contoso", "accountnumber": "C1", "emailaddress1": "office@contoso.com"})
    people = (("Anna", "Doe"), ("Bert", "Doe"), ("Carl", "Old"), ("Dora", "Old"), ("Eve", "Single"))
    for day, (first, last) in enumerate(people, 1):
        names = {"firstname": first, "lastname": last, "emailaddress1": f"{first.lower()}@contoso.com"}
        person = made.create("contacts", {**names, "overriddencreatedon": f"2020-01-0{day}T00:00:00Z"})
        if first == "Carl":
            made.update(f"contacts({person})", {"statecode": 1, "statuscode": 2})
    made.create("systemusers", {"lastname": "User", "internalemailaddress": "user@contoso.com"})
    made.create("teams", {"name": "First Team", "teamtype": 0})
    euro = {"currencyname": "Euro", "isocurrencycode": "EUR", "currencysymbol": "€", "currencyprecision": 2}
    made.create("transactioncurrencies", {**euro, "exchangerate": 0.9})
    for number in "12":
        made.create("leads", {"subject": f"Lead {number}", "lastname": "Doe"})
    return made


def rows_of(here: World, stage: Stage) -> list[dict[str, Any]]:
    """The rows, with the id of Anna where it is asked for."""
    (anna,) = here.records("contacts?$select=contactid&$filter=firstname eq 'Anna'")
    return [
        {name: anna["contactid"] if value == "{id}" else value for name, value in row.items()} for row in stage.rows
    ]


def check(here: World, name: str, stage: Stage) -> None:
    """The records refer to the expected records of the table."""
    if name == "links":
        assert linked(here) == {("C1", "Lead 1"), ("C1", "Lead 2")}
        return
    if name == "parties":
        (email,) = here.records("emails?$expand=email_activity_parties($select=participationtypemask,addressused)")
        given = {(each["participationtypemask"], each["addressused"]) for each in email["email_activity_parties"]}
        assert given >= {(1, "user@contoso.com"), (2, "anna@contoso.com"), (2, "office@contoso.com")}
        return
    entity_set, key, shown = CASES[name].shown
    found = here.records(f"{entity_set}?$select={key}&$expand={','.join(shown)}")
    assert {record[key]: _name(record, shown) for record in found} == stage.found


def _name(record: Mapping[str, Any], shown: Sequence[str]) -> str | None:
    for each in shown:
        navigation, _, column = each.rstrip(")").partition("($select=")
        if record[navigation]:
            return str(record[navigation][column])
    return None


@pytest.mark.parametrize("name", CASES)
def test_a_definition_of_a_lookup_runs_twice(here: World, name: str) -> None:
    here.define((FOLDER / "lookups" / f"{name}.yaml").read_text("utf-8"), name)
    for stage in CASES[name].stages:
        here.csv([row for row in rows_of(here, stage) if row.get("op") != "d"])
        done = here.run(name)
        assert (done.failed, [error.error_type for error in done.errors]) == (0, [*stage.errors])
        check(here, name, stage)
        assert here.plan(name).plan.counts.changes == 0
        assert here.run(name).writes == 0


@pytest.mark.parametrize("name", CASES)
def test_a_definition_of_a_lookup_accepts_events_twice(here: World, name: str) -> None:
    """The second delivery finds all references unchanged; a missing record gives a dead letter, or is reported."""
    here.define((FOLDER / "lookups" / f"{name}.yaml").read_text("utf-8"), name)
    told = "left_out" if name in {"on-missing-clear", "on-missing-keep"} else "lost"
    for stage in CASES[name].stages:
        first = send(here, name, rows_of(here, stage))
        assert first.get(told, 0) == len(stage.errors), first
        check(here, name, stage)
        again = send(here, name, rows_of(here, stage))
        assert again.keys() <= {"events", "unchanged", "ignored", "failed", told}, again
        assert again.get(told, 0) == len(stage.errors), again


def send(here: World, name: str, rows: Sequence[Row]) -> dict[str, int]:
    path = here.folder / "events.ndjson"
    path.write_text("".join(json.dumps({"op": "u", **row}) + "\n" for row in rows), "utf-8")
    return dict(feed(here.app, name, str(path)).syncs[name])


def test_every_key_and_policy_has_a_definition_and_every_definition_is_run() -> None:
    """A key without a definition would never be tested with a server."""
    assert {file.stem for file in (FOLDER / "lookups").glob("*.yaml")} == CASES.keys()
    used, matches, written = set[tuple[str, str]](), set[type](), set[str]()
    for file in FOLDER.rglob("*.yaml"):
        for mapping in yaml.safe_load(file.read_text("utf-8"))["destination"]["mappings"]:
            written.add(mapping.get("write", "always"))
            entries = mapping.get("lookup", [])
            for entry in entries if isinstance(entries, list) else [entries]:
                used |= {(key, value if isinstance(value, str) else "") for key, value in entry.items()}
                matches.add(type(entry["match"]))
    assert {key for key, _ in used} == Lookup.model_fields.keys()
    for key in ("on_missing", "on_ambiguous"):
        assert {value for name, value in used if name == key} == {*get_args(Lookup.model_fields[key].annotation)}
    assert matches == {str, list, dict}
    assert written == {*WritePolicy}
