"""A table of a running emulator as a kind of source."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

from emulator.testing import RunningEmulator, running
from shared.app.wiring import Wiring
from shared.settings import Settings
from shared.sources import SourceContext
from tests.emulator.http_client import Client

__all__ = ["environment", "source_context", "table_keys", "write_table"]

SCHEMA: Final = Path(__file__).parent / "rows.yml"
A_MESSAGE: Final = 1000


@cache
def emulator() -> RunningEmulator:
    """One for all tests: a process of its own, so that its memory is not that of the source."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(running(schema=[str(SCHEMA)]))


def environment() -> Mapping[str, str]:
    """The variables that the keys of the source name."""
    return {"SOURCE_SECRET": emulator().client_secret}


def source_context() -> SourceContext:
    """As the composition root gives it."""
    return Wiring(Settings.load({}), environment).source_context({})


def table_keys(place: Path) -> Mapping[str, Any]:
    """The keys of a definition: the table stands for a file `source`, and its absence for any other."""
    return {
        "service_url": emulator().service_url,
        "client_id": emulator().client_id,
        "client_secret": {"env": "SOURCE_SECRET"},
        "entity": "row" if place.stem == "source" else place.stem,
    }


def write_table(_place: Path, content: Iterable[tuple[Any, ...]]) -> None:
    """Let the table have these rows and no others."""
    emulator().reset()
    with Client(emulator()) as client:
        for targets in _messages(content):
            answer = client.send("POST", "rows/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": targets})
            assert answer.ok, answer.text


def _messages(content: Iterable[tuple[Any, ...]]) -> Iterator[list[dict[str, Any]]]:
    records = (
        {
            "@odata.type": "Microsoft.Dynamics.CRM.row",
            "number": number,
            "name": name,
            "amount": None if amount is None else float(amount),
            "since": since,
            "active": active == "true",
        }
        for number, name, amount, since, active in content
    )
    while targets := list(islice(records, A_MESSAGE)):
        yield targets
