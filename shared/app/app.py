"""The program as the functions and the command line see it: definitions, batches, real time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shared.app.once import made_once
from shared.app.wiring import Wiring
from shared.dataverse import Dataverse, RetryPolicy
from shared.definitions import (
    Loaded,
    ParameterValue,
    Repository,
    SecretReference,
    SelfDescribing,
    SyncDefinition,
    resolve,
)
from shared.errors import DefinitionError, Problem, SyncError, UserError
from shared.jobs import (
    BatchJob,
    NoProgress,
    PlanOptions,
    PlanReport,
    Progress,
    RunOptions,
    RunSummary,
    Tools,
    explained,
    plan_batch,
    run_batch,
)
from shared.jobs.batch.disk_need import expected_disk
from shared.jobs.batch.watermarking import check_start, kept_value, set_by_person
from shared.redaction import register_secret
from shared.scripts import ScriptEngine
from shared.settings import Settings, environment
from shared.sources import Source, completed, open_source
from shared.state import JobQueue, RunRecord, StateStore
from shared.workspace import DiskSpace, QuickWorkspace, Step, Workspace, check_new_file

if TYPE_CHECKING:
    from shared.app.publishing import PublishedFile
    from shared.app.setting_up import SettingUp
    from shared.app.validation import Validation
    from shared.jobs.real_time.events import EventSync, EventTools, Listeners

__all__ = ["App"]

# Events that cannot be written go back to the host, which waits better than a function that is paid for by the second.
_EVENTS_SECONDS = 60.0


class App:
    """The program with its settings: what the functions and the command line ask for work.

    Args:
        settings: The settings of the environment.
        read_environment: Gives the environment as it is now; what `{env: NAME}` and `ENV('NAME')` read.
        disk_space: The temporary disk that the runs share; that of the settings when not given.
        state: The state store; that of the settings when not given.
        open_dataverse: Makes the client of an environment; see `Wiring`.
        clock: Monotonic seconds; see `Wiring`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        read_environment: Callable[[], Mapping[str, str]] = environment,
        disk_space: DiskSpace | None = None,
        state: StateStore | None = None,
        open_dataverse: Callable[..., Dataverse] = Dataverse,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._environment = read_environment
        self.disk_space = disk_space or DiskSpace(settings.workspace_temp, limit=settings.workspace_disk_bytes)
        self._given_state = state
        register_secret(*settings.secrets())
        self.wiring = Wiring(settings, read_environment, open_dataverse, clock)

    # -- Definitions ---------------------------------------------------------------------------------------------

    @property
    def _repository(self) -> Repository:
        return self.wiring.repository

    def definitions(self) -> tuple[Loaded, ...]:
        """Every file of a sync: its definition, or the problems that it has."""
        return self._repository.loaded()

    def runnable(self) -> tuple[SyncDefinition, ...]:
        """The definitions without problems."""
        return self._repository.definitions()

    def definition(self, name: str) -> SyncDefinition:
        """One definition.

        Raises:
            DefinitionError: Its file has problems.
            UserError: There is no such definition.
        """
        return self._repository.find(name)

    def validate(self, names: Sequence[str] = (), *, offline: bool = False, privileges: bool = True) -> list[Problem]:
        """Every problem of the named definitions, or of all and of the connections; see `Validation.problems`."""
        return self._validation.problems(names, offline=offline, privileges=privileges)

    def warnings(self, names: Sequence[str] = (), *, offline: bool = False) -> tuple[str, ...]:
        """What may be a mistake in the named definitions, or in all; see `problems` for `offline`."""
        return self._validation.warnings(names, offline=offline)

    @property
    def _validation(self) -> Validation:
        from shared.app.validation import Validation  # noqa: PLC0415 - runs do without it

        return Validation(
            wiring=self.wiring, parameters=self.parameters, completed=self._completed, dataverse=self.dataverse
        )

    @property
    def setting_up(self) -> SettingUp:
        """What people ask before the first run."""
        from shared.app.setting_up import SettingUp  # noqa: PLC0415 - runs do without it

        return SettingUp(self)

    def _placed(self, definition: SyncDefinition, problems: Sequence[Problem]) -> tuple[Problem, ...]:
        """Give problems that were found by path the file, line and column of that path."""
        return self._repository.placed(definition.name, problems)

    def publish(self, folder: Path, url: str, *, overwrite: Collection[str] = ()) -> tuple[PublishedFile, ...]:
        """Copy the definitions of a folder into a container; see `shared.app.publishing.publish`."""
        from shared.app.publishing import container_of, publish  # noqa: PLC0415 - only pipelines need it

        container = container_of(url, self.wiring.open_blobs, self.settings.blob_endpoint)
        return publish(folder, container, overwrite=overwrite)

    # -- Work ----------------------------------------------------------------------------------------------------

    def plan(
        self,
        name: str,
        parameters: Mapping[str, ParameterValue] | None = None,
        options: PlanOptions | None = None,
        *,
        keep: Path | None = None,
        progress: Progress | None = None,
    ) -> PlanReport:
        """Do everything but the writing; see `shared.jobs.plan_batch` for what it raises."""
        definition, values = self.joined(name, parameters)
        options = options or PlanOptions()
        run = RunOptions(fresh=options.fresh, given=parameters or {} if options.given is None else options.given)
        job = BatchJob(definition=definition, parameters=values, options=run)
        with self.located(definition), self.tools(definition, values, keep, progress) as tools:
            return plan_batch(job, tools, options)

    def run(
        self,
        name: str,
        parameters: Mapping[str, ParameterValue] | None = None,
        options: RunOptions | None = None,
        *,
        keep: Path | None = None,
        progress: Progress | None = None,
    ) -> RunSummary:
        """Run one sync; see `shared.jobs.run_batch` for what it raises.

        Args:
            name: The sync.
            parameters: What overrides the definition's parameters.
            options: How the run is started, and what limits it; a run from the command line by default.
            keep: A file to leave the run's workspace in.
            progress: Gets phases and numbers of rows.
        """
        definition, values = self.joined(name, parameters)
        check_new_file(keep)
        options = options or RunOptions()
        if options.given is None:
            options = replace(options, given=parameters or {})
        job = BatchJob(definition=definition, parameters=values, options=options)
        last = self.state.last_run(name)
        with self.located(definition), self.tools(definition, values, keep, progress, last) as tools:
            return run_batch(job, tools)

    def watermark(self, name: str, parameters: Mapping[str, ParameterValue] | None = None) -> str | None:
        """How far a run with these parameters has read its source: a value of its column; None for nothing."""
        definition, values = self.joined(name, parameters)
        return kept_value(definition, values, parameters or {}, self.state)

    def set_watermark(
        self, name: str, value: str | None, parameters: Mapping[str, ParameterValue] | None = None
    ) -> None:
        """Give a sync another watermark, or none; see `check_start` and `set_by_person` for what it raises."""
        definition, values = self.joined(name, parameters)
        with self.located(definition):
            check_start(definition, partial(self.source, definition, values), self.open_small, value)
        set_by_person(definition, values, parameters or {}, self.state, value)

    def expected_disk(self, name: str, parameters: Mapping[str, ParameterValue] | None = None) -> int:
        """Bytes of temporary disk that a run is expected to use; the least where it cannot be told before it begins."""
        try:
            definition, values = self.joined(name, parameters)
            return expected_disk(self.state.last_run(name), self.source(definition, values).readable)
        except UserError:  # the run itself says what is wrong
            return expected_disk(None)

    def explain(self, name: str, parameters: Mapping[str, ParameterValue] | None = None) -> tuple[Step, ...]:
        """The SQL of every step of a run."""
        definition, values = self.joined(name, parameters)
        with closing(self.dataverse(definition, values)) as dataverse:
            entity = dataverse.tables_of(definition)
            updates = [step.update.entity for step in definition.post_sync if step.update is not None]
            tables = {name: dataverse.entity(name) for name in updates}
        with self.located(definition):
            definition = self._completed(definition, values)
            return explained(definition, entity, started=datetime.now(UTC), tables=tables)

    def variables(self) -> Mapping[str, str]:
        """The environment variables as they are now."""
        return self._environment()

    def parameters(
        self, definition: SyncDefinition, overrides: Mapping[str, ParameterValue]
    ) -> Mapping[str, ParameterValue]:
        """The value of every parameter for one run.

        Raises:
            UserError: An override is unknown, or a parameter has no value.
        """
        variables = self._environment()
        secrets = {*self._repository.secret_variables(), *Settings.secret_names()}
        register_secret(*(variables.get(name, "") for name in secrets))
        return resolve(definition, overrides, environment=variables, now=datetime.now(UTC), secrets=secrets)

    def joined(
        self, name: str, overrides: Mapping[str, ParameterValue] | None
    ) -> tuple[SyncDefinition, Mapping[str, ParameterValue]]:
        """A definition as a run takes it, with the keys of its connections, and the values of its parameters."""
        definition = self.definition(name)
        values = self.parameters(definition, overrides or {})
        return self._join(definition, values), values

    def _join(self, definition: SyncDefinition, values: Mapping[str, ParameterValue]) -> SyncDefinition:
        with self.located(definition):
            return self._repository.joined(definition, values)

    # -- Real time -----------------------------------------------------------------------------------------------

    def event_sync(self, definition: SyncDefinition) -> EventSync:
        """A definition as real time takes it."""
        from shared.jobs.real_time.events import EventSync  # noqa: PLC0415 - batches do without real time

        return EventSync(definition=definition, resolve=partial(self.parameters, definition, {}), join=self._join)

    def listeners(self) -> Listeners:
        """The syncs that listen, as their definitions are now."""
        from shared.jobs.real_time.events import Listeners  # noqa: PLC0415 - batches do without real time

        loaded = self.definitions()
        return Listeners(
            syncs=tuple(
                self.event_sync(definition)
                for each in loaded
                if (definition := each.definition) is not None and definition.listener and definition.listener.enabled
            ),
            complete=not any(each.may_hide_a_listener for each in loaded),
        )

    @made_once
    def event_tools(self) -> EventTools:
        """What real time works with: environments, open workspaces and metadata outlive a batch of events."""
        from shared.jobs.real_time.events import EventTools, WarmWorkspace  # noqa: PLC0415 - batches do without real time

        # A batch is a few hundred rows: more threads would only wait for each other.
        memory, folder = self.settings.workspace_memory, self.settings.workspace_temp or None
        open_workspace = partial(WarmWorkspace.open, memory_limit=memory, temp_folder=folder, threads=1)
        open_ledger = partial(Workspace.open, memory_limit=memory, temp_folder=folder, threads=1)
        connect = partial(self.wiring.connected, retry_policy=RetryPolicy(seconds=_EVENTS_SECONDS))
        return EventTools.wired(self.state, connect, open_workspace, self.wiring.open_url, open_ledger)

    # -- Wiring --------------------------------------------------------------------------------------------------

    @made_once
    def state(self) -> StateStore:
        """The state store that was given, or that the settings name."""
        return self._given_state or self.wiring.open_state()

    @made_once
    def queue(self) -> JobQueue | None:
        """The queue that wakes up the deployed app for a job; None where the state is a file of this machine."""
        return self.wiring.open_queue()

    def lane(self, name: str, parameters: Mapping[str, ParameterValue]) -> str:
        """What the runs of one environment and its application users share; empty where the run will say why not."""
        try:
            definition, values = self.joined(name, parameters)
            return self.wiring.lane(definition.destination, values)
        except SyncError:
            return ""

    def secret(self, reference: SecretReference, *, fresh: bool = False) -> str:
        """The value behind a reference; see `SecretStore.get` for what it raises."""
        return self.wiring.secret(reference, fresh=fresh)

    def dataverse(self, definition: SyncDefinition, values: Mapping[str, ParameterValue]) -> Dataverse:
        """A client for a definition's environment, signed in as its application users."""
        return self.wiring.connected(
            definition, values, bulk_delete_from=definition.destination.options.bulk_delete_from
        )

    def source(self, definition: SyncDefinition, values: Mapping[str, ParameterValue]) -> Source:
        """The source of a definition; nothing is opened yet."""
        return open_source(definition.source, self.wiring.source_context(values))

    def _completed(self, definition: SyncDefinition, values: Mapping[str, ParameterValue]) -> SyncDefinition:
        """A definition with the columns and types that only its source knows."""
        if not isinstance(definition.source, SelfDescribing):
            return definition
        source = self.source(definition, values)
        with self.open_small(source.readable) as workspace:
            return completed(definition, source, workspace)

    def open_small(self, readable: Sequence[str]) -> Workspace:
        """A workspace in memory for a look at a source, which may read some local files."""
        folder, memory = self.settings.workspace_temp or None, self.settings.workspace_memory
        return Workspace.open(memory_limit=memory, temp_folder=folder, readable=readable)

    @contextmanager
    def tools(
        self,
        definition: SyncDefinition,
        values: Mapping[str, ParameterValue],
        keep: Path | None,
        progress: Progress | None,
        last: RunRecord | None = None,
        source: Source | None = None,
    ) -> Iterator[Tools]:
        """What a run of a definition works with, for the length of a `with` block; a source that is given is small."""
        context = self.wiring.source_context(values, counted=lambda meter: dataverse.service.meter.include(meter))  # noqa: PLW0108 - it is opened below
        read, shown = source or open_source(definition.source, context), progress or NoProgress()

        def open_workspace() -> Workspace:
            # A source whose files are missing says so here: inside the run, so that the log has it.
            readable = read.readable
            if keep is None:
                use.needed = expected_disk(last, () if source else readable)
                self.disk_space.require(definition.name, use.needed)
            # The records of a mirror are in its files, which leaves memory free.
            kind = QuickWorkspace if definition.destination.mirror else Workspace
            workspace = kind.open(
                memory_limit=self.settings.workspace_memory,
                temp_folder=self.settings.workspace_temp or None,
                file=keep,
                on_disk=True,
                readable=readable,
            )
            use.watch(workspace.folder)
            return workspace

        with (
            closing(self.dataverse(definition, values)) as dataverse,
            closing(ScriptEngine()) as scripts,
            self.disk_space.used_by(definition.name) as use,
        ):
            dataverse.service.meter.watch(shown.throttled)
            yield Tools(
                dataverse=dataverse,
                source=read,
                state=self.state,
                open_workspace=open_workspace,
                disk=use,
                progress=shown,
                scripts=scripts,
                steps=self.wiring.step_context(values),
                environment=self.wiring.lane(definition.destination, values),
                daily_requests=self.settings.daily_requests,
                journal=self.settings.journal_days > 0,
            )

    @contextmanager
    def located(self, definition: SyncDefinition) -> Iterator[None]:
        """Give the problems of a definition, found against metadata, their file, line and column."""
        try:
            yield
        except DefinitionError as error:
            raise DefinitionError(self._placed(definition, error.problems)) from None
