"""Transitions of the status in tables whose states follow rules of their own."""

from __future__ import annotations

import pytest

from shared.workspace import Workspace
from tests.unit.reconcile.test_states import SALES, Planned, entity

WON, CANCELED, SOLD = (1, 3), (2, 4), (2, 5)
FOLLOWING = {1: (3, 5), 3: (1,), 4: (1, 5), 5: ()}


@pytest.mark.parametrize(
    ("held", "wanted", "allowed"),
    [
        (WON, "Out-Sold", True),
        (WON, "Canceled", False),
        (SOLD, "Won", False),
        (CANCELED, "Won", True),
        (CANCELED, "Out-Sold", True),
    ],
    ids=["by way of open", "not from open", "not to open", "from canceled", "within a state"],
)
def test_a_closed_record_gets_another_state_by_way_of_the_open_one(
    workspace: Workspace, held: tuple[int, int], wanted: str, *, allowed: bool
) -> None:
    """Both steps must be allowed; another status of one state is one step."""
    table = entity("opportunity", SALES, FOLLOWING)
    planned = Planned(workspace, table, [{"statuscode": wanted}], [{"statecode": held[0], "statuscode": held[1]}])
    assert [change[0] for change in planned.changes] == (["update"] if allowed else [])
    assert [error[:3] for error in planned.errors] == ([] if allowed else [(1, "statuscode", "Transition Not Allowed")])


def test_a_new_record_that_is_not_made_open_may_have_any_status(workspace: Workspace) -> None:
    """What its table starts with is not known; a record that is there is held to the rules."""
    options = ({0: "Active", 1: "Retired", 2: "Draft"}, {1: ("Active", 0), 2: ("Retired", 1), 3: ("Draft", 2)})
    table = entity("product", options, {1: (2,), 2: (), 3: (1,)})
    rows = [{"statuscode": "Draft"}, {"statuscode": "Draft"}]
    planned = Planned(workspace, table, rows, [{"statecode": 0, "statuscode": 1}])
    assert [error[0] for error in planned.errors] == [1]
    assert [change[0] for change in planned.changes] == ["insert"]
