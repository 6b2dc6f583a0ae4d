"""What every part of a definition is made of: the frozen base model, the languages texts are written in, scalars."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from functools import partial
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field
from pydantic_core import PydanticKnownError

__all__ = [
    "FORMS",
    "LONGEST_NAME",
    "NUMBER",
    "OPERATION_NAME",
    "PARAMETER_NAME",
    "SHAPE",
    "SHARE",
    "SYNC_NAME",
    "WHOLE",
    "DatabaseSql",
    "FetchXml",
    "Json",
    "Language",
    "Model",
    "ODataFilter",
    "Pattern",
    "Script",
    "Seconds",
    "Sql",
    "Text",
    "Verbatim",
    "WithUnit",
    "mistake_in_name",
    "seconds",
    "shape_of",
]


SYNC_NAME: Final = r"^[a-z0-9-]+$"
LONGEST_NAME: Final = 100  # characters of the name of a sync or a connection
PARAMETER_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
OPERATION_NAME: Final = r"^[A-Za-z][A-Za-z0-9_]*$"
SHARE: Final = r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"
LONGEST_SCRIPT: Final = 100_000  # characters; the scripts of people have a few thousand
# What a text should look like, for the message when it does not.
FORMS: Final = {
    SYNC_NAME: "a name contains only a-z, 0-9 and -",
    PARAMETER_NAME: "a parameter's name consists of letters, digits and underscores and does not start with a digit",
    OPERATION_NAME: "the name of an action consists of letters, digits and underscores; leave out its namespace",
    SHARE: "a limit is a percentage such as 30%, or a number of rows",
}


class Model(BaseModel):
    """Frozen; refuses unknown keys; error messages do not contain the values.

    `hide_input_in_errors` keeps the refused value out of pydantic's own message: it may be a secret in the wrong place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Language(StrEnum):
    """What a text of a definition is written in; it decides where an `@name` in it is a parameter."""

    SQL = "SQL expression"
    DATABASE = "SQL of the database"
    ODATA = "OData filter"
    TEXT = "text with @parameters"
    JSONPATH = "JSONPath"
    REGEX = "regular expression"
    FETCH = "FetchXML with @parameters"
    SCRIPT = "JavaScript"
    JSON = "JSON with @parameters"


class Verbatim:
    """Marks a text in which blanks have a meaning, also at its ends and alone: a form keeps them as they were typed."""


def mistake_in_name(name: str) -> str:
    """What is wrong with the name of a sync; empty if nothing is."""
    if not re.fullmatch(SYNC_NAME, name):
        return FORMS[SYNC_NAME]
    if len(name) > LONGEST_NAME:
        return f"a name has at most {LONGEST_NAME} characters; this one has {len(name):,}"
    return ""


def json_path(path: str) -> str:
    """Refuse a text that is not a JSONPath."""
    # Imported here: only real-time definitions pay for the parser at a cold start.
    import jsonpath  # noqa: PLC0415 - see above

    try:
        jsonpath.compile(path)
    except (jsonpath.JSONPathError, ValueError, RecursionError):
        raise ValueError("this is not a JSONPath; write one such as $.data") from None
    return path


def fetch_xml(text: str) -> str:
    """Refuse a text that is not FetchXML."""
    # Imported here: few definitions pay for the parser at a cold start.
    from shared.fetch_xml import read_fetch  # noqa: PLC0415 - see above

    read_fetch(text)
    return text


Sql = Annotated[str, Field(min_length=1), Language.SQL]
DatabaseSql = Annotated[str, Field(min_length=1), Language.DATABASE]
ODataFilter = Annotated[str, Field(min_length=1), Language.ODATA]
Text = Annotated[str, Field(min_length=1), Language.TEXT]
# Not tried here: DuckDB's RE2 decides, and what it reads is not what Python's `re` does.
Pattern = Annotated[str, Field(min_length=1), Language.REGEX]
Json = Annotated[
    str,
    BeforeValidator(lambda value: json_path(value) if isinstance(value, str) else value),
    Language.JSONPATH,
]
Script = Annotated[str, Field(min_length=1, max_length=LONGEST_SCRIPT), Language.SCRIPT]
FetchXml = Annotated[str, AfterValidator(fetch_xml), Language.FETCH]

_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|h)", re.IGNORECASE)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


def _no_truth(value: object, *, error: Literal["float_type", "int_type"] = "float_type") -> object:
    if isinstance(value, bool):
        raise PydanticKnownError(error)
    return value


NUMBER: Final = BeforeValidator(_no_truth)
"""For each number: Python takes true for 1, so a limit of `true` or `yes` would be one of one row."""
WHOLE: Final = BeforeValidator(partial(_no_truth, error="int_type"))
"""The same for each whole number."""


def seconds(value: object) -> object:
    """Read `90`, `90s`, `2m` or `1h` as seconds."""
    if not isinstance(value, str):
        return _no_truth(value)
    if (found := _DURATION.fullmatch(value.strip())) is None:
        raise ValueError("a duration is a number of seconds, or a number with a unit: 90s, 2m, 1h")
    number = float(found[1]) * _UNITS[found[2].lower()]
    if not math.isfinite(number):
        raise ValueError("this duration is too long")
    return number


WithUnit = Annotated[str, Field(pattern=r"^\s*[0-9]+(\.[0-9]+)?\s*[smhSMH]\s*$")]
Seconds = Annotated[
    float,
    Field(gt=0, allow_inf_nan=False),
    BeforeValidator(seconds, json_schema_input_type=Annotated[float, Field(gt=0)] | WithUnit),
]


def shape_of(value: object) -> str:
    """The form of a value, so that a union of forms reports one problem and not one for each form."""
    match value:
        case str():
            return "text"
        case list() | tuple():
            return "list"
        case _:
            return "mapping"


SHAPE: Final = Discriminator(shape_of)
