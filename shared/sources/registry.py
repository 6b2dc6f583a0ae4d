"""The kinds of source: the one place that says which class reads which kind of definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.definitions import SyncDefinition
from shared.definitions.models import (
    DelimitedSource,
    DynamicsSource,
    EventsSource,
    ExcelSource,
    FixedWidthSource,
    JsonSource,
    ParquetSource,
    RestSource,
    SqlSource,
)
from shared.definitions.models import Source as SourceDefinition
from shared.errors import Problem, UserError
from shared.sources.context import SourceContext
from shared.sources.delimited import DelimitedFiles
from shared.sources.dynamics.table import DynamicsTable
from shared.sources.fixed_width import FixedWidthFiles
from shared.sources.json_text.files import JsonFiles
from shared.sources.parquet.files import ParquetFiles
from shared.sources.source import Source
from shared.sources.sql.source import SqlRows
from shared.workspace import Workspace

__all__ = ["completed", "delivery_problems", "open_source"]


def _only_in_real_time(_source: EventsSource, _context: SourceContext) -> Source:
    raise UserError("a source of type events gets its rows from the listener: this sync cannot run as a batch")


def _excel(source: ExcelSource, context: SourceContext) -> Source:
    # Imported here: only workbooks need its modules at a cold start.
    from shared.sources.excel.files import ExcelFiles  # noqa: PLC0415 - see above

    return ExcelFiles(source, context)


def _rest(source: RestSource, context: SourceContext) -> Source:
    from shared.sources.rest.source import RestRows  # noqa: PLC0415 - a cold start pays for what it uses

    return RestRows(source, context)


_KINDS: Final[Mapping[type[Any], Callable[[Any, SourceContext], Source]]] = {
    DelimitedSource: DelimitedFiles,
    DynamicsSource: DynamicsTable,
    EventsSource: _only_in_real_time,
    ExcelSource: _excel,
    FixedWidthSource: FixedWidthFiles,
    JsonSource: JsonFiles,
    ParquetSource: ParquetFiles,
    RestSource: _rest,
    SqlSource: SqlRows,
}


def open_source(source: SourceDefinition, context: SourceContext) -> Source:
    """Return the source that a definition describes; nothing is opened yet.

    Args:
        source: The definition's source.
        context: What it may need.

    Raises:
        UserError: The source is for real time alone.
    """
    return _KINDS[type(source)](source, context)


def delivery_problems(source: Source) -> tuple[Problem, ...]:
    """What the first lines of a source's files show before a run; only for the kinds that have such a check."""
    if not isinstance(source, DelimitedFiles):
        return ()
    try:
        source.first_lines()
    except UserError as error:
        return (Problem(message=error.message, path="source.path"),)
    return ()


def completed(definition: SyncDefinition, source: Source, workspace: Workspace) -> SyncDefinition:
    """A definition with the columns and types that only its source knows.

    Raises:
        UserError: The source cannot be read.
        DefinitionError: A column that the definition names is not in the source, or is of an unusable type.
    """
    columns = source.columns(workspace)
    if columns == definition.source.columns:
        return definition
    described = definition.source.model_copy(update={"columns": columns})
    return definition.model_copy(update={"source": described})
