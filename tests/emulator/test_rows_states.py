"""State and status over HTTP: pairs, changes of state, closed rows, and the actions that close."""

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client, made, whole_error

SCHEMA = """
new_Step:
  entity_set: new_steps
  enforce_state_transitions: true
  states:
    0: {label: Active, statuses: {1: {label: New, transitions: [3]}, 3: {label: Ready, transitions: [2]}}}
    1: {label: Inactive, statuses: {2: {label: Done, transitions: [1]}}}
  columns:
    new_Name: {type: String, length: 100}
Incident:
  enforce_state_transitions: false
"""


def _read(client: Client, path: str, *names: str) -> dict[str, Any]:
    row = client.send("GET", f"{path}?$select={','.join(names)}").json()
    return {name: row[name] for name in names}


def _pair(client: Client, path: str) -> tuple[int, int]:
    row = _read(client, path, "statecode", "statuscode")
    return row["statecode"], row["statuscode"]


def _case(client: Client, **body: Any) -> str:
    account = made(client, "accounts", name="A")
    return made(client, "incidents", title="T", **{"customerid_account@odata.bind": f"/accounts({account})"}, **body)


def _quote(client: Client, state: int = 0) -> str:
    quote = made(client, "quotes", name="Q")
    if state:
        assert client.send("PATCH", f"quotes({quote})", {"statecode": state}).status_code == 204
    return quote


def _win(client: Client, opportunity: str, status: int = -1, **close: Any) -> Any:
    described = {"subject": "Won", "opportunityid@odata.bind": f"/opportunities({opportunity})", **close}
    return client.send("POST", "WinOpportunity", {"Status": status, "OpportunityClose": described})


# Pairs


def test_a_create_drops_the_state_and_keeps_the_status(client: Client) -> None:
    """`statecode` is not valid for create: alone it is ignored, with a status of another state the pair is wrong."""
    account = made(client, "accounts", name="A", statecode=1)
    assert _pair(client, f"accounts({account})") == (0, 1)
    lead = made(client, "leads", subject="L", statuscode=2)
    assert _pair(client, f"leads({lead})") == (0, 2)
    status, code, message = whole_error(client.send("POST", "accounts", {"name": "B", "statecode": 1, "statuscode": 2}))
    assert (status, code) == (400, "0x80048408")
    assert message.startswith("2 is not a valid status code for state code AccountState.Active on account with Id ")


@pytest.mark.parametrize(
    ("body", "expected"), [({"statecode": 1}, (1, 2)), ({"statecode": 1, "statuscode": 2}, (1, 2))]
)
def test_a_state_without_a_status_takes_its_default(
    client: Client, body: dict[str, int], expected: tuple[int, int]
) -> None:
    account = made(client, "accounts", name="A")
    assert client.send("PATCH", f"accounts({account})", body).status_code == 204
    assert _pair(client, f"accounts({account})") == expected


@pytest.mark.parametrize("body", [{"statuscode": 2}, {"statecode": 1, "statuscode": 1}])
def test_a_status_of_another_state_is_refused(client: Client, body: dict[str, int]) -> None:
    """Also a status alone: its state does not follow from it."""
    account = made(client, "accounts", name="A")
    status, code, message = whole_error(client.send("PATCH", f"accounts({account})", body))
    assert (status, code) == (400, "0x80048408")
    assert message.endswith(f"on account with Id {account}.")
    assert _pair(client, f"accounts({account})") == (0, 1)


def test_a_bulk_message_follows_the_same_rules(client: Client) -> None:
    """One wrong pair rolls the message back."""
    rows = [made(client, "accounts", name=name) for name in "AB"]
    targets = [
        {"@odata.type": "Microsoft.Dynamics.CRM.account", "accountid": row, **pair}
        for row, pair in zip(rows, ({"statecode": 1}, {"statuscode": 2}), strict=True)
    ]
    path = "accounts/Microsoft.Dynamics.CRM.UpdateMultiple"
    assert whole_error(client.send("POST", path, {"Targets": targets}))[1] == "0x80048408"
    assert [_pair(client, f"accounts({row})") for row in rows] == [(0, 1), (0, 1)]
    assert client.send("POST", path, {"Targets": targets[:1]}).status_code == 204
    assert _pair(client, f"accounts({rows[0]})") == (1, 2)


def test_inactive_rows_can_be_changed(client: Client) -> None:
    """Most tables do not make inactive rows read-only."""
    account = made(client, "accounts", name="A")
    client.send("PATCH", f"accounts({account})", {"statecode": 1})
    assert client.send("PATCH", f"accounts({account})", {"name": "B"}).status_code == 204
    assert _read(client, f"accounts({account})", "name", "statecode") == {"name": "B", "statecode": 1}


# Changes of state


@pytest.mark.parametrize(
    ("entity_set", "state", "code", "text"),
    [
        ("opportunities", 1, "0x80100005", "use the won message instead."),
        ("opportunities", 2, "0x80100005", "use the lost message instead."),
        ("incidents", 1, "0x80040233", "use the CloseIncidentRequest message instead."),
        ("quotes", 2, "0x80040233", "use the WinQuoteRequest message instead."),
        ("quotes", 3, "0x80040233", "use the CloseQuoteRequest message instead."),
        ("salesorders", 2, "0x80040233", "use the CancelSalesOrderRequest message instead."),
        ("salesorders", 3, "0x80040233", "use the FulfillSalesOrderRequest message instead."),
    ],
)
def test_closing_states_need_their_action(client: Client, entity_set: str, state: int, code: str, text: str) -> None:
    """An update does not set them, whether with a status or without."""
    row = _case(client) if entity_set == "incidents" else made(client, entity_set, name="R")
    status, found, message = whole_error(client.send("PATCH", f"{entity_set}({row})", {"statecode": state}))
    assert (status, found, message.endswith(text)) == (400, code, True)
    assert _pair(client, f"{entity_set}({row})")[0] == 0


@pytest.mark.parametrize(
    ("entity_set", "body", "states"),
    [
        ("quotes", {"name": "R"}, (1, 0)),
        ("salesorders", {"name": "R"}, (1, 0, 4, 0)),
        ("leads", {"subject": "R"}, (1, 0, 2, 0)),
        ("invoices", {"name": "R"}, (2, 0, 3)),
        ("tasks", {"subject": "R"}, (1, 0, 2, 1)),
        ("appointments", {"subject": "R"}, (3, 1, 0)),
    ],
)
def test_other_states_are_set_by_an_update(
    client: Client, entity_set: str, body: dict[str, str], states: tuple[int, ...]
) -> None:
    row = made(client, entity_set, **body)
    for state in states:
        assert client.send("PATCH", f"{entity_set}({row})", {"statecode": state}).status_code == 204
        assert _pair(client, f"{entity_set}({row})")[0] == state


def test_a_case_is_canceled_and_reopened_by_an_update(client: Client) -> None:
    case = _case(client)
    for state, expected in ((2, (2, 6)), (0, (0, 1))):
        assert client.send("PATCH", f"incidents({case})", {"statecode": state}).status_code == 204
        assert _pair(client, f"incidents({case})") == expected


def test_a_closed_lead_is_not_closed_again(client: Client) -> None:
    lead = made(client, "leads", subject="L")
    client.send("PATCH", f"leads({lead})", {"statecode": 1})
    assert whole_error(client.send("PATCH", f"leads({lead})", {"statecode": 2}))[:2] == (400, "0x80040519")


@pytest.mark.parametrize("entity_set", ["quotes", "salesorders", "invoices"])
def test_quotes_orders_and_invoices_are_read_only_unless_in_their_first_state(client: Client, entity_set: str) -> None:
    """To change the row, reopen it, change it and close it again."""
    row = made(client, entity_set, name="R")
    state = 2 if entity_set == "invoices" else 1
    path = f"{entity_set}({row})"
    assert client.send("PATCH", path, {"statecode": state}).status_code == 204
    for body in ({"name": "S"}, {"name": "S", "statecode": 0}):
        assert whole_error(client.send("PATCH", path, body))[:2] == (400, "0x8004022e")
    assert client.send("PATCH", path, {"statecode": 0}).status_code == 204
    assert client.send("PATCH", path, {"name": "S", "statecode": state}).status_code == 204
    assert _read(client, path, "name", "statecode") == {"name": "S", "statecode": state}


# Closing


def test_an_opportunity_is_won_with_an_activity(client: Client) -> None:
    """State, status, day and revenue of the opportunity are set, and a completed activity describes it."""
    row = made(client, "opportunities", name="O", estimatedvalue=120)
    answer = _win(client, row, 3, actualrevenue=100, actualend="2026-03-04T05:06:07Z", description="Signed")
    assert (answer.status_code, answer.content) == (204, b"")
    assert _read(client, f"opportunities({row})", "statecode", "statuscode", "actualclosedate", "actualvalue") == {
        "statecode": 1, "statuscode": 3, "actualclosedate": "2026-03-04", "actualvalue": 100,
    }  # fmt: skip
    path = f"opportunities({row})/Opportunity_OpportunityClose?$select=subject,description,statecode,statuscode"
    (close,) = client.send("GET", f"{path},actualrevenue,actualrevenue_base").json()["value"]
    assert (close["subject"], close["description"]) == ("Won", "Signed")
    assert (close["statecode"], close["statuscode"], close["actualrevenue_base"]) == (1, 2, 100)
    assert whole_error(_win(client, row))[:2] == (400, "0x80040515")
    assert client.send("PATCH", f"opportunities({row})", {"statecode": 0}).status_code == 204
    assert _pair(client, f"opportunities({row})") == (0, 1)


def test_closing_activities_are_regarding_the_closed_row(client: Client) -> None:
    """So they are among its activities, under the relationship's name in the reference."""
    row = made(client, "opportunities", name="O")
    assert _win(client, row).status_code == 204
    for name in ("Opportunity_ActivityPointers", "opportunity_OpportunityCloses"):
        rows = client.send("GET", f"opportunities({row})/{name}?$select=subject").json()["value"]
        assert [one["subject"] for one in rows] == ["Won"]


def test_a_won_opportunity_takes_the_estimated_revenue(client: Client) -> None:
    row = made(client, "opportunities", name="O", estimatedvalue=120)
    assert _win(client, row).status_code == 204
    assert _read(client, f"opportunities({row})", "actualvalue", "statuscode") == {"actualvalue": 120, "statuscode": 3}


def test_an_opportunity_is_lost_with_any_status_of_that_state(client: Client) -> None:
    row = made(client, "opportunities", name="O")
    close = {"subject": "Lost", "opportunityid": {"opportunityid": row}}
    refused = client.send("POST", "LoseOpportunity", {"Status": 3, "OpportunityClose": close})
    assert whole_error(refused)[:2] == (400, "0x80048408")
    assert "OpportunityState.Lost on opportunity" in whole_error(refused)[2]
    assert client.send("POST", "LoseOpportunity", {"Status": 5, "OpportunityClose": close}).status_code == 204
    assert _pair(client, f"opportunities({row})") == (2, 5)
    assert client.send("GET", "opportunitycloses/$count").content.decode("utf-8-sig") == "1"


def test_open_quotes_keep_an_opportunity_open(client: Client) -> None:
    """A draft or an active quote does, a closed one does not."""
    row = made(client, "opportunities", name="O")
    quote = made(client, "quotes", name="Q", **{"opportunityid@odata.bind": f"/opportunities({row})"})
    assert whole_error(_win(client, row))[:2] == (400, "0x80040516")
    client.send("PATCH", f"quotes({quote})", {"statecode": 1})
    close = {"Status": 6, "QuoteClose": {"subject": "C", "quoteid@odata.bind": f"/quotes({quote})"}}
    assert client.send("POST", "CloseQuote", close).status_code == 204
    assert _win(client, row).status_code == 204


def test_a_case_is_resolved_with_an_activity(client: Client) -> None:
    case = _case(client)
    body = {
        "Status": 1000,
        "IncidentResolution": {
            "@odata.type": "Microsoft.Dynamics.CRM.incidentresolution",
            "subject": "Done",
            "timespent": 30,
            "incidentid@odata.bind": f"/incidents({case})",
        },
    }
    task = made(client, "tasks", subject="T", **{"regardingobjectid_incident_task@odata.bind": f"/incidents({case})"})
    assert whole_error(client.send("POST", "CloseIncident", body))[:2] == (400, "0x8004440a")
    client.send("PATCH", f"tasks({task})", {"statecode": 1})
    assert client.send("POST", "CloseIncident", body).status_code == 204
    assert _pair(client, f"incidents({case})") == (1, 1000)
    (row,) = client.send("GET", f"incidents({case})/Incident_IncidentResolutions?$select=timespent,statecode").json()[
        "value"
    ]
    assert (row["timespent"], row["statecode"]) == (30, 1)
    assert whole_error(client.send("POST", "CloseIncident", body))[:2] == (400, "0x80044411")


def test_quotes_and_orders_are_closed_from_their_own_state(client: Client) -> None:
    quote = _quote(client)
    win = {"Status": -1, "QuoteClose": {"subject": "W", "quoteid@odata.bind": f"/quotes({quote})"}}
    assert whole_error(client.send("POST", "WinQuote", win))[:2] == (400, "0x80040233")
    client.send("PATCH", f"quotes({quote})", {"statecode": 1})
    assert client.send("POST", "WinQuote", win).status_code == 204
    assert _pair(client, f"quotes({quote})") == (2, 4)
    order = made(client, "salesorders", name="S")
    close = {"subject": "F", "salesorderid@odata.bind": f"/salesorders({order})"}
    assert client.send("POST", "FulfillSalesOrder", {"Status": 100001, "OrderClose": close}).status_code == 204
    assert _pair(client, f"salesorders({order})") == (3, 100001)
    assert whole_error(client.send("POST", "CancelSalesOrder", {"Status": 4, "OrderClose": close}))[1] == "0x80040233"


def test_prices_are_locked_and_unlocked(client: Client) -> None:
    """Also those of an invoice that is read-only."""
    invoice = made(client, "invoices", name="I")
    client.send("PATCH", f"invoices({invoice})", {"statecode": 2})
    for action, locked in (("LockInvoicePricing", True), ("UnlockInvoicePricing", False)):
        assert client.send("POST", action, {"InvoiceId": invoice}).status_code == 204
        assert _read(client, f"invoices({invoice})", "ispricelocked") == {"ispricelocked": locked}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"Status": 3}, 400, "Required field 'OpportunityClose' is missing"),
        ({"OpportunityClose": {"subject": "x"}}, 400, "Required field 'Status' is missing"),
        ({"Status": 3, "OpportunityClose": {"subject": "x"}}, 400, "Required field 'opportunityid' is missing"),
        ({"Status": "3", "OpportunityClose": {}}, 400, "A parameter of the operation 'WinOpportunity' has the wrong type."),
        ({"Status": 3, "OpportunityClose": [], "x": 1}, 400, "The parameter 'x' in the request payload"),
        ({"Status": 3, "OpportunityClose": {"opportunityid": {"opportunityid": "x"}}}, 400, "Cannot convert the literal 'x'"),
        (
            {
                "Status": 3,
                "OpportunityClose": {
                    "opportunityid@odata.bind": "/opportunities(00000000-0000-0000-0000-000000000001)"
                },
            },
            404,
            "opportunity With Id = 00000000-0000-0000-0000-000000000001 Does Not Exist",
        ),
    ],
)  # fmt: skip
def test_a_closing_action_checks_its_parameters(client: Client, body: dict[str, Any], status: int, text: str) -> None:
    found, _, message = whole_error(client.send("POST", "WinOpportunity", body))
    assert (found, text in message) == (status, True)


def test_rows_are_created_and_closed_in_one_change_set(client: Client, emulator: RunningEmulator) -> None:
    """A reference to a new row works within the action's parameter, and a refusal rolls the set back."""
    won = '{"Status":3,"OpportunityClose":{"subject":"W","opportunityid@odata.bind":"$1"}}'
    lost = '{"Status":3,"OpportunityClose":{"subject":"L","opportunityid@odata.bind":"$1"}}'
    assert _change_set(client, emulator, [("opportunities", '{"name":"O"}'), ("WinOpportunity", won)]) == 200
    assert client.send("GET", "opportunities?$select=statecode").json()["value"][0]["statecode"] == 1
    assert _change_set(client, emulator, [("opportunities", '{"name":"P"}'), ("LoseOpportunity", lost)]) == 400
    assert client.send("GET", "opportunities/$count").content.decode("utf-8-sig") == "1"
    assert client.send("GET", "opportunitycloses/$count").content.decode("utf-8-sig") == "1"


def _change_set(client: Client, emulator: RunningEmulator, posts: list[tuple[str, str]]) -> int:
    lines = ["--b", "Content-Type: multipart/mixed; boundary=c", ""]
    for number, (path, body) in enumerate(posts, start=1):
        lines += ["--c", "Content-Type: application/http", "Content-Transfer-Encoding: binary"]
        lines += [f"Content-ID: {number}", "", f"POST {emulator.service_url}{path} HTTP/1.1"]
        lines += ["Content-Type: application/json", "", body]
    lines += ["--c--", "--b--", ""]
    headers = {**client.headers, "Content-Type": "multipart/mixed; boundary=b"}
    url = f"{emulator.service_url}$batch"
    return client.session.post(url, data="\r\n".join(lines).encode(), headers=headers, timeout=60).status_code


def test_the_faults_of_rows_apply_to_a_closing_action(client: Client, emulator: RunningEmulator) -> None:
    """If a plug-in refuses the closed row, the row stays open, and no activity is created."""
    row = made(client, "opportunities", name="O")
    emulator.faults([{"action": "refuse_rows", "match": {"filter": "statecode eq 1"}, "message": "Not now."}])
    assert whole_error(_win(client, row)) == (400, "0x80040265", "Not now.")
    assert _pair(client, f"opportunities({row})") == (0, 1)
    assert client.send("GET", "opportunitycloses/$count").content.decode("utf-8-sig") == "0"
    client.session.delete(f"{emulator.base_url}/_emulator/faults", timeout=60)
    assert _win(client, row).status_code == 204


# Transitions


def test_enforced_transitions_allow_only_what_they_list(client: Client) -> None:
    """New may become Ready, Ready may become Done, and Done may become New."""
    row = made(client, "new_steps", new_name="S")
    path = f"new_steps({row})"
    refused = [
        ({"statecode": 1}, "0x8004f858"),
        ({"statecode": 1, "statuscode": 2}, "0x8004f858"),
    ]
    for body, code in refused:
        assert whole_error(client.send("PATCH", path, body))[:2] == (400, code)
    for body in ({"statuscode": 3}, {"statecode": 1}):
        assert client.send("PATCH", path, body).status_code == 204
    assert whole_error(client.send("PATCH", path, {"statecode": 0, "statuscode": 3}))[:2] == (400, "0x8004f857")
    assert client.send("PATCH", path, {"new_name": "T"}).status_code == 204
    assert client.send("PATCH", path, {"statecode": 0}).status_code == 204
    assert _pair(client, path) == (0, 1)


@pytest.mark.parametrize(
    ("allowed", "kind", "body", "code"),
    [
        ({1: [6]}, "close", {}, "0x8004f854"),
        ({1: [5]}, "update", {"statecode": 2}, "0x8004f855"),
        ({1: [6]}, "reopen", {"statecode": 0}, "0x8004f856"),
    ],
)
def test_cases_have_their_own_errors_for_transitions(
    tmp_path: Path, allowed: dict[int, list[int]], kind: str, body: dict[str, int], code: str
) -> None:
    """Also CloseIncident follows the transitions."""
    file = tmp_path / "cases.yaml"
    statuses = ", ".join(f"{value}: {{label: x, state: 0, transitions: {after}}}" for value, after in allowed.items())
    file.write_text(
        "Incident:\n  enforce_state_transitions: true\n  columns:\n    StatusCode:\n      type: Status\n"
        f"      options: {{{statuses}, 5: {{label: Solved, state: 1}}, 6: {{label: Canceled, state: 2}}}}\n",
        encoding="utf-8",
    )
    with running(in_thread=True, schema=[file]) as emulator, Client(emulator) as client:
        case = _case(client)
        if kind == "close":
            resolution = {"subject": "R", "incidentid@odata.bind": f"/incidents({case})"}
            answer = client.send("POST", "CloseIncident", {"Status": 5, "IncidentResolution": resolution})
        else:
            if kind == "reopen":
                assert client.send("PATCH", f"incidents({case})", {"statecode": 2}).status_code == 204
            answer = client.send("PATCH", f"incidents({case})", body)
        assert whole_error(answer)[:2] == (400, code)


# Metadata


def test_states_are_described_in_the_metadata(client: Client) -> None:
    """Default status and invariant name of a state; state and transitions of a status."""
    path = "EntityDefinitions(LogicalName='new_step')"
    entity = client.send("GET", f"{path}?$select=EnforceStateTransitions,IsStateModelAware,IsActivity").json()
    assert (entity["EnforceStateTransitions"], entity["IsStateModelAware"], entity["IsActivity"]) == (True, True, False)
    states, statuses = (
        client.send(
            "GET", f"{path}/Attributes/Microsoft.Dynamics.CRM.{kind}AttributeMetadata?$expand=OptionSet"
        ).json()["value"][0]["OptionSet"]["Options"]
        for kind in ("State", "Status")
    )
    assert [(one["Value"], one["DefaultStatus"], one["InvariantName"]) for one in states] == [
        (0, 1, "Active"), (1, 2, "Inactive"),
    ]  # fmt: skip
    assert [(one["Value"], one["State"]) for one in statuses] == [(1, 0), (3, 0), (2, 1)]
    assert statuses[0]["TransitionData"] == (
        '<allowedtransitions xmlns="http://schemas.microsoft.com/crm/2009/WebServices">'
        '<allowedtransition sourcestatusid="1" tostatusid="3" /></allowedtransitions>'
    )


def test_transitions_are_exported_and_imported_with_entity_definitions(client: Client, tmp_path: Path) -> None:
    """An emulator that is started with this one's metadata enforces the same transitions."""
    path = "EntityDefinitions(LogicalName='new_step')"
    content = client.send("GET", f"{path}?$expand=Attributes,Keys,ManyToOneRelationships").json()
    for kind in ("State", "Status"):
        cast = f"{path}/Attributes/Microsoft.Dynamics.CRM.{kind}AttributeMetadata?$expand=OptionSet"
        (column,) = client.send("GET", cast).json()["value"]
        column["@odata.type"] = f"#Microsoft.Dynamics.CRM.{kind}AttributeMetadata"
        kept = [one for one in content["Attributes"] if one["LogicalName"] != column["LogicalName"]]
        content["Attributes"] = [*kept, column]
    file = tmp_path / "steps.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    with running(in_thread=True, schema=[file]) as emulator, Client(emulator) as other:
        row = made(other, "new_steps", new_name="S")
        assert whole_error(other.send("PATCH", f"new_steps({row})", {"statecode": 1}))[:2] == (400, "0x8004f858")
        assert other.send("PATCH", f"new_steps({row})", {"statuscode": 3}).status_code == 204


def test_deleting_a_customer_follows_the_relationships_of_sales(client: Client) -> None:
    """Quotes and cases are deleted too; orders and invoices prevent it (the relationships of the reference)."""
    account = made(client, "accounts", name="A")
    bind = {"customerid_account@odata.bind": f"/accounts({account})"}
    row = made(client, "opportunities", name="O", **bind)
    of = {"opportunityid@odata.bind": f"/opportunities({row})"}
    quote = made(client, "quotes", name="Q", **of)
    client.send("PATCH", f"quotes({quote})", {"statecode": 1})
    close = {"subject": "W", "quoteid@odata.bind": f"/quotes({quote})"}
    assert client.send("POST", "WinQuote", {"Status": -1, "QuoteClose": close}).status_code == 204
    assert _win(client, row).status_code == 204
    order = made(client, "salesorders", name="S", **of)
    assert whole_error(client.send("DELETE", f"opportunities({row})"))[:2] == (405, "0x80040227")
    assert client.send("DELETE", f"salesorders({order})").status_code == 204
    assert client.send("DELETE", f"opportunities({row})").status_code == 204
    for entity_set in ("quotes", "quotecloses", "opportunitycloses", "activityparties"):
        assert client.send("GET", entity_set).json()["value"] == []
    invoice = made(client, "invoices", name="I", **bind)
    assert whole_error(client.send("DELETE", f"accounts({account})"))[:2] == (405, "0x80040227")
    assert client.send("DELETE", f"invoices({invoice})").status_code == 204
    made(client, "incidents", title="T", **bind)
    assert client.send("DELETE", f"accounts({account})").status_code == 204
    assert client.send("GET", "incidents").json()["value"] == []
