"""Labels that several options have, over HTTP, in batches and in events: none of the options is written by chance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from shared.cli.real_time import feed
from tests.acceptance.world import World, world

_KINDS: Final = {
    1: "Other",
    2: "Small",
    3: "other",
    6: {"labels": {1033: "Gift", 1031: "Geschenk"}},
    7: {"labels": {1033: "Poison", 1031: "Gift"}},
}
_SCHEMA: Final[Mapping[str, Any]] = {
    "new_Errand": {
        "label": "Errand",
        "columns": {
            "new_Code": {"type": "String"},
            "new_Kind": {"type": "Picklist", "options": _KINDS},
            "new_Kinds": {"type": "MultiSelectPicklist", "options": _KINDS},
        },
        "states": {
            0: {
                "label": "Active",
                "statuses": {
                    1: {"labels": {1033: "In Progress", 1031: "Laufend"}},
                    4: {"labels": {1033: "Waiting", 1031: "Wartend"}},
                },
            },
            1: {
                "label": "Inactive",
                "statuses": {
                    3: {"labels": {1033: "In Progress", 1031: "Erledigt"}},
                    5: {"labels": {1033: "Waiting", 1031: "Ruhend"}},
                },
            },
        },
    },
}
_COLUMNS: Final = {"kind": "new_kind", "kinds": "new_kinds", "state": "statecode", "status": "statuscode"}
_HELD: Final = "new_code,new_kind,new_kinds,statecode,statuscode"
_BOTH_WAYS: Final = pytest.mark.parametrize("events", [False, True], ids=["batch", "events"])
Row = dict[str, str]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("labels")
    with world(folder, tables=_SCHEMA) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.forget()
    return shared_world


def _define(here: World, columns: Mapping[str, str] = _COLUMNS) -> None:
    mappings = [{"source": name, "target": target, "on_null": "keep"} for name, target in columns.items()]
    here.define(
        {
            "source": {
                "type": "delimited",
                "path": str(here.folder / "source.csv"),
                "columns": [
                    {"name": "code", "mandatory": True, "validate": True},
                    *({"name": each} for each in columns),
                ],
            },
            "destination": {
                "type": "dynamics",
                "entity": "new_errand",
                "service_url": here.emulator.service_url,
                "client_id": {"env": "DYNAMICS_CLIENT_ID"},
                "client_secret": {"env": "DYNAMICS_CLIENT_SECRET"},
                "id_column": "new_errandid",
                "mappings": [{"source": "code", "target": "new_code"}, *mappings],
            },
            "sync_behaviour": {"sync_key": ["new_code"]},
            "listener": {"name": "errands", "topic": {"action": "$.op"}},
        },
        "errands",
    )


def _errors(here: World, rows: list[Row], *, events: bool) -> dict[str, tuple[str, str]]:
    """Write rows; code -> type and message of the error of each row that was rejected."""
    if events:
        path = here.folder / "events.ndjson"
        path.write_text("".join(json.dumps({"op": "u", **row}) + "\n" for row in rows), "utf-8")
        feed(here.app, "errands", str(path))
        letters = here.app.state.dead_letters("errands", limit=100)
        return {json.loads(each.body)["code"]: (each.error, each.message) for each in letters}
    here.csv(rows)
    done = here.run("errands")
    return {
        rows[row - 1]["code"]: (error.error_type, f"{error.column}: {error.message}")
        for error in done.errors
        for row in error.rows
    }


def _held(here: World) -> dict[str, tuple[Any, ...]]:
    records = here.records(f"new_errands?$select={_HELD}")
    return {each["new_code"]: tuple(each[name] for name in _HELD.split(",")[1:]) for each in records}


@_BOTH_WAYS
def test_a_label_of_several_options_rejects_its_row(here: World, *, events: bool) -> None:
    """The message names the options; values and labels that one option has are written."""
    _define(here, {name: _COLUMNS[name] for name in ("kind", "kinds", "status")})
    empty = {"kind": "", "kinds": "", "status": ""}
    rows = [
        {"code": "A", **empty, "kind": "Other"},
        {"code": "B", **empty, "kind": "gift"},
        {"code": "C", **empty, "kinds": "Small;Gift"},
        {"code": "D", **empty, "status": "Waiting"},
        {"code": "E", "kind": "Geschenk", "kinds": "Poison;3", "status": "ruhend"},
        {"code": "F", "kind": "7", "kinds": "Small", "status": "4"},
    ]
    instead = "; give the value of the option that is meant, or make its label unique"
    assert _errors(here, rows, events=events) == {
        code: ("Ambiguous Choice", f"{column}: {options}: several options of {target} have this label{instead}")
        for code, column, target, options in (
            ("A", "kind", "new_kind", "1 Other, 3 other"),
            ("B", "kind", "new_kind", "6 Gift, 7 Poison"),
            ("C", "kinds", "new_kinds", "6 Gift, 7 Poison"),
            ("D", "status", "statuscode", "4 Waiting, 5 Waiting"),
        )
    }
    assert _held(here) == {"E": (6, "3,7", 1, 5), "F": (7, "2", 0, 4)}


@_BOTH_WAYS
def test_the_state_of_a_row_tells_which_status_reason_a_label_means(here: World, *, events: bool) -> None:
    """A label of one status reason is never another one that shares a label with it in another language."""
    _define(here, {name: _COLUMNS[name] for name in ("state", "status")})
    rows = [
        {"code": "A", "state": "Inactive", "status": "Laufend"},
        {"code": "B", "state": "Active", "status": "Erledigt"},
        {"code": "C", "state": "", "status": "In Progress"},
        {"code": "D", "state": "Inactive", "status": "In Progress"},
        {"code": "E", "state": "Active", "status": "in progress"},
        {"code": "F", "state": "", "status": "Erledigt"},
    ]
    found = {code: error for code, (error, _) in _errors(here, rows, events=events).items()}
    assert found == {"A": "Invalid Status", "B": "Invalid Status", "C": "Ambiguous Choice"}
    assert {code: pair[2:] for code, pair in _held(here).items()} == {"D": (1, 3), "E": (0, 1), "F": (1, 3)}
