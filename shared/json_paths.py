"""JSONPath over JSON values. The plain paths that nearly everybody writes are walked without the library."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from shared.errors import UserError

__all__ = ["ABSENT", "Finder", "finder"]


class _Absent:
    """No value was found, which differs from null."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
Finder = Callable[[Any], Any]
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
