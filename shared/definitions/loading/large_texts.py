"""The results of reading the latest large texts are kept: an editor reads the same text several times in a row."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Concatenate, Final, ParamSpec, TypeVar, cast

__all__ = ["keeps_large_texts"]

P = ParamSpec("P")
R = TypeVar("R")

# Characters: reading a text of a thousand columns takes a quarter of a second. The result of a text takes about eighty
# times the memory of the text.
_KEPT_SIZES: Final = range(20_000, 300_000)
_MOST_KEPT: Final = 3


def keeps_large_texts(read: Callable[Concatenate[str, P], R]) -> Callable[Concatenate[str, P], R]:
    """Decorate a function of a text, so that it keeps its results for the latest large texts.

    The results are shared by all callers, so they must not be changed.
    """
    kept = cast("Callable[Concatenate[str, P], R]", lru_cache(maxsize=_MOST_KEPT)(read))

    @wraps(read)
    def read_or_kept(text: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return (kept if len(text) in _KEPT_SIZES else read)(text, *args, **kwargs)

    return read_or_kept
