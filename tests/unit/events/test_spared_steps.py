"""The statements that real time leaves out are still those that it means."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.definitions import SyncDefinition
from shared.jobs.real_time.sync import SPARED
from shared.jobs.real_time.waves import CHANGES, DOUBLES, NEEDLESS, WRITTEN_DOWN
from shared.reconcile import reconcile_steps
from shared.transform import current_finish_steps, desire_steps, layout
from tests.unit.events.conftest import Make
from tests.unit.events.world import COLUMNS, MAPPINGS


def test_every_title_that_is_left_out_exists(make: Make) -> None:
    """A step that got another title would be run again, and its time would be lost unnoticed."""
    created = {"name": "batch", "type": "number"}  # what only a create takes
    mapping = {"source": "batch", "target": "importsequencenumber"}
    world = make(columns=(*COLUMNS, created), mappings=(*MAPPINGS, mapping))
    definition: SyncDefinition = world.definition
    entity = world.connect(definition).entity("account")
    columns = layout(definition, entity)
    desired = {step.title for step in desire_steps(definition, entity)}
    waves = {step.title for step in current_finish_steps(columns, definition)}
    waves |= {step.title for step in reconcile_steps(definition, columns, started=datetime(2026, 1, 1, tzinfo=UTC))}
    assert desired >= SPARED
    assert waves >= DOUBLES | NEEDLESS
    assert waves >= {CHANGES, *(WRITTEN_DOWN.format(action) for action in ("insert", "update", "delete"))}
