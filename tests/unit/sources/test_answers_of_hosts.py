"""Files behind HTTP whose host refuses some requests, or breaks off: they are never taken for missing or changed."""

from __future__ import annotations

import errno
import ftplib
import gzip
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import IncompleteReadError
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]  # it ships no types

from shared.errors import SourceUnavailableError, UserError
from shared.http.guarded_files import GuardedFiles
from shared.http.reach import ReachableHosts
from shared.remote import RemoteFiles
from shared.sources.files import InputFile, find_files
from shared.sources.places.outages import reaching
from tests.api_server import Received, Reply, serving

WHOLE = Reply(body=b"id\n1\n")
FILES = GuardedFiles(RemoteFiles(), ReachableHosts())


def refusing(method: str, status: int, *, once: bool = False) -> Callable[[Received], Reply]:
    """A host that refuses all requests with a method, or the first of them."""
    refused: list[Received] = []

    def answer(received: Received) -> Reply:
        if received.method != method or (once and refused):
            return WHOLE
        refused.append(received)
        return Reply(status=status)

    return answer


def found(url: str) -> InputFile:
    (file,) = find_files(url, FILES.open)
    return file


def read(url: str) -> bytes:
    with found(url).content() as stream:
        return stream.read()


NAMES = ["a.csv", "a.csv?list=*&of=[1]", "a[1].csv"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_host_that_refuses_questions_about_a_file_and_sends_it(name: str, status: int) -> None:
    """Many hosts sign URLs for one method only. The query of a URL is no pattern."""
    with serving(refusing("HEAD", status)) as server:
        assert read(f"{server.url}/{name}") == b"id\n1\n"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [429, 503])
def test_a_host_that_is_busy_for_a_moment(name: str, status: int) -> None:
    """The first try ends with the status, and the next one reads the file."""
    with serving(refusing("GET", status, once=True)) as server:
        with pytest.raises(SourceUnavailableError, match=f"cannot be read: the host answers with status {status}"):
            read(f"{server.url}/{name}")
        assert read(f"{server.url}/{name}") == b"id\n1\n"


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (403, "cannot be read: the host answers with status 403", UserError),
        (404, "does not exist; check the path", UserError),
        (503, "cannot be read: the host answers with status 503", SourceUnavailableError),
    ],
)
def test_a_host_that_tells_of_a_file_and_does_not_send_it(status: int, said: str, kind: type[UserError]) -> None:
    """The message has the status of the answer, and none of the query."""
    with serving(refusing("GET", status)) as server:
        with pytest.raises(UserError) as caught:
            read(f"{server.url}/a.csv?sig=secret")
        assert (type(caught.value), caught.value.message) == (kind, f"{server.url}/a.csv {said}")


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (403, "cannot be read: the host answers with status 403", UserError),
        (410, "changed while it was read", UserError),
        (503, "cannot be read: the host answers with status 503", SourceUnavailableError),
    ],
)
def test_a_host_that_refuses_after_the_reading(status: int, said: str, kind: type[UserError]) -> None:
    """Only an answer that the file is gone says that it was removed."""
    answers = [WHOLE]
    with serving(lambda _: answers[-1]) as server:
        file = found(f"{server.url}/a.csv")
        answers.append(Reply(status=status))
        with pytest.raises(UserError, match=said) as caught:
            file.check_unchanged()
    assert type(caught.value) is kind


@pytest.mark.parametrize(("status", "kind"), [(404, UserError), (403, UserError), (503, SourceUnavailableError)])
def test_a_page_that_a_pattern_is_looked_for_in(status: int, kind: type[UserError]) -> None:
    """A pattern matches nothing only where the host has said so."""
    with serving(lambda _: Reply(status=status)) as server, pytest.raises(UserError) as caught:
        find_files(f"{server.url}/in/*.csv", FILES.open)
    said = "matches no file" if status == 404 else f"the host answers with status {status}"
    assert (type(caught.value), said in caught.value.message) == (kind, True)


LONG = b"id\n" + b"".join(b"%d\n" % n for n in range(100_000))
PACKED = {"Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            Reply(body=LONG, cut=len(LONG) - 5),
            "cannot be read: the connection broke off before all of the file had come",
        ),
        (Reply(body=LONG, cut=0), "cannot be read: the connection broke off before all of the file had come"),
        (Reply(body=gzip.compress(LONG), cut=20_000, headers=PACKED), "cannot be read: the connection broke off"),
        (Reply(body=gzip.compress(LONG)[:-9], headers=PACKED), "the compressed answer is not complete"),
        (Reply(body=LONG[:-5], without_length=True), "so its last rows are missing"),
    ],
)
def test_a_connection_that_is_lost_while_a_file_comes(broken: Reply, said: str) -> None:
    """However the answer ends too early: the job is tried again, and the next try reads the file."""
    answers = [broken]
    whole = Reply(body=LONG)
    with serving(lambda received: whole if received.method == "HEAD" or not answers else answers.pop()) as server:
        with pytest.raises(SourceUnavailableError, match=said):
            read(f"{server.url}/a.csv")
        assert read(f"{server.url}/a.csv") == LONG


def test_a_lost_connection_of_azure_may_pass() -> None:
    """Its SDK keeps the good status with which the answer has begun."""
    lost = IncompleteReadError("Connection closed")
    lost.status_code = 200
    with (
        pytest.raises(SourceUnavailableError, match=r"/a\.csv cannot be read: the connection broke off"),
        reaching("abfs://in/a.csv"),
    ):
        raise lost


class Silent(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A storage that does not answer; `exists` takes this for no, as that of most drivers does."""

    protocol = "silent"
    cachable = False

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        raise TimeoutError(f"no answer about {Path(path).name}")

    def exists(self, _path: str, **_: Any) -> bool:
        return False

    isdir = isfile = exists


def test_a_file_of_a_storage_that_does_not_answer_is_not_missing() -> None:
    """Whatever its driver is: the job is tried again."""
    with pytest.raises(SourceUnavailableError, match=r"silent:///a\.csv cannot be reached: no answer about a\.csv"):
        find_files("silent:///a.csv", lambda _: (Silent(), "/a.csv"))


OF_HDFS = {"FileStatus": {"length": 20, "type": "FILE", "modificationTime": 1}}
ROWS_OF_HDFS = b"id\n" + b"1\n" * 8 + b"\n"


@pytest.mark.parametrize("operation", ["GETFILESTATUS", "OPEN"])
@pytest.mark.parametrize(
    ("answer", "said", "kind"),
    [
        (Reply(status=503), "cannot be read: the host answers with status 503", SourceUnavailableError),
        (Reply(status=429), "cannot be read: the host answers with status 429", SourceUnavailableError),
        (Reply(status=403), "cannot be read: the host answers with status 403", UserError),
        (Reply(dropped=True), "cannot be reached: its host does not answer", SourceUnavailableError),
        (Reply(body=ROWS_OF_HDFS, cut=5), "cannot be read: the connection broke off", SourceUnavailableError),
    ],
)
def test_a_storage_whose_driver_uses_requests(operation: str, answer: Reply, said: str, kind: type[UserError]) -> None:
    """Its errors are none of Python; their texts have the query, which may hold a token."""
    answers = [answer]

    def answered(received: Received) -> Reply:
        if answers and received.query["op"] == operation:
            return answers.pop()
        return Reply(body=OF_HDFS if received.query["op"] == "GETFILESTATUS" else ROWS_OF_HDFS)

    with serving(answered) as server:
        url = f"webhdfs://127.0.0.1:{server.port}/in/a.csv"
        with pytest.raises(UserError, match=said) as caught:
            read(url)
        assert (type(caught.value), "op=" in caught.value.message) == (kind, False)
        assert read(url) == ROWS_OF_HDFS


def test_a_storage_whose_host_refuses_the_connection_or_is_not_known() -> None:
    """The second one is a mistake in the URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(SourceUnavailableError, match="cannot be reached: Connection refused"):
            read(f"webhdfs://127.0.0.1:{free.getsockname()[1]}/in/a.csv")
    with pytest.raises(UserError, match=r"nowhere\.invalid") as caught:
        read("webhdfs://nowhere.invalid:9870/in/a.csv")
    assert type(caught.value) is UserError


def of_botocore(name: str, *bases: str, **attributes: Any) -> Exception:
    """An error of botocore, which is not installed for the tests."""
    kind: type[Exception] = Exception
    for each in (*bases, name):
        kind = type(each, (kind,), {})
    error = kind("it failed")
    error.__dict__.update(attributes)
    return error


def answered_with(status: int) -> Exception:
    return of_botocore("ClientError", response={"Error": {}, "ResponseMetadata": {"HTTPStatusCode": status}})


@pytest.mark.parametrize(
    ("error", "cause", "kind"),
    [
        (of_botocore("EndpointConnectionError", "ConnectionError"), None, SourceUnavailableError),
        (of_botocore("EndpointConnectionError", "ConnectionError"), socket.gaierror("not known"), UserError),
        (of_botocore("SSLError", "ConnectionError"), ssl.SSLCertVerificationError("self-signed"), UserError),
        (of_botocore("ConnectionClosedError", "HTTPClientError"), None, SourceUnavailableError),
        (of_botocore("ResponseStreamingError", "HTTPClientError"), None, SourceUnavailableError),
        (of_botocore("NoCredentialsError"), None, UserError),
        (OSError(errno.EBUSY, "Please reduce your request rate."), answered_with(503), SourceUnavailableError),
        (TimeoutError("Your socket connection was not read from"), answered_with(400), SourceUnavailableError),
        (PermissionError("Access Denied"), answered_with(403), UserError),
        (of_botocore("HttpError", code=503), None, SourceUnavailableError),
    ],
)
def test_what_may_pass_of_s3_and_others(error: Exception, cause: Exception | None, kind: type[UserError]) -> None:
    """The drivers of fsspec hide the errors of their libraries below those of Python, or pass them on."""
    error.__cause__ = cause
    with pytest.raises(UserError) as caught, reaching("s3://in/a.csv"):
        raise error
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ftplib.error_temp("421 too many users"), SourceUnavailableError),  # noqa: S321 - nothing is sent
        (ftplib.error_perm("530 not logged in"), UserError),  # noqa: S321 - likewise
    ],
)
def test_an_error_of_ftp_that_the_server_calls_temporary_may_pass(error: Exception, kind: type[UserError]) -> None:
    """Its codes begin with 4; those that begin with 5 stay."""
    with pytest.raises(UserError) as caught, reaching("ftp://host/a.csv"):
        raise error
    assert type(caught.value) is kind
