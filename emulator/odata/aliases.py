"""JSON in parameter aliases: lists and references as arguments of functions, ``@p1={'@odata.id':'accounts(…)'}``."""

import re
from typing import Final

import orjson

from emulator.errors import ODataError
from emulator.json_depth import is_too_deep
from emulator.odata.nodes import Literal

__all__ = ["json_literal"]

# Microsoft's pages also have texts in single quotes, with two quotes for one inside, as in OData literals.
_TEXT: Final = re.compile(r"""\"(?:[^"\\]|\\.)*\"|'(?:[^']|'')*'""")


def json_literal(text: str) -> Literal:
    """Return the value of an alias that holds a list or an object.

    Raises:
        ODataError: It is not JSON, or is nested too deeply.
    """
    try:
        value = orjson.loads(_TEXT.sub(_in_double_quotes, text))
    except orjson.JSONDecodeError as error:
        raise ODataError("Bad Request - Error in query syntax.") from error
    if is_too_deep(value):
        raise ODataError("Recursion depth exceeded allowed limit.")
    return Literal(value=value, edm="json", text=text)


def _in_double_quotes(match: re.Match[str]) -> str:
    text = match.group()
    return text if text.startswith('"') else orjson.dumps(text[1:-1].replace("''", "'")).decode()
