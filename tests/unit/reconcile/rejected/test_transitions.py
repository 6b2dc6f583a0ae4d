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


@pytest.mark.parametrize("named", [("statuscode",), ("statecode",), ("statecode", "statuscode")], ids=" and ".join)
def test_what_a_person_edited_is_held_to_no_rules(workspace: Workspace, named: tuple[str, ...]) -> None:
    """With `unless_edited` such a record keeps its status, so nothing changes; one that nobody edited is held to them."""
    open_, won, lost = (
        {"statecode": 0, "statuscode": 1},
        {"statecode": 1, "statuscode": 3},
        {"statecode": 2, "statuscode": 4},
    )
    asked = {"statecode": "Lost", "statuscode": "Canceled"}
    table = entity("account", SALES, {**FOLLOWING, 1: (3,)})
    planned = Planned(
        workspace,
        table,
        [{name: asked[name] for name in named}] * 3,
        [open_, won, {"statecode": 2, "statuscode": 5}],
        written=[{name: held[name] for name in named} for held in (open_, open_, lost)],
        write=dict.fromkeys(named, "unless_edited"),
    )
    assert [error[:3] for error in planned.errors] == [(1, "statuscode", "Transition Not Allowed")]
    assert planned.changes == []
