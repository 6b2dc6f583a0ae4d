"""A sync that reads only changes since the last run misses no row, whatever happens to a run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.app.requested import answered
from shared.cli.boundary import run as command
from shared.errors import DefinitionError, StalePlanError, UserError
from shared.jobs import ApprovedPlan, NoProgress, Phase, RunState
from shared.state import JobKind, JobRequest
from shared.state.machine import Machine, since_boot
from shared.state.sqlite import SqliteStateStore
from shared.views.plan_files import PlanFile
from tests.acceptance.test_behaviours import started
from tests.acceptance.watermarked import (
    COLUMNS,
    FULL,
    SCHEMA,
    UPSERT,
    Rows,
    Source,
    api_source,
    define,
    dynamics_source,
    fetched_source,
    held,
    postgresql_source,
    sqlite_source,
)
from tests.acceptance.world import World, world
from tests.postgresql.fixtures import Database

DATABASES = ["sqlite", "postgresql"]
KINDS = [*DATABASES, "dynamics", "rest"]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("watermarks"), schema=[str(SCHEMA)]) as made:
        yield made


@pytest.fixture
def here(shared_world: World, tmp_path: Path) -> World:
    shared_world.emulator.reset()
    shared_world.emulator.clear_faults()
    made = World(folder=tmp_path, emulator=shared_world.emulator, environment=dict(shared_world.environment))
    (tmp_path / "syncs").mkdir()
    return made


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, here: World, tmp_path: Path) -> Iterator[Source]:
    match request.param:
        case "dynamics":
            yield dynamics_source(here)
        case "fetch_xml":
            yield fetched_source(here)
        case "rest":
            with api_source(Rows()) as (found, _):
                yield found
        case _:
            yield made_database(request, tmp_path)


@pytest.fixture(params=DATABASES)
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """A source that is a database."""
    return made_database(request, tmp_path)


def made_database(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    if request.param == "postgresql":
        found = postgresql_source(request.getfixturevalue("database"))
    else:
        found = sqlite_source(tmp_path / "erp.db")
    found.run(f"CREATE TABLE customers ({COLUMNS})")
    return found


def processed(here: World, **options: Any) -> int:
    """How many rows a run reads."""
    return here.run(**options).source.processed


@pytest.mark.parametrize("source", [*KINDS, "fetch_xml"], indirect=True)
@pytest.mark.parametrize("behaviour", [UPSERT, FULL], ids=["upsert", "full"])
def test_a_run_reads_the_changes_since_the_last_one(here: World, source: Source, behaviour: dict[str, Any]) -> None:
    """The first run reads all rows, the next ones those from the last value on; nothing is dropped."""
    define(here, source, behaviour=behaviour)
    assert here.app.validate() == []
    source.put(("1", "One", "2024-01-01 10:00:00"), ("2", "Two", "2024-01-01 11:00:00"))
    assert processed(here) == 2
    assert here.app.watermark("accounts") == "2024-01-01 11:00:00"
    source.put(("1", "Uno", "2024-01-01 12:00:00"), ("3", "Three", "2024-01-01 13:00:00"))
    assert processed(here) == 3  # the row at the boundary is read again
    assert held(here) == {"1": "Uno", "2": "Two", "3": "Three"}
    assert processed(here) == 1
    assert here.app.watermark("accounts") == "2024-01-01 13:00:00"


@pytest.mark.parametrize("source", [*KINDS, "fetch_xml"], indirect=True)
def test_ties_late_rows_and_rows_without_a_value_are_not_lost(here: World, source: Source) -> None:
    """A row with the same value, one within the overlap, and one without a value are read by the next run."""
    define(here, source, watermark={"overlap": "5m"})
    source.put(("1", "One", "2024-01-01 10:00:00"))
    here.run()
    source.put(("2", "Tie", "2024-01-01 10:00:00"), ("3", "Late", "2024-01-01 09:55:00"), ("4", "Null", None))
    source.put(("5", "Too late", "2024-01-01 09:54:59"))
    assert processed(here) == 4
    assert held(here) == {"1": "One", "2": "Tie", "3": "Late", "4": "Null"}
    assert here.app.watermark("accounts") == "2024-01-01 10:00:00"


def test_the_watermark_is_a_value_of_the_source_and_not_of_a_clock(here: World, source: Source) -> None:
    """A source whose clock is years too early or too late is read from its own last value on."""
    define(here, source)
    source.put(("1", "Past", "1999-01-01 00:00:00"))
    here.run()
    assert here.app.watermark("accounts") == "1999-01-01 00:00:00"
    source.put(("2", "Future", "2999-01-01 00:00:00"))
    here.run()
    source.put(("3", "Future", "2999-01-01 00:00:01"))
    here.run()
    assert set(held(here)) == {"1", "2", "3"}


@pytest.mark.parametrize("behaviour", [UPSERT, FULL], ids=["upsert", "full"])
def test_a_refused_row_stops_the_watermark(here: World, source: Source, behaviour: dict[str, Any]) -> None:
    """It is read again until Dataverse accepts it; the rows before it are not."""
    define(here, source, behaviour=behaviour)
    source.put(*((str(n), "bad" if n == 5 else "good", f"2024-01-{n:02} 00:00:00") for n in range(1, 10)))
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": "name eq 'bad'"}, "message": "No."})
    done = here.run()
    assert (done.state, done.failed) == (RunState.COMPLETED_WITH_ERRORS, 1)
    assert here.app.watermark("accounts") == "2024-01-05 00:00:00"
    assert processed(here) == 5
    here.emulator.clear_faults()
    here.run()
    assert here.app.watermark("accounts") == "2024-01-09 00:00:00"
    assert len(held(here)) == 9


def test_a_rejected_row_does_not_stop_the_watermark(here: World, source: Source) -> None:
    """It is in the run's log, and it is read again when it changes."""
    define(
        here,
        source,
        columns=[{"name": "number"}, {"name": "name", "max_length": 5, "validate": True}, source.changed],
    )
    source.put(("1", "One", "2024-01-01 00:00:00"), ("2", "Too long", "2024-01-02 00:00:00"))
    done = here.run()
    assert (done.source.rejected, here.app.watermark("accounts")) == (1, "2024-01-02 00:00:00")
    assert here.app.state.errors(done.run_id)
    source.put(("2", "Two", "2024-01-03 00:00:00"))
    here.run()
    assert held(here) == {"1": "One", "2": "Two"}


@pytest.mark.parametrize("behaviour", [UPSERT, FULL], ids=["upsert", "full"])
@pytest.mark.parametrize("parent", [None, ("P", "nobody", "2024-01-02 00:00:00")], ids=["missing", "rejected"])
def test_a_row_that_waits_for_its_parent_stops_the_watermark(
    here: World, table: Source, behaviour: dict[str, Any], parent: tuple[str, str, str] | None
) -> None:
    """It does not change when the parent comes, or when the parent's row is corrected."""
    columns = [{"name": "number"}, {"name": "name"}, table.changed]
    definition = define(here, table, behaviour=behaviour, columns=columns)
    definition["destination"]["mappings"][1] = {
        "source": "name", "target": "parentaccountid", "lookup": {"match": "accountnumber"},
    }  # fmt: skip
    here.define(definition)
    table.put(("C", "P", "2024-01-01 00:00:00"), *([parent] if parent else []), ("Z", "", "2024-01-03 00:00:00"))
    done = here.run()
    assert (done.source.rejected, here.app.watermark("accounts")) == (2 if parent else 1, "2024-01-01 00:00:00")
    table.put(("P", "", "2024-01-04 00:00:00"))
    here.run()
    records = here.records("accounts?$select=accountnumber,_parentaccountid_value")
    parents = {each["accountnumber"]: each["_parentaccountid_value"] for each in records}
    assert {number: found is not None for number, found in parents.items()} == {"C": True, "P": False, "Z": False}
    assert here.app.watermark("accounts") == "2024-01-04 00:00:00"


def test_a_run_that_stops_early_leaves_the_rest_to_the_next_one(here: World, source: Source) -> None:
    """What was skipped is read again."""
    define(here, source, behaviour={**UPSERT, "safety": {"max_errors": 1}})
    source.put(*((f"{n:03}", "bad" if n > 3 else "good", f"2024-01-01 00:00:{n:02}") for n in range(1, 40)))
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": "name eq 'bad'"}, "message": "No."})
    done = here.run()
    assert done.failed + done.skipped > 1
    assert (here.app.watermark("accounts") or "") <= "2024-01-01 00:00:04"
    here.emulator.clear_faults()
    assert here.run().state is RunState.SUCCEEDED
    assert len(held(here)) == 39


class Dying:
    """Ends the run as a killed process does, when a phase begins."""

    def __init__(self, at: Phase) -> None:
        self._at = at

    def phase(self, phase: Phase, total: int | None = None) -> None:
        if phase is self._at:
            raise KilledError

    def advance(self, rows: int) -> None:
        pass

    def throttled(self, requests: int, until: datetime) -> None:
        pass


class KilledError(BaseException):
    pass


@pytest.mark.parametrize("at", [Phase.LOAD, Phase.FINISH])
def test_a_run_that_dies_does_not_move_the_watermark(here: World, source: Source, at: Phase) -> None:
    """Also after its last write: the rows are read again, and none is duplicated."""
    define(here, source)
    source.put(("1", "One", "2024-01-01 00:00:00"))
    here.run()
    source.put(("2", "Two", "2024-01-02 00:00:00"))
    with pytest.raises(KilledError):
        here.run(progress=Dying(at))
    assert here.app.watermark("accounts") == "2024-01-01 00:00:00"
    assert processed(here) == 2
    assert held(here) == {"1": "One", "2": "Two"}
    assert here.app.watermark("accounts") == "2024-01-02 00:00:00"


def test_a_plan_reads_from_the_watermark_and_does_not_move_it(here: World, source: Source) -> None:
    """A saved plan is applied from its own watermark, also if the watermark has moved since."""
    define(here, source)
    source.put(("1", "One", "2024-01-01 00:00:00"))
    first = here.plan()
    assert (first.source.processed, first.watermark, here.app.watermark("accounts")) == (1, "", None)
    here.run()
    source.put(("2", "Two", "2024-01-02 00:00:00"))
    plan = here.plan()
    assert (plan.source.processed, here.app.watermark("accounts")) == (2, "2024-01-01 00:00:00")
    saved = PlanFile.of(json.loads(json.dumps(plan.to_json())), {}, {})
    here.app.set_watermark("accounts", "2024-01-02 00:00:00")
    done = here.run(approved=ApprovedPlan(checksum=saved.checksum, id=saved.id, watermark=saved.watermark))
    assert (done.source.processed, done.upserted.done) == (2, 2)
    source.put(("3", "Three", "2024-01-03 00:00:00"))
    with pytest.raises(StalePlanError):
        here.run(approved=ApprovedPlan(checksum=saved.checksum, watermark=saved.watermark))


@pytest.mark.parametrize(
    "change", [{"table": "others"}, {"filter": "number <> '9'"}, {"watermark": {"column": "name"}}]
)
def test_another_source_or_column_starts_without_a_watermark(
    here: World, table: Source, change: dict[str, Any]
) -> None:
    """The old value does not apply to it; the run reports this, and the next one continues."""
    table.run(f"CREATE TABLE others ({COLUMNS})")
    table.run("INSERT INTO others VALUES ('1', 'One', '2020-01-01 00:00:00')")
    define(here, table)
    table.put(("1", "One", "2024-01-01 00:00:00"), ("2", "Two", "2024-01-02 00:00:00"))
    here.run()
    define(here, table, **change)
    done = here.run()
    assert "is of another source, column, type, environment, table or parameter, so all rows were read" in done.message
    assert done.source.processed == (1 if "table" in change else 2)
    assert here.run().message == ""


def narrowed(source: Source) -> dict[str, Any]:
    """The keys of a source that reads only one name, which a parameter has."""
    if source.keys["type"] == "sql":
        return {"filter": "name = @part"}
    if source.keys["type"] == "rest":
        return {"url": f"{source.keys['url']}&name=@part"}
    return {"filter": "name eq @part"}


@pytest.mark.parametrize("behaviour", [UPSERT, FULL], ids=["upsert", "full"])
def test_each_value_of_a_parameter_has_its_own_watermark(
    here: World, source: Source, behaviour: dict[str, Any]
) -> None:
    """Rows that one value leaves out are read with another one, also the older ones; each goes on where it was."""
    define(here, source, behaviour=behaviour, **narrowed(source))
    source.put(("1", "DE", "2024-01-03 00:00:00"), ("2", "FR", "2024-01-01 00:00:00"))
    source.put(("3", "FR", "2024-01-02 00:00:00"))
    german, french = {"part": "DE"}, {"part": "FR"}
    here.run(parameters=german)
    done = here.run(parameters=french)
    assert held(here) == {"1": "DE", "2": "FR", "3": "FR"}
    assert "parameter, so all rows were read" in done.message
    found = [here.app.watermark("accounts", each) for each in (german, french, {"part": "IT"})]
    assert found == ["2024-01-03 00:00:00", "2024-01-02 00:00:00", None]
    again = [here.run(parameters=each) for each in (german, french)]
    assert ([each.message for each in again], [each.source.verified for each in again]) == (["", ""], [1, 1])


def test_a_value_that_is_new_in_each_run_keeps_the_watermark(here: World, table: Source) -> None:
    """A run that reads what is due by now continues the one before it."""
    define(here, table, filter="changed_at <= @today")
    table.put(("1", "One", "2024-01-01 00:00:00"), ("2", "Two", "2024-01-02 00:00:00"))
    assert processed(here) == 2
    done = here.run()
    assert (done.source.processed, done.message) == (1, "")


def test_a_plan_with_such_a_value_reads_what_the_run_of_it_reads(
    here: World, table: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the command and the console make it: with the values of all parameters, which the run of the plan gets."""
    define(here, table, filter="changed_at <= @today")
    table.put(("1", "One", "2024-01-01 00:00:00"), ("2", "Two", "2024-01-02 00:00:00"))
    here.run()
    table.put(("3", "Three", "2024-01-03 00:00:00"))
    file = tmp_path / "plan.json"
    job = JobRequest(id="a" * 32, sync="accounts", requested=datetime.now(UTC), kind=JobKind.PLAN)
    assert answered(here.app, job, NoProgress())["planned"]["source"]["processed"] == 2
    for arguments in (["plan", "accounts", "--out", str(file)], ["run", "accounts", "--plan", str(file)]):
        assert command([*arguments, "--json"], open_app=lambda: here.app) == 0
        done = json.loads(capsys.readouterr().out)
        assert done.get("planned", done)["source"]["processed"] == 2


def test_another_table_is_written_whole(here: World, table: Source) -> None:
    """What was written to one table is not in the other; back at the first one, a run goes on there."""
    define(here, table)
    table.put(("1", "One", "2024-01-01 00:00:00"), ("2", "Two", "2024-01-02 00:00:00"))
    here.run()
    first = yaml.safe_load((here.folder / "syncs" / "accounts.yaml").read_text("utf-8"))
    other = {
        "entity": "contact",
        "id_column": "contactid",
        "mappings": [
            {"source": "number", "target": "externaluseridentifier"},
            {"source": "name", "target": "lastname"},
        ],
    }
    behaviour = {"sync_key": ["externaluseridentifier"], "strategy": "upsert"}
    here.define(first | {"destination": first["destination"] | other, "sync_behaviour": behaviour})
    assert processed(here) == 2
    assert [each["lastname"] for each in here.records("contacts?$select=lastname")] == ["One", "Two"]
    here.define(first)
    assert processed(here) == 1


def test_a_watermark_of_an_older_version_is_not_used(here: World, table: Source) -> None:
    """It does not say which environment it is of: all rows are read once, and the run says so."""
    define(here, table)
    table.put(("1", "One", "2024-01-01 00:00:00"), ("2", "Two", "2024-01-02 00:00:00"))
    mark = json.dumps({"value": "2024-01-02 00:00:00", "scale": "time", "identity": "0" * 32})
    here.app.state.set_watermark("accounts", mark, fence=0)
    done = here.run()
    assert (done.source.processed, "so all rows were read" in done.message) == (2, True)
    assert processed(here) == 1


def test_other_columns_of_a_definition_keep_the_watermark(here: World, source: Source) -> None:
    """Only source and position matter, not types and mappings."""
    define(here, source)
    source.put(("1", "One", "2024-01-01 00:00:00"), ("2", "Two", "2024-01-02 00:00:00"))
    here.run()
    define(here, source, null_values=["x"], columns=[{"name": "number"}, {"name": "name"}, source.changed])
    assert processed(here) == 1


def test_a_user_sets_and_resets_the_watermark(here: World, source: Source) -> None:
    """The next run starts there; what a run would refuse is refused, and changes nothing."""
    define(here, source, watermark={"overlap": "1m"})
    source.put(("1", "One", "2024-01-01 00:00:00"), ("2", "Two", "2024-01-02 00:00:00"))
    here.app.set_watermark("accounts", "2024-01-02 00:00:00")
    assert processed(here) == 1
    with pytest.raises(UserError, match=r"watermark soon is not a moment.*--set VALUE"):
        here.app.set_watermark("accounts", "soon")
    with pytest.raises(UserError, match=r"the value is empty; .*write --reset"):
        here.app.set_watermark("accounts", " ")
    assert processed(here) == 1
    here.app.set_watermark("accounts", None)
    assert here.app.watermark("accounts") is None
    assert processed(here) == 2


@pytest.mark.parametrize("value", ["abc", "12,5", "2024-01-01", "nan", "inf"])
def test_a_number_is_wanted_for_a_column_of_numbers(here: World, tmp_path: Path, value: str) -> None:
    """Also before the first run: the source has the type."""
    source = sqlite_source(tmp_path / "erp.db")
    source.run("CREATE TABLE customers (number text, name text, changed_at integer)")
    source.run("INSERT INTO customers VALUES ('1', 'One', 5), ('2', 'Two', 6)")
    define(here, source)
    with pytest.raises(UserError, match=f"the watermark {value} is not a number"):
        here.app.set_watermark("accounts", value)
    assert here.app.watermark("accounts") is None
    here.app.set_watermark("accounts", "6")
    assert processed(here) == 1


@pytest.mark.parametrize(
    ("table", "declared"), [("sqlite", "timestamp"), ("sqlite", "text"), ("postgresql", "text")], indirect=["table"]
)
@pytest.mark.parametrize("value", ["31.01.2024", "abc", "20", "2024-13-01 00:00:00", "2024-01-02T00:00:00"])
def test_a_date_that_is_a_text_is_wanted_as_the_others_are_written(
    here: World, table: Source, declared: str, value: str
) -> None:
    """It is compared as the text that it is: with another one, later rows would never be read."""
    table.run("DROP TABLE customers")
    table.run(f"CREATE TABLE customers (number text, name text, changed_at {declared})")
    define(here, table, columns=[{"name": "number"}, {"name": "name"}, {"name": "changed_at", "type": "date"}])
    table.put(("1", "One", "n/a"), ("2", "Two", "2024-01-02 00:00:00"), ("3", "Three", None))
    said = f"the watermark {value} is not a date that is written as .* like 9999-99-99 99:99:99 .*--set VALUE"
    with pytest.raises(UserError, match=said):
        here.app.set_watermark("accounts", value)
    assert here.app.watermark("accounts") is None
    here.app.set_watermark("accounts", "2024-01-02")
    table.put(("1", "One", "2024-01-01 10:00:00"))
    assert processed(here) == 2


@pytest.mark.parametrize("table", ["postgresql"], indirect=True)
def test_a_watermark_can_be_set_where_the_filter_has_a_percent_sign(here: World, table: Source) -> None:
    """The values that it is compared with are asked for with the same filter."""
    table.run("DROP TABLE customers")
    table.run("CREATE TABLE customers (number text, name text, changed_at text)")
    columns = [{"name": "number"}, {"name": "name"}, {"name": "changed_at", "type": "date"}]
    define(here, table, columns=columns, filter="length(name) % 2 = 1 AND name <> '%'")
    table.put(("1", "One", "2024-01-01 00:00:00"), ("2", "Two", "2024-01-02 00:00:00"), ("3", "Four", "2024-01-03"))
    here.app.set_watermark("accounts", "2024-01-02")
    assert processed(here) == 1


def test_a_watermark_is_set_only_where_the_source_can_be_read(here: World, tmp_path: Path) -> None:
    """The message names the place in the definition; a reset needs no source."""
    source = sqlite_source(tmp_path / "erp.db")
    source.run("CREATE TABLE customers (number text, name text)")
    define(here, source)
    with pytest.raises(DefinitionError, match="the source has no column changed_at") as caught:
        here.app.set_watermark("accounts", "6")
    assert caught.value.problems[0].line > 0
    here.app.set_watermark("accounts", None)


def test_a_watermark_cannot_be_set_during_a_run(here: World, tmp_path: Path) -> None:
    """The run would change it again."""
    source = sqlite_source(tmp_path / "erp.db")
    source.run(f"CREATE TABLE customers ({COLUMNS})")
    define(here, source)
    here.app.state.acquire_lease("sync/accounts", holder="other", seconds=60)
    with pytest.raises(UserError, match="already running"):
        here.app.set_watermark("accounts", None)


def test_a_run_that_lost_its_lease_does_not_move_the_watermark(here: World, tmp_path: Path) -> None:
    """A later run has a higher fence, and its value stays."""
    source = sqlite_source(tmp_path / "erp.db")
    source.run(f"CREATE TABLE customers ({COLUMNS})")
    define(here, source)
    source.put(("1", "One", "2024-01-01 00:00:00"))
    mark = json.dumps({"value": "2024-01-05 00:00:00", "scale": "", "identity": "x"})
    assert here.app.state.set_watermark("accounts", mark, fence=2**53)
    here.run()
    assert here.app.state.watermark("accounts") == mark


VALUES = {
    "bigint": ("9007199254740993", "9007199254740994", "9007199254740992", 1),
    "numeric(30, 10)": (
        "12345678901234567890.0000000001",
        "12345678901234567890.0000000002",
        "12345678901234567889",
        1,
    ),
    "numeric(38)": (
        "99999999999999999999999999999999999999",
        "99999999999999999999999999999999999999",
        "99999999999999999999999999999999999998",
        1,
    ),
    "numeric(38, 8)": (
        "123456789012345678901234567890.00000001",
        "123456789012345678901234567890.00000002",
        "123456789012345678901234567890",
        1,
    ),
    "real": ("0.7", "0.70000005", "0.6999999", 1),
    "double precision": ("0.30000000000000004", "0.3000000000000001", "0.3", 1),
    "timestamptz": (
        "2024-01-31 10:00:00.123456+00",
        "2024-01-31 10:00:00.123457+00",
        "2024-01-31 10:00:00.123455+00",
        0,
    ),
    "date": ("2024-01-31", "2024-02-01", "2024-01-30", 0),
    "text": ("b", "c", "B", 0),
    "uuid": (
        "018d6000-0000-7000-8000-00000000000b",
        "018d6000-0000-7000-8000-00000000000c",
        "018d5fff-0000-7000-8000-00000000000c",
        0,
    ),
}


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_postgresql_values_are_kept_exactly(here: World, database: Database, kind: str) -> None:
    """Rows with the last value are read again, that with the next one is read, and the one before it is not."""
    last, after, before, overlap = VALUES[kind]
    database.run(f"CREATE TABLE customers (number text, name text, changed_at {kind})")
    database.run(f"INSERT INTO customers VALUES ('1', 'last', '{last}')")
    source = postgresql_source(database)
    define(here, source)
    here.run()
    assert here.app.watermark("accounts") == last
    for number, value in (("2", after), ("3", before), ("4", last)):
        database.run(f"INSERT INTO customers VALUES ('{number}', 'x', '{value}')")
    done = here.run()
    assert (set(held(here)), done.source.processed) == ({"1", "2", "4"}, 3)
    if overlap:
        define(here, source, watermark={"overlap": 10**6})
        here.run()
        assert set(held(here)) == {"1", "2", "3", "4"}


@pytest.mark.parametrize(
    ("kind", "last", "after", "before"),
    [
        ("integer", 5, 6, 4),
        ("real", 0.1, 0.2, 0.05),
        ("decimal(10,2)", 10, 100, 9.5),
        ("decimal(38)", "123456789012345678901234567890", "2e29", "1e29"),
        ("", "'b'", "'c'", "'B'"),
    ],
)
def test_sqlite_values_are_compared_by_their_type(
    here: World, tmp_path: Path, kind: str, last: object, after: object, before: object
) -> None:
    """Numbers as numbers and texts as texts."""
    source = sqlite_source(tmp_path / "erp.db")
    source.run(f"CREATE TABLE customers (number text, name text, changed_at {kind})")
    source.run(f"INSERT INTO customers VALUES ('1', 'last', {last})")
    define(here, source)
    here.run()
    for number, value in (("2", after), ("3", before)):
        source.run(f"INSERT INTO customers VALUES ('{number}', 'x', {value})")
    done = here.run()
    assert (set(held(here)), done.source.processed) == ({"1", "2"}, 2)


def test_an_overlap_is_read_again_where_dates_are_texts_without_dashes(here: World, tmp_path: Path) -> None:
    """They are compared as texts, and a row of the day before may come late."""
    source = sqlite_source(tmp_path / "erp.db")
    source.run("CREATE TABLE customers (number text, name text, changed_at text)")
    source.run("INSERT INTO customers VALUES ('1', 'last', '20240301')")
    changed = {"name": "changed_at", "type": "date", "input_format": "yyyyMMdd"}
    columns = [{"name": "number"}, {"name": "name"}, changed]
    define(here, source, columns=columns, watermark={"overlap": "24h"})
    here.run()
    source.run("INSERT INTO customers VALUES ('2', 'late', '20240229'), ('3', 'too late', '20240228')")
    done = here.run()
    assert (set(held(here)), done.source.processed) == ({"1", "2"}, 2)


def test_infinite_moments_do_not_move_the_watermark(here: World, database: Database) -> None:
    """No other row would ever be later."""
    database.run(f"CREATE TABLE customers ({COLUMNS})")
    source = postgresql_source(database)
    define(here, source)
    source.put(("1", "One", "infinity"), ("2", "Two", "2024-01-01 00:00:00"))
    here.run()
    assert here.app.watermark("accounts") == "2024-01-01 00:00:00"


@pytest.mark.parametrize(
    "strategy",
    [
        {"strategy": "delta", "action_column": "name"},
        {"strategy": "full", "dropped": "delete"},
        {"dropped": "deactivate"},
        {"dropped": {"expire": "new_expiredon"}},
    ],
)
def test_other_strategies_are_refused_with_the_place(here: World, tmp_path: Path, strategy: dict[str, Any]) -> None:
    """A row that is not read must not count as removed."""
    define(here, sqlite_source(tmp_path / "erp.db"), behaviour={"sync_key": ["accountnumber"], **strategy})
    with pytest.raises(DefinitionError, match="a watermark needs strategy: upsert, or strategy: full") as caught:
        here.run()
    assert caught.value.problems[0].path in {"sync_behaviour.strategy", "sync_behaviour.dropped"}
    assert caught.value.problems[0].line > 0


@pytest.mark.parametrize("kind", ["money", "pg_lsn", "jsonb", "text[]", "mood", "inet"])
def test_texts_in_another_order_than_their_values_are_refused(here: World, database: Database, kind: str) -> None:
    """Before a row is read: a later run would not see all rows that changed."""
    database.run("CREATE TYPE mood AS ENUM ('low', 'high')")
    database.run(f"CREATE TABLE customers (number text, name text, changed_at {kind})")
    define(here, postgresql_source(database))
    named = "_text" if kind == "text[]" else kind
    with pytest.raises(DefinitionError, match=f"changed_at is of the type {named}, whose texts are in another order"):
        here.run()


def test_validate_finds_a_mapping_of_a_column_that_the_database_does_not_have(here: World, tmp_path: Path) -> None:
    """The definition lists no columns: only the database knows them."""
    source = sqlite_source(tmp_path / "erp.db")
    source.run("CREATE TABLE customers (number text, name2 text, changed_at timestamp)")
    define(here, source)
    (problem,) = here.app.validate()
    assert problem.message == "the source has no column name; did you mean name2?"
    assert (problem.path, problem.line > 0) == ("destination.mappings[1].source", True)
    assert here.app.validate(offline=True) == []


def test_a_column_that_is_not_read_is_refused(here: World, tmp_path: Path, database: Database) -> None:
    """Where the definition names the columns, before a row is read; else by the source."""
    source = sqlite_source(tmp_path / "erp.db")
    source.run(f"CREATE TABLE customers ({COLUMNS})")
    define(here, source, columns=[{"name": "number"}, {"name": "name"}])
    with pytest.raises(DefinitionError, match="no column that is read has this name"):
        here.run()
    define(here, source, watermark={"column": "wrong"})
    (problem,) = here.app.validate()
    assert (problem.path, problem.line > 0) == ("source.watermark.column", True)
    with pytest.raises(DefinitionError, match="the source has no column wrong"):
        here.run()
    database.run("CREATE TABLE customers (number text, name text, changed_at boolean)")
    define(here, postgresql_source(database))
    with pytest.raises(DefinitionError, match="changed_at is a bool; a number, a date or a text is needed"):
        here.run()


@pytest.mark.timeout(600)
def test_after_kill_9_the_next_run_reads_the_same_rows(tmp_path: Path) -> None:
    """Among its writes a process is killed: the watermark stays, and the next run writes what is left."""
    with world(tmp_path, latency_ms=20) as here:
        here.emulator.faults({"action": "delay", "match": {"method": "POST", "path": "accounts"}, "seconds": 10})
        source = sqlite_source(tmp_path / "erp.db")
        source.run(f"CREATE TABLE customers ({COLUMNS})")
        define(here, source, behaviour=FULL)
        source.put(("0", "First", "2024-01-01 00:00:00"))
        here.run()
        source.run(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000) "
            "INSERT INTO customers SELECT x, 'x', datetime('2024-01-02', '+' || x || ' seconds') FROM n"
        )
        done = here.emulator.stats()["rows"]["create"]
        with started(here, "run", "accounts") as run:
            while here.emulator.stats()["rows"]["create"] == done and run.poll() is None:
                time.sleep(0.05)
            run.kill()
            run.communicate(timeout=300)
        while here.emulator.stats()["in_flight"]["now"]:  # what the server was at when the client died
            time.sleep(0.05)
        assert here.app.watermark("accounts") == "2024-01-01 00:00:00"
        in_a_minute = replace(Machine.this(), seconds=lambda: since_boot() + 61)
        later = SqliteStateStore(tmp_path / "state.db", machine=in_a_minute)
        here.reopen(later)
        found = here.run()
        assert (found.state, found.source.processed) == (RunState.SUCCEEDED, 3001)
        assert len(held(here)) == len(here.records("accounts?$select=name")) == 3001
        assert here.app.watermark("accounts") == "2024-01-02 00:50:00"
