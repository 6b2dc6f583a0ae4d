"""Calls of actions and functions: addresses, and values in the types of their parameters."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from shared.dataverse.calls.operations import Operation, OperationParameter
from shared.dataverse.calls.sending import CallTarget, call, call_of, json_value
from shared.dataverse.http.answers import UnexpectedAnswer
from shared.entities import EntityMetadata
from shared.errors import UserError
from shared.http.transport import Response
from tests.unit.dataverse.simulation import world

ACCOUNT = EntityMetadata(
    logical_name="account",
    entity_set="accounts",
    display_name="Account",
    primary_id="accountid",
    primary_name="name",
    attributes={},
)
ID = "00000000-0000-0000-0000-00000000000a"


def operation(**types: str) -> Operation:
    parameters = {name: OperationParameter(type=kind, required=False) for name, kind in types.items()}
    return Operation(name="new_Do", parameters=parameters)


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("Edm.String", 5, '"5"'),
        ("Edm.String", True, '"true"'),
        ("Edm.Int32", "5", "5"),
        ("Edm.Int64", 2**62, str(2**62)),
        ("Edm.Decimal", "0.10", "0.10"),
        ("Edm.Double", 1.5, "1.5"),
        ("Edm.Boolean", "true", "true"),
        ("Edm.Guid", "{0000000A-0000-0000-0000-00000000000A}", '"0000000a-0000-0000-0000-00000000000a"'),
        ("Edm.DateTimeOffset", "2024-01-31T12:00:00+02:00", '"2024-01-31T10:00:00Z"'),
        ("Edm.DateTimeOffset", None, "null"),
        ("Collection(Edm.String)", ["a"], '["a"]'),
        ("mscrm.account", {"accountid": ID}, f'{{"accountid": "{ID}"}}'),
    ],
)
def test_a_value_gets_the_type_of_its_parameter(kind: str, value: Any, written: str) -> None:
    """A parameter of a definition may be text; what is no number, text, id or moment is sent as it is."""
    assert json_value(value, kind) == written


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Edm.Int32", "five"),
        ("Edm.Int32", 1.5),
        ("Edm.Boolean", "perhaps"),
        ("Edm.Guid", "x"),
        ("Edm.DateTimeOffset", "soon"),
        ("Edm.String", ["a"]),
        ("Edm.Decimal", {"a": 1}),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, value: Any) -> None:
    """The message names the parameter and its type, and not the value."""
    with pytest.raises(UserError) as caught:
        call_of(operation(P=kind), {"P": value}, on=CallTarget())
    assert caught.value.message == f"the parameter P of new_Do is {kind}, and its value does not fit"


def test_an_action_is_posted_with_its_parameters() -> None:
    """To its name, to a record, or to a collection."""
    given = {"Text": 'it\'s "so"', "N": 1}
    made = call_of(operation(Text="Edm.String", N="Edm.Int32"), given, on=CallTarget())
    assert (made.method, made.path, made.writes, json.loads(made.body or b"")) == ("POST", "new_Do", True, given)
    on_record = call_of(operation(), {}, on=CallTarget(entity=ACCOUNT, record=ID))
    assert on_record.path == f"accounts({ID})/Microsoft.Dynamics.CRM.new_Do"
    assert call_of(operation(), {}, on=CallTarget(entity=ACCOUNT)).path == "accounts/Microsoft.Dynamics.CRM.new_Do"


def test_a_function_is_asked_with_aliases() -> None:
    """Texts are quoted, ids and moments are not; each is percent-encoded."""
    asked = Operation(
        name="new_Ask",
        function=True,
        parameters=operation(T="Edm.String", G="Edm.Guid", E="mscrm.Kind", L="Collection(Edm.String)").parameters,
    )
    values = {"T": "it's & more", "G": ID, "E": "Microsoft.Dynamics.CRM.Kind'A'", "L": ["a"]}
    made = call_of(asked, values, on=CallTarget())
    names, _, given = made.path.partition("?")
    assert (made.method, made.writes, names) == ("GET", False, "new_Ask(T=@p1,G=@p2,E=@p3,L=@p4)")
    assert [unquote(part.partition("=")[2]) for part in given.split("&")] == [
        "'it''s & more'",
        ID,
        "Microsoft.Dynamics.CRM.Kind'A'",
        '["a"]',
    ]
    flags = Operation(name="new_Ask", function=True, parameters=operation(B="Edm.Boolean", D="Edm.Decimal").parameters)
    assert call_of(flags, {"B": "true", "D": "0.10"}, on=CallTarget()).path == "new_Ask(B=@p1,D=@p2)?@p1=true&@p2=0.10"
    assert call_of(flags, {"B": None}, on=CallTarget()).path == "new_Ask(B=@p1)?@p1=null"
    assert call_of(Operation(name="WhoAmI", function=True), {}, on=CallTarget()).path == "WhoAmI()"
    with pytest.raises(UserError, match="too long for an address"):
        call_of(asked, {"T": "x" * 40_000}, on=CallTarget())


@pytest.mark.parametrize("answer", [Response(status=204), Response(status=200, body=b'{"Result":1}')])
def test_a_call_is_made_where_the_service_says_so(answer: Response) -> None:
    """An operation without a result is answered without content."""
    here = world(gate=lambda request, now: answer)
    call(here.service, operation(), {}, on=CallTarget(), within=60)
    assert len(here.memory.log) == 1


def test_a_call_that_a_gateway_answers_with_a_page_is_not_made() -> None:
    """The page has the status of a success; a second call might have its effect twice."""
    here = world(gate=lambda request, now: Response(status=200, body=b"<html>Maintenance</html>"))
    with pytest.raises(UnexpectedAnswer, match="a call of new_Do is not JSON"):
        call(here.service, operation(), {}, on=CallTarget(), within=60)
    assert len(here.memory.log) == 1
