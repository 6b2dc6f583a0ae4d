"""Which values of settings can work. No message repeats a value: it may be a secret that stands in the wrong place.

Every function raises `ValueError` for a value that cannot work; the message says what to write.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from shared.ncrontab import Ncrontab

__all__ = [
    "account",
    "folder",
    "folders",
    "hosts",
    "hub_name",
    "insights",
    "namespace",
    "schedule",
    "service_url",
    "size",
    "size_bytes",
    "vault",
]

# As DuckDB takes them: MB are millions of bytes, MiB are 2^20.
_SIZE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([KMGT])(i?)B", re.IGNORECASE)
# Less is too little for the tables of the smallest run (`FLOOR` in shared/jobs/batch/disk_need.py).
_LEAST_BYTES: Final = 16_000_000
_MOST_BYTES: Final = 10**15  # DuckDB counts bytes in 64 bits
_LABELS: Final = r"[\w#-]+(?:\.[\w#-]+)*"
_HOST: Final = re.compile(rf"(?:\*\.)?{_LABELS}\.?")
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
_HUB: Final = re.compile(r"\$Default|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,254}[A-Za-z0-9])?", re.IGNORECASE)
_ACCOUNT: Final = re.compile(r"[a-z0-9]{3,24}")
# As the exporter takes it: in lower case only.
_INSIGHTS_KEY: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INSIGHTS_URLS: Final = ("ingestionendpoint", "liveendpoint")
# Any fixed moment does: what a schedule names comes again within a few decades, or never.
_REFERENCE: Final = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - clock times have no zone here
_FIELDS: Final = 6
_SEVENTH_DAY: Final = re.compile(r"(?<![0-9/])0*7(?![0-9])")


def hosts(text: str) -> tuple[str, ...]:
    """Patterns of hosts, in lower case."""
    found = _parts(text.lower())
    wrong = [number for number, each in enumerate(found, start=1) if not _is_host(each)]
    if wrong or not found:
        which = f"entry {wrong[0]} is no host: " if wrong else ""
        raise ValueError(
            f"{which}write names of hosts separated by commas, such as api.example.com or *.example.com, without "
            f"https://, port and path"
        )
    return found


def _is_host(text: str) -> bool:
    if _HOST.fullmatch(text):
        return True
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def folder(text: str) -> str:
    """The path of a folder in which files can be made."""
    if not (os.path.isdir(text) and os.access(text, os.W_OK | os.X_OK)):  # noqa: PTH112 - False also for a zero byte
        raise ValueError("write the path of a folder that exists and in which this program may make files")
    return text


def folders(text: str) -> tuple[str, ...]:
    """Paths of folders. A text without one is refused: no folder would mean that there is no limit."""
    if not (found := _parts(text)):
        raise ValueError("write folders separated by commas, such as syncs/data")
    return found


def _parts(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def schedule(text: str) -> str:
    """An NCRONTAB expression of six fields that names a moment; the Functions host takes five of them too."""
    form = "write six fields (second minute hour day month day-of-week): '0 * * * * *' is every minute"
    fields = text.split()
    if len(fields) == _FIELDS - 1:  # without seconds: the host puts a zero there
        fields = ["0", *fields]
    if len(fields) != _FIELDS:
        raise ValueError(form)
    try:
        found = Ncrontab.parse(" ".join(fields)).latest(_REFERENCE)
    except ValueError:
        raise ValueError(f"this is no schedule; {form}") from None
    if found is None:
        raise ValueError(f"this schedule never occurs: no month has this day; {form}")
    if _SEVENTH_DAY.search(fields[-1]):  # definitions may write it; their schedules are not for the host
        raise ValueError(f"the Functions host knows the days of the week from 0 to 6, and Sunday is 0; {form}")
    return text


def size(text: str) -> str:
    """A number of bytes with its unit, in which a run fits."""
    if not _SIZE.fullmatch(text):
        raise ValueError("write a size such as 512MB or 2GB")
    if not _LEAST_BYTES <= size_bytes(text) <= _MOST_BYTES:
        raise ValueError("write a size from 16MB to 1000TB, such as 512MB")
    return text


def size_bytes(text: str) -> int:
    """The bytes of a size."""
    if not (found := _SIZE.fullmatch(text)):
        raise ValueError("write a size such as 512MB or 2GB")
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** (1 + "KMGT".index(unit.upper())))


def vault(text: str) -> str:
    """The URL of a Key Vault, without a slash at its end."""
    if not _is_url(text, "https") or urlsplit(text).path.strip("/"):
        raise ValueError("write the vault's URL without a path, such as https://my-vault.vault.azure.net")
    return text.rstrip("/")


def service_url(text: str) -> str:
    """The URL of a service of a storage account; that of a local one has a path."""
    if not _is_url(text, "https", "http"):
        raise ValueError("write the URL of the service, such as https://myaccount.blob.core.windows.net")
    return text


def _is_url(text: str, *schemes: str) -> bool:
    """Whether a text is a URL with a host, and without user, query and fragment."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or parts.username is not None or port == 0)
    return plain and parts.scheme in schemes and _is_host(parts.hostname or "") and not re.search(r"\s", text)


def hub_name(text: str) -> str:
    """The name of an event hub or of a consumer group."""
    if not _HUB.fullmatch(text):
        raise ValueError("write the name alone: letters, digits, periods, hyphens and underscores, at most 256")
    return text


def namespace(text: str) -> str:
    """The host of an Event Hubs namespace."""
    if not _NAMESPACE.fullmatch(text):
        raise ValueError(
            "write the namespace's host, such as my-namespace.servicebus.windows.net, without sb:// and path"
        )
    return text


def account(text: str) -> str:
    """The name of a storage account."""
    if not _ACCOUNT.fullmatch(text):
        raise ValueError("write the account's name alone: 3 to 24 lower-case letters and digits")
    return text


def insights(text: str) -> str:
    """The connection string of an Application Insights resource, as the exporter of telemetry reads it."""
    parts = [part.split("=") for part in text.split(";")]
    if all(len(part) == 2 for part in parts):  # noqa: PLR2004 - a name and its value
        values = {name.lower(): value for name, value in parts}
        has_key = _INSIGHTS_KEY.fullmatch(values.get("instrumentationkey", ""))
        by_key = values.get("authorization", "ikey").lower() == "ikey"
        urls = filter(None, map(values.get, _INSIGHTS_URLS))
        if has_key and by_key and all(_is_url(url, "https", "http") for url in urls):
            return text
    raise ValueError(
        "copy the connection string from the overview page of the Application Insights resource: parts NAME=VALUE with "
        "a semicolon between them and none at the end, as in InstrumentationKey=00000000-0000-0000-0000-000000000000;"
        "IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/, the key in lower-case letters"
    )
