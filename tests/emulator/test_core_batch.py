"""`$batch` at its limits: the number of operations, the length of a URL, and the allowed content."""

from collections.abc import Iterator, Sequence

import pytest
import requests

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(in_thread=True, limits="none") as emulator:
        yield emulator


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


def test_long_addresses_are_accepted_in_batches(client: Client) -> None:
    """Up to 64 KB in a batch, 32 KB elsewhere."""

    def listing(length: int) -> str:
        return "accounts?$filter=" + " or ".join([f"name eq '{'x' * 200}'"] * (length // 212))

    assert client.send("GET", listing(40_000)).status_code == 414
    inside = listing(60_000).replace(" ", "%20")
    assert "HTTP/1.1 200 OK" in _send(client, [_part("b", f"GET {inside}")]).text
    assert "HTTP/1.1 414" in _send(client, [_part("b", f"GET accounts?$filter={'x' * 70_000}")]).text


def test_batches_in_batches_and_queries_in_change_sets_are_refused(client: Client) -> None:
    """No request of such a batch is executed."""
    nested = _send(client, [_part("b", "POST $batch", "x")])
    assert nested.status_code == 400
    query = _change_set(_part("c", "POST accounts", "{}", content_id=1), _part("c", "GET accounts", content_id=2))
    assert _send(client, [query]).status_code == 400
    assert client.names() == []


def test_a_content_id_is_unique_in_its_change_set(client: Client) -> None:
    """Nothing of such a change set is done; another change set can have the same Content-ID."""
    first = _part("c", "POST accounts", '{"name":"A"}', content_id=1)
    second = _part("c", "POST accounts", '{"name":"B"}', content_id=1)
    answer = _send(client, [_change_set(first, second)])
    assert answer.status_code == 400
    assert "0x80048d19" in answer.text
    assert "The content ID '1' was found more than once in the same change set" in answer.text
    assert client.names() == []
    assert _send(client, [_change_set(first), _change_set(second)]).status_code == 200
    assert client.names() == ["A", "B"]


@pytest.mark.parametrize(("second", "names"), [('{"name":"C"}', ["A", "C"]), ('{"x":1}', [])])
def test_a_content_id_ends_with_its_change_set(client: Client, second: str, names: list[str]) -> None:
    """No other part of the batch refers to a row of a change set, whether this succeeded or was rolled back."""
    others = [
        _change_set(_part("c", "PATCH $1", '{"name":"B"}', content_id=2)),
        _change_set(_part("c", "POST contacts", '{"parentcustomerid_account@odata.bind":"$1"}', content_id=2)),
        _part("b", "PATCH $1", '{"name":"B"}'),
    ]
    first = _part("c", "POST accounts", '{"name":"A"}', content_id=1)
    made = _change_set(first, _part("c", "POST accounts", second, content_id=2))
    answer = _send(client, [made, *others], Prefer="odata.continue-on-error")
    assert answer.status_code == 200
    assert answer.text.count("Content-ID Reference: '$1' does not exist in the batch context.") == len(others)
    assert client.names() == names


def test_an_operation_outside_of_change_sets_has_no_reference(client: Client) -> None:
    """References are for the rows that a change set creates, also where an operation has a Content-ID."""
    made = _part("b", "POST accounts", '{"name":"A"}', content_id=1)
    answer = _send(client, [made, _part("b", "PATCH $1", '{"name":"B"}', content_id=2)])
    assert answer.status_code == 400
    assert "Content-ID Reference: '$1' does not exist in the batch context." in answer.text
    assert client.names() == ["A"]


def test_a_reference_can_have_a_query(client: Client) -> None:
    """An update of a new row returns the columns that its `$select` names."""
    returned = ["Prefer: return=representation"]
    made = _part("c", "POST accounts", '{"name":"A"}', content_id=1)
    changed = _part("c", "PATCH $1?$select=name", '{"name":"B","accountnumber":"7"}', *returned, content_id=2)
    answer = _send(client, [_change_set(made, changed)])
    assert answer.status_code == 200
    assert '"name":"B"' in answer.text
    assert "accountnumber" not in answer.text


@pytest.mark.parametrize("request_line", ["POST accounts", "PATCH accounts(accountnumber='7')"])
@pytest.mark.parametrize("returned", [(), ("Prefer: return=representation",)])
def test_a_reference_does_not_depend_on_the_form_of_the_answer(
    client: Client, request_line: str, returned: tuple[str, ...]
) -> None:
    """The row that was created can be referred to, also where the answer is the row and not its address."""
    made = _part("c", request_line, '{"name":"A"}', *returned, content_id=1)
    bound = _part("c", "POST contacts", '{"parentcustomerid_account@odata.bind":"$1"}', *returned, content_id=2)
    changed = _part("c", "PATCH $2", '{"lastname":"B"}', *returned, content_id=3)
    assert _send(client, [_change_set(made, bound, changed)]).status_code == 200
    (contact,) = client.send("GET", "contacts?$expand=parentcustomerid_account($select=name)").json()["value"]
    assert (contact["lastname"], contact["parentcustomerid_account"]["name"]) == ("B", "A")


def test_preferences_of_an_operation_are_its_own(client: Client) -> None:
    """An operation that asks for a representation gets it; the preference of the batch does not apply to operations."""
    inside = [_part("b", "POST accounts?$select=name", '{"name":"A"}', "Prefer: return=representation")]
    answer = _send(client, inside)
    assert "HTTP/1.1 201 Created" in answer.text
    assert '"name":"A"' in answer.text
    outside = _send(client, [_part("b", "POST accounts", '{"name":"B"}')], Prefer="return=representation")
    assert "HTTP/1.1 204 No Content" in outside.text


def test_details_of_an_error_are_sent_if_the_operation_asks(client: Client) -> None:
    """The `Prefer` header of the operation decides about annotations of its error."""
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
    """With the service's message for a stream that it cannot read."""
    answer = client.session.post(
        f"{client.base}/api/data/v9.2/$batch",
        data=body,
        headers={**client.headers, "Content-Type": "multipart/mixed; boundary=b"},
        timeout=60,
    )
    assert answer.status_code == 400
    assert "Stream was not readable" in answer.text


def _raw(client: Client, body: bytes) -> requests.Response:
    return client.session.post(
        f"{client.base}/api/data/v9.2/$batch",
        data=body,
        headers={**client.headers, "Content-Type": "multipart/mixed; boundary=b"},
        timeout=60,
    )


LISTING = "--b\r\nContent-Type: application/http\r\n\r\nGET accounts?$select=name HTTP/1.1\r\n\r\n\r\n--b--"
CREATING = (
    "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n\r\n"
    'POST accounts HTTP/1.1\r\nContent-ID: 1\r\nContent-Type: application/json\r\n\r\n{"name":"A"}\r\n'
    "--c--\r\n--b--"
)


@pytest.mark.parametrize("whole", [LISTING, CREATING])
@pytest.mark.parametrize(
    ("feeds", "end", "status"),
    [
        (False, "\r\n", 200), (False, "", 200), (False, "\r\n\r\n", 200), (False, "\n\n", 200), (False, "\n", 400),
        (True, "\n\n", 200), (True, "\r\n", 200), (True, "\n", 400), (True, "", 400),
    ],
)  # fmt: skip
def test_only_the_documented_line_ends_are_refused(
    client: Client, whole: str, feeds: bool, end: str, status: int  # noqa: FBT001 - a column of the table
) -> None:  # fmt: skip
    """A body with line feeds needs two of them at its end; one with CRLF ends with CRLF or without a line end."""
    body = (whole.replace("\r\n", "\n") if feeds else whole) + end
    answer = _raw(client, body.encode())
    assert answer.status_code == status
    assert answer.text.startswith("--batchresponse_")
    assert ("Stream was not readable" in answer.text) is (status == 400)


def test_a_request_line_may_contain_spaces(client: Client) -> None:
    """Microsoft's samples write filters in this way; the links in the answer work."""
    for name in ("A B", "A C"):
        client.send("POST", "accounts", {"name": name})
    line = "GET /api/data/v9.2/accounts?$select=name&$filter=startswith(name,'A ') and name ne 'A C'"
    assert '"name":"A B"' in _send(client, [_part("b", line)]).text
    paged = _send(
        client, [_part("b", "GET accounts?$select=name&$filter=name ne 'x'", "", "Prefer: odata.maxpagesize=1")]
    )
    link = paged.text.partition('"@odata.nextLink":"')[2].partition('"')[0]
    assert " " not in link
    assert client.session.get(link, headers=client.headers, timeout=60).json()["value"][0]["name"] == "A C"


def test_a_content_id_is_read_from_both_headers(client: Client) -> None:
    """Before the operation, or inside it as in the SDK of Microsoft; later operations refer to both."""
    parts = [
        _part("c", "POST contacts", '{"lastname":"L"}', "Content-ID: 1"),
        _part("c", "POST accounts", '{"name":"A","primarycontactid@odata.bind":"$1"}', content_id=2),
    ]
    answer = _send(client, [_change_set(*parts)])
    assert "HTTP/1.1 204" in answer.text
    assert "Content-ID: 1\r\n" in answer.text
    assert (
        client.send("GET", "accounts?$expand=primarycontactid").json()["value"][0]["primarycontactid"]["lastname"]
        == "L"
    )


def test_a_failed_batch_has_an_answer_in_the_format_of_a_batch(client: Client) -> None:
    """An operation that fails, one that cannot be read, and a batch that is too long or empty."""
    failing = [
        _send(client, [_part("b", "GET accounts?$select=x")]),
        _send(client, ["--b\r\nContent-Type: application/http\r\n\r\nnonsense\r\n"]),
        _send(client, [_part("b", "GET accounts")] * 1001),
        _raw(client, b"nothing"),
    ]
    for answer in failing:
        assert answer.status_code == 400
        assert answer.headers["Content-Type"].startswith("multipart/mixed; boundary=batchresponse_")
        assert answer.text.count("HTTP/1.1 400 Bad Request\r\n") == 1
        assert '{"error":{"code":"' in answer.text


def test_an_operation_acts_for_another_user(client: Client) -> None:
    """Impersonation for the whole batch, and for one operation in it."""
    users = [client.send("POST", "systemusers", {"lastname": name}).headers["OData-EntityId"][-37:-1] for name in "JK"]
    parts = [_part("b", "GET WhoAmI"), _part("b", "GET WhoAmI", "", f"MSCRMCallerID: {users[1]}")]
    answer = _send(client, parts, MSCRMCallerID=users[0])
    first, second = answer.text.split("HTTP/1.1 200 OK")[1:]
    assert f'"UserId":"{users[0]}"' in first
    assert f'"UserId":"{users[1]}"' in second


def test_a_change_set_without_operations_is_answered(client: Client) -> None:
    """With a change set that holds no answers."""
    answer = _send(client, [_change_set(_part("c", "DELETE accounts(x)").partition("--c")[0])])
    assert answer.status_code in {200, 400}


def test_a_batch_that_is_not_multipart_is_refused(client: Client) -> None:
    """JSON batches are not supported."""
    assert client.send("POST", "$batch", {"requests": []}).status_code == 400
