"""The main job from end to end: a CSV becomes accounts, is planned and written, and a second run has nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.customers import HEADER, customers, write_customers
from shared.errors import AbortRun, UnsafePlanError, UserError
from shared.jobs import ApprovedPlan, RunState
from tests.acceptance.world import World, accounts, world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def rows(count: int, **changes: object) -> list[dict[str, object]]:
    return [
        {"number": f"A{i}", "name": f"Name {i}", "city": "Århus" if i % 2 else "", "revenue": i * 1.5, **changes}
        for i in range(count)
    ]


def test_demo_file_is_loaded_and_second_run_writes_nothing(here: World) -> None:
    """The demo file has many errors: every row is counted, and a second run sends no write."""
    write_customers(here.folder / "source.csv", count=1500)
    text = Path("syncs/customers.yaml").read_text("utf-8")
    here.define(text.replace("{default: syncs/data/customers.csv}", "{formula: \"ENV('SOURCE')\"}"), "customers")

    first = here.run("customers")
    again = here.run("customers")

    assert first.completed
    assert first.source.processed == 1500
    assert first.created.done == first.created.planned == first.source.verified
    assert {"Malformed Row", "Duplicate Key", "Unknown Choice", "Mandatory Rule Violation", "Max Length Violation",
            "Invalid Format Exception"} <= {error.error_type for error in first.errors}  # fmt: skip
    assert (again.created.done, again.updated.done, again.deleted.done, again.writes) == (0, 0, 0, 0)
    assert again.unchanged == first.created.done


def test_text_is_identical_after_the_round_trip(here: World) -> None:
    """The text in Dataverse is that of the file, character for character."""
    write_customers(here.folder / "source.csv", count=300)
    text = Path("syncs/customers.yaml").read_text("utf-8")
    here.define(text.replace("{default: syncs/data/customers.csv}", "{formula: \"ENV('SOURCE')\"}"), "customers")
    here.run("customers")

    street, notes = HEADER.index("Street"), HEADER.index("Notes")
    in_file = {row[0].strip().lower(): row for row in reversed(list(customers(300)))}
    found = here.records("accounts?$select=accountnumber,address1_line1,description")

    assert len(found) > 250
    for record in found:
        row = in_file[record["accountnumber"].lower()]
        assert record["address1_line1"] == row[street]
        assert (record["description"] or "") == row[notes]


def test_update_sends_only_the_columns_that_differ(here: World) -> None:
    """One changed cell is one column in one request."""
    here.define(accounts())
    here.csv(rows(20))
    here.run()
    changed = rows(20)
    changed[3]["city"] = "København"
    here.csv(changed)

    plan = here.plan()
    done = here.run()

    assert [(c.column, c.before, c.after) for c in plan.sample[0].columns] == [("address1_city", "Århus", "København")]
    assert (done.updated.done, done.unchanged, done.writes) == (1, 19, 1)


def test_source_and_target_counts_hold_with_everything_mixed(here: World) -> None:
    """New, changed, dropped, rejected, filtered and duplicate rows at once: all are counted once."""
    rule = {"sync_behaviour": {"dropped": "delete", "safety": {"max_delete": "100%"}}}
    here.define(accounts(**rule))
    here.csv(rows(30))
    here.run()
    mixed = rows(25)[5:]
    mixed[0]["name"] = "Changed"
    mixed += [
        {"number": "a6 ", "name": "copy of A6", "city": "", "revenue": 1},
        {"number": "", "name": "no key", "city": "", "revenue": 1},
        {"number": "A99", "name": "no number", "city": "", "revenue": "many"},
        {"number": "A98", "name": "filtered", "city": "", "revenue": -1},
        {"number": "A97", "name": "new", "city": "", "revenue": 1},
    ]
    here.csv(mixed)
    definition = accounts(**rule)
    definition["source"]["filter"] = "revenue >= 0"
    here.define(definition)

    done = here.run()

    assert done.source.to_json() == {"processed": 25, "verified": 21, "rejected": 3, "filtered": 1}
    assert (done.created.done, done.updated.done, done.deleted.done, done.unchanged) == (1, 1, 10, 19)
    assert done.state is RunState.COMPLETED_WITH_ERRORS
    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ({"name": "number"}, "A11 Name 11 and what follows"),
        ({"name": "number", "max_length": 4}, "A11-ERR"),
        ({"name": "id", "formula": "upper(number)"}, "A11-ERR"),
    ],
)
def test_a_row_with_a_key_that_is_too_long_prevents_drops(here: World, key: dict[str, Any], number: str) -> None:
    """Such as one with a part of the next value: its record is still there when the source is mended.

    The length is that of the column of the table, or that of the column of the source which the key is made of.
    """
    definition = accounts(sync_behaviour={"dropped": "delete", "safety": {"max_delete": "100%"}})
    columns = definition["source"]["columns"]
    definition["source"]["columns"] = [*([] if key["name"] == "number" else [{"name": "number", "max_length": 4}]), key]
    definition["source"]["columns"] += columns[1:]
    definition["destination"]["mappings"][0]["source"] = key["name"]
    here.define(definition)
    here.csv(rows(12))
    here.run()
    damaged = rows(12)
    damaged[11]["number"] = number
    here.csv(damaged)

    done = here.run()

    assert (done.deleted.planned, done.unchanged, done.ignored) == (0, 11, 1)
    assert {("Max Length Violation", 1), ("Dropped Record Kept", 1)} <= {(e.error_type, e.count) for e in done.errors}
    here.csv(rows(12))
    assert here.run().unchanged == 12


def test_a_row_with_another_value_that_is_too_long_prevents_no_drops(here: World) -> None:
    """Its key is known, so its record is known, and the others were dropped."""
    definition = accounts(sync_behaviour={"dropped": "delete", "safety": {"max_delete": "100%"}})
    definition["source"]["columns"][1]["max_length"] = 10
    here.define(definition)
    here.csv(rows(12))
    here.run()
    damaged = rows(11)
    damaged[10]["name"] = "much too long"
    here.csv(damaged)

    done = here.run()

    assert (done.source.rejected, done.deleted.done) == (1, 1)


def test_unreadable_row_prevents_drops(here: World) -> None:
    """A malformed row may be the row of any record, so nothing is dropped, and the run reports this."""
    here.define(accounts(sync_behaviour={"dropped": "delete", "safety": {"max_delete": "100%"}}))
    here.csv(rows(12))
    here.run()
    path = here.csv(rows(10))
    path.write_text(path.read_text("utf-8") + "A11,cut off\n", "utf-8")

    done = here.run()

    assert (done.deleted.planned, done.ignored) == (0, 2)
    assert ("Dropped Record Kept", 2) in {(error.error_type, error.count) for error in done.errors}
    here.csv(rows(10))
    assert here.run().deleted.done == 2


def test_rejected_row_protects_its_record(here: World) -> None:
    """The record of a rejected row is not a dropped record."""
    here.define(accounts(sync_behaviour={"dropped": "delete", "safety": {"max_delete": "100%"}}))
    here.csv(rows(12))
    here.run()
    wrong = rows(11)
    wrong[3]["revenue"] = "n/a"
    here.csv(wrong)

    done = here.run()

    assert (done.deleted.done, done.ignored, done.source.rejected) == (1, 1, 1)


@pytest.mark.parametrize(
    ("column", "mapping"),
    [
        ({"formula": "concat_ws('-', country, CAST(CAST(no AS INTEGER) AS VARCHAR))"}, {"source": "key"}),
        ({"cases": [{"when": "no > 1", "then": "country || '-many'"}], "default": "country"}, {"source": "key"}),
        ({"script": "function calc(row) { return `${row.country}-${row.no ?? ''}`; }"}, {"source": "key"}),
        ({"formula": "country"}, {"value": "concat_ws('-', key, CAST(CAST(no AS INTEGER) AS VARCHAR))"}),
    ],
)
def test_a_rejected_row_whose_key_is_calculated_from_its_wrong_value_protects_its_record(
    here: World, column: dict[str, object], mapping: dict[str, object]
) -> None:
    """The key without this value is not the key of its record: until the value is correct, nothing is dropped."""
    sync = accounts(sync_behaviour={"dropped": "delete", "safety": {"max_delete": "100%"}})
    sync["source"]["columns"] = [
        {"name": "country"}, {"name": "no", "type": "number", "validate": True}, {"name": "key", **column}
    ]  # fmt: skip
    sync["destination"]["mappings"] = [{"target": "accountnumber", **mapping}]
    here.define(sync)
    here.csv([{"country": "DE", "no": 1}, {"country": "DE", "no": 2}])
    assert here.run().created.done == 2
    here.csv([{"country": "DE", "no": 1}, {"country": "DE", "no": "2,0"}])

    done = here.run()

    assert (done.deleted.done, done.ignored, done.source.rejected) == (0, 1, 1)
    here.csv([{"country": "DE", "no": 1}])
    assert here.run().deleted.done == 1


@pytest.mark.parametrize("number", ["2 ?", "2.5"])
def test_a_row_whose_key_does_not_fit_and_that_has_another_error_lets_nothing_be_dropped(
    here: World, number: str
) -> None:
    """What the target cannot hold is not reported of a rejected row; its key is present all the same."""
    sync = accounts(
        sync_behaviour={"sync_key": ["numberofemployees"], "dropped": "delete", "safety": {"max_delete": "100%"}}
    )
    sync["source"]["columns"] = [{"name": "number"}, {"name": "revenue", "type": "number", "validate": True}]
    sync["destination"]["mappings"] = [
        {"source": "number", "target": "numberofemployees"}, {"source": "revenue", "target": "revenue"}
    ]  # fmt: skip
    here.define(sync)
    here.csv([{"number": n, "revenue": 1} for n in (1, 2, 3)])
    assert here.run().created.done == 3
    here.csv([{"number": 1, "revenue": 1}, {"number": number, "revenue": "one"}])

    done = here.run()

    assert (done.deleted.done, done.ignored, done.source.rejected) == (0, 2, 1)
    here.csv([{"number": 1, "revenue": 1}, {"number": "", "revenue": "one"}])
    assert here.run().deleted.done == 2


def test_unsafe_plan_is_refused_and_nothing_is_written(here: World) -> None:
    """To delete more than the limit needs the option `--force`."""
    here.define(accounts(sync_behaviour={"dropped": "delete"}))
    here.csv(rows(40))
    here.run()
    here.csv(rows(10))

    with pytest.raises(UnsafePlanError, match=r"30 of the target's 40 records .*change sync_behaviour.safety"):
        here.run()
    assert len(here.records("accounts?$select=accountnumber")) == 40
    assert here.run(force=True).deleted.done == 30


def test_approved_plan_is_applied_exactly_or_not_at_all(here: World) -> None:
    """The checksum of a plan is that of its changes: if the source changes, the plan is refused."""
    here.define(accounts())
    here.csv(rows(5))
    checksum = here.plan().plan.checksum
    here.csv(rows(6))

    with pytest.raises(UserError, match="changed since the plan was made"):
        here.run(approved=ApprovedPlan(checksum=checksum))
    assert here.records("accounts?$select=name") == []
    assert here.run(approved=ApprovedPlan(checksum=here.plan().plan.checksum)).created.done == 6


def test_expired_records_are_marked_once(here: World) -> None:
    """`dropped: {expire: column}` sets the date at the first run and leaves it at the next."""
    here.define(accounts(sync_behaviour={"dropped": {"expire": "new_expiredon"}}))
    here.csv(rows(12))
    here.run()
    here.csv(rows(10))

    assert here.run().expired.done == 2
    again = here.run()
    assert (again.expired.planned, again.writes) == (0, 0)
    assert len(here.records("accounts?$filter=new_expiredon ne null&$select=name")) == 2


def test_row_that_dataverse_refuses_affects_no_other_row(here: World) -> None:
    """A plug-in refuses two rows of two hundred: both are reported by row, the others are written."""
    here.define(accounts())
    here.csv(rows(200))
    here.emulator.faults(
        {"action": "refuse_rows", "match": {"filter": "accountnumber eq 'A7' or accountnumber eq 'A150'"},
         "times": 100, "status": 400, "code": "0x80040265", "message": "Not these"}
    )  # fmt: skip

    done = here.run()

    assert (done.created.done, done.failed) == (198, 2)
    (error,) = done.errors
    assert (error.error_class, error.rows) == ("Failed Operation", (8, 151))
    assert "Not these" in error.message


def test_execution_log_and_error_files_have_the_run_and_its_errors(here: World) -> None:
    """The log has the run with its counts; the CSV files have a line for every row in error."""
    here.define(accounts())
    here.csv([*rows(3), {"number": "A9", "name": "x", "city": "", "revenue": "n/a"}])

    done = here.run()

    record = here.app.state.run(done.run_id)
    assert record is not None
    assert (record.state, record.counts["created"]["done"]) == ("Completed with errors", 3)
    content = here.app.state.file(done.run_id, f"{done.run_id}_SourceErrors.csv")
    assert content is not None
    header, line = content.decode("utf-8").splitlines()
    assert header == "Row,Rejected,Errors,Key,Line,Columns"
    assert line.startswith("4,Yes,")


def test_run_that_dataverse_ends_early_logs_what_it_wrote(here: World) -> None:
    """The credentials become invalid during the run: the log counts the records that were written before."""
    here.define(accounts())
    here.csv(rows(3000))
    here.emulator.faults(
        [
            {"action": "delay", "match": {"method": "POST", "path": "CreateMultiple"}, "times": 2, "seconds": 0.05},
            {"action": "status", "match": {"method": "POST", "path": "Multiple"}, "times": 500, "status": 403,
             "code": "0x80040220", "message": "Principal user is missing prvCreateAccount privilege"},
        ]
    )  # fmt: skip

    with pytest.raises(AbortRun, match="prvCreateAccount"):
        here.run()

    here.emulator.clear_faults()
    (record,) = here.app.state.runs("accounts")
    written = len(here.records("accounts?$select=name"))
    assert record.state == "Failed"
    assert record.counts["created"] == {"done": written, "planned": 3000}
    assert 0 < written < 3000
