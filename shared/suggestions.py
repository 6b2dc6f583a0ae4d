"""Known names that are similar to a misspelled name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches

__all__ = ["closest", "did_you_mean"]


def closest(word: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The known names most similar to a word, without regard to case, the most similar first.

    Args:
        word: What was written.
        known: The names there are; each is returned as it is spelled here.
        most: How many names to return at most.
        cutoff: The least similarity, from 0 to 1.
    """
    spelled: dict[str, str] = {}
    for name in known:
        spelled.setdefault(name.casefold(), name)
    return [spelled[found] for found in get_close_matches(word.casefold(), spelled, n=most, cutoff=cutoff)]


def did_you_mean(
    word: str, known: Iterable[str], *, before: str = "", cutoff: float = 0.6, shown: Callable[[str], str] = str
) -> str:
    """The sentence ``did you mean name?``; an empty text where no known name is similar.

    Args:
        word: What was written.
        known: The names there are.
        before: What to put before the sentence, such as a semicolon.
        cutoff: The least similarity, from 0 to 1.
        shown: Gives the form in which a name is shown.
    """
    return "".join(f"{before}did you mean {shown(name)}?" for name in closest(word, known, cutoff=cutoff))
