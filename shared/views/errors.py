"""The errors of a run: as JSON values, and their first rows as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.state import ErrorRecord
from shared.visible import with_value

__all__ = ["error_json", "first_rows"]

ROWS_SHOWN = 5
VALUE_SHOWN = 30  # characters of a value in a line; JSON and files have more


def error_json(error: ErrorRecord) -> dict[str, Any]:
    """A row of the execution errors as JSON values, named as in `run --json`."""
    return {
        "side": error.side,
        "class": error.error_class,
        "type": error.error_type,
        "column": error.column,
        "rows": list(error.rows),
        "count": error.count,
        "message": with_value(error.message, error.rows, error.examples),
        "examples": [dict(example) for example in error.examples],
    }


def first_rows(rows: Sequence[int], count: int, examples: Iterable[Mapping[str, Any]] = ()) -> str:
    """The first rows as text, with key, line and value where they are known, and an ellipsis where there are more.

    Args:
        rows: Their numbers.
        count: The number of all rows.
        examples: What is known of the first ones.
    """
    known = {example["row"]: example for example in examples}
    shown = [f"{row}{_facts(known.get(row, {}))}" for row in rows[:ROWS_SHOWN]]
    return ", ".join(shown) + (", …" if count > ROWS_SHOWN else "")


def _facts(example: Mapping[str, Any]) -> str:
    facts = [str(example["key"])] if example.get("key") else []
    of = f" of {example['file']}" if example.get("file") else ""
    facts += [f"line {example['line']:,}{of}"] if example.get("line") else []
    value = str(example.get("value", ""))
    value = value if len(value) <= VALUE_SHOWN else f"{value[: VALUE_SHOWN - 1]}…"
    said = ", ".join(facts) + (f": '{value}'" if "value" in example else "")
    return f" ({said.removeprefix(': ')})" if said else ""
