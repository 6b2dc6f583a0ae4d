"""Files of connections, and definitions with the keys of the connections that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.definitions import Repository, SyncDefinition, load_definition
from shared.definitions.models import ApplicationUser, DynamicsConnection, EnvironmentSecret
from shared.definitions.parameters.environment import secret_variables
from shared.definitions.reference.example import EXAMPLE
from shared.errors import DefinitionError, Problem, UserError

URL = "https://dev.crm.dynamics.com/api/data/v9.2/"
API = """kind: connection
name: shop
type: rest
url: https://api.example.com/v1
headers: {X-Shop: a}
auth: {type: api_key, header: X-Key, value: {env: SHOP_KEY}}
"""
CRM = f"""kind: connection
name: crm
type: dynamics
service_url: {URL}
tenant_id: dev.onmicrosoft.com
client_id: app
client_secret: {{env: DEV_SECRET}}
timeout: 30
options: {{suppress_flows: true}}
"""


def definition(*left_out: str, name: str = "customers", **destination: Any) -> str:
    """The example with other keys of its destination, and without its environment."""
    document = yaml.safe_load(EXAMPLE)
    for key in ("service_url", "tenant_id", "client_id", "client_secret", "options", *left_out):
        del document["destination"][key]
    document["destination"] |= destination
    return yaml.safe_dump({**document, "name": name}, sort_keys=False)


class Clock:
    """Seconds that change only when a test changes them."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def repository(folder: Path, clock: Clock | None = None, **texts: str) -> Repository:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    return Repository(folder, clock=clock or Clock())


def joined(here: Repository, **values: Any) -> SyncDefinition:
    (found,) = here.definitions()
    return here.joined(found, values)


def problems(here: Repository) -> list[tuple[str, int, int, str, str]]:
    """File, line, column, path and message of every problem of syncs and connections."""
    files = [*here.connections().files, *here.loaded()]
    found = [problem for file in files for problem in file.problems]
    return [(Path(each.file).name, each.line, each.column, each.path, each.message) for each in found]


def test_a_file_with_a_kind_is_a_connection_and_no_sync(tmp_path: Path) -> None:
    """It is found by its name, which a sync may have, too."""
    here = repository(tmp_path, a=CRM, b=definition(name="crm", connection="crm"))
    assert [each.name for each in here.loaded()] == ["crm"]
    assert problems(here) == []
    found = here.connection("crm")
    assert isinstance(found, DynamicsConnection)
    assert found.application_users == (
        ApplicationUser(client_id="app", client_secret=EnvironmentSecret(env="DEV_SECRET")),
    )


def test_the_keys_of_the_connection_are_those_of_the_destination(tmp_path: Path) -> None:
    """What comes after this sees no connection."""
    destination = joined(repository(tmp_path, crm=CRM, b=definition(connection="crm"))).destination
    assert (destination.service_url, destination.tenant_id) == (URL, "dev.onmicrosoft.com")
    assert (destination.timeout, destination.options.suppress_flows) == (30, True)
    assert destination.application_users[0].client_secret == EnvironmentSecret(env="DEV_SECRET")
    assert destination.connection is None


def test_keys_of_the_definition_win(tmp_path: Path) -> None:
    """Each for itself, also one that says what is the default."""
    text = definition(connection="crm", timeout=100, options={"suppress_flows": False})
    destination = joined(repository(tmp_path, crm=CRM, b=text)).destination
    assert (destination.timeout, destination.options.suppress_flows) == (100, False)
    assert destination.service_url == URL


def test_who_says_how_to_sign_in_signs_in_with_own_keys(tmp_path: Path) -> None:
    """The id and secret of the connection belong to its own way."""
    text = definition(connection="crm", auth="managed_identity")
    destination = joined(repository(tmp_path, crm=CRM, b=text)).destination
    assert destination.application_users == (ApplicationUser(client_id=None, auth="managed_identity"),)
    own = definition(connection="crm", client_id=["a", "b"])
    ((_, line, column, path, message),) = problems(repository(tmp_path, b=own))
    assert own.splitlines()[line - 1] == "  connection: crm"
    assert (column, path) == (3, "destination.connection")
    assert message == (
        "client_secret does not fit the keys of the connection crm: give as many secrets as ids, in the same order"
    )


def test_a_parameter_chooses_the_connection(tmp_path: Path) -> None:
    """By the value that a run gives."""
    test = CRM.replace("name: crm", "name: test").replace(URL, URL.replace("dev", "test"))
    here = repository(tmp_path, crm=CRM, test=test, b=definition(connection="@region"))
    assert problems(here) == []
    assert joined(here, region="crm").destination.service_url == URL
    assert joined(here, region="test").destination.service_url == URL.replace("dev", "test")
    with pytest.raises(DefinitionError, match=r"destination\.connection: there is no connection tset; did you mean"):
        joined(here, region="tset")


def test_the_default_of_the_parameter_is_checked(tmp_path: Path) -> None:
    """The default of `region` is Ontario, and a run may give another value; so only `validate` reports it."""
    here = repository(tmp_path, crm=CRM, b=definition(connection="@region"))
    (found,) = here.definitions()
    assert here.default_problems(found) == [
        Problem(message="there is no connection Ontario; there are: crm", path="destination.connection")
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("crn", "there is no connection crn; did you mean crm?"),
        ("other", "there is no connection other; there are: crm, erp"),
        ("erp", "the connection erp is of type sql; one of type dynamics is needed here"),
    ],
)
def test_a_name_that_leads_nowhere_is_a_problem_of_the_definition(tmp_path: Path, name: str, message: str) -> None:
    """At the key, with its line."""
    erp = "kind: connection\nname: erp\ntype: sql\nurl: {env: ERP}\n"
    here = repository(tmp_path, crm=CRM, erp=erp, b=definition(connection=name))
    assert [(file, path, said) for file, line, _, path, said in problems(here) if line] == [
        ("b.yaml", "destination.connection", message)
    ]


def test_without_any_connection_the_message_names_the_folder(tmp_path: Path) -> None:
    """A file is to be written there."""
    here = repository(tmp_path, b=definition(connection="crm"))
    assert problems(here)[0][4] == f"there is no connection crm; there are none in {tmp_path}"
    with pytest.raises(UserError, match="there is no connection crm"):
        here.connection("crm")


def test_neither_a_service_url_nor_a_connection_is_one_problem() -> None:
    """The message has both ways."""
    with pytest.raises(DefinitionError) as caught:
        load_definition(definition(auth="managed_identity"))
    assert [(each.path, each.message) for each in caught.value.problems] == [
        (
            "destination.service_url",
            "this key is missing: write service_url, or connection with the name of a connection that has it",
        )
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CRM.replace("timeout", "timeuot"), (8, 1, "timeuot", "unknown key; did you mean timeout?")),
        (CRM.replace("type: dynamics", "type: dynamic"), (3, 7, "type", "unknown type; did you mean dynamics?")),
        (
            CRM.replace("kind: connection", "kind: conection"),
            (1, 7, "kind", "'connection' is required here; did you mean connection?"),
        ),
        (CRM.replace("name: crm", "name: C R M"), (2, 7, "name", "a name contains only a-z, 0-9 and -")),
        (CRM.replace(f"service_url: {URL}\n", ""), (1, 1, "service_url", "this key is missing")),
        (CRM.replace("https://dev", "ftp://dev"), (4, 14, "service_url", "a service URL starts with https://")),
        (CRM.replace("{env: DEV_SECRET}", "geheim"), (7, 1, "client_secret", "do not write a secret here")),
        (CRM.replace("{env: DEV_SECRET}", '"@secret"'), (7, 1, "client_secret", "do not write a secret here")),
        (CRM.replace("client_id: app\n", ""), (1, 1, "client_id", "this key is missing; it can be left out only")),
        (CRM.replace("timeout: 30", "timeout: [30"), (8, 10, "", "this cannot be read as YAML")),
        (API.replace("X-Shop: a", "X-Api-Key: geheim"), (5, 22, "headers.X-Api-Key", "this header holds a secret")),
        (API.replace("X-Shop: a", "Host: a"), (5, 11, "headers.Host", "this header cannot be set")),
        (API.replace("/v1", "/v1?api_key=geheim"), (4, 6, "url", "this url holds a key")),
        (API.replace("header: X-Key", "header: Te"), (6, 23, "auth.header", "this is not the name of a header")),
    ],
)
def test_a_mistake_in_a_connection_has_its_place(
    tmp_path: Path, text: str, expected: tuple[int, int, str, str]
) -> None:
    """It is no sync whatever is wrong with it, and no secret is repeated."""
    here = repository(tmp_path, crm=text)
    line, column, path, message = expected
    ((_, *found),) = problems(here)
    assert found[:3] == [line, column, path]
    assert str(found[3]).startswith(message)
    assert here.loaded() == ()
    assert "geheim" not in repr(problems(here))


def test_a_definition_with_a_broken_connection_names_the_mistake(tmp_path: Path) -> None:
    """It cannot run, and its problem leads to the other file."""
    here = repository(tmp_path, crm=CRM.replace("timeout: 30", "timeout: x"), b=definition(connection="crm"))
    found = {file: message for file, _, _, _, message in problems(here)}
    assert found["b.yaml"].startswith("the connection crm cannot be used: ")
    assert f"{tmp_path / 'crm.yaml'}:8:10: timeout: " in found["b.yaml"]
    assert here.definitions() == ()
    with pytest.raises(DefinitionError):
        here.connection("crm")


def test_a_connection_that_is_not_text_is_no_sync_either(tmp_path: Path) -> None:
    """The byte has its place."""
    (tmp_path / "crm.yaml").write_bytes(CRM.encode() + b"description: \xff\n")
    here = repository(tmp_path)
    assert here.loaded() == ()
    assert problems(here) == [("crm.yaml", 10, 14, "", "a definition is UTF-8 text, but this byte is not valid UTF-8")]


def test_two_connections_cannot_have_one_name(tmp_path: Path) -> None:
    """Which one is meant is not known."""
    here = repository(tmp_path, a=CRM, b=CRM)
    assert [(file, line, path) for file, line, _, path, _ in problems(here)] == [
        ("a.yaml", 2, "name"),
        ("b.yaml", 2, "name"),
    ]


@pytest.mark.parametrize(("parameter", "count"), [({"formula": "SECRET('shop-key')"}, 0), ({"default": "abc"}, 1)])
def test_a_parameter_that_is_no_secret_is_refused_in_a_header_of_a_connection(
    tmp_path: Path, parameter: dict[str, str], count: int
) -> None:
    """The definition that uses the connection says what its parameters are."""
    document = yaml.safe_load(EXAMPLE)
    document["parameters"] = document.get("parameters", {}) | {"key": parameter}
    document["source"] = {"type": "rest", "connection": "shop", "columns": document["source"]["columns"]}
    text = API.replace("X-Shop: a", 'X-Api-Key: "@key"')
    found = [message for *_, message in problems(repository(tmp_path, shop=text, b=yaml.safe_dump(document)))]
    said = "this header holds a secret, and the value of @key is kept with each run"
    assert [said in message for message in found] == [True] * count, found


def test_parameters_in_a_connection_are_those_of_the_definition(tmp_path: Path) -> None:
    """One that the definition does not have is named with both places."""
    text = CRM.replace("dev.onmicrosoft.com", '"@{region}.onmicrosoft.com"')
    here = repository(tmp_path, crm=text, b=definition(connection="crm"))
    assert joined(here).destination.tenant_id == "@{region}.onmicrosoft.com"
    here = repository(tmp_path, crm=text.replace("region", "regoin"), b=definition(connection="crm"))
    ((file, line, column, path, message),) = problems(here)
    assert (file, path, line > 0, column) == ("b.yaml", "destination.connection", True, 3)
    assert message == (
        f"the connection crm needs a parameter of this definition: {tmp_path / 'crm.yaml'}:5:1: tenant_id: there is no "
        "parameter @regoin; did you mean region?"
    )


def test_a_changed_connection_takes_effect_at_the_next_look(tmp_path: Path) -> None:
    """Until a file changes, the same object is given, which is what real time prepares only once."""
    clock = Clock()
    here = repository(tmp_path, clock, crm=CRM, b=definition(connection="crm"))
    first = joined(here)
    clock.now += 100
    assert joined(here) is first
    (tmp_path / "crm.yaml").write_text(CRM.replace("timeout: 30", "timeout: 7"), "utf-8")
    clock.now += 100
    assert joined(here).destination.timeout == 7
    (tmp_path / "crm.yaml").unlink()
    clock.now += 100
    assert here.definitions() == ()


def test_a_definition_without_a_connection_stays_as_it_is(tmp_path: Path) -> None:
    """Nothing is copied."""
    here = repository(tmp_path, b=EXAMPLE)
    assert joined(here) is here.definitions()[0]


def test_a_connection_is_not_read_as_a_definition() -> None:
    """The message says what it is."""
    with pytest.raises(DefinitionError, match="this is a connection and not a sync"):
        load_definition(CRM)


def test_secrets_of_connections_are_known_as_secrets(tmp_path: Path) -> None:
    """So no formula reads them."""
    here = repository(tmp_path, crm=CRM, erp="kind: connection\nname: erp\ntype: sql\nurl: {env: ERP}\n")
    assert [*secret_variables((), (here.connection(name) for name in ("crm", "erp")))] == ["DEV_SECRET", "ERP"]
