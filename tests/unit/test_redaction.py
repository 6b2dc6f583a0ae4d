"""Secrets are found in a text in whatever form they stand there."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AbortRun, DefinitionError, Problem
from shared.redaction import HIDDEN, Redactor, register_secret

SECRET = 'p~8Q/ä+"\\ =&x9'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        base64.b64encode(SECRET.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_every_form_is_replaced(form: str) -> None:
    """As it is, in URLs, in forms, in JSON and in base64; the last characters of base64 hold no whole byte."""
    redactor = Redactor()
    redactor.add(SECRET)
    said = redactor.clean(f"it was {form}.")
    assert HIDDEN in said
    assert form[:-2] not in said


@given(user=st.text(max_size=9), secret=st.text(min_size=8, max_size=60), after=st.text(max_size=9))
def test_basic_authentication_is_replaced_at_every_offset(user: str, secret: str, after: str) -> None:
    """In base64 a secret behind a user's name has one of three forms."""
    redactor = Redactor()
    redactor.add(secret)
    encoded = base64.b64encode(f"{user}:{secret}{after}".encode()).decode()
    assert HIDDEN in redactor.clean(encoded)


def test_a_key_of_several_lines_is_replaced_line_by_line() -> None:
    """An answer has the key of a certificate on one line, or a part of it."""
    redactor, line = Redactor(), "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
    redactor.add(f"-----BEGIN PRIVATE KEY-----\n{line}\n{line[::-1]}\n-----END PRIVATE KEY-----\n")
    assert line not in redactor.clean(f"key {line} is not valid")
    assert line[::-1] not in redactor.clean(f"key {line} {line[::-1]} is not valid")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("bad token Bearer abcdefghijklmnopqrstuvwxyz012345", "abcdefghijklmnopqrstuvwxyz"),
        ("cut: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx", "eyJhbGci"),
        ("client_id=a&client_secret=0123456789abc&scope=x", "0123456789abc"),
        ("AccountName=a;AccountKey=0123456789abc==;Suffix=x", "0123456789abc"),
        ('{"access_token": "0123456789abc"}', "0123456789abc"),
    ],
)
def test_what_is_a_secret_by_its_form_is_replaced_unknown(text: str, hidden: str) -> None:
    """An answer may repeat half of a token, or one that was never registered."""
    assert hidden not in Redactor().clean(text)


def test_ordinary_words_stay() -> None:
    """A secret that is too short to be one is not looked for, and messages about secrets keep their words."""
    redactor = Redactor()
    redactor.add("right")
    text = "is service_url right? client_secret: do not write a secret here; write {env: NAME}"
    assert redactor.clean(text) == text


def test_the_oldest_secrets_are_forgotten_and_those_in_use_are_not() -> None:
    """Tokens come and go in a process that lives for weeks; its client secret is registered at each use."""
    redactor = Redactor()
    for number in range(2500):
        redactor.add("the client's secret")
        redactor.add(f"token number {number}")
    assert redactor.clean("the client's secret") == HIDDEN
    assert redactor.clean("token number 2499") == HIDDEN
    assert redactor.clean("token number 1") == "token number 1"


def test_errors_and_problems_never_hold_a_secret() -> None:
    """Of every library."""
    register_secret("a-secret-of-this-test")
    error = AbortRun("it said a-secret-of-this-test")
    assert "a-secret" not in f"{error} {error.message} {error.args}"
    found = DefinitionError([Problem(message="it said a-secret-of-this-test", path="destination")])
    assert "a-secret" not in f"{found} {found.problems}"
