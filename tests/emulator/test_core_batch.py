"""`$batch` at its limits: how many operations, how long a URL, what may stand inside."""

from collections.abc import Iterator, Sequence

import pytest
import requests

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(in_thread=True, limits="none") as emulator:
        yield emulator


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[Client]:
    emulator.reset()
    with Client(emulator) as client:
        yield client


def _part(boundary: str, request: str, body: str = "", *headers: str, content_id: int | None = None) -> str:
    lines = [f"--{boundary}", "Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    lines += [f"Content-ID: {content_id}"] if content_id is not None else []
    return "\r\n".join([*lines, "", f"{request} HTTP/1.1", "Content-Type: application/json", *headers, "", body, ""])


def _send(client: Client, parts: Sequence[str], **headers: str) -> requests.Response:
    body = "".join(parts) + "--b--\r\n"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.session.post(
        f"{client.base}/api/data/v9.2/$batch",
        data=body.encode(),
        headers={**client.headers, "Content-Type": "multipart/mixed; boundary=b", **named},
        timeout=60,
    )


def _change_set(*parts: str) -> str:
    return f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{''.join(parts)}--c--\r\n"


@pytest.mark.parametrize(("operations", "status"), [(1000, 200), (1001, 400)])
def test_a_batch_holds_a_thousand_operations(client: Client, operations: int, status: int) -> None:
    """One more is refused before anything is done."""
    answer = _send(client, [_part("b", "POST accounts", '{"name":"A"}')] * operations)
    assert answer.status_code == status
    count = client.send("GET", "accounts?$count=true&$top=1").json()["@odata.count"]
    assert count == (operations if status == 200 else 0)


def test_operations_in_change_sets_count_too(client: Client) -> None:
    """A thousand in a change set and one beside it are too many."""
    inside = _change_set(*[_part("c", "POST accounts", "{}", content_id=number) for number in range(1000)])
    assert _send(client, [inside, _part("b", "GET accounts")]).status_code == 400


def test_long_addresses_travel_in_batches(client: Client) -> None:
    """Up to 64 KB inside, 32 KB outside."""

    def listing(length: int) -> str:
        return "accounts?$filter=" + " or ".join([f"name eq '{'x' * 200}'"] * (length // 212))

    assert client.send("GET", listing(40_000)).status_code == 414
    inside = listing(60_000).replace(" ", "%20")
    assert "HTTP/1.1 200 OK" in _send(client, [_part("b", f"GET {inside}")]).text
    assert "HTTP/1.1 414" in _send(client, [_part("b", f"GET accounts?$filter={'x' * 70_000}")]).text


def test_batches_hold_no_batches_and_change_sets_no_queries(client: Client) -> None:
    """Both are refused and nothing is done."""
    nested = _send(client, [_part("b", "POST $batch", "x")])
    assert nested.status_code == 400
    query = _change_set(_part("c", "POST accounts", "{}", content_id=1), _part("c", "GET accounts", content_id=2))
    assert _send(client, [query]).status_code == 400
    assert client.names() == []


def test_preferences_of_an_operation_are_its_own(client: Client) -> None:
    """A representation asked for inside comes inside; the outer preference does not reach in."""
    inside = [_part("b", "POST accounts?$select=name", '{"name":"A"}', "Prefer: return=representation")]
    answer = _send(client, inside)
    assert "HTTP/1.1 201 Created" in answer.text
    assert '"name":"A"' in answer.text
    outside = _send(client, [_part("b", "POST accounts", '{"name":"B"}')], Prefer="return=representation")
    assert "HTTP/1.1 204 No Content" in outside.text


def test_details_of_an_error_come_where_the_operation_asks(client: Client) -> None:
    """The inner `Prefer` decides about annotations of inner errors."""
    asked = _part("b", "POST accounts", '{"x":1}', 'Prefer: odata.include-annotations="*"')
    assert "@Microsoft.PowerApps.CDS.HelpLink" in _send(client, [asked]).text
    assert "@Microsoft.PowerApps.CDS.HelpLink" not in _send(client, [_part("b", "POST accounts", '{"x":1}')]).text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\n",
        b"--b\r\nContent-Type: application/http\r\n--b--\r\n",
        b"--b\r\nContent-Type: application/http\r\n\r\nnonsense\r\n--b--\r\n",
        b"--other--\r\n",
    ],
)
def test_bodies_that_are_no_batch_are_refused(client: Client, body: bytes) -> None:
    """With the service's words for a stream it can't read."""
    answer = client.session.post(
        f"{client.base}/api/data/v9.2/$batch",
        data=body,
        headers={**client.headers, "Content-Type": "multipart/mixed; boundary=b"},
        timeout=60,
    )
    assert answer.status_code == 400
    assert "Stream was not readable" in answer.text


def test_a_batch_that_is_not_multipart_is_refused(client: Client) -> None:
    """JSON batches are not offered."""
    assert client.send("POST", "$batch", {"requests": []}).status_code == 400
