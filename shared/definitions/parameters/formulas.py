"""Formulas of parameters: one call such as `FILENAME(@path, '[0-9]+')`, parsed here and never evaluated as code."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.definitions.models import ParameterValue
from shared.definitions.models.secrets import VAULT_SECRET
from shared.definitions.parameters.environment import holds_secret
from shared.definitions.parameters.patterns import check_pattern, first_found
from shared.suggestions import did_you_mean

__all__ = [
    "Formula",
    "FormulaCall",
    "Literal",
    "Name",
    "Scope",
    "calls_of",
    "evaluate",
    "names_of",
    "parse_formula",
    "secret_of",
    "secret_variable",
    "variables_of",
]


@dataclass(frozen=True, slots=True)
class Literal:
    """Text in single quotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """Another parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class FormulaCall:
    """A function and what it is given."""

    function: str
    arguments: tuple[Formula, ...]


Formula = Literal | Name | FormulaCall

# Function -> what its arguments are, for the message.
_SIGNATURES: Final = {
    "FILENAME": ("path", "regex"),
    "FILEPATH": ("path", "regex"),
    "GUID": (),
    "ENV": ("'NAME'",),
    "NOW": (),
    "SECRET": ("'name'",),
}
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|@(?P<name>[A-Za-z_]\w*)|(?P<call>[A-Za-z_]\w*)\s*\(|(?P<sign>[),]))\s*", re.ASCII
)
_DEEPEST: Final = 10


def parse_formula(text: str) -> FormulaCall:
    """Parse one formula.

    Raises:
        ValueError: With what is wrong; the formula's texts are not repeated.
    """
    parser = _Parser(text)
    formula = parser.formula(0)
    if parser.position != len(text):
        raise ValueError("a formula is one call, but there is text after it")
    match formula:
        case FormulaCall():
            return formula
    raise ValueError(f"a formula is a call of one of {', '.join(_SIGNATURES)}")


@dataclass(slots=True)
class _Parser:
    text: str
    position: int = 0

    def _next(self) -> re.Match[str]:
        if (found := _TOKEN.match(self.text, self.position)) is None:
            raise ValueError(
                f"a formula is a call such as GUID() or FILENAME(@path, '(\\d+)'); it cannot be read after character "
                f"{self.position}"
            )
        self.position = found.end()
        return found

    def formula(self, depth: int) -> Formula:
        """Read one argument, or the whole."""
        if depth > _DEEPEST:
            raise ValueError("the formula is nested too deeply")
        found = self._next()
        if found["text"] is not None:
            return Literal(found["text"][1:-1].replace("''", "'"))
        if found["name"] is not None:
            return Name(found["name"])
        if found["call"] is not None:
            return _checked(FormulaCall(found["call"].upper(), tuple(self._arguments(depth))))
        raise ValueError("a value is missing in the formula")

    def _arguments(self, depth: int) -> Iterator[Formula]:
        if self.text.startswith(")", self.position):
            self._next()
            return
        while True:
            yield self.formula(depth + 1)
            sign = self._next()["sign"]
            if sign == ")":
                return
            if sign != ",":
                raise ValueError("a comma or ) is missing in the formula")


def _checked(call: FormulaCall) -> FormulaCall:
    expected = _SIGNATURES.get(call.function)
    if expected is None:
        hint = did_you_mean(call.function, _SIGNATURES) or f"there are {', '.join(_SIGNATURES)}"
        raise ValueError(f"there is no formula {call.function}; {hint}")
    if len(call.arguments) != len(expected):
        raise ValueError(f"write it as {call.function}({', '.join(expected)})")
    if call.function in {"ENV", "SECRET"} and not isinstance(call.arguments[0], Literal):
        raise ValueError(f"write it as {call.function}({expected[0]}): put the name in quotes")
    for argument in call.arguments:
        if isinstance(argument, FormulaCall) and argument.function == "SECRET":
            raise ValueError("SECRET('name') must be the whole formula: a formula cannot use a secret")
    match call:
        case FormulaCall("SECRET", (Literal(name),)) if not re.fullmatch(VAULT_SECRET, name):
            raise ValueError("SECRET takes a secret's name or URI in Key Vault (the value is not shown)")
        case FormulaCall("FILENAME" | "FILEPATH", (_, Literal(pattern))):
            check_pattern(pattern)
    return call


def names_of(formula: Formula) -> Iterator[str]:
    """The parameters that a formula refers to."""
    match formula:
        case Name(name):
            yield name
        case FormulaCall(_, arguments):
            for argument in arguments:
                yield from names_of(argument)


def calls_of(formula: Formula) -> Iterator[str]:
    """The functions that a formula calls."""
    match formula:
        case FormulaCall(function, arguments):
            yield function
            for argument in arguments:
                yield from calls_of(argument)


def variables_of(formula: Formula) -> Iterator[str]:
    """The environment variables that a formula reads."""
    match formula:
        case FormulaCall("ENV", (Literal(name),)):
            yield name
        case FormulaCall(_, arguments):
            for argument in arguments:
                yield from variables_of(argument)


def secret_variable(name: str) -> str:
    """The message for a variable that no formula may read."""
    return (
        f"the environment variable {name} contains a secret, which ENV does not read; in keys that take a secret, "
        f"write {{env: {name}}}"
    )


def secret_of(formula: Formula) -> str | None:
    """The secret's name, when the formula is `SECRET('name')`."""
    match formula:
        case FormulaCall("SECRET", (Literal(name),)):
            return name
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What formulas may read.

    Attributes:
        values: The parameters known so far.
        environment: Environment variables.
        now: Start of the run, UTC.
        guid: Makes a new id.
        secrets: Names of environment variables that are used as secrets.
    """

    values: Mapping[str, ParameterValue]
    environment: Mapping[str, str]
    now: dt.datetime
    guid: Callable[[], UUID]
    secrets: Collection[str] = ()


def evaluate(formula: Formula, scope: Scope) -> ParameterValue:
    """Compute a formula.

    Raises:
        ValueError: It has no value: the variable is not set, or the path does not match.
    """
    match formula:
        case Literal(text):
            return text
        case Name(name):
            return scope.values[name]
        case FormulaCall("GUID", ()):
            return str(scope.guid())
        case FormulaCall("NOW", ()):
            return scope.now
        case FormulaCall("ENV", (Literal(name),)):
            if name not in scope.environment:
                raise ValueError(f"the environment variable {name} is not set")
            if holds_secret(name, scope.environment, scope.secrets):
                raise ValueError(secret_variable(name))
            return scope.environment[name]
        case FormulaCall("FILENAME" | "FILEPATH" as function, (path, pattern)):
            return _found(function, _evaluated_text(path, scope), _evaluated_text(pattern, scope))
    raise ValueError("a secret is not a value")


def _evaluated_text(formula: Formula, scope: Scope) -> str:
    value = evaluate(formula, scope)
    if not isinstance(value, str):
        raise ValueError("a path and a regular expression must be text")  # noqa: TRY004 - a ValueError is what callers report
    return value


def _found(function: str, path: str, pattern: str) -> str:
    subject = re.split(r"[/\\]", path)[-1] if function == "FILENAME" else path
    if (found := first_found(pattern, subject)) is None:
        raise ValueError(f"{function} finds nothing in {subject!r}")
    return found
