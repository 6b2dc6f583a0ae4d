"""Certificates with their keys for tests: RSA keys are made once for each name and shared."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

__all__ = ["Made", "elliptic_key", "made", "rsa_key"]

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@lru_cache
def rsa_key(name: str = "one", bits: int = 2048) -> rsa.RSAPrivateKey:
    """The key of a name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@lru_cache
def elliptic_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True, kw_only=True)
class Made:
    """A certificate, and the key that signed it."""

    key: Key
    certificate: x509.Certificate

    @property
    def public(self) -> str:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def private(self, password: str | None = None, *, old: bool = False) -> str:
        """The key in PEM."""
        form = serialization.PrivateFormat.TraditionalOpenSSL if old else serialization.PrivateFormat.PKCS8
        hidden: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        )
        return self.key.private_bytes(serialization.Encoding.PEM, form, hidden).decode()

    def pem(self, password: str | None = None, *, old: bool = False) -> str:
        """Key and certificate, as Key Vault gives a certificate of the type application/x-pem-file."""
        return self.private(password, old=old) + self.public

    def pfx(self, password: str | None = None) -> str:
        """Base64 of a PFX file, as Key Vault gives a certificate of the type application/x-pkcs12."""
        hidden: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        )
        data = pkcs12.serialize_key_and_certificates(b"sync", self.key, self.certificate, None, hidden)
        return base64.b64encode(data).decode()


def made(name: str = "one", *, days: float = 365, begins: datetime | None = None, key: Key | None = None) -> Made:
    """A certificate of its own issuer."""
    key = key or rsa_key(name)
    begins = begins or datetime.now(UTC) - timedelta(days=1)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"sync {name}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )
    return Made(key=key, certificate=builder.sign(key, hashes.SHA256()))
