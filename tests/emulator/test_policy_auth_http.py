"""Sign-in over real HTTP: Microsoft's own library, missing, wrong and expired tokens, and paths without a token."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CertificateCredential, ClientSecretCredential, WorkloadIdentityCredential

from emulator.testing import RunningEmulator, running
from tests.certificates import made
from tests.token_issuer import issuing


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    """A server with TLS, which MSAL requires."""
    with running(tls=True) as one:
        yield one


def get(emulator: RunningEmulator, path: str, **headers: str) -> requests.Response:
    return requests.get(emulator.base_url + path, headers=headers, verify=emulator.ca_file or "", timeout=30)


def credential(emulator: RunningEmulator, **changed: Any) -> ClientSecretCredential:
    return ClientSecretCredential(
        emulator.tenant_id,
        emulator.client_id,
        changed.get("secret", emulator.client_secret),
        authority=emulator.authority,
        disable_instance_discovery=True,
        connection_verify=emulator.ca_file,
    )


def test_azure_identity_gets_a_token_that_the_service_accepts(emulator: RunningEmulator) -> None:
    """MSAL reads the OpenID metadata and requests a token, and the token works."""
    with credential(emulator) as one:
        token = one.get_token(f"{emulator.base_url}/.default").token
    answer = get(emulator, "/api/data/v9.2/WhoAmI", Authorization=f"Bearer {token}")
    assert answer.status_code == 200
    assert "secure" in answer.headers["Set-Cookie"]


def test_azure_identity_understands_the_refusal_of_a_wrong_secret(emulator: RunningEmulator) -> None:
    """The library shows Entra's number to its user."""
    with credential(emulator, secret="wrong") as one, pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        one.get_token(f"{emulator.base_url}/.default")


@pytest.mark.parametrize("token", [None, "made.up.token"])
def test_without_a_valid_token_the_challenge_names_the_authority(emulator: RunningEmulator, token: str | None) -> None:
    """A client that has only the service's address gets the address for sign-in."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = get(emulator, "/api/data/v9.2/WhoAmI", **headers)
    assert answer.status_code == 401
    authority = f"{emulator.base_url}/{emulator.tenant_id}/oauth2/authorize"
    assert f"authorization_uri={authority}, resource_id={emulator.base_url}/" in answer.headers["WWW-Authenticate"]


def test_the_emulators_own_paths_need_no_token(emulator: RunningEmulator) -> None:
    """Statistics and faults are for users of the same machine."""
    assert get(emulator, "/_emulator/stats").status_code == 200
    assert get(emulator, "/_emulator/nothing").status_code == 404


def test_credentials_are_given_on_the_command_line(tmp_path: Path) -> None:
    """Certificates in PEM, and federated credentials as the JSON that `az` takes; a file that is neither is named."""
    one = made("one")
    (tmp_path / "one.pem").write_text(one.public, "utf-8")
    (tmp_path / "key.pem").write_text(one.pem(), "utf-8")
    with issuing() as issuer:
        (tmp_path / "trusted.json").write_text(json.dumps(issuer.credential()), "utf-8")
        (tmp_path / "token").write_text(issuer.token(), "utf-8")
        files: dict[str, Any] = {
            "certificate": [tmp_path / "one.pem"],
            "federated_credential": [tmp_path / "trusted.json"],
        }
        with running(tls=True, **files) as emulator:
            by: dict[str, Any] = {"authority": emulator.authority, "connection_verify": emulator.ca_file}
            by |= {"tenant_id": emulator.tenant_id, "client_id": emulator.client_id, "disable_instance_discovery": True}
            for credential in (
                CertificateCredential(certificate_path=str(tmp_path / "key.pem"), **by),
                WorkloadIdentityCredential(token_file_path=str(tmp_path / "token"), **by),
            ):
                with credential:
                    assert credential.get_token(f"{emulator.base_url}/.default").token
    with pytest.raises(RuntimeError), running(certificate=[tmp_path / "trusted.json"]):
        pass


def test_any_token_is_accepted_with_this_option() -> None:
    """For clients that get their tokens from another authority."""
    with running(accept_any_token=True) as one:
        assert get(one, "/api/data/v9.2/WhoAmI", Authorization="Bearer made.up.token").status_code == 200
        assert get(one, "/api/data/v9.2/WhoAmI").status_code == 401
