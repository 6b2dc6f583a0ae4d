"""Values of parameters for one run, and how they are put into texts: escaped for the place, never pasted."""

from __future__ import annotations

import datetime as dt
import html
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID, uuid4

from shared.definitions.models import Parameter, ParameterValue, SyncDefinition
from shared.definitions.models.base import Language
from shared.definitions.models.names import ParameterReference, references, replaced
from shared.definitions.parameters.formulas import Scope, calls_of, evaluate, names_of, parse_formula, secret_of
from shared.errors import UserError
from shared.redaction import ERASED, cleaned
from shared.suggestions import did_you_mean

__all__ = [
    "ParameterValue",
    "in_body",
    "in_json",
    "in_text",
    "in_url",
    "in_xml",
    "is_required",
    "logged",
    "new_in_each_run",
    "resolve",
    "shown",
]

_NEW: Final = frozenset({"GUID", "NOW"})


def resolve(
    definition: SyncDefinition,
    overrides: Mapping[str, ParameterValue],
    *,
    environment: Mapping[str, str],
    now: dt.datetime,
    guid: Callable[[], UUID] = uuid4,
    secrets: Collection[str] = (),
) -> dict[str, ParameterValue]:
    """Give every parameter its value for one run.

    Args:
        definition: A loaded definition: its formulas are valid.
        overrides: Values that the run gives; text is read as the type of the parameter's default.
        environment: What `ENV` reads.
        now: The start of the run, with a time zone; what `NOW` gives.
        guid: What `GUID` calls.
        secrets: Names of environment variables that are used as secrets, which `ENV` does not read.

    Returns:
        Values in the definition's order. Parameters that name a secret have none: where one is used there stands a
        reference to the secret, so that no log of values can show it.

    Raises:
        UserError: With every problem: unknown or unreadable override, no value given, a formula without a result.
    """
    formulas = {
        name: parse_formula(each.formula) for name, each in definition.parameters.items() if each.formula is not None
    }
    hidden = {name for name, formula in formulas.items() if secret_of(formula) is not None}
    problems = [*_refused(definition.parameters, overrides, hidden)]
    values: dict[str, ParameterValue] = {}
    scope = Scope(values=values, environment=environment, now=now, guid=guid, secrets=secrets)
    needs = {name: names_of(formulas[name]) if name in formulas else () for name in definition.parameters}
    for name in TopologicalSorter(needs).static_order():
        if name in hidden:
            continue
        parameter, formula = definition.parameters[name], formulas.get(name)
        try:
            if name in overrides:
                values[name] = _usable(_given(parameter, overrides[name]))
            else:
                values[name] = _usable(_default(parameter) if formula is None else evaluate(formula, scope))
        except KeyError:
            continue  # it refers to a parameter without a value, and that one is reported
        except ValueError as error:
            problems.append(f"parameter {name}: {error}")
    if problems:
        raise UserError("\n".join(problems))
    return {name: values[name] for name in definition.parameters if name in values}


def is_required(parameter: Parameter) -> bool:
    """Whether each run must be given the value; null is a default, too."""
    return parameter.formula is None and "default" not in parameter.model_fields_set


def new_in_each_run(parameters: Mapping[str, Parameter], given: Collection[str]) -> frozenset[str]:
    """The parameters whose value no two runs share: by `NOW()` or `GUID()`, also through other parameters.

    Args:
        parameters: Those of a loaded definition: their formulas are valid.
        given: Those whose values the run has from outside.
    """
    formulas = {
        name: parse_formula(each.formula)
        for name, each in parameters.items()
        if each.formula is not None and name not in given
    }
    found: set[str] = set()
    for name in TopologicalSorter({name: set(names_of(each)) for name, each in formulas.items()}).static_order():
        if name in formulas and (found & {*names_of(formulas[name])} or _NEW & {*calls_of(formulas[name])}):
            found.add(name)
    return frozenset(found)


def _refused(
    parameters: Mapping[str, Parameter], overrides: Mapping[str, ParameterValue], secrets: set[str]
) -> Iterator[str]:
    for name in overrides:
        if name in secrets:
            yield f"parameter {name} is a secret; a run cannot give it another value"
        elif name not in parameters:
            hint = did_you_mean(name, parameters) or f"there are: {', '.join(parameters) or 'none'}"
            yield f"there is no parameter {name}; {hint}"
        elif overrides[name] == ERASED:
            yield (
                f"the value of parameter {name} was erased with a record, and {ERASED} stands in its place: no undo or "
                "retry of that run is possible; for another run, give the value"
            )


def _default(parameter: Parameter) -> ParameterValue:
    if is_required(parameter):
        raise ValueError("it has no default and no formula, so the run must give its value")
    return parameter.default


def _given(parameter: Parameter, value: ParameterValue) -> ParameterValue:
    """Read an override, text from a command line, as the type of the default."""
    kind = type(parameter.default)
    if not isinstance(value, str) or kind not in _READERS:
        return value
    reader, meant = _READERS[kind]
    try:
        return reader(value.strip())
    except (ValueError, KeyError, OverflowError):
        raise ValueError(f"its default is {meant}, but the given text is not") from None


# What DuckDB's widest exact numbers hold; Dataverse's hold less.
_MOST_DIGITS: Final = 38
# A request's address may have 32 KB in all, a memo column a million characters, a command line two million.
_LONGEST_TEXT: Final = 100_000


def _usable(value: ParameterValue) -> ParameterValue:
    """Refuse values that cannot be written down where they are used.

    Raises:
        ValueError: A number without a size, a number or text that is too long, a moment outside the calendar.
    """
    match value:
        case float() if not math.isfinite(value):
            raise ValueError("its value is not a finite number")
        case int() if abs(value) >= 10**_MOST_DIGITS:
            raise ValueError(f"its value has more than {_MOST_DIGITS} digits")
        case str() if len(value) > _LONGEST_TEXT:
            raise ValueError(f"its value has {len(value):,} characters; the limit is {_LONGEST_TEXT:,}")
        case str() if not value.isprintable() and _HALF.search(value):
            raise ValueError("its value contains half of a surrogate pair, which is not a character")
        case dt.datetime():
            _in_calendar(value)
    return value


def _in_calendar(value: dt.datetime) -> None:
    try:
        utc(value)
    except OverflowError:
        raise ValueError("its value is before the year 1 or after the year 9999 in UTC") from None


_HALF: Final = re.compile("[\ud800-\udfff]")
_READERS: Final[Mapping[type, tuple[Callable[[str], ParameterValue], str]]] = {
    bool: (lambda text: {"true": True, "false": False}[text.lower()], "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    dt.date: (dt.date.fromisoformat, "a date such as 2024-01-31"),
    dt.datetime: (dt.datetime.fromisoformat, "a time such as 2024-01-31T12:00:00Z"),
}


def shown(value: ParameterValue) -> str:
    """Write a value as text: ISO dates, UTC times with Z, `true` and `false`; null is empty."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case dt.datetime():
            return utc(value).isoformat().replace("+00:00", "Z")
        case dt.date():
            return value.isoformat()
    return str(value)


def logged(value: ParameterValue) -> str | int | float | bool | None:
    """A value as the execution log keeps it: ready for JSON, and without the secrets that are known."""
    if isinstance(value, str):
        return cleaned(value)
    return value.isoformat() if isinstance(value, dt.date) else value


def utc(value: dt.datetime) -> dt.datetime:
    """The same moment in UTC; a time without zone is UTC."""
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def in_text(text: str, values: Mapping[str, ParameterValue]) -> str:
    """Put parameters into a path or other plain text.

    Raises:
        UserError: When the text names a parameter that has no value.
    """
    return _filled(text, values, shown)


def in_url(text: str, values: Mapping[str, ParameterValue], *, relative: bool = False) -> str:
    """Put parameters into a URL, percent-escaped.

    Args:
        text: The URL.
        values: The values by name.
        relative: It is a part of a URL. Else a parameter that it starts with is its base and stays as it is.

    Raises:
        UserError: A parameter has no value, or one that makes a part of the path lead elsewhere.
    """

    def escaped(value: ParameterValue) -> str:
        return quote(shown(value), safe="")

    base = None if relative else re.match(r"@(?:\w+|\{\w+\})", text)
    start = base.end() if base else 0
    filled = _filled(text[start:], values, escaped)
    if _dots(filled) > _dots(text[start:]):
        raise UserError(
            "with the values of the parameters, a part of the path of a URL is . or .., which leads elsewhere"
        )
    return _filled(text[:start], values, shown) + filled


def _dots(url: str) -> int:
    """How many parts of a path stay in their folder or leave it; escaping does not change them."""
    return sum(part in {".", ".."} for part in re.split(r"[?#]", url, maxsplit=1)[0].split("/"))


def in_xml(text: str, values: Mapping[str, ParameterValue]) -> str:
    """Put parameters into XML, as attribute values or text: what has a meaning in XML is escaped."""
    return _filled(text, values, lambda value: html.escape(shown(value)).translate(_WHITE_SPACE))


# In an attribute, a reader of XML takes them for blanks.
_WHITE_SPACE: Final = str.maketrans({"\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})


_JSON_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def in_json(text: str, values: Mapping[str, ParameterValue]) -> str:
    """Put parameters into JSON: inside a JSON text as escaped text, elsewhere as a JSON value."""
    parts, position = [], 0
    for found in _JSON_TEXT.finditer(text):
        parts.append(_filled(text[position : found.start()], values, _json_value))
        parts.append(_filled(found[0], values, lambda value: json.dumps(shown(value), ensure_ascii=False)[1:-1]))
        position = found.end()
    return "".join([*parts, _filled(text[position:], values, _json_value)])


def _json_value(value: ParameterValue) -> str:
    plain = shown(value) if isinstance(value, dt.date) else value
    return json.dumps(plain, ensure_ascii=False)


def in_body(value: Any, values: Mapping[str, ParameterValue]) -> Any:
    """Put parameters into the texts of a JSON value, at any depth.

    A text that is one `@name` becomes the value with its type; moments become texts.

    Raises:
        UserError: When a text names a parameter that has no value.
    """
    match value:
        case dict():
            return {name: in_body(each, values) for name, each in value.items()}
        case list():
            return [in_body(each, values) for each in value]
        case str():
            only = [*references(value, Language.TEXT, values)]
            if len(only) == 1 and only[0].name and (only[0].start, only[0].end) == (0, len(value)):
                found = value_of(only[0].name, values)
                return shown(found) if isinstance(found, dt.date) else found
            return in_text(value, values)
    return value


def _filled(text: str, values: Mapping[str, ParameterValue], render: Callable[[ParameterValue], str]) -> str:
    def by(found: ParameterReference) -> str:
        return render(value_of(found.name, values)) if found.name else "@"

    return replaced(text, by, Language.TEXT, values)


def value_of(name: str, values: Mapping[str, ParameterValue]) -> ParameterValue:
    """A parameter's value.

    Raises:
        UserError: When there is none of this name.
    """
    if name not in values:
        raise UserError(f"there is no value for the parameter {name}")
    return values[name]
