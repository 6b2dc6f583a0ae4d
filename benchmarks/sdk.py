"""The peer: Microsoft's SDK as its documentation shows it, with pandas and chunks of 1,000 rows.

    python -m benchmarks.sdk FILE create|upsert [--threads N]

Sequential without `--threads`. With it, the chunks go through a thread pool, and a chunk that is refused with 429 is sent
again after the `Retry-After` that the refusal names: what a careful user writes around the SDK on an afternoon.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
from azure.identity import ClientSecretCredential
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.upsert import UpsertItem
from PowerPlatform.Dataverse.utils._pandas import dataframe_to_records

from benchmarks.footprint import report

CHUNK = 1000
KEY = "accountnumber"
TOO_MANY = 429


def chunks(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for first in range(0, len(frame), CHUNK):
        yield frame.iloc[first : first + CHUNK]


def create(client: DataverseClient, frame: pd.DataFrame) -> None:
    client.dataframe.create("account", frame)


def upsert(client: DataverseClient, frame: pd.DataFrame) -> None:
    items: list[UpsertItem | dict[str, Any]] = []
    for record in dataframe_to_records(frame):
        key = {KEY: record.pop(KEY)}
        items.append(UpsertItem(alternate_key=key, record=record))
    client.records.upsert("account", items)


class Retrying:
    """Sends a chunk until it is let through, and counts the refusals."""

    def __init__(self, work: partial[None]) -> None:
        self._work = work
        self.refused = 0

    def __call__(self, frame: pd.DataFrame) -> None:
        """Send one chunk."""
        while True:
            try:
                self._work(frame)
            except HttpError as error:
                if error.status_code != TOO_MANY:
                    raise
                self.refused += 1
                time.sleep(float(error.details.get("retry_after") or 1))
            else:
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("operation", choices=["create", "upsert"])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    facts = os.environ
    credential = ClientSecretCredential(
        facts["BENCH_TENANT_ID"],
        facts["BENCH_CLIENT_ID"],
        facts["BENCH_CLIENT_SECRET"],
        authority=facts["BENCH_AUTHORITY"],
        disable_instance_discovery=True,
    )
    operation = create if arguments.operation == "create" else upsert
    with DataverseClient(facts["BENCH_AUTHORITY"], credential) as client:
        frame = pd.read_csv(arguments.file)
        send = Retrying(partial(operation, client))
        begun = time.perf_counter()
        if arguments.threads == 1:
            for chunk in chunks(frame):
                send(chunk)
        else:
            with ThreadPoolExecutor(arguments.threads) as pool:
                list(pool.map(send, chunks(frame)))
    report(rows=len(frame), refused=send.refused, sending_seconds=round(time.perf_counter() - begun, 3))


if __name__ == "__main__":
    main()
