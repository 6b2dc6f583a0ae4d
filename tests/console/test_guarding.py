"""What needs the right `admin`: in a change of a definition, and in the values of a job."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from console.access.guarding import guarded_changes, guarded_parameters, guarded_values, values_leading_out
from shared.definitions.loading.repository import Repository
from shared.definitions.parameters.values import resolve

BEFORE = """\
name: customers
parameters:
  host: {default: org.crm.dynamics.com}
  day: {default: monday}
source:
  type: delimited
  path: abfs://data/customers.csv
  columns: [{name: url}, {name: name}]
destination:
  type: dynamics
  entity: account
  service_url: https://@{host}/api/data/v9.2/
  client_id: 00000000-0000-0000-0000-000000000001
  client_secret: {key_vault: secret}
  id_column: accountid
  mappings: [{source: url, target: websiteurl}]
sync_behaviour: {sync_key: [name]}
post_sync: [{name: publish, action: PublishXml}]
permissions: {write: [Editors]}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("path: abfs://data/customers.csv", "path: abfs://data/others.csv"),
        ("{name: name}", "{name: name, formula: upper(url)}"),
        ("target: websiteurl", "target: name"),
        ("sync_key: [name]", "sync_key: [websiteurl]"),
        ("{default: monday}", "{default: friday}"),
        ("entity: account", "entity: contact"),
        ("name: customers\n", "name: customers\nschedule: '0 0 * * * *'\n"),
    ],
)
def test_ordinary_changes_are_free(old: str, new: str) -> None:
    """Columns, mappings, paths on the same host, behaviour, schedule."""
    assert old in BEFORE
    assert guarded_changes(BEFORE, BEFORE.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("[Editors]", "[Everyone]", "permissions"),
        ("permissions: {write: [Editors]}\n", "", "permissions"),
        ("PublishXml", "Other", "post_sync"),
        ("key_vault: secret", "key_vault: other", "destination.client_secret"),
        ("client_secret: {key_vault: secret}", "client_secret: '@secret'", "destination.client_secret"),
        ("org.crm.dynamics.com", "evil.example", "parameters.host"),
        ("https://@{host}/", "https://evil.example/", "destination.service_url"),
        ("abfs://data/", "abfs://data@other.dfs.core.windows.net/", "source.path"),
        ("abfs://data/customers.csv", "https://evil.example/customers.csv", "source.path"),
        ("  entity: account", "  entity: account\n  connection: crm", "destination.connection"),
        ("day: {default: monday}", "day: {formula: ENV('KEY')}", "parameters.day.formula"),
        ("  id_column", "  options: {run_as: 00000000-0000-0000-0000-000000000002}\n  id_column",
         "destination.options.run_as"),
        ("0000-000000000001", "0000-000000000009", "destination.client_id"),
    ],
)  # fmt: skip
def test_rights_secrets_hosts_and_steps_need_admin(old: str, new: str, path: str) -> None:
    """The key that is refused is named."""
    assert old in BEFORE
    assert path in guarded_changes(BEFORE, BEFORE.replace(old, new))


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("simplecache::https://data.example/a.csv", "simplecache::https://evil.example/a.csv"),
        ("zip://a.csv::https://data.example/a.zip", "zip://a.csv::https://evil.example/a.zip"),
        ("'@{day}://data.example/a.csv'", "'@{day}://evil.example/a.csv'"),
        ("h@{day}", "ht@{day}"),
    ],
)
def test_each_host_of_a_path_needs_admin(path: str, other: str) -> None:
    """Also behind `::`, behind a scheme that is a parameter, and where a parameter may complete a scheme."""
    before = BEFORE.replace("abfs://data/customers.csv", path)
    assert guarded_changes(before, before.replace(path, other)) == ["source.path"]


CONNECTION = """\
kind: connection
name: crm
type: dynamics
service_url: https://org-@{region}.crm.dynamics.com/api/data/v9.2/
client_id: {env: ID}
client_secret: {env: KEY}
"""
NAMING = """\
name: customers
parameters:
  region: {default: four}
  other: {default: one}
  file: {default: in/customers.csv}
  folder: {formula: "FILEPATH(@file, '^(.*)/')"}
  day: {default: monday}
  place: {formula: "FILENAME(@chosen, '(.*)')"}
  chosen: {default: crm}
  user: {formula: "ENV('USER_OF_IT')"}
  given: {}
source:
  type: rest
  url: https://api.example.com/@{given}
  headers: {X-User: "@user"}
  columns: [{name: name}]
  filter: name <> @other
destination:
  type: dynamics
  entity: account
  connection: crm
  id_column: accountid
  mappings: [{source: name, target: name}]
sync_behaviour: {sync_key: [name]}
"""
FILES = NAMING.replace("type: rest", "type: delimited").replace('  headers: {X-User: "@user"}\n', "")


def folder_with(tmp_path: Path, text: str, connection: str = CONNECTION) -> Repository:
    (tmp_path / "crm.yaml").write_text(connection)
    (tmp_path / "customers.yaml").write_text(text)
    return Repository(str(tmp_path), clock=lambda: 0.0)


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("", "", {"region", "given", "user"}),  # `region` stands in the connection
        ("connection: crm", 'connection: "@place"', {"place", "chosen", "region", "given", "user"}),  # by a formula
        ("  id_column", "  service_url: https://x.example/@other/\n  id_column", {"other", "region", "given", "user"}),
    ],
)
def test_parameters_of_addresses_are_guarded(tmp_path: Path, old: str, new: str, names: set[str]) -> None:
    """Those of the connection too, and those that a formula of one uses."""
    found = folder_with(tmp_path, NAMING.replace(old, new, 1) if old else NAMING)
    (loaded,) = found.loaded()
    assert loaded.definition is not None, loaded.problems
    assert guarded_parameters(loaded.definition, found.connections().files) == names


def test_a_change_of_a_parameter_of_a_connection_needs_admin(tmp_path: Path) -> None:
    """And of what the formula of a guarded parameter uses."""
    files = folder_with(tmp_path, NAMING).connections().files
    assert guarded_changes(NAMING, NAMING.replace("default: four", "default: nine"), files) == ["parameters.region"]
    before = NAMING.replace("connection: crm", 'connection: "@place"')
    assert guarded_changes(before, before.replace("chosen: {default: crm}", "chosen: {default: x}"), files) == [
        "parameters.chosen"
    ]


@pytest.mark.parametrize(
    ("path", "given", "refused"),
    [
        ('"@file"', {"file": "in/customers.csv"}, []),  # its default
        ('"@file"', {"file": "/etc/passwd"}, ["file"]),
        ('"@file"', {"file": "https://evil.example/x.csv"}, ["file"]),
        ("'@{folder}/a.csv'", {"file": "other/customers.csv"}, ["file"]),  # its formula uses it
        ("'@{folder}/a.csv'", {"folder": ""}, ["folder"]),  # not what the formula gives
        ("in/@{day}.csv", {"day": "tuesday", "other": "two"}, []),
        ("in/@{day}@{other}.csv", {"day": ".", "other": "./secret"}, ["day", "other"]),
        ("in/@{day}@{other}.csv", {"day": "a", "other": ".b/c"}, []),
        ("in/@{day}@{other}.csv", {"day": "a:", "other": ":b"}, ["day", "other"]),
        ("/@{day}", {"day": "in/a.csv"}, []),
        ("in/.@{day}", {"day": "./secret.csv"}, ["day"]),
        ("in/@{day}/../a.csv", {"day": "."}, ["day"]),
        ("in/@{day}/../a.csv", {"day": "b"}, []),
        ("in/a@{day}/b.csv", {"day": "/c"}, []),
        ("in/a@day/b.csv", {"day": "x"}, []),
        ("in/a@day/b.csv", {"day": "/../.."}, ["day"]),
        ("https://data.example/in/@{day}", {"day": "%2e%2e/secret.csv"}, ["day"]),
        ("https://data.example/in/@{day}", {"day": "a%20b.csv"}, []),
        ("in/@{day}.csv", {"day": "../../etc/passwd"}, ["day"]),
        ("in/@{day}.csv", {"day": "..\\secret"}, ["day"]),
        ("in/@{day}", {"day": "a::https://evil.example/b"}, ["day"]),
        ("abfs://in/@{day}.csv", {"day": "tuesday"}, []),
        ("abfs://@{day}/a.csv", {"day": "tuesday"}, ["day"]),
        ("in/a.csv", {"other": "../x", "unknown": "x"}, []),
        ("'abfs:/@{day}'", {"day": "/secret@acc/f.csv"}, ["day"]),
        ("abfs://c@acc.dfs.core.windows.net/@{day}", {"day": "a.csv"}, []),
        ("abfs://c@@acc.dfs.core.windows.net/@{day}", {"day": "a.csv"}, []),
        ("'in@@@{day}'", {"day": "x/a.csv"}, []),
        ("'@{day}@@acc.dfs.core.windows.net/f.csv'", {"day": "abfs://secret"}, ["day"]),
    ],
)
def test_values_that_lead_to_another_place_need_admin(
    tmp_path: Path, path: str, given: dict[str, str], refused: list[str]
) -> None:
    """The default does not, nor does a part of a path that stays in its folder."""
    text = FILES.replace("url: https://api.example.com/@{given}", f"path: {path}")
    found = folder_with(tmp_path, text)
    (loaded,) = found.loaded()
    assert loaded.definition is not None, loaded.problems
    values = resolve(
        loaded.definition,
        {name: value for name, value in ({"given": "x"} | given).items() if name in loaded.definition.parameters},
        environment={"USER_OF_IT": "me"},
        now=dt.datetime.now(dt.UTC),
    )
    asked = guarded_values(loaded.definition, given, found.connections().files)
    assert sorted({*asked, *values_leading_out(loaded.definition, given, values)}) == refused


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("@{day}@@acc.dfs.core.windows.net/f.csv", "abfs://secret"),
        ("@{day}@@/x.csv", "https://evil.example/"),
        ("https:@{day}", "//evil.example/x.csv"),
        ("https:/@{day}/x.csv", "/evil.example"),
        ("https://@{day}.csv", "evil.example/x"),
        ("simplecache::https:@{day}", "//evil.example/x.csv"),
        ("@day/x", "abfs://secret@acc"),
    ],
)
def test_a_parameter_that_may_hold_a_host_needs_admin(path: str, value: str) -> None:
    """Wherever it stands before the end of the host, and whatever stands beside it."""
    before = BEFORE.replace("abfs://data/customers.csv", "in/customers.csv")
    after = before.replace("in/customers.csv", f'"{path}"').replace("{default: monday}", f'{{default: "{value}"}}')
    assert guarded_changes(before, after) == ["parameters.day", "source.path"]


def test_a_parameter_that_stands_behind_a_letter_is_found() -> None:
    """As a run finds it: `a@b` is a parameter where there is one of this name."""
    before = BEFORE.replace("https://@{host}/", "https://www.example@host/")
    assert guarded_changes(before, before.replace("org.crm", "evil")) == ["parameters.host"]
