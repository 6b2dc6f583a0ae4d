"""Which hosts may get a token."""

from __future__ import annotations

import pytest

from shared.errors import AbortRun
from shared.http.hosts import AllowedHosts


@pytest.mark.parametrize(
    "url",
    [
        "https://org.crm.dynamics.com/api/data/v9.2/",
        "https://org.api.crm4.dynamics.com/",
        "https://ORG.crm21.dynamics.com/",
        "https://org.crm9.dynamics.com/",
        "https://org.crm.microsoftdynamics.us/",
        "https://org.crm.appsplatform.us/",
        "https://org.crm.dynamics.cn/",
        "http://127.0.0.1:5080/api/data/v9.2/",
        "http://localhost:5080/",
        "http://[::1]:5080/",
        "https://127.0.0.1/",
    ],
)
def test_dynamics_clouds_and_this_machine_pass(url: str) -> None:
    """Every public and sovereign cloud is known; loopback needs no TLS."""
    AllowedHosts().check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://org.crm.dynamics.com/",
        "https://org.crm.dynamics.com.example.org/",
        "https://crm.dynamics.com.evil/",
        "https://evilcrm.dynamics.com.example/",
        "https://example.org/?x=.crm.dynamics.com",
        "https://example.org/org.crm.dynamics.com",
        "https://org.crm.dynamics.com@example.org/",
        "https://user@org.crm.dynamics.com/",
        "https://org.crmx.dynamics.com/",
        "https://dynamics.com/",
        "https://org.operations.dynamics.com/",
        "https://127.0.0.1.example.org/",
        "https:///nothing",
        "ftp://org.crm.dynamics.com/",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    """Look-alikes, other schemes and user names in the URL end the run."""
    with pytest.raises(AbortRun):
        AllowedHosts().check(url)


def test_the_list_can_be_one_own() -> None:
    """A setting replaces the list; entries are whole hosts or suffixes."""
    hosts = AllowedHosts(["dataverse.example.org", "*.internal.example.org"])
    hosts.check("https://dataverse.example.org/")
    hosts.check("https://a.b.internal.example.org/")
    with pytest.raises(AbortRun, match="ALLOWED_HOSTS"):
        hosts.check("https://org.crm.dynamics.com/")


def test_an_empty_list_allows_this_machine_only() -> None:
    """No entry means no remote host."""
    with pytest.raises(AbortRun):
        AllowedHosts([]).check("https://org.crm.dynamics.com/")
