"""The parts of Azure that are asked when a secret is read, in one server on loopback with TLS.

Entra ID's token endpoint, the managed identity endpoint of a function app, and a key vault.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import ssl
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from emulator.http.tls import Certificates

TENANT = "contoso.example"
CHALLENGE_RESOURCE = "https://vault.azure.net"
OBJECT_ID = "00000000-0000-0000-0000-00000000000b"
TENANT_ID = "00000000-0000-0000-0000-00000000000c"
ACTIONS = frozenset({"getSecret", "setSecret", "readMetadata"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeCloud:
    """What the cloud knows, what it was asked, and what it does wrong next.

    Attributes:
        vault: Secrets by name.
        client_secret: The secret that the token endpoint takes.
        versions: Of secrets that were set: their versions without the values, the newest last.
        deleted: Names of secrets that were deleted and can be recovered.
        actions: The data actions on secrets that the caller has.
        forbidden, disabled: Names of secrets that are answered with 403.
        failures: Answers to give to the next requests to the vault, instead of the right ones.
        identity_failure: The answer to every request to the identity endpoint; None for the right one.
        asked: How often each kind of request came.
    """

    def __init__(self, folder: Path) -> None:
        self.vault: dict[str, str] = {}
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.deleted: set[str] = set()
        self.actions = set(ACTIONS)
        self.client_secret = "old"
        self.forbidden: set[str] = set()
        self.disabled: set[str] = set()
        self.failures: list[Answer] = []
        self.identity_failure: Answer | None = None
        self.asked: Counter[str] = Counter()
        self.identities: list[str] = []
        self._tokens: set[str] = set()
        self.certificates = certificates = Certificates.make(folder)
        self.ca_file = certificates.ca_file
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate_file, certificates.key_file)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: str) -> Answer:
        """Decide one request."""
        address = urlsplit(target)
        query = dict(parse_qsl(address.query))
        if address.path.endswith("/.well-known/openid-configuration"):
            return self._discovery()
        if address.path == f"/{TENANT}/oauth2/v2.0/token":
            return self._token(dict(parse_qsl(body)))
        if address.path == "/msi/token":
            return self._identity(query, headers)
        if found := re.fullmatch(r"/secrets/([^/]+)(?:/(versions|[0-9a-f]*))?", address.path):
            if refused := self._unauthorized(headers):
                return refused
            name = self._known_as(found[1])
            if method == "PUT":
                return self._set(name, body)
            return self._versions(name) if found[2] == "versions" else self._secret(name)
        return Answer(status=404, body={"error": {"code": "NotFound", "message": method}})

    def _discovery(self) -> Answer:
        self.asked["discovery"] += 1
        base = f"{self.url}/{TENANT}"
        endpoints = {"issuer": f"{base}/v2.0", "authorization_endpoint": f"{base}/oauth2/v2.0/authorize"}
        return Answer(status=200, body=endpoints | {"token_endpoint": f"{base}/oauth2/v2.0/token"})

    def _token(self, form: Mapping[str, str]) -> Answer:
        self.asked["token"] += 1
        if form.get("client_secret") != self.client_secret:
            said = "AADSTS7000215: Invalid client secret provided."
            return Answer(status=401, body={"error": "invalid_client", "error_description": said})
        body = {"token_type": "Bearer", "expires_in": 3600, "access_token": self._mint(CHALLENGE_RESOURCE)}
        return Answer(status=200, body=body)

    def _identity(self, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        self.asked["identity"] += 1
        self.identities.append(query.get("client_id", ""))
        if self.identity_failure:
            return self.identity_failure
        if headers.get("X-IDENTITY-HEADER") != "header-of-this-app":
            return Answer(status=401, body={"message": "wrong header"})
        resource = query["resource"]
        body = {"access_token": self._mint(resource), "expires_on": str(int(time.time()) + 3600), "resource": resource}
        return Answer(status=200, body=body | {"token_type": "Bearer"})

    def _unauthorized(self, headers: Mapping[str, str]) -> Answer | None:
        if headers.get("Authorization", "").removeprefix("Bearer ") in self._tokens:
            return None
        self.asked["challenge"] += 1
        challenge = f'Bearer authorization="{self.url}/{TENANT}", resource="{CHALLENGE_RESOURCE}"'
        return Answer(status=401, body=_error("Unauthorized", ""), headers={"WWW-Authenticate": challenge})

    def _known_as(self, name: str) -> str:
        """Names with other letters in upper case name the same secret."""
        return next((each for each in self.vault if each.lower() == name.lower()), name)

    def _secret(self, name: str) -> Answer:
        self.asked["secret"] += 1
        if self.failures:
            return self.failures.pop(0)
        if name in self.forbidden or "getSecret" not in self.actions:
            return Answer(status=403, body=_error("Forbidden", "The caller is not authorized", "ForbiddenByRbac"))
        if name in self.disabled:
            said = "Operation get is not allowed on a disabled secret."
            return Answer(status=403, body=_error("Forbidden", said, "SecretDisabled"))
        if name not in self.vault:
            return Answer(status=404, body=_error("SecretNotFound", f"A secret with (name/id) {name} was not found"))
        where = f"{self.url}/secrets/{name}/{'0' * 32}"
        return Answer(status=200, body={"value": self.vault[name], "id": where, "attributes": {"enabled": True}})

    def _versions(self, name: str) -> Answer:
        """https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret-versions/get-secret-versions."""
        self.asked["versions"] += 1
        if self.failures:
            return self.failures.pop(0)
        if "readMetadata" not in self.actions:
            return Answer(status=403, body=_error("Forbidden", "The caller is not authorized", "ForbiddenByRbac"))
        return Answer(status=200, body={"value": self.versions.get(name, []), "nextLink": None})

    def _set(self, name: str, body: str) -> Answer:
        """https://learn.microsoft.com/rest/api/keyvault/secrets/set-secret/set-secret."""
        self.asked["set"] += 1
        if self.failures:
            return self.failures.pop(0)
        if "setSecret" not in self.actions:
            return Answer(status=403, body=_error("Forbidden", "The caller is not authorized", "ForbiddenByRbac"))
        sent = json.loads(body)
        if not re.fullmatch("[0-9a-zA-Z-]{1,127}", name) or len(sent["value"].encode()) > 25_600:
            return Answer(status=400, body=_error("BadParameter", "The name or the value is not possible"))
        if name in self.deleted:
            said = f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused"
            return Answer(status=409, body=_error("Conflict", said, "ObjectIsDeletedButRecoverable"))
        now = int(time.time())
        where = f"{self.url}/secrets/{name}/{secrets.token_hex(16)}"
        made = {"id": where, "attributes": {"enabled": True, "created": now, "updated": now}, "tags": sent.get("tags")}
        self.vault[name] = sent["value"]
        self.versions.setdefault(name, []).append(made)
        return Answer(status=200, body={"value": sent["value"], **made})

    def _mint(self, resource: str) -> str:
        """A token for a resource, with the claims that are looked at; it is not signed."""
        now = int(time.time())
        claims = {"aud": resource, "iss": f"https://sts.windows.net/{TENANT}/", "jti": secrets.token_hex(8)}
        claims |= {"oid": OBJECT_ID, "tid": TENANT_ID}
        times = {"iat": now, "nbf": now - 60, "exp": now + 3600}
        token = f"{_segment({'alg': 'none', 'typ': 'JWT'})}.{_segment(claims | times)}."
        self._tokens.add(token)
        return token


def _segment(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _error(code: str, message: str, inner: str = "") -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    return {"error": error | ({"innererror": {"code": inner}} if inner else {})}


def _handler(cloud: FakeCloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            answer = cloud.answer(self.command, self.path, self.headers, body)  # type: ignore[arg-type]  # reads by name
            data = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _do  # noqa: N815 - the base class looks for these names

    return Handler
