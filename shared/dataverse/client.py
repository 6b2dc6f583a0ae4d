"""`Dataverse`: one environment as the jobs see it: its tables, a reader and a writer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.clock import Clock, SystemClock
from shared.dataverse.calls.operations import Operation, operation_names, read_operations
from shared.dataverse.calls.sending import CallTarget, call
from shared.dataverse.changes import NO_LIMITS, Change, Outcome, Skipped, WriteLimits
from shared.dataverse.course import Course
from shared.dataverse.http.connection import Connection
from shared.dataverse.http.keys import key_values, lookups
from shared.dataverse.http.service import Call, Service, Usage
from shared.dataverse.http.tokens import TokenProvider
from shared.dataverse.http.waiting import WaitStoppedError
from shared.dataverse.metadata.messages import read_messages
from shared.dataverse.metadata.tables import MetadataCache, read_entity
from shared.dataverse.read.fetching import fetched_pages
from shared.dataverse.read.greatest import greatest_value
from shared.dataverse.read.holders import read_holders
from shared.dataverse.read.page_rows import exact_digits
from shared.dataverse.read.paging import limited_pages
from shared.dataverse.read.reader import (
    ReadReport,
    Records,
    keyed_queries,
    read_keyed,
    read_table,
    select_query,
    table_query,
)
from shared.dataverse.read.references import SearchedValues, read_reference
from shared.dataverse.read.tracking import Tracking
from shared.dataverse.read.views import view_query
from shared.dataverse.write.bulk_delete import BulkDeleting
from shared.dataverse.write.chunks import MESSAGES, Target
from shared.dataverse.write.controller import ELASTIC_ROWS, Controller, Sizes
from shared.dataverse.write.links import link_changes
from shared.dataverse.write.senders import ThreadSenders
from shared.dataverse.write.sending_users import SendingUser
from shared.dataverse.write.writer import SendResult, Writing
from shared.definitions.models import SyncDefinition
from shared.entities import EntityMetadata
from shared.errors import AbortRun, DefinitionError, Problem, RequestsLeft
from shared.http.transport import HttpTransport, Transport
from shared.transform import related_tables
from shared.transform.lookups.columns import Reference
from shared.transform.targets import TargetColumn
from shared.workspace import Table, Workspace

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the parser is loaded only where there is a query

__all__ = ["DEFAULT_PARALLEL", "Dataverse"]

DEFAULT_PARALLEL = 4  # where the service gives no hint

_SMALLER_ANSWERS = "map fewer columns of long text, or select fewer records with destination.filter"


class Dataverse:
    """One environment.

    Args:
        connection: Where it is and how to speak to it.
        tokens: One token provider for each application user; requests are spread over them.
        clock: Time; the machine's own by default.
        transport: Sends requests; real HTTP by default.
        cache: Metadata that outlives this object, such as a process's.
        controllers: Makes the limits of one application user for writes to a table; by default they begin with the
            degree of parallelism that the service recommends.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        tokens: Sequence[TokenProvider],
        clock: Clock | None = None,
        transport: Transport | None = None,
        cache: MetadataCache | None = None,
        controllers: Callable[[EntityMetadata], Controller] | None = None,
    ) -> None:
        self.service = Service(
            connection,
            transport=transport
            or HttpTransport(connections=connection.parallel * max(1, len(tokens)), remedy=_SMALLER_ANSWERS),
            users=tokens,
            clock=clock or SystemClock(),
        )
        self.until = self.service.until  # limits what is sent in a block
        self.environment = connection.environment  # the host
        self._cache = cache or MetadataCache()
        self._controllers = controllers or self._controller
        self._operations: dict[str, tuple[Operation, ...]] = {}
        self._targets: dict[str, Target] = {}
        self._sending_users: dict[str, list[SendingUser]] = {}
        self.course = Course()  # how everything that this client writes goes over time

    def entity(self, name: str) -> EntityMetadata:
        """A table by logical name, entity set name or display name; see `read_entity`."""
        return read_entity(self.service, name, self._cache)

    def tables_of(self, definition: SyncDefinition) -> EntityMetadata:
        """The table that a definition writes to, with the tables that its lookups refer to.

        Raises:
            DefinitionError: The environment lacks one of those.
            AbortRun: The environment lacks the table, or refuses everything.
            RetryLater: The service is unavailable.
        """
        entity = self._with_parties(self.entity(definition.destination.entity), definition)
        related = {}
        for name in sorted(related_tables(definition, entity)):
            try:
                related[name] = self.entity(name)
            except AbortRun as error:
                raise DefinitionError([Problem(message=error.message, path="destination.mappings")]) from error
        return replace(entity, related=related) if related else entity

    def _with_parties(self, entity: EntityMetadata, definition: SyncDefinition) -> EntityMetadata:
        """An activity with what its mapped lists of parties can refer to: they are records of another table."""
        named = (entity.attributes.get(mapping.target) for mapping in definition.destination.mappings)
        lists = [attribute for attribute in named if attribute is not None and attribute.is_list]
        if not lists:
            return entity
        party = self.entity("activityparty").attributes["partyid"]
        changed = {
            each.name: replace(each, targets=each.targets or party.targets, navigation=party.navigation)
            for each in lists
        }
        return replace(entity, attributes={**entity.attributes, **changed})

    def try_filter(self, entity: EntityMetadata, condition: str) -> None:
        """Ask for one record that a filter lets through, to check whether the service accepts it.

        Args:
            entity: The table.
            condition: An OData filter, as `read` takes it.

        Raises:
            UserError, RequestRefused, AbortRun, RetryLater: As `read`.
        """
        path = f"{table_query(entity, (), condition)}&$top=1"
        self.service.fetch(Call(path=path, table=entity.logical_name))

    def read(
        self,
        workspace: Workspace,
        entity: EntityMetadata,
        layout: Sequence[TargetColumn],
        *,
        condition: str | None = None,
        keys: Iterable[str] | None = None,
        into: str = Table.CURRENT,
    ) -> ReadReport:
        """Read records into the workspace's table `current`, or one of its form, which has to exist.

        Args:
            workspace: The run's database.
            entity: The table.
            layout: Columns to read.
            condition: An OData filter, parameters already bound, not percent-encoded.
            keys: Only records with these keys: JSON objects of the sync key's columns, as in `Change.key`. `current`
                then stores its keys.
            into: The name of the table.

        Raises:
            UserError: The filter is too long for a URL.
            RequestRefused: The service refuses the query, such as a filter that it does not understand.
            AbortRun: No privilege, no such table.
            RetryLater: The service is unavailable.
        """
        if keys is None:
            return read_table(workspace, self.service, Records(entity=entity, layout=layout, into=into), condition)
        records = Records(entity=entity, layout=layout, into=into, stored_keys=True)
        return read_keyed(workspace, self.service, records, map(key_values, keys), condition)

    def tracking(self, entity: EntityMetadata) -> Tracking:
        """What has changed in a table since a moment."""
        return Tracking(self.service, entity)

    def read_reference(
        self, workspace: Workspace, reference: Reference, values: SearchedValues, *, condition: str | None = None
    ) -> ReadReport:
        """Read the records that lookups search; see `shared.dataverse.read.references.read_reference`.

        Raises:
            RequestRefused: The service refuses the query, such as a filter that it does not understand.
            AbortRun: No privilege, no such table.
            RetryLater: The service is unavailable.
        """
        return read_reference(workspace, self.service, reference, condition, values)

    def rows(
        self,
        entity: EntityMetadata,
        columns: Sequence[str],
        condition: str | None,
        *,
        annotations: Sequence[str],
        exact: Sequence[str],
        most: int | None = None,
    ) -> Iterator[bytes]:
        """The records of a table, or the first ones, each page as its JSON array.

        Args:
            entity: The table.
            columns: The properties to select, such as `name` and `_ownerid_value`.
            condition: An OData filter, not percent-encoded; None for all records.
            annotations: What the answers should have beside the values.
            exact: Members whose numbers must keep every digit; long ones become texts.
            most: How many records, a page at most; None for all.

        Raises:
            UserError: The query is too long for a URL.
            RequestRefused: The service refuses the query.
            AbortRun: No privilege, no such table.
            RetryLater: The service is unavailable.
        """
        prefer = f'odata.include-annotations="{",".join(annotations)}"' if annotations else ""
        path = select_query(entity, columns, condition)
        for page in limited_pages(self.service, path, most, table=entity.logical_name, prefer=prefer):
            yield exact_digits(page.rows, exact)

    def fetched(
        self, entity: EntityMetadata, query: Element, *, annotations: Sequence[str], exact: Sequence[str]
    ) -> Iterator[bytes]:
        """The same for a query in FetchXML, which is changed; see `shared.dataverse.read.fetching`."""
        for rows in fetched_pages(self.service, entity, query, annotations):
            yield exact_digits(rows, exact)

    def greatest(self, entity: EntityMetadata, column: str, condition: str | None) -> str | None:
        """The greatest value of a column, with all digits; see `shared.dataverse.read.greatest` for what it raises."""
        return greatest_value(self.service, entity, column, condition)

    def view(self, entity: EntityMetadata, name: str) -> str:
        """The FetchXML of a saved view; see `shared.dataverse.read.views` for what it raises."""
        return view_query(self.service, entity, name)

    def names(self, entity: EntityMetadata, ids: Sequence[str]) -> dict[str, str]:
        """The primary names of some records; those that do not exist or have none are left out.

        Raises:
            AbortRun: No privilege, no such table.
            RetryLater: The service is unavailable.
        """
        if not ids or not entity.primary_name:
            return {}
        found = lookups(entity, [{entity.primary_id: record} for record in ids], select=[entity.primary_name])
        calls = [Call(path=query.path, table=entity.logical_name) for query in found]
        records = [record for call in calls for record in self.service.fetch_json(call).rows()]
        named = {each.member(entity.primary_id).guid(): each.member(entity.primary_name).text("") for each in records}
        return {record: name for record, name in named.items() if name}

    def find(self, entity: EntityMetadata, key: str) -> str | None:
        """The id of the record that has a key, as `Change.key` gives it; None if there is none.

        Raises:
            AbortRun: No privilege, no such table.
            RetryLater: The service is unavailable.
        """
        for query in keyed_queries(entity, (), [key_values(key)]):
            for record in self.service.fetch_json(Call(path=query, table=entity.logical_name)).rows():
                return record.member(entity.primary_id).guid()
        return None

    def read_holders(
        self,
        workspace: Workspace,
        entity: EntityMetadata,
        layout: Sequence[TargetColumn],
        keys: Iterable[tuple[int, str]],
        *,
        condition: str | None = None,
    ) -> None:
        """Read who has some keys, as the service compares them, into the workspace's table `holders`.

        Args:
            workspace: The run's database.
            entity: The table.
            layout: Columns to read.
            keys: Number of a change, and its key as in `Change.key`.
            condition: Only records that pass this filter, as for `read`.

        Raises:
            AbortRun: No privilege, no such table.
            RetryLater: The service is unavailable.
        """
        read_holders(workspace, self.service, entity, layout, ((n, key_values(key)) for n, key in keys), condition)

    def write(
        self, entity: EntityMetadata, changes: Iterable[Change], limits: WriteLimits = NO_LIMITS
    ) -> Iterator[Outcome]:
        """Write changes; yields exactly one outcome for each, as they settle.

        Args:
            entity: The table.
            changes: In writing order; read in the caller's thread, only as far as needed.
            limits: What ends it early; the rest is skipped. Its deadline is a moment of this object's clock.

        Raises:
            AbortRun: Nothing more can succeed; raised after every change has had its outcome.
            RetryLater: The service is unavailable or throttles for too long; likewise.
            Exception: A request ended with an error that the program does not handle; likewise.
        """
        if entity.intersect:
            return self._written(entity, link_changes(changes), limits)
        fewest = self.service.connection.bulk_delete_from
        if fewest is None or entity.elastic:
            return self._written(entity, changes, limits)
        write = partial(self._written, entity)
        return BulkDeleting(self.service, entity, fewest=fewest, limits=limits, write=write).outcomes(changes)

    def _written(self, entity: EntityMetadata, changes: Iterable[Change], limits: WriteLimits) -> Iterator[Outcome]:
        try:
            with self.until(None, stopped=limits.cancelled):
                users, target = self._sending_users_of(entity), self._target(entity)
        except WaitStoppedError:
            yield from (Skipped(number=change.number, reason="cancelled") for change in changes)
            return
        senders: ThreadSenders[SendResult] = ThreadSenders(self.service.threads)
        course = self.course
        writing = Writing(self.service, target=target, users=users, senders=senders, limits=limits, course=course)
        try:
            yield from writing.outcomes(changes)
        except KeyboardInterrupt as error:
            if senders.abandon():
                raise RequestsLeft from error
            raise
        finally:
            senders.close()
            self._targets[entity.logical_name] = writing.target
            for user in users:
                user.reset()

    def _target(self, entity: EntityMetadata) -> Target:
        """The table with its bulk messages: asked once, then remembered."""
        known = self._targets.get(entity.logical_name)
        if known is None or known.entity is not entity:
            messages = read_messages(self.service, entity, MESSAGES.values())
            known = Target(entity=entity, connection=self.service.connection, messages=messages)
            self._targets[entity.logical_name] = known
        return known

    def _sending_users_of(self, entity: EntityMetadata) -> list[SendingUser]:
        """The application users with what has been learned about each; kept between writes."""
        if (name := entity.logical_name) not in self._sending_users:
            users = range(len(self.service.users))
            self._sending_users[name] = [SendingUser(index=n, controller=self._controllers(entity)) for n in users]
        return self._sending_users[name]

    def _controller(self, entity: EntityMetadata) -> Controller:
        sizes = Sizes(most=ELASTIC_ROWS) if entity.elastic else Sizes()
        most = self.service.connection.parallel
        return Controller(parallel=self._parallel(), most_parallel=most, sizes=sizes)

    def _parallel(self) -> int:
        """The recommended degree of parallelism: every answer carries it; without one, `WhoAmI` is asked."""
        if not self.service.meter.parallelism:
            self.service.fetch(Call(path="WhoAmI"))
        return self.service.meter.parallelism or DEFAULT_PARALLEL

    def operations(self, name: str) -> tuple[Operation, ...]:
        """All actions and functions of a name; see `read_operations`. They are asked for once."""
        if name not in self._operations:
            self._operations[name] = read_operations(self.service, name)
        return self._operations[name]

    def operation_names(self) -> frozenset[str]:
        """The names of all actions and functions, for suggestions."""
        return operation_names(self.service)

    def call(
        self, operation: Operation, values: Mapping[str, Any], *, record: str | None = None, within: float
    ) -> None:
        """Call an action or a function; see `shared.dataverse.calls.sending.call`."""
        entity = self.entity(operation.bound_to) if operation.bound_to else None
        call(self.service, operation, values, on=CallTarget(entity=entity, record=record), within=within)

    def usage(self) -> Usage:
        """Requests so far."""
        return self.service.meter.usage()

    def close(self) -> None:
        """Close the connections."""
        self.service.close()
