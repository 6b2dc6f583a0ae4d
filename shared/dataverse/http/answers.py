"""Typed readers of answers: every value that is taken from JSON of another program is asked for by its kind.

An answer of another shape, such as a list where an object belongs, becomes one error with a sentence that names the
place; no value of the answer is repeated.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from shared.errors import AbortRun

__all__ = ["Answer", "UnexpectedAnswer", "guid_of", "parsed", "without_halves"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}", re.ASCII)
_LONGEST_NUMBER: Final = 400  # characters; the largest double has 309 digits
_WHOLE_32: Final = 2**31
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")
# Every escape is matched, so that a backslash which is itself escaped begins none.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


class UnexpectedAnswer(AbortRun):
    """The other side answered in a way that Dataverse does not: most likely it is something else."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A value in an answer.

    Attributes:
        value: The value from the JSON parser.
        asked: What the answer is to, for messages.
        place: The position of the value in it.
    """

    value: Any
    asked: str
    place: str = ""

    def unexpected(self, wanted: str) -> UnexpectedAnswer:
        """The error for an unexpected value."""
        where = f"{self.place} is not {wanted}" if self.place else f"it is not {wanted}"
        return UnexpectedAnswer(
            f"the answer to {self.asked} does not come from Dataverse ({where}): check that service_url is the Web "
            f"API of a Dataverse environment"
        )

    def member(self, name: str) -> Answer:
        """A member of an object; a missing one is null.

        Raises:
            UnexpectedAnswer: This is not an object.
        """
        return Answer(self.members().get(name), self.asked, f"{self.place}.{name}" if self.place else name)

    def members(self) -> Mapping[str, Any]:
        """All members of an object, as the JSON parser gave them.

        Raises:
            UnexpectedAnswer: This is not an object.
        """
        if not isinstance(self.value, dict):
            raise self.unexpected("an object")
        return self.value

    def part(self, name: str) -> Answer:
        """A member of an object that may be null itself; then the member is null too."""
        return Answer({}, self.asked, self.place).member(name) if self.value is None else self.member(name)

    def items(self) -> Iterator[Answer]:
        """The elements of a list; of null there are none.

        Raises:
            UnexpectedAnswer: This is something else.
        """
        if self.value is None:
            return
        if not isinstance(self.value, list):
            raise self.unexpected("a list")
        for at, each in enumerate(self.value):
            yield Answer(each, self.asked, f"{self.place}[{at}]")

    def rows(self) -> list[Answer]:
        """The records of a collection: the objects in the member `value`.

        Raises:
            UnexpectedAnswer: The list is missing, or it contains something else.
        """
        listed = self.member("value")
        if not isinstance(listed.value, list):
            raise listed.unexpected("a list")
        rows = list(listed.items())
        for row in rows:
            if not isinstance(row.value, dict):
                raise row.unexpected("an object")
        return rows

    def text(self, default: str | None = None) -> str:
        """A text; null is the default, where there is one."""
        if isinstance(self.value, str):
            return self.value
        if self.value is None and default is not None:
            return default
        raise self.unexpected("a text")

    def name(self) -> str:
        """A name as schemas have it. It becomes part of addresses and SQL, so other characters are refused."""
        if isinstance(self.value, str) and _NAME.fullmatch(self.value):
            return self.value
        raise self.unexpected("a name of letters, digits and underscores")

    def guid(self) -> str:
        """An id, in lower case and with hyphens."""
        if (found := guid_of(self.value)) is not None:
            return found
        raise self.unexpected("an id (GUID)")

    def link(self, name: str) -> str | None:
        """A link around the records of a page, such as `@odata.nextLink`; None where there is none.

        Raises:
            UnexpectedAnswer: It is not a URL.
        """
        link = self.member(name)
        if link.value is None:
            return None
        url = link.text()
        if not url or not url.isprintable() or " " in url:
            raise link.unexpected("a URL")
        return url

    def flag(self, *, default: bool) -> bool:
        """True or false."""
        if isinstance(self.value, bool):
            return self.value
        if self.value is None:
            return default
        raise self.unexpected("true or false")

    def whole(self, *, low: int = -_WHOLE_32, high: int = _WHOLE_32 - 1) -> int:
        """A whole number within bounds."""
        if isinstance(self.value, int) and not isinstance(self.value, bool) and low <= self.value <= high:
            return self.value
        raise self.unexpected(f"a whole number from {low} to {high}")

    def whole_or_none(self, *, low: int, high: int) -> int | None:
        """A whole number within bounds, or null."""
        return None if self.value is None else self.whole(low=low, high=high)

    def number(self) -> float:
        """A finite number; numbers in texts are taken too, as some token endpoints write them."""
        value = self.value
        if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value, re.ASCII):
            return float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                found = float(value)
            except OverflowError:
                found = math.inf
            if math.isfinite(found):
                return found
        raise self.unexpected("a number")

    def number_or_none(self) -> float | None:
        """A finite number as it was written, whole or not; or null."""
        if self.value is None:
            return None
        self.number()
        if isinstance(self.value, str):
            raise self.unexpected("a number")
        found: float = self.value
        return found


def guid_of(value: object) -> str | None:
    """An id in its usual form; None for anything else."""
    if not isinstance(value, str) or not 32 <= len(value) <= 38:  # noqa: PLR2004 - without hyphens; with them in braces
        return None
    try:
        return str(UUID(value))
    except ValueError:
        return None


def parsed(body: bytes | str, asked: str, *, exact: bool = False) -> Answer:
    """Read JSON.

    Args:
        body: The answer.
        asked: What it is an answer to, for messages.
        exact: Numbers with a point become `Decimal`, which keeps every digit.

    Raises:
        UnexpectedAnswer: It is not JSON.
    """
    try:
        text = without_halves(body if isinstance(body, bytes) else body.encode())
        value = json.loads(text, parse_float=_exact if exact else float, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UnexpectedAnswer(
            f"the answer to {asked} is not JSON: check that service_url is the Web API of a Dataverse environment"
        ) from error
    return Answer(value, asked)


def without_halves(text: bytes) -> bytes:
    """JSON in which the sign for unknown characters stands for each escaped half of a surrogate pair.

    The service keeps such halves where a text was cut within an emoji. They are no characters: DuckDB refuses them, and
    they cannot be written as UTF-8.

    Args:
        text: JSON in UTF-8.
    """
    if _HALF.search(text) is None:
        return text
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], text)


def _exact(text: str) -> Decimal:
    """A decimal whose digits can be written out: `1e300000000` would fill the memory."""
    if len(text) > _LONGEST_NUMBER or not math.isfinite(float(text)):
        raise ValueError("a number beyond the largest double")
    found = Decimal(text)
    if found and abs(found.adjusted()) > _LONGEST_NUMBER:
        raise ValueError("a number beyond the smallest double")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
