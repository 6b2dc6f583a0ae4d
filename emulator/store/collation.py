"""Comparison of text by the SQL collation of the environment.

Every Dataverse environment compares text without regard to case, width and kana, and most without regard to accents;
SQL Server also ignores trailing spaces. A collation maps each text to a normal form; texts that the service treats as
equal have the same normal form, so a unique index or ``=`` in SQLite gives the same result as the service.
"""

import sqlite3
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["DEFAULT_COLLATION", "Collation"]

DEFAULT_COLLATION: Final = "Latin1_General_CI_AI"


# Katakana have the same order as hiragana in Unicode.
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
        kana_sensitive: Whether hiragana and katakana differ (``_KS``); no environment has such a collation.
        width_sensitive: Whether full width and half width differ (``_WS``); no environment has such a collation.
    """

    name: str = DEFAULT_COLLATION
    case_sensitive: bool = False
    accent_sensitive: bool = False
    kana_sensitive: bool = False
    width_sensitive: bool = False

    @classmethod
    def named(cls, name: str) -> Self:
        """Read the flags from the name of a SQL Server collation.

        Raises:
            ValueError: The name lacks ``_CI`` or ``_CS``, or ``_AI`` or ``_AS``.
        """
        parts = set(name.upper().split("_"))
        if not parts & {"CI", "CS"} or not parts & {"AI", "AS"}:
            raise ValueError(
                f"{name!r} is not a collation: its name must contain CI or CS, and AI or AS, as in {DEFAULT_COLLATION}"
            )
        return cls(
            name=name,
            case_sensitive="CS" in parts,
            accent_sensitive="AS" in parts,
            kana_sensitive="KS" in parts,
            width_sensitive="WS" in parts,
        )

    def normalise(self, text: str) -> str:
        """Return the normal form of ``text``.

        Trailing spaces are removed, as ``=`` in SQL Server ignores them; leading spaces are kept.
        """
        if text.isascii():
            return text.rstrip(" ") if self.case_sensitive else text.lower().rstrip(" ")
        return self.fold(text).rstrip(" ")

    def fold(self, text: str) -> str:
        """Return the normal form with trailing spaces, which count in patterns (SQL Server's LIKE)."""
        if text.isascii():
            return text if self.case_sensitive else text.lower()
        folded = text if self.case_sensitive else text.casefold()
        whole = unicodedata.normalize("NFC" if self.width_sensitive else "NFKC", folded)
        bare = whole if self.accent_sensitive else _without_marks(unicodedata.normalize("NFD", whole))
        # Fold again: a compatibility form can contain capital letters (U+2122 becomes "TM").
        again = bare if self.case_sensitive else bare.casefold()
        return again if self.kana_sensitive else again.translate(_TO_KATAKANA)

    def register(self, connection: sqlite3.Connection) -> None:
        """Register ``dv_norm`` (`normalise`) and ``dv_fold`` (`fold`) with SQLite, for compiled filters."""
        for name, change in (("dv_norm", self.normalise), ("dv_fold", self.fold)):
            connection.create_function(name, 1, _passing_null(change), deterministic=True)


_SqlValue = str | bytes | int | float | None


def _passing_null(change: Callable[[str], str]) -> Callable[[_SqlValue], _SqlValue]:
    def changed(value: _SqlValue) -> _SqlValue:
        return change(value) if isinstance(value, str) else value

    return changed
