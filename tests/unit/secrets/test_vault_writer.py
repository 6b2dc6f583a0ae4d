"""Secrets that are written into Key Vault by Microsoft's own SDK, over TLS into a vault on loopback."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from azure.identity import ManagedIdentityCredential

from shared.errors import AbortRun, RetryLater, SyncError, UserError
from shared.secrets.key_vault import KeyVaultSecrets
from shared.secrets.vault_writer import MOST_BYTES, VaultWriter
from shared.telemetry.exporting import NOISY
from tests.unit.secrets.fake_cloud import Answer, FakeCloud
from tests.unit.secrets.fixtures import empty_cloud, server, trusted_cloud

__all__ = ["empty_cloud", "server", "trusted_cloud"]

OPTIONS = {"verify_challenge_resource": False, "retry_backoff_factor": 0.01}
VALUE = "v4lue-that-nobody-sees"


@pytest.fixture
def cloud(empty_cloud: FakeCloud) -> FakeCloud:
    return empty_cloud


@pytest.fixture
def reader(cloud: FakeCloud) -> KeyVaultSecrets:
    """What runs read secrets with."""
    return KeyVaultSecrets("", ManagedIdentityCredential, client_options=OPTIONS)


@pytest.fixture
def writer(cloud: FakeCloud, reader: KeyVaultSecrets) -> VaultWriter:
    return VaultWriter(f"{cloud.url}/", ManagedIdentityCredential, reader.forget, client_options=OPTIONS)


def refusal(writer: VaultWriter, name: str = "secret", value: str = VALUE) -> SyncError:
    with pytest.raises(SyncError) as caught:
        writer.write(name, value, "customers")
    return caught.value


def test_what_is_written_is_read_by_its_reference(
    writer: VaultWriter, reader: KeyVaultSecrets, cloud: FakeCloud
) -> None:
    """A second value replaces the first at once, also for a reference with other letters that was read before."""
    reference = writer.write("client-secret", VALUE, "customers")
    assert reference == f"{cloud.url}/secrets/client-secret"
    cloud.actions.add("getSecret")
    assert reader.get(reference) == VALUE
    writer.write("CLIENT-secret", "second-value", "customers")
    assert cloud.asked["secret"] == 1
    assert reader.get(reference) == "second-value"
    assert len(cloud.versions["client-secret"]) == 2


def test_nothing_is_read_back(writer: VaultWriter, cloud: FakeCloud) -> None:
    """Looking and writing need no right to read values, and ask for none."""
    assert writer.known("secret") is None
    writer.write("secret", VALUE, "customers")
    known = writer.known("secret")
    assert known is not None
    assert known.owner == "customers"
    assert known.at is not None
    assert abs((datetime.now(UTC) - known.at).total_seconds()) < 3600
    assert cloud.asked["secret"] == 0


def test_the_owner_is_that_of_the_newest_version_that_has_one(writer: VaultWriter, cloud: FakeCloud) -> None:
    """A version that was made by other means has no tag, and the owner stays."""
    stamp = {"enabled": True, "updated": 1}
    where = f"{cloud.url}/secrets/secret/"
    cloud.versions["secret"] = [{"id": f"{where}{3:032x}", "attributes": {**stamp, "created": 3}}]
    known = writer.known("secret")
    assert (known.owner if known else None) == ""
    cloud.versions["secret"] += [
        {"id": f"{where}{2:032x}", "attributes": {**stamp, "created": 2}, "tags": {"dynamics-sync": "new"}},
        {"id": f"{where}{1:032x}", "attributes": {**stamp, "created": 1}, "tags": {"dynamics-sync": "old"}},
    ]
    known = writer.known("secret")
    assert known is not None
    assert (known.owner, known.at) == ("new", datetime.fromtimestamp(3, UTC))


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 128, "a_b", "a/b", "name\n"])
def test_a_name_that_no_secret_can_have_is_refused_at_once(writer: VaultWriter, cloud: FakeCloud, name: str) -> None:
    """The vault is not asked."""
    assert isinstance(refusal(writer, name), UserError)
    with pytest.raises(UserError):
        writer.known(name)
    assert not cloud.asked


def test_values_have_a_bound(writer: VaultWriter, cloud: FakeCloud) -> None:
    """Of bytes; the longest value is taken."""
    writer.write("x" * 127, "ä" * (MOST_BYTES // 2), "customers")
    for value in ("", "ä" * (MOST_BYTES // 2) + "x", "-----BEGIN PRIVATE KEY----- MIIE -----END PRIVATE KEY-----"):
        assert isinstance(refusal(writer, "other", value), UserError)
    assert cloud.asked["set"] == 1
    writer.write("other", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n", "customers")


def test_no_permission_names_the_data_action(writer: VaultWriter, cloud: FakeCloud) -> None:
    """The operator learns what the role lacks."""
    cloud.actions = {"getSecret", "readMetadata"}
    error = refusal(writer)
    assert isinstance(error, AbortRun)
    assert "Microsoft.KeyVault/vaults/secrets/setSecret/action" in error.message
    cloud.actions = {"setSecret"}
    with pytest.raises(AbortRun, match="vaults/secrets/readMetadata/action"):
        writer.known("secret")


def test_the_name_of_a_deleted_secret_is_not_free(writer: VaultWriter, cloud: FakeCloud) -> None:
    """The message says what can be done."""
    cloud.deleted = {"secret"}
    error = refusal(writer)
    assert isinstance(error, UserError)
    assert "az keyvault secret recover" in error.message


def test_a_vault_in_trouble_means_later(writer: VaultWriter, cloud: FakeCloud) -> None:
    """After one temporary refusal the request is sent again; a vault that stays unavailable raises an error."""
    busy = Answer(status=503, body={"error": {"code": "ServiceUnavailable", "message": "busy"}})
    cloud.failures = [busy]
    writer.write("secret", VALUE, "customers")
    cloud.failures = [busy] * 10
    assert isinstance(refusal(writer), RetryLater)
    with pytest.raises(RetryLater):
        writer.known("secret")


def test_a_host_that_is_no_vault_is_named(writer: VaultWriter, cloud: FakeCloud) -> None:
    """An answer of another shape is an error in words."""
    cloud.failures = [Answer(status=200, body=["not", "a", "secret"])] * 2
    assert cloud.url in refusal(writer).message
    with pytest.raises(AbortRun, match="Key Vault"):
        writer.known("secret")


def test_no_message_and_no_log_has_the_value(
    writer: VaultWriter, cloud: FakeCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the vault repeats it in a refusal, and with every log line that the SDK writes."""
    for logger in ("", *NOISY):
        caplog.set_level(logging.DEBUG, logger=logger)
    said = {"error": {"code": "BadParameter", "message": f"the value {VALUE} is not possible"}}
    cloud.failures = [Answer(status=400, body=said)]
    error = refusal(writer)
    writer.write("secret", VALUE, "customers")
    assert "[hidden]" in error.message
    assert VALUE not in error.message + caplog.text
    assert caplog.text
