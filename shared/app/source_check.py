"""What a source shows without a run: its header, its first records, the columns of its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.app.wiring import Wiring
from shared.definitions import ParameterValue, SelfDescribing, SyncDefinition, names_in, names_used
from shared.definitions.models import ExcelSource, ParquetSource
from shared.errors import DefinitionError, Problem, SyncError, UserError
from shared.sources import first_lines, open_source

__all__ = ["SourceCheck"]

_Values = Mapping[str, ParameterValue]
# The header of a workbook is found only by unpacking it and reading its cells: a few seconds at most.
_LARGEST_WORKBOOK: Final = 16 << 20
_IN_FILES: Final = (ExcelSource, ParquetSource)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCheck:
    """Compares the source of a definition with the definition.

    Attributes:
        wiring: Gives what a source needs.
        parameters: The values of a definition's parameters, with overrides.
        completed: A definition with the columns and types that only its source knows.
        offline: Leave out what needs the network.
    """

    wiring: Wiring
    parameters: Callable[[SyncDefinition, _Values], _Values]
    completed: Callable[[SyncDefinition, _Values], SyncDefinition]
    offline: bool

    def found(self, definition: SyncDefinition, absent: _Values) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
        """The problems of a definition, and warnings about what may be one.

        Args:
            definition: Has no mistake in itself.
            absent: The parameters whose value only a run has, each with an empty text.
        """
        if absent.keys() & names_in(getattr(definition.source, "path", "")):
            return (), ()  # only a run knows the files
        try:
            values = self.parameters(definition, absent)
            problems, warnings = first_lines(open_source(definition.source, self.wiring.source_context(values)))
            if problems or not self._knows_columns(definition, values, absent):
                return problems, warnings
        except UserError:  # of a parameter; the check of the metadata reports it
            return (), ()
        return self._compared(definition, values), warnings

    def _knows_columns(self, definition: SyncDefinition, values: _Values, absent: _Values) -> bool:
        """Whether the source knows its columns, can be asked for them here, and is not asked for them anyway.

        Raises:
            UserError: Its files are not there.
        """
        source = definition.source
        if not isinstance(source, SelfDescribing) or not (self.offline or source.settled):
            return False
        if absent.keys() & names_used(source, without=["columns"]):
            return False  # only a run knows the source
        if not isinstance(source, _IN_FILES):
            return not self.offline
        files = open_source(source, self.wiring.source_context(values)).readable
        size = sum(Path(file).stat().st_size for file in files)
        return bool(files) and (isinstance(source, ParquetSource) or size <= _LARGEST_WORKBOOK)

    def _compared(self, definition: SyncDefinition, values: _Values) -> tuple[Problem, ...]:
        try:
            self.completed(self.wiring.repository.joined(definition, values), values)
        except DefinitionError as error:
            return tuple(error.problems)
        except SyncError as error:
            return (Problem(message=error.message, path="source"),)
        return ()
