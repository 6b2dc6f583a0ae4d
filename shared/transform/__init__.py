"""Definition and metadata become SQL: source columns, target columns, keys, values to and from JSON. Pure."""

from shared.transform.check import check, check_expressions, numbers_rows
from shared.transform.current import current_finish_steps, current_table_step
from shared.transform.desire import CompiledMappings, desire_of, desire_steps
from shared.transform.desired_finish import desired_finish_steps
from shared.transform.keys import folded, normalise_key
from shared.transform.lookups.columns import (
    LookupColumn,
    Reference,
    early_lookups,
    late_lookups,
    references,
    related_tables,
)
from shared.transform.lookups.creations import renewal_steps
from shared.transform.lookups.filter_values import filter_values
from shared.transform.lookups.held import held_references, held_steps
from shared.transform.lookups.resolve import reference_steps, searched_values
from shared.transform.notation.faults import (
    FAULT_SHOWN,
    FAULTS,
    NO_RESULT,
    NOT_JSON,
    OTHER_FAULT,
    fault_named,
    is_fault,
)
from shared.transform.rules import ErrorType
from shared.transform.scripts.columns import ScriptColumn, script_columns, script_steps, seen_by
from shared.transform.service_values import from_service, party_rows, to_payload, to_service, to_shown
from shared.transform.set_columns.marks import MarkColumn, dropped_mark, returned_mark
from shared.transform.set_columns.names import both_halves
from shared.transform.shape import SOURCE_ERRORS, SOURCE_PLACES, SOURCE_TYPES, action_of, shape_steps
from shared.transform.states.pairs import Pair, listed, pair_of, state_of
from shared.transform.targets import Omit, TargetColumn, key_columns, layout, needs_version

__all__ = [
    "FAULTS",
    "FAULT_SHOWN",
    "NOT_JSON",
    "NO_RESULT",
    "OTHER_FAULT",
    "SOURCE_ERRORS",
    "SOURCE_PLACES",
    "SOURCE_TYPES",
    "CompiledMappings",
    "ErrorType",
    "LookupColumn",
    "MarkColumn",
    "Omit",
    "Pair",
    "Reference",
    "ScriptColumn",
    "TargetColumn",
    "action_of",
    "both_halves",
    "check",
    "check_expressions",
    "current_finish_steps",
    "current_table_step",
    "desire_of",
    "desire_steps",
    "desired_finish_steps",
    "dropped_mark",
    "early_lookups",
    "fault_named",
    "filter_values",
    "folded",
    "from_service",
    "held_references",
    "held_steps",
    "is_fault",
    "key_columns",
    "late_lookups",
    "layout",
    "listed",
    "needs_version",
    "normalise_key",
    "numbers_rows",
    "pair_of",
    "party_rows",
    "reference_steps",
    "references",
    "related_tables",
    "renewal_steps",
    "returned_mark",
    "script_columns",
    "script_steps",
    "searched_values",
    "seen_by",
    "shape_steps",
    "state_of",
    "to_payload",
    "to_service",
    "to_shown",
]
