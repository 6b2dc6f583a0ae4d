"""The columns of a source that is not described yet, with types from its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.errors import UserError
from shared.jobs.setting_up.drafting import columns_of
from shared.sources.first_look import FirstLook, look_at, of_connection

if TYPE_CHECKING:
    from shared.app.app import App

__all__ = ["FoundColumns", "found_columns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundColumns:
    """What a source has.

    Attributes:
        source: Its keys, such as `delimiter`, without its columns.
        columns: The keys of each column.
        remarks: What is not certain.
    """

    source: Mapping[str, Any]
    columns: Sequence[dict[str, Any]]
    remarks: Sequence[str] = field(default=())


def found_columns(app: App, source: Mapping[str, Any]) -> FoundColumns:
    """Look at a source, and at its values.

    Args:
        app: The program.
        source: The values of the key `source`: a path, or a connection and what is read from it.

    Raises:
        SyncError: It cannot be read, or does not say enough.
    """
    context = app.wiring.source_context({})
    look = _look(app, source)
    look, columns, remarks = columns_of(look, context, app.open_small)
    return FoundColumns(source=look.source, columns=columns, remarks=(*look.remarks, *remarks))


def _look(app: App, source: Mapping[str, Any]) -> FirstLook:
    path, connection = source.get("path"), source.get("connection")
    if isinstance(path, str) and path:
        return look_at(path, app.wiring.source_context({}))
    if isinstance(connection, str):
        table = next((str(source[key]) for key in ("table", "entity", "url") if source.get(key)), None)
        return of_connection(app.wiring.repository.connection(connection), table)
    raise UserError("write the path of the source, or its connection and what is read from it, first")
