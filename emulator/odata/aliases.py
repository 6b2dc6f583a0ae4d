"""JSON in parameter aliases: the lists and references that functions take, ``@p1={'@odata.id':'accounts(…)'}``."""

import re
from typing import Final

import orjson

from emulator.errors import ODataError
from emulator.json_depth import is_too_deep
from emulator.odata.nodes import Literal

__all__ = ["json_literal"]

# Microsoft's pages write texts in single quotes as well, doubled inside as in any OData literal.
_TEXT: Final = re.compile(r"""\"(?:[^"\\]|\\.)*\"|'(?:[^']|'')*'""")


def json_literal(text: str) -> Literal:
    """Return the value of an alias that holds a list or an object.

    Raises:
        ODataError: It is no JSON, or nested too deeply.
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
