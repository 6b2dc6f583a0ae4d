"""Certificates that a secret holds: which forms are read, and what is said about each mistake."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

from shared.dataverse.http.certificates import read_certificate
from shared.errors import AbortRun
from tests.certificates import elliptic_key, made, rsa_key

ONE, TWO = made("one"), made("two")
PFX = ONE.pfx()


def bare_pfx() -> str:
    """A PFX file with a certificate and no key."""
    data = pkcs12.serialize_key_and_certificates(b"sync", None, ONE.certificate, None, NoEncryption())
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("text", "password"),
    [
        (ONE.pem, None),
        (lambda: ONE.public + ONE.private(), None),
        (lambda: ONE.pem(old=True), None),
        (lambda: ONE.pem("opens it"), "opens it"),
        (lambda: ONE.pem("opens it", old=True), "opens it"),
        (ONE.pem, "not needed"),
        (lambda: TWO.public + ONE.pem(), None),
        (lambda: ONE.pem().replace("\n", "\r\n"), None),
        (lambda: PFX, None),
        (lambda: ONE.pfx("opens it"), "opens it"),
        (lambda: PFX, "not needed"),
        (lambda: "\n".join(PFX[at : at + 76] for at in range(0, len(PFX), 76)), None),
    ],
)
def test_every_form_gives_the_key_with_its_certificate(text: Callable[[], str], password: str | None) -> None:
    """PEM in any order, with certificates of issuers; PFX as base64, in one line or several."""
    found = read_certificate(text(), password)
    assert found.key.private_numbers() == rsa_key("one").private_numbers()
    assert found.public == ONE.public
    assert found.thumbprint == ONE.certificate.fingerprint(SHA256()).hex()


@pytest.mark.parametrize(
    ("text", "password", "said"),
    [
        (lambda: ONE.public, None, "holds no private key, only a certificate"),
        (ONE.private, None, "holds a private key and no certificate"),
        (lambda: ONE.pem().replace("MII", "!!!"), None, "not well formed PEM"),
        (lambda: ONE.private().replace("MII", "!!!") + ONE.public, None, "its private key cannot be read"),
        (lambda: ONE.private() + TWO.public, None, "a private key that does not belong to its certificate"),
        (lambda: ONE.pem("opens it"), None, "its key is protected by a password: write certificate_password"),
        (lambda: ONE.pem("opens it", old=True), None, "its key is protected by a password"),
        (lambda: ONE.pem("opens it"), "does not", "certificate_password is not the password of its key"),
        (lambda: ONE.pfx("opens it"), None, "its PFX file is protected by a password"),
        (lambda: ONE.pfx("opens it"), "does not", "certificate_password is not the password of its PFX file"),
        (bare_pfx, None, "a PFX file without a private key"),
        (lambda: base64.b64encode(b"no file").decode(), None, "its PFX file cannot be read"),
        (lambda: "a client secret", None, "neither PEM nor base64 of a PFX file"),
        (lambda: "", None, "its PFX file cannot be read"),
        (lambda: "A" * 300_000, None, "has more than 262144 characters"),
        (lambda: made("three", key=elliptic_key()).pem(), None, "a key that is not RSA"),
        (lambda: made("four", key=rsa_key("four", 1024)).pem(), None, "an RSA key of 1024 bits"),
    ],
)
def test_every_mistake_is_said_without_the_key(text: Callable[[], str], password: str | None, said: str) -> None:
    """What is wrong, and where to mend it."""
    content = text()
    with pytest.raises(AbortRun) as caught:
        read_certificate(content, password)
    assert said in caught.value.message
    assert not [line for line in content.splitlines() if len(line) > 20 and line in caught.value.message]
    assert "opens it" not in caught.value.message
    assert "does not" not in caught.value.message.replace("does not belong", "")


def test_a_certificate_holds_from_its_first_to_its_last_moment() -> None:
    """The message has the moment in UTC."""
    begins = datetime(2026, 5, 1, 12, tzinfo=UTC)
    found = read_certificate(made("one", begins=begins, days=10).pem())
    found.check_time(begins)
    found.check_time(begins + timedelta(days=10, seconds=-1))
    with pytest.raises(AbortRun, match="expired on 2026-05-11 12:00 UTC"):
        found.check_time(begins + timedelta(days=10))
    with pytest.raises(AbortRun, match="valid only from 2026-05-01 12:00 UTC"):
        found.check_time(begins - timedelta(seconds=1))
    assert "PRIVATE" not in repr(found)
