"""One run whole, as values."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from shared.state import ErrorRecord, RunRecord
from shared.state.sqlite import SqliteStateStore
from shared.views.run_reports import RunReport, count_lines, started_by

RUN = RunRecord(
    run_id="r1",
    sync="customers",
    version="1",
    trigger="timer",
    state="Failed",
    started=datetime(2026, 3, 1, tzinfo=UTC),
    message="The host does not answer",
    host="vm-7",
)


def test_a_report_has_the_run_its_errors_and_what_to_do(tmp_path: Path) -> None:
    """As JSON values, with the keys that programs rely on."""
    state = SqliteStateStore(tmp_path / "state.db")
    state.begin_run(RUN)
    state.add_errors([ErrorRecord(run_id="r1", error_class="Invalid Row", error_type="Duplicate Key", count=2)])
    value = json.loads(json.dumps(RunReport.of(RUN, state).to_json()))
    state.close()
    assert (value["run_id"], value["run"]["message"]) == ("r1", "The host does not answer")
    assert value["errors"][0]["type"] == "Duplicate Key"
    assert value["next"] == ["dynamics-sync errors r1 --csv DIR", "dynamics-sync start customers"]


def test_what_started_a_run_is_said_in_words() -> None:
    """With the machine, where it is known."""
    assert started_by(RUN) == "by the schedule on vm-7"
    assert started_by(replace(RUN, host="", trigger="command")) == "from the command line"


def test_counts_are_shown_where_there_are_some() -> None:
    """Rows by their result, changes done and planned, other counts; those of events by their own names."""
    counts = {
        "strategy": "full",
        "source": {"processed": 5000, "verified": 4999, "rejected": 1, "filtered": 0},
        "target": {"processed": 0},
        "created": {"done": 4998, "planned": 4999},
        "updated": {"done": 0, "planned": 0},
        "failed": 1,
        "requests": 9,
    }
    assert count_lines(counts) == [
        ("Source", "5,000 processed, 4,999 verified, 1 rejected"),
        ("Created", "4,998 of 4,999"),
        ("Failed", "1"),
    ]
    assert count_lines({"insert": 2, "lost": 1}) == [("Insert", "2"), ("Lost", "1")]
    assert count_lines({}) == []
