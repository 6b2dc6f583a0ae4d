"""Syncs of links: mistakes in a definition, and what is compared and written."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.entities import EntityMetadata
from shared.reconcile import reconcile_steps
from shared.transform import (
    check,
    current_finish_steps,
    current_table_step,
    desire_steps,
    desired_finish_steps,
    layout,
    shape_steps,
)
from shared.workspace import Workspace
from tests.unit.dataverse.links import LINKS, ONE, TWO
from tests.unit.transform.world import definition, load

STARTED = datetime(2026, 3, 1, tzinfo=UTC)
PAIR = [{"source": "number", "target": "accountid"}, {"source": "lead", "target": "leadid"}]


def links(mappings: list[dict[str, str]] | None = None, **behaviour: Any) -> SyncDefinition:
    """A sync of links whose source has two columns of ids."""
    sync = definition([{"name": "lead"}], **{"sync_key": ["accountid", "leadid"], **behaviour})
    changed = {
        "id_column": "accountleadid",
        "entity": "accountleads",
        "mappings": PAIR if mappings is None else mappings,
    }
    raw = sync.model_dump(exclude_unset=True)
    raw["destination"] |= changed
    return SyncDefinition.model_validate(raw)


def problems(sync: SyncDefinition, entity: EntityMetadata = LINKS) -> list[tuple[str, str]]:
    return [(problem.path, problem.message) for problem in check(sync, entity)]


SAID = "accountleads holds links between account and lead"


@pytest.mark.parametrize("strategy", ["full", "upsert", "delta"])
def test_a_correct_sync_of_links_has_no_problems(strategy: str) -> None:
    """No strategy needs an alternate key: the two records identify the link."""
    assert problems(links(strategy=strategy)) == []


@pytest.mark.parametrize(
    ("sync", "path", "message"),
    [
        (
            links(changed="ignore"),
            "sync_behaviour.changed",
            "accountleads holds links: a link exists or not, so none can",
        ),
        (
            links(dropped={"expire": "accountleadid"}),
            "sync_behaviour.dropped.expire",
            "accountleads holds links, which have no column to mark them",
        ),
        (links(sync_key=["leadid"]), "sync_behaviour.sync_key", f"{SAID}: the sync key is accountid, leadid"),
        (links(PAIR[:1], sync_key=["accountid"]), "destination.mappings", f"{SAID}: leadid must be mapped as well"),
        (
            links([*PAIR, {"source": "lead", "target": "accountleadid"}]),
            "destination.mappings[2].target",
            f"{SAID}: only accountid and leadid can be mapped",
        ),
    ],
)
def test_what_links_cannot_have_is_a_problem(sync: SyncDefinition, path: str, message: str) -> None:
    assert [(where, said[: len(message)]) for where, said in problems(sync)].count((path, message)) == 1


def test_what_cannot_be_read_cannot_be_compared() -> None:
    hidden = replace(LINKS, entity_set="")
    assert problems(links(strategy="upsert"), hidden) == []
    ((path, message),) = problems(links(), hidden)
    assert path == "destination.entity"
    assert "cannot be read; use strategy delta or upsert" in message


def test_links_whose_relationship_is_not_known_are_refused() -> None:
    assert problems(links(), replace(LINKS, ends=()))[-1] == (
        "destination.entity",
        "the metadata of accountleads does not say which tables it links",
    )


def test_a_link_is_compared_by_its_pair_and_never_updated(workspace: Workspace) -> None:
    sync, other = links(dropped="delete"), "77777777-2222-3333-4444-555555555555"
    load(workspace, sync, [[ONE, TWO.upper()], [ONE, other]])
    columns = layout(sync, LINKS)
    for step in (
        *shape_steps(sync),
        *desire_steps(sync, LINKS),
        *desired_finish_steps(sync, LINKS),
        current_table_step(columns),
    ):
        workspace.run(step)
    held = [("00000000-0000-0000-0000-000000000001", ONE, TWO), ("00000000-0000-0000-0000-000000000002", TWO, TWO)]
    for number, row in enumerate(held, 1):
        workspace.execute("INSERT INTO current (_seq, _id, accountid, leadid) VALUES (?, ?, ?, ?)", [number, *row])
    for step in (*current_finish_steps(columns, sync), *reconcile_steps(sync, columns, started=STARTED)):
        workspace.run(step)

    changes = workspace.query("SELECT action, key, before FROM changes ORDER BY _change")

    gone = {"accountid": TWO, "leadid": TWO}
    assert [(action, json.loads(key), json.loads(before)) for action, key, before in changes] == [
        ("insert", {"accountid": ONE, "leadid": other}, {}),
        ("delete", gone, gone),
    ]
    assert workspace.query("SELECT count(*) FROM decisions WHERE action = 'unchanged'") == [(1,)]
