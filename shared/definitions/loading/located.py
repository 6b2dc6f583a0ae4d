"""The type of each part of a raw document, and pydantic's errors with their paths and our own messages."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin

from pydantic_core import ErrorDetails

from shared.definitions.loading.wording import close_to, message_of
from shared.definitions.loading.yaml_loader import Path
from shared.definitions.models.base import Language, Model
from shared.definitions.models.secrets import REFERENCE_REMEDY, SecretMarker
from shared.suggestions import closest

__all__ = [
    "PathProblem",
    "TypeOption",
    "TypedValue",
    "model_for",
    "pydantic_problems",
    "type_options",
    "typed_values",
    "unknown_keys",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathProblem:
    """A problem and its path: at the key or, with `at_value`, at the key's value.

    Attributes:
        first: The path of another thing that must not be there together with this one. `{both}` in the message becomes
            the lines of both.
    """

    path: Path
    message: str
    at_value: bool = False
    first: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedValue:
    """One value of a document, and the type that the models give it.

    Attributes:
        model: The model that a mapping is read as.
        language: What a text is written in.
        secret: How the value relates to secrets, None when not at all.
    """

    path: Path
    value: object
    model: type[Model] | None = None
    language: Language | None = None
    secret: SecretMarker | None = None


@dataclass(frozen=True, slots=True)
class TypeOption:
    """One member of a field's type, with its markers."""

    kind: Any
    markers: tuple[object, ...]


# What JSON of a definition consists of, at any depth.
_JSON_LIST: Final = tuple[typing.Annotated[Any, Language.JSON], ...]
_JSON_MAPPING: Final = dict[str, typing.Annotated[Any, Language.JSON]]


def type_options(annotation: Any, markers: tuple[object, ...] = ()) -> Iterator[TypeOption]:
    """Yield the members of a type, each with the markers around it."""
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        inner, *more = get_args(annotation)
        yield from type_options(inner, (*markers, *more))
    elif origin in {typing.Union, types.UnionType}:
        for member in get_args(annotation):
            yield from type_options(member, markers)
    else:
        yield TypeOption(annotation, markers)


def typed_values(annotation: Any, value: object, path: Path = ()) -> Iterator[TypedValue]:
    """Walk a raw document along a model, as far as they match.

    Args:
        annotation: A model or any type that one of its fields has.
        value: The raw value read as it.
        path: The path of the value.
    """
    options = [*type_options(annotation)]
    markers = [marker for option in options for marker in option.markers]
    secret = next((marker for marker in markers if isinstance(marker, SecretMarker)), None)
    language = next((marker for marker in markers if isinstance(marker, Language)), None)
    if language is Language.JSON and not isinstance(value, str):
        options = [TypeOption(_JSON_LIST if isinstance(value, list) else _JSON_MAPPING, (language,))]
    match value:
        case dict():
            model = model_for(options, value)
            yield TypedValue(path=path, value=value, model=model, secret=secret)
            yield from _fields(model, value, path) if model else _entries(options, value, path)
        case list():
            yield TypedValue(path=path, value=value, secret=secret)
            items = next((get_args(each.kind)[0] for each in options if get_origin(each.kind) is tuple), object)
            for index, item in enumerate(value):
                yield from typed_values(items, item, (*path, index))
        case _:
            yield TypedValue(path=path, value=value, language=language, secret=secret)


def _fields(model: type[Model], value: dict[str, object], path: Path) -> Iterator[TypedValue]:
    for name, info in model.model_fields.items():
        key = info.alias or name
        if key in value:
            annotation = typing.Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
            yield from typed_values(annotation, value[key], (*path, key))


def _entries(options: list[TypeOption], value: dict[str, object], path: Path) -> Iterator[TypedValue]:
    inner = next((get_args(each.kind)[1] for each in options if get_origin(each.kind) is dict), object)
    for key, item in value.items():
        yield from typed_values(inner, item, (*path, key))


def model_for(options: list[TypeOption], value: dict[str, object]) -> type[Model] | None:
    """The model whose `type` the mapping names, else the one that has most of its keys."""
    models = [each.kind for each in options if isinstance(each.kind, type) and issubclass(each.kind, Model)]
    if len(models) > 1 and (named := [each for each in models if _named(each, value)]):
        return named[0]
    return max(models, key=lambda model: len(_keys(model) & value.keys()), default=None)


def _named(model: type[Model], value: dict[str, object]) -> bool:
    kind = model.model_fields.get("type")
    return kind is not None and value.get("type") in get_args(kind.annotation)


def _keys(model: type[Model]) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()}


_MERGE: Final = "<<"
_NO_MERGE: Final = "YAML 1.2 does not merge keys, so write them here"


def unknown_keys(found: Sequence[TypedValue]) -> Iterator[PathProblem]:
    """Keys that the models do not have; in a secret the key is not repeated, because it may be the secret."""
    for each in found:
        if each.model is None or not isinstance(each.value, dict):
            continue
        for key in each.value.keys() - _keys(each.model):
            if each.secret is not None:
                yield PathProblem(path=each.path, message=REFERENCE_REMEDY)
            else:
                hint = _NO_MERGE if key == _MERGE else close_to(key, _keys(each.model))
                yield PathProblem(path=(*each.path, key), message=f"unknown key; {hint}")


def pydantic_problems(
    errors: Sequence[ErrorDetails], document: object, found: Sequence[TypedValue]
) -> Iterator[PathProblem]:
    """Place pydantic's errors; unknown keys are left to `unknown_keys`."""
    secrets = {each.path for each in found if each.secret is not None and not each.secret.plain}
    models = {each.path: each.model for each in found}
    misspelled = {*_misspelled(found)}
    for error in errors:
        path, value = _follow(error, document)
        secret = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in secrets), None)
        if secret is not None:
            yield PathProblem(path=secret, message=REFERENCE_REMEDY)
        elif error["type"] != "extra_forbidden" and path not in misspelled:
            about_key = error["type"] in _ABOUT_KEYS
            message = message_of(error, value, models.get(path[:-1]) if about_key else None)
            yield PathProblem(path=path, message=message, at_value=not about_key)


def _misspelled(found: Sequence[TypedValue]) -> Iterator[Path]:
    """The keys that unknown keys are suggestions for: that they are missing need not be said as well."""
    for each in found:
        if each.model is not None and each.secret is None and isinstance(each.value, dict):
            for key in each.value.keys() - _keys(each.model):
                yield from ((*each.path, meant) for meant in closest(key, sorted(_keys(each.model))))


_ABOUT_KEYS: Final = frozenset({"missing", "union_tag_not_found"})


def _follow(error: ErrorDetails, document: object) -> tuple[Path, object]:
    """Turn pydantic's location into the document's: it also names members of unions, which are not in the text."""
    path: list[str | int] = []
    value = document
    for part in error["loc"]:
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]  # type: ignore[index]  # the condition above chose it by its kind
            path.append(part)
    if error["type"] == "missing":
        path.append(error["loc"][-1])
    elif error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        path.append("type")
    return tuple(path), value
