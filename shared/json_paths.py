"""JSONPath over JSON values. The plain paths that nearly everybody writes are walked without the library."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from shared.errors import UserError

__all__ = ["ABSENT", "Finder", "Step", "finder", "steps_of"]


class _Absent:
    """No value was found, which differs from null."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
Finder = Callable[[Any], Any]
Step = str | int | None
"""A name, an index, or None for all elements."""
_STEP: Final = re.compile(
    r"""\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*) | \[\s*(?P<quoted>'[^'\\]*'|"[^"\\]*")\s*\] | \[\s*(?P<index>[0-9]+)\s*\]
    | \[\s*\*\s*\]""",
    re.VERBOSE,
)
_PLAIN = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_-]*)*")


@lru_cache(maxsize=1024)
def finder(path: str) -> Finder:
    """A function from a JSON value to what the path finds in it.

    A path that can find several values gives a list of them; one that names a single place its value, or `ABSENT`.

    Raises:
        UserError: The path is not a JSONPath.
    """
    return _plain(tuple(path.split(".")[1:])) if _PLAIN.fullmatch(path) else _compiled(path)


def _plain(names: tuple[str, ...]) -> Finder:
    def find(value: Any) -> Any:
        for name in names:
            if not isinstance(value, dict) or name not in value:
                return ABSENT
            value = value[name]
        return value

    return find


def _compiled(path: str) -> Finder:
    import jsonpath  # noqa: PLC0415 - a plain path does not need it at a cold start

    try:
        query = jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        raise UserError(f"{path!r} is not a JSONPath: {error}") from None
    single = isinstance(query, jsonpath.JSONPath) and query.singular_query()

    def find(value: Any) -> Any:
        found = query.findall(value)
        if single:
            return found[0] if found else ABSENT
        return found

    return find


def steps_of(path: str) -> tuple[Step, ...] | None:
    """The steps of a path that begins with a name and has only names, indices and `[*]`; None for any other path."""
    steps, at = list[Step](), 1
    while at < len(path):
        if not (found := _STEP.match(path, at)):
            return None
        at = found.end()
        name = found["name"] or (found["quoted"] or "")[1:-1]
        steps.append(int(found["index"]) if found["index"] else name or None)
    return tuple(steps) if path.startswith("$") and steps and isinstance(steps[0], str) else None
