"""Rules between the keys of a Dataverse environment, wherever they stand: in a definition, a connection, or both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.definitions.loading.located import PathProblem
from shared.definitions.loading.rules.rest import api_problems

__all__ = ["NO_ENVIRONMENT", "connection_problems", "environment_problems"]

_MISSING: Final = "this key is missing"
NO_ENVIRONMENT: Final = f"{_MISSING}: write service_url, or connection with the name of a connection that has it"

# How the app signs in -> the key that it needs next to client_id, if any.
_NEEDED: Final[Mapping[str, str | None]] = {
    "client_secret": "client_secret",
    "client_certificate": "client_certificate",
    "managed_identity": None,
    "federated": None,
}
_BELONGS: Final = {
    "client_secret": "client_secret",
    "client_certificate": "client_certificate",
    "certificate_password": "client_certificate",
}
_WITHOUT: Final = {
    "managed_identity": "a managed identity does not have a secret",
    "federated": "a federated credential needs no secret",
}


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
    auth = keys.get("auth") or "client_secret"
    if isinstance(auth, str) and auth in _NEEDED:
        yield from _foreign(keys, auth)
        yield from _ids(keys, auth)


def _foreign(keys: Mapping[str, Any], auth: str) -> Iterator[tuple[str, str]]:
    """Keys that belong to another way to sign in."""
    for key, owner in _BELONGS.items():
        if owner != auth and keys.get(key) is not None:
            reason = _WITHOUT.get(auth, f"this key belongs to auth: {owner}, and auth is {auth}")
            yield key, f"{reason}: remove this key, or write auth: {owner}"


def _ids(keys: Mapping[str, Any], auth: str) -> Iterator[tuple[str, str]]:
    """The application's id, and what is needed next to it."""
    needed = _NEEDED[auth]
    client = keys.get("client_id")
    if auth == "managed_identity":
        if isinstance(client, list | tuple):
            yield "client_id", "an app has one managed identity, so a list is not allowed"
        return
    if client is None:
        yield "client_id", f"{_MISSING}; it can be left out only with auth: managed_identity"
    if needed and keys.get(needed) is None:
        yield needed, f"{_MISSING}; it belongs to auth: {auth}, and other ways to sign in do without it"
    if _length(client) == 0:
        yield "client_id", "this is empty"
    elif needed and None not in (client, keys.get(needed)) and _length(client) != _length(keys[needed]):
        what = "secrets" if needed == "client_secret" else "certificates"
        yield needed, f"give as many {what} as ids, in the same order"


def _length(value: object) -> int | None:
    return len(value) if isinstance(value, list | tuple) else None
