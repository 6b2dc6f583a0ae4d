"""What proves to Entra ID that the program is an application: a secret, a certificate, or a token of another issuer.

Each is read again whenever a token is asked for, and read anew from its source when Entra ID refuses it. So none needs
a restart after it was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Final, Protocol
from urllib.parse import urlsplit

from shared.clock import Clock, SystemClock
from shared.dataverse.http.certificates import SigningCertificate, read_certificate
from shared.errors import AbortRun
from shared.redaction import register_secret

__all__ = ["ClientAssertion", "ClientCertificate", "ClientProof", "ClientSecret"]

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ClientProof(Protocol):
    """One application's proof. May be called from several threads."""

    remedy: ClassVar[str]
    """What to check when it is refused."""

    def form(self, client_id: str, endpoint: str) -> Mapping[str, str]:
        """The fields of a token request that prove it.

        Args:
            client_id: The application.
            endpoint: The address of the token endpoint, which is the audience of an assertion.

        Raises:
            AbortRun: There is no usable proof.
        """
        ...

    def for_msal(self, authority: str) -> str | dict[str, Any]:
        """The same as msal's `client_credential`."""
        ...

    def renew(self) -> None:
        """Read it anew from its source: it was refused, so it may have been changed."""
        ...


def _nothing() -> None:
    """For a proof that is never kept."""


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A secret of the application.

    Attributes:
        read: Gives the secret; called whenever one is needed.
        read_anew: Makes the next call of `read` fetch the secret again.
    """

    read: Callable[[], str]
    read_anew: Callable[[], None] = _nothing
    remedy: ClassVar[str] = "check client_id, client_secret and tenant_id"

    def form(self, client_id: str, endpoint: str) -> Mapping[str, str]:  # noqa: ARG002 - see ClientProof
        """See `ClientProof.form`."""
        return {"client_secret": self._current()}

    def for_msal(self, authority: str) -> str:  # noqa: ARG002 - see ClientProof
        """See `ClientProof.for_msal`."""
        return self._current()

    def renew(self) -> None:
        """See `ClientProof.renew`."""
        self.read_anew()

    def _current(self) -> str:
        secret = self.read()
        register_secret(secret)
        if "-----BEGIN" in secret:
            raise AbortRun(
                "client_secret refers to a certificate: write auth: client_certificate, and client_certificate in "
                "place of client_secret"
            )
        return secret


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate with its private key.

    Attributes:
        read: Gives the secret that holds both; called whenever they are needed.
        read_anew: Makes the next call of `read` and `password` fetch the secret again.
        password: Gives the password of the file or key.
        clock: Tells whether the certificate is valid.
    """

    read: Callable[[], str]
    read_anew: Callable[[], None] = _nothing
    password: Callable[[], str] | None = None
    clock: Clock = field(default_factory=SystemClock)
    remedy: ClassVar[str] = (
        "check client_id and tenant_id, and that the certificate is one of the application's in Entra ID"
    )

    def form(self, client_id: str, endpoint: str) -> Mapping[str, str]:
        """See `ClientProof.form`."""
        # Imported at first use, to keep a cold start short.
        from msal.oauth2cli.assertion import (  # type: ignore[import-untyped]  # noqa: PLC0415 - see above
            JwtAssertionCreator,
        )

        found = self._current()
        chain = ["".join(found.public.splitlines()[1:-1])]
        creator = JwtAssertionCreator(
            found.key, algorithm="PS256", sha256_thumbprint=found.thumbprint, headers={"x5c": chain}
        )
        assertion = creator.create_normal_assertion(audience=endpoint, issuer=client_id).decode()
        return _asserted(assertion)

    def for_msal(self, authority: str) -> dict[str, Any]:  # noqa: ARG002 - see ClientProof
        """See `ClientProof.for_msal`; msal then sends the certificate too, which sign-in by subject name needs."""
        found = self._current()
        return {"private_key": found.key, "public_certificate": found.public}

    def renew(self) -> None:
        """See `ClientProof.renew`."""
        self.read_anew()

    def _current(self) -> SigningCertificate:
        """The certificate; one that cannot be used is read anew once, because the store may have a newer version."""
        try:
            return self._read()
        except AbortRun:
            self.read_anew()
            return self._read()

    def _read(self) -> SigningCertificate:
        text, password = self.read(), self.password() if self.password else None
        register_secret(text, *([password] if password else []))
        certificate = read_certificate(text, password)
        certificate.check_time(self.clock.now())
        return certificate


@dataclass(frozen=True, slots=True)
class ClientAssertion:
    """A token of another issuer, which a federated credential of the application trusts.

    Attributes:
        issue: Gives a new token for an audience.
    """

    issue: Callable[[str], str]
    remedy: ClassVar[str] = (
        "check client_id and tenant_id, and that a federated credential of the application has the issuer, subject and "
        "audience of the token"
    )

    def form(self, client_id: str, endpoint: str) -> Mapping[str, str]:  # noqa: ARG002 - see ClientProof
        """See `ClientProof.form`."""
        return _asserted(self._current(endpoint))

    def for_msal(self, authority: str) -> dict[str, Any]:
        """See `ClientProof.for_msal`."""
        return {"client_assertion": partial(self._current, authority)}

    def renew(self) -> None:
        """See `ClientProof.renew`: each one is new."""

    def _current(self, authority: str) -> str:
        assertion = self.issue(_audience(authority))
        register_secret(assertion)
        return assertion


# https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
_AUDIENCES: Final = {
    "login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
    "login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina",
    "login.chinacloudapi.cn": "api://AzureADTokenExchangeChina",
}


def _audience(authority: str) -> str:
    """What a federated credential of this cloud names as the audience of tokens."""
    return _AUDIENCES.get(urlsplit(authority).hostname or "", "api://AzureADTokenExchange")


def _asserted(assertion: str) -> Mapping[str, str]:
    return {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}
