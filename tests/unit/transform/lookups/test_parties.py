"""Lists of activity parties: a text becomes parties, and parties become a payload."""

from __future__ import annotations

import json

from shared.entities import AttributeMetadata, AttributeType
from shared.reconcile.columns import fixed, names, on_insert, on_update, payload, present
from shared.transform import Omit, TargetColumn
from shared.transform.targets import Bind
from shared.workspace import Workspace

ONE, TWO = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
BINDS = (
    Bind(table="account", navigation="partyid_account", entity_set="accounts"),
    Bind(table="contact", navigation="partyid_contact", entity_set="contacts"),
)


def party_list(name: str) -> TargetColumn:
    attribute = AttributeMetadata(
        name=name, type=AttributeType.PARTY_LIST, targets=("account", "contact"), updatable=False
    )
    return TargetColumn(
        name=name,
        attribute=attribute,
        sql_type="VARCHAR",
        source_sql=name,
        omit=Omit.FLAGGED,
        binds=BINDS,
        collection="email_activity_parties",
    )


SUBJECT = TargetColumn(
    name="subject",
    attribute=AttributeMetadata(name="subject", type=AttributeType.STRING),
    sql_type="VARCHAR",
    source_sql="subject",
)
LAYOUT = (party_list("to"), SUBJECT, party_list("cc"))


def made(workspace: Workspace, rows: list[tuple[str | None, str, str | None]]) -> list[tuple[str, str]]:
    """Payload and names of new emails with these recipients, subjects and recipients of copies."""
    workspace.execute(
        'CREATE TABLE desired ("to" VARCHAR, subject VARCHAR, cc VARCHAR, _omit_to BOOLEAN, _omit_cc BOOLEAN)'
    )
    for row in rows:
        workspace.execute("INSERT INTO desired VALUES (?, ?, ?, false, false)", list(row))
    columns = on_insert(LAYOUT, "activityid")
    return [
        (text, listed)
        for text, listed in workspace.query(
            f"SELECT {payload(columns, present)}, {names(columns, present)} FROM desired ORDER BY subject"
        )
    ]


def test_all_lists_of_an_activity_are_one_collection(workspace: Workspace) -> None:
    both, one, none = made(
        workspace,
        [(f"contact:{ONE},account:{TWO}", "a", f"contact:{TWO}"), (None, "b", f"account:{ONE}"), (None, "c", None)],
    )

    assert json.loads(both[0]) == {
        "subject": "a",
        "email_activity_parties": [
            {"partyid_contact@odata.bind": f"/contacts({ONE})", "participationtypemask": 2},
            {"partyid_account@odata.bind": f"/accounts({TWO})", "participationtypemask": 2},
            {"partyid_contact@odata.bind": f"/contacts({TWO})", "participationtypemask": 3},
        ],
    }
    assert both[1] == "subject,email_activity_parties"
    assert [party["participationtypemask"] for party in json.loads(one[0])["email_activity_parties"]] == [3]
    assert (json.loads(none[0]), none[1]) == ({"subject": "c"}, "subject")


def test_parties_are_never_updated_or_compared() -> None:
    assert [column.name for column in on_update(LAYOUT, "activityid")] == ["subject"]
    assert fixed(LAYOUT, "activityid") == ()
