"""The writing of a wave: changes are sent, and results that differ from the plan are returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.counted import counted
from shared.dataverse import KEY_TAKEN, Change, ChangeAction, Dataverse, Failed, Outcome, Skipped, WriteLimits
from shared.entities import EntityMetadata
from shared.errors import AbortRun
from shared.jobs.adoption import Adoption
from shared.jobs.outcomes import keep_outcomes, make_outcomes
from shared.jobs.progress import NoProgress
from shared.jobs.real_time.boundary import Failure, OvertakenError
from shared.jobs.real_time.ledger import BUSY
from shared.jobs.writing import WriteOrder, write_changes
from shared.reconcile.links.dependencies import FORGET_CREATED
from shared.reconcile.outcomes import Result, results_query
from shared.workspace import Table, Workspace

__all__ = ["ChangeResult", "WaveWriting"]

ChangeResult = str | Failure  # the name of a count, or why a change was not made

_SPARED: Final = "ignored"
_REFUSED: Final = "Failed Operation"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveWriting:
    """Writes the changes of one wave.

    Attributes:
        workspace: Has the wave's tables.
        adoption: How records are adopted; None where an insert is an order to insert.
        overtaken: Whether another instance has gone further with these records: then nothing more is sent.
    """

    dataverse: Dataverse
    entity: EntityMetadata
    workspace: Workspace
    adoption: Adoption | None = None
    overtaken: Callable[[], bool] = lambda: False

    def write(self, changes: Sequence[Change]) -> Mapping[int, ChangeResult]:
        """Write; number of a change -> its result, if it differs from the plan.

        Raises:
            AbortRun: The records to adopt cannot be looked up.
            RetryLater: The service is unavailable.
        """
        inserts = [change for change in changes if change.action is ChangeAction.INSERT]
        if self.adoption is None or not inserts:
            return _failures(self._outcomes(changes))
        others = [change for change in changes if change.action is not ChangeAction.INSERT]
        outcomes = self._outcomes(inserts)
        if any(isinstance(outcome, Failed) and outcome.code in KEY_TAKEN for outcome in outcomes.values()):
            return self._adopting(self.adoption, outcomes, others)
        return _failures(outcomes | self._outcomes(others))

    def write_in_order(
        self, changes: Sequence[Change], order: WriteOrder, *, remember: Callable[[], None] | None = None
    ) -> Mapping[int, ChangeResult]:
        """Write changes of which some refer to records that others create, or whose outcomes are noted; see `write`.

        Args:
            changes: As the workspace has them.
            order: What their order depends on.
            remember: Notes the results, from `outcomes`.

        Raises:
            RetryLater: The service is unavailable.
        """
        make_outcomes(self.workspace)
        aborted = ""
        try:
            write_changes(self.workspace, self.dataverse, self.entity, self._limits, NoProgress(), order)
        except AbortRun as error:
            aborted = error.message
        finally:
            if self.workspace.has_table(Table.CREATED_REFERENCES):
                self.workspace.execute(FORGET_CREATED)
        outcomes = {number: ended for number, *ended in self.workspace.query(results_query())}
        skipped = sum(result == Result.SKIPPED for result, _, _ in outcomes.values())
        if skipped and not aborted:
            raise _not_sent(skipped)
        if remember:
            remember()
        results: dict[int, ChangeResult] = {
            change.number: _SPARED for change in changes if change.number not in outcomes
        }
        for number, (result, code, message) in outcomes.items():
            match result:
                case Result.ADOPTED:
                    results[number] = Result.ADOPTED
                case Result.EDITED:
                    results[number] = BUSY
                case Result.FAILED | Result.SKIPPED:
                    said = aborted if result == Result.SKIPPED else message
                    results[number] = Failure(error=_REFUSED, message=said or "", code=code or "")
        return results

    def _adopting(
        self, adoption: Adoption, outcomes: Mapping[int, Outcome], others: Sequence[Change]
    ) -> Mapping[int, ChangeResult]:
        """Adopt the records that have the keys of inserts before anything else is sent: none of them is dropped."""
        make_outcomes(self.workspace)
        keep_outcomes(self.workspace, tuple(outcomes.values()), adopting=True)
        updates = adoption.decide(self.workspace)
        adopted, planned = self._numbers("adoptions"), self._numbers("changes")
        kept = [change for change in others if change.number in planned]
        results: dict[int, ChangeResult] = dict.fromkeys((change.number for change in others), _SPARED)
        for change in kept:
            del results[change.number]
        results |= dict.fromkeys(adopted, Result.ADOPTED)
        refused = {number: outcome for number, outcome in outcomes.items() if number not in adopted}
        return results | _failures(refused | self._outcomes([*updates, *kept]))

    def _numbers(self, table: str) -> frozenset[int]:
        return frozenset(number for (number,) in self.workspace.query(f"SELECT _change FROM {table}"))

    def _outcomes(self, changes: Sequence[Change]) -> dict[int, Outcome]:
        """Write; number of a change -> its outcome."""
        outcomes: dict[int, Outcome] = {}
        try:
            for outcome in self.dataverse.write(self.entity, changes, self._limits) if changes else ():
                if not isinstance(outcome, Skipped):
                    outcomes[outcome.number] = outcome
        except AbortRun as error:
            for change in changes:
                failed = Failed(number=change.number, status=0, code="", message=error.message)
                outcomes.setdefault(change.number, failed)
            return outcomes
        if len(outcomes) < len(changes):
            raise _not_sent(len(changes) - len(outcomes))
        return outcomes

    @property
    def _limits(self) -> WriteLimits:
        return WriteLimits(cancelled=self.overtaken)


def _not_sent(count: int) -> OvertakenError:
    return OvertakenError(
        f"{counted(count, 'change was', 'changes were')} not sent, because another instance has gone further with "
        "these records"
    )


def _failures(outcomes: Mapping[int, Outcome]) -> dict[int, ChangeResult]:
    return {
        number: Failure(error=_REFUSED, message=outcome.message, code=outcome.code)
        for number, outcome in outcomes.items()
        if isinstance(outcome, Failed)
    }
