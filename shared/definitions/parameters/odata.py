"""Parameters in OData filters: each becomes a literal of the type that it is compared with."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Final
from uuid import UUID

from shared.definitions.models import ParameterValue
from shared.definitions.models.base import Language
from shared.definitions.models.names import ParameterReference, replaced
from shared.definitions.parameters.values import shown, utc, value_of
from shared.entities import AttributeMetadata, AttributeType, DateBehavior, EntityMetadata
from shared.errors import UserError
from shared.odata import column_of_member, odata_text

__all__ = ["compared_text", "in_odata", "literal_of"]


class _SeveralOptionsError(ValueError):
    """A label that several options have; the message lists them."""


def in_odata(condition: str, values: Mapping[str, ParameterValue], entity: EntityMetadata) -> str:
    """Put parameters into an OData `$filter`.

    A parameter compared with a column of the table becomes a literal of the column's type: text in quotes, numbers,
    ids, dates and booleans bare, a choice's label its value. Anything else, such as an argument of a query function or
    a column behind a lookup, takes the parameter's own type.

    Raises:
        UserError: When a parameter has no value or the value does not fit the column.
    """
    tokens = [*_TOKEN.finditer(condition)]
    places = {token.start(): index for index, token in enumerate(tokens)}

    def by(found: ParameterReference) -> str:
        value = value_of(found.name, values)
        operand = _operand([token[0] for token in tokens], places[found.start])
        attribute = entity.attributes.get(column_of_member(operand))
        with _fitting(found.name, operand):
            return _own(value, operand) if attribute is None else _typed(value, attribute)

    return replaced(condition, by, Language.ODATA)


def compared_text(name: str, values: Mapping[str, ParameterValue], attribute: AttributeMetadata) -> str | None:
    """What `in_odata` writes for a parameter that is compared with a column, but texts without quotes; None for null.

    Whoever reads a filter in another language than OData takes the value from here, so that both mean the same.

    Raises:
        UserError: When the parameter has no value or the value does not fit the column.
    """
    value = value_of(name, values)
    with _fitting(name, attribute.name):
        return None if value is None else _text(value, attribute)


@contextmanager
def _fitting(name: str, operand: str) -> Iterator[None]:
    """Say which parameter has a value that does not fit what it is compared with."""
    compared = f"in a filter {operand} is compared with @{name}"
    try:
        yield
    except _SeveralOptionsError as error:
        raise UserError(f"{compared}, {error}") from None
    except (ValueError, InvalidOperation, OverflowError):
        raise UserError(f"{compared}, but the value does not fit") from None


_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|@[A-Za-z_]\w*(?:\.\w+)?|[A-Za-z_][\w./]*|[^\s]", re.ASCII)
_COMPARISONS: Final = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
_SAME_TYPE: Final = frozenset({"contains", "startswith", "endswith", "tolower", "toupper", "trim", "concat"})
_LISTED: Final = "[]"
_NAMED: Final = "="


def _operand(tokens: list[str], index: int) -> str:
    """Name what the parameter at `index` is compared with.

    Returns:
        A column's name; inside a query function `[]` in a list and `=` behind an argument's name; or nothing.
    """
    before = tokens[index - 1].lower() if index else ""
    after = tokens[index + 1].lower() if index + 1 < len(tokens) else ""
    if before in _COMPARISONS:
        return _ending_at(tokens, index - 2)
    if after in _COMPARISONS:
        return _starting_at(tokens, index + 2)
    if before == "=":
        return _NAMED
    if before in {"(", ",", "["}:
        return _around(tokens, index)
    return ""


def _opening(tokens: list[str], index: int, brackets: str = "()[]") -> int:
    """Where the bracket opens that stands around `index`; -1 when none does."""
    depth = 0
    for place in range(index - 1, -1, -1):
        if tokens[place] in brackets[1::2]:
            depth += 1
        elif tokens[place] in brackets[::2]:
            depth -= 1
            if depth < 0:
                return place
    return -1


def _argument(tokens: list[str], opening: int) -> str:
    """The column in a call such as `tolower(name)`; nothing for a call that changes the type, such as `year`."""
    if opening < 1 or tokens[opening - 1].lower() not in _SAME_TYPE:
        return ""
    after = zip(tokens[opening + 1 :], [*tokens[opening + 2 :], ""], strict=True)
    return next((token for token, behind in after if behind != "(" and re.match(r"[A-Za-z_]", token)), "")


def _ending_at(tokens: list[str], index: int) -> str:
    if index < 0:
        return ""
    return _argument(tokens, _opening(tokens, index)) if tokens[index] == ")" else tokens[index]


def _starting_at(tokens: list[str], index: int) -> str:
    if index >= len(tokens):
        return ""
    return _argument(tokens, index + 1) if tokens[index + 1 : index + 2] == ["("] else tokens[index]


def _around(tokens: list[str], index: int) -> str:
    opening = _opening(tokens, index)
    if opening < 0:
        return ""
    if tokens[opening] == "[":
        return _LISTED
    if opening > 1 and tokens[opening - 1].lower() == "in":
        return tokens[opening - 2]
    return _argument(tokens, opening)


_WHOLE: Final = frozenset({AttributeType.INTEGER, AttributeType.BIGINT})
_CHOICES: Final = frozenset({AttributeType.PICKLIST, AttributeType.STATE, AttributeType.STATUS})
_NUMBERS: Final = frozenset({AttributeType.DECIMAL, AttributeType.MONEY, AttributeType.DOUBLE})
_IDS: Final = frozenset(
    {AttributeType.LOOKUP, AttributeType.CUSTOMER, AttributeType.OWNER, AttributeType.UNIQUEIDENTIFIER}
)
_BARE: Final = _WHOLE | _CHOICES | _NUMBERS | _IDS | {AttributeType.BOOLEAN, AttributeType.DATETIME}


def literal_of(value: ParameterValue, kind: AttributeType) -> str:
    """The literal of a value as one of a type.

    Raises:
        ValueError, InvalidOperation, OverflowError: The value is not of this type.
    """
    return _typed(value, AttributeMetadata(name="", type=kind))


def _typed(value: ParameterValue, attribute: AttributeMetadata) -> str:
    """The literal of a column's type.

    Raises:
        ValueError, InvalidOperation: The value is not of this type.
    """
    if value is None:
        return "null"
    text = _text(value, attribute)
    return text if attribute.type in _BARE else odata_text(text)


def _text(value: ParameterValue, attribute: AttributeMetadata) -> str:
    """The literal of a column's type, but texts without quotes.

    Raises:
        ValueError, InvalidOperation, OverflowError: The value is not of this type.
    """
    kind = attribute.type
    if kind in _WHOLE:
        return str(_whole(value))
    if kind in _NUMBERS:
        return format(_number(value), "f")
    if kind in _CHOICES:
        return str(_choice(value, attribute))
    if kind is AttributeType.BOOLEAN:
        return str(_boolean(value, attribute)).lower()
    if kind in _IDS:
        return str(UUID(shown(value).strip()))
    if kind is AttributeType.DATETIME:
        return _moment(value, date_only=attribute.date_behavior is DateBehavior.DATE_ONLY)
    return shown(value)


def _own(value: ParameterValue, operand: str) -> str:
    """The literal of the parameter's own type.

    Query functions take dates as text, and in lists every value
    (https://learn.microsoft.com/power-apps/developer/data-platform/webapi/reference/queryfunctions).
    """
    if value is None:
        return "null"
    if operand == _LISTED or (operand == _NAMED and isinstance(value, dt.date)):
        return odata_text(shown(value))
    if isinstance(value, str):
        is_id = operand.endswith("id") and _GUID.fullmatch(value)
        return value if is_id else odata_text(value)
    return shown(value)


_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


# A double has 309 digits before its point and some hundred after it. `1e30000000` would be thirty megabytes of zeros.
_MOST_DIGITS: Final = 400


def _number(value: ParameterValue) -> Decimal:
    number = Decimal(shown(value).strip())
    if not number.is_finite() or isinstance(value, bool):
        raise ValueError("not a number")
    if max(abs(number.adjusted()), len(number.as_tuple().digits)) > _MOST_DIGITS:
        raise ValueError("a number that is too long")
    return number


def _choice(value: ParameterValue, attribute: AttributeMetadata) -> int:
    """The option of that value, or else the one with that label."""
    sought = shown(value).strip().casefold()
    named = [each for each in attribute.choices if str(each.value) == sought] or [
        each for each in attribute.choices if any(label.casefold() == sought for label in each.labels)
    ]
    if len(named) > 1:
        raise _SeveralOptionsError(
            f"which is the label of several options: {', '.join(map(str, named))}; give the value of one of them"
        )
    return named[0].value if named else _whole(value)


def _whole(value: ParameterValue) -> int:
    number = _number(value)
    if number != number.to_integral_value():
        raise ValueError("not a whole number")
    return int(number)


def _boolean(value: ParameterValue, attribute: AttributeMetadata) -> bool:
    if isinstance(value, bool):
        return value
    text = shown(value).strip().lower()
    if text in {"true", "false"}:
        return text == "true"
    number = _choice(value, attribute)
    if number not in {0, 1}:
        raise ValueError("not a boolean")
    return number == 1


def _moment(value: ParameterValue, *, date_only: bool) -> str:
    if not isinstance(value, dt.date):
        text = shown(value).strip()
        value = dt.date.fromisoformat(text) if len(text) <= len("2024-01-31") else dt.datetime.fromisoformat(text)
    if isinstance(value, dt.datetime):
        moment = utc(value)
        return moment.date().isoformat() if date_only else f"{moment.replace(microsecond=0, tzinfo=None).isoformat()}Z"
    return value.isoformat() if date_only else f"{value.isoformat()}T00:00:00Z"
