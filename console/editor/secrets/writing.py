"""Who may write a secret, and the writing of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from console.access.person import ADMIN
from console.web.refusals import Refusal, not_found
from console.web.visit import Visit
from shared.jobs.batch.lease_keeping import keeping
from shared.secrets.vault_writer import KnownSecret, VaultWriter

__all__ = ["Wanted", "Written", "vault_of", "write_secret"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person wants to write.

    Attributes:
        name: Of the secret.
        value: What is kept in the vault, and nowhere else.
        replace: Whether a secret that has this name gets a new version.
        sync: The sync that it is for.
    """

    name: str
    value: str = field(repr=False)
    replace: bool
    sync: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of it.

    Attributes:
        reference: The URI by which definitions refer to the secret.
        is_new: Whether there was none of this name.
    """

    reference: str
    is_new: bool


def vault_of(visit: Visit) -> VaultWriter:
    """The vault that the console writes to.

    Raises:
        Refusal: There is none, so this page does not exist.
    """
    vault = visit.app.wiring.secret_writer
    if vault is None:
        raise not_found()
    return vault


def write_secret(visit: Visit, wanted: Wanted) -> Written:
    """Write a secret into the vault, and its name into the audit log.

    Raises:
        Refusal: There is no vault, the name is taken, or another request writes a secret of this name now.
        UserError: The name or the value is not possible.
        AbortRun: The app may not write there.
        RetryLater: The vault or the state store is away.
    """
    vault = vault_of(visit)
    vault.check(wanted.name, wanted.value)
    # The vault has no write on a condition: between look and write no other person of the console may come.
    with keeping(visit.app.state, f"secret/{wanted.name.casefold()}", uuid.uuid4().hex) as held:
        if held is None:
            raise Refusal(409, "Being written", "Somebody else writes a secret of this name now: try again.")
        known = vault.known(wanted.name)
        if known is not None:
            _check_may_replace(visit, wanted, known)
        owner = known.owner if known and known.owner else wanted.sync
        reference = vault.write(wanted.name, wanted.value, owner)
    what = "a new version of the secret" if known else "the secret"
    visit.note(f"wrote {what} {wanted.name}")
    return Written(reference=reference, is_new=known is None)


def _check_may_replace(visit: Visit, wanted: Wanted, known: KnownSecret) -> None:
    """Refuse to replace a secret of another sync, and any secret without being told to."""
    is_own = visit.known_subject is not None and known.owner == wanted.sync
    if not is_own and not visit.person.has(ADMIN):
        raise Refusal(
            409, "The name is in use", f"There is a secret {wanted.name} that is not of this sync: choose another name."
        )
    if not wanted.replace:
        since = f", written on {known.at:%Y-%m-%d at %H:%M} UTC" if known.at else ""
        whose = f" for the sync {known.owner}" if since and known.owner and known.owner != wanted.sync else ""
        raise Refusal(
            409,
            "The name is in use",
            f"There is a secret {wanted.name}{since}{whose}. Say that it is to be replaced: then every definition that "
            f"refers to it gets the new value, and the vault keeps the earlier version.",
        )
