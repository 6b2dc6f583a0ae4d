"""The run's database: DuckDB under limits, the steps that run in it, and the sandbox of user expressions."""

from shared.workspace.database import SERVED, OutOfTimeError, QuickWorkspace, Row, Workspace, check_new_file
from shared.workspace.disk_space import DiskSpace, DiskUse, writing
from shared.workspace.expressions import Expression, checked, parsed
from shared.workspace.growth import too_long
from shared.workspace.members import Members
from shared.workspace.sql import SqlValue, json_rows, literal, quoted
from shared.workspace.steps import NewTable, Purpose, Step, Table
from shared.workspace.trial import Trial

__all__ = [
    "SERVED",
    "DiskSpace",
    "DiskUse",
    "Expression",
    "Members",
    "NewTable",
    "OutOfTimeError",
    "Purpose",
    "QuickWorkspace",
    "Row",
    "SqlValue",
    "Step",
    "Table",
    "Trial",
    "Workspace",
    "check_new_file",
    "checked",
    "json_rows",
    "literal",
    "parsed",
    "quoted",
    "too_long",
    "writing",
]
