"""Splits an OData expression into tokens with their positions."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from emulator.errors import ODataError
from emulator.odata.nodes import Literal

__all__ = ["END", "GUID", "Token", "literal_of", "tokenize"]

END: Final = "end"
GUID: Final = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_PATTERN: Final = re.compile(
    rf"""(?P<space>\s+)
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"\\]|\\.)*")
    |(?P<guid>{GUID}(?![\w-]))
    |(?P<datetime>\d{{4}}-\d\d-\d\d[Tt]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)?(?!\w))
    |(?P<date>\d{{4}}-\d\d-\d\d(?![\w-]))
    |(?P<number>-?(?:[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)[LlMmDdFf]?(?!\w))
    |(?P<alias>@[A-Za-z_]\w*)
    |(?P<name>[^\W\d][\w.]*(?:'(?:[^']|'')*')?|\$it|\$ref|\$count)
    |(?P<mark>[(),=/:;\[\]*])""",
    re.VERBOSE | re.ASCII,
)
_INT32: Final = range(-(2**31), 2**31)
_INT64: Final = range(-(2**63), 2**63)
_INT64_DIGITS: Final = 20


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of an expression: its kind (a group of the lexer's pattern, or `END`), text and position."""

    kind: str
    text: str
    position: int


def tokenize(text: str) -> list[Token]:
    """Return the tokens of ``text`` without spaces, followed by a token of kind `END`.

    Raises:
        ODataError: A text literal has no end, or a character is not part of a token.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _PATTERN.match(text, position)
        if match is None:
            raise _refused(text, position)
        kind = match.lastgroup or END
        if kind != "space":
            tokens.append(Token(kind, match.group(), position))
        position = match.end()
    tokens.append(Token(END, "", len(text)))
    return tokens


def _refused(text: str, position: int) -> ODataError:
    if text[position] in "'\"":
        return ODataError(f"There is an unterminated literal at position {len(text)} in '{text}'.", position=position)
    return ODataError(
        f"Syntax error: character '{text[position]}' is not valid at position {position} in '{text}'.",
        position=position,
    )


def literal_of(token: Token) -> Literal | None:
    """Return the value of a literal, or None for another token.

    Raises:
        ODataError: The token has the form of a literal but no valid value, such as the 30th of February.
    """
    match token.kind:
        case "string":
            return _made(token, token.text[1:-1].replace("''", "'"), "Edm.String")
        case "guid":
            return _made(token, token.text.lower(), "Edm.Guid")
        case "number":
            return _number(token)
        case "date":
            return _made(token, _date(token).isoformat(), "Edm.Date")
        case "datetime":
            return _made(token, _instant(token), "Edm.DateTimeOffset")
        case "name":
            return _word(token)
        case _:
            return None


def _made(token: Token, value: str | int | Decimal | bool | datetime | None, edm: str) -> Literal:  # noqa: FBT001 - a literal can be a truth value
    return Literal(value=value, edm=edm, text=token.text, position=token.position)


def _word(token: Token) -> Literal | None:
    if token.text in {"true", "false"}:
        return _made(token, token.text == "true", "Edm.Boolean")
    if token.text == "null":
        return _made(token, None, "null")
    if token.text.endswith("'"):  # the member of an enumeration, Microsoft.Dynamics.CRM.Kind'Value'
        name, _, value = token.text.partition("'")
        return _made(token, value[:-1], name)
    return None


def _number(token: Token) -> Literal:
    digits, suffix = token.text, token.text[-1].lower()
    if suffix in "lmdf":
        digits = digits[:-1]
    whole = digits.lstrip("-").isdigit() and len(digits) <= _INT64_DIGITS
    if whole and suffix not in "mdf":
        value = int(digits)
        if value in _INT32 and suffix != "l":
            return _made(token, value, "Edm.Int32")
        if value in _INT64:
            return _made(token, value, "Edm.Int64")
    kind = "Edm.Double" if suffix in "df" or "e" in digits.lower() else "Edm.Decimal"
    try:
        return _made(token, Decimal(digits), kind)
    except InvalidOperation as error:  # the exponent is too large for Decimal
        raise _unrecognized(kind, token) from error


def _date(token: Token) -> date:
    try:
        return date.fromisoformat(token.text)
    except ValueError as error:
        raise _unrecognized("Edm.Date", token) from error


def _instant(token: Token) -> datetime:
    try:
        moment = datetime.fromisoformat(token.text.upper())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _unrecognized("Edm.DateTimeOffset", token) from error


def _unrecognized(edm: str, token: Token) -> ODataError:
    return ODataError(
        f"Unrecognized '{edm}' literal '{token.text}' at '{token.position}' in '{token.text}'.", position=token.position
    )
