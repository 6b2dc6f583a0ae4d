"""Rules between keys for marks, returning records, the ledger and write policies: each mistake at its own place."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from shared.definitions import load_definition
from shared.definitions.loading.rules.hidden_marks import NOT_EMPTY, NULL, UNKNOWN, hides
from shared.errors import DefinitionError, Problem

BASE: Final = """\
name: accounts
parameters:
  tag: {formula: GUID()}
  fixed: {default: x}
source:
  type: delimited
  path: a.csv
  columns:
    - {name: number}
    - {name: city}
destination:
  type: dynamics
  entity: account
  service_url: https://org.crm.dynamics.com/
  client_id: app
  client_secret: {env: SECRET}
  id_column: accountid
  mappings:
    - {source: number, target: accountnumber}
    - {source: city, target: address1_city}
sync_behaviour:
  sync_key: [accountnumber]
"""
LISTENER: Final = "listener: {name: live, topic: {format: json}}\n"


def problems(text: str) -> tuple[Problem, ...]:
    try:
        load_definition(text, file="a.yaml")
    except DefinitionError as error:
        return error.problems
    return ()


def rules(*lines: str, city: str = "", filter_: str = "", listener: bool = False) -> str:
    text = BASE.replace("target: address1_city", f"target: address1_city{city}")
    if filter_:
        text = text.replace("  mappings:\n", f'  filter: "{filter_}"\n  mappings:\n')
    return text + "".join(f"  {line}\n" for line in lines) + (LISTENER if listener else "")


SOUND: Final = [
    rules(city=", write: if_empty"),
    rules(city=", write: unless_edited"),
    rules("strategy: upsert", city=", write: on_insert", listener=True),
    rules("dropped: deactivate", "returned: reactivate", "dropped_scope: own"),
    rules("dropped: deactivate", "returned: reactivate", city=", write: unless_edited", listener=True),
    rules("dropped: delete", "dropped_scope: own", listener=True),
    rules("dropped: {expire: new_e}", "returned: {set: {new_e: 'null'}}"),
    rules("dropped: {set: {name: \"'@tag ' || target.accountnumber || @fixed\"}}"),
    rules("strategy: upsert", "dropped: {set: {name: \"'target.x'\"}}", listener=True),
    rules("dropped: deactivate", filter_="statecode le 1"),
    rules("dropped: ignore", filter_="statecode eq 0"),
    rules("dropped: delete", filter_="statecode eq 0"),
    rules("dropped: {set: {name: \"'gone'\"}}", "returned: {set: {name: \"'back'\"}}", filter_="name ne 'lost'"),
]


@pytest.mark.parametrize("text", SOUND)
def test_what_is_sound_is_accepted(text: str) -> None:
    """No rule refuses what works."""
    assert problems(text) == ()


WRONG: Final = [
    (rules("strategy: upsert", city=", write: if_empty"), "destination.mappings[1].write", "does not read the target"),
    (rules("strategy: delta", city=", write: unless_edited"), "destination.mappings[1].write", "use always or"),
    (
        BASE.replace("target: accountnumber", "target: accountnumber, write: if_empty"),
        "destination.mappings[0].write",
        "a column of the sync key",
    ),
    (rules(city=", write: sometimes"), "destination.mappings[1].write", "'if_empty'"),
    (rules("dropped_scope: own"), "sync_behaviour.dropped_scope", "dropped is ignore"),
    (rules("returned: reactivate"), "sync_behaviour.returned", "dropped is ignore"),
    (rules("dropped: delete", "returned: reactivate"), "sync_behaviour.returned", "a deleted record has no mark"),
    (rules("strategy: upsert", "dropped: deactivate", "returned: reactivate"), "sync_behaviour.returned", "no effect"),
    (
        rules("dropped: {set: {name: \"'x'\"}}", "returned: reactivate"),
        "sync_behaviour.returned",
        "goes with deactivate and expire",
    ),
    (rules("dropped: {set: {name: '@tag'}}"), "sync_behaviour.dropped.set.name", "another value in each run"),
    (
        rules("dropped: deactivate", "returned: {set: {name: '@tag'}}"),
        "sync_behaviour.returned.set.name",
        "another value in each run",
    ),
    (
        rules("strategy: upsert", "dropped: {set: {name: 'target.name'}}", listener=True),
        "sync_behaviour.dropped.set.name",
        "cannot name its columns",
    ),
    (rules("dropped: {set: {}}"), "sync_behaviour.dropped.set", "empty"),
    (rules("dropped: {set: {name: 1}}"), "sync_behaviour.dropped.set.name", "put it in quotes"),
    (rules("dropped: deactivate", "returned: {sett: {}}"), "sync_behaviour.returned.sett", "did you mean set?"),
    (rules("dropped: archive"), "sync_behaviour.dropped", "'deactivate'"),
    (rules("dropped: deactivate", filter_="statecode eq 0"), "destination.filter", "inserted a second time"),
    (rules("dropped: {expire: new_e}", filter_="new_e eq null"), "destination.filter", "(new_e)"),
    (
        rules("dropped: {set: {accountnumber: \"'X-' || target.accountnumber\"}}"),
        "sync_behaviour.dropped.set.accountnumber",
        "accountnumber is a column of the sync key",
    ),
    (
        rules("strategy: upsert", "dropped: {set: {accountnumber: \"'X'\"}}", listener=True),
        "sync_behaviour.dropped.set.accountnumber",
        "inserted a second time",
    ),
    (
        rules("dropped: deactivate", "returned: {set: {accountnumber: \"'X'\"}}"),
        "sync_behaviour.returned.set.accountnumber",
        "set another column",
    ),
    (
        rules("dropped: {expire: accountnumber}"),
        "sync_behaviour.dropped.expire",
        "accountnumber is a column of the sync key",
    ),
    (
        rules("dropped: deactivate").replace("[accountnumber]", "[accountnumber, statecode]"),
        "sync_behaviour.dropped",
        "statecode is a column of the sync key",
    ),
]


@pytest.mark.parametrize(("text", "path", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_named_at_its_place(text: str, path: str, message: str) -> None:
    """With the line and the column of the key, and what to do."""
    found = {problem.path: problem for problem in problems(text)}
    assert message in found[path].message
    key = path.rpartition(".")[2]
    assert key in text.splitlines()[found[path].line - 1]
    assert found[path].column > 1


def test_the_definitions_of_the_acceptance_tests_are_sound() -> None:
    """So the rules refuse none of them."""
    files = sorted(Path("tests/acceptance/definitions").glob("*.yaml"))
    assert len(files) >= 10
    assert {file.name: problems(file.read_text("utf-8")) for file in files} == {file.name: () for file in files}


DEACTIVATED: Final = {"statecode": "1", "statuscode": UNKNOWN}


@pytest.mark.parametrize(
    ("condition", "hidden"),
    [
        ("statecode eq 0", True),
        ("0 eq statecode", True),
        ("statecode lt 1", True),
        ("1 gt statecode", True),
        ("statecode eq 1", False),
        ("statecode le 1 and name ne null", False),
        ("statecode eq 0 or statecode eq 1", False),
        ("not (statecode eq 1)", True),
        ("not statecode eq 0", False),
        ("statecode eq 0 and name eq 'x'", True),
        ("statecode eq 0 or name eq 'x'", True),
        ("statecode eq 1 or name eq 'x'", False),
        ("not (statecode eq 0 and name eq 'x')", False),
        ("not (statecode eq 1 and name eq 'x')", True),
        ("statuscode eq 1", True),
        ("statuscode eq 1 or statecode eq 1", False),
        ("StateCode eq 0", True),
        ("name eq 'statecode eq 0'", False),
        ("contains(name,'statecode')", False),
        ("(statecode add 1) gt 1", True),
        ("(revenue add 1) gt 1", False),
        ("Microsoft.Dynamics.CRM.In(PropertyName='statecode',PropertyValues=['0'])", True),
        ("Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=['statecode'])", False),
        ("statecode eq @state", True),
        ("name eq 'x'", False),
        ("((((", False),
        ("(" * 400 + "statecode eq 0" + ")" * 400, True),
    ],
)
def test_a_filter_that_hides_deactivated_records(condition: str, hidden: bool) -> None:  # noqa: FBT001 - a case
    """The mark's values are put in; a filter that cannot be worked out and names the column is refused too."""
    assert hides(condition, DEACTIVATED) is hidden


@pytest.mark.parametrize(
    ("condition", "value", "hidden"),
    [
        ("new_e eq null", NOT_EMPTY, True),
        ("new_e ne null", NOT_EMPTY, False),
        ("new_e eq null or new_e gt 2020-01-01", NOT_EMPTY, True),
        ("new_e eq null", NULL, False),
        ("new_e ne null", NULL, True),
        ("new_e eq 5", NULL, True),
        ("new_e ne 5", NULL, True),
        ("new_e eq 'Gone'", "'gone'", False),
        ("new_e ne 'Gone'", "'gone'", True),
        ("new_e eq true", "true", False),
        ("new_e eq true", "false", True),
        ("new_e gt 'a'", "'b'", True),
        ("new_e eq 2.0", "2", False),
        ("new_e eq null", UNKNOWN, True),
    ],
)
def test_a_filter_that_hides_other_marks(condition: str, value: str, hidden: bool) -> None:  # noqa: FBT001 - a case
    """Numbers, texts, words and nothing are compared; what is not known counts as hidden."""
    assert hides(condition, {"new_e": value}) is hidden


def test_a_filter_that_hides_what_has_returned() -> None:
    """The next run would insert its row a second time."""
    text = rules("dropped: {set: {name: \"'gone'\"}}", "returned: {set: {name: \"'back'\"}}", filter_="name ne 'back'")
    (problem,) = problems(text)
    assert (problem.path, "sync_behaviour.returned has given their values back (name)" in problem.message) == (
        "destination.filter",
        True,
    )
