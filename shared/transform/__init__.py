"""Definition and metadata become SQL: source columns, target columns, keys, values to and from JSON. Pure."""

from shared.transform.check import check, check_expressions
from shared.transform.current import current_finish_steps, current_table_step
from shared.transform.desire import desire_steps
from shared.transform.keys import folded, normalise_key
from shared.transform.marks import MarkColumn, dropped_mark, returned_mark
from shared.transform.rules import ErrorType
from shared.transform.service_values import from_service, to_service
from shared.transform.shape import SOURCE_ERRORS, SOURCE_TYPES, shape_steps
from shared.transform.targets import Omit, TargetColumn, key_columns, layout, needs_version

__all__ = [
    "SOURCE_ERRORS",
    "SOURCE_TYPES",
    "ErrorType",
    "MarkColumn",
    "Omit",
    "TargetColumn",
    "check",
    "check_expressions",
    "current_finish_steps",
    "current_table_step",
    "desire_steps",
    "dropped_mark",
    "folded",
    "from_service",
    "key_columns",
    "layout",
    "needs_version",
    "normalise_key",
    "returned_mark",
    "shape_steps",
    "to_service",
]
