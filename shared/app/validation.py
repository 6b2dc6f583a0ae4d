"""What `validate` finds beyond the text of a definition: in its expressions, metadata, source, hosts and schemas."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from shared.app.source_check import SourceCheck
from shared.app.wiring import Wiring
from shared.dataverse import Dataverse
from shared.definitions import ParameterValue, SelfDescribing, SyncDefinition, names_in, names_used
from shared.definitions.parameters import is_required
from shared.errors import AbortRun, DefinitionError, Problem, SyncError, UserError
from shared.jobs.scripting import script_problems
from shared.jobs.validation import filter_doubts, mirror_doubts, online_problems, privilege_problems
from shared.transform import check_expressions
from shared.transform.profile.doubts import doubts

__all__ = ["Validation", "without_value"]

_Values = Mapping[str, ParameterValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Checks the definitions and connections of a folder.

    Attributes:
        wiring: Gives the folder, clients, and what a source needs.
        parameters: The values of a definition's parameters, with overrides.
        completed: A definition with the columns and types that only its source knows.
        dataverse: A client for a definition's environment.
    """

    wiring: Wiring
    parameters: Callable[[SyncDefinition, _Values], _Values]
    completed: Callable[[SyncDefinition, _Values], SyncDefinition]
    dataverse: Callable[[SyncDefinition, _Values], Dataverse]

    def problems(self, names: Sequence[str], *, offline: bool, privileges: bool = True) -> list[Problem]:
        """Every problem of the named definitions, or of all and of the connections.

        Args:
            names: Names of syncs; none means all, and the connections too.
            offline: Leave out what needs the network.
            privileges: Check what the application users may do; else only that the tables can be read.

        Raises:
            UserError: There is no such sync.
        """
        repository = self.wiring.repository
        files = repository.loaded()
        for name in {*names} - {loaded.name for loaded in files}:
            repository.find(name)
        connections = () if names else repository.connections().files
        found = [problem for file in connections for problem in file.problems]
        for loaded in files:
            if names and loaded.name not in names:
                continue
            found += loaded.problems
            if loaded.definition is not None:
                checked = self._of(loaded.definition, offline=offline, privileges=privileges)
                found += repository.placed(loaded.name, checked)
        return found

    def warnings(self, names: Sequence[str], *, offline: bool) -> tuple[str, ...]:
        """What may be a mistake in the named definitions, or in all: nothing of it keeps a run from starting.

        Args:
            names: Names of syncs; none means all.
            offline: Leave out what needs the network.
        """
        repository, found = self.wiring.repository, list[str]()
        for loaded in repository.loaded():
            definition = loaded.definition
            if definition is None or (names and loaded.name not in names):
                continue
            said = self._source_check(offline=True).warnings(definition, without_value(definition))
            found += (f"{loaded.name}: {warning}" for warning in said)
            if not offline:
                found += map(str, repository.placed(loaded.name, self._doubts(definition)))
        return tuple(found)

    def _doubts(self, definition: SyncDefinition) -> Sequence[Problem]:
        try:
            absent = without_value(definition)
            values = self.parameters(definition, absent)
            joined = _without_absent(self.wiring.repository.joined(definition, values), absent)
            with closing(self.dataverse(joined, values)) as dataverse:
                entity = dataverse.tables_of(joined)
            of_filter = filter_doubts(joined, entity, values, absent.keys())
            return (*doubts(joined, entity), *mirror_doubts(joined, entity), *of_filter)
        except SyncError:  # `problems` tells of it
            return ()

    def _of(self, definition: SyncDefinition, *, offline: bool, privileges: bool) -> Sequence[Problem]:
        from shared.events.selection import listener_problems  # noqa: PLC0415 - runs do without it

        found = [*_never_given(definition)]
        found += self._source_check(offline=offline).problems(definition, without_value(definition))
        found += self.wiring.repository.default_problems(definition) or (
            _of_expressions(definition)
            if offline
            else (*self._of_metadata(definition, privileges=privileges), *self._of_schema(definition))
        )
        return [*found, *script_problems(definition), *listener_problems(definition), *self._of_hosts(definition)]

    def _of_schema(self, definition: SyncDefinition) -> tuple[Problem, ...]:
        """Whether the schema of Avro events can be read."""
        if definition.listener is None or definition.listener.topic.schema_path is None:
            return ()
        from shared.jobs.real_time.schemas import Schemas  # noqa: PLC0415 - only definitions with Avro events need it

        return Schemas(self.wiring.open_url).problems(definition.listener.topic.schema_path)

    def _of_metadata(self, definition: SyncDefinition, *, privileges: bool) -> tuple[Problem, ...]:
        # Values that a run must give are unknown here; only the service's address matters, which rarely depends on
        # them.
        absent = without_value(definition)
        place = "destination"
        try:
            values = self.parameters(definition, absent)
            if absent.keys() & names_in(definition.destination.connection or ""):
                return _of_expressions(definition)  # only a run knows the environment
            definition = _without_absent(self.wiring.repository.joined(definition, values), absent)
            if isinstance(definition.source, SelfDescribing) and not definition.source.has_all_columns:
                if absent.keys() & names_used(definition.source, without=["columns"]):
                    return ()  # only a run knows the source, and only the source knows the columns
                place = "source"
                definition = self.completed(definition, values)
                place = "destination"
            with closing(self.dataverse(definition, values)) as dataverse:
                found = online_problems(definition, dataverse, values, absent.keys())
                return (*found, *(privilege_problems(definition, dataverse) if privileges else ()))
        except DefinitionError as error:
            return tuple(error.problems)
        except SyncError as error:  # the metadata cannot be had: that is this definition's problem, not the others'
            path = error.path if isinstance(error, AbortRun) and error.path else place
            return (*_of_expressions(definition), Problem(message=error.message, path=path))

    def _source_check(self, *, offline: bool) -> SourceCheck:
        return SourceCheck(wiring=self.wiring, parameters=self.parameters, completed=self.completed, offline=offline)

    def _of_hosts(self, definition: SyncDefinition) -> tuple[Problem, ...]:
        """Hosts of the source and of steps that a run would refuse."""
        from shared.other_systems.reachable import unreachable_steps  # noqa: PLC0415 - runs do without it
        from shared.sources.rest.reachable import unreachable  # noqa: PLC0415 - runs do without it

        absent = without_value(definition)
        try:
            values = {name: each for name, each in self.parameters(definition, absent).items() if name not in absent}
            steps = self.wiring.step_context(values)
            return (
                *unreachable(definition.source, self.wiring.source_context(values)),
                *unreachable_steps(definition, steps),
            )
        except UserError:  # a value that only a run has, or a connection that is not there: then the run says so
            return ()


def _of_expressions(definition: SyncDefinition) -> tuple[Problem, ...]:
    """The mistakes in the expressions of a definition; none where only its source knows columns or types."""
    return check_expressions(definition) if definition.source.has_all_columns else ()


def _without_absent(definition: SyncDefinition, absent: Collection[str]) -> SyncDefinition:
    """A definition without the user on whose behalf it writes, where only a run knows that one."""
    destination = definition.destination
    if not {*absent} & {*names_in(destination.options.run_as or "")}:
        return definition
    options = destination.options.model_copy(update={"run_as": None})
    return definition.model_copy(update={"destination": destination.model_copy(update={"options": options})})


def without_value(definition: SyncDefinition) -> dict[str, ParameterValue]:
    """The parameters whose value only a run has, each with an empty text."""
    return {name: "" for name, each in definition.parameters.items() if is_required(each)}


def _never_given(definition: SyncDefinition) -> Iterator[Problem]:
    """Parameters whose value only a run has, where runs or events begin by themselves: none of them would succeed."""
    listens = definition.enabled and definition.listener is not None and definition.listener.enabled
    begun = [("runs of the schedule", definition.timetable is not None), ("events", listens)]
    begun_by = " and ".join(name for name, is_there in begun if is_there)
    for name in without_value(definition) if begun_by else ():
        message = f"{begun_by} cannot be given a value for this parameter: add a default or a formula"
        yield Problem(message=message, path=f"parameters.{name}")
