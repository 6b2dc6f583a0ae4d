"""What the pages say of progress, of parameters, and of how the writing of a run went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.jobs.activity import Doing, waiting_for
from console.jobs.parameters import fields_of, given
from shared.definitions import SyncDefinition
from shared.state import Job, JobRequest
from shared.views.pages.masking import MASK, masked_plan

NOW = datetime(2026, 1, 31, tzinfo=UTC)
SOURCE = {"type": "delimited", "path": "a.csv", "columns": [{"name": "number"}]}
DEFINITION: dict[str, Any] = {
    "name": "accounts",
    "parameters": {
        "region": {"default": "North"},
        "day": {"default": "2026-01-31"},
        "must": {},
        "file": {"formula": "FILENAME(@region, '(\\d+)')"},
        "secret": {"formula": "SECRET('key')"},
        "nothing": {"default": None},
    },
    "source": SOURCE,
    "destination": {
        "type": "dynamics",
        "entity": "account",
        "service_url": "https://org.crm.dynamics.com/api/data/v9.2/",
        "id_column": "accountid",
        "mappings": [{"source": "number", "target": "accountnumber"}],
    },
    "sync_behaviour": {"sync_key": ["accountnumber"]},
}


@pytest.mark.parametrize(
    ("note", "rate", "left"),
    [
        ({"rows": 500, "total": 2000, "seconds": 10.0}, 50.0, 30.0),
        ({"rows": 500, "total": None, "seconds": 10.0}, 50.0, None),
        ({"rows": 0, "total": 2000, "seconds": 10.0}, None, None),
        ({"rows": 500, "total": 2000, "seconds": 0.0}, None, None),
        ({"rows": 2100, "total": 2000, "seconds": 10.0}, 210.0, 0.0),
    ],
)
def test_the_rate_and_what_is_left_are_told_when_they_are_known(note: Any, rate: Any, left: Any) -> None:
    """Rows a second of the phase, and seconds until its end."""
    doing = Doing.of({"phase": "write", **note})
    assert doing is not None
    assert (doing.phase, doing.rate, doing.seconds_left) == ("Writing", rate, left)


def test_a_wait_is_told_as_long_as_it_lasts() -> None:
    """Afterwards only the number of throttled requests."""
    ahead, past = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(seconds=1)
    for until, told in ((ahead, ahead), (past, None)):
        doing = Doing.of({"phase": "write", "throttled": 3, "waits_until": until.isoformat()})
        assert doing is not None
        assert (doing.throttled, doing.waits_until) == (3, told)


def test_without_a_phase_nothing_is_told() -> None:
    """Before the first note, and of a question that waits."""
    assert Doing.of({}) is None
    assert Doing.of({"by": "Ann"}) is None


def test_a_job_says_what_it_waits_for() -> None:
    """The reason of its last try, until when it is held back, and others of its application user."""
    job = Job(
        request=JobRequest(id="j", sync="a", requested=NOW),
        since=NOW,
        message="Dataverse is away",
        not_before=NOW,
        lane="user",
    )
    assert waiting_for(job) == (
        "Dataverse is away; not before 2026-01-31 00:00 UTC; other jobs of its application user run first"
    )


def test_the_form_has_a_field_for_each_parameter_but_secrets() -> None:
    """With its default; only what has no value otherwise is required."""
    fields = {field.name: field for field in fields_of(SyncDefinition.model_validate(DEFINITION), {"region": "South"})}
    assert [name for name, field in fields.items() if field.is_required] == ["must"]
    assert (fields["region"].value, fields["region"].default) == ("South", "North")
    assert fields["secret"].kind == "secret"
    assert fields["file"].help == "If it is empty: a part of the name of a file, FILENAME(@region, '(\\d+)')"


def test_only_what_differs_from_the_defaults_is_given() -> None:
    """A text that is erased is given as an empty one; an empty field of a formula is not given."""
    definition = SyncDefinition.model_validate(DEFINITION)
    typed = {"region": "", "day": "2026-01-31", "must": "x", "nothing": "", "other": "y"}
    assert given(definition, typed) == {"region": "", "must": "x", "other": "y"}


def test_a_masked_plan_has_no_value_of_a_row() -> None:
    """Neither keys, nor names of records, nor examples of errors; what is empty is seen to be so."""
    change = {
        "action": "update",
        "row": 1,
        "id": "x",
        "key": {"accountnumber": "K7"},
        "columns": [{"column": "name", "before": None, "after": "Zebra", "after_name": "Zebra GmbH"}],
    }
    error = {"rows": [1], "message": "not a number", "examples": [{"row": 1, "key": "K7", "line": 3}]}
    with_value = {"rows": [2], "message": "'Zebra' is not a number", "examples": [{"row": 2, "value": "Zebra"}]}
    plan = {
        "sample": [change],
        "errors": [error, with_value],
        "sync": "a",
        "watermark": '{"value": "7200"}',
        "new": "7200",
    }
    masked = masked_plan(plan)
    assert not any(text in str(masked) for text in ("K7", "Zebra", "7200"))
    assert (masked["sync"], masked["watermark"]) == ("a", None)
    assert masked["sample"][0]["columns"] == [{"column": "name", "before": None, "after": MASK}]
    assert masked["errors"][0] == {"rows": [1], "message": "not a number", "examples": ({"row": 1, "line": 3},)}
    assert masked["errors"][1] == {"rows": [2], "message": MASK, "examples": ({"row": 2},)}
