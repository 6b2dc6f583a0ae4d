"""What needs the right `admin`: who may do what, secrets, hosts, what is done elsewhere, and the parameters of these.

The parameters count in a change of a definition and in the values that a person gives to a job.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from posixpath import normpath
from typing import Any, Final
from urllib.parse import unquote

from shared.definitions import ParameterValue, SyncDefinition
from shared.definitions.loading.loaded import LoadedConnection
from shared.definitions.loading.parameter_rules import texts_in
from shared.definitions.loading.yaml_loader import Path, read_yaml, shown_path
from shared.definitions.models import Parameter
from shared.definitions.models.names import names_in, references
from shared.definitions.parameters.values import in_text, shown

__all__ = ["guarded_changes", "guarded_parameters", "guarded_values", "values_leading_out"]

_WHOLE: Final = frozenset({"permissions", "post_sync"})
"""Keys of a definition that only `admin` changes, with all that is in them."""
_KEYS: Final = frozenset(
    {
        *("connection", "service_url", "tenant_id", "auth", "run_as", "url", "headers", "schema"),
        *("client_id", "client_secret", "client_certificate", "certificate_password"),
    }
)
"""Keys that only `admin` changes wherever they stand outside of columns."""
_PATHS: Final = frozenset({"path"})
"""Keys whose host only `admin` changes."""
_UNFINISHED: Final = re.compile("[A-Za-z0-9]*(:/{0,2})?")  # what stands before a host
_CONNECTIONS: Final = frozenset({"connection"})
_FREE: Final = frozenset({"columns", "mappings", "sync_behaviour"})

Connections = Iterable[LoadedConnection]


def guarded_changes(before: str, after: str, connections: Connections = ()) -> list[str]:
    """The keys that a change of a definition touches and that only `admin` may change, as problems show them.

    Args:
        before: The YAML as it is saved; empty for none.
        after: The YAML as it is to be.
        connections: The files of connections: their texts use parameters of the definition, too.
    """
    files = [*connections]
    old, new = (_guarded(read_yaml(text).value, files) for text in (before, after))
    return sorted(shown_path(path) for path in {*old, *new} if old.get(path) != new.get(path))


def guarded_parameters(definition: SyncDefinition, connections: Connections = ()) -> frozenset[str]:
    """The parameters of a definition to which only `admin` gives other values.

    Args:
        definition: As it is loaded.
        connections: See `guarded_changes`.
    """
    return _guarded_in(_data(definition), connections)


def guarded_values(definition: SyncDefinition, given: Mapping[str, str], connections: Connections = ()) -> list[str]:
    """The parameters to which only `admin` may give these values: other values than they have without them.

    Args:
        definition: As it is loaded.
        given: What a person gives to a job, as text, by parameter.
        connections: See `guarded_changes`.
    """
    guarded = _guarded_in(_data(definition), connections)
    return sorted(each for each in _others(definition, given) if each in guarded)


def values_leading_out(
    definition: SyncDefinition, given: Mapping[str, str], values: Mapping[str, ParameterValue]
) -> list[str]:
    """The parameters whose values lead a path out of its folder, or to another host.

    They may do so alone, or together with what stands beside them.

    Args:
        definition: As it is loaded.
        given: What a person gives to a job, as text, by parameter.
        values: The values of all parameters with these.

    Raises:
        UserError: A path names a parameter that has no value.
    """
    data = _data(definition)
    leading = [text for text in _texts_of_keys(data, _PATHS) if _leads_out(text, values)]
    names = _named(data, leading)
    return sorted(each for each in _others(definition, given) if each in names)


def _others(definition: SyncDefinition, given: Mapping[str, str]) -> list[str]:
    """The parameters that get another value than they have without it."""
    return [name for name, value in given.items() if _is_other(definition.parameters.get(name), value)]


def _guarded_in(data: dict[str, Any], connections: Connections) -> frozenset[str]:
    return _named(data, _values(data).values(), connections)


def _is_other(parameter: Parameter | None, value: str) -> bool:
    """Whether a value is not the default; a parameter that is calculated, or not known, has none."""
    if parameter is None or "default" not in parameter.model_fields_set:
        return True
    return value != shown(parameter.default)


def _leads_out(text: str, values: Mapping[str, ParameterValue]) -> bool:
    """Whether a path with values is outside of the folder that its text names, or in another file system (`a::b`)."""
    path, place = in_text(text, values), _place(text)
    if not names_in(place, defined=values) and _place(_literal(path)) != _literal(in_text(place, values)):
        return True
    if path.count("::") > text.count("::") or _ups(path) > _ups(text) or _ups(unquote(path)) > _ups(unquote(text)):
        return True
    first = next((found.start for found in references(text, defined=values) if found.name), len(text))
    folder, slash, _ = in_text(text[:first], values).rpartition("/")
    if slash:
        return not normpath(path).startswith(f"{normpath(folder or slash).rstrip('/')}/")
    return normpath(path).startswith(("../", "/"))


def _literal(path: str) -> str:
    """A path as a definition writes it that has no parameter in it."""
    return path.replace("@", "@@")


def _ups(path: str) -> int:
    """How many parts of a path lead to the folder above."""
    return re.split(r"[/\\]", path).count("..")


def _data(definition: SyncDefinition) -> dict[str, Any]:
    """The definition as its YAML has it."""
    return definition.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _guarded(data: Any, connections: Connections) -> dict[Path, str]:
    """The values that are compared, by their paths."""
    if not isinstance(data, dict):
        return {}
    found, parameters = _values(data), _parameters(data)
    named = _named(data, found.values(), connections)
    return found | {("parameters", name): repr(parameters[name]) for name in named}


def _values(data: dict[str, Any]) -> dict[Path, str]:
    """The same without the parameters that they name."""
    found: dict[Path, str] = {}
    for key, value in data.items():
        if key in _WHOLE:
            found[(key,)] = repr(value)
        elif key == "parameters":
            found |= dict(_of_formulas(_parameters(data)))
        else:
            found |= dict(_inside(value, (key,)))
    return found


def _inside(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    key = path[-1]
    if key in _KEYS or (isinstance(value, dict) and value.keys() & {"env", "key_vault"} and len(value) == 1):
        yield path, repr(value)
    elif key in _PATHS and isinstance(value, str):
        yield path, _place(value)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name not in _FREE:
                yield from _inside(each, (*path, name))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _inside(each, (*path, number))


def _place(path: str) -> str:
    """Where a file is: scheme and host of each URL in a path; a local path has none. `a::b` are several."""
    return " ".join(filter(None, map(_host, path.split("::"))))


def _host(part: str) -> str:
    """Scheme and host; a parameter at the beginning may be a whole URL, or may complete a scheme or a host."""
    scheme, sign, rest = part.partition("://")
    if sign:
        return f"{scheme}{sign}{re.split('[/?#]', rest, maxsplit=1)[0]}"
    start = next((found.start() for found in re.finditer("@@?", part) if found[0] == "@"), None)
    if start is None or not _UNFINISHED.fullmatch(part, 0, start):
        return ""
    return part[:start] + re.split("[/?#]", part[start:], maxsplit=1)[0]


def _texts_of_keys(data: Any, keys: frozenset[str]) -> Iterator[str]:
    """The texts of some keys, at any depth."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        if key in keys and isinstance(value, str):
            yield value
        else:
            yield from _texts_of_keys(value, keys)


def _parameters(data: dict[str, Any]) -> dict[str, Any]:
    found = data.get("parameters")
    return found if isinstance(found, dict) else {}


def _formula(parameter: Any) -> str:
    found = parameter.get("formula") if isinstance(parameter, dict) else None
    return found if isinstance(found, str) else ""


def _of_formulas(parameters: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Formulas that read secrets or the environment of the app."""
    for name, each in parameters.items():
        formula = _formula(each)
        if any(word in formula.upper() for word in ("SECRET", "ENV")):
            yield ("parameters", name, "formula"), formula


def _named(data: dict[str, Any], texts: Iterable[str], connections: Connections = ()) -> frozenset[str]:
    """The parameters that texts and the connections name, and those that their formulas use: all are parts of them."""
    parameters = _parameters(data)
    left, found = [*texts, *_texts_of(connections, {*_texts_of_keys(data, _CONNECTIONS)})], set[str]()
    while left:
        names = {*names_in(left.pop(), defined=parameters)} & parameters.keys() - found
        left += [_formula(parameters[name]) for name in names]
        found |= names
    return frozenset(found)


def _texts_of(connections: Connections, used: set[str]) -> Iterator[str]:
    """The texts of the connections that are used; of all where a parameter names one."""
    for file in connections:
        if file.connection is not None and (file.name in used or any("@" in name for name in used)):
            yield from (text for text, _ in texts_in(file.connection))
