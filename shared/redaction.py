"""Known secrets, replaced in every text that leaves the program: messages, log lines, rows of the state store, files.

A service may repeat in its answer what it was sent. So code that resolves a secret registers it here, and code that
makes a message passes it through `cleaned`: the root of the error tree, the reader of the service's refusals, the logs.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

__all__ = ["CREDENTIALS", "ERASED", "HIDDEN", "Redactor", "cleaned", "register_secret"]

HIDDEN: Final = "[hidden]"
ERASED: Final = "[erased]"
"""What stands in the place of a text that named a record which was erased."""

# Shorter texts are parts of ordinary words; the secrets and tokens that services issue have 16 characters and more.
_SHORTEST: Final = 6
# A token lasts an hour or more. With ten application users these are the tokens of some days; the oldest go first, and
# a client secret is registered again at each use.
_MOST: Final = 1000

# A password with a slash that is not encoded is found by the second form; behind a colon may also be a port. The length
# of the scheme is limited, because each dot of a long text may be its beginning.
CREDENTIALS: Final = (
    r"(\b[a-zA-Z][a-zA-Z0-9+.-]{0,30}://)(?!user:password@)(?:"  # how messages say what a URL has to look like
    r"[^\s/@:\['\"]*:[^\s/'\"]*|[^\s/@:\['\"]*:(?!\d+(?:[/?#\s'\"]|$))(?:(?!://)[^\s'\"])*)(?=@)"
)
"""Pattern of the user and the password in a URL, also within other text; its group is the scheme."""

# Texts that have the form of a secret, also when only a part of one is repeated.
_FORMS: Final = (
    re.compile(CREDENTIALS),
    re.compile(r"\b((?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{24,}", re.IGNORECASE),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{12,}(?:\.[A-Za-z0-9_-]*){0,4}"),
    re.compile(
        r"\b((?:client_secret|client_assertion|access_token|refresh_token|AccountKey|SharedAccessKey|"
        r"SharedAccessSignature|sig)=)[^\s&;\"'<>]{8,}",
        re.IGNORECASE,
    ),
    re.compile(r'("(?:client_secret|client_assertion|access_token|refresh_token|password)"\s*:\s*")(?:[^"\\]|\\.)+'),
)


class Redactor:
    """Replaces the registered secrets, in all forms that a text may use. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, ...]] = {}
        self._texts: tuple[str, ...] | None = ()

    def add(self, secret: str) -> None:
        """Replace a secret from now on; one that is too short to be distinguished from words is left out."""
        if len(secret) < _SHORTEST:
            return
        with self._lock:
            kept = self._known.pop(secret, None)
            self._known[secret] = kept or tuple(dict.fromkeys(_forms_of(secret)))
            if kept is None:
                self._texts = None
            while len(self._known) > _MOST:
                del self._known[next(iter(self._known))]

    def clean(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._all():
            if secret in text:
                text = text.replace(secret, HIDDEN)
        for form in _FORMS:
            text = form.sub(rf"\1{HIDDEN}", text)
        return text

    def _all(self) -> tuple[str, ...]:
        """All forms of all secrets, longest first: one may hold another."""
        if (texts := self._texts) is None:
            with self._lock:
                every = {form for forms in self._known.values() for form in forms}
                texts = self._texts = tuple(sorted(every, key=len, reverse=True))
        return texts


def _forms_of(secret: str) -> Iterator[str]:
    """A secret as it is, line by line, and as URLs, forms, JSON and base64 write it."""
    lines = [line for line in secret.splitlines() if len(line) >= _SHORTEST and not line.startswith("-----")]
    for text in dict.fromkeys((secret, " ".join(secret.split()), *lines)):
        yield text
        yield from (quote(text), quote(text, safe=""), quote_plus(text))
        yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
        for encoded in _base64_of(text.encode("utf-8", errors="replace")):
            yield from (encoded, encoded.replace("+", "-").replace("/", "_"))


def _base64_of(data: bytes) -> Iterator[str]:
    """What base64 makes of data anywhere inside a longer text, such as behind a user's name and a colon.

    Three bytes become four characters, so there are three forms; characters that neighbours have a share in are left
    out.
    """
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data).decode("ascii")
        first, end = (shift * 8 + 5) // 6, (shift + len(data)) * 8 // 6
        yield encoded[first:end]


_known = Redactor()


def register_secret(*secrets: str) -> None:
    """Replace secrets in every text from now on."""
    for secret in secrets:
        _known.add(secret)


def cleaned(text: str) -> str:
    """The text without the secrets that are known."""
    return _known.clean(text)
