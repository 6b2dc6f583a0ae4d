"""Bad input of every kind: a message with the place and what to do, an exit code, and nothing written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.cli.boundary import run
from tests.acceptance.world import World, accounts, world

Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.csv([{"number": "A1", "name": "One", "city": "", "revenue": 1}])
    return shared_world


@pytest.fixture
def command(here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in the world's environment: (exit code, everything it printed)."""

    def typed(*words: str, **environment: str) -> tuple[int, str]:
        settings = {
            **here.environment,
            "SYNC_DEFINITIONS": str(here.folder / "syncs"),
            "STATE_STORE": f"sqlite:///{here.folder / 'state.db'}",
            "COLUMNS": "200",
            **environment,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        code = run(words)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert here.emulator.client_secret not in out + err
        return code, " ".join((out + err).split())

    return typed


def mapped(*mappings: dict[str, Any]) -> dict[str, Any]:
    return {"destination": {"mappings": [{"source": "number", "target": "accountnumber"}, *mappings]}}


def test_missing_file_is_named(here: World, command: Command) -> None:
    """The path that was looked for is in the message."""
    here.define(accounts())
    code, said = command("run", "accounts", SOURCE=str(here.folder / "nowhere.csv"))
    assert code == 1
    assert "nowhere.csv" in said


def test_wrong_delimiter_is_recognised(here: World, command: Command) -> None:
    """The message proposes the delimiter that fits."""
    here.define(accounts())
    (here.folder / "source.csv").write_text("number;name;city;revenue\nA1;One;;1\n", "utf-8")
    code, said = command("run", "accounts")
    assert code == 1
    assert re.search(r"delimiter .*';'", said)


def test_unknown_source_column_is_named_with_a_similar_column(here: World, command: Command) -> None:
    """The message has the missing column and the most similar one of the file."""
    here.define(accounts())
    here.csv([{"number": "A1", "names": "One", "city": "", "revenue": 1}])
    code, said = command("run", "accounts")
    assert code == 1
    assert "source.csv has no column name; did you mean names?" in said


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"source": "name", "target": "nam"}, r"accounts\.yaml:\d+:\d+.*nam.*name"),
        (
            {"source": "name", "target": "createdon"},
            r"accounts\.yaml:\d+:\d+.*createdon.*(read-only|cannot be written)",
        ),
        ({"source": "revenue", "target": "new_dueon"}, r"accounts\.yaml:\d+:\d+.*new_dueon"),
    ],
    ids=["unknown target column", "read-only target column", "type that cannot hold the value"],
)
def test_mapping_that_does_not_fit_the_table_is_reported_with_its_place(
    here: World, command: Command, mapping: dict[str, Any], said: str
) -> None:
    """Each wrong mapping is found before a row is read, with file, line and column."""
    here.define(accounts(**mapped(mapping)))
    code, printed = command("run", "accounts")
    assert code == 1
    assert re.search(said, printed), printed


def test_missing_secret_is_named(here: World, command: Command) -> None:
    """The variable that should hold the secret is in the message."""
    here.define(accounts())
    code, said = command("run", "accounts", DYNAMICS_CLIENT_SECRET="")
    assert code == 1
    assert "{env: DYNAMICS_CLIENT_SECRET} is not set" in said


def test_a_wrong_secret_has_the_message_of_entra_id(here: World, command: Command) -> None:
    """The application and Entra ID's reason are in the message, the secret is not."""
    here.define(accounts())
    code, said = command("run", "accounts", DYNAMICS_CLIENT_SECRET="hunter2-wrong")
    assert code == 1
    assert "refused" in said
    assert "AADSTS7000215" in said
    assert "hunter2" not in said


def test_the_error_of_a_wrong_service_url_names_what_to_check(here: World, command: Command) -> None:
    """A server that is no Dataverse is recognised."""
    here.define(accounts())
    code, said = command("run", "accounts", DYNAMICS_URL=here.environment["DYNAMICS_URL"].replace("v9.2", "v1.0"))
    assert code == 1
    assert "service_url" in said


def test_host_outside_the_list_gets_no_token(here: World, command: Command) -> None:
    """A token is never sent to a host that is not in the list."""
    here.define(accounts())
    code, said = command("run", "accounts", DYNAMICS_URL="https://crm.dynamics.com.example.org/api/data/v9.2/")
    assert code == 1
    assert "crm.dynamics.com.example.org" in said
    assert "ALLOWED_HOSTS" in said


def test_missing_privilege_ends_the_run(here: World, command: Command) -> None:
    """The message has the name of the missing privilege."""
    here.define(accounts())
    here.emulator.faults(
        {"action": "status", "match": {"method": "POST", "path": "accounts"}, "times": 50, "status": 403,
         "code": "0x80040220", "message": "Principal user is missing prvCreateAccount privilege"}
    )  # fmt: skip
    code, said = command("run", "accounts")
    here.emulator.clear_faults()
    assert code == 1
    assert "prvCreateAccount" in said


def test_missing_alternate_key_is_found_before_a_row_is_read(here: World, command: Command) -> None:
    """An upsert by columns without an alternate key is refused."""
    here.define(accounts(sync_behaviour={"strategy": "upsert", "sync_key": ["name"]}))
    code, said = command("run", "accounts")
    assert code == 1
    assert "alternate key" in said


def test_plan_over_its_limits_is_exit_code_three(here: World, command: Command) -> None:
    """The message has the counts, the limit and the place of the limit."""
    here.define(accounts(sync_behaviour={"dropped": "delete"}))
    here.csv([{"number": f"A{i}", "name": "x", "city": "", "revenue": 1} for i in range(20)])
    assert command("run", "accounts")[0] == 0
    here.csv([{"number": "A1", "name": "x", "city": "", "revenue": 1}])
    code, said = command("run", "accounts")
    assert code == 3
    assert "19 of the target's 20 records" in said
    assert "change sync_behaviour.safety" in said
    assert "--force" not in said


def test_five_mistakes_are_five_messages(here: World, command: Command) -> None:
    """All mistakes of a definition are reported at once, each with its line."""
    definition: dict[str, Any] = {"name": "accounts", **accounts()}
    definition["shedule"] = "* * * * *"
    definition["source"]["delimiter"] = "\n"
    definition["source"]["columns"][0]["max_length"] = 0
    definition["destination"]["client_secret"] = "p4ssw0rd-in-the-clear"
    definition["sync_behaviour"]["new"] = "create"
    (here.folder / "syncs" / "accounts.yaml").write_text(yaml.safe_dump(definition), "utf-8")
    code, said = command("validate", "--offline")
    assert code == 1
    assert len(re.findall(r"accounts\.yaml:\d+:\d+", said)) == 5
    assert "5 problems" in said
    assert "p4ssw0rd" not in said


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ({}, "x", 0),
        ({"validate": True}, "x", 2),
        ({"mandatory": True}, "", 2),
        ({"mandatory": True, "validate": True}, "", 2),
    ],
)
def test_a_plan_ends_with_the_exit_code_of_its_run(
    here: World, command: Command, column: dict[str, bool], value: str, code: int
) -> None:
    """A field that is left out is told, and is no error of either."""
    definition = accounts()
    revenue = next(each for each in definition["source"]["columns"] if each["name"] == "revenue")
    revenue.update({"type": "number", "mandatory": False, "validate": False, **column})
    here.define(definition)
    here.csv([{"number": f"A{place}", "name": "x", "city": "", "revenue": value} for place in range(2)])
    assert command("plan", "accounts")[0] == code
    assert command("plan", "--all")[0] == code
    assert command("run", "accounts")[0] == code


def test_only_the_row_that_does_not_fit_the_column_is_rejected(here: World, command: Command) -> None:
    """A value too large for the column rejects its row; the other rows are written."""
    here.define(accounts())
    here.csv(
        [
            {"number": "A1", "name": "One", "city": "", "revenue": "1e30"},
            {"number": "A2", "name": "Two", "city": "", "revenue": "2"},
        ]
    )
    code, said = command("run", "accounts")
    assert code == 2
    assert "Invalid Format Exception" in said
    assert [record["accountnumber"] for record in here.records("accounts?$select=accountnumber")] == ["A2"]


def test_unknown_sync_lists_the_existing_ones(here: World, command: Command) -> None:
    """The message about a misspelled name has the names of all syncs."""
    here.define(accounts())
    code, said = command("run", "acounts")
    assert code == 1
    assert "did you mean accounts?" in said


def test_example_definitions_are_valid(here: World, command: Command) -> None:
    """The example definitions of the repository pass `validate`, with metadata."""
    code, said = command("validate", SYNC_DEFINITIONS=str(Path("syncs").resolve()))
    assert (code, "No problems" in said) == (0, True), said
