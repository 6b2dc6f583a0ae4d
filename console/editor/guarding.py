"""Which changes of a definition need the right `admin`: who may do what, secrets, hosts, and what is done elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from shared.definitions.loading.yaml_loader import Path, read_yaml, shown_path
from shared.definitions.models.names import names_in

__all__ = ["guarded_changes"]

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
_FREE: Final = frozenset({"columns", "mappings", "sync_behaviour"})


def guarded_changes(before: str, after: str) -> list[str]:
    """The keys that a change of a definition touches and that only `admin` may change, as problems show them.

    Args:
        before: The YAML as it is saved; empty for none.
        after: The YAML as it is to be.
    """
    old, new = (_guarded(read_yaml(text).value) for text in (before, after))
    return sorted(shown_path(path) for path in {*old, *new} if old.get(path) != new.get(path))


def _guarded(data: Any) -> dict[Path, str]:
    """The values that are compared, by their paths."""
    if not isinstance(data, dict):
        return {}
    found: dict[Path, str] = {}
    for key, value in data.items():
        if key in _WHOLE:
            found[(key,)] = repr(value)
        elif key == "parameters":
            found |= dict(_of_formulas(value))
        else:
            found |= dict(_inside(value, (key,)))
    return found | dict(_of_named(data.get("parameters"), found))


def _inside(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    key = path[-1]
    if key in _KEYS or (isinstance(value, dict) and value.keys() & {"env", "key_vault"} and len(value) == 1):
        yield path, repr(value)
    elif key in _PATHS and isinstance(value, str):
        yield path, f"{_place(value)} {names_in(_place(value))}"
    elif isinstance(value, dict):
        for name, each in value.items():
            if name not in _FREE:
                yield from _inside(each, (*path, name))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _inside(each, (*path, number))


def _place(path: str) -> str:
    """Where a file is: scheme and host of a URL; a local path has none. A parameter may be a whole URL."""
    if path.startswith("@"):
        return path.split("/", maxsplit=1)[0]
    return "://".join(urlsplit(path)[:2]) if "://" in path else ""


def _of_formulas(parameters: Any) -> Iterator[tuple[Path, str]]:
    """Formulas that read secrets or the environment of the app."""
    for name, each in parameters.items() if isinstance(parameters, dict) else ():
        formula = each.get("formula") if isinstance(each, dict) else None
        if isinstance(formula, str) and any(word in formula.upper() for word in ("SECRET", "ENV")):
            yield ("parameters", name, "formula"), formula


def _of_named(parameters: Any, guarded: dict[Path, str]) -> Iterator[tuple[Path, str]]:
    """Parameters that a guarded value names: their values are parts of it."""
    names = {name for value in guarded.values() for name in names_in(value)}
    for name, each in parameters.items() if isinstance(parameters, dict) else ():
        if name in names:
            yield ("parameters", name), repr(each)
