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

    def problems(self, definition: SyncDefinition, absent: _Values) -> tuple[Problem, ...]:
        """What does not fit the source.

        Args:
            definition: Has no mistake in itself.
            absent: The parameters whose value only a run has, each with an empty text.
        """
        try:
            values = self.parameters(definition, absent)
            problems = self._first_lines(definition, absent)[0]
            if problems or not self._knows_columns(definition, values, absent):
                return problems
        except (UserError, OSError):  # of a parameter, which the check of the metadata reports; or a file went away
            return ()
        return self._compared(definition, values)

    def warnings(self, definition: SyncDefinition, absent: _Values) -> tuple[str, ...]:
        """What may not fit the source; the arguments are those of `problems`."""
        try:
            return self._first_lines(definition, absent)[1]
        except UserError:
            return ()

    def _first_lines(self, definition: SyncDefinition, absent: _Values) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
        if absent.keys() & names_in(getattr(definition.source, "path", "")):
            return (), ()  # only a run knows the files
        values = self.parameters(definition, absent)
        return first_lines(open_source(definition.source, self.wiring.source_context(values)))

    def _knows_columns(self, definition: SyncDefinition, values: _Values, absent: _Values) -> bool:
        """Whether the source knows its columns, can be asked for them here, and is not asked for them anyway.

        Raises:
            UserError: Its files are not there.
        """
        source = definition.source
        if not isinstance(source, SelfDescribing) or not (self.offline or source.has_all_columns):
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
