"""Every command: what it asks of the app, what it prints where, and its exit code."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
import typer

from shared.app import App
from shared.cli.boundary import run
from shared.cli.frame import program
from shared.cli.screen.tables import STYLES
from shared.errors import AbortRun, DefinitionError, Problem, RetryLater, UnsafePlanError, UserError
from shared.jobs import (
    ChangeCounts,
    ErrorRow,
    Phase,
    PlanOptions,
    PlanReport,
    Progress,
    RowCounts,
    RunOptions,
    RunState,
    RunSummary,
)
from shared.reconcile import ColumnChange, Limit, Plan, PlanAction, PlanCounts, SafetyLimits, SampleChange
from shared.state import ErrorRecord, Job, JobRequest, Lease, Pause, RowsToMend, RowToMend, RunRecord
from shared.workspace import Step

CHECKSUM = "c" * 64
REJECTED = ErrorRow(
    side="source",
    error_class="Invalid Row",
    error_type="Max Length Violation",
    column="Name",
    rows=(4, 9),
    count=2,
    message="longer than 160 characters",
)


def planned(*, unsafe: bool = False, changes: bool = True, errors: bool = False) -> PlanReport:
    counts = PlanCounts(insert=2, update=1, unchanged=7, source_rows=10, target_rows=8) if changes else PlanCounts()
    limits = SafetyLimits(max_update=Limit(amount=Decimal(0), is_share=False)) if unsafe else SafetyLimits()
    update = SampleChange(
        action=PlanAction.UPDATE,
        row=3,
        id="00000000-0000-0000-0000-000000000003",
        key={"accountnumber": "A3"},
        columns=(ColumnChange(column="name", before="Müller & <Söhne>", after=None),),
    )
    return PlanReport(
        sync="customers",
        strategy="full",
        plan=Plan(counts=counts, limits=limits, checksum=CHECKSUM),
        source=RowCounts(processed=12, verified=10, rejected=2),
        target=RowCounts(processed=8, verified=8),
        sample=(update,) if changes else (),
        errors=(REJECTED,) if errors else (),
        requests=3,
        throttled=1,
        elapsed_seconds=1.5,
    )


def sound(report: PlanReport) -> PlanReport:
    """The same without rejected rows."""
    return replace(report, source=RowCounts(processed=10, verified=10))


def summarised(*, completed: bool = True, errors: bool = False) -> RunSummary:
    return RunSummary(
        run_id="run-1",
        sync="customers",
        state=RunState.FAILED if not completed else RunState.COMPLETED_WITH_ERRORS if errors else RunState.SUCCEEDED,
        strategy="full",
        completed=completed,
        message="" if completed else "stopped before the end (errors)",
        source=RowCounts(processed=12, verified=10, rejected=2 if errors else 0, filtered=0 if errors else 2),
        target=RowCounts(processed=8, verified=8),
        created=ChangeCounts(done=2, planned=2),
        updated=ChangeCounts(done=1, planned=1),
        unchanged=7,
        requests=5,
        writes=2,
        elapsed_seconds=61.25,
        peak_memory_mb=244.3,
        errors=(REJECTED,) if errors else (),
    )


@dataclass(slots=True)
class FakeState:
    """An execution log with some runs."""

    records: tuple[RunRecord, ...] = tuple(
        RunRecord(
            run_id=run_id,
            sync="customers",
            version="1.0.0",
            trigger="command",
            state=state,
            started=datetime(2026, 3, day, tzinfo=UTC),
            ended=datetime(2026, 3, day, 0, 1, tzinfo=UTC),
            duration=60.0,
            counts={"created": {"done": 5, "planned": 5}, "failed": 0},
        )
        for run_id, state, day in (("beef02", "Failed", 2), ("beef01", "Succeeded", 1), ("cafe01", "Succeeded", 1))
    )

    requests: tuple[JobRequest, ...] = ()
    leases: dict[str, Lease] = field(default_factory=dict)

    def pauses(self) -> dict[str, Pause]:
        """None is paused."""
        return {}

    def job_requests(self) -> tuple[JobRequest, ...]:
        return self.requests

    def job(self, job_id: str) -> Job | None:
        return next((Job.of(request) for request in self.requests if request.id == job_id), None)

    def jobs_starting(self, text: str, limit: int = 50) -> tuple[Job, ...]:
        return tuple(Job.of(request) for request in self.requests if request.id.startswith(text))[:limit]

    def progress(self, run_id: str) -> dict[str, Any]:
        return {"job": "feed01", "by": "ann"} if run_id == "cafe01" else {}

    def lease(self, name: str) -> Lease | None:
        return self.leases.get(name)

    def runs(self, sync: str | None = None, limit: int = 50) -> tuple[RunRecord, ...]:
        return tuple(run for run in self.records if sync in (None, run.sync))[:limit]

    def runs_starting(self, text: str, limit: int = 50) -> tuple[RunRecord, ...]:
        return tuple(run for run in self.records if run.run_id.startswith(text))[:limit]

    def run(self, run_id: str) -> RunRecord | None:
        return next((run for run in self.records if run.run_id == run_id), None)

    def errors(self, run_id: str) -> tuple[ErrorRecord, ...]:
        if run_id != "beef02":
            return ()
        return (
            ErrorRecord(
                run_id=run_id, error_class="Invalid Row", error_type="Duplicate Key", count=12, rows=(*range(1, 13),)
            ),
        )

    def files(self, run_id: str) -> tuple[str, ...]:
        return (f"{run_id}_SourceErrors.csv",) if run_id == "beef02" else ()

    def file(self, run_id: str, name: str) -> bytes | None:
        return b"Row,Rejected,Errors\r\n1,Yes,Duplicate Key\r\n"

    def rows_to_mend(self, run_id: str) -> RowsToMend | None:
        if run_id != "beef02":
            return None
        row = RowToMend(number=4, values={"No": "=4"}, reason="Duplicate Key", duplicate=True)
        return RowsToMend(columns={"No": "text"}, rows=(row,), found=12, mended={"caf1": 2})


@dataclass(slots=True)
class FakeApp:
    """What the composition root would give, with prepared answers; notes what it was asked."""

    report: PlanReport = field(default_factory=planned)
    summary: RunSummary = field(default_factory=summarised)
    problems: list[Problem] = field(default_factory=list)
    raises: BaseException | None = None
    state: FakeState = field(default_factory=FakeState)
    asked: dict[str, Any] = field(default_factory=dict)
    tags: Iterator[int] = field(default_factory=itertools.count)
    marks: dict[str, str | None] = field(default_factory=lambda: {"customers": "2024-01-31"})

    def definitions(self) -> tuple[Any, ...]:
        return ()

    def definition(self, name: str) -> str:
        return name

    def parameters(self, definition: str, given: Mapping[str, Any]) -> dict[str, Any]:
        assert definition == "customers"
        return {"region": "North", "tag": next(self.tags)} | dict(given)

    def validate(self, names: Sequence[str] = (), *, offline: bool = False, privileges: bool = True) -> list[Problem]:
        self._asked(names=tuple(names), offline=offline, privileges=privileges)
        return self.problems

    def warnings(self, names: Sequence[str] = (), *, offline: bool = False) -> tuple[str, ...]:
        return tuple(f"{name}: no record has the field nmae" for name in names)

    def plan(
        self, name: str, parameters: Mapping[str, str], options: PlanOptions, *, keep: Path | None, progress: Progress
    ) -> PlanReport:
        progress.phase(Phase.LOAD, 10)
        progress.advance(10)
        self._asked(name=name, parameters=parameters, keep=keep, options=options)
        return self.report

    def run(self, name: str, parameters: Mapping[str, str], options: RunOptions, **more: Any) -> RunSummary:
        self._asked(name=name, parameters=parameters, options=options, **more)
        return self.summary

    def explain(self, name: str, parameters: Mapping[str, str]) -> tuple[Step, ...]:
        self._asked(name=name, parameters=parameters)
        return (Step("Shape the rows", "SELECT 1", "source.columns"),)

    def watermark(self, name: str, parameters: Mapping[str, str] | None = None) -> str | None:
        return self.marks.get(name)

    def set_watermark(self, name: str, value: str | None, parameters: Mapping[str, str]) -> None:
        self._asked(parameters=parameters)
        self.marks[name] = value

    def _asked(self, **asked: Any) -> None:
        self.asked = asked
        if self.raises is not None:
            raise self.raises


@dataclass(frozen=True, slots=True)
class Typed:
    """What a command left: its exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


@pytest.fixture
def fake() -> FakeApp:
    """The app that commands open."""
    return FakeApp()


@pytest.fixture
def typed(fake: FakeApp, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Typed]:
    """Types a command: `typed("plan", "customers")`."""
    monkeypatch.setenv("COLUMNS", "160")

    def type_it(*arguments: str) -> Typed:
        code = run(arguments, open_app=lambda: cast("App", fake))
        captured = capsys.readouterr()
        return Typed(code, captured.out, captured.err)

    return type_it


Type = Callable[..., Typed]


def test_a_plan_prints_counts_then_samples_then_the_next_command(typed: Type, fake: FakeApp) -> None:
    """Counts of both sides, what is to do, before and after per column, and how to go on."""
    done = typed("plan", "customers", "-p", "region=West=1", "--limit", "3")
    assert done.code == 2
    asked = {
        "parameters": {"region": "West=1", "tag": 0},
        "keep": None,
        "options": PlanOptions(sample=3, given={"region": "West=1"}),
    }
    assert fake.asked == {"name": "customers", **asked}
    for line in (
        "Source:                                12 records processed",
        "   Rejected:                            2",
        "   Create:                              2 records",
        "   Update:                              1 record",
    ):
        assert line in done.out
    assert "Müller & <Söhne>" in done.out
    assert "Next: dynamics-sync run customers" in done.out
    assert done.err == ""


def test_a_plan_in_json_is_one_object_and_nothing_else(typed: Type) -> None:
    """Standard output parses as a whole."""
    done = typed("plan", "customers", "--json")
    assert done.json["planned"]["created"] == 2
    assert done.json["checksum"] == CHECKSUM
    assert (done.json["requests"], done.json["throttled"]) == (3, 1)
    assert done.json["sample"][0]["columns"] == [{"column": "name", "before": "Müller & <Söhne>", "after": None}]
    assert done.err == ""


@pytest.mark.parametrize(
    ("report", "arguments", "code"),
    [
        (sound(planned()), (), 0),
        (sound(planned()), ("--detailed-exit-code",), 4),
        (sound(planned(changes=False)), ("--detailed-exit-code",), 0),
        (sound(planned(errors=True)), (), 0),
        (replace(sound(planned()), lacking=1), (), 2),
        (planned(errors=True), (), 2),
        (planned(errors=True), ("--detailed-exit-code",), 4),
        (planned(unsafe=True), ("--detailed-exit-code",), 3),
    ],
)
def test_the_exit_code_of_a_plan_depends_on_what_it_found(
    typed: Type, fake: FakeApp, report: PlanReport, arguments: tuple[str, ...], code: int
) -> None:
    """Unsafe before changes, changes only when asked for, then rejected rows."""
    fake.report = report
    assert typed("plan", "customers", *arguments).code == code


def test_an_unsafe_plan_names_the_limit_and_where_it_is_set(typed: Type, fake: FakeApp) -> None:
    """The limit and its numbers; the flag that overrides it is never suggested."""
    fake.report = planned(unsafe=True)
    done = typed("plan", "customers")
    assert "Refused as unsafe: it would update 1 of the target's 8 records" in done.out
    assert "change sync_behaviour.safety in the definition" in done.out
    assert "--force" not in done.out


def test_a_plan_whose_rows_were_rejected_tells_the_cause_and_suggests_no_run(typed: Type, fake: FakeApp) -> None:
    """One wrong date format is behind it, and neither a run nor a flag would help."""
    wrong = replace(REJECTED, column="since", message="not a date in dd-MM-yy", count=85)
    report = replace(planned(unsafe=True), source=RowCounts(processed=85, rejected=85), errors=(wrong,))
    fake.report = report
    done = typed("plan", "customers")
    assert (
        "All 85 rows were rejected; most often since is not a date in dd-MM-yy. Correct these rows first." in done.out
    )
    assert "dynamics-sync run" not in done.out
    assert typed("plan", "customers", "--json").json["cause"].startswith("All 85 rows were rejected")


def test_the_next_command_repeats_the_parameters_or_points_to_the_saved_plan(typed: Type, tmp_path: Path) -> None:
    """Without them another file would be synced."""
    out = typed("plan", "customers", "-p", "region=New West").out
    assert "Next: dynamics-sync run customers -p 'region=New West'\n" in out
    file = tmp_path / "a.plan"
    assert (
        f"Next: dynamics-sync run customers --plan {file}\n"
        in typed("plan", "customers", "-p", "region=West", "--out", str(file)).out
    )


def test_an_error_that_ended_a_run_is_followed_by_the_next_step(typed: Type, fake: FakeApp) -> None:
    """For people on standard error, for programs in the object."""
    error = AbortRun("it needs prvCreateAccount")
    error.add_note("dynamics-sync errors 0123456789 --csv DIR")
    fake.raises = error
    assert "Next: dynamics-sync errors 0123456789 --csv DIR" in typed("run", "customers").err
    assert typed("run", "customers", "--json").json["error"]["next"] == ["dynamics-sync errors 0123456789 --csv DIR"]


def test_a_plan_without_changes_is_one_sentence(typed: Type, fake: FakeApp) -> None:
    """Zeros are not the answer; with rows in error it is not said that both sides are equal."""
    fake.report = planned(changes=False)
    assert "No changes: the target equals the source" in typed("plan", "customers").out
    fake.report = replace(fake.report, errors=(REJECTED,))
    said = typed("plan", "customers").out
    assert ("No changes to write." in said, "equals" in said) == (True, False)


def test_a_saved_plan_is_applied_with_the_values_it_was_made_with_and_its_checksum(
    typed: Type, fake: FakeApp, tmp_path: Path
) -> None:
    """Every parameter keeps its value, also one that is another each time; what is given anew wins."""
    file = tmp_path / "plans" / "monday.json"
    saved = typed("plan", "customers", "-p", "region=West", "-p", "day=1", "--out", str(file))
    assert f"dynamics-sync run customers --plan {file}" in saved.out
    assert typed("run", "customers", "--plan", str(file), "-p", "day=2").code == 0
    assert fake.asked["options"].approved.checksum == CHECKSUM
    assert fake.asked["parameters"] == {"region": "West", "tag": 0, "day": "2"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("not a plan", "is not a plan"),
        ('{"sync": "customers", "checksum": "short"}', "is not a plan"),
    ],
)
def test_an_invalid_plan_file_is_refused_with_its_path(
    typed: Type, tmp_path: Path, content: str | None, said: str
) -> None:
    """The message names the file and starts no run."""
    file = tmp_path / "plan.json"
    if content is not None:
        file.write_text(content)
    done = typed("run", "customers", "--plan", str(file))
    assert (done.code, done.out) == (1, "")
    assert f"{file}: {said}" in done.err


def test_the_plan_of_another_sync_is_refused(typed: Type, tmp_path: Path) -> None:
    """A plan can be applied only to the sync of which it was made."""
    file = tmp_path / "plan.json"
    typed("plan", "customers", "--out", str(file))
    assert "is a plan of customers, not of orders" in typed("run", "orders", "--plan", str(file)).err


def test_a_plan_page_holds_everything_and_fetches_nothing(typed: Type, fake: FakeApp, tmp_path: Path) -> None:
    """One file with its styles, values escaped, no script and no address."""
    fake.report = planned(unsafe=True, errors=True)
    file = tmp_path / "plan.html"
    typed("plan", "customers", "--html", str(file))
    page = file.read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "Müller &amp; &lt;Söhne&gt;" in page
    assert "Max Length Violation" in page
    assert "Refused as unsafe" in page
    assert CHECKSUM in page
    assert not [word for word in ("<script", "http:", "https:", "src=", "url(") if word in page]


def test_a_file_that_cannot_be_written_is_an_error_without_a_traceback(typed: Type, tmp_path: Path) -> None:
    """The path and the system's reason."""
    (tmp_path / "file").write_text("")
    done = typed("plan", "customers", "--out", str(tmp_path / "file" / "plan.json"))
    assert done.code == 1
    assert "cannot be written" in done.err


def test_a_run_prints_its_counts(typed: Type, fake: FakeApp, tmp_path: Path) -> None:
    """Rows of both sides, done/planned, elapsed time and memory; options reach the app."""
    done = typed("run", "customers", "--force", "--keep-workspace", str(tmp_path / "kept.duckdb"))
    assert done.code == 0
    assert (fake.asked["options"].force, fake.asked["keep"]) == (True, tmp_path / "kept.duckdb")
    assert done.out.splitlines()[0] == "Data sync completed successfully."
    for line in (
        "   Filtered:                            2",
        "   Created:                           2/2 records",
        "   Updated:                           1/1 record",
        "   Deleted:                           0/0 records",
        " Total elapsed time         : 00:01:01.250",
        " Peak physical memory usage : 244.3 MB",
    ):
        assert line in done.out.splitlines()


def test_a_run_with_rejected_rows_shows_them_and_where_to_read_on(typed: Type, fake: FakeApp) -> None:
    """Exit code 2, the error table, the next command."""
    fake.summary = summarised(errors=True)
    done = typed("run", "customers")
    assert done.code == 2
    assert "completed with errors" in done.out
    assert "Max Length Violation" in done.out
    assert "Rows 4, 9" in done.out
    assert "Next: dynamics-sync errors run-1 --csv DIR" in done.out


def test_a_run_that_stopped_early_fails_with_the_reason(typed: Type, fake: FakeApp) -> None:
    """Exit code 1."""
    fake.summary = summarised(completed=False)
    done = typed("run", "customers")
    assert done.code == 1
    assert "Data sync failed: stopped before the end (errors)" in done.out


def test_a_run_in_json_has_at_least_the_promised_fields(typed: Type) -> None:
    """The names that programs rely on."""
    assert typed("run", "customers", "--json").json.keys() >= {
        "run_id", "sync", "state", "strategy", "source", "target", "created", "updated", "deleted", "expired",
        "unchanged", "ignored", "failed", "requests", "throttled", "retries", "elapsed_seconds", "peak_memory_mb",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("syncs/a.csv: no such file"), 1, "syncs/a.csv: no such file"),
        (UnsafePlanError("412 of 1,000; --force"), 3, "412 of 1,000"),
        (AbortRun("the secret is wrong"), 1, "the secret is wrong"),
        (RetryLater("Dataverse is unavailable", retry_after=30), 1, "Try again in 30 s."),
        (KeyboardInterrupt(), 130, "Stopped before the run ended"),
        (typer.Abort(), 130, "Stopped at the question. Nothing was changed."),
    ],
)
def test_every_known_error_is_one_message_and_one_exit_code(
    typed: Type, fake: FakeApp, error: BaseException, code: int, said: str
) -> None:
    """On standard error for people; as a JSON object too for programs."""
    fake.raises = error
    done = typed("run", "customers")
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err
    for_programs = typed("run", "customers", "--json")
    assert (for_programs.code, for_programs.json["exit_code"]) == (code, code)
    assert said in for_programs.json["error"]["message"]


def test_all_problems_of_a_definition_reach_people_and_programs(typed: Type, fake: FakeApp) -> None:
    """Each with its place."""
    fake.raises = DefinitionError(
        [Problem(message="unknown key nmae", file="a.yaml", line=3, column=5), Problem(message="no key")]
    )
    assert "a.yaml:3:5: unknown key nmae" in typed("plan", "customers").err
    assert len(typed("plan", "customers", "--json").json["error"]["problems"]) == 2


def test_an_unexpected_error_is_one_message_and_a_file(typed: Type, fake: FakeApp) -> None:
    """No traceback reaches the user; it is kept for the developers of the program."""
    fake.raises = ZeroDivisionError("secret detail")
    done = typed("run", "customers")
    assert done.code == 1
    assert "ZeroDivisionError" in done.err
    assert "Traceback" not in done.err
    assert "secret detail" not in done.err
    file = Path(done.err.rsplit("Details: ", 1)[1].strip())
    assert "ZeroDivisionError: secret detail" in file.read_text("utf-8")
    file.unlink()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plam", "customers"), "plam"),
        (("plan",), "write the name of a sync, or --all"),
        (("plan", "customers", "--nope"), "--nope"),
        (("plan", "customers", "-p", "region"), "write -p NAME=VALUE"),
        (("plan", "customers", "--limit", "many"), "--limit"),
    ],
)
def test_a_mistyped_command_has_exit_code_1_and_a_message(typed: Type, arguments: tuple[str, ...], said: str) -> None:
    """Not 2: that code means that a run completed with rejected rows."""
    done = typed(*arguments)
    assert (done.code, done.out) == (1, "")
    assert said in done.err


def test_without_a_command_the_help_is_shown(typed: Type) -> None:
    """It names every command."""
    done = typed()
    assert done.code == 0
    for command in ("validate", "plan", "run", "explain", "runs", "errors", "schema"):
        assert command in done.out


def test_the_help_lists_the_commands_by_task(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a new user needs comes first, and every command stands once."""
    monkeypatch.setenv("COLUMNS", "140")
    shown = re.findall(r"^│ ([a-z][a-z-]*) ", typed("--help").out, re.MULTILINE)
    assert shown[:9] == ["init", "new", "import-xml", "options", "keys", "test-connection", "validate", "plan", "run"]
    assert len(shown) == len({*shown}) == len(program.registered_commands)


def test_the_version_is_shown(typed: Type) -> None:
    """Without a command."""
    done = typed("--version")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("dynamics-sync ")


def test_a_flag_takes_no_value_in_the_help(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only options that take one show what it is."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line for line in typed("run", "--help").out.splitlines() if "--force" in line]
    assert len(lines) == 1
    assert "<bool>" not in lines[0]


@pytest.mark.parametrize("columns", ["80", "140"])
def test_the_help_of_every_command_is_in_words(typed: Type, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """No types of Python, no comparisons and no braces; what a person types in place of a value is in capitals."""
    monkeypatch.setenv("COLUMNS", columns)
    names = [command.name or command.callback.__name__ for command in program.registered_commands if command.callback]
    assert len(names) > 20
    for name in names:
        shown = typed(name.replace("_", "-"), "--help").out
        assert not re.search(r"<\w|\w>|<=|[{}]|\blist\[", shown), shown


def test_a_range_is_shown_and_checked(typed: Type) -> None:
    """What lies outside of it is refused as before."""
    assert "Runs to show, from 1 to 10,000." in typed("runs", "--help").out
    assert typed("runs", "--limit", "0").code == 1


def test_validate_lists_every_problem_and_fails(typed: Type, fake: FakeApp) -> None:
    """Exit code 1 with problems, 0 without; `--offline` and `--no-privileges` reach the app."""
    done = typed("validate", "customers", "--offline")
    assert (done.code, "Warning: customers: no record has the field nmae" in done.out) == (0, True)
    assert fake.asked == {"names": ("customers",), "offline": True, "privileges": True}
    assert typed("validate", "customers", "--no-privileges").code == 0
    assert fake.asked == {"names": ("customers",), "offline": False, "privileges": False}
    fake.problems = [Problem(message="one", file="a.yaml", line=1, column=2), Problem(message="two")]
    done = typed("validate", "--json")
    assert (done.code, done.json["valid"], len(done.json["problems"])) == (1, False, 2)
    assert "• a.yaml:1:2: one" in typed("validate").out


def test_explain_prints_each_step_as_sql(typed: Type) -> None:
    """Title, place and text."""
    assert "-- 1. Shape the rows (source.columns)" in typed("explain", "customers").out
    assert typed("explain", "customers", "--json").json["steps"] == [
        {"title": "Shape the rows", "origin": "source.columns", "sql": "SELECT 1"}
    ]


def test_a_watermark_is_shown_set_and_reset(typed: Type, fake: FakeApp) -> None:
    """Each form says where the next run begins; both at once are refused."""
    assert typed("watermark", "customers").out == "The next run of customers begins at 2024-01-31.\n"
    assert typed("watermark", "customers", "--set", "7", "-p", "region=South", "--json").json == {
        "sync": "customers",
        "watermark": "7",
    }
    assert fake.asked == {"parameters": {"region": "South"}}
    assert typed("watermark", "customers", "--reset").out == "The next run of customers reads all rows.\n"
    refused = typed("watermark", "customers", "--reset", "--set", "7")
    assert (refused.code, "not both" in refused.err, fake.marks) == (1, True, {"customers": None})


def test_runs_shows_the_log_newest_first(typed: Type) -> None:
    """As a table, and as JSON with all fields."""
    out = typed("runs", "customers", "--limit", "2").out
    assert "beef02" in out
    assert "cafe01" not in out
    assert typed("runs", "--json").json["runs"][0]["started"] == "2026-03-02T00:00:00+00:00"
    assert "No runs yet" in typed("runs", "orders").out


def test_runs_shows_what_is_requested_and_what_is_lost(typed: Type, fake: FakeApp) -> None:
    """A request is Queued; a row that says Running is Lost where its own run does not hold the lease."""
    newest = fake.state.records[0]
    running = [replace(newest, run_id=f"run{number}", state="Running", sync=f"s{number}") for number in range(3)]
    fake.state.records = tuple(running)
    fake.state.leases = {
        f"sync/s{number}": Lease(name=f"sync/s{number}", holder=holder, fence=1, expires=newest.started)
        for number, holder in ((0, "run0"), (1, "a later run"))
    }
    fake.state.requests = (JobRequest(id="job1", sync="s2", requested=newest.started + timedelta(days=1)),)
    shown = {run["run_id"]: run["state"] for run in typed("runs", "--json").json["runs"]}
    assert shown == {"job1": "Queued", "run0": "Running", "run1": "Lost", "run2": "Lost"}
    assert [run["run_id"] for run in typed("runs", "s0", "--json").json["runs"]] == ["run0"]
    out = typed("runs").out
    assert "Queued" in out
    assert "Lost" in out


@pytest.mark.parametrize("state", RunState)
def test_every_state_has_a_colour(state: RunState) -> None:
    """A state that is new to the table would be shown without one."""
    assert state.value in STYLES


def test_errors_finds_a_run_by_id_by_its_beginning_and_as_the_last(typed: Type) -> None:
    """The first rows are shown, the rest is counted."""
    for name in ("beef02", "beef02"[:6], "last"):
        out = typed("errors", name).out
        assert "Duplicate Key" in out
        assert "4, 5, …" in out
    assert "No row errors." in typed("errors", "caf").out
    assert "2 runs have an id that starts with beef" in typed("errors", "beef").err
    assert "There is no run nope" in typed("errors", "nope").err


@pytest.mark.parametrize("command", ["runs", "errors"])
def test_a_run_is_shown_with_its_request(typed: Type, command: str) -> None:
    """The id that `start` printed; a run of the command line has none."""
    assert "Request  feed01" in typed(command, "cafe01").out
    assert typed(command, "cafe01", "--json").json["request_id"] == "feed01"
    assert "Request" not in typed(command, "beef01").out


def test_errors_tells_how_the_run_ended_and_what_to_do(typed: Type, fake: FakeApp) -> None:
    """Run, sync, start, state, the whole message, and the next command with the parameters that the run was given."""
    long = f"The application user lacks prvCreateAccount. {'Ask an administrator. ' * 10}Then run it again"
    fake.state.records = (
        replace(fake.state.records[1], state="Failed", message=long, given={"file_path": "new data.csv"}),
    )
    done = typed("errors", "last")
    assert done.code == 0
    said = " ".join(done.out.split())
    for part in ("beef01", "customers", "2026-03-01 00:00:00 UTC, from the command line", "Failed", long):
        assert part in said
    assert "No row errors." in done.out
    assert "Next: dynamics-sync run customers -p 'file_path=new data.csv'" in done.out


def test_runs_shows_one_run_whole(typed: Type, fake: FakeApp) -> None:
    """By its id: parameters and counts too; a name that is neither a sync nor a run is refused."""
    fake.state.records = tuple(replace(each, parameters={"region": "North"}) for each in fake.state.records)
    done = typed("runs", "beef02")
    assert "region=North" in done.out
    assert "Created" in done.out
    assert "5 of 5" in done.out
    assert "Duplicate Key" in done.out
    value = typed("runs", "beef02", "--json").json
    assert (value["run"]["run_id"], len(value["errors"])) == ("beef02", 1)
    assert value["next"][0] == "dynamics-sync errors beef02 --csv DIR"
    assert "2 runs have an id that starts with beef" in typed("runs", "beef").err


def test_errors_writes_the_files_of_the_run(typed: Type, tmp_path: Path) -> None:
    """Under their own names, into a folder that is made."""
    done = typed("errors", "beef02", "--csv", str(tmp_path / "found"), "--json")
    file = tmp_path / "found" / "beef02_SourceErrors.csv"
    mend = tmp_path / "found" / "beef02_to_mend.csv"
    assert done.json["files"] == [str(file), str(mend)]
    assert file.read_bytes().startswith(b"Row,Rejected,Errors")
    assert mend.read_text("utf-8-sig") == '"No","to_mend_row","to_mend_reason"\n"=4","4","Duplicate Key"\n'
    assert done.json["to_mend"] == {"left": 1, "left_out": 9, "mended": [{"run_id": "caf1", "rows": 2}]}
    assert done.json["next"][:1] == [f"dynamics-sync retry beef02 --file {mend}"]
    assert "1 left, 2 mended in run caf1, 9 rows not kept: correct the source" in typed("errors", "beef02").out
