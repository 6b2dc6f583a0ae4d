"""The reference page of the definition format, made from the models.

`python -m shared.definitions.reference > docs/definition.md` writes it, and with the argument `schema` the JSON Schema:
`python -m shared.definitions.reference schema > docs/sync.schema.json`.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shared.definitions.models import SyncDefinition
from shared.definitions.models.base import Language, Model
from shared.definitions.models.connections import CONNECTION_KINDS
from shared.definitions.models.secrets import SecretMarker
from shared.definitions.reference.example import EXAMPLE

__all__ = ["reference_page"]

_INTRODUCTION: Final = f"""\
# The sync definition

One YAML file describes one sync. `dynamics-sync validate` reports every problem of every file at once, each with file,
line, column and path; `dynamics-sync schema` prints the JSON Schema, which editors use for completion
(`docs/sync.schema.json`). This page is made from the models in `shared/definitions`; a test keeps it current.

```yaml
{EXAMPLE}```

Plain words follow YAML 1.2: `true` and `false` are booleans, `yes` and `NO` are text, so `NO` is a country. A key that
takes a boolean also takes the words `yes`, `no`, `on` and `off`. Numbers with leading zeros stay text.
A key that is not on this page is an error.

## Parameters in texts

`@name` stands for a parameter:

| where | what `@name` becomes | where it is plain text instead |
|---|---|---|
| SQL expression, SQL of a database | a bound value | inside quotes and comments |
| OData filter | a quoted literal, typed by the column that it is compared with | inside quotes |
| path | the text as it is | behind a letter or digit (`a@b.c`), unless it is defined |
| URL, body | text, escaped | the same |
| `body` of a step | the value with its type where it is the whole text, else text | the same |

In paths and other text `@{{name}}` ends the name where a letter or digit follows (`sales_@{{year}}_final.csv`);
`@@` is the sign itself. A name that is not defined is an error of the definition.
Steps of `post_sync` also know the [figures of the run](post-sync.md#figures-of-the-run), such as `@run.created`.

Formulas of parameters:

| formula | value |
|---|---|
| `FILENAME(path, 'regex')` | what the expression (RE2 syntax) finds in the file's name: its first group, or all of it |
| `FILEPATH(path, 'regex')` | the same in the whole path |
| `GUID()` | a new id for every run |
| `NOW()` | the start of the run, UTC |
| `ENV('NAME')` | an environment variable |
| `SECRET('name')` | a secret of the Key Vault; the parameter may stand only where a secret may |

A path is text in single quotes, another parameter (`@file_path`) or another formula.

## Secrets

A secret is never written into a definition. Where one belongs there stands a reference: `{{key_vault: name}}`,
`{{env: NAME}}`, or the `@name` of a parameter with a `SECRET` formula. Anything else is refused without being repeated.
"""
_CONNECTIONS: Final = """\
## Keys of a connection

A file with `kind: connection` is a connection: keys that several definitions share. [Connections](connections.md) shows
how they are used.
"""


def reference_page() -> str:
    """The page as Markdown."""
    models = _reachable(SyncDefinition)
    sections = ["".join(_section(model)) for model in models]
    connections = ["".join(_section(model)) for model in _of_connections() if model not in models]
    return "\n".join([_INTRODUCTION, "## Keys\n", *sections, _CONNECTIONS, *connections])


def _of_connections() -> list[type[Model]]:
    seen: list[type[Model]] = []
    for model in CONNECTION_KINDS.values():
        _reachable(model, seen)
    return seen


def _reachable(model: type[Model], seen: list[type[Model]] | None = None) -> list[type[Model]]:
    """A model and all that its fields hold, each once, in reading order."""
    seen = [] if seen is None else seen
    if model not in seen:
        seen.append(model)
        for info in model.model_fields.values():
            for inner in _models(info.annotation):
                _reachable(inner, seen)
    return seen


def _models(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _section(model: type[Model]) -> Iterator[str]:
    summary = " ".join((model.__doc__ or "").split("\n\n")[0].split())
    yield f"### {model.__name__}\n\n{summary}\n\n| key | value | default | meaning |\n|---|---|---|---|\n"
    for name, info in model.model_fields.items():
        yield f"| `{info.alias or name}` | {_value(info)} | {_default(info)} | {_cell(info.description or '')} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _value(info: FieldInfo) -> str:
    kinds = dict.fromkeys(_kinds(info.annotation, tuple(info.metadata)))
    return _cell(" or ".join(kinds))


def _kinds(annotation: Any, markers: tuple[object, ...] = ()) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if Language.JSON in markers:  # it may hold anything, at any depth
        yield Language.JSON.value
    elif origin is typing.Annotated:
        yield from _kinds(arguments[0], (*markers, *arguments[1:]))
    elif origin in {typing.Union, types.UnionType}:
        for member in arguments:
            yield from _kinds(member, markers)
    elif origin is tuple:
        yield f"list of {' or '.join(dict.fromkeys(_kinds(arguments[0])))}"
    elif origin is dict:
        yield f"names, each with {' or '.join(dict.fromkeys(_kinds(arguments[1])))}"
    elif origin is typing.Literal:
        yield ", ".join(f"`{each}`" for each in arguments)
    elif annotation is not types.NoneType:
        yield _kind(annotation, markers)


_KINDS: Final = {"str": "text", "int": "whole number", "float": "number", "bool": "boolean", "datetime": "time"}


def _kind(annotation: Any, markers: tuple[object, ...]) -> str:
    language = next((marker for marker in markers if isinstance(marker, Language)), None)
    if issubclass(annotation, Model) and any(isinstance(marker, SecretMarker) for marker in markers):
        return "[reference to a secret](#secrets)"
    if issubclass(annotation, Model):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    if issubclass(annotation, Enum):
        return ", ".join(f"`{each.value}`" for each in annotation)
    if annotation is str and language is not None:
        return language.value
    name = str(annotation.__name__)
    return _KINDS.get(name, name)


def _default(info: FieldInfo) -> str:
    if info.default_factory is not None:
        return "none"
    match info.default:
        case _ if info.default is PydanticUndefined:
            return "**required**"
        case None | ():
            return "none"
        case Model():
            return "see there"
        case bool():
            return f"`{str(info.default).lower()}`"
        case "":
            return "empty"
        case Enum():
            return f"`{info.default.value}`"
    return f"`{info.default}`"
