"""The person or application that sent a request, as App Service Authentication names it.

The platform checks the sign-in and puts the claims into the header `X-MS-CLIENT-PRINCIPAL`; it removes that header from
requests of others. https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from console.web.refusals import Refusal

__all__ = ["ADMIN", "CREATE", "DEVELOPER", "HEADER", "SEND_EVENTS", "Person", "SignIn"]

HEADER: Final = "x-ms-client-principal"
ADMIN: Final = "Sync.Admin"
"""The app role that may do everything."""
CREATE: Final = "Sync.Create"
"""The app role that may make new syncs."""
SEND_EVENTS: Final = "events.send"
"""The app role of applications that send events."""
# Set by App Service: https://learn.microsoft.com/azure/app-service/reference-app-settings#authentication--authorization
# On Flex Consumption the Functions host checks the sign-in itself, and only where this is true; the worker gets all
# variables of the host. https://github.com/Azure/azure-functions-host/issues/10687
_ENABLED: Final = "WEBSITE_AUTH_ENABLED"
_MOST: Final = 100_000  # characters of the header; the front end of App Service takes 32 kB of headers
_OBJECT_ID: Final = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid")
_ROLES: Final = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
_NAMES: Final = ("name", "preferred_username", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "azp")
_GROUPS: Final = "groups"
# Entra leaves the groups out of the token where there are more than 200, and says so in one of these claims.
# https://learn.microsoft.com/security/zero-trust/develop/configure-tokens-group-claims-app-roles
_TOO_MANY: Final = ("hasgroups", "_claim_names")


class _Claim(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    typ: str
    val: str


class _Principal(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    claims: tuple[_Claim, ...]
    role_typ: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who sent a request.

    Attributes:
        id: The object id in Entra.
        name: For people who read the audit log.
        roles: App roles and object ids of groups, in lower case: entries of `permissions` are compared with them.
        groups_missing: Whether the person is in so many groups that the token names none.
    """

    id: str
    name: str
    roles: frozenset[str]
    groups_missing: bool = False

    def has(self, role: str) -> bool:
        """Whether the person has an app role, is a member of a group, or is the person that an id names."""
        return role.casefold() in {*self.roles, self.id.casefold()}


DEVELOPER: Final = Person(id="developer", name="Developer on this machine", roles=frozenset({ADMIN.casefold()}))
"""Who uses the console of a laptop."""


class SignIn:
    """Finds out who sent a request.

    Args:
        variables: The environment of the process: the platform says there whether it checks the sign-in.
        person: Who sends every request; None for the person of the header.
    """

    def __init__(self, variables: Mapping[str, str], person: Person | None = None) -> None:
        self._is_checked = variables.get(_ENABLED, "").casefold() == "true"
        self._person = person

    def person(self, headers: Mapping[str, str]) -> Person:
        """The person of a request.

        Raises:
            Refusal: The platform does not check the sign-in, or nobody is signed in.
        """
        if self._person is not None:
            return self._person
        if not self._is_checked:
            raise Refusal(
                503,
                "Sign-in is not set up",
                "App Service Authentication is off for this app, so it is not known who sends a request. Set it up as "
                "docs/console.md says, or use `dynamics-sync console` on your machine.",
            )
        if not (text := headers.get(HEADER, "")):
            raise Refusal(401, "Not signed in", "Sign in with an account of this organisation.")
        return _person_of(text)


def _person_of(text: str) -> Person:
    principal = _read(text)
    claims = principal.claims
    person_id = next(_values(claims, *_OBJECT_ID), "")
    if not person_id:
        raise Refusal(401, "Not signed in", "The sign-in names no object id: sign in with an account of Entra ID.")
    kinds = (*_ROLES, _GROUPS, *filter(None, [principal.role_typ]))
    return Person(
        id=person_id,
        name=next(_values(claims, *_NAMES), person_id),
        roles=frozenset(value.casefold() for value in _values(claims, *kinds)),
        groups_missing=any(_values(claims, *_TOO_MANY)) and not any(_values(claims, _GROUPS)),
    )


def _read(text: str) -> _Principal:
    try:
        value: Any = json.loads(base64.b64decode(text[:_MOST], validate=True))
        return _Principal.model_validate(value)
    except (binascii.Error, ValueError, ValidationError, RecursionError):
        raise Refusal(401, "Not signed in", "The header of the sign-in cannot be read.") from None


def _values(claims: tuple[_Claim, ...], *kinds: str) -> Iterator[str]:
    yield from (claim.val for kind in kinds for claim in claims if claim.typ == kind and claim.val)
