"""The errors of a run: their first rows as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["first_rows"]

ROWS_SHOWN = 5
VALUE_SHOWN = 30  # characters of a value in a line; JSON and files have more


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
