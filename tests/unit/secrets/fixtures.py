"""The cloud of the tests of secrets; a module imports the fixtures that it needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.secrets.fake_cloud import FakeCloud

__all__ = ["empty_cloud", "server", "trusted_cloud"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeCloud]:
    """One server for a module."""
    cloud = FakeCloud(tmp_path_factory.mktemp("certificates"))
    yield cloud
    cloud.stop()


@pytest.fixture
def trusted_cloud(server: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> FakeCloud:
    """The cloud, trusted by requests; the app has an identity there."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header-of-this-app")
    return server


@pytest.fixture
def empty_cloud(trusted_cloud: FakeCloud) -> FakeCloud:
    """An empty vault whose caller may set secrets and look at their properties, and nothing else."""
    cloud = trusted_cloud
    cloud.vault, cloud.versions, cloud.deleted, cloud.failures = {}, {}, set(), []
    cloud.actions = {"setSecret", "readMetadata"}
    cloud.asked.clear()
    return cloud
