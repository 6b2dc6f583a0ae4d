"""JSON files: records are parsed one by one and loaded as text; nested values become JSON text."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from shared.definitions.models import JsonSource
from shared.json_paths import finder
from shared.sources.json_text.loading import RecordRows, value_of
from shared.sources.json_text.records import json_records
from shared.sources.kinds import refuse_other_kinds
from shared.sources.plain import text_blocks
from shared.sources.text_files import TextFiles, file_values, refuse_zstd
from shared.workspace import Workspace

__all__ = ["JsonFiles"]


class JsonFiles(TextFiles[JsonSource]):
    """The files of a `json` source; they are parsed here, and records need not have the same types."""

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` from all files; row numbers continue from one file to the next.

        Raises:
            UserError: A file is missing, not in UTF-8 or not JSON.
        """
        names = [column.name for column in self._source.columns if column.stored]
        values = [value_of(name) for name in names]
        find = finder(self._source.records) if self._source.records else None
        rows = RecordRows(workspace, names)
        for file in self._begun(workspace):
            refuse_zstd(file)
            refuse_other_kinds(file, "utf-8", wanted="JSON")
            with closing(text_blocks(file, "utf-8")) as blocks:
                found = workspace.in_time(json_records(blocks, file.name, find))
                rows.add(found, values, Path(file.name).name)
            rows.flush(file_values(self._source.columns, file.name))
