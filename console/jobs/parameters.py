"""The parameters of a definition as fields of a form."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from console.web.field_texts import carried, has_lines
from shared.definitions import SyncDefinition
from shared.definitions.models import Parameter
from shared.definitions.parameters.formulas import parse_formula, secret_of
from shared.definitions.parameters.values import is_required, shown

__all__ = ["PREFIX", "ParameterField", "fields_of", "file_parameter", "given", "lacks_file"]

PREFIX: Final = "p."
"""What the name of a field begins with; the name of its parameter follows."""
_IF_EMPTY: Final = "If it is empty: "
_FORMULAS: Final = {
    "FILENAME": "a part of the name of a file",
    "FILEPATH": "a part of the path of a file",
    "GUID": "a new id for each run",
    "ENV": "a setting of the app",
    "NOW": "the moment at which the run starts",
}
_INPUTS: Final[tuple[tuple[type, str, str], ...]] = (
    (bool, "choice", "true or false"),
    (int, "number", "a whole number"),
    (float, "text", "a number"),
    (dt.datetime, "text", "a time such as 2026-01-31T12:00:00Z"),
    (dt.date, "date", "a date"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterField:
    """One field.

    Attributes:
        name: The parameter.
        description: What the definition says of it.
        kind: `text`, `number`, `date`, `choice` (true or false), `secret`, which has no field, or `fixed`: the person
            may give no other value.
        help: Of which kind its values are, or how the value is calculated where none is given.
        default: Its value where none is given, as text; empty where it is calculated.
        value: What stands in the field.
        has_lines: Whether the field has several lines.
        is_required: Whether a run must give the value.
        is_calculated: Whether a formula gives the value.
        is_file: Whether it is the path of the source: a file can be given instead.
    """

    name: str
    description: str
    kind: str
    help: str
    default: str
    value: str
    has_lines: bool
    is_required: bool
    is_calculated: bool
    is_file: bool = False


def fields_of(
    definition: SyncDefinition, typed: Mapping[str, str], fixed: Collection[str] = ()
) -> list[ParameterField]:
    """The fields of a form.

    Args:
        definition: Has the parameters.
        typed: What a person has typed, by parameter.
        fixed: The parameters to which the person may give no other value.
    """
    file = file_parameter(definition)
    fields = [_field(name, each, typed.get(name)) for name, each in definition.parameters.items()]
    fields = [replace(each, is_file=True) if each.name == file else each for each in fields]
    return [_fixed(each) if each.name in fixed else each for each in fields]


def _fixed(field: ParameterField) -> ParameterField:
    if field.kind == "secret":
        return field
    what = "path" if field.is_file else "value"
    said = f"only a person with the right admin may give {'a' if field.is_required else 'another'} {what}"
    calculated = f"{field.help.removeprefix(_IF_EMPTY)}; " if field.is_calculated else ""
    return replace(field, kind="fixed", help=f"{calculated}{said}")


def file_parameter(definition: SyncDefinition) -> str:
    """The parameter that is the path of the source, alone; empty where there is none."""
    path = getattr(definition.source, "path", None)
    name = path[1:] if isinstance(path, str) and path.startswith("@") else ""
    return name if name in definition.parameters else ""


def lacks_file(definition: SyncDefinition, typed: Mapping[str, str]) -> bool:
    """Whether a run must give the path of its source, and none was given."""
    name = file_parameter(definition)
    return bool(name) and is_required(definition.parameters[name]) and not typed.get(name, "").strip()


def _field(name: str, parameter: Parameter, typed: str | None) -> ParameterField:
    default = shown(parameter.default)
    kind, said = _kind(parameter)
    return ParameterField(
        name=name,
        description=parameter.description,
        kind=kind,
        help=said,
        default=default,
        value=default if typed is None else typed,
        has_lines=kind == "text" and has_lines(default),
        is_required=is_required(parameter),
        is_calculated=parameter.formula is not None,
    )


def _kind(parameter: Parameter) -> tuple[str, str]:
    if parameter.formula is not None:
        formula = parse_formula(parameter.formula)
        if secret_of(formula) is not None:
            return "secret", "a secret of the vault, which a run cannot give"
        meaning = _FORMULAS.get(formula.function, "calculated")
        return "text", f"{_IF_EMPTY}{meaning}, {parameter.formula}"
    found = ((kind, said) for each, kind, said in _INPUTS if type(parameter.default) is each)
    return next(found, ("text", ""))


def given(definition: SyncDefinition, typed: Mapping[str, str]) -> dict[str, str]:
    """The values that differ from what a run would have anyway, as text.

    Args:
        definition: Has the parameters.
        typed: What a person has typed, by parameter; unknown names stay, so that they are refused.
    """
    usual = {name: _untouched(shown(each.default)) for name, each in definition.parameters.items()}
    sent = {name: value.replace("\r\n", "\n") for name, value in typed.items()}
    return {name: value for name, value in sent.items() if value != usual.get(name)}


def _untouched(default: str) -> str:
    """What a browser sends for the field of a default that was not edited."""
    return carried(default, one_line=not has_lines(default))
