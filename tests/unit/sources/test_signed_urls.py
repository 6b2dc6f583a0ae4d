"""Files behind URLs with a signature: they are read, and no message and no column has the signature."""

from __future__ import annotations

import gzip
from typing import Any, ClassVar

import fsspec  # type: ignore[import-untyped]
import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from shared.definitions.models import DelimitedSource
from shared.errors import UserError
from shared.redaction import cleaned
from shared.remote import shown_url
from tests.api_server import Received, Reply, serving
from tests.unit.sources.conftest import load_source

ROWS = b"number,name\n1,a\n2,b,too many\n"
SIGNED = "?sv=2024&sp=r&token=the-signature%2Babc%3D#part"
COLUMNS = [
    {"name": "number"},
    {"name": "name"},
    {"name": "file", "file_name": True},
    {"name": "path", "file_path": True},
]


def answer(received: Received) -> Reply:
    """What is there, and only for those who have the signature."""
    if received.query.get("token") != "the-signature+abc=":
        return Reply(status=404)
    return Reply(body={"/a.csv": ROWS, "/a.csv.gz": gzip.compress(ROWS)}.get(received.path, b""), status=200)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_file_behind_a_signed_url_is_read(name: str) -> None:
    """Its ending says how it is compressed, and its columns have the place without the signature."""
    with serving(answer) as server:
        source = DelimitedSource.model_validate(
            {"type": "delimited", "path": f"{server.url}/{name}{SIGNED}", "columns": COLUMNS}
        )
        rows, errors = load_source(source)
        assert rows == [(1, "1", "a", name, f"{server.url}/{name}")]
        assert [error for _, error, _ in errors] == ["Malformed Row"]
        assert "signature" not in str(errors)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_message_about_a_signed_url_has_no_signature(status: int) -> None:
    """Also the part that the library says."""
    with serving(lambda _: Reply(status=status)) as server:
        source = DelimitedSource.model_validate(
            {"type": "delimited", "path": f"{server.url}/a.csv{SIGNED}", "columns": COLUMNS}
        )
        with pytest.raises(UserError, match=r"/a\.csv ") as refused:
            load_source(source)
    assert "signature" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://host/a.csv?sig=x", "https://host/a.csv"),
        ("HTTPS://ann:pa55word@host:8080/a.csv#part", "HTTPS://host:8080/a.csv"),
        ("403, message='Forbidden', url='https://host/a?sig=x'", "403, message='Forbidden', url='https://host/a'"),
        ("https://host/@2024/a.csv", "https://host/@2024/a.csv"),
        ("s3://bucket/a?.csv", "s3://bucket/a?.csv"),
        ("abfs://in@account.dfs.core.windows.net/a?.csv", "abfs://in@account.dfs.core.windows.net/a?.csv"),
        ("is it there?", "is it there?"),
        ("ftp://joe:p@ss:w0rd@host:21/in/a@b.csv: no such file", "ftp://host:21/in/a@b.csv: no such file"),
        ("zip://*.csv::sftp://joe:secret/42@host/a.zip", "zip://*.csv::sftp://host/a.zip"),
        ("sftp://joe@host:22/a@b.csv", "sftp://joe@host:22/a@b.csv"),
        ("s3://bucket/at:noon@home.csv", "s3://bucket/at:noon@home.csv"),
        ("http://[::1]:8080/a@b.csv", "http://[::1]:8080/a@b.csv"),
    ],
)
def test_only_the_secret_parts_of_a_url_are_left_out(text: str, shown: str) -> None:
    """Patterns of schemes other than HTTP have signs of their own; every other text keeps the rest too."""
    assert shown_url(text) == shown
    hidden = cleaned(text)
    assert hidden == text if shown_url(text).count("@") == text.count("@") else "[hidden]@" in hidden


class HostOnlyFiles(MemoryFileSystem):  # type: ignore[misc]
    """A driver that takes the host from the URL and leaves it out of names, as those of FTP and SFTP do."""

    protocol = "hostonly"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return ("/" + path.partition("://")[2].partition("/")[2] if "://" in path else path).rstrip("/")


def test_a_file_of_a_host_is_named_with_the_host_and_without_the_password() -> None:
    """In messages and in the columns that name it; one file, and one that a pattern finds."""
    fsspec.register_implementation("hostonly", HostOnlyFiles, clobber=True)
    HostOnlyFiles.store.clear()
    HostOnlyFiles().pipe("/in/a.csv", b"number,name\n1,a\n")
    for name in ("a.csv", "*.csv"):
        source = DelimitedSource.model_validate(
            {"type": "delimited", "path": f"hostonly://joe:pa55word@host:21/in/{name}", "columns": COLUMNS}
        )
        assert load_source(source)[0] == [(1, "1", "a", "a.csv", "hostonly://host:21/in/a.csv")]
        missing = source.model_copy(update={"path": f"hostonly://joe:pa55word@host:21/none/{name}"})
        with pytest.raises(UserError) as refused:
            load_source(missing)
        assert "pa55word" not in str(refused.value)


def test_a_remote_file_whose_name_has_brackets_is_found() -> None:
    """Before the files that its name would match as a pattern: browsers name a second download so."""
    files = MemoryFileSystem()
    files.pipe({"/brackets/a[1].csv": b"number,name\n1,this\n", "/brackets/a1.csv": b"number,name\n1,other\n"})
    source = DelimitedSource.model_validate(
        {"type": "delimited", "path": "memory://brackets/a[1].csv", "columns": COLUMNS[:2]}
    )
    assert load_source(source)[0] == [(1, "1", "this")]
