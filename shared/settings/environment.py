"""The environment of the process: the only module that reads environment variables.

On a laptop the `Values` of `local.settings.json` (the file that the Functions Core Tools use) count as environment
variables with lower precedence: a real one of the same name is used first.
"""

from __future__ import annotations

import json
import os
import re
from collections import ChainMap
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.errors import UserError

__all__ = ["LOCAL_SETTINGS_FILE", "environment", "function_time_limit", "reach_directly"]

LOCAL_SETTINGS_FILE = "local.settings.json"
# Without a `functionTimeout` the host gives an app on Flex Consumption 30 minutes.
DEFAULT_TIME_LIMIT = timedelta(minutes=30)


def environment(folder: Path | None = None) -> Mapping[str, str]:
    """The environment variables, and under them the `Values` of `local.settings.json` in `folder`.

    Raises:
        UserError: The file is there and is not what the Functions Core Tools write.
    """
    return ChainMap(dict(os.environ), _local_values((folder or Path.cwd()) / LOCAL_SETTINGS_FILE))


def reach_directly(hosts: Iterable[str]) -> None:
    """Let libraries reach hosts without the environment's proxy, in addition to its existing exceptions."""
    added = tuple(hosts)
    for name in ("NO_PROXY", "no_proxy"):  # both are read, the lower case first where it is set
        known = [each.strip() for each in os.environ.get(name, "").split(",") if each.strip()]
        if name in os.environ or name.isupper():
            os.environ[name] = ",".join(dict.fromkeys([*known, *added]))


def function_time_limit(values: Mapping[str, str], folder: Path) -> timedelta | None:
    """How long one invocation may take: `functionTimeout` of the host's configuration.

    Args:
        values: The environment; `AzureFunctionsJobHost__functionTimeout` overrides the file, as in the host.
        folder: The folder of `host.json`.

    Returns:
        The limit, or None where the host sets none (`-1`).

    Raises:
        UserError: The value is not a time span.
    """
    text = values.get("AzureFunctionsJobHost__functionTimeout") or _host_value(folder / "host.json", "functionTimeout")
    if not text:
        return DEFAULT_TIME_LIMIT
    if text == "-1":
        return None
    if not (span := re.fullmatch(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})", text)):
        raise UserError(
            f"functionTimeout is {text!r}: write hours:minutes:seconds, such as 00:30:00, or -1 for no limit"
        )
    days, hours, minutes, seconds = (int(part or 0) for part in span.groups())
    if hours > 23 or minutes > 59 or seconds > 59 or not any((days, hours, minutes, seconds)):  # noqa: PLR2004 - clock
        raise UserError(
            f"functionTimeout is {text!r}, which is no time span that the Functions host takes: write "
            "hours:minutes:seconds, such as 00:30:00; a day and more as 1.00:00:00"
        )
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _local_values(file: Path) -> dict[str, str]:
    values = _json_object(file).get("Values", {})
    if not isinstance(values, dict):
        raise UserError(f'{file}: "Values" must be an object of names and texts')
    return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def _host_value(file: Path, name: str) -> str:
    return str(_json_object(file).get(name, ""))


def _json_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no file."""
    try:
        found = json.loads(file.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{file}: is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"{file}: must contain a JSON object")
    return found
