"""Which environment variables `ENV('NAME')` may read: none that holds a secret.

The value of a parameter is written to the execution log, in saved plans and perhaps in a record. So a variable is
refused

- when its name is used as a secret: as `client_secret: {env: NAME}` of any definition, or by a secret setting;
- when its name shows that it holds one, such as `…_SECRET`, `…_PASSWORD` or `…_CONNECTIONSTRING`;
- when its value is that of such a variable or holds it, or has the form of a secret, such as a connection string.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from shared.definitions.models import ConnectionModel, EnvironmentSecret, Model, SyncDefinition

__all__ = ["env_references", "holds_secret", "named_as_secret", "secret_variables"]

_NAMES: Final = re.compile(
    r"secret|passw|_pwd|pwd_|token|credential|connection_?string|connstr|"
    r"(?:private|api|access|account|admin|master|encryption|signing|shared|function|host)_?key|"
    r"(?:^|_)sas(?:$|_)|^identity_header$",
    re.IGNORECASE,
)
_VALUES: Final = re.compile(
    r"(?:accountkey|sharedaccesskey|sharedaccesssignature|sharedsecret|password|pwd|client_secret)\s*=|[?&]sig=|"
    r"://[^/\s:@]*:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY|^eyJ[\w-]+\.[\w-]+\.",
    re.IGNORECASE,
)
# Keys below which no secret is named; the first may hold thousands of entries.
_NOT_SECRET: Final = frozenset({"columns", "mappings", "client_id", "user", "body"})
_PARTS: Final = ("destination", "source", "post_sync")  # of a definition, which name secrets
_SHORTEST: Final = 8  # characters of a secret that is looked for in other values; shorter ones are in any text


def named_as_secret(name: str, references: Collection[str]) -> bool:
    """Whether a variable is a known secret, or has a name for secrets."""
    return name.casefold() in {each.casefold() for each in references} or _NAMES.search(name) is not None


def holds_secret(name: str, environment: Mapping[str, str], references: Collection[str]) -> bool:
    """Whether a variable may not be read by a formula.

    Args:
        name: The variable.
        environment: All variables.
        references: Names that are used as secrets.
    """
    value = environment.get(name, "")
    if named_as_secret(name, references) or _VALUES.search(value):
        return True
    known = (environment.get(each, "") for each in references)
    return any(len(secret) >= _SHORTEST and secret in value for secret in known)


def env_references(document: Mapping[str, Any]) -> frozenset[str]:
    """The variables that a raw definition uses as secrets."""
    return frozenset(name for key in _PARTS for name in _variables(document.get(key)))


def secret_variables(
    definitions: Iterable[SyncDefinition], connections: Iterable[ConnectionModel] = ()
) -> Iterator[str]:
    """The variables that definitions and connections use as secrets; an application's id is none."""
    for definition in definitions:
        for key in _PARTS:
            yield from _variables(getattr(definition, key))
    for connection in connections:
        yield from _variables(connection)


def _variables(part: object) -> Iterator[str]:
    """The variables that a part, raw or read, names with a reference to a secret, at any depth."""
    match part:
        case EnvironmentSecret(env=name) | {"env": str(name)}:
            yield name
        case Model() | dict():
            for key, value in part.items() if isinstance(part, dict) else part:
                if key not in _NOT_SECRET:
                    yield from _variables(value)
        case list() | tuple():
            for each in part:
                yield from _variables(each)
