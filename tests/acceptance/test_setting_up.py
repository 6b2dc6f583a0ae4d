"""Before the first run: options, keys, a test of the connection, a first definition, an import; as a user types them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from shared.cli.boundary import run
from shared.cli.real_time import feed
from tests.acceptance.world import World, accounts, world
from tests.api_server import Received, Reply, serving
from tests.workbooks.xlsx import write_xlsx

SAMPLES = Path(__file__).parents[1] / "unit" / "drafts" / "batch_config" / "samples"
Type = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("setting-up")) as made:
        yield made


@pytest.fixture
def here(shared_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    shared_world.emulator.reset()
    for file in (shared_world.folder / "syncs").iterdir():
        file.unlink()
    _environment(shared_world, monkeypatch)
    return shared_world


def _environment(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in here.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SYNC_DEFINITIONS", str(here.folder / "syncs"))
    monkeypatch.setenv("STATE_STORE", f"sqlite:///{here.folder / 'state.db'}")
    monkeypatch.chdir(here.folder)


@pytest.fixture
def typed(here: World, capsys: pytest.CaptureFixture[str]) -> Type:
    """Type a command; gives exit code, standard output and standard error."""

    def typing(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return typing


def _json(done: tuple[int, str, str], code: int = 0) -> dict[str, Any]:
    assert done[0] == code, done
    found: dict[str, Any] = json.loads(done[1])
    return found


# -- options --------------------------------------------------------------------------------------------------------


def test_options_of_a_choice_a_boolean_and_of_state_and_status(typed: Type) -> None:
    """Values and labels; a state with its status reasons, a status reason with its state, the default of two options."""
    choice = _json(typed("options", "Account", "Category", "--json"))
    assert choice["column"] == "accountcategorycode"
    assert {"value": 1, "labels": ["Preferred Customer"]} in choice["options"]
    two = _json(typed("options", "account", "creditonhold", "--json"))
    assert (two["default"], [each["labels"] for each in two["options"]]) == (0, [["No"], ["Yes"]])
    state = _json(typed("options", "incident", "statecode", "--json"))["options"][1]
    assert (state["labels"], state["default_status"], state["statuses"]) == (["Resolved"], 5, [5, 1000])
    status = _json(typed("options", "incidents", "statuscode", "--json"))["options"]
    assert {each["value"]: each["state"] for each in status}[1000] == 1
    code, out, _ = typed("options", "incident", "statuscode")
    assert (code, "state 1 Resolved" in out, "Information Provided" in out) == (0, True, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("acount", "name"), "did you mean account"),
        (("account", "indutrycode"), "did you mean industrycode"),
        (("account", "name"), "is of type String and has no options"),
        (("account", "industrycode", "--connection", "elsewhere"), "there is no connection elsewhere"),
    ],
)
def test_options_that_there_are_not(typed: Type, arguments: Sequence[str], said: str) -> None:
    """A table, a column or a connection that is not there, and a column without options."""
    code, _, err = typed("options", *arguments)
    assert (code, said in err) == (1, True), err


def test_the_environment_is_a_connection_or_the_variables(
    here: World, typed: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only connection is used; several have to be named; without any, the variables are needed."""
    monkeypatch.delenv("DYNAMICS_URL")
    assert "no environment is known" in typed("options", "account", "industrycode")[2]
    for name in ("dev", "test"):
        connection = {
            "kind": "connection",
            "name": name,
            "type": "dynamics",
            "service_url": here.emulator.service_url,
            "client_id": {"env": "DYNAMICS_CLIENT_ID"},
            "client_secret": {"env": "DYNAMICS_CLIENT_SECRET"},
        }
        (here.folder / "syncs" / f"{name}.yaml").write_text(json.dumps(connection), "utf-8")
        if name == "dev":
            assert typed("options", "account", "industrycode")[0] == 0
    assert "name one with --connection (dev, test)" in typed("options", "account", "industrycode")[2]
    assert typed("options", "account", "industrycode", "--connection", "test")[0] == 0


def test_the_variables_are_used_beside_a_connection_with_a_parameter(
    here: World, typed: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options, and a first definition that validates; without the variables the message says what to do."""
    connection = {
        "kind": "connection",
        "name": "crm",
        "type": "dynamics",
        "service_url": "@service_url",
        "client_id": {"env": "DYNAMICS_CLIENT_ID"},
        "client_secret": {"env": "DYNAMICS_CLIENT_SECRET"},
    }
    (here.folder / "syncs" / "crm.yaml").write_text(json.dumps(connection), "utf-8")
    here.csv(_rows(("A", "One", "x")))
    assert typed("options", "account", "industrycode")[0] == 0
    assert typed("new", "fresh", "--source", here.environment["SOURCE"], "--entity", "account")[0] == 0
    _validates_and_plans(typed, "fresh")
    monkeypatch.delenv("DYNAMICS_URL")
    code, _, err = typed("options", "account", "industrycode")
    assert (code, "the connection crm needs the parameter service_url" in err) == (1, True), err
    assert "set DYNAMICS_URL" in err


# -- keys -----------------------------------------------------------------------------------------------------------


def _rows(*rows: tuple[str, str, str]) -> list[dict[str, object]]:
    return [{"number": number, "name": name, "city": city, "revenue": 1} for number, name, city in rows]


def test_keys_are_unique_and_filled_on_both_sides(here: World, typed: Type) -> None:
    """Compared as the service does; a pair only where no part of it is a key; empty and repeated values are counted."""
    here.csv(_rows(("A", "Über", "x"), ("B", "uber ", "x"), ("C", "Other", "y")))
    here.define(accounts())
    found = _json(typed("keys", "accounts", "--json"))
    assert [each["columns"] for each in found["keys"]] == [["accountnumber"]], "Über and uber are equal to the service"
    here.csv(_rows(("A", "N", "x"), ("A", "N", "y"), ("B", "M", "x")))
    here.define(accounts())
    found = _json(typed("keys", "accounts", "--json"))
    assert found["current"]["source"] == {"rows": 3, "empty": 0, "repeated": 1}
    pairs = [["accountnumber", "address1_city"], ["name", "address1_city"]]
    assert [each["columns"] for each in found["keys"]] == pairs
    for _ in range(2):
        here.create("accounts", {"name": "N", "address1_city": "z"})
    found = _json(typed("keys", "accounts", "--json"))["keys"]
    assert [each["columns"] for each in found] == pairs[:1], "two records have the other pair"
    assert (found[0]["fits"], found[0]["target"]) == (False, {"rows": 2, "empty": 2, "repeated": 0})


def test_the_alternate_key_is_made_and_waited_for(here: World, typed: Type) -> None:
    """It is active at the end; made again it is only reported; after that it refuses a second record."""
    here.csv(_rows(("A", "One", "x"), ("B", "Two", "x")))
    here.define(accounts(sync_behaviour={"sync_key": ["name"]}))
    made = _json(typed("keys", "accounts", "--create", "--json"))["created"]
    assert made == {"name": "new_name_key", "columns": ["name"], "status": "Active", "made": True}
    again = _json(typed("keys", "accounts", "--create", "--json"))
    assert (again["created"]["made"], again["current"]["alternate_key"]["active"]) == (False, True)
    here.reopen()
    assert here.run("accounts").created.done == 2


def test_an_alternate_key_over_equal_values_fails_and_is_made_after_they_are_mended(here: World, typed: Type) -> None:
    """Equal records are named before. Those outside the filter make the index fail; after they are corrected it becomes active."""
    ids = [here.create("accounts", {"name": "One", "address1_city": city}) for city in ("x", "y")]
    here.csv(_rows(("A", "One", "x")))
    here.define(accounts(sync_behaviour={"sync_key": ["name"]}))
    code, _, err = typed("keys", "accounts", "--create")
    assert (code, "1 records of account have a name that another record has" in err) == (1, True), err
    hidden = accounts(sync_behaviour={"sync_key": ["name"]})
    hidden["destination"]["filter"] = "address1_city eq 'x'"
    here.define(hidden)
    code, out, _ = typed("keys", "accounts", "--create")
    assert (code, "has failed" in out) == (1, True)
    here.update(f"accounts({ids[1]})", {"name": "Two"})
    assert _json(typed("keys", "accounts", "--create", "--json"))["created"]["status"] == "Active"


def test_keys_of_a_sync_with_scripts(here: World, typed: Type) -> None:
    """A column that a script calculates can be a key."""
    here.csv(_rows(("A", "N", "x"), ("B", "N", "x")))
    definition = accounts()
    script = "function calc(row) { return row.number + '!'; }"
    definition["source"]["columns"].append({"name": "made", "script": script})
    definition["destination"]["mappings"][0] = {"source": "made", "target": "accountnumber"}
    here.define(definition)
    assert [each["columns"] for each in _json(typed("keys", "accounts", "--json"))["keys"]] == [["accountnumber"]]


def test_keys_that_cannot_be_made(here: World, typed: Type) -> None:
    """A type or a size that an alternate key cannot have; the service is not asked."""
    here.csv(_rows(("A", "One", "x")))
    definition = accounts(sync_behaviour={"sync_key": ["revenue"]})
    here.define(definition)
    code, _, err = typed("keys", "accounts", "--create")
    assert (code, "revenue is of type Money" in err) == (1, True), err


# -- test-connection, validate --------------------------------------------------------------------------------------


def test_a_connection_that_has_everything(here: World, typed: Type) -> None:
    """A tick for each secret, the sign-in, the table, every privilege, the key and the source."""
    here.csv(_rows(("A", "One", "x")))
    here.define(accounts())
    found = _json(typed("test-connection", "accounts", "--json"))
    by_area = {each["area"]: each["found"] for each in found["checks"]}
    assert by_area == dict.fromkeys(
        ("secrets", "sign-in", "table", "privileges", "key", "change tracking", "source"), "ok"
    )
    kinds = [each["subject"] for each in found["checks"] if each["area"] == "privileges"]
    assert kinds == ["Read on account", "Create on account", "Write on account"]


def test_what_is_missing_is_named_with_what_to_do(
    here: World, typed: Type, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A secret, the file of the source, the table; one that is missing leaves the others checked, and no secret shows."""
    here.define(accounts())
    (here.folder / "source.csv").unlink(missing_ok=True)
    monkeypatch.setenv("DYNAMICS_CLIENT_SECRET", "not-the-secret")
    found = _json(typed("test-connection", "accounts", "--json"), code=1)
    missing = {each["area"]: each["message"] for each in found["checks"] if each["found"] == "missing"}
    assert missing.keys() == {"sign-in", "source"}
    assert "does not exist" in missing["source"]
    assert "not-the-secret" not in json.dumps(found)
    monkeypatch.delenv("DYNAMICS_CLIENT_SECRET")
    found = _json(typed("test-connection", "accounts", "--json"), code=1)
    assert "destination.client_secret" in [each["subject"] for each in found["checks"] if each["found"] == "missing"]


def test_privileges_that_are_missing_are_found_before_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`test-connection` and `validate` name the privilege and the key of the definition that needs it."""
    lacking = ["prvDeleteAccount", "prvAppendToContact", "prvBypassCustomBusinessLogic"]
    with world(tmp_path, without_privilege=lacking) as here:
        _environment(here, monkeypatch)
        here.csv(_rows(("A", "One", "x")))
        definition = accounts(sync_behaviour={"sync_key": ["accountnumber"], "dropped": "delete"})
        definition["destination"]["options"] = {"bypass_custom_logic": ["sync"]}
        definition["destination"]["mappings"].append(
            {"source": "city", "target": "primarycontactid", "lookup": {"match": "fullname", "on_missing": "keep"}}
        )
        definition["destination"]["mappings"] = [
            each for each in definition["destination"]["mappings"] if each["target"] != "address1_city"
        ]
        here.define(definition)
        assert run(["test-connection", "accounts", "--json"]) == 1
        checks = json.loads(capsys.readouterr().out)["checks"]
        assert [each["subject"] for each in checks if each["found"] == "missing"] == [
            "Delete on account",
            "AppendTo on contact",
            "prvBypassCustomBusinessLogic",
        ]
        assert run(["validate", "accounts", "--json"]) == 1
        problems = json.loads(capsys.readouterr().out)["problems"]
        assert [each["path"] for each in problems] == [
            "sync_behaviour.dropped",
            "destination.mappings[3]",
            "destination.options.bypass_custom_logic",
        ]
        assert all(each["line"] for each in problems)


def test_privileges_of_events_ids_and_steps_are_found_before_they_fail(tmp_path: Path) -> None:
    """Events of `delta` update and delete, ids of another table are referred to, and a step updates a third table."""
    lacking = ["prvDeleteAccount", "prvAppendToContact", "prvWriteLead"]
    with world(tmp_path, without_privilege=lacking, in_thread=True) as here:
        definition = accounts(sync_behaviour={"strategy": "delta"})
        definition["source"] = {"type": "events", "columns": definition["source"]["columns"]}
        definition["parameters"].pop("file_path")
        definition["listener"] = {"name": "live", "topic": {"action": "$.op"}}
        here.define(definition)
        found = [(each.path, each.message) for each in here.app.validate(["accounts"])]
        assert [(path, "prvDeleteAccount" in message) for path, message in found] == [("listener", True)]

        definition = accounts()
        definition["destination"]["mappings"][2] = {"source": "city", "target": "primarycontactid"}
        update = {"entity": "Lead", "filter": "statecode eq 0", "set": {"subject": "'x'"}}
        definition["post_sync"] = [{"name": "mark", "update": update}]
        here.define(definition)
        found = [(each.path, each.message) for each in here.app.validate(["accounts"])]
        assert [path for path, _ in found] == ["destination.mappings[2]", "post_sync[0].update.entity"]
        assert all(name in said for name, (_, said) in zip(["prvAppendToContact", "prvWriteLead"], found, strict=True))


@pytest.mark.parametrize("offline", [True, False])
def test_a_parameter_that_nobody_can_give_is_a_mistake(here: World, *, offline: bool) -> None:
    """What begins by itself has no value for it; a run that a person starts can be given one, and null is a value."""
    definition = accounts()
    definition["destination"]["filter"] = "address1_city ne @city and address1_city ne @empty"
    definition["parameters"] |= {"city": {"description": "of the day"}, "empty": {"default": None}}
    listener = {"name": "live", "topic": {"format": "json"}}
    for keys, begun in (
        ({}, ""),
        ({"schedule": "0 3 * * *"}, "runs of the schedule"),
        ({"schedule": "0 3 * * *", "enabled": False}, ""),
        ({"listener": listener}, "events"),
        ({"listener": {**listener, "status": "disabled"}}, ""),
        ({"schedule": "0 3 * * *", "listener": listener}, "runs of the schedule and events"),
    ):
        here.define(definition | keys)
        said = f"{begun} cannot be given a value for this parameter: add a default or a formula"
        found = [(each.path, each.message) for each in here.app.validate(["accounts"], offline=offline)]
        assert found == ([("parameters.city", said)] if begun else [])

    here.csv(_rows(("A", "One", "x")))
    assert here.app.run("accounts", {"city": "Paris"}).created.done == 1
    (here.folder / "events.ndjson").write_text('{"number": "B"}\n', "utf-8")
    assert feed(here.app, "accounts", str(here.folder / "events.ndjson")).dead_letters == 1


def test_validate_warns_of_texts_that_are_too_long_and_of_a_key_that_is_not_active(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are no mistakes: the exit code is 0."""
    schema = tmp_path / "schema.yaml"
    schema.write_text("Account:\n  keys:\n    city_key: {columns: [address1_city], status: Pending}\n", "utf-8")
    with world(tmp_path, schema=[schema]) as here:
        _environment(here, monkeypatch)
        definition = accounts(sync_behaviour={"sync_key": ["address1_city"]})
        definition["source"]["columns"][0]["max_length"] = 500
        here.define(definition)
        assert run(["validate", "accounts", "--json"]) == 0
        warnings = json.loads(capsys.readouterr().out)["warnings"]
        assert "number can have 500 characters and accountnumber holds 20" in warnings[0]
        assert "the alternate key city_key is not active" in warnings[1]
        assert run(["validate", "accounts", "--offline", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["warnings"] == []


# -- new ------------------------------------------------------------------------------------------------------------

PEOPLE = """First Name;Last Name;E-Mail;Birthday;Income;Do not allow emails;Gender;Shoe Size;Company Name;Deal: size
Jürgen;Müller;j@example.com;31.01.1970;1.234,50;yes;Male;0043;Contoso;1.234,50
Anna;Schmidt;a@example.com;28.02.1980;2.500,00;no;Diverse;0038;;2.500,00
"""


def _validates_and_plans(typed: Type, name: str) -> dict[str, Any]:
    assert typed("validate", name)[0] == 0, typed("validate", name)
    done = typed("plan", name, "--json")
    assert done[0] in {0, 2}, done
    plan: dict[str, Any] = json.loads(done[1])
    return plan


def test_a_first_definition_of_a_delimited_file(here: World, typed: Type) -> None:
    """Encoding, delimiter, notation of numbers and dates, matches by name, and comments on what is uncertain."""
    (here.folder / "people.csv").write_text(PEOPLE, "windows-1252")
    code, out, err = typed("new", "people", "--source", "people.csv", "--entity", "Contact")
    assert code == 0, err
    text = (here.folder / "syncs" / "people.yaml").read_text("utf-8")
    assert "delimiter: ';'" in text
    assert "encoding: windows-1252" in text
    assert "{name: Birthday, type: date, input_format: dd.MM.yyyy}" in text
    assert "{name: Income, type: number, decimal_separator: ',', thousands_separator: '.'}" in text
    assert "{name: Do not allow emails, type: bool}" in text
    assert "1 of 2 different values name no option of gendercode" in text
    assert "# not mapped: {name: Shoe Size}" in text, "leading zeros are no number"
    (unmapped,) = (line for line in text.splitlines() if "Deal: size" in line and "not mapped" in line)
    column = yaml.safe_load(unmapped.partition("not mapped: ")[2])
    assert column == {"name": "Deal: size", "type": "number", "decimal_separator": ",", "thousands_separator": "."}
    assert "# no column of contact has a name like Shoe Size" in text
    assert "sync_key: [emailaddress1]" in text
    plan = _validates_and_plans(typed, "people")
    assert (plan["planned"]["source"]["processed"], plan["planned"]["created"]) == (2, 1), "one has another gender"
    before = text
    assert "exists already" in typed("new", "people", "--source", "people.csv", "--entity", "Contact")[2]
    assert (here.folder / "syncs" / "people.yaml").read_text("utf-8") == before
    assert "Shoe Size" in out


def _parquet(path: Path) -> None:
    duckdb.sql(
        f"COPY (SELECT 'A' || i AS accountnumber, 'Name ' || i AS name, i * 1.5 AS revenue FROM range(5) t(i)) "
        f"TO '{path}'"
    )


def _sqlite(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE customers (AccountNumber text, Name text, employees int)")
        base.executemany("INSERT INTO customers VALUES (?, ?, ?)", [(f"B{n}", f"N {n}", n) for n in range(4)])


def test_first_definitions_of_other_kinds_of_source(here: World, typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet, workbook, JSON, a database and a table of Dataverse: each validates and plans as it is."""
    _parquet(here.folder / "a.parquet")
    write_xlsx(here.folder / "a.xlsx", {"Data": [["Account Number", "Name"], ["X1", "One"], ["X2", "Two"]]})
    (here.folder / "a.json").write_text(
        json.dumps(
            [{"accountNumber": f"J{n}", "name": f"N {n}", "address": {"city": "Ulm"}, "tags": [1]} for n in "12"]
        ),
        "utf-8",
    )
    _sqlite(here.folder / "base.sqlite")
    monkeypatch.setenv("SOURCE_DATABASE", f"sqlite:///{here.folder / 'base.sqlite'}")
    base = {"kind": "connection", "name": "base", "type": "sql", "url": {"env": "SOURCE_DATABASE"}}
    (here.folder / "syncs" / "base.yaml").write_text(json.dumps(base), "utf-8")
    crm = {
        "kind": "connection",
        "name": "crm",
        "type": "dynamics",
        "service_url": here.emulator.service_url,
        "client_id": {"env": "DYNAMICS_CLIENT_ID"},
        "client_secret": {"env": "DYNAMICS_CLIENT_SECRET"},
    }
    (here.folder / "syncs" / "crm.yaml").write_text(json.dumps(crm), "utf-8")
    for number in range(3):
        here.create("leads", {"subject": f"S{number}", "companyname": f"C{number}", "emailaddress1": f"a{number}@b.c"})
    rows = {"parquet": 5, "workbook": 2, "documents": 2, "database": 4, "environment": 3}
    sources = {
        "parquet": ("a.parquet",),
        "workbook": ("a.xlsx",),
        "documents": ("a.json",),
        "database": ("base", "--table", "customers"),
        "environment": ("crm", "--table", "lead"),
    }
    for name, (source, *more) in sources.items():
        made = _json(typed("new", name, "--source", source, "--entity", "account", *more, "--json"))
        assert made["sync_key"] == (["emailaddress1"] if name == "environment" else ["accountnumber"]), made
        plan = _validates_and_plans(typed, name)
        assert plan["planned"]["created"] == rows[name]
    text = (here.folder / "syncs" / "documents.yaml").read_text("utf-8")
    assert "{source: address_city, target: address1_city}" in text
    assert "tags" not in text, "a list is no simple value"


CUSTOMERS = [{"accountNumber": f"R{n}", "name": f"N {n}", "address": {"city": "Ulm"}, "tags": [1]} for n in range(5)]


def _odata(request: Received) -> Reply:
    """Three records, a link in the answer, then two."""
    more = request.query.get("skip")
    link = {} if more else {"@odata.nextLink": f"http://{request.headers['host']}/v1/customers?skip=3"}
    return Reply(body={"value": CUSTOMERS[3:] if more else CUSTOMERS[:3], **link})


def _headers(request: Received) -> Reply:
    """The same with a link in a header."""
    more = request.query.get("skip")
    link = {} if more else {"Link": f'<http://{request.headers["host"]}/v1/customers?skip=3>; rel="next"'}
    return Reply(body=CUSTOMERS[3:] if more else CUSTOMERS[:3], headers=link)


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        (lambda _: Reply(body=CUSTOMERS), {}),
        (
            lambda _: Reply(body={"count": 5, "log": [{"a": 1}], "data": {"all customers": CUSTOMERS}}),
            {"records": "$['data']['all customers']"},
        ),
        (_odata, {"records": "$['value']", "pagination": {"type": "link", "next": "$['@odata.nextLink']"}}),
        (_headers, {"pagination": {"type": "link"}}),
    ],
    ids=["a list", "a list in the answer", "pages by OData", "pages by a header"],
)
def test_a_first_definition_of_an_api(
    here: World, typed: Type, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Received], Reply], keys: dict[str, Any]
) -> None:
    """By a connection with a secret: records and pages are found as the API gives them, and the plan has all five."""
    monkeypatch.setenv("API_TOKEN", "token-of-the-api")
    with serving(answer) as server:
        auth = {"type": "bearer", "token": {"env": "API_TOKEN"}}
        api = {"kind": "connection", "name": "api", "type": "rest", "url": f"{server.url}/v1", "auth": auth}
        (here.folder / "syncs" / "api.yaml").write_text(json.dumps(api), "utf-8")
        made = _json(typed("new", "shop", "--source", "api", "--table", "customers", "--entity", "account", "--json"))
        mapped = {"accountNumber": "accountnumber", "name": "name", "address_city": "address1_city"}
        assert (made["mapped"], made["sync_key"]) == (mapped, ["accountnumber"])
        assert _validates_and_plans(typed, "shop")["planned"]["created"] == 5
    assert {(each.path, each.headers["authorization"]) for each in server.received} == {
        ("/v1/customers", "Bearer token-of-the-api")
    }
    text = (here.folder / "syncs" / "shop.yaml").read_text("utf-8")
    source = yaml.safe_load(text)["source"]
    assert {key: value for key, value in source.items() if key != "columns"} == {
        "type": "rest", "connection": "api", "url": "customers", **keys,
    }  # fmt: skip
    assert ("check it" in text) is ("records" in keys)
    assert "token-of-the-api" not in text


def test_records_inside_a_document_of_a_file_are_found(here: World, typed: Type) -> None:
    """The longest list of objects."""
    (here.folder / "shop.json").write_text(json.dumps({"log": [{"a": 1}], "customers": CUSTOMERS}), "utf-8")
    made = _json(typed("new", "shop", "--source", "shop.json", "--entity", "account", "--json"))
    assert made["sync_key"] == ["accountnumber"]
    assert _validates_and_plans(typed, "shop")["planned"]["created"] == 5
    written = yaml.safe_load((here.folder / "syncs" / "shop.yaml").read_text("utf-8"))
    assert written["source"]["records"] == "$['customers'][*]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Big", "--source", "x.csv", "--entity", "account"), "a name contains only a-z"),
        (("a" * 101, "--source", "x.csv", "--entity", "account"), "at most 100 characters; this one has 101"),
        (("one", "--source", "nothing.csv", "--entity", "account"), "does not exist"),
        (("one", "--source", "empty.csv", "--entity", "account"), "is empty"),
        (("one", "--source", "x.zip", "--entity", "account"), "a zip file"),
        (("one", "--source", "x.csv", "--entity", "acount"), "did you mean account"),
        (("one", "--source", "x.csv", "--entity", "account", "--table", "t"), "--table is for a source that is"),
    ],
)
def test_first_definitions_that_cannot_be_made(here: World, typed: Type, arguments: Sequence[str], said: str) -> None:
    """Nothing is written, and the reason is one sentence."""
    (here.folder / "x.csv").write_text("a,b\n1,2\n", "utf-8")
    (here.folder / "empty.csv").write_text("", "utf-8")
    (here.folder / "x.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    code, _, err = typed("new", *arguments)
    assert (code, said in err) == (1, True), err
    assert not list((here.folder / "syncs").iterdir())


def test_a_date_or_a_number_with_two_readings_has_a_comment(here: World, typed: Type) -> None:
    """`01/02/2024` and `1,234` fit two notations each; the first is written, and the comment says so."""
    rows = "Account Number,Name,Birthday,Annual Income,Last Name\n"
    rows += 'A1,One,01/02/2024,"1,234",x\nA2,Two,03/04/2024,"2,345",y\n'
    (here.folder / "two.csv").write_text(rows, "utf-8")
    assert typed("new", "two", "--source", "two.csv", "--entity", "contact")[0] == 0
    text = (here.folder / "syncs" / "two.yaml").read_text("utf-8")
    assert text.count("another notation of a") == 2
    _validates_and_plans(typed, "two")


# -- import-xml -----------------------------------------------------------------------------------------------------


def test_an_imported_file_validates_and_is_never_written_over(here: World, typed: Type) -> None:
    """The YAML is in the folder of definitions, with the list of what needs a person; `--out` names another file."""
    sample = SAMPLES / "customers-file.xml"
    done = _json(typed("import-xml", str(sample), "--json"))
    assert (done["sync"], Path(done["file"]).name) == ("customer-accounts", "customer-accounts.yaml")
    assert any("the script is kept" in line for line in done["needs_a_person"])
    assert typed("validate", "customer-accounts", "--offline")[0] == 0
    assert "exists already" in typed("import-xml", str(sample))[2]
    assert typed("import-xml", str(sample), "--out", "elsewhere.yaml")[0] == 0
    assert "cannot be read" in typed("import-xml", "nothing.xml")[2]


def test_nothing_of_the_emulator_is_needed_for_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an environment the file is imported too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNC_DEFINITIONS", str(tmp_path))
    monkeypatch.delenv("DYNAMICS_URL", raising=False)
    assert run(["import-xml", str(SAMPLES / "orders-database.xml")]) == 0
    assert (tmp_path / "orders.yaml").exists()


def test_a_lost_answer_to_the_making_of_a_key_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key was made although the connection broke: the second request is refused, and the key is found."""
    with world(tmp_path) as here:
        _environment(here, monkeypatch)
        here.csv(_rows(("A", "One", "x")))
        here.define(accounts(sync_behaviour={"sync_key": ["name"]}))
        match = {"method": "POST", "path": "EntityDefinitions"}
        here.emulator.faults({"action": "drop_after", "match": match})
        assert run(["keys", "accounts", "--create", "--json"]) == 0, capsys.readouterr()
        assert json.loads(capsys.readouterr().out)["created"]["status"] == "Active"
