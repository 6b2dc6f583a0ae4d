"""Rules about parameters: formulas can be read, every `@name` is defined, secrets stay in their place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from shared.definitions.loading.located import PathProblem, TypedValue, typed_values
from shared.definitions.loading.rules.rest import KEY_REMEDY, WHOLE_URL, header_of_secret, keys_of
from shared.definitions.loading.wording import close_to
from shared.definitions.loading.yaml_loader import Path
from shared.definitions.models.base import Language, Model
from shared.definitions.models.names import RUN_FIGURES, names_in
from shared.definitions.models.sources.watermark import WATERMARK
from shared.definitions.parameters.environment import env_references, named_as_secret
from shared.definitions.parameters.formulas import (
    Formula,
    names_of,
    parse_formula,
    secret_of,
    secret_variable,
    variables_of,
)
from shared.redaction import CREDENTIALS

__all__ = ["WITH_NAMES", "Parameters", "names_used", "read_parameters", "texts_in"]

WITH_NAMES: Final = frozenset({
    Language.SQL, Language.DATABASE, Language.ODATA, Language.TEXT, Language.FETCH, Language.JSON,
})  # fmt: skip
POST_SYNC: Final = "post_sync"
_ONLY_STEPS: Final = "figures of the run are known after it: only steps of post_sync can use them"
_ESCAPED: Final = "; a quote within a text is written twice ('it''s') and not behind a backslash"
_ASKED: Final = frozenset({Language.TEXT, Language.DATABASE, Language.FETCH})

_SIGN_IN: Final = re.compile(CREDENTIALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters of a raw document.

    Attributes:
        names: All of them.
        secrets: Those whose formula is `SECRET('name')`, with that name.
        written: Those whose value stands in the document, as their default.
        problems: What is wrong with them.
        sent_watermark: Whether the requests of the source can send its watermark as a parameter.
    """

    names: frozenset[str]
    secrets: Mapping[str, str]
    written: frozenset[str]
    problems: tuple[PathProblem, ...]
    sent_watermark: bool = False

    def misused(self, found: Sequence[TypedValue]) -> Iterator[PathProblem]:
        """References to parameters that are not defined, to secrets where they are not allowed, and to others there."""
        for each in found:
            if not isinstance(each.value, str) or each.language not in WITH_NAMES:
                continue
            for name in names_in(each.value, each.language, self.names):
                if name == WATERMARK and self.sent_watermark and is_sent(each.path):
                    continue
                if name in RUN_FIGURES:
                    if each.path[0] != POST_SYNC:
                        yield PathProblem(path=each.path, message=_ONLY_STEPS, at_value=True)
                elif name not in self.names:
                    hint = _ESCAPED if each.language is Language.DATABASE and "\\'" in each.value else ""
                    shown = "" if each.secret is not None or _is_part_of_sign_in(name, each.value) else name
                    yield PathProblem(path=each.path, message=self._undefined(name, shown) + hint, at_value=True)
                elif name in self.secrets and (each.secret is None or each.value != f"@{name}"):
                    yield PathProblem(
                        path=each.path, message=f"@{name} is a secret, which is not allowed here", at_value=True
                    )
                elif name not in self.secrets and (message := self._of_secret(each, name)):
                    yield PathProblem(path=each.path, message=message, at_value=True)

    def _of_secret(self, found: TypedValue, name: str) -> str:
        """Why a parameter that is no secret cannot stand in a place that holds one; empty where it can."""
        kept = f"and the value of @{name} is kept with each run"
        whole = found.secret is not None and found.value == f"@{name}"
        if whole and found.path[-2:-1] == ("headers",) and header_of_secret(str(found.path[-1]).lower()):
            remedy = f"give @{name} the formula SECRET('…'), or write {{key_vault: name}} or {{env: NAME}}"
            return f"this header holds a secret, {kept}: {remedy}"
        keys = keys_of(str(found.value)) if found.path[-1] == "url" and name in self.written else ()
        if any(name in names_in(key, defined=self.names) for key in keys):
            remedy = WHOLE_URL if found.path[0] == POST_SYNC else KEY_REMEDY
            return f"this url holds a key, {kept}: write {remedy}"
        return ""

    def _undefined(self, name: str, shown: str) -> str:
        if name == "run":
            figures = ", ".join(f"@{figure}" for figure in RUN_FIGURES)
            return f"there is no parameter @run; steps of post_sync know these figures of the run: {figures}"
        near = close_to(name, self.names)
        # What follows an @ may be a part of a password: then it is not repeated.
        return f"there is no parameter @{shown}; {near}" if shown else f"there is no parameter of this name; {near}"


def _is_part_of_sign_in(name: str, text: str) -> bool:
    """Whether what looks like a parameter stands in the user and the password of a URL."""
    return any(f"@{name}" in f"{found[0]}@" for found in _SIGN_IN.finditer(text))


def is_sent(path: Path) -> bool:
    """Whether a text of a definition is a part of the requests of its source, which can have a watermark."""
    return path[:2] in {("source", "url"), ("source", "headers"), ("source", "body")}


def names_used(
    part: Model,
    *,
    without: Collection[str] = (),
    languages: Collection[Language] = _ASKED,
    defined: Collection[str] = (),
) -> frozenset[str]:
    """The parameters that a part of a definition names in texts of some languages.

    Args:
        part: A part, such as a source.
        without: Keys of the part that are left alone.
        languages: By default plain texts, such as paths, and what a source is asked.
        defined: Names of the parameters there are; decides about `a@b` in plain text.
    """
    texts = texts_in(part, without=without, languages=languages)
    return frozenset(name for text, language in texts for name in names_in(text, language, defined))


def texts_in(
    part: Model, *, without: Collection[str] = (), languages: Collection[Language] = _ASKED
) -> Iterator[tuple[str, Language]]:
    """The texts of a part in some languages, by default its plain texts and what a source is asked."""
    written = part.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={*without})
    for each in typed_values(type(part), written):
        if each.language is not None and each.language in languages and isinstance(each.value, str):
            yield each.value, each.language


def read_parameters(document: Mapping[str, Any]) -> Parameters:
    """Read the parameters of a raw document, as far as they can be read."""
    raw = document.get("parameters")
    entries = {name: each for name, each in raw.items() if isinstance(each, dict)} if isinstance(raw, dict) else {}
    formulas: dict[str, Formula] = {}
    problems = [*_twice(entries)]
    for name, entry in entries.items():
        if "default" in entry and entry.get("formula") is not None:
            problems.append(_at(name, "a parameter has a default or a formula, not both"))
        if isinstance(entry.get("formula"), str):
            try:
                formulas[name] = parse_formula(entry["formula"])
            except ValueError as error:
                problems.append(_at(name, str(error)))
    secrets = {name: secret for name, each in formulas.items() if (secret := secret_of(each)) is not None}
    problems += _references(formulas, entries.keys(), secrets)
    problems += _secret_variables(formulas, env_references(document))
    sent = _has_sent_watermark(document.get("source"))
    if sent and WATERMARK in entries:
        message = f"@{WATERMARK} is the watermark of the source: give this parameter another name"
        problems.append(PathProblem(path=("parameters", WATERMARK), message=message))
    return Parameters(
        names=frozenset(entries),
        secrets=secrets,
        written=frozenset(name for name, entry in entries.items() if entry.get("default") is not None),
        problems=tuple(problems),
        sent_watermark=sent,
    )


def _twice(names: Collection[str]) -> Iterator[PathProblem]:
    """Two names that are one in the SQL of DuckDB and of some databases, which do not regard case."""
    seen: dict[str, str] = {}
    for name in map(str, names):
        if (first := seen.setdefault(name.lower(), name)) != name:
            message = "two parameters have this name, {both}; upper and lower case are the same: rename one"
            yield PathProblem(path=("parameters", name), message=message, first=("parameters", first))


def _has_sent_watermark(source: object) -> bool:
    """Whether a raw source sends its watermark with its requests."""
    return isinstance(source, dict) and source.get("type") == "rest" and source.get("watermark") is not None


def _secret_variables(formulas: Mapping[str, Formula], references: Collection[str]) -> Iterator[PathProblem]:
    """Formulas that read what is a secret by its name; by its value it is only known at the start of a run."""
    for name, formula in formulas.items():
        for variable in variables_of(formula):
            if named_as_secret(variable, references):
                yield _at(name, secret_variable(variable))


def _at(name: str, message: str) -> PathProblem:
    return PathProblem(path=("parameters", name, "formula"), message=message, at_value=True)


def _references(
    formulas: Mapping[str, Formula], names: Collection[str], secrets: Mapping[str, str]
) -> Iterator[PathProblem]:
    for name, formula in formulas.items():
        for other in names_of(formula):
            if other not in names:
                yield _at(name, f"there is no parameter @{other}; {close_to(other, names)}")
            elif other in secrets:
                yield _at(name, f"@{other} is a secret, and a formula cannot use a secret")
    try:
        TopologicalSorter({name: set(names_of(each)) for name, each in formulas.items()}).prepare()
    except CycleError as error:
        around = error.args[1]
        yield _at(around[0], f"these parameters refer to each other: {' → '.join(f'@{name}' for name in around)}")
