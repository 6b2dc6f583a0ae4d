"""Every combination of rules, end to end, and what users and other processes do to a run in progress."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch
from uuid import uuid4

import duckdb
import pytest

from shared.cli.boundary import run
from shared.errors import DefinitionError, UserError
from shared.jobs import RunState
from shared.state.machine import Machine, since_boot
from shared.state.sqlite import SqliteStateStore
from tests.acceptance.world import World, accounts, world

_LIMITLESS: Final = {"max_delete": "100%", "max_update": "100%"}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("behaviours")) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    for file in (shared_world.folder / "syncs").iterdir():
        file.unlink()
    return shared_world


def row(number: str, name: str = "", city: str = "", revenue: object = "") -> dict[str, object]:
    return {"number": number, "name": name, "city": city, "revenue": revenue}


def seeded(here: World, rows: Sequence[Mapping[str, object]]) -> None:
    """Put records into the target with a sync of their own, duplicates and all."""
    here.define(accounts(sync_behaviour={"strategy": "delta", "sync_key": ["accountnumber"]}), "seed")
    here.csv(rows)
    here.run("seed")


def held(here: World) -> dict[str, dict[str, Any]]:
    columns = "accountnumber,name,address1_city,revenue,new_expiredon"
    return {record["accountnumber"]: record for record in here.records(f"accounts?$select={columns}")}


# -- The decision table ---------------------------------------------------------------------------------------------

_CONDITION: Final = {"when": "target.revenue is null or source.revenue > 2 * target.revenue"}
_COMPOSITE: Final = {
    "destination": {
        "mappings": [
            {"source": "name", "target": "name"},
            {"source": "city", "target": "address1_city"},
            {"source": "revenue", "target": "revenue"},
        ]
    }
}


@pytest.mark.parametrize(
    ("new", "changed", "dropped"),
    list(
        product(
            ["insert", "ignore"], ["update", "ignore", _CONDITION], ["delete", "ignore", {"expire": "new_expiredon"}]
        )
    ),
    ids=str,
)
def test_every_combination_of_rules(here: World, new: str, changed: Any, dropped: Any) -> None:
    """New, changed and dropped records follow the rules, with a composite key; a second run writes nothing."""
    seeded(
        here,
        [
            row("1", "Same", "Paris", 1),
            row("2", "Doubled", "Paris", 10),
            row("3", "Raised", "Paris", 10),
            row("4", "Empty", "Paris", ""),
            row("5", "Gone", "Paris", 5),
            row("6", "Same", "Rome", 6),
        ],
    )
    here.csv(
        [
            row("", "SAME", "paris ", 1),  # the same key to the service; the spelling differs
            row("", "Doubled", "Paris", 21),
            row("", "Raised", "Paris", 11),
            row("", "Empty", "Paris", 3),
            row("", "New", "Paris", 7),
            row("", "Same", "Rome", 6),
        ]
    )
    behaviour = {"sync_key": ["name", "address1_city"], "new": new, "changed": changed, "dropped": dropped}
    definition = accounts(sync_behaviour={**behaviour, "safety": _LIMITLESS}, **_COMPOSITE)
    definition["source"]["columns"] = definition["source"]["columns"][1:]
    here.define(definition)

    here.run()

    columns = "name,address1_city,revenue,new_expiredon"
    records = here.records(f"accounts?$select={columns}")
    found = {(record["name"], record["address1_city"]): record for record in records}
    assert (("New", "Paris") in found) == (new == "insert")
    assert (("Gone", "Paris") in found) == (dropped != "delete")
    if dropped != "delete":
        assert (found["Gone", "Paris"]["new_expiredon"] is not None) == (dropped != "ignore")
    moved = {"update": (21, 11, 3), "ignore": (10, 10, None)}.get(
        changed if isinstance(changed, str) else "", (21, 10, 3)
    )
    assert tuple(found[name, "Paris"]["revenue"] for name in ("Doubled", "Raised", "Empty")) == moved
    assert (("SAME", "paris ") in found) == (changed == "update")
    assert here.plan().plan.counts.changes == 0


_BY_ACTION: Final = {
    "sync_behaviour": {"strategy": "delta", "sync_key": ["accountnumber"], "action_column": "action"},
}


def acting(**changes: Any) -> dict[str, Any]:
    definition = accounts(**changes)
    definition["source"]["columns"].append({"name": "action"})
    return definition


def test_delta_follows_the_action_column_by_alternate_key(here: World) -> None:
    """Each row has its action in any spelling; an unknown action rejects the row."""
    seeded(here, [row("1", "One"), row("2", "Two"), row("3", "Three")])
    here.define(acting(**_BY_ACTION))
    here.csv(
        [
            {**row("1", "Uno"), "action": "update"},
            {**row("2"), "action": " DELETE "},
            {**row("3", "Tre"), "action": "Upsert"},
            {**row("4", "Four"), "action": "INSERT"},
            {**row("5", "Five"), "action": "UPSERT"},
            {**row("6", "Six"), "action": "MERGE"},
            {**row("7", "Seven"), "action": ""},
        ]
    )
    done = here.run()
    assert {number: record["name"] for number, record in held(here).items()} == {
        "1": "Uno", "3": "Tre", "4": "Four", "5": "Five",
    }  # fmt: skip
    assert (done.created.done, done.updated.done, done.deleted.done, done.upserted.done) == (1, 1, 1, 2)
    assert (done.source.rejected, done.failed) == (2, 0)


def test_delta_reports_each_row_that_the_service_refuses(here: World) -> None:
    """Only an insert of an existing record and changes of missing records fail."""
    seeded(here, [row("1", "One")])
    here.define(acting(**_BY_ACTION))
    here.csv(
        [
            {**row("1", "Again"), "action": "INSERT"},
            {**row("8", "Nobody"), "action": "UPDATE"},
            {**row("9"), "action": "DELETE"},
            {**row("2", "Two"), "action": "INSERT"},
        ]
    )
    done = here.run()
    assert {number: record["name"] for number, record in held(here).items()} == {"1": "One", "2": "Two"}
    assert done.created.done == 1
    assert done.failed + done.deleted.done == 3  # a record that is gone already may count as deleted


def test_upsert_lets_the_service_decide(here: World) -> None:
    """Existing records are updated, missing ones are created, and a second run changes nothing."""
    seeded(here, [row("1", "One", "Paris"), row("2", "Two")])
    here.define(accounts(sync_behaviour={"strategy": "upsert"}))
    here.csv([row("1", "Uno", ""), row("3", "Three")])
    done = here.run()
    before = held(here)
    again = here.run()
    assert {number: (record["name"], record["address1_city"]) for number, record in before.items()} == {
        "1": ("Uno", None), "2": ("Two", None), "3": ("Three", None),
    }  # fmt: skip
    assert (done.upserted.done, again.upserted.done) == (2, 2)
    assert [r["name"] for r in held(here).values()] == [r["name"] for r in before.values()]


# -- Keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inserts", [True, False])
def test_mapped_ids_always_match_and_are_written_only_with_the_option(here: World, *, inserts: bool) -> None:
    """With `id_column_insert` an insert has the id; without it the id only matches existing records."""
    here.define(
        accounts(
            destination={
                "id_column_insert": inserts,
                "mappings": [{"source": "number", "target": "accountid"}, {"source": "name", "target": "name"}],
            },
            sync_behaviour={"sync_key": ["accountid"], "new": "insert" if inserts else "ignore"},
        )
    )
    ids = [f"00000000-0000-0000-0000-{number:012x}" for number in (1, 0xAB)]
    here.csv([row(ids[0].upper(), "One"), row("{" + ids[1] + "}", "Two"), row("no id", "Three")])
    first = here.run()
    found = {record["accountid"]: record["name"] for record in here.records("accounts?$select=name")}
    assert first.source.rejected == 1
    assert found == (dict(zip(ids, ("One", "Two"), strict=True)) if inserts else {})
    if inserts:
        here.csv([row(ids[0], "Uno"), row(ids[1], "Two")])
        assert (here.run().updated.done, here.plan().plan.counts.changes) == (1, 0)


@pytest.mark.parametrize(
    ("match", "matched"),
    [("service", {"Ábc", "ABC ", "abc"}), ("accent_sensitive", {"ABC ", "abc"}), ("exact", {"abc"})],
)
def test_keys_are_compared_as_key_match_defines(here: World, match: str, matched: set[str]) -> None:
    """Case, accents and trailing spaces matter or not, within the source and between source and target."""
    seeded(here, [row("1", "abc")])
    spellings = ["abc", "ABC ", "Ábc"]
    definition = accounts(sync_behaviour={"sync_key": ["name"], "key_match": match}, **_COMPOSITE)
    definition["source"]["columns"][1].pop("trim")
    definition["source"]["columns"] = definition["source"]["columns"][1:]
    here.define(definition)
    here.csv([row("", name, "x") for name in spellings])
    done = here.run()
    assert done.source.rejected == len(matched) - 1
    assert done.created.done == len(spellings) - len(matched)
    assert here.plan().plan.counts.changes == 0


def test_duplicates_on_both_sides_are_reported_and_not_changed(here: World) -> None:
    """The first row and the oldest record of equal keys are used; the others are reported, and none is dropped.

    Of records that were made in one second, the one with the lowest id counts as the oldest.
    """
    seeded(here, [row("1", "Twice", "old", 1), row("2", "twice ", "young", 2), row("3", "Gone", "x", 3)])
    definition = accounts(
        sync_behaviour={"sync_key": ["name"], "dropped": "delete", "safety": _LIMITLESS}, **_COMPOSITE
    )
    definition["source"]["columns"] = definition["source"]["columns"][1:]
    here.define(definition)
    here.csv([row("", "Twice", "first", 1), row("", "TWICE", "second", 1)])
    done = here.run()
    cities = {number: record["address1_city"] for number, record in held(here).items()}
    records = here.records("accounts?$select=accountnumber,createdon")
    oldest, other = (each["accountnumber"] for each in sorted(records, key=lambda r: (r["createdon"], r["accountid"])))
    assert cities == {oldest: "first", other: {"1": "old", "2": "young"}[other]}
    assert (done.source.rejected, done.target.rejected, done.updated.done, done.deleted.done) == (1, 1, 1, 1)
    assert {(e.side, e.error_type) for e in done.errors} == {("source", "Duplicate Key"), ("target", "Duplicate Key")}
    assert here.plan().plan.counts.changes == 0


# -- Filters and sources ----------------------------------------------------------------------------------------------

_NASTY: Final = [
    "O'Brien",
    "x' or name ne 'x",
    "''",
    '"',
    "a&$top=1",
    "%27",
    "100% #1",
    "Zürich",
    "a+b c",
    "@region",
    "/*",
    "\\",
]


@pytest.mark.parametrize("region", _NASTY)
def test_parameter_in_a_target_filter_stays_one_value(here: World, region: str) -> None:
    """The filter compares with exactly the value of the parameter and reads no other record."""
    seeded(here, [row("1", "Mine", region), row("2", "Other", "elsewhere"), row("3", "Mine too", region)])
    here.define(
        accounts(
            parameters={"region": {"default": "nowhere"}},
            destination={"filter": "address1_city eq @region"},
            sync_behaviour={"dropped": "delete", "safety": _LIMITLESS},
        )
    )
    here.csv([row("1", "Mine", region)])
    done = here.run(parameters={"region": region})
    assert (done.target.processed, done.deleted.done) == (2, 1)
    assert sorted(held(here)) == ["1", "2"]


def test_a_record_that_the_filter_would_hide_is_not_created(here: World) -> None:
    """The next run would not find it and would create it again; nor does a row move its record out of the filter."""
    here.define(
        accounts(
            parameters={"region": {"default": "Bern"}},
            destination={"filter": "address1_city eq @region and statecode eq 0"},
            sync_behaviour={"dropped": "delete", "safety": _LIMITLESS},
        )
    )
    here.csv([row("1", "In", "bern"), row("2", "Out", "Rome"), row("3", "Empty"), row("4", "Moves", "Bern")])
    done = here.run()
    assert (done.created.done, done.source.rejected) == (2, 2)
    assert [(error.error_type, error.column, error.rows) for error in done.errors] == [
        ("Outside Filter", "address1_city", (2, 3))
    ]
    here.csv([row("1", "In", "bern"), row("4", "Moves", "Rome")])
    for _ in range(2):
        done = here.run()
        assert (done.created.done, done.updated.done, done.deleted.done, done.source.rejected) == (0, 0, 0, 1)
        assert [(error.error_type, error.rows) for error in done.errors] == [("Outside Filter", (2,))]
    here.csv([row("1", "In", "bern"), row("4", "Moved", "BERN")])
    assert here.run().updated.done == 1
    assert sorted((record["accountnumber"], record["name"]) for record in here.records("accounts")) == [
        ("1", "In"),
        ("4", "Moved"),
    ]


@pytest.mark.parametrize(
    ("condition", "value", "cities", "created"),
    [
        ("address1_city eq @city", None, ("", "Rome"), 1),
        ("address1_city ne @city", None, ("", "Rome"), 1),
        ("address1_city ne @city", "Rome", ("", "Rome"), 1),
        ("createdon ge @city and address1_city ne @empty", "2024-01-01", ("", "Rome"), 1),
    ],
)
def test_a_parameter_means_the_same_to_the_run_as_to_the_service(
    here: World, condition: str, value: str | None, cities: tuple[str, ...], created: int
) -> None:
    """Also null: what a run creates, the next run finds, and what it would not find is not created."""
    here.define(
        accounts(
            parameters={"city": {"default": value}, "empty": {"default": None}},
            destination={"filter": condition},
        )
    )
    here.csv([row(str(number), "Name", city) for number, city in enumerate(cities)])
    first, second = here.run(), here.run()
    assert (first.created.done, first.source.rejected) == (created, len(cities) - created)
    assert (second.created.done, second.unchanged) == (0, created)


@pytest.mark.parametrize("condition", ["address1_city eq 'Malmo'", "not (address1_city ne @city)"])
def test_a_filter_regards_accents_where_key_match_says_that_the_service_does(tmp_path: Path, condition: str) -> None:
    """A row that the filter would hide for its accent is created in no run, and others are created once."""
    with world(tmp_path, collation="Finnish_Swedish_CI_AS") as there:
        sync = accounts(
            sync_behaviour={"sync_key": ["name"], "key_match": "accent_sensitive"},
            parameters={"city": {"default": "Malmo"}},
        )
        sync["source"]["columns"] = [{"name": "name"}, {"name": "city"}]
        sync["destination"]["filter"] = condition
        sync["destination"]["mappings"] = [
            {"source": "name", "target": "name"}, {"source": "city", "target": "address1_city"}
        ]  # fmt: skip
        there.define(sync)
        there.csv([{"name": "One", "city": "Malmö"}, {"name": "Two", "city": "MALMO"}])

        for created in (1, 0):
            done = there.run()
            assert (done.created.done, done.source.rejected) == (created, 1)
        assert [each["name"] for each in there.records("accounts?$select=name")] == ["Two"]


def test_a_parameter_that_does_not_fit_its_filter_ends_the_run_before_a_row_is_read(here: World) -> None:
    """The message names the column and the parameter, and nothing is written."""
    here.define(accounts(parameters={"least": {}}, destination={"filter": "revenue ge @least"}))
    here.csv([row("1", "One")])
    with pytest.raises(UserError, match="revenue is compared with @least, but the value does not fit"):
        here.run(parameters={"least": "much"})
    assert held(here) == {}


@pytest.mark.parametrize("new", ["insert", "ignore"])
@pytest.mark.parametrize(
    ("condition", "policy", "leaves"),
    [
        ("address1_city ne 'Rome'", "always", True),
        ("address1_city ne 'Rome'", "if_empty", False),
        ("address1_city ne 'Rome'", "on_insert", False),
        ("address1_city ne 'Rome'", "unless_edited", True),
        ("statecode eq 0 or address1_city eq null", "always", False),
        ("contains(address1_city, 'Bern')", "always", False),
    ],
)
def test_an_update_is_rejected_if_the_filter_would_hide_the_record(
    here: World, condition: str, policy: str, *, leaves: bool, new: str
) -> None:
    """What the filter means is known from the values that the update writes and those that the record keeps."""
    definition = accounts(destination={"filter": condition}, sync_behaviour={"new": new, "safety": _LIMITLESS})
    (city,) = (each for each in definition["destination"]["mappings"] if each["target"] == "address1_city")
    city["write"] = policy
    here.define(definition)
    here.csv([row("1", "One", "Bern")])
    seeded(here, [row("1", "One", "Bern")]) if new == "ignore" else here.run()
    here.csv([row("1", "Two", "Rome")])

    done = here.run()

    rejected = leaves and new == "insert"
    assert (done.source.rejected, done.updated.done) == (int(rejected), int(not rejected))


def test_a_row_that_closes_its_record_is_rejected_where_the_filter_asks_for_open_ones(here: World) -> None:
    """The state is mapped, and Dataverse chooses the status: a filter on the status is not known to be false."""
    for condition, rejected in (("statecode eq 0", 1), ("statuscode eq 1", 0)):
        here.emulator.reset()
        definition = accounts(destination={"filter": condition})
        definition["source"]["columns"].append({"name": "state"})
        definition["destination"]["mappings"].append({"source": "state", "target": "statecode"})
        here.define(definition)
        here.csv([{**row("1", "One"), "state": "Active"}])
        here.run()
        here.csv([{**row("1", "One"), "state": "Inactive"}])
        done = here.run()
        assert (done.source.rejected, done.updated.done) == (rejected, 1 - rejected), condition


@pytest.mark.parametrize(
    ("condition", "behaviour", "column"),
    [
        ("sic eq 'A' or sic eq @known", {}, "sic"),
        ("sic ne null and name ne 'x'", {}, "sic"),
        ("sic ne 'A'", {}, ""),
        ("sic eq 'A' or name eq 'B'", {}, ""),
        ("sic eq @unknown", {}, ""),
        ("sic eq 'A'", {"new": "ignore"}, ""),
        ("sic eq 'A'", {"strategy": "delta"}, ""),
        ("statecode eq 0 and ownerid ne null and createdon ne null", {}, ""),
        ("contains(sic, 'A')", {}, ""),
    ],
)
def test_validate_warns_of_a_filter_on_a_column_that_stays_empty(
    here: World, condition: str, behaviour: dict[str, Any], column: str
) -> None:
    """New records do not pass it, so each run would create them again."""
    here.define(
        accounts(
            parameters={**accounts()["parameters"], "known": {"default": "B"}, "unknown": {}},
            destination={"filter": condition},
            sync_behaviour=behaviour,
        )
    )
    said = here.app.warnings()
    assert bool(said) is bool(column), said
    assert all(f"no mapping sets {column}, so new records would not pass this filter" in each for each in said)


def test_a_run_that_is_stopped_does_not_wait_for_dataverse(here: World) -> None:
    """Also where what is throttled is a question before the first write."""
    here.define(accounts())
    here.csv([row("1", "One")])
    match = {"path": "sdkmessagefilters"}
    here.emulator.faults({"action": "status", "status": 429, "retry_after": 60, "times": 9, "match": match})
    done = here.run(cancelled=lambda: True)
    here.emulator.clear_faults()
    assert (done.state, done.throttled, done.writes) == (RunState.CANCELLED, 1, 0)
    assert here.run().created.done == 1


@pytest.mark.parametrize(
    ("key", "said"),
    [("accountid", "set id_column_insert: true"), ("createdon", "match by columns that can be written")],
)
def test_a_record_that_cannot_get_the_key_of_its_row_is_not_created(here: World, key: str, said: str) -> None:
    """The next run would not find it by the key and would create it again; a record that has the key is updated."""
    seeded(here, [row("1", "Old")])
    value = here.records(f"accounts?$select={key}")[0][key]
    definition = accounts(sync_behaviour={"sync_key": [key]})
    definition["destination"]["mappings"] = [
        {"source": "number", "target": key},
        {"source": "name", "target": "name"},
    ]
    definition["source"]["columns"][0] |= {"type": "date"} if key == "createdon" else {}
    here.define(definition)
    other = str(uuid4()) if key == "accountid" else "2024-01-31T10:00:00Z"
    here.csv([row(value, "New"), row(other, "Nobody")])
    for _ in range(2):
        done = here.run()
        assert (done.created.done, done.source.rejected) == (0, 1)
        assert [(error.error_type, error.column, error.rows) for error in done.errors] == [
            ("Key Not Written", key, (2,))
        ]
        assert said in done.errors[0].message
    assert [(record[key], record["name"]) for record in here.records("accounts")] == [(value, "New")]


@pytest.mark.parametrize("value", _NASTY)
def test_parameter_in_an_expression_stays_one_value(here: World, value: str) -> None:
    """A parameter in SQL is a bound value and never a part of the SQL text."""
    definition = accounts(parameters={"tag": {"default": ""}})
    definition["destination"]["mappings"][1] = {"value": "concat(name, '@tag', @tag)", "target": "name"}
    definition["source"]["filter"] = "city = @tag"
    here.define(definition)
    here.csv([row("1", "N", value), row("2", "N", "other")])
    done = here.run(parameters={"tag": value})
    assert {number: record["name"] for number, record in held(here).items()} == {"1": f"N@tag{value}"}
    assert done.source.filtered == 1


def test_gzip_and_plain_files_of_a_glob_are_one_source(here: World) -> None:
    """The files of a pattern are read in the order of their names, compressed or not; row numbers continue."""
    parts = here.folder / "parts"
    parts.mkdir(exist_ok=True)
    (parts / "a.csv").write_text("number,name,city,revenue\n1,One,,\n2,Two,,\n", "utf-8")
    with gzip.open(parts / "b.csv.gz", "wt", encoding="utf-8") as file:
        file.write("city,revenue,name,number\r\nx,5,Three,3\r\ny,6,Eins,1\r\n")
    here.define(accounts())
    done = here.run(parameters={"file_path": str(parts / "*.csv*")})
    assert {number: record["name"] for number, record in held(here).items()} == {"1": "One", "2": "Two", "3": "Three"}
    assert [(error.error_type, error.rows) for error in done.errors] == [("Duplicate Key", (4,))]


def test_target_of_many_pages_is_read_to_its_end(here: World) -> None:
    """The record after the last full page is compared like the first."""
    here.define(accounts(sync_behaviour={"dropped": "delete"}))
    here.csv([row(f"N{number}", "x") for number in range(10_001)])
    assert here.run().created.done == 10_001
    here.csv([row(f"N{number}", "x") for number in range(10_000)] + [row("N10000", "last")])
    done = here.run()
    assert (done.target.processed, done.unchanged, done.updated.done, done.deleted.done) == (10_001, 10_000, 1, 0)


def test_too_many_errors_stop_the_run(here: World) -> None:
    """After `max_errors` refusals no more is sent; written changes stay, and the rest is reported as skipped."""
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": "name eq 'bad'"}, "message": "No."})
    here.define(accounts(sync_behaviour={"safety": {"max_errors": 10}}))
    here.csv([row(f"{number}", "bad" if number % 2 else "good") for number in range(3000)])
    done = here.run()
    here.emulator.clear_faults()
    assert done.state is RunState.FAILED
    assert not done.completed
    assert done.skipped > 0
    assert done.failed > 10
    assert len(held(here)) == done.created.done


# -- The command line, as a process of its own --------------------------------------------------------------------------


def environment(here: World, **changes: str) -> dict[str, str]:
    return {
        **os.environ,
        **here.environment,
        "SYNC_DEFINITIONS": str(here.folder / "syncs"),
        "STATE_STORE": f"sqlite:///{here.folder / 'state.db'}",
        **changes,
    }


_PROGRAM: Final = [sys.executable, "-c", "from shared.cli import main; main()"]


def command(here: World, *words: str | Path) -> tuple[int, dict[str, Any]]:
    """Run a command to its end, in this process: its exit code and its JSON."""
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, environment(here)), redirect_stdout(out), redirect_stderr(err):
        code = run([*map(str, words), "--json"])
    assert "Traceback" not in err.getvalue()
    value: dict[str, Any] = json.loads(out.getvalue())
    return code, value


@contextmanager
def started(here: World, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command that runs; it is ended when the block ends."""
    with subprocess.Popen(
        [*_PROGRAM, *words], env=environment(here), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_approved_plan_is_applied_or_nothing_is(here: World, tmp_path: Path) -> None:
    """A saved plan is applied with its parameters; after a change of source or target it is refused."""
    here.define(accounts())
    other = here.csv([row("1", "One"), row("2", "Two")], "other.csv")
    file = tmp_path / "deep" / "accounts.plan"
    saved = command(here, "plan", "accounts", "-p", f"file_path={other}", "--out", file, "--detailed-exit-code")
    assert (saved[0], saved[1]["planned"]["created"]) == (4, 2)

    here.csv([row("1", "Uno"), row("2", "Two")], "other.csv")
    code, refused = command(here, "run", "accounts", "--plan", file)
    assert (code, held(here)) == (1, {})
    assert "changed since the plan was made" in refused["error"]["message"]

    here.csv([row("1", "One"), row("2", "Two")], "other.csv")
    code, done = command(here, "run", "accounts", "--plan", file)
    assert (code, done["created"]) == (0, {"done": 2, "planned": 2})

    code, refused = command(here, "run", "accounts", "--plan", file)
    assert code == 1
    assert f"applied already, by run {done['run_id']}" in refused["error"]["message"]


def test_approved_plan_stands_for_the_records_that_its_lookups_create(here: World, tmp_path: Path) -> None:
    """The change itself has only the id of such a record, which is made of its key."""
    lookup = {"entity": "account", "match": "accountnumber", "on_missing": "create", "create": {"name": "name"}}
    definition = accounts(sync_behaviour={"sync_key": ["emailaddress1"]})
    definition["destination"] |= {
        "entity": "contact",
        "id_column": "contactid",
        "mappings": [
            {"source": "city", "target": "emailaddress1"},
            {"source": "number", "target": "parentcustomerid", "lookup": lookup},
        ],
    }
    here.define(definition)
    here.csv([row("1001", "Approved Ltd", "a@example.com")])
    file = tmp_path / "contacts.plan"
    assert command(here, "plan", "accounts", "--out", file)[1]["planned"]["created_references"] == 1

    here.csv([row("1001", "Other Inc", "a@example.com")])
    code, refused = command(here, "run", "accounts", "--plan", file)
    assert (code, held(here)) == (1, {})
    assert "changed since the plan was made" in refused["error"]["message"]

    here.csv([row("1001", "Approved Ltd", "a@example.com")])
    assert command(here, "run", "accounts", "--plan", file)[0] == 0
    assert [account["name"] for account in held(here).values()] == ["Approved Ltd"]


def test_saved_plan_of_changes_is_applied_once(here: World, tmp_path: Path) -> None:
    """If the changes do not depend on the target, a second run of the plan, or of a copy, would write them again."""
    mappings = [{"source": "number", "target": "telephone1"}, {"source": "name", "target": "name"}]
    definition = accounts(sync_behaviour={"strategy": "delta", "sync_key": ["telephone1"]})
    definition["destination"]["mappings"] = mappings
    here.define(definition)
    here.csv([row("1", "One"), row("2", "Two")])
    file = tmp_path / "accounts.plan"
    command(here, "plan", "accounts", "--out", file)
    copy = tmp_path / "copy.plan"
    copy.write_bytes(file.read_bytes())
    code, done = command(here, "run", "accounts", "--plan", file)
    assert (code, done["created"]["done"]) == (0, 2)
    for again in (file, copy):
        code, refused = command(here, "run", "accounts", "--plan", again)
        assert code == 1
        assert f"applied already, by run {done['run_id']}" in refused["error"]["message"]
    assert len(here.records("accounts?$select=name")) == 2
    _, log = command(here, "runs", "accounts")
    assert [run["state"] for run in log["runs"][:3]] == ["Refused", "Refused", "Succeeded"]

    command(here, "plan", "accounts", "--out", file)
    assert command(here, "run", "accounts", "--plan", file)[0] == 0
    assert len(here.records("accounts?$select=name")) == 4


def test_kept_workspace_opens_with_any_client(here: World, tmp_path: Path) -> None:
    """The tables of a run stay in the file and show the result of each row."""
    here.define(accounts())
    here.csv([row("1", "One", "", 5), row("2", "Two", "", "many"), row("1", "Again")])
    kept = tmp_path / "kept.duckdb"
    assert command(here, "run", "accounts", "--keep-workspace", kept)[0] == 2
    with duckdb.connect(str(kept), read_only=True) as database:
        found = database.sql("""
            SELECT s._row, d.action::VARCHAR, o.result, e.error
            FROM source_raw s LEFT JOIN decisions d USING (_row) LEFT JOIN changes c USING (_row)
            LEFT JOIN outcomes o USING (_change) LEFT JOIN source_errors e USING (_row) ORDER BY 1""").fetchall()
        assert database.sql("SELECT * FROM source_counts").fetchall() == [(3, 1, 2, 0)]
        assert database.sql("SELECT name, revenue FROM source ORDER BY _row").fetchall() == [
            ("One", 5),
            ("Again", None),
        ]
    assert found == [
        (1, "insert", "applied", None),
        (2, None, None, "Invalid Format Exception"),
        (3, None, None, "Duplicate Key"),
    ]


@pytest.mark.parametrize(
    "behaviour",
    [
        {"dropped": "delete", "changed": _CONDITION},
        {"dropped": {"expire": "new_expiredon"}, "key_match": "accent_sensitive"},
        {"strategy": "upsert"},
        {"strategy": "delta", "action_column": "action"},
    ],
    ids=str,
)
def test_explained_steps_run_in_any_duckdb(here: World, behaviour: dict[str, Any]) -> None:
    """The output of `explain` is SQL that runs in its order, over a loaded source."""
    definition = acting(
        sync_behaviour={"sync_key": ["accountnumber"], **behaviour}, parameters={"tag": {"default": "it's"}}
    )
    definition["source"]["columns"].append({"name": "tagged", "formula": "concat(name, @tag)"})
    here.define(definition)
    code, explained = command(here, "explain", "accounts")
    assert code == 0
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        names = ("number", "name", "city", "revenue", "action")
        database.execute(f"CREATE TABLE source_raw (_row BIGINT, {', '.join(f'{name} VARCHAR' for name in names)})")
        database.execute("INSERT INTO source_raw VALUES (1, '1', 'One', 'x', '5', 'INSERT')")
        for step in explained["steps"]:
            assert len(database.extract_statements(step["sql"])) == 1, step
            database.execute(step["sql"])
        assert database.sql("SELECT count(*) FROM changes").fetchall() == [(1,)]


def test_the_user_of_the_writes_is_known_when_the_run_has_its_parameter(here: World) -> None:
    """Without a value, `validate` cannot say more; one that is no id is refused, by `validate` and by the run."""
    definition = accounts()
    definition["destination"]["options"] = {"run_as": "@who"}
    definition["parameters"]["who"] = {}
    here.define(definition)
    assert here.app.validate(["accounts"]) == []
    assert here.app.warnings(["accounts"]) == ()
    definition["parameters"]["who"] = {"default": "Maria"}
    here.define(definition)
    (problem,) = here.app.validate(["accounts"])
    assert (problem.path, "not an object id" in problem.message) == ("destination.options.run_as", True)
    with pytest.raises(DefinitionError, match="not an object id"):
        here.run()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[World]:
    """A world in which one of the first writes takes seconds, while others go on."""
    with world(tmp_path, latency_ms=20) as made:
        made.emulator.faults({"action": "delay", "match": {"method": "POST", "path": "accounts"}, "seconds": 10})
        made.define(accounts())
        made.csv([row(f"A{number}", "x" * 50) for number in range(3000)])
        yield made


def until_written(here: World, process: subprocess.Popen[str]) -> None:
    """Wait until the run has written something; this can take long on a slow machine."""
    while not here.emulator.stats()["rows"].get("create") and process.poll() is None:
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()


@pytest.mark.timeout(600)
def test_a_second_run_of_a_sync_is_refused_while_the_first_runs(slow: World) -> None:
    """The second reports the lease and writes nothing; the first is not affected."""
    with started(slow, "run", "accounts", "--json") as first:
        until_written(slow, first)
        first.send_signal(signal.SIGSTOP)  # it cannot end while the second one starts; its lease lasts a minute
        code, refused = command(slow, "run", "accounts")
        first.send_signal(signal.SIGCONT)
        assert (code, "already running" in refused["error"]["message"]) == (1, True)
        out, _ = first.communicate(timeout=300)
    assert (first.returncode, json.loads(out)["created"]["done"]) == (0, 3000)
    assert len(slow.records("accounts?$select=name")) == 3000


@pytest.mark.timeout(600)
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_run_is_reported_and_can_be_run_again(slow: World, asked: signal.Signals) -> None:
    """It reports what it waits for and ends with summary and exit code; the log has Cancelled, the lease is free."""
    with started(slow, "run", "accounts") as run:
        until_written(slow, run)
        run.send_signal(asked)
        out, err = run.communicate(timeout=300)
    assert run.returncode == 130, (out, err)
    assert err.startswith("Stopping: no further request is sent.")
    assert out.startswith("Data sync cancelled: stopped before the end (cancelled): ")
    assert "Next: dynamics-sync run accounts" in out
    assert slow.emulator.stats()["in_flight"]["now"] == 0  # what was sent is settled: the next run sees it
    assert slow.app.state.runs("accounts")[0].state == "Cancelled"
    done = slow.run()
    assert done.unchanged + done.created.done == len(slow.records("accounts?$select=name")) == 3000


@pytest.mark.timeout(600)
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_twice_to_stop_does_not_wait_for_requests(slow: World, asked: signal.Signals) -> None:
    """It ends while one is under way. Until its lease has ended no other run begins beside this request."""
    slow.emulator.faults({"action": "delay", "match": {"method": "POST", "path": "accounts"}, "seconds": 60})
    with started(slow, "run", "accounts") as run:
        until_written(slow, run)
        run.send_signal(asked)
        assert run.stderr is not None
        assert run.stderr.readline().startswith("Stopping: no further request is sent.")
        run.send_signal(asked)
        _, err = run.communicate(timeout=300)
    assert slow.emulator.stats()["in_flight"]["now"] > 0
    assert run.returncode == 130
    assert "Stopping without waiting: requests that are under way may still have an effect" in err
    record = slow.app.state.runs("accounts")[0]
    assert (record.state, "without waiting" in record.message) == ("Cancelled", True)
    with pytest.raises(UserError, match="already running"):
        slow.run()


@pytest.mark.timeout(600)
def test_a_killed_run_can_be_run_again(slow: World) -> None:
    """After kill -9 the lease expires, and the next run writes the rest: nothing is lost or duplicated."""
    with started(slow, "run", "accounts") as run:
        until_written(slow, run)
        run.kill()
        run.communicate(timeout=300)
    while slow.emulator.stats()["in_flight"]["now"]:  # what the server was at when the client died
        time.sleep(0.05)
    with pytest.raises(UserError, match="already running"):
        slow.run()
    in_a_minute = replace(Machine.this(), seconds=lambda: since_boot() + 61)
    later = SqliteStateStore(slow.folder / "state.db", machine=in_a_minute)
    done = replace(slow, parts={"state": later}).run()
    records = slow.records("accounts?$select=accountnumber")
    assert done.state is RunState.SUCCEEDED
    assert done.unchanged > 0
    assert len(records) == len({record["accountnumber"] for record in records}) == 3000


@pytest.mark.timeout(600)
def test_the_next_run_can_read_the_ledger_of_a_killed_run(slow: World) -> None:
    """After kill -9 during writes: created records belong to the sync, and written values are no edits."""
    rules = {"dropped": "deactivate", "dropped_scope": "own", "returned": "reactivate"}
    definition = accounts(sync_behaviour={**rules, "safety": {**_LIMITLESS, "allow_empty_source": True}})
    definition["destination"]["mappings"][1]["write"] = "unless_edited"
    slow.define(definition)
    with started(slow, "run", "accounts") as run:
        until_written(slow, run)
        run.kill()
        run.communicate(timeout=300)
    while slow.emulator.stats()["in_flight"]["now"]:
        time.sleep(0.05)
    killed = len(slow.records("accounts?$select=accountnumber"))
    in_a_minute = replace(Machine.this(), seconds=lambda: since_boot() + 61)
    slow.app.__dict__["state"] = SqliteStateStore(slow.folder / "state.db", machine=in_a_minute)
    slow.csv([row(f"A{number}", "y" * 50) for number in range(1000, 3000)])
    done = slow.run()
    assert (done.state, done.errors) == (RunState.SUCCEEDED, ())
    assert done.updated.done + done.deactivated.done == killed
    records = slow.records("accounts?$select=accountnumber,name,statecode")
    assert len(records) == len({record["accountnumber"] for record in records})
    assert {record["name"][0] for record in records if record["statecode"] == 0} == {"y"}
    assert len([record for record in records if record["statecode"] == 0]) == 2000
    slow.csv([row(f"A{number}", "z" * 50) for number in range(3000)])
    again = slow.run()
    assert (again.reactivated.done, again.errors) == (done.deactivated.done, ())
    assert {record["statecode"] for record in slow.records("accounts?$select=statecode")} == {0}
    assert slow.plan().plan.counts.changes == 0


@pytest.mark.parametrize(
    ("source", "filtered", "said"),
    [
        ({"text_qualifier": ","}, "", "accounts.yaml:"),
        ({"encoding": "base64"}, "", "unknown encoding"),
        ({"encoding": "utf-16"}, "", "is not utf-16"),
        ({"path": ""}, "", "empty"),
        ({}, "name eq 'x'&$top=1", "destination.filter: "),
        ({}, "name eq", "destination.filter: "),
    ],
    ids=str,
)
def test_an_unreadable_source_is_reported_in_one_sentence(
    here: World, source: dict[str, Any], filtered: str, said: str
) -> None:
    """A mistake that only a run can find has its place in the message, exit code 1, and nothing is written."""
    definition = accounts(source=source)
    if filtered:
        definition["destination"]["filter"] = filtered
    here.define(definition)
    here.csv([row("1", "One")])
    code, answer = command(here, "run", "accounts")
    assert code == 1
    assert said in answer["error"]["message"]
    assert "unexpected error" not in answer["error"]["message"]
    assert here.emulator.stats()["rows"].get("create", 0) == 0


def test_a_full_disk_of_standard_output_is_reported_on_standard_error(here: World) -> None:
    """A result that cannot be printed gives no traceback."""
    here.define(accounts())
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*_PROGRAM, "validate", "--offline", "--json"],
            env=environment(here),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(("column", "values"), [("statecode", ("0", "1")), ("statuscode", ("1", "2"))])
def test_a_record_whose_state_the_filter_would_hide_is_not_created(
    here: World, column: str, values: tuple[str, str]
) -> None:
    """The state of a new record is set by a second request, and the next run would create the record again."""
    definition = accounts(destination={"filter": "statecode eq 0"}, sync_behaviour={"safety": _LIMITLESS})
    definition["destination"]["mappings"].append({"source": "city", "target": column, "on_null": "keep"})
    here.define(definition)
    here.csv([row("1", "Open", values[0]), row("2", "Closed", values[1]), row("3", "Neither")])
    done = here.run()
    assert (done.created.done, done.source.rejected) == (2, 1)
    assert [(error.error_type, error.rows) for error in done.errors] == [("Outside Filter", (2,))]
    assert here.run().created.planned == 0


def test_a_row_on_which_the_condition_fails_is_rejected(here: World) -> None:
    """The other rows are synced, and its record is neither changed nor dropped."""
    here.define(
        accounts(
            sync_behaviour={
                "changed": {"when": "CAST(source.city AS INTEGER) > 5"},
                "dropped": "delete",
                "safety": _LIMITLESS,
            }
        )
    )
    here.csv([row(number, "old", "7") for number in "1234"])
    here.run()
    here.csv([row("1", "new", "7"), row("2", "new", "Rome"), row("3", "new", "4")])
    done = here.run()
    assert [(error.error_type, error.column, error.rows) for error in done.errors] == [
        ("Invalid Format Exception", "changed.when", (2,))
    ]
    assert (done.updated.done, done.deleted.done, done.source.rejected) == (1, 1, 1)
    assert {number: record["name"] for number, record in held(here).items()} == {"1": "new", "2": "old", "3": "old"}


def test_a_mark_whose_expression_fails_keeps_no_other_record_from_its_mark(here: World) -> None:
    """The record keeps what it has, and is reported."""
    dropped = {"set": {"description": "CAST(target.name AS INTEGER)"}}
    here.define(accounts(sync_behaviour={"dropped": dropped, "safety": _LIMITLESS}))
    here.csv([row("1", "7"), row("2", "two"), row("3", "3")])
    here.run()
    here.csv([row("3", "3")])
    done = here.run()
    assert (done.marked.done, [error.column for error in done.errors]) == (1, ["description"])


def test_an_expression_over_a_record_that_cannot_run_is_found_before_a_run(here: World) -> None:
    """The types of the record's columns are in the metadata."""
    here.define(accounts(sync_behaviour={"changed": {"when": "target.name > 5"}}))
    with pytest.raises(DefinitionError, match=r"sync_behaviour\.changed\.when: text is compared with a number"):
        here.run()


@pytest.mark.parametrize("changed", ["update", "ignore"])
def test_a_returning_record_stays_within_the_filter(here: World, changed: str) -> None:
    """It would be created a second time when its row fits again."""
    here.define(
        accounts(
            destination={"filter": "address1_city ne 'Rome' and statecode ne 7"},
            sync_behaviour={
                "dropped": "deactivate",
                "returned": "reactivate",
                "changed": changed,
                "safety": _LIMITLESS,
            },
        )
    )
    here.csv([row("1", "Here", "Bern"), row("2", "Gone", "Bern")])
    here.run()
    here.csv([row("1", "Here", "Bern")])
    assert here.run().deactivated.done == 1
    here.csv([row("1", "Here", "Bern"), row("2", "Gone", "Rome")])
    done = here.run()
    rejected = [("Outside Filter", (2,))] if changed == "update" else []
    assert [(error.error_type, error.rows) for error in done.errors] == rejected
    assert (done.reactivated.done, held(here)["2"]["address1_city"]) == (1 - len(rejected), "Bern")
    here.csv([row("1", "Here", "Bern"), row("2", "Gone", "Ulm")])
    done = here.run()
    assert (done.created.planned, len(held(here))) == (0, 2)
