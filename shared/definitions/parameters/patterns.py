"""Regular expressions over names and paths, in RE2 syntax: their work grows with the text and never explodes.

They have the same syntax as in `replace` and in expressions over columns, because DuckDB computes all of them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb  # loaded only if a formula has a pattern

__all__ = ["check_pattern", "first_found"]


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    import duckdb  # noqa: PLC0415 - see above

    return duckdb.connect(
        ":memory:",
        config={"threads": 1, "enable_external_access": "false", "autoload_known_extensions": "false"},
    )


def check_pattern(pattern: str) -> None:
    """Check a pattern before there is a text.

    Raises:
        ValueError: It is not a regular expression; the pattern is not repeated.
    """
    _asked("SELECT regexp_matches('', ?)", pattern)


def first_found(pattern: str, text: str) -> str | None:
    """What the pattern's first group finds in a text, or all of the pattern where it has no group; None for nothing.

    Raises:
        ValueError: It is not a regular expression; the pattern is not repeated.
    """
    if not _asked("SELECT regexp_matches(?, ?)", text, pattern):
        return None
    return str(_asked("SELECT regexp_extract(?, ?, ?)", text, pattern, 1 if _has_group(pattern) else 0))


def _has_group(pattern: str) -> bool:
    try:
        _asked("SELECT regexp_extract('', ?, ['first'])", pattern)
    except ValueError:  # a name for a missing group
        return False
    return True


def _asked(query: str, *values: str | int) -> object:
    import duckdb  # noqa: PLC0415 - see above

    try:
        return _database().cursor().execute(query, values).fetchall()[0][0]
    except (duckdb.Error, UnicodeError):
        raise ValueError("the second argument is not a regular expression in RE2 syntax") from None
