"""Real time: a batch of an event hub's messages through every sync that listens, and the dead letters it leaves.

An event takes effect, changes nothing, or is in the dead-letter store with the reason. The hub's checkpoint moves on
whether or not a function throws, so no event may be the cause of an exception: only Dataverse or the state store being
away is, and then the host's retry policy holds the partition where it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from shared.dataverse import Clock, Dataverse, SystemClock, Usage
from shared.definitions import ParameterValue, SyncDefinition
from shared.errors import AbortRun, AnswerLost, RetryLater, SyncError
from shared.events import Message, Place
from shared.jobs.real_time.boundary import attempted, failure_of
from shared.jobs.real_time.claims import claimed, read
from shared.jobs.real_time.event_batch import Applied, EventBatch, Taken
from shared.jobs.real_time.letters import Lost, item_of, keep, letter_of, message_of
from shared.jobs.real_time.listening import ListeningSince
from shared.jobs.real_time.log import EventLog
from shared.jobs.real_time.rows import Failure
from shared.jobs.real_time.sync import EventSync, Listeners, PreparedSync
from shared.jobs.real_time.workspaces import WarmWorkspace, Workspaces
from shared.state import DeadLetter, Position, StateStore

__all__ = [
    "EventMemory",
    "EventSync",
    "EventTools",
    "EventsSummary",
    "Listeners",
    "Replayed",
    "WarmWorkspace",
    "replay",
    "run_events",
]

Connect = Callable[[SyncDefinition, Mapping[str, ParameterValue]], Dataverse]
_LAST_ITEM = 2**31  # of a message that was seen, every event was


@dataclass(slots=True)
class EventMemory:
    """What a process keeps between batches: it makes them faster and changes no outcome.

    Attributes:
        settled: Stream -> sequence number of the last message that this process has settled.
        listening: From when on each listener takes events.
    """

    workspaces: Workspaces
    settled: dict[str, int] = field(default_factory=dict)
    log: EventLog = field(default_factory=EventLog)
    listening: ListeningSince = field(default_factory=ListeningSince)
    _syncs: dict[str, PreparedSync] = field(default_factory=dict)

    def prepared(self, sync: EventSync, connect: Callable[[], Dataverse]) -> PreparedSync:
        """The sync with its metadata, worked out once for each definition."""
        known = self._syncs.get(sync.name)
        if known is None or known.definition is not sync.definition:
            known = self._syncs[sync.name] = PreparedSync(sync.definition, connect)
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTools:
    """What real time works with: wired by the composition root, once a process.

    Attributes:
        connect: Makes a client for a sync's environment, given the values of its parameters.
    """

    state: StateStore
    connect: Connect
    memory: EventMemory
    clock: Clock = field(default_factory=SystemClock)

    @classmethod
    def wired(cls, state: StateStore, connect: Connect, open_workspace: Callable[[], WarmWorkspace]) -> EventTools:
        """Tools with an empty memory."""
        return cls(state=state, connect=connect, memory=EventMemory(Workspaces(open_workspace)))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsSummary:
    """What became of a batch.

    Attributes:
        received: Messages.
        unclaimed: Messages that no listener takes and that are not kept, because the hub carries others' too.
        syncs: Sync -> its counts: events, stale, filtered, lost, and records by what was done to them.
        lost: Sync -> error -> how many events went to the dead letters; no sync's name is empty.
        traffic: Sync -> requests to Dataverse, and those of them that were throttled or sent again.
    """

    received: int
    unclaimed: int
    syncs: Mapping[str, Mapping[str, int]]
    lost: Mapping[str, Mapping[str, int]]
    traffic: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def dead_letters(self) -> int:
        """How many events went to the dead letters."""
        return sum(count for by_error in self.lost.values() for count in by_error.values())

    def to_json(self) -> dict[str, Any]:
        """The object that `events --json` prints."""
        return {
            "received": self.received,
            "unclaimed": self.unclaimed,
            "dead_letters": self.dead_letters,
            "syncs": {name: dict(counts) for name, counts in self.syncs.items()},
            "errors": {name: dict(by_error) for name, by_error in self.lost.items()},
        }


def run_events(messages: Sequence[Message], listeners: Listeners, tools: EventTools) -> EventsSummary:
    """Put a batch through every listener that claims its messages.

    Args:
        messages: In the order of their stream.
        listeners: Who listens.
        tools: State, environments, memory.

    Raises:
        RetryLater: Dataverse is away or throttles beyond patience, or the state store is away. The batch can be given
            again as it is: what has taken effect takes effect once.
        AnswerLost: Likewise.
        AbortRun: The state store refuses us.
    """
    found = claimed(messages, listeners)
    if found.lost:
        keep([letter_of(each, "", now=tools.clock.now()) for each in found.lost], tools.state)
    # Forgotten until it is done: a batch that is given up half-way comes again, and is not fresh then.
    settled = tools.memory.settled
    follows = {stream: settled.pop(stream, None) == first - 1 for stream, first in _firsts(messages).items()}
    fresh = all(follows.values())
    counts: dict[str, Mapping[str, int]] = {}
    traffic: dict[str, Mapping[str, int]] = {}
    lost = {"": _by_error(found.lost)} if found.lost else {}
    for sync in listeners.syncs:
        earlier, taken = _parted(sync, found.taken[sync.name], tools)
        if earlier:
            counts[sync.name] = {"events": earlier, "before_listening": earlier}
        if taken:
            applied = _run(sync, taken, tools, fresh=fresh)
            counts[sync.name] = Counter(counts.get(sync.name, {})) + Counter(applied.counts)
            traffic[sync.name] = applied.traffic
            if applied.lost:
                lost[sync.name] = _by_error(applied.lost)
    for message in messages:
        settled[message.stream] = message.sequence
    return EventsSummary(received=len(messages), unclaimed=found.unclaimed, syncs=counts, lost=lost, traffic=traffic)


def _parted(sync: EventSync, taken: Sequence[Taken], tools: EventTools) -> tuple[int, Sequence[Taken]]:
    """How many messages the hub took before the listener was there, and the others."""
    since = tools.memory.listening.of(sync.definition, tools.state, now=tools.clock.now()) if taken else None
    if since is None:
        return 0, taken
    later = [each for each in taken if each.message.enqueued is None or each.message.enqueued >= since]
    return len(taken) - len(later), later


def _by_error(lost: Iterable[Lost]) -> Mapping[str, int]:
    return Counter(each.failure.error for each in lost)


def _firsts(messages: Iterable[Message]) -> dict[str, int]:
    firsts: dict[str, int] = {}
    for message in messages:
        firsts.setdefault(message.stream, message.sequence)
    return firsts


def _run(sync: EventSync, taken: Sequence[Taken], tools: EventTools, *, fresh: bool) -> Applied:
    """One sync's share of a batch: applied, then the dead letters, then the positions."""
    started = tools.clock.now()
    applied = _applied(sync, taken, tools, fresh=fresh)
    if applied.lost:
        keep([letter_of(each, sync.name, now=started) for each in applied.lost], tools.state)
    _mark(sync.name, applied, tools.state)
    tools.memory.log.add(sync.definition, applied.counts, started=started, ended=tools.clock.now(), state=tools.state)
    return applied


def _mark(name: str, applied: Applied, state: StateStore) -> None:
    if applied.seen:
        state.mark_seen(
            name,
            {
                key: Position(partition=place.partition, sequence=place.sequence, when=place.when)
                for key, place in applied.seen.items()
            },
        )


def _applied(
    sync: EventSync, taken: Sequence[Taken], tools: EventTools, *, fresh: bool, replayed: bool = False
) -> Applied:
    """Apply messages; a definition that cannot work loses them all, with the reason."""
    share = attempted(partial(_share, sync, tools, replayed=replayed), sync.name)
    if isinstance(share, Failure):
        return _all_lost(sync, taken, share)
    return _isolated(share, taken, fresh=fresh)


def _all_lost(sync: EventSync, taken: Sequence[Taken], failure: Failure) -> Applied:
    lost = tuple(Lost(message=each.message, failure=failure, listener=sync.listener) for each in taken)
    return Applied(counts={"events": len(taken), "lost": len(taken)}, lost=lost, seen={})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """What every part of one sync's share of a batch has in common.

    Attributes:
        replayed: The events are dead letters that are tried again.
        seen: Places that earlier parts of the share have reached; the store learns of them at the end.
    """

    sync: EventSync
    values: Mapping[str, ParameterValue]
    prepared: PreparedSync
    tools: EventTools
    replayed: bool = False
    seen: dict[str, Place] = field(default_factory=dict)

    def seen_before(self, keys: Collection[str]) -> Mapping[str, Place]:
        """Where message keys are, as far as anybody knows."""
        found = self.tools.state.seen(self.sync.name, keys) if keys else {}
        places = {
            key: Place(partition=at.partition, sequence=at.sequence, item=_LAST_ITEM, when=at.when)
            for key, at in found.items()
        }
        return {**places, **{key: self.seen[key] for key in keys if key in self.seen}}

    def kept(self, ids: Collection[str]) -> Collection[str]:
        """Which of some dead letters are there, and not only because they are tried again."""
        if self.replayed:
            return ()
        return {letter.id for letter in self.tools.state.dead_letters(self.sync.name, ids=ids, limit=len(ids))}


def _share(sync: EventSync, tools: EventTools, *, replayed: bool) -> _Share | Failure:
    try:
        values = sync.resolve()
        prepared = tools.memory.prepared(sync, partial(tools.connect, sync.definition, values))
    except (RetryLater, AnswerLost):
        raise
    except SyncError as error:
        return Failure(error="Definition", message=error.message)
    return _Share(sync=sync, values=values, prepared=prepared, tools=tools, replayed=replayed)


def _isolated(share: _Share, taken: Sequence[Taken], *, fresh: bool) -> Applied:
    """Apply messages; those that fail together are halved until the one to blame is alone."""
    found = attempted(partial(_together, share, taken, fresh=fresh), share.sync.name)
    if isinstance(found, Applied):
        return found
    if len(taken) == 1:
        return _all_lost(share.sync, taken, found)
    middle = len(taken) // 2
    parts = []
    for half in (taken[:middle], taken[middle:]):
        parts.append(_isolated(share, half, fresh=False))
        share.seen.update(parts[-1].seen)
    return _sum(parts)


def _together(share: _Share, taken: Sequence[Taken], *, fresh: bool) -> Applied:
    tools = share.tools
    with tools.memory.workspaces.lend(len(taken)) as workspace, share.prepared.connected() as dataverse:
        batch = EventBatch(
            sync=share.prepared,
            dataverse=dataverse,
            workspace=workspace,
            parameters=share.values,
            started=tools.clock.now(),
            seen_before=share.seen_before,
            fresh=fresh,
            kept=share.kept,
        )
        before = dataverse.usage()
        try:
            applied = batch.apply(taken)
        except AbortRun as error:  # no part of the batch would fare better
            applied = _all_lost(share.sync, taken, failure_of(error))
        return replace(applied, traffic=_traffic(before, dataverse.usage()))


def _traffic(before: Usage, after: Usage) -> Counter[str]:
    """What a batch asked of Dataverse, under the names that a run's summary has for it."""
    names = ("requests", "throttled", "retries")
    return Counter({name: getattr(after, name) - getattr(before, name) for name in names})


def _sum(parts: Sequence[Applied]) -> Applied:
    counts, traffic = Counter[str](), Counter[str]()
    seen: dict[str, Place] = {}
    for part in parts:
        counts.update(part.counts)
        traffic.update(part.traffic)
        seen.update(part.seen)
    lost = tuple(lost for part in parts for lost in part.lost)
    return Applied(counts=counts, lost=lost, seen=seen, traffic=traffic)


# -- Dead letters -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of dead letters that were tried again.

    Attributes:
        settled: They took effect or were overtaken, and are gone.
        kept: They were refused again.
    """

    settled: int
    kept: int


def replay(letters: Sequence[DeadLetter], listeners: Listeners, tools: EventTools) -> Replayed:
    """Send dead letters through the same path again; those that settle are removed.

    A letter whose key was written by a newer event since then settles without an effect.

    Raises:
        RetryLater: Dataverse or the state store is away; letters are removed only after their events have settled.
    """
    kept = 0
    by_name = {sync.name: sync for sync in listeners.syncs}
    for name in sorted({letter.sync for letter in letters}):
        of_sync = [letter for letter in letters if letter.sync == name]
        again = _replayed(of_sync, by_name[name], tools) if name in by_name else _rerouted(of_sync, listeners, tools)
        keep(again, tools.state)
        tools.state.remove_dead_letters({letter.id for letter in of_sync} - {letter.id for letter in again})
        kept += len(again)
    return Replayed(settled=len(letters) - kept, kept=kept)


def _replayed(letters: Sequence[DeadLetter], sync: EventSync, tools: EventTools) -> list[DeadLetter]:
    """Letters of one sync; returns those that were refused again."""
    messages: dict[tuple[str, int], tuple[Message, set[int | None]]] = {}
    for letter in letters:
        message = message_of(letter)
        messages.setdefault((message.stream, message.sequence), (message, set()))[1].add(item_of(letter))
    taken = [
        Taken(
            message=message,
            body=read(message),
            items=None if None in items else frozenset(item for item in items if item is not None),
        )
        for message, items in messages.values()
    ]
    applied = _applied(sync, taken, tools, fresh=False, replayed=True)
    _mark(sync.name, applied, tools.state)
    tries = {letter.id: letter.tries for letter in letters}
    again = [letter_of(lost, sync.name, now=tools.clock.now()) for lost in applied.lost]
    return [replace(letter, tries=tries.get(letter.id, 0) + 1) for letter in again]


def _rerouted(letters: Sequence[DeadLetter], listeners: Listeners, tools: EventTools) -> list[DeadLetter]:
    """Letters that no sync had taken, or whose sync is gone; returns those that still nobody takes."""
    again = []
    for letter in letters:
        found = None if letter.sync else claimed([message_of(letter)], listeners)
        takers = [(sync, found.taken[sync.name]) for sync in listeners.syncs if found.taken[sync.name]] if found else []
        for sync, taken in takers:
            _run(sync, taken, tools, fresh=False)
        if not takers or (found and found.lost):
            again.append(replace(letter, tries=letter.tries + 1))
    return again
