"""Reading the records that lookups search, each table once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from shared.dataverse import Dataverse, SearchedValues
from shared.definitions import ParameterValue, in_odata
from shared.errors import RequestRefused, UserError
from shared.transform import LookupColumn, Reference, references, searched_values
from shared.workspace import Workspace

__all__ = ["Searching", "read_references"]

_FIRST: Final = 50_000  # rows whose values often show already that a whole table is to be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Searching:
    """What is searched for the rows of `desired`.

    Attributes:
        lookups: The columns.
        unless: SQL condition over `desired`: the row is not looked at.
        held: References whose records are in the workspace already.
        many: There may be many rows: to look at the values of all of them takes time.
    """

    lookups: Sequence[LookupColumn]
    unless: str = "false"
    held: Sequence[Reference] = ()
    many: bool = False

    def values(self, reference: Reference) -> SearchedValues:
        """The values that are searched in a reference."""
        return SearchedValues(
            all=searched_values(self.lookups, reference, unless=self.unless),
            first=searched_values(self.lookups, reference, unless=self.unless, first=_FIRST) if self.many else (),
        )


def read_references(
    workspace: Workspace, dataverse: Dataverse, searching: Searching, parameters: Mapping[str, ParameterValue]
) -> None:
    """Fill the tables of the records that lookups search.

    Args:
        workspace: Has `desired` and the tables of the references.
        dataverse: The environment.
        searching: For which columns and rows.
        parameters: Values that filters name.

    Raises:
        UserError: The service refuses a filter.
        AbortRun: A table may not be read.
        RetryLater: The service is unavailable.
    """
    for reference in references(searching.lookups):
        if reference in searching.held:
            continue
        condition = reference.filter and in_odata(reference.filter, parameters, reference.entity)
        try:
            dataverse.read_reference(workspace, reference, searching.values(reference), condition=condition)
        except RequestRefused as error:
            if not condition or error.status != HTTPStatus.BAD_REQUEST:
                raise
            message = f"the filter of a lookup in {reference.entity.logical_name}: {error.message}"
            raise UserError(message) from error
