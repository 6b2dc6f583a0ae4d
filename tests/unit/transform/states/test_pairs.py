"""State and status reason of a row: what a label means beside a state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.entities import AttributeMetadata, AttributeType, Choice
from shared.workspace import Workspace
from tests.unit.transform.world import ACCOUNT, definition, errors, shaped

STATE = AttributeMetadata(
    name="statecode",
    type=AttributeType.STATE,
    creatable=False,
    choices=(
        Choice(value=0, labels=("Active", "Aktiv"), default_status=1),
        Choice(value=1, labels=("Inactive", "Inaktiv"), default_status=3),
    ),
)
STATUS = AttributeMetadata(
    name="statuscode",
    type=AttributeType.STATUS,
    choices=(
        Choice(value=1, labels=("In Progress", "Laufend"), state=0),
        Choice(value=3, labels=("In Progress", "Erledigt"), state=1),
        Choice(value=4, labels=("Waiting", "Wartend"), state=0),
        Choice(value=5, labels=("Waiting", "Ruhend"), state=1),
        Choice(value=6, labels=("Parked", "Ruhend"), state=1),
        Choice(value=7, labels=("Sent",), state=0),
        Choice(value=8, labels=("Sent",), state=0),
    ),
)
ENTITY = replace(ACCOUNT, attributes={**ACCOUNT.attributes, "statecode": STATE, "statuscode": STATUS})
COLUMNS = [{"name": "state"}, {"name": "status"}]
PAIR = [
    {"source": "state", "target": "statecode", "on_null": "keep"},
    {"source": "status", "target": "statuscode", "on_null": "keep"},
]
INVALID, AMBIGUOUS, UNKNOWN = "Invalid Status", "Ambiguous Choice", "Unknown Choice"


@pytest.mark.parametrize(
    ("state", "status", "found"),
    [
        ("Active", "In Progress", (0, 1)),
        ("Inactive", "in progress", (1, 3)),
        ("Inactive", "Erledigt", (1, 3)),
        ("inaktiv", "Waiting", (1, 5)),
        ("Inactive", "Laufend", INVALID),
        ("Active", "Erledigt", INVALID),
        ("Active", "Ruhend", INVALID),
        ("Inactive", "Sent", INVALID),
        ("Inactive", "1", INVALID),
        ("Active", "Sent", AMBIGUOUS),
        ("Inactive", "Ruhend", AMBIGUOUS),
        (None, "Waiting", AMBIGUOUS),
        (None, "Laufend", (0, 1)),
        ("Inactive", "5", (1, 5)),
        ("Gone", "Waiting", UNKNOWN),
    ],
)
def test_the_state_of_a_row_tells_which_status_a_label_means(
    workspace: Workspace, state: str | None, status: str, found: tuple[int, int] | str
) -> None:
    """The statuses that have the label are looked at, and no other one that shares another label with them."""
    shaped(workspace, definition(COLUMNS, PAIR), [("1", state, status)], entity=ENTITY)
    refused = [error for _, _, error, rejects in errors(workspace) if rejects]
    kept = workspace.query("SELECT statecode, statuscode FROM desired")
    assert (kept, refused) == (([], [found]) if isinstance(found, str) else ([found], []))


@pytest.mark.parametrize("status", ["Waiting", "Sent"])
def test_a_status_alone_has_no_state_that_tells_what_its_label_means(workspace: Workspace, status: str) -> None:
    """The row is rejected; the message names the options."""
    shaped(workspace, definition(COLUMNS, PAIR[1:]), [("1", "Inactive", status)], entity=ENTITY)
    assert errors(workspace) == [(1, "status", AMBIGUOUS, True)]
    ((message,),) = workspace.query("SELECT message FROM source_errors")
    assert message.startswith({"Waiting": "4 Waiting, 5 Waiting: ", "Sent": "7 Sent, 8 Sent: "}[status])
