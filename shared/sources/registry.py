"""The kinds of source: the one place that says which class reads which kind of definition."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
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
from shared.definitions.models.sources.events import NO_BATCH
from shared.errors import Problem, UserError
from shared.sources.context import SourceContext
from shared.sources.source import ChecksFirstLines, Source
from shared.workspace import Workspace

__all__ = ["READERS", "completed", "first_lines", "open_source"]

# Loaded when a source of the kind is opened: a cold start pays for what it uses.
READERS: Final[Mapping[type[Any], tuple[str, str]]] = {
    DelimitedSource: ("shared.sources.delimited", "DelimitedFiles"),
    DynamicsSource: ("shared.sources.dynamics.table", "DynamicsTable"),
    ExcelSource: ("shared.sources.excel.files", "ExcelFiles"),
    FixedWidthSource: ("shared.sources.fixed_width", "FixedWidthFiles"),
    JsonSource: ("shared.sources.json_text.files", "JsonFiles"),
    ParquetSource: ("shared.sources.parquet.files", "ParquetFiles"),
    RestSource: ("shared.sources.rest.source", "RestRows"),
    SqlSource: ("shared.sources.sql.source", "SqlRows"),
}
"""Model of a kind -> module and class that read it."""


def open_source(source: SourceDefinition, context: SourceContext) -> Source:
    """Return the source that a definition describes; nothing is opened yet.

    Args:
        source: The definition's source.
        context: What it may need.

    Raises:
        UserError: The source is for real time alone.
    """
    if isinstance(source, EventsSource):
        raise UserError(NO_BATCH)
    module, name = READERS[type(source)]
    reader: Source = getattr(import_module(module), name)(source, context)
    return reader


def first_lines(source: Source) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """The problems and warnings that the first lines of files show before a run, for kinds with such a check."""
    if not isinstance(source, ChecksFirstLines):
        return (), ()
    try:
        return (), source.first_lines()
    except UserError as error:
        return (Problem(message=error.message, path="source.path"),), ()


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
