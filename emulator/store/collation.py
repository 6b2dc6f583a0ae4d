"""Text comparison as the environment's SQL collation does it.

Every Dataverse environment compares text without regard to case, width and kana, and most without regard to accents;
SQL Server also ignores trailing spaces. A collation here is the function that maps a text to the form under which equal
texts are identical, so that an ordinary unique index or ``=`` in SQLite gives the service's answer.
"""

import sqlite3
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["DEFAULT_COLLATION", "Collation"]

DEFAULT_COLLATION: Final = "Latin1_General_CI_AI"


# Katakana stand in the order of hiragana.
_TO_KATAKANA: Final = {place: place + 0x60 for place in (*range(0x3041, 0x3097), 0x309D, 0x309E)}


def _without_marks(text: str) -> str:
    return "".join([char for char in text if not unicodedata.combining(char)])


@dataclass(frozen=True, slots=True)
class Collation:
    """How an environment compares text.

    Attributes:
        name: SQL Server's name of the collation, such as ``Latin1_General_CI_AI``.
        case_sensitive: Whether ``a`` and ``A`` differ (``_CS``).
        accent_sensitive: Whether ``e`` and ``é`` differ (``_AS``).
        kana_sensitive: Whether hiragana and katakana differ (``_KS``); no environment's collation says so.
        width_sensitive: Whether full width and half width differ (``_WS``); likewise.
    """

    name: str = DEFAULT_COLLATION
    case_sensitive: bool = False
    accent_sensitive: bool = False
    kana_sensitive: bool = False
    width_sensitive: bool = False

    @classmethod
    def named(cls, name: str) -> Self:
        """Read the flags from a SQL Server collation's name.

        Raises:
            ValueError: The name states neither ``_CI``/``_CS`` nor ``_AI``/``_AS``.
        """
        parts = set(name.upper().split("_"))
        if not parts & {"CI", "CS"} or not parts & {"AI", "AS"}:
            raise ValueError(
                f"{name!r} is no collation: its name must say CI or CS, and AI or AS, as {DEFAULT_COLLATION} does"
            )
        return cls(
            name=name,
            case_sensitive="CS" in parts,
            accent_sensitive="AS" in parts,
            kana_sensitive="KS" in parts,
            width_sensitive="WS" in parts,
        )

    def normalise(self, text: str) -> str:
        """Return the form of ``text`` under which texts equal to the service are identical.

        Trailing spaces go, as ``=`` in SQL Server ignores them; leading ones count.
        """
        if text.isascii():
            return text.rstrip(" ") if self.case_sensitive else text.lower().rstrip(" ")
        return self.fold(text).rstrip(" ")

    def fold(self, text: str) -> str:
        """Like `normalise`, but with trailing spaces, which count in patterns (SQL Server's LIKE)."""
        if text.isascii():
            return text if self.case_sensitive else text.lower()
        folded = text if self.case_sensitive else text.casefold()
        whole = unicodedata.normalize("NFC" if self.width_sensitive else "NFKC", folded)
        bare = whole if self.accent_sensitive else _without_marks(unicodedata.normalize("NFD", whole))
        # Folding again: a compatibility form may open up to a capital letter (U+2122 to "TM").
        again = bare if self.case_sensitive else bare.casefold()
        return again if self.kana_sensitive else again.translate(_TO_KATAKANA)

    def register(self, connection: sqlite3.Connection) -> None:
        """Make ``dv_norm`` (`normalise`) and ``dv_fold`` (`fold`) known to SQLite, as compiled filters call both."""
        for name, change in (("dv_norm", self.normalise), ("dv_fold", self.fold)):
            connection.create_function(name, 1, _passing_null(change), deterministic=True)


_SqlValue = str | bytes | int | float | None


def _passing_null(change: Callable[[str], str]) -> Callable[[_SqlValue], _SqlValue]:
    def changed(value: _SqlValue) -> _SqlValue:
        return change(value) if isinstance(value, str) else value

    return changed
