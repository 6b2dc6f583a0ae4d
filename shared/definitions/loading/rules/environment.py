"""Rules between the keys of a Dataverse environment, wherever they stand: in a definition, a connection, or both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.definitions.loading.located import PathProblem
from shared.definitions.loading.rules.rest import api_problems

__all__ = ["NO_ENVIRONMENT", "connection_problems", "environment_problems"]

_MISSING: Final = "this key is missing"
NO_ENVIRONMENT: Final = f"{_MISSING}: write service_url, or connection with the name of a connection that has it"


def connection_problems(connection: Mapping[str, Any]) -> Iterator[PathProblem]:
    """Every problem between the keys of a raw connection."""
    match connection.get("type"):
        case "dynamics":
            for key, message in environment_problems(connection):
                yield PathProblem(path=(key,), message=message)
        case "rest":
            yield from api_problems(connection)


def environment_problems(keys: Mapping[str, Any], *, without: str = _MISSING) -> Iterator[tuple[str, str]]:
    """Each problem: the key that it belongs to, and the message.

    Args:
        keys: The keys of an environment, raw or read; other keys are left alone.
        without: The message where there is no service URL.
    """
    if keys.get("service_url") is None:
        yield "service_url", without
    yield from _managed_identity(keys) if keys.get("auth") == "managed_identity" else _secrets(keys)


def _managed_identity(keys: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if keys.get("client_secret") is not None:
        yield "client_secret", "a managed identity does not have a secret"
    if isinstance(keys.get("client_id"), list | tuple):
        yield "client_id", "an app has one managed identity, so a list is not allowed"


def _secrets(keys: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    values = {key: keys.get(key) for key in ("client_id", "client_secret")}
    for key, value in values.items():
        if value is None:
            yield key, f"{_MISSING}; it can be left out only with auth: managed_identity"
    lengths = [len(value) if isinstance(value, list | tuple) else None for value in values.values()]
    if None not in values.values() and lengths[0] != lengths[1]:
        yield "client_secret", "give as many secrets as ids, in the same order"
    elif lengths[0] == 0:
        yield "client_id", "this is empty"
