"""The commands `runs`, `errors` and `plan` are enough to find a failed run, to understand it and to mend it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.cli.boundary import run as type_in
from shared.clock import SystemClock
from shared.dataverse import Connection, Dataverse, RetryPolicy
from shared.errors import RetryLater, SyncError, UserError
from shared.jobs.batch.lease_keeping import LeaseTaken
from shared.reconcile.undo.journal import DONE
from shared.state import RunRecord
from tests.acceptance.world import World, accounts, world
from tests.quick_clock import QuickClock
from tests.store_in_front import failing

ROWS = [{"number": f"A{n}", "name": f"Name {n}", "city": "Berlin", "revenue": n} for n in range(12)]


def hasty(connection: Connection, **options: Any) -> Dataverse:
    """A client with few retries and short timeouts."""
    return Dataverse(replace(connection, retry_policy=RetryPolicy(seconds=0.2)), **options)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.parts = {"open_dataverse": hasty}
        made.csv(ROWS)
        made.define(accounts(sync_behaviour={"dropped": "delete"}))
        yield made


@pytest.fixture
def typed(here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints, on both streams, with its exit code at the end."""
    monkeypatch.setenv("COLUMNS", "140")

    def words(*arguments: str) -> str:
        capsys.readouterr()
        code = type_in([*arguments], open_app=lambda: here.app)
        said = capsys.readouterr()
        return f"{' '.join((said.out + said.err).split())} exit code {code}"

    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A failure, the message that a person gets, and what the person does.

    Attributes:
        breaks: What goes wrong before the run.
        state: What `runs` shows.
        told: What `errors last` says.
        mends: What the person does.
    """

    breaks: Callable[[World], object]
    state: str
    told: tuple[str, ...]
    mends: Callable[[World], object]


def _fault(**fault: Any) -> Callable[[World], object]:
    return lambda here: here.emulator.faults({"action": "status", "times": 99, **fault})


def _clear(here: World) -> None:
    here.emulator.clear_faults()


def _new_secret(text: str | None) -> Callable[[World], object]:
    return lambda here: here.environment.update(DYNAMICS_CLIENT_SECRET=text or here.emulator.client_secret)


def _file(rows: list[dict[str, object]]) -> Callable[[World], object]:
    return lambda here: here.csv(rows)


NEW = {"number": "B1", "name": "New", "city": "Ulm", "revenue": 1}
NIGHTS = {
    "the service is unavailable": Night(
        breaks=_fault(status=503, match={"path": "accounts"}),
        state="Failed",
        told=("Dataverse is not available", "Next: dynamics-sync run accounts"),
        mends=_clear,
    ),
    "a privilege was removed": Night(
        breaks=_fault(
            status=403,
            message="Principal user is missing prvWriteAccount privilege.",
            match={"path": "CRM.CreateMultiple"},
        ),
        state="Failed",
        told=("prvWriteAccount", "Next: dynamics-sync run accounts"),
        mends=_clear,
    ),
    "the secret has expired": Night(
        breaks=_new_secret("secret-of-last-year"),
        state="Failed",
        told=("Invalid client secret", "check client_id, client_secret", "Next: dynamics-sync run accounts"),
        mends=_new_secret(None),
    ),
    "half of the delivery is missing": Night(
        breaks=_file([NEW, *ROWS[:5]]),
        state="Refused",
        told=("safety.max_delete is 30%", "Next: dynamics-sync plan accounts"),
        mends=_file([NEW, *ROWS]),
    ),
    "a column has another notation": Night(
        breaks=_file([NEW, *({**row, "revenue": f"{row['revenue']},50 EUR"} for row in ROWS)]),
        state="Completed with errors",
        told=(
            "12 of 13 rows were rejected",
            "most often revenue is not a number",
            "line 3",
            "Next: dynamics-sync errors",
        ),
        mends=_file([NEW, *ROWS]),
    ),
}


@pytest.mark.parametrize("night", NIGHTS.values(), ids=[*NIGHTS])
def test_a_failure_is_found_understood_and_mended(here: World, typed: Callable[..., str], night: Night) -> None:
    """`runs` shows that it failed, `errors` why and what to do, `plan` whether it is mended; no suggestion forces."""
    here.run()
    here.csv([NEW, *ROWS])
    night.breaks(here)
    here.reopen()
    assert not typed("run", "accounts").endswith("exit code 0")
    assert night.state in typed("runs", "accounts").partition(" Succeeded ")[0]
    said = typed("errors", "last")
    assert [words for words in night.told if words not in said] == [], said
    assert "--force" not in said
    night.mends(here)
    here.reopen()
    assert typed("plan", "accounts").endswith("exit code 0")
    assert typed("run", "accounts").endswith("exit code 0")
    assert "State Succeeded" in typed("errors", "last")
    assert {record["accountnumber"] for record in here.records("accounts?$select=accountnumber")} == {
        str(row["number"]) for row in [NEW, *ROWS]
    }


@pytest.fixture
def errors_last(here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The output of `errors last`."""
    monkeypatch.setenv("COLUMNS", "140")

    def words() -> str:
        capsys.readouterr()
        assert type_in(["errors", "last"], open_app=lambda: here.app) == 0
        return " ".join(capsys.readouterr().out.split())

    return words


def failed(here: World, **options: Any) -> str:
    """Run the sync, which fails; returns its message."""
    with pytest.raises(SyncError) as caught:
        here.run(**options)
    return caught.value.message


def test_a_missing_privilege_is_named_by_errors(here: World, errors_last: Any) -> None:
    """With the state, and the command that runs the sync again."""
    message = "Principal user is missing prvCreateAccount privilege."
    here.emulator.faults(
        {"action": "status", "status": 403, "message": message, "match": {"path": "CRM.CreateMultiple"}, "times": 99}
    )
    failed(here)
    here.emulator.clear_faults()
    said = errors_last()
    assert "State Failed" in said
    assert "prvCreateAccount" in said
    assert "Next: dynamics-sync run accounts" in said


def test_an_unavailable_service_is_named_by_errors(here: World, errors_last: Any) -> None:
    """The output has the whole message, and says that no row has an error."""
    here.emulator.faults({"action": "status", "status": 503, "match": {"path": "accounts"}, "times": 99})
    message = failed(here, parameters={"file_path": str(here.folder / "source.csv")})
    here.emulator.clear_faults()
    said = errors_last()
    assert "State Failed" in said
    assert message in said
    assert "No row errors." in said
    assert f"Next: dynamics-sync run accounts -p file_path={here.folder / 'source.csv'}" in said


def test_a_safety_refusal_is_refused_and_keeps_the_errors_of_its_rows(here: World, errors_last: Any) -> None:
    """The limit, the rejected rows, and the command that shows the plan; never the flag that overrides it."""
    here.run()
    here.csv([ROWS[0] | {"revenue": "much"}, *ROWS[1:3]])
    failed(here)
    said = errors_last()
    assert "State Refused" in said
    assert "safety.max_delete is 30%" in said
    assert "not a number" in said
    assert "Next: dynamics-sync plan accounts" in said
    assert "--force" not in said


def test_a_run_whose_process_died_is_lost(here: World, errors_last: Any) -> None:
    """Its row has the state Running, and no process has the lease; the next run notes it and does the work."""
    here.run()
    (row,) = here.app.state.runs()
    here.app.state.begin_run(replace(row, run_id="dead", state="Running", ended=None, started=datetime.now(UTC)))
    said = errors_last()
    assert "State Lost" in said
    assert "Its process has died" in said
    assert here.run().clean
    assert [row.state for row in here.app.state.runs() if row.run_id == "dead"] == ["Interrupted"]


def test_a_run_whose_state_is_away_at_its_end_waits_once_and_has_not_died(
    here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Journal and end wait two minutes together; the process that prints the next step is alive."""
    clock, waits = QuickClock(), list[float]()

    def wait(_: SystemClock, seconds: float) -> None:
        waits.append(seconds)
        clock.sleep(seconds)

    monkeypatch.setattr(SystemClock, "sleep", wait)
    monkeypatch.setattr(SystemClock, "monotonic", lambda _: clock.monotonic())
    away = failing(RetryLater("The state store is away", retry_after=5))

    def journal(run_id: str, name: str, data: bytes) -> None:
        if name.startswith(DONE):
            here.app.state.before["finish_run"] = away  # type: ignore[attr-defined]  # the store in front
            away(run_id, data)

    with here.store_in_front(put_journal_part=journal):
        assert type_in(["run", "accounts"], open_app=lambda: here.app) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "The end of the run is not in the log" in said
    assert "Next: dynamics-sync run accounts" in said
    assert "has died" not in said
    assert 60 <= sum(waits) <= 121


def test_a_second_caller_gets_the_run_its_place_and_its_start(here: World) -> None:
    """The lease has the id of the run, and the row of the run has the rest."""
    row = RunRecord(
        run_id="0123456789abcdef",
        sync="accounts",
        version="1",
        trigger="timer",
        state="Running",
        started=datetime(2026, 3, 1, 2, tzinfo=UTC),
        host="vm-7",
    )
    here.app.state.begin_run(row)
    here.app.state.acquire_lease("sync/accounts", holder=row.run_id, seconds=60)
    with pytest.raises(LeaseTaken, match="run 0123456789 on vm-7 since 2026-03-01 02:00:00 UTC"):
        here.run()


def test_a_local_mistake_is_no_failed_sync(here: World, tmp_path: Path) -> None:
    """The file for the workspace exists already: no run was started, so the log has none."""
    (tmp_path / "kept.duckdb").write_text("mine")
    for file, said in (
        (tmp_path / "kept.duckdb", "exists already"),
        (tmp_path / "no" / "kept.duckdb", "make it first"),
    ):
        with pytest.raises(UserError, match=said):
            here.app.run("accounts", keep=file)
    assert here.app.state.runs() == ()


def test_the_log_has_the_parameters_and_the_place_of_a_run(here: World) -> None:
    """So that a suggested command can repeat it."""
    done = here.run(parameters={"file_path": str(here.folder / "source.csv")})
    row = here.app.state.run(done.run_id)
    assert row is not None
    assert (row.given, row.host) == ({"file_path": str(here.folder / "source.csv")}, os.uname().nodename)


def test_a_plan_names_columns_and_options_as_forms_do(here: World) -> None:
    """Beside the logical names and the values, which programs rely on."""
    definition = accounts()
    definition["destination"]["mappings"].append({"value": "'Consulting'", "target": "industrycode"})
    here.define(definition)
    columns = {each.column: each.to_json() for each in here.plan(sample=1).sample[0].columns}
    assert columns["industrycode"]["after_name"].endswith(" Consulting")
    assert isinstance(columns["industrycode"]["after"], int)
    assert columns["accountnumber"]["display_name"] == "Account Number"
