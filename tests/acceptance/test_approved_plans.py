"""What an approved plan stands for beside its changes: where they go, with which options, and the steps after them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.definitions import ParameterValue
from shared.errors import StalePlanError, SyncError
from shared.jobs import ApprovedPlan
from shared.views.next_steps import next_steps
from tests.acceptance.world import World, accounts, world

Change = Callable[[dict[str, Any]], None]
STEP = {"name": "after", "update": {"entity": "account", "filter": "statecode eq 0", "set": {"telephone1": "@phone"}}}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def approved(here: World, definition: dict[str, Any]) -> ApprovedPlan:
    """The plan of one new account, approved."""
    here.define(definition)
    here.csv([{"number": "1", "name": "One", "city": "", "revenue": ""}])
    return ApprovedPlan(checksum=here.plan().plan.checksum)


def with_step(definition: dict[str, Any]) -> None:
    """One more step, whose value is a parameter."""
    definition["parameters"]["phone"] = {"default": "1"}
    definition["post_sync"] = [STEP]


def options(**of: Any) -> Change:
    return lambda definition: definition["destination"].update(options=of)


@pytest.mark.parametrize(
    "change", [with_step, options(suppress_flows=True), options(run_as="11111111-1111-1111-1111-111111111111")]
)
def test_a_plan_of_other_effects_is_refused(here: World, change: Change) -> None:
    """Also where the changes are the same: nobody approved the step or the option."""
    definition = accounts()
    plan = approved(here, definition)
    change(definition)
    here.define(definition)
    with pytest.raises(StalePlanError, match="source, target or definition changed since the plan was made"):
        here.run(approved=plan)
    assert here.records("accounts") == []


@pytest.mark.parametrize(("values", "refused"), [({}, False), ({"phone": "2"}, True)])
def test_the_value_that_a_step_takes_is_part_of_the_plan(
    here: World,
    values: dict[str, ParameterValue],
    refused: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The value of the plan may be given again."""
    definition = accounts()
    with_step(definition)
    plan = approved(here, definition)
    if refused:
        with pytest.raises(StalePlanError):
            here.run(parameters=values, approved=plan)
    else:
        assert here.run(parameters=values, approved=plan).created.done == 1


def test_a_value_in_braces_is_part_of_the_plan_too(here: World) -> None:
    """In plain texts a parameter may be followed by more."""
    definition = accounts(parameters={"phone": {"default": "1"}})
    body = {"text": "call @{phone}0"}
    definition["post_sync"] = [{"name": "tell", "http": {"url": "https://hooks.example/x", "body": body}}]
    plan = approved(here, definition)
    with pytest.raises(StalePlanError):
        here.run(parameters={"phone": "2"}, approved=plan)


@pytest.mark.parametrize("service", ["another", "the same"])
def test_a_plan_is_applied_to_its_environment_alone(here: World, tmp_path: Path, service: str) -> None:
    """An empty table of another environment would give the same changes."""
    plan = approved(here, accounts())
    if service == "the same":
        assert here.run(approved=plan).created.done == 1
        return
    (tmp_path / "other").mkdir()
    with world(tmp_path / "other") as other:
        approved(other, accounts())
        with pytest.raises(StalePlanError):
            other.run(approved=plan)


def test_what_has_no_effect_on_dataverse_may_change(here: World) -> None:
    """Such as a safety limit that the plan keeps."""
    definition = accounts()
    plan = approved(here, definition)
    definition["sync_behaviour"]["safety"] = {"max_delete": 7}
    definition["description"] = "reviewed"
    here.define(definition)
    assert here.run(approved=plan).created.done == 1


def test_a_run_of_a_plan_that_failed_is_followed_by_a_plan(here: World) -> None:
    """Its row says that it had a plan: a run without one would write what nobody has approved."""
    plan = approved(here, accounts())
    (here.folder / "source.csv").unlink()
    with pytest.raises(SyncError):
        here.run(approved=plan)
    (run,) = here.app.state.runs("accounts", 1)
    assert next_steps(run, has_errors=False) == ("dynamics-sync plan accounts",)
