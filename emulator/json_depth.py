"""The limit of Microsoft's OData library for the nesting of JSON."""

from typing import Final

__all__ = ["is_too_deep"]

_DEEPEST: Final = 100  # the library's ODataMessageQuotas.MaxNestingDepth


def is_too_deep(content: object) -> bool:
    """Whether objects and lists are nested beyond the limit; visits each value once, level by level."""
    level = [content]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True
