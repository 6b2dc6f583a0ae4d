"""The peer: Microsoft's SDK as its documentation shows it, with pandas and chunks of 1,000 rows.

    python -m benchmarks.sdk FILE create|upsert|compare [--threads N]

Sequential without `--threads`. With it, the chunks go through a thread pool, and a chunk that is refused with 429 is sent
again after the `Retry-After` that the refusal names: what a careful user writes around the SDK on an afternoon.

`compare` does what a sync does: it reads the whole table into a frame, merges it with the file, and writes what differs.
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


def compare(client: DataverseClient, frame: pd.DataFrame) -> int:
    """Write what differs between the file and the table, and return how many rows that were."""
    columns = list(frame.columns)
    pages = client.records.list_pages("account", select=["accountid", *columns], page_size=5000)
    found = pd.DataFrame.from_records([row.data for page in pages for row in page])
    new = frame[~frame[KEY].isin(found[KEY])]
    gone = found[~found[KEY].isin(frame[KEY])]
    kept = frame.merge(found, on=KEY, suffixes=("", "_was"))
    differs = pd.concat([kept[name].ne(kept[f"{name}_was"]) for name in columns if name != KEY], axis=1).any(axis=1)
    for chunk in chunks(new):
        client.dataframe.create("account", chunk)
    for chunk in chunks(kept.loc[differs, ["accountid", *columns]]):
        client.dataframe.update("account", chunk, id_column="accountid")
    for record in gone["accountid"]:
        client.records.delete("account", record)
    return len(new) + int(differs.sum()) + len(gone)


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
    parser.add_argument("operation", choices=["create", "upsert", "compare"])
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
        if arguments.operation == "compare":
            compare(client, frame)
        elif arguments.threads == 1:
            for chunk in chunks(frame):
                send(chunk)
        else:
            with ThreadPoolExecutor(arguments.threads) as pool:
                list(pool.map(send, chunks(frame)))
    report(rows=len(frame), refused=send.refused, sending_seconds=round(time.perf_counter() - begun, 3))


if __name__ == "__main__":
    main()
