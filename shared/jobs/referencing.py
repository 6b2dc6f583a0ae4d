"""Reading the records that lookups search, each table once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from shared.dataverse import Dataverse
from shared.definitions import ParameterValue, in_odata
from shared.errors import RequestRefused, UserError
from shared.transform import LookupColumn, Reference, references, searched_values
from shared.workspace import Workspace

__all__ = ["read_references"]


def read_references(
    workspace: Workspace,
    dataverse: Dataverse,
    lookups: Sequence[LookupColumn],
    parameters: Mapping[str, ParameterValue],
    *,
    unless: str = "false",
    held: Sequence[Reference] = (),
) -> None:
    """Fill the tables of the records that lookups search for the rows of `desired`.

    Args:
        workspace: Has `desired` and the tables of the references.
        dataverse: The environment.
        lookups: The columns.
        parameters: Values that filters name.
        unless: SQL condition over `desired`: the row is not looked at.
        held: References whose records are in the workspace already.

    Raises:
        UserError: The service refuses a filter.
        AbortRun: A table may not be read.
        RetryLater: The service is unavailable.
    """
    for reference in references(lookups):
        if reference in held:
            continue
        condition = reference.filter and in_odata(reference.filter, parameters, reference.entity)
        values = searched_values(lookups, reference, unless=unless)
        try:
            dataverse.read_reference(workspace, reference, values, condition=condition)
        except RequestRefused as error:
            if not condition or error.status != HTTPStatus.BAD_REQUEST:
                raise
            message = f"the filter of a lookup in {reference.entity.logical_name}: {error.message}"
            raise UserError(message) from error
