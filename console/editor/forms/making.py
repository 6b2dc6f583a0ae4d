"""Widgets from the models of a definition and the values of a text."""

from __future__ import annotations

import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import NoneType
from typing import Any, Final, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from console.editor.forms.scalars import Taking
from console.editor.forms.widgets import ABSENT, Kind, Shown, Widget, as_text, as_yaml
from console.web.field_texts import has_lines
from shared.definitions.loading.located import TypeOption, model_for, type_options
from shared.definitions.loading.yaml_loader import Path
from shared.definitions.models.base import Language, Model, Verbatim
from shared.definitions.models.secrets import EnvironmentSecret, KeyVaultSecret, SecretMarker

__all__ = ["Rows", "all_rows", "field_of", "fields_of", "is_true", "label_of"]

Rows = Callable[[str, Mapping[Any, Any]], Shown]
"""Says which rows of a list have fields, by the name of the list and its rows."""

_SECRETS: Final[tuple[type[Model], ...]] = (EnvironmentSecret, KeyVaultSecret)
_LONG: Final = frozenset(Language) - {Language.TEXT, Language.JSONPATH, Language.REGEX, Language.JSON}
_LONG_KEYS: Final = frozenset({"description"})
_WORDS: Final = {"url": "URL", "id": "ID", "sql": "SQL", "fetch": "Fetch", "xml": "XML", "http": "HTTP", "json": "JSON"}
_FLAG: Final = TypeAdapter(bool)


def label_of(key: str) -> str:
    """A key as words: `max_length` is "Max length"."""
    words = [_WORDS.get(word, word) for word in key.split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def is_true(value: Any) -> bool:
    """Whether a value of a definition means yes, as the models read it."""
    try:
        return _FLAG.validate_python(value)
    except ValidationError:
        return False


def _model_of(annotation: Any, value: Any) -> type[Model] | None:
    """The model that a value is read as; None where it is none."""
    options = [*type_options(annotation)]
    return model_for(options, value if isinstance(value, dict) else {})


def all_rows(_name: str, rows: Mapping[Any, Any]) -> Shown:
    """Every row of a list has fields."""
    return Shown(keys=[*rows], total=len(rows), found=len(rows))


def fields_of(
    model: type[Model], value: Any, path: Path, *, without: Collection[str] = (), rows: Rows = all_rows
) -> list[Widget]:
    """A widget for each key of a model.

    Args:
        model: The model.
        value: The values in the text; what is no mapping counts as an empty one.
        path: Where they are.
        without: Keys that are left out.
        rows: Says which rows of a list have fields.
    """
    values = value if isinstance(value, dict) else {}
    return [
        _field(known, values.get(key, ABSENT), (*path, key), rows)
        for key, known in _known(model).items()
        if key not in without
    ]


def field_of(model: type[Model], key: str, raw: Any, path: Path, *, rows: Rows = all_rows) -> Widget:
    """The widget of one key of a model."""
    return _field(_known(model)[key], raw, path, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """What a model says of one of its keys, whatever value it has."""

    key: str
    label: str
    help: str
    options: Sequence[TypeOption]
    is_required: bool
    is_verbatim: bool
    takes: Callable[[Any], bool]
    default: str


@cache
def _known(model: type[Model]) -> Mapping[str, _Key]:
    """The keys of a model; asked once, because a list may have a thousand rows of it."""
    return {info.alias or name: _key(info.alias or name, info) for name, info in model.model_fields.items()}


def _key(key: str, info: FieldInfo) -> _Key:
    options = [each for each in type_options(info.annotation, tuple(info.metadata)) if each.kind is not NoneType]
    return _Key(
        key=key,
        label=label_of(key),
        help=info.description or "",
        options=options,
        is_required=info.is_required(),
        is_verbatim=any(isinstance(marker, Verbatim) for option in options for marker in option.markers),
        takes=Taking(info),
        default=_default(info),
    )


def _field(known: _Key, raw: Any, path: Path, rows: Rows) -> Widget:
    made = Widget(
        path=path,
        key=known.key,
        label=known.label,
        kind=_kind(known.key, known.options, raw),
        help=known.help,
        raw=raw,
        is_required=known.is_required,
        is_verbatim=known.is_verbatim,
        takes=known.takes,
        default=known.default,
    )
    _fill(made, known.options, rows)
    return made


def _kind(key: str, options: Sequence[TypeOption], raw: Any) -> Kind:
    markers = {marker for option in options for marker in option.markers if isinstance(marker, Language | SecretMarker)}
    kinds = [option.kind for option in options]
    origins = {get_origin(kind) for kind in kinds}
    models = [kind for kind in kinds if _is_model(kind) and kind not in _SECRETS]
    if Language.JSON in markers:
        return Kind.YAML
    if any(isinstance(marker, SecretMarker) for marker in markers):
        return Kind.YAML if isinstance(raw, list) else Kind.SECRET
    if models:
        return _kind_of_models(kinds, models, raw)
    if tuple in origins:
        return _kind_of_lists(kinds, raw)
    if dict in origins:
        of_models = any(_is_model(get_args(kind)[1]) for kind in kinds if get_origin(kind) is dict)
        return Kind.NAMED if of_models else Kind.YAML
    return Kind.YAML if isinstance(raw, dict | list) else _kind_of_scalars(key, kinds, markers)


def _kind_of_models(kinds: Sequence[Any], models: Sequence[Any], raw: Any) -> Kind:
    if any(_is_word(kind) or kind in {int, str} for kind in kinds):
        return Kind.YAML if isinstance(raw, list) else Kind.VARIANTS
    return Kind.YAML if isinstance(raw, list) and len(kinds) > len(models) else Kind.GROUP


def _kind_of_lists(kinds: Sequence[Any], raw: Any) -> Kind:
    items = [get_args(kind)[0] for kind in kinds if get_origin(kind) is tuple]
    if _is_model(items[0]):
        return Kind.ROWS if not isinstance(raw, dict) else Kind.YAML
    if isinstance(raw, dict) or any(map(_is_no_line, raw if isinstance(raw, list) else [raw])):
        return Kind.YAML
    return Kind.LINES if len(kinds) == 1 else Kind.ONE_OR_LINES


def _is_no_line(item: Any) -> bool:
    return isinstance(item, dict | list) or (isinstance(item, str) and has_lines(item))


def _kind_of_scalars(key: str, kinds: Sequence[Any], markers: Collection[object]) -> Kind:
    if kinds == [bool]:
        return Kind.CHECK
    if all(_is_word(kind) for kind in kinds):
        return Kind.CHOICE
    if set(kinds) == {str}:
        return Kind.AREA if markers & _LONG or key in _LONG_KEYS else Kind.TEXT  # type: ignore[operator]
    return Kind.VALUE


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Model)


def _is_word(kind: Any) -> bool:
    return get_origin(kind) is typing.Literal or (isinstance(kind, type) and issubclass(kind, Enum))


def _words(kinds: Sequence[Any]) -> list[str]:
    found: list[str] = []
    for kind in kinds:
        if get_origin(kind) is typing.Literal:
            found += map(str, get_args(kind))
        elif _is_word(kind):
            found += [str(each.value) for each in kind]
    return found


def _default(info: FieldInfo) -> str:
    """What an empty field means."""
    default = info.default
    if info.is_required() or default is PydanticUndefined or default in (None, "", ()) or isinstance(default, Model):
        return ""
    if isinstance(default, bool):
        return "true" if default else ""
    return str(default.value if isinstance(default, Enum) else default)


def _fill(widget: Widget, options: Sequence[TypeOption], rows: Rows) -> None:
    """Give a widget its text, its options or the widgets in it."""
    kinds = [option.kind for option in options]
    raw = widget.raw
    match widget.kind:
        case Kind.TEXT | Kind.AREA | Kind.VALUE:
            widget.text = as_text(raw)
        case Kind.CHECK:
            widget.chosen = "true" if (is_true(raw) if widget.is_set else widget.default == "true") else ""
        case Kind.CHOICE:
            widget.chosen = as_text(raw)
            widget.options = _with_own([(word, word) for word in _words(kinds)], widget.chosen)
        case Kind.LINES | Kind.ONE_OR_LINES:
            widget.text = "\n".join(map(as_text, raw if isinstance(raw, list) else [raw]))
        case Kind.SECRET:
            _fill_secret(widget, options)
        case Kind.YAML:
            widget.text = as_yaml(raw)
        case Kind.GROUP:
            _fill_group(widget, options, rows)
        case Kind.ROWS | Kind.NAMED:
            _fill_rows(widget, options, rows)
        case Kind.VARIANTS:
            _fill_variants(widget, options, rows)


def _with_own(options: list[tuple[str, str]], chosen: str) -> list[tuple[str, str]]:
    """The options, with a value that is none of them: it stays until another one is chosen."""
    known = chosen in {value for value, _ in options}
    return options if known or not chosen else [*options, (chosen, f"{chosen} (not known)")]


def _fill_secret(widget: Widget, options: Sequence[TypeOption]) -> None:
    raw = widget.raw
    widget.is_plain = any(option.kind is str for option in options)
    widget.options = [("env", "Environment"), ("key_vault", "Key Vault")]
    widget.options += [("text", "Text" if widget.is_plain else "Parameter, as in @name")]
    if isinstance(raw, dict):
        widget.chosen = "env" if "env" in raw else "key_vault"
        widget.text = as_text(raw.get(widget.chosen, ""))
    elif widget.is_set:
        widget.chosen = "text"
        # What is not allowed here may be a secret: it is not shown.
        widget.text = as_text(raw) if widget.is_plain or as_text(raw).startswith("@") else ""


def _fill_group(widget: Widget, options: Sequence[TypeOption], rows: Rows) -> None:
    models = [option.kind for option in options if _is_model(option.kind)]
    model = model_for([option for option in options if _is_model(option.kind)], _mapping(widget.raw))
    widget.model = model
    if model is None:
        return
    widget.children = fields_of(model, widget.raw, widget.path, rows=rows)
    if len(models) > 1:
        _let_choose(widget, models)


def _let_choose(widget: Widget, models: Sequence[type[Model]]) -> None:
    """Make the key `type` a choice between the models."""
    for model in models:
        for word in _words([model.model_fields["type"].annotation]) if "type" in model.model_fields else ():
            widget.models[word] = model
    for each in widget.children:
        if each.key == "type":
            each.kind, each.chosen = Kind.CHOICE, as_text(each.raw)
            each.options = _with_own([(word, word) for word in widget.models], each.chosen)


def _mapping(raw: Any) -> dict[str, object]:
    return raw if isinstance(raw, dict) else {}


def _fill_rows(widget: Widget, options: Sequence[TypeOption], rows: Rows) -> None:
    kind = next(option.kind for option in options if get_origin(option.kind) in {tuple, dict})
    item = get_args(kind)[0 if widget.kind is Kind.ROWS else 1]
    items: Mapping[Any, Any] = (
        widget.raw
        if isinstance(widget.raw, dict)
        else dict(enumerate(widget.raw if isinstance(widget.raw, list) else ()))
    )
    widget.model = _model_of(item, {})
    widget.shown = rows(widget.name, items)
    for key in widget.shown.keys:
        raw = items[key]
        model = _model_of(item, raw)
        if model is not None:
            path = (*widget.path, key)
            label = str(key) if isinstance(key, str) else f"{key + 1:,}"
            row = Widget(path=path, key=str(key), label=label, kind=Kind.GROUP, raw=raw, text=str(key), model=model)
            row.children = fields_of(model, raw, path, rows=rows)
            widget.children.append(row)


def _fill_variants(widget: Widget, options: Sequence[TypeOption], rows: Rows) -> None:
    raw = widget.raw
    models = [option.kind for option in options if _is_model(option.kind)]
    chosen = model_for([option for option in options if _is_model(option.kind)], raw) if isinstance(raw, dict) else None
    widget.chosen = f"{chosen.__name__}:" if chosen else as_text(raw)
    words = [(word, word) for word in _words([option.kind for option in options])]
    widget.options = _with_own([*words, *((f"{each.__name__}:", _as_words(each)) for each in models)], widget.chosen)
    for model in models:
        group = Widget(path=widget.path, key=model.__name__, label=_as_words(model), kind=Kind.GROUP, model=model)
        group.children = fields_of(model, raw if model is chosen else {}, widget.path, rows=rows)
        group.help = " ".join((model.__doc__ or "").split("\n\n")[0].split())
        widget.children.append(group)


def _as_words(model: type[Model]) -> str:
    """What the keys of a model do, by the first key: "with expire"."""
    first = next(iter(model.model_fields.values()))
    name = first.alias or next(iter(model.model_fields))
    return f"with {name}"
