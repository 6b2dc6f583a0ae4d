"""Which hosts sources may reach, by name and by address."""

from __future__ import annotations

import pytest

from shared.errors import UserError
from shared.http.reach import ReachableHosts

DEPLOYED = ReachableHosts(
    hosts=("api.example.com", "*.shop.example", "10.1.2.3", "erp.internal", "169.254.10.10"), limited=True
)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1?a=b",
        "https://API.example.com:8443",
        "https://a.shop.example/",
        "https://a.b.shop.example/x%20y",
        "https://10.1.2.3/",
    ],
)
def test_listed_hosts_pass(url: str) -> None:
    """By their whole name, or by a pattern."""
    DEPLOYED.check(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://api.example.com.evil.example/", "is not|SOURCE_HOSTS"),
        ("https://evil.example/", "host evil.example is refused: a deployed app reads only from .* SOURCE_HOSTS"),
        ("https://shop.example/", "SOURCE_HOSTS"),
        ("https://api.example.com./", "SOURCE_HOSTS"),
        ("https://10.1.2.4/", "SOURCE_HOSTS"),
        ("https://localhost/", "SOURCE_HOSTS"),
        ("http://api.example.com/", "http://api.example.com is refused: write https://"),
        ("http://127.0.0.1/", "write https://"),
    ],
)
def test_other_hosts_are_refused_when_deployed(url: str, message: str) -> None:
    """Look-alikes too; this machine is no exception."""
    with pytest.raises(UserError, match=message):
        DEPLOYED.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pass_word@api.example.com/",
        "https://evil.example\\@api.example.com/",
        "https://api.example.com\\.evil.example/",
        "https://api.example.com /",
        "https://api.example.com/\r\nHost: x",
        "https://api.example.com/#part",
        "https://api.exämple.com/",
        "https://api.example.com:99999/",
        "https:///path",
        "https://[::1/",
        "ftp://api.example.com/",
        "//api.example.com/",
        "api.example.com",
        "",
    ],
)
def test_what_two_readers_of_urls_could_read_differently_is_refused(url: str) -> None:
    """And is not repeated: it may hold a password."""
    for reach in (DEPLOYED, ReachableHosts()):
        with pytest.raises(UserError, match="the address of a source") as caught:
            reach.check(url)
        assert "pass_word" not in caught.value.message


def test_hosts_are_not_limited_on_a_laptop() -> None:
    """Plain http is for this machine alone."""
    ReachableHosts().check("https://anything.example/")
    ReachableHosts().check("http://localhost:8080/")
    ReachableHosts().check("http://[::1]:8080/x")
    ReachableHosts().check_address("anything.example", "10.0.0.1")
    with pytest.raises(UserError, match="http:// is only for this machine"):
        ReachableHosts().check("http://anything.example/")


INTERNAL = (
    "127.0.0.1",
    "10.0.0.1",
    "172.16.5.5",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - an address that connects to this machine
    "::1",
    "::",
    "fd00::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
)
PLATFORM = (
    "169.254.169.254",
    "168.63.129.16",
    "fe80::1",
    "fe80::1%eth0",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "224.0.0.1",
    "ff02::1",
)


@pytest.mark.parametrize("address", INTERNAL + PLATFORM)
def test_a_pattern_does_not_lead_to_internal_addresses(address: str) -> None:
    """Whoever owns a name decides where it leads."""
    with pytest.raises(UserError, match=r"its address .* is not a public one"):
        DEPLOYED.check_address("a.shop.example", address)


@pytest.mark.parametrize("address", INTERNAL)
def test_a_host_that_is_listed_by_its_whole_name_may_be_internal(address: str) -> None:
    """As a system of one's own network is."""
    DEPLOYED.check_address("erp.internal", address)


@pytest.mark.parametrize("address", PLATFORM)
def test_where_the_platform_gives_out_tokens_no_name_leads(address: str) -> None:
    """Such an address must be listed itself."""
    with pytest.raises(UserError, match="is not a public one"):
        DEPLOYED.check_address("erp.internal", address)
    DEPLOYED.check_address("169.254.10.10", "169.254.10.10")


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_public_addresses_pass(address: str) -> None:
    """Also those that IPv6 wraps; the host is checked again."""
    DEPLOYED.check_address("a.shop.example", address)
    with pytest.raises(UserError, match="not in SOURCE_HOSTS"):
        DEPLOYED.check_address("evil.example", address)
