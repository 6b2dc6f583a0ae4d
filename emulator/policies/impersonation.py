"""`CallerObjectId` and `MSCRMCallerID`: a request acts for another user (impersonate-another-user-web-api)."""

from collections.abc import Mapping
from typing import Final

from emulator.environment import Environment
from emulator.errors import ServiceError, record_not_found, user_disabled
from emulator.messages import Caller
from emulator.store.values import guid_text

__all__ = ["acting_caller"]

_BY_OBJECT: Final = "callerobjectid"  # the identifier in Microsoft Entra ID; used if both are sent
_BY_USER: Final = "mscrmcallerid"  # the systemuserid


def acting_caller(environment: Environment, caller: Caller, headers: Mapping[str, str]) -> Caller:
    """Returns the user that a request acts for: the caller, or the user that a header names.

    Raises:
        ServiceError: The header names an unknown or disabled user.
    """
    named = headers.get(_BY_OBJECT) or headers.get(_BY_USER)
    if not named:
        return caller
    wanted = guid_text(named)
    found = _user(environment, "azureactivedirectoryobjectid" if headers.get(_BY_OBJECT) else "systemuserid", wanted)
    if found is None and headers.get(_BY_OBJECT):
        raise ServiceError(403, "0x80072560", "The user is not a member of the organization.")
    if found is None:
        raise record_not_found("systemuser", wanted)
    user_id, business_unit_id, disabled = found
    if disabled:
        raise user_disabled()
    original = caller.on_behalf or caller.user_id
    return Caller(
        user_id=user_id,
        business_unit_id=business_unit_id or caller.business_unit_id,
        on_behalf=None if user_id == original else original,
    )


def _user(environment: Environment, column: str, wanted: str) -> tuple[str, str | None, int | None] | None:
    """Identifier, business unit and whether disabled, or None; a user's own schema may not have these columns."""
    known = environment.schema.tables["systemuser"].columns
    if column not in known:
        return None
    names = [name if name in known else "NULL" for name in ("systemuserid", "businessunitid", "isdisabled")]
    found: tuple[str, str | None, int | None] | None = environment.database.connection.execute(
        f'SELECT {", ".join(names)} FROM "systemuser" WHERE "{column}" = ?', (wanted,)
    ).fetchone()
    return found
