"""A plain client of the emulator for tests: one connection pool, one token, no retries and no cookies."""

import time
from typing import Any, Self

import requests

from emulator.testing import RunningEmulator

__all__ = ["Client", "error", "key_status", "made", "waiting_client", "whole_error"]


class Client:
    """Sends requests as they are given, and counts them."""

    def __init__(self, emulator: RunningEmulator) -> None:
        """Sign in."""
        self.base = emulator.base_url
        self.session = requests.Session()
        self.session.trust_env = False
        self.headers = {"Authorization": f"Bearer {emulator.token()}"}
        self.sent = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def send(self, method: str, path: str, json: Any = None, **headers: str) -> requests.Response:
        """Send one request to a path under the service's root; header names with underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.sent += 1
        answer = self.session.request(
            method, f"{self.base}/api/data/v9.2/{path}", json=json, headers={**self.headers, **named}, timeout=60
        )
        self.session.cookies.clear()
        return answer

    def upsert(self, rows: list[dict[str, Any]]) -> requests.Response:
        """Upsert accounts by account number in one bulk message."""
        targets = [
            {
                "@odata.type": "Microsoft.Dynamics.CRM.account",
                "@odata.id": f"accounts(accountnumber='{row['accountnumber']}')",
                **{name: value for name, value in row.items() if name != "accountnumber"},
            }
            for row in rows
        ]
        return self.send("POST", "accounts/Microsoft.Dynamics.CRM.UpsertMultiple", {"Targets": targets})

    def names(self) -> list[str]:
        """Return the names of all accounts, sorted."""
        rows = self.send("GET", "accounts?$select=name").json()["value"]
        return sorted(row["name"] for row in rows)


def waiting_client(client: Client, path: str, requests_wanted: int) -> list[int]:
    """Send GETs and obey Retry-After; return the waits that the server asked for."""
    waits: list[int] = []
    done = 0
    while done < requests_wanted:
        answer = client.send("GET", path)
        if answer.status_code == 429:
            waits.append(int(answer.headers["Retry-After"]))
            time.sleep(waits[-1])
        else:
            done += 1
    return waits


def key_status(client: Client, table: str, name: str) -> str:
    """Return the state in which the job for the index of an alternate key ends."""
    path = f"EntityDefinitions(LogicalName='{table}')/Keys(LogicalName='{name}')?$select=EntityKeyIndexStatus"
    give_up = time.monotonic() + 100
    while True:
        status = str(client.send("GET", path).json()["EntityKeyIndexStatus"])
        if status not in {"Pending", "InProgress"} or time.monotonic() > give_up:
            return status
        time.sleep(0.02)


def made(client: Client, entity_set: str, **body: Any) -> str:
    """Create a row and return its identifier."""
    answer = client.send("POST", entity_set, body)
    assert answer.status_code == 204, answer.text
    return answer.headers["OData-EntityId"].rpartition("(")[2][:-1]


def error(answer: requests.Response) -> tuple[int, str]:
    """The status and the code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]


def whole_error(answer: requests.Response) -> tuple[int, str, str]:
    """The status, the code and the message of a refusal."""
    return *error(answer), answer.json()["error"]["message"]
