"""Certificates for signing in: what a secret holds, as a private key and the certificate that belongs to it.

A certificate in Key Vault is read as the secret of the same name: base64 of a PKCS #12 file (PFX) without a password,
or PEM (https://learn.microsoft.com/azure/key-vault/certificates/about-certificates).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from shared.errors import AbortRun

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

__all__ = ["SigningCertificate", "read_certificate"]

_LONGEST: Final = 262_144  # characters; a secret of Key Vault has at most 25,600 bytes
_SMALLEST_KEY: Final = 2048  # bits
_KEY: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_NAMED: Final = "the client certificate"
_EXPORTABLE: Final = "In Key Vault, the policy of the certificate must let the key be exported"


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """A private key and its certificate.

    Attributes:
        key: The private key.
        public: The certificate in PEM; Entra ID may see it.
        thumbprint: Its SHA-256 thumbprint in hexadecimal digits, by which Entra ID finds it.
        begins, ends: When it is valid.
    """

    key: RSAPrivateKey = field(repr=False)
    public: str
    thumbprint: str
    begins: datetime
    ends: datetime

    def check_time(self, now: datetime) -> None:
        """Refuse a certificate that Entra ID will refuse.

        Raises:
            AbortRun: It is not valid yet, or no longer.
        """
        if now >= self.ends:
            raise AbortRun(
                f"{_NAMED} with the SHA-256 thumbprint {self.thumbprint[:16]}… expired on {self.ends:%Y-%m-%d %H:%M} "
                "UTC: make a new one, add it to the application in Entra ID, and put it into the secret"
            )
        if now < self.begins:
            raise AbortRun(
                f"{_NAMED} with the SHA-256 thumbprint {self.thumbprint[:16]}… is valid only from "
                f"{self.begins:%Y-%m-%d %H:%M} UTC: use an older one until then, or check the clock of this machine"
            )


def read_certificate(text: str, password: str | None = None) -> SigningCertificate:
    """Read PEM, or the base64 text of a PFX file.

    Args:
        text: The value of the secret.
        password: The password of the PFX file or of the key.

    Raises:
        AbortRun: It holds no usable key with its certificate; the message says what is wrong and nothing of the key.
    """
    if len(text) > _LONGEST:
        raise AbortRun(f"{_NAMED} has more than {_LONGEST} characters: it is not a certificate with its key")
    secret = password.encode() if password else None
    key, certificates = _from_pem(text, secret) if "-----BEGIN" in text else _from_pfx(text, secret)
    return _signing(_usable(key), certificates)


def _from_pem(text: str, password: bytes | None) -> tuple[object, Sequence[Certificate]]:
    from cryptography import x509  # noqa: PLC0415 - only certificates need it

    found = _KEY.search(text)
    if found is None:
        raise AbortRun(f"{_NAMED} holds no private key, only a certificate: store both in the secret. {_EXPORTABLE}")
    texts = _CERTIFICATE.findall(text)
    if not texts:
        raise AbortRun(f"{_NAMED} holds a private key and no certificate: store both in the secret, in PEM")
    try:
        certificates = [x509.load_pem_x509_certificate(each.encode()) for each in texts]
    except ValueError:
        raise AbortRun(f"{_NAMED} holds a certificate that is not well formed PEM") from None
    return _pem_key(found[0], password), certificates


def _pem_key(text: str, password: bytes | None) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see _from_pem
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - see _from_pem

    # A password for a key that has none does no harm: the other certificates of a list may need it.
    protected = "ENCRYPTED" in text
    if protected and password is None:
        raise _needs_password("key")
    try:
        return load_pem_private_key(text.encode(), password if protected else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _wrong_password("key") if protected else _malformed("private key") from None


def _from_pfx(text: str, password: bytes | None) -> tuple[object, Sequence[Certificate]]:
    from cryptography.hazmat.primitives.serialization.pkcs12 import (  # noqa: PLC0415 - see _from_pem
        load_key_and_certificates,
    )

    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise AbortRun(
            f"{_NAMED} is neither PEM nor base64 of a PFX file: refer to a certificate in Key Vault by its name, or "
            "encode the file with base64"
        ) from None
    try:
        key, certificate, others = load_key_and_certificates(data, password)
    except ValueError as error:
        if password is not None:  # it may have none, while other certificates of a list have one
            with suppress(AbortRun):
                return _from_pfx(text, None)
        raise _unreadable_pfx(error, password) from None
    if key is None:
        raise AbortRun(f"{_NAMED} is a PFX file without a private key. {_EXPORTABLE}")
    return key, [each for each in (certificate, *others) if each is not None]


def _unreadable_pfx(error: ValueError, password: bytes | None) -> AbortRun:
    """A wrong password is not told from a damaged file except by the library's words."""
    if "password" not in str(error).lower():
        return _malformed("PFX file")
    return _wrong_password("PFX file") if password else _needs_password("PFX file")


def _usable(key: object) -> RSAPrivateKey:
    """The key, if Entra ID takes it: it knows only RSA keys (certificate credentials: "PS256")."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415 - see _from_pem

    if not isinstance(key, RSAPrivateKey):
        raise AbortRun(f"{_NAMED} has a key that is not RSA: Entra ID signs in only with RSA keys; make another one")
    if key.key_size < _SMALLEST_KEY:
        raise AbortRun(f"{_NAMED} has an RSA key of {key.key_size} bits: make one with 2048 bits or more")
    return key


def _signing(key: RSAPrivateKey, certificates: Iterable[Certificate]) -> SigningCertificate:
    """The certificate of the key; a file may hold those of its issuers too."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - see _from_pem
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - see _from_pem

    public = key.public_key()
    for each in certificates:
        if each.public_key() == public:
            return SigningCertificate(
                key=key,
                public=each.public_bytes(Encoding.PEM).decode(),
                thumbprint=each.fingerprint(SHA256()).hex(),
                begins=each.not_valid_before_utc,
                ends=each.not_valid_after_utc,
            )
    raise AbortRun(f"{_NAMED} holds a private key that does not belong to its certificate: store the matching pair")


def _needs_password(what: str) -> AbortRun:
    return AbortRun(
        f"{_NAMED}: its {what} is protected by a password: write certificate_password with a reference to it, or "
        "store the certificate without a password"
    )


def _wrong_password(what: str) -> AbortRun:
    return AbortRun(f"{_NAMED}: certificate_password is not the password of its {what}")


def _malformed(what: str) -> AbortRun:
    return AbortRun(f"{_NAMED}: its {what} cannot be read: it is damaged or of an unknown kind")
