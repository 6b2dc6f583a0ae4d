"""`plan --all` and `run --all` against a local Dataverse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.cli.boundary import run
from tests.acceptance.world import World, accounts, world
from tests.store_in_front import StoreInFront

Typed = Callable[..., tuple[int, dict[str, Any]]]


def contacts(**changes: Any) -> dict[str, Any]:
    """Contacts of contacts.csv, each with its account."""
    definition = accounts()
    definition["source"] = {
        "type": "delimited",
        "path": "@contacts",
        "columns": [{"name": "mail", "mandatory": True, "validate": True}, {"name": "account"}],
    }
    definition["parameters"] = {
        "service_url": {"formula": "ENV('DYNAMICS_URL')"},
        "contacts": {"formula": "ENV('CONTACTS')"},
    }
    definition["destination"] |= {
        "entity": "contact",
        "id_column": "contactid",
        "mappings": [
            {"source": "mail", "target": "emailaddress1"},
            {
                "source": "account",
                "target": "parentcustomerid",
                "lookup": {"entity": "account", "match": "accountnumber"},
            },
        ],
    }
    definition["sync_behaviour"] = {"sync_key": ["emailaddress1"]}
    return definition | changes


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    """Contacts (the first by name) that refer to accounts, two leads of no account, and one sync that is off."""
    with world(tmp_path) as found:
        found.csv([{"number": f"A-{n}", "name": "n", "city": "c", "revenue": n} for n in range(3)])
        found.csv([{"mail": f"{n}@example.com", "account": f"A-{n}"} for n in range(3)], "contacts.csv")
        found.environment["CONTACTS"] = str(tmp_path / "contacts.csv")
        found.define(contacts(), "a-contacts")
        found.define(accounts(), "z-accounts")
        found.define(accounts(enabled=False), "off")
        leads = accounts()
        leads["destination"] |= {"entity": "lead", "id_column": "leadid"}
        leads["destination"]["mappings"] = [
            {"source": "number", "target": "subject"},
            {"source": "name", "target": "lastname"},
        ]
        leads["sync_behaviour"] = {"sync_key": ["subject"]}
        found.define(leads, "m-leads")
        yield found


@pytest.fixture
def typed(here: World, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Types a command with `--json`; gives its exit code and the object."""

    def type_(*arguments: str) -> tuple[int, dict[str, Any]]:
        here.reopen()
        code = run([*arguments, "--json"], open_app=lambda: here.app)
        return code, json.loads(capsys.readouterr().out)

    return type_


def states(value: dict[str, Any]) -> dict[str, str]:
    return {each["sync"]: each["state"] for each in value["syncs"]}


def test_all_syncs_run_in_the_order_of_their_lookups(here: World, typed: Typed) -> None:
    """The contacts find the accounts that were created just before; a second time nothing is to do."""
    code, value = typed("run", "--all")
    assert code == value["exit_code"] == 0
    assert list(states(value).items()) == [
        ("m-leads", "Succeeded"),
        ("z-accounts", "Succeeded"),
        ("a-contacts", "Succeeded"),
    ]
    assert value["syncs"][2]["needs"] == ["z-accounts"]
    assert [each["run"]["created"]["done"] for each in value["syncs"]] == [3, 3, 3]
    linked = here.records("contacts?$select=_parentcustomerid_value")
    assert all(each["_parentcustomerid_value"] for each in linked)
    code, value = typed("plan", "--all", "--detailed-exit-code")
    assert code == 0
    assert {each["plan"]["planned"]["created"] for each in value["syncs"]} == {0}


def test_a_failed_sync_stops_those_that_refer_to_its_table_and_no_others(here: World, typed: Typed) -> None:
    """What was not run says why; the exit code is the worst."""
    here.environment["SOURCE"] = str(here.folder / "missing.csv")
    here.define(accounts(source={"path": str(here.folder / "nowhere.csv")}), "z-accounts")
    here.environment["SOURCE"] = str(here.folder / "source.csv")
    code, value = typed("run", "--all")
    assert code == 1
    assert states(value) == {"m-leads": "Succeeded", "z-accounts": "Failed", "a-contacts": "Not run"}
    held = value["syncs"][-1]
    assert held["message"] == "its lookups refer to the table of z-accounts, which did not succeed"
    assert (held["exit_code"], held["run"]) == (None, None)
    assert here.records("contacts") == []


def test_a_sync_that_is_not_run_is_not_told_to_begin(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    here.define(accounts(source={"path": str(here.folder / "nowhere.csv")}), "z-accounts")
    here.reopen()
    run(["run", "--all"], open_app=lambda: here.app)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[2].strip() for line in lines if " of 3: " in line][:2] == ["m-leads", "z-accounts"]
    assert "3 of 3: a-contacts is not run: its lookups refer to" in " ".join(lines)


def test_rejected_rows_and_a_definition_with_mistakes_stop_no_other_sync(here: World, typed: Typed) -> None:
    """A sync that reached its end does not count as failed."""
    here.csv(
        [
            {"number": "", "name": "n", "city": "c", "revenue": 1},
            {"number": "A-1", "name": "n", "city": "", "revenue": 1},
        ]
    )
    here.define("name: broken\nsource: nothing\n", "broken")
    code, value = typed("run", "--all")
    assert code == 1
    assert states(value) == {
        "broken": "Failed",
        "m-leads": "Completed with errors",
        "z-accounts": "Completed with errors",
        "a-contacts": "Completed with errors",
    }
    assert "dynamics-sync validate broken" in value["syncs"][0]["message"]


def test_parameters_apply_where_they_are_declared(here: World, typed: Typed) -> None:
    """One that no sync declares is refused before anything is done, and so are options for one sync."""
    other = here.csv([{"mail": "x@example.com", "account": ""}], "others.csv")
    code, value = typed("plan", "--all", "-p", f"contacts={other}")
    assert code == 0
    assert {each["sync"]: each["plan"]["planned"]["created"] for each in value["syncs"]} == {
        "m-leads": 3,
        "z-accounts": 3,
        "a-contacts": 1,
    }
    for arguments, said in (
        (("run", "--all", "-p", "contcts=x"), "no enabled sync has a parameter contcts; did you mean contacts?"),
        (("run", "--all", "m-leads"), "write the name of a sync or --all, not both"),
        (("plan",), "write the name of a sync, or --all"),
        (("plan", "--all", "--out", "f"), "--out is for one sync"),
        (("plan", "--all", "--markdown", "f"), "--markdown is for one sync"),
    ):
        code, value = typed(*arguments)
        assert code == 1
        assert said in value["error"]["message"]


def test_syncs_whose_lookups_refer_to_each_other_are_named(
    here: World, typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    """They run by name, and the terminal has one table for all."""
    back = accounts()
    back["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "city", "target": "primarycontactid", "lookup": {"match": "emailaddress1", "on_missing": "clear"}},
    ]
    here.define(back, "z-accounts")
    assert typed("plan", "--all")[1]["circles"] == [["a-contacts", "z-accounts"]]
    here.reopen()
    run(["plan", "--all"], open_app=lambda: here.app)
    shown = capsys.readouterr()
    assert "The lookups of a-contacts, z-accounts refer to each other: they run in this order." in shown.err
    assert "3 created" in shown.out


@pytest.mark.parametrize(("command", "call"), [("run", "last_run"), ("plan", "runs")])
def test_a_sync_that_is_stopped_before_it_writes_ends_with_a_summary(
    here: World, typed: Typed, command: str, call: str
) -> None:
    """It tells what the syncs before it have done; those after it are not begun."""

    def stop(name: str | None, *_arguments: Any, **_options: Any) -> None:
        if name == "z-accounts":
            raise KeyboardInterrupt

    here.parts = {**here.parts, "state": StoreInFront(here.app.state, **{call: stop})}
    code, value = typed(command, "--all")
    assert (code, value["exit_code"]) == (130, 130)
    done = {each["sync"]: (each["state"], each["message"]) for each in value["syncs"]}
    assert done == {
        "m-leads": ("Succeeded" if command == "run" else "Planned", ""),
        "z-accounts": ("Cancelled", "stopped before it ended"),
        "a-contacts": ("Not run", "stopped before it began"),
    }
    assert value["syncs"][0][command] is not None
