"""JSONPath over JSON values. The plain paths that nearly everybody writes are walked without the library."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache, lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from shared.errors import UserError

if TYPE_CHECKING:
    import jsonpath

__all__ = ["ABSENT", "Finder", "NumberText", "Step", "finder", "finder_of_records", "steps_of"]


class _Absent:
    """No value was found, which differs from null."""

    def __repr__(self) -> str:
        return "ABSENT"


class NumberText(str):
    """A number as it is written: binary floating point would change its digits."""

    __slots__ = ()


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


@lru_cache(maxsize=1024)
def finder_of_records(path: str) -> Finder:
    """As `finder`, but `ABSENT` also where the place is not there in which a path looks for several values.

    So `$.data.items[*]` tells a list without records from a document that has no list, such as an error.

    Raises:
        UserError: The path is not a JSONPath.
    """
    if _PLAIN.fullmatch(path):
        return finder(path)
    import jsonpath  # noqa: PLC0415 - a plain path does not need it at a cold start

    query, find = _query(path), finder(path)
    if not isinstance(query, jsonpath.JSONPath) or query.singular_query():
        return find
    first = takewhile(lambda each: jsonpath.JSONPath(env=query.env, segments=(each,)).singular_query(), query.segments)
    place = jsonpath.JSONPath(env=query.env, segments=tuple(first))

    def find_in_place(value: Any) -> Any:
        found = place.findall(value)
        return find(value) if found and isinstance(found[0], list | dict | None) else ABSENT

    return find_in_place


def _compiled(path: str) -> Finder:
    import jsonpath  # noqa: PLC0415 - a plain path does not need it at a cold start

    query = _query(path)
    single = isinstance(query, jsonpath.JSONPath) and query.singular_query()

    def find(value: Any) -> Any:
        found = query.findall(value)
        if single:
            return found[0] if found else ABSENT
        return found

    return find


def _query(path: str) -> jsonpath.JSONPath | jsonpath.CompoundJSONPath:
    import jsonpath  # noqa: PLC0415 - a plain path does not need it at a cold start

    try:
        return _environment().compile(path)
    except jsonpath.JSONPathError as error:
        raise UserError(f"{path!r} is not a JSONPath: {error}") from None


@cache
def _environment() -> jsonpath.JSONPathEnvironment:
    import jsonpath  # noqa: PLC0415 - a plain path does not need it at a cold start

    class Environment(jsonpath.JSONPathEnvironment):
        """Compares numbers by their values, in whichever form they were read."""

        def compare(self, left: object, operator: str, right: object) -> bool:
            return super().compare(_comparable(left), operator, _comparable(right))

    return Environment()


def _comparable(value: object) -> object:
    match value:
        case NumberText() | float():
            try:
                return Decimal(str(value))
            except ArithmeticError:  # an exponent that no Decimal has
                return value
        case list():
            return [*map(_comparable, value)]
        case _:
            return value


def steps_of(path: str) -> tuple[Step, ...] | None:
    """The steps of a path that begins with a name and has only names, indices and `[*]`; None for any other path."""
    steps, at = list[Step](), 1
    while at < len(path):
        if not (found := _STEP.match(path, at)):
            return None
        at = found.end()
        name = found["name"] if found["quoted"] is None else found["quoted"][1:-1]
        steps.append(int(found["index"]) if found["index"] else name)
    return tuple(steps) if path.startswith("$") and steps and isinstance(steps[0], str) else None
