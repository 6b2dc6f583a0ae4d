"""What Microsoft's OData library refuses in any JSON: objects that are nested too deep, and names that are repeated."""

import json
from collections.abc import Sequence
from typing import Final

__all__ = ["is_too_deep", "names_in", "repeated_name"]

_DEEPEST: Final = 100  # the library's ODataMessageQuotas.MaxNestingDepth
_SPACED: Final = (b" :", b"\t:", b"\n:", b"\r:")


def is_too_deep(content: object) -> bool:
    """Whether objects and lists are nested beyond the limit."""
    return names_in(content) is None


def names_in(content: object) -> int | None:
    """Returns the number of names in all objects, or None if objects and lists are nested beyond the limit.

    Visits each value once, level by level.
    """
    level, names = [content], 0
    for _ in range(_DEEPEST):
        names += sum([len(outer) for outer in level if isinstance(outer, dict)])
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return names
    return None


class _RepeatedError(Exception):
    """An object has a name twice."""


def repeated_name(body: bytes, names: int) -> str | None:
    """Returns a name that an object in the text has twice; parsers keep its last value and do not tell.

    Args:
        body: The JSON, which is valid.
        names: The number of names that a parser has found in it.
    """
    if body.count(b'":') == names and not any(spaced in body for spaced in _SPACED):
        return None  # as many names as in the text: the usual case costs no second parser
    try:
        json.loads(body.decode(), object_pairs_hook=_refuse_repeated, parse_int=str, parse_float=str)
    except _RepeatedError as error:
        return str(error)
    return None


def _refuse_repeated(pairs: Sequence[tuple[str, object]]) -> None:
    if len(dict(pairs)) < len(pairs):
        known: set[str] = set()
        for name, _ in pairs:
            if name in known:
                raise _RepeatedError(name)
            known.add(name)
