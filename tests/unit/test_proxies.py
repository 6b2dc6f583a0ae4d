"""What libraries reach without a proxy: this machine, and where a managed identity gets its tokens."""

from __future__ import annotations

import pytest
from requests.utils import should_bypass_proxies

from shared.http.hosts import direct_hosts, is_direct
from shared.settings import reach_directly

AZURE = {"IDENTITY_ENDPOINT": "http://169.254.129.4:8081/msi/token", "MSI_ENDPOINT": "http://[::1"}


def test_hosts_are_added_to_those_that_are_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """In both spellings where both are set, and once however often it is asked for."""
    monkeypatch.setenv("NO_PROXY", "intranet.example.org")
    monkeypatch.setenv("no_proxy", "other.example.org, localhost")
    for _ in range(2):
        reach_directly(direct_hosts(AZURE))
    for url in ("http://127.0.0.1:5080/", "http://localhost/", "http://169.254.169.254/", AZURE["IDENTITY_ENDPOINT"]):
        assert should_bypass_proxies(url, None)
    assert should_bypass_proxies("http://other.example.org/", None)
    assert not should_bypass_proxies("http://dataverse.example.org/", None)
    monkeypatch.delenv("no_proxy")
    assert should_bypass_proxies("http://intranet.example.org/", None)
    assert should_bypass_proxies("http://169.254.169.254/", None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "169.254.169.254"])
def test_this_machine_and_its_own_segment_are_direct(host: str) -> None:
    """Addresses that lead no further."""
    assert is_direct(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "org.crm.dynamics.com", "169.254.example.org", ""])
def test_other_hosts_may_need_the_proxy(host: str) -> None:
    """By address, not by the look of a name."""
    assert not is_direct(host)
