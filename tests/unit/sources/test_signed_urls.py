"""Files behind URLs with a signature: they are read, and no message and no column has the signature."""

from __future__ import annotations

import gzip

import pytest

from shared.definitions.models import DelimitedSource
from shared.errors import UserError
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
        ("HTTPS://user:password@host:8080/a.csv#part", "HTTPS://host:8080/a.csv"),
        ("403, message='Forbidden', url='https://host/a?sig=x'", "403, message='Forbidden', url='https://host/a'"),
        ("https://host/@2024/a.csv", "https://host/@2024/a.csv"),
        ("s3://bucket/a?.csv", "s3://bucket/a?.csv"),
        ("abfs://in@account.dfs.core.windows.net/a?.csv", "abfs://in@account.dfs.core.windows.net/a?.csv"),
        ("is it there?", "is it there?"),
    ],
)
def test_only_the_secret_parts_of_a_url_are_left_out(text: str, shown: str) -> None:
    """Of HTTP: patterns of other schemes have signs of their own."""
    assert shown_url(text) == shown
