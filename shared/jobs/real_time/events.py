"""Real time: a batch of an event hub's messages through every sync that listens, and the dead letters it leaves.

An event takes effect, changes nothing, or is in the dead-letter store with the reason. The hub's checkpoint moves on
even if a function throws, so no event may cause an exception. Only an outage of Dataverse or of the state store raises
one, and an instance without room for a workspace; then the host's retry policy gives the same batch again, and the
partition waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar
from uuid import uuid4

from shared.dataverse import Clock, Dataverse, SystemClock, Usage
from shared.definitions import ParameterValue, SyncDefinition
from shared.errors import AbortRun, AnswerLost, RetryLater, SyncError, UserError
from shared.events import Message, decode
from shared.jobs.real_time.apply import apply_batch
from shared.jobs.real_time.boundary import Failure, attempted, bisect, failure_of, in_turns
from shared.jobs.real_time.decode import decode_batch
from shared.jobs.real_time.fold import fold_batch
from shared.jobs.real_time.ledger import EventLedgers, open_reader
from shared.jobs.real_time.letters import NO_EVENT, ReplayCounts, count_kept, keep, letter_of, still_kept, with_tries
from shared.jobs.real_time.listeners import ListeningSince, TakenMessage, claimed, taken_again, takers_of
from shared.jobs.real_time.record import BatchOutcome, EventLog, EventsSummary, latest_of_partitions, record_batch
from shared.jobs.real_time.schemas import Schemas
from shared.jobs.real_time.session import Decode, Delivery, Positions, Session
from shared.jobs.real_time.sync import EventSync, Listeners, PreparedSync
from shared.remote import OpenUrl, open_without_account
from shared.scripts import ScriptEngine
from shared.state import INCOMPLETE, DeadLetter, StateStore
from shared.transform.lookups.creations import NEW_IDS_OF
from shared.workspace import Workspace
from shared.workspace.warm import WarmWorkspace, Workspaces

__all__ = [
    "EventMemory",
    "EventSync",
    "EventTools",
    "Listeners",
    "SyncShare",
    "WarmWorkspace",
    "prepared_share",
    "replay",
    "replay_edited",
    "run_events",
]

AnyWorkspace = TypeVar("AnyWorkspace", bound=Workspace)
_MOST_STREAMS: Final = 1_000  # a request over HTTP is a stream of its own, which never comes again
_ROOM_SECONDS: Final = 30.0  # until other runs may have freed disk space
Connect = Callable[[SyncDefinition, Mapping[str, ParameterValue]], Dataverse]


@dataclass(slots=True)
class EventMemory:
    """What a process keeps between batches: it makes them faster and changes no outcome.

    Attributes:
        settled: Stream -> sequence number of the last message that this process has settled; only the latest streams.
        listening: From when on each listener takes events.
        schemas: The schemas of Avro bodies.
    """

    workspaces: Workspaces
    schemas: Schemas = field(default_factory=Schemas)
    settled: dict[str, int] = field(default_factory=dict)
    log: EventLog = field(default_factory=EventLog)
    ledgers: EventLedgers = field(default_factory=EventLedgers)
    listening: ListeningSince = field(default_factory=ListeningSince)
    _syncs: dict[str, PreparedSync] = field(default_factory=dict)

    def prepared(self, definition: SyncDefinition, connect: Callable[[], Dataverse]) -> PreparedSync:
        """The sync with its metadata, worked out once for each definition."""
        known = self._syncs.get(definition.name)
        if known is None or known.definition is not definition:
            known = self._syncs[definition.name] = PreparedSync(definition, connect)
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTools:
    """What real time works with: wired by the composition root, once a process.

    Attributes:
        connect: Makes a client for a sync's environment, given the values of its parameters.
        decode: Makes events of a message.
    """

    state: StateStore
    connect: Connect
    memory: EventMemory
    clock: Clock = field(default_factory=SystemClock)
    scripts: ScriptEngine = field(default_factory=ScriptEngine)
    decode: Decode = decode

    @classmethod
    def wired(
        cls,
        state: StateStore,
        connect: Connect,
        open_workspace: Callable[[], WarmWorkspace],
        open_url: OpenUrl = open_without_account,
        open_ledger: Callable[[], Workspace] = open_reader,
    ) -> EventTools:
        """Tools with an empty memory."""
        memory = EventMemory(
            Workspaces(partial(_opened, open_workspace)),
            Schemas(open_url),
            ledgers=EventLedgers(partial(_opened, open_ledger)),
        )
        return cls(state=state, connect=connect, memory=memory)


def _opened(open_workspace: Callable[[], AnyWorkspace]) -> AnyWorkspace:
    """Open a workspace.

    Raises:
        RetryLater: It cannot be opened, such as on a full disk. No event is the cause: they come again.
    """
    try:
        return open_workspace()
    except UserError as error:
        raise RetryLater(error.message, retry_after=_ROOM_SECONDS) from error


def run_events(
    messages: Sequence[Message], listeners: Listeners, tools: EventTools, *, history: bool = False
) -> EventsSummary:
    """Apply a batch: every listener takes its messages, and each sync decodes, folds, applies and records its own.

    Args:
        messages: In the order of their stream.
        listeners: Who listens.
        tools: State, environments, memory.
        history: Take events too that the hub took before the listener was there: a person gave them.

    Raises:
        RetryLater: Dataverse is unavailable or throttles for too long, the state store is unavailable, or no workspace
            can be opened. The same batch can be given again: what has taken effect takes effect once.
        AnswerLost: Likewise.
        AbortRun: The state store refuses access.
    """
    parts: list[EventsSummary] = []
    while messages or not parts:  # in one part, unless the bodies are very large
        parts.append(_run_part(messages, listeners, tools, history=history))
        messages = messages[parts[-1].received :]
    return parts[0] if len(parts) == 1 else EventsSummary.sum(parts)


def _run_part(messages: Sequence[Message], listeners: Listeners, tools: EventTools, *, history: bool) -> EventsSummary:
    """Apply the first messages of a batch, as many as are read at once."""
    found = claimed(messages, listeners, tools.memory.schemas)
    messages = messages[: found.asked]
    if found.lost:
        keep([letter_of(each, None, now=tools.clock.now()) for each in found.lost], tools.state)
    delivery = _delivery(messages, tools.memory.settled)
    counts: dict[str, Mapping[str, int]] = {}
    traffic: dict[str, Mapping[str, int]] = {}
    lost = {"": Counter(each.failure.error for each in found.lost)} if found.lost else {}
    for sync in listeners.syncs:
        taken: Sequence[TakenMessage] = found.taken[sync.name]
        earlier, taken = (0, taken) if history else _parted(sync, taken, tools)
        if earlier:
            counts[sync.name] = _skipped(sync, earlier, tools)
        if taken:
            outcome = _run(sync, taken, tools, delivery, live=not history)
            counts[sync.name] = Counter(counts.get(sync.name, {})) + Counter(outcome.counts)
            traffic[sync.name] = outcome.traffic
            if outcome.lost:
                lost[sync.name] = Counter(each.failure.error for each in outcome.lost)
    for message in messages:
        tools.memory.settled[message.stream] = message.sequence
    for stream in list(tools.memory.settled)[:-_MOST_STREAMS]:  # a copy: other threads change it meanwhile
        tools.memory.settled.pop(stream, None)
    return EventsSummary(received=len(messages), unclaimed=found.unclaimed, syncs=counts, lost=lost, traffic=traffic)


def _delivery(messages: Iterable[Message], settled: dict[str, int]) -> Delivery:
    """Whether messages follow those that this process has settled. What others have begun, the state store knows.

    Their streams are forgotten until the batch is done: a batch that is not completed is delivered again.
    """
    firsts: dict[str, int] = {}
    for message in messages:
        firsts.setdefault(message.stream, message.sequence)
    follows = [settled.pop(stream, None) == first - 1 for stream, first in firsts.items()]
    return Delivery.NEXT if all(follows) else Delivery.AGAIN


def _parted(sync: EventSync, taken: Sequence[TakenMessage], tools: EventTools) -> tuple[int, Sequence[TakenMessage]]:
    """How many messages the hub took before the listener was there, and the others."""
    since = tools.memory.listening.of(sync.definition, tools.state, now=tools.clock.now()) if taken else None
    if since is None:
        return 0, taken
    later = [each for each in taken if each.message.enqueued is None or each.message.enqueued >= since]
    return len(taken) - len(later), later


def _skipped(sync: EventSync, earlier: int, tools: EventTools) -> Mapping[str, int]:
    """Count events from before the listener was there, in the execution log too."""
    now, counts = tools.clock.now(), {"events": earlier, "before_listening": earlier}
    empty = BatchOutcome(counts=counts, lost=())
    tools.memory.log.add(sync.definition, empty, started=now, ended=now, state=tools.state)
    return counts


# -- The share of one sync ----------------------------------------------------------------------------------------


def _run(
    sync: EventSync, taken: Sequence[TakenMessage], tools: EventTools, delivery: Delivery, *, live: bool
) -> BatchOutcome:
    """Apply and record what one sync took of a batch; `live` if it comes from its hub now."""
    started = tools.clock.now()
    if not live:  # the hub's events go on arriving meanwhile
        outcome = in_turns(partial(_applied, sync, taken, tools, delivery))
    else:
        outcome = _applied(sync, taken, tools, delivery, behind=delivery is not Delivery.NEXT)
        outcome = replace(outcome, partitions=latest_of_partitions(taken, tools.clock.now()))
    record_batch(outcome, sync, state=tools.state, log=tools.memory.log, clock=tools.clock, started=started)
    return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncShare:
    """What all parts of one sync's share of a batch have in common."""

    sync: EventSync
    values: Mapping[str, ParameterValue]
    variables: Mapping[str, ParameterValue]
    prepared: PreparedSync
    positions: Positions
    tools: EventTools

    @contextmanager
    def session(self, rows: int, delivery: Delivery) -> Iterator[Session]:
        """What some messages are worked on with, for the length of a `with` block: an empty workspace and a client."""
        tools = self.tools
        with tools.memory.workspaces.lend(rows) as workspace, self.prepared.connected() as dataverse:
            workspace.bind({**self.variables, NEW_IDS_OF: uuid4().hex})
            yield Session(
                sync=self.prepared,
                dataverse=dataverse,
                workspace=workspace,
                parameters=self.values,
                started=tools.clock.now(),
                positions=self.positions,
                delivery=delivery,
                scripts=tools.scripts,
                decode=tools.decode,
                ledger=tools.memory.ledgers.in_wave(self.prepared, workspace, tools.state, tools.clock.now),
            )


def _applied(
    sync: EventSync, taken: Sequence[TakenMessage], tools: EventTools, delivery: Delivery, *, behind: bool = True
) -> BatchOutcome:
    """Apply messages; those that fail together are halved until the message that fails is alone.

    A definition that cannot work loses them all, with the reason. `behind`: see `Positions`.
    """
    share = attempted(partial(prepared_share, sync, tools, behind=behind), sync.name)
    if isinstance(share, Failure):
        return BatchOutcome.all_lost(taken, share)

    def attempt(part: Sequence[TakenMessage]) -> BatchOutcome | Failure:
        return attempted(partial(_attempt, share, part, delivery), sync.name)

    parts: list[BatchOutcome] = []
    for part, made in bisect(taken, attempt):
        parts.append(BatchOutcome.all_lost(part, made) if isinstance(made, Failure) else made)
        share.positions.advance(parts[-1].reached)
    return parts[0] if len(parts) == 1 else BatchOutcome.sum(parts)


def prepared_share(sync: EventSync, tools: EventTools, *, behind: bool = False) -> SyncShare | Failure:
    """What the parts of one sync's share have in common, or why its definition cannot work; `behind`: see `Positions`.

    Raises:
        RetryLater: Dataverse or a vault is unavailable.
    """
    try:
        values = sync.resolve()
        definition = sync.join(sync.definition, values)
        prepared = tools.memory.prepared(definition, partial(tools.connect, definition, values))
        variables = prepared.variables(values)
    except (RetryLater, AnswerLost):
        raise
    except SyncError as error:
        return Failure(error="Definition", message=error.message)
    positions = Positions(sync=sync.name, state=tools.state, clock=tools.clock, behind=behind)
    return SyncShare(sync=sync, values=values, variables=variables, prepared=prepared, positions=positions, tools=tools)


def _attempt(share: SyncShare, taken: Sequence[TakenMessage], delivery: Delivery) -> BatchOutcome:
    """Take messages through the stages: decode, fold, apply."""
    with share.session(len(taken), delivery) as session:
        before = session.dataverse.usage()
        try:
            decoded = decode_batch(taken, session)
            applying = session.beginning(decoded.events)
            folded = fold_batch(decoded.events, applying)
            applied = apply_batch(folded.changes, applying)
            outcome = BatchOutcome.of(decoded, folded, applied)
        except AbortRun as error:  # every part of the batch would fail in the same way
            outcome = BatchOutcome.all_lost(taken, failure_of(error))
        return replace(outcome, traffic=_traffic(before, session.dataverse.usage()))


def _traffic(before: Usage, after: Usage) -> Counter[str]:
    """What a batch asked of Dataverse, under the names that a run's summary has for it."""
    names = ("requests", "throttled", "retries")
    return Counter({name: getattr(after, name) - getattr(before, name) for name in names})


# -- Dead letters -------------------------------------------------------------------------------------------------


def replay(letters: Sequence[DeadLetter], listeners: Listeners, tools: EventTools) -> ReplayCounts:
    """Send dead letters through the same path again; those that settle are removed.

    A letter whose key was written by a newer event since then settles without an effect. One that is incomplete stays.

    Raises:
        RetryLater: Dataverse or the state store is unavailable; a letter is removed only after its event has a result.
    """
    whole = [letter for letter in letters if letter.error != INCOMPLETE]
    kept = len(letters) - len(whole)
    by_name = {sync.name: sync for sync in listeners.syncs}
    for name in sorted({letter.sync for letter in whole}):
        of_sync = [letter for letter in whole if letter.sync == name]
        if name in by_name:
            again = _replayed(of_sync, by_name[name], tools)
            kept += count_kept(again, of_sync)
        else:
            again, refused = _rerouted(of_sync, listeners, tools)
            kept += len(again) + refused
        keep(again, tools.state)
        tools.state.remove_dead_letters({letter.id for letter in of_sync} - {letter.id for letter in again})
    return ReplayCounts(settled=len(letters) - kept, kept=kept)


def replay_edited(letter: DeadLetter, body: bytes, listeners: Listeners, tools: EventTools) -> Failure | None:
    """Send a dead letter through the same path with another body; it is removed if every event of this body settles.

    Otherwise the letter stays as it came: its body may be the only copy of the event, and the other one is not kept.

    Returns:
        Why an event of the other body was refused; None if the letter is removed.

    Raises:
        UserError: The other body has no event, so it would change nothing and the letter would be gone.
        RetryLater: Dataverse or the state store is unavailable; the letter stays.
    """
    takers, refused = takers_of(replace(letter, body=body), listeners, tools.memory.schemas)
    if takers and not any(tools.decode(each.message, sync.topic, each.body) for sync, took in takers for each in took):
        raise UserError(NO_EVENT.format("has no event"))
    if not takers and refused is None:
        raise UserError(NO_EVENT.format("is for no other listener than those that took the event"))
    for sync, taken in takers:
        outcome = in_turns(partial(_applied, sync, taken, tools, Delivery.REPLAY if letter.sync else Delivery.AGAIN))
        Positions(sync=sync.name, state=tools.state).store(outcome.reached)
        refused = refused or next((lost.failure for lost in outcome.lost), None)
    if refused is None:
        tools.state.remove_dead_letters([letter.id])
    return refused


def _replayed(letters: Sequence[DeadLetter], sync: EventSync, tools: EventTools) -> list[DeadLetter]:
    """Letters of one sync; returns those of the events that were refused again."""
    taken = taken_again(letters, sync.topic, tools.memory.schemas)
    outcome = in_turns(partial(_applied, sync, taken, tools, Delivery.REPLAY))
    Positions(sync=sync.name, state=tools.state).store(outcome.reached)
    return with_tries([letter_of(lost, sync, now=tools.clock.now()) for lost in outcome.lost], letters)


def _rerouted(letters: Sequence[DeadLetter], listeners: Listeners, tools: EventTools) -> tuple[list[DeadLetter], int]:
    """Letters that no sync had taken, or whose sync is gone.

    Returns:
        Those that still no listener takes, and of how many others a listener refused an event.
    """
    again, refused = list[DeadLetter](), 0
    for letter in letters:
        takers, stays = takers_of(letter, listeners, tools.memory.schemas)
        outcomes = [_run(sync, taken, tools, Delivery.AGAIN, live=False) for sync, taken in takers]
        if stays:
            again.append(still_kept(letter, (sync.name for sync, _ in takers)))
        elif any(outcome.lost for outcome in outcomes):
            refused += 1
    return again, refused
