"""The loop of the writer: it gives chunks to senders, waits, and yields exactly one outcome for each change.

The thread of the caller decides everything: what to send (`feed`, `chunks`), what an answer means (`evaluate`), how
many requests and rows (`controller`). Other threads only send. So nothing here needs a lock.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from uuid import uuid4

from shared.dataverse.changes import Applied, Change, Failed, Outcome, Skipped, WriteLimits
from shared.dataverse.course import Course
from shared.dataverse.http.service import Service
from shared.dataverse.http.service_errors import CONCURRENCY_CODE, FIRST_REFUSAL, refusal, troubled_part
from shared.dataverse.write.chunk_results import ChunkResult, evaluate, lost, too_often
from shared.dataverse.write.chunks import Chunk, NextStep, Target, call_of, halved, step_of
from shared.dataverse.write.controller import Deadlocked, RequestAnswered, RequestKind, Throttled, TooLong
from shared.dataverse.write.feed import Feed
from shared.dataverse.write.own_ids import with_id, with_ids
from shared.dataverse.write.second_steps import SecondSteps, begun
from shared.dataverse.write.senders import Senders
from shared.dataverse.write.sending_users import SendingUser, least_busy
from shared.errors import AbortRun, AnswerLost, RetryLater, SyncError
from shared.http.retry import FailedTry, Trouble, delay, retry_after
from shared.http.transport import AnswerTimedOut, Response, Unsent

__all__ = ["SendResult", "Writing"]

POLL_SECONDS = 0.5  # how often a waiting writer asks whether it was cancelled
DEFAULT_PAUSE = 5.0  # seconds, when a 429 names none
SHORTEST_TOLD = 1.0  # seconds of a wait that people are told of
DENSE_SHARE = 0.05  # of the rows settled so far: with more failures than this, rows are sent one by one
DENSE_AFTER = 5  # failures


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """A chunk that was sent, and what came of it."""

    user: SendingUser
    chunk: Chunk
    target: Target  # as it was when the chunk was sent: how an answer reads depends on it
    result: Response | Exception
    seconds: float


class Writing:
    """One call of the writer.

    Args:
        service: Sends the requests and has the clock.
        target: The table; bulk messages that it does not support are removed here.
        users: The application users.
        senders: Threads.
        limits: What ends the write early.
        course: Gets how the write goes over time.
    """

    def __init__(
        self,
        service: Service,
        *,
        target: Target,
        users: list[SendingUser],
        senders: Senders[SendResult],
        limits: WriteLimits,
        course: Course | None = None,
    ) -> None:
        self.target = target
        self._service = service
        self._clock = service.clock
        self._users = users
        self._senders = senders
        self._limits = limits
        self._course = course or Course()
        self._again: deque[Chunk] = deque()
        self._steps = SecondSteps()
        self._sent: set[int] = set()  # changes without an outcome of which a request was sent
        self._finished_changes = 0
        self._failed = 0
        self._errors = 0
        self._stopped = ""
        self._end: Exception | None = None

    def outcomes(self, changes: Iterable[Change]) -> Iterator[Outcome]:
        """Write; one outcome for each change, in the order in which they are known.

        Raises:
            AbortRun: Nothing more can succeed; every change has had its outcome before this is raised.
            RetryLater: The service is unavailable; likewise.
            Exception: A request ended with an error that the program does not handle; likewise.
        """
        identified = with_ids(map(begun, changes), self.target.entity, self._clock.now)
        feed = Feed(identified, lambda change: step_of(change, self.target.entity))
        while True:
            self._note_course()
            self._stop_if_due()
            self._launch(feed)
            in_flight = sum(user.in_flight for user in self._users)
            if not in_flight and (self._stopped or (feed.empty and not self._again)):
                break
            for sent in self._wait(feed, in_flight=bool(in_flight)):
                yield from self._handle(sent, feed)
        for number in feed.remaining():
            yield self._steps.whole(Skipped(number=number, reason=self._stopped, sent=number in self._sent))
        if self._end is not None:
            raise self._end

    def _note_course(self) -> None:
        throttled = self._service.meter.throttled
        self._course.note(self._clock.monotonic(), parallel=self._parallel(), throttled=throttled)

    def _stop_if_due(self) -> None:
        if self._stopped:
            return
        if self._end is not None:
            self._stopped = f"aborted: {_said(self._end)}"
        else:
            self._stopped = self._limits.reason_to_stop(
                errors=self._errors, now=self._clock.monotonic(), needed=self._expected()
            )

    def _expected(self) -> float:
        """Seconds that the next request is expected to take."""
        return max((user.controller.seconds(kind) for user in self._users for kind in RequestKind), default=0.0)

    def _launch(self, feed: Feed) -> None:
        while not self._stopped and (user := least_busy(self._users, self._clock.monotonic())) is not None:
            control = user.controller
            chunk = self._next_again() or feed.take(control.rows, self._parallel(), fewest=control.fewest)
            if chunk is None:
                return
            user.started(chunk.kind)
            self._sent.update(change.number for change in chunk.changes)
            failed = partial(_unforeseen, user, chunk, self.target)
            self._senders.start(partial(self._send, user, chunk, self.target), failed)

    def _parallel(self) -> int:
        return sum(user.controller.parallel for user in self._users)

    def _next_again(self) -> Chunk | None:
        now = self._clock.monotonic()
        for at, chunk in enumerate(self._again):
            if chunk.not_before <= now:
                del self._again[at]
                return chunk
        return None

    def _send(self, user: SendingUser, chunk: Chunk, target: Target) -> SendResult:
        """Runs in another thread: uses only the service."""
        started = self._clock.monotonic()
        result: Response | SyncError
        try:
            result = self._service.attempt(call_of(chunk, target, f"batch_{uuid4()}"), user=user.index)
        except SyncError as error:
            result = error
        seconds = result.seconds if isinstance(result, Response) else self._clock.monotonic() - started
        return SendResult(user=user, chunk=chunk, target=target, result=result, seconds=seconds)

    def _wait(self, feed: Feed, *, in_flight: bool) -> Iterable[SendResult]:
        """Wait until a result arrives, or until the next chunk may leave."""
        now = self._clock.monotonic()
        moments = [chunk.not_before for chunk in self._again]
        if self._again or feed.unfinished or not in_flight:
            moments += [user.controller.ready_at(now) for user in self._users if user.may_send_one_more()]
        ahead = [moment - now for moment in moments if moment > now]
        seconds = min([POLL_SECONDS, *ahead])
        if in_flight:
            return self._senders.wait(seconds)
        pause = min(user.controller.ready_at(now) for user in self._users) - now
        if pause >= self._service.connection.retry_policy.seconds:
            # An answer to an earlier write asked for this wait: it is left to the caller.
            self._end = self._end or RetryLater("Dataverse throttles this application user", retry_after=pause)
        else:
            if pause >= SHORTEST_TOLD:
                self._service.meter.waits(self._clock.now() + timedelta(seconds=pause))
            self._clock.sleep(seconds)
        return ()

    def _handle(self, sent: SendResult, feed: Feed) -> Iterator[Outcome]:
        sent.user.ended()
        result = self._evaluate(sent)
        told = self._told(sent, result.trouble)
        if isinstance(told.result, Response):
            self._learn(told, told.result, result)
        if result.lacks:
            self.target = replace(self.target, messages=self.target.messages - {result.lacks})
        if result.end is not None:
            self._end = self._end or result.end
        if result.trouble is not None:
            result = self._after_trouble(told, result)
        self._again.extend(result.again)
        for kind, change in result.released:
            creates = kind is RequestKind.CREATE
            again = with_id(change, self.target.entity, self._clock.now()) if creates else change
            feed.put_back(kind, again, lost=sent.chunk.lost)
        for outcome in map(self._steps.whole, self._finished(result.outcomes, feed)):
            self._finished_changes += 1
            self._failed += isinstance(outcome, Failed)
            self._errors += self._limits.counts(outcome, feed.unfinished[outcome.number])
            feed.finished(outcome.number)
            self._sent.discard(outcome.number)
            if isinstance(outcome, Applied):
                self._course.written()
            yield outcome

    def _finished(self, outcomes: Iterable[Outcome], feed: Feed) -> Iterator[Outcome]:
        """The outcomes of changes that are at their end; the others go back for their second request."""
        for outcome in outcomes:
            second = self._steps.next(feed.unfinished[outcome.number], outcome)
            if second is None:
                yield outcome
            else:
                feed.put_back(*second)

    def _evaluate(self, sent: SendResult) -> ChunkResult:
        """What the answer means, or that there is none."""
        match sent.result:
            case Response() as response:
                return evaluate(sent.chunk, response, sent.target, dense=self._dense())
            case AnswerTimedOut():
                self._observe_too_long(sent)
                # A create is looked up next, and this step sends again what is missing: so it gets smaller before it.
                halves = [lost(half) for half in halved(sent.chunk)]
                return replace(halves[0], again=tuple(chunk for half in halves for chunk in half.again))
            case AnswerLost():
                return lost(sent.chunk)
            case Unsent():
                return ChunkResult(again=(sent.chunk.tried(Trouble.UNSENT),), trouble=Trouble.UNSENT)
            case RetryLater():
                return ChunkResult(again=(sent.chunk.tried(Trouble.UNAVAILABLE),), trouble=Trouble.UNAVAILABLE)
            case AbortRun() as error:
                return ChunkResult(end=error)
            case Exception() as unforeseen:
                self._end = self._end or unforeseen
                return ChunkResult()

    def _dense(self) -> bool:
        return self._failed >= DENSE_AFTER and self._failed > DENSE_SHARE * self._finished_changes

    def _learn(self, sent: SendResult, response: Response, result: ChunkResult) -> None:
        now, controller, chunk = self._clock.monotonic(), sent.user.controller, sent.chunk
        if result.too_long:
            self._observe_too_long(sent)
        match result.trouble:
            case Trouble.THROTTLED:
                wait = retry_after(response.headers, self._clock.now())
                refused = refusal(response)
                concurrency = refused.code == CONCURRENCY_CODE
                pause = DEFAULT_PAUSE if wait is None else wait
                controller.observe(Throttled(at=now, concurrency=concurrency, wait=pause, message=refused.message))
            case Trouble.DATABASE:
                controller.observe(Deadlocked(at=now))
            case None if chunk.step is NextStep.SEND and response.status < FIRST_REFUSAL:
                controller.observe(
                    RequestAnswered(at=now, kind=chunk.kind, rows=len(chunk.changes), seconds=sent.seconds)
                )
            case _:
                controller.pace.spent(now, sent.seconds)

    def _observe_too_long(self, sent: SendResult) -> None:
        event = TooLong(at=self._clock.monotonic(), kind=sent.chunk.kind, rows=len(sent.chunk.changes))
        sent.user.controller.observe(event)

    def _told(self, sent: SendResult, met: Trouble | None) -> SendResult:
        """The result with the answer that says what the trouble is: of a `$batch` the answer to one operation."""
        if met is None or not isinstance(sent.result, Response):
            return sent
        return replace(sent, result=troubled_part(sent.result, met, self._clock.now()))

    def _after_trouble(self, sent: SendResult, result: ChunkResult) -> ChunkResult:
        """When the chunks may be sent again; too much trouble ends the write, or a row that always deadlocks."""
        trouble, asked, now = result.trouble or Trouble.LOST, self._asked(sent), self._clock.monotonic()
        since = now - sent.seconds if sent.chunk.since is None else sent.chunk.since
        delayed: list[Chunk] = []
        for one in result.again:
            chunk = replace(one, since=since)
            attempt = max(1, chunk.tries.get(trouble, 1))
            failed = FailedTry(trouble=trouble, attempt=attempt, repeatable=True, asked=asked, spent=now - since)
            retry_policy = self._service.connection.retry_policy
            wait = delay(failed, retry_policy, jitter=random.random())  # noqa: S311 - spreads retries, protects nothing
            if wait is not None:
                self._service.meter.count("retries")
                # A throttled chunk waits for its user, which is paused; another user may take it at once.
                delayed.append(replace(chunk, not_before=now if trouble is Trouble.THROTTLED else now + wait))
            elif (
                trouble is Trouble.DATABASE and isinstance(sent.result, Response) and chunk.step is not NextStep.LOOK_UP
            ):
                given_up = too_often(chunk, refusal(sent.result))
                delayed += given_up.again
                result = replace(
                    result,
                    outcomes=(*result.outcomes, *given_up.outcomes),
                    released=(*result.released, *given_up.released),
                )
            else:
                self._end = self._end or RetryLater(_gave_up(sent), retry_after=asked or 30)
        return replace(result, again=tuple(delayed))

    def _asked(self, sent: SendResult) -> float | None:
        """Seconds that the other side asked to wait."""
        if isinstance(sent.result, Response):
            return retry_after(sent.result.headers, self._clock.now())
        if isinstance(sent.result, RetryLater) and sent.result.retry_after > 0:
            return sent.result.retry_after
        return None


def _unforeseen(user: SendingUser, chunk: Chunk, target: Target, error: Exception) -> SendResult:
    """An error that the program does not handle is a result too: the answers of other requests in flight are read."""
    return SendResult(user=user, chunk=chunk, target=target, result=error, seconds=0.0)


def _gave_up(sent: SendResult) -> str:
    tries = sum(sent.chunk.tries.values()) + 1
    if isinstance(sent.result, Response):
        return f"Dataverse refused {tries} tries to {sent.chunk.kind.value} records: {refusal(sent.result)}"
    return f"Dataverse did not answer {tries} tries to {sent.chunk.kind.value} records: {_said(sent.result)}"


def _said(error: Exception) -> str:
    """What an error says; of one that the program does not handle only the kind, since its text may hold anything."""
    if isinstance(error, SyncError):
        return error.message
    return f"an error that the program does not handle ({type(error).__name__})"
