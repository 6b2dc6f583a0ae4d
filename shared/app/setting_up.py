"""What people ask before the first run: options, keys, and a test of the connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shared.app.environments import ChosenEnvironment, chosen_environment
from shared.clock import SystemClock
from shared.dataverse.http.service import Meter
from shared.definitions import ParameterValue, SecretReference, SyncDefinition, names_in
from shared.drafts.first_definition import Draft
from shared.errors import UserError
from shared.jobs import BatchJob, NoProgress, Phase, Progress
from shared.jobs.setting_up.connection_test import Check, CheckTools, connection_checks, secrets_in
from shared.jobs.setting_up.drafting import DraftTarget, drafted, with_key
from shared.jobs.setting_up.keys import KeyReport, MadeKey, make_key, proposed_keys
from shared.sources import SourceContext, open_source
from shared.sources.first_look import FirstLook, look_at, of_connection
from shared.views.options import ColumnOptions, options_of_column

if TYPE_CHECKING:
    from shared.app.app import App

__all__ = ["DraftRequest", "SettingUp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRequest:
    """What a first definition is asked for.

    Attributes:
        name: Name of the sync.
        source: A path, a URL, or the name of a connection.
        entity: The table that it writes to.
        table: With a connection: the table, view, path or query that is read.
        connection: The connection of the destination.
    """

    name: str
    source: str
    entity: str
    table: str | None = None
    connection: str | None = None


class SettingUp:
    """The app for people who write definitions.

    Args:
        app: The program with its settings.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    def options(self, table: str, column: str, connection: str | None = None) -> ColumnOptions:
        """The options of a choice column.

        Args:
            table: Logical name, entity set name or display name.
            column: Logical name or display name.
            connection: See `chosen_environment`.

        Raises:
            SyncError: The environment cannot be asked, or has no such column.
        """
        with closing(self._app.wiring.environment(self._chosen(connection).environment)) as dataverse:
            return options_of_column(dataverse.entity(table), column)

    def draft(self, wanted: DraftRequest, progress: Progress | None = None) -> Draft:
        """A first definition from a source and a table.

        Args:
            wanted: The source, the table and the names.
            progress: Gets phases and numbers of rows.

        Raises:
            SyncError: The source or the environment cannot be read.
        """
        app, chosen = self._app, self._chosen(wanted.connection)
        if progress:
            progress.phase(Phase.LOAD)
        context = app.wiring.source_context({})
        look = self._look(wanted, context)
        with closing(app.wiring.environment(chosen.environment)) as dataverse:
            place = DraftTarget(
                name=wanted.name,
                dataverse=dataverse,
                entity=dataverse.entity(wanted.entity),
                destination=chosen.destination,
                parameters=chosen.parameters,
            )
            draft = drafted(look, place, context, app.open_small)
        return with_key(draft, lambda definition: self._proposed(definition, progress))

    def _look(self, wanted: DraftRequest, context: SourceContext) -> FirstLook:
        """What the source is: a connection that the folder has, else a path."""
        named = {file.name for file in self._app.wiring.repository.connections().files}
        if wanted.source not in named:
            if wanted.table is not None:
                raise UserError(
                    f"--table is for a source that is a connection, and there is none named {wanted.source}"
                )
            return look_at(wanted.source, context)
        return of_connection(self._app.wiring.repository.connection(wanted.source), wanted.table)

    def _proposed(self, definition: SyncDefinition, progress: Progress | None) -> KeyReport:
        app = self._app
        values = app.parameters(definition, {})
        joined = app.wiring.repository.joined(definition, values)
        with app.tools(joined, values, None, progress or NoProgress()) as tools:
            return proposed_keys(BatchJob(definition=joined, parameters=values), tools)

    def _chosen(self, connection: str | None) -> ChosenEnvironment:
        files = self._app.wiring.repository.connections().files
        return chosen_environment(files, self._app.variables(), connection)

    def keys(
        self,
        name: str,
        parameters: Mapping[str, ParameterValue] | None = None,
        *,
        create_within: float | None = None,
        progress: Progress | None = None,
    ) -> tuple[KeyReport, MadeKey | None]:
        """The sync keys that are possible, and with `create_within` (seconds) the alternate key that was made.

        Raises:
            SyncError: See `proposed_keys` and `make_key`.
        """
        definition, values = self._app.joined(name, parameters)
        with (
            self._app.located(definition),
            self._app.tools(definition, values, None, progress or NoProgress()) as tools,
        ):
            report = proposed_keys(BatchJob(definition=definition, parameters=values), tools)
            if create_within is None:
                return report, None
            return report, make_key(definition, report, tools, seconds=create_within)

    def connection_checks(self, name: str, parameters: Mapping[str, ParameterValue] | None = None) -> Iterator[Check]:
        """Check whether everything is there that a sync needs.

        Raises:
            UserError: There is no such sync, its definition has problems, or a parameter has no value.
        """
        app = self._app
        definition, values = app.joined(name, parameters)
        throttles = Meter()
        parts = CheckTools(
            secret=partial(app.secret, fresh=True),
            secrets=self._secrets_of(definition),
            dataverse=lambda: closing(app.dataverse(definition, values)),
            source=lambda: open_source(definition.source, app.wiring.source_context(values, None, throttles.include)),
            throttled=lambda: throttles.usage().throttled,
            open_workspace=app.open_small,
            clock=SystemClock(),
        )
        return connection_checks(definition, parts)

    def _secrets_of(self, definition: SyncDefinition) -> list[tuple[str, SecretReference]]:
        """The references of a definition and of the connection that its source names, with their places."""
        found = [*secrets_in(definition.destination, "destination"), *secrets_in(definition.source, "source")]
        named = getattr(definition.source, "connection", None)
        if isinstance(named, str) and not names_in(named):
            found += secrets_in(self._app.wiring.repository.connection(named), f"connection {named}")
        return found
