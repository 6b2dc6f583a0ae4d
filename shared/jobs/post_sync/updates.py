"""A step that updates records: read by its filter, compared, and written by the writer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from shared.counted import counted
from shared.dataverse import Applied, Change, ChangeAction, Dataverse, Failed, Skipped, WriteLimits
from shared.definitions import ParameterValue, in_odata
from shared.definitions.models import UpdateStep
from shared.errors import RequestRefused, UserError
from shared.reconcile.marks import update_changes_query, update_count_query, update_table_step, update_unfit_query
from shared.transform import MarkColumn
from shared.transform.set_columns.updates import update_columns, update_layout
from shared.workspace import Table, Workspace

__all__ = ["Updating"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Updating:
    """What an update works with.

    Attributes:
        workspace: Gets the records into a table of its own; expressions see the parameters that are bound in it.
        parameters: What `@name` stands for in the filter.
        limits: What ends the writing early.
        place: The path of the update in the definition.
    """

    dataverse: Dataverse
    workspace: Workspace
    parameters: Mapping[str, ParameterValue]
    limits: WriteLimits
    place: str

    def run(self, step: UpdateStep) -> int:
        """Update the records; returns how many were written. Those that have their values already are left alone.

        Raises:
            UserError: There are more than `max_update`, a value does not fit, or records were refused.
            AbortRun, RetryLater: Dataverse refuses us, or is unavailable.
        """
        entity = self.dataverse.entity(step.entity)
        layout = update_layout(step, entity, self.place)
        columns = update_columns(step, layout, self.place)
        self.workspace.drop(Table.UPDATE_RECORDS)
        self.workspace.run(update_table_step(layout))
        condition = in_odata(step.filter, self.parameters, entity)
        try:
            self.dataverse.read(self.workspace, entity, layout, condition=condition, into=Table.UPDATE_RECORDS)
        except RequestRefused as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            raise UserError(f"its filter is refused: {error.message}") from error
        self._check(step, columns)
        query = update_changes_query(columns, layout, entity.primary_id)
        done, failed, first, stopped = 0, 0, "", ""
        for outcome in self.dataverse.write(entity, self._changes(query), self.limits):
            match outcome:
                case Applied():
                    done += 1
                case Failed():
                    failed, first = failed + 1, first or outcome.message
                case Skipped():
                    stopped = outcome.reason
        self.workspace.drop(Table.UPDATE_RECORDS)
        if failed or stopped:
            raise UserError(_incomplete(done, failed, first, stopped))
        return done

    def _check(self, step: UpdateStep, columns: tuple[MarkColumn, ...]) -> None:
        ((count,),) = self.workspace.query(update_count_query(columns))
        if count > step.max_update:
            raise UserError(
                f"{count:,} records would be updated, and max_update is {step.max_update:,}; nothing was written"
            )
        for column in columns:
            ((unfit,),) = self.workspace.query(update_unfit_query(column))
            if unfit:
                where = counted(unfit, "record", "records")
                raise UserError(f"the value for {column.column.name} does not fit in {where}; nothing was written")

    def _changes(self, query: str) -> Iterator[Change]:
        for number, record, payload, names, later in self.workspace.rows(query):
            yield Change(
                number=number,
                action=ChangeAction.UPDATE,
                id=str(record),
                key="",
                payload=payload,
                columns=names,
                later=later,
            )


def _incomplete(done: int, failed: int, first: str, stopped: str) -> str:
    said = [f"{counted(done, 'record was', 'records were')} updated"]
    if failed:
        said.append(f"{counted(failed, 'was', 'were')} refused ({first})")
    if stopped:
        said.append(f"the rest was not written ({'its time is over' if stopped == 'deadline' else stopped})")
    return ", ".join(said)
