"""Sign-in: four ways, secrets by reference, tokens that expire, and hosts that never get credentials."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import pytest

from shared.definitions.models import RestConnection, SqlConnection
from shared.errors import RetryLater, UserError
from shared.http.reach import ReachableHosts
from tests.api_server import ApiServer, Received, Reply
from tests.unit.sources.rest.conftest import Serve, Waits, context, ids, read

ROWS = Reply(body=[{"id": 1}])


def header(value: str, name: str = "authorization") -> Callable[[Received], Reply]:
    """Answers requests that have a header with this value."""
    return lambda received: ROWS if received.headers.get(name) == value else Reply(status=401)


def test_a_user_and_a_password_are_sent(serve: Serve) -> None:
    """Also with characters outside ASCII."""
    server = serve(header("Basic " + base64.b64encode("jörg:pässword".encode()).decode()))
    auth = {"type": "basic", "user": "jörg", "password": {"env": "X"}}
    assert ids(server.url, context(secret=lambda _: "pässword"), auth=auth) == ["1"]


def test_a_token_is_sent(serve: Serve) -> None:
    """It is a reference to a secret."""
    server = serve(header("Bearer my_token"))
    assert ids(server.url, auth={"type": "bearer", "token": {"env": "MY_TOKEN"}}) == ["1"]


def test_a_key_is_sent_in_a_header_or_in_the_query(serve: Serve) -> None:
    """The query also has the parameters of the source."""
    key: dict[str, Any] = {"type": "api_key", "value": {"env": "MY_KEY"}}
    assert ids(serve(header("my_key", "x-api-key")).url, auth={**key, "header": "X-Api-Key"}) == ["1"]
    server = serve(lambda received: ROWS if received.query == {"a": "b", "code": "my_key"} else Reply(status=401))
    assert ids(f"{server.url}?a=b", auth={**key, "query": "code"}) == ["1"]


def test_headers_are_texts_or_references(serve: Serve) -> None:
    """They replace those that each request has."""
    server = serve(lambda _: ROWS)
    headers = {"X-Day": "day @day", "X-Secret": {"env": "SECRET_HEADER"}, "accept": "application/vnd.api+json"}
    assert ids(server.url, context(parameters={"day": 5}), headers=headers) == ["1"]
    (received,) = server.received
    assert received.headers["x-day"] == "day 5"
    assert received.headers["x-secret"] == "secret_header"
    assert received.headers["accept"] == "application/vnd.api+json"


def test_a_header_with_a_line_break_is_refused(serve: Serve) -> None:
    """A value of a parameter cannot add a header."""
    server = serve(lambda _: ROWS)
    with pytest.raises(UserError, match="the value of the header X-Day has characters"):
        ids(server.url, context(parameters={"day": "5\r\nX-Other: 1"}), headers={"X-Day": "@day"})
    assert server.received == []


def test_a_secret_that_was_replaced_is_read_again_once(serve: Serve) -> None:
    """A wrong one is not sent twice, because this could lock an account."""
    known = {"value": "old_token"}
    given = context(secret=lambda _: known["value"], renew_secret=lambda _: known.update(value="new_token"))
    server = serve(header("Bearer new_token"))
    auth = {"type": "bearer", "token": {"env": "X"}}
    assert ids(server.url, given, auth=auth) == ["1"]
    server = serve(lambda _: Reply(status=401))
    with pytest.raises(UserError, match="401 Unauthorized"):
        ids(server.url, given, auth=auth)
    assert len(server.received) == 1


def test_a_secret_in_a_header_is_read_again_once_too(serve: Serve) -> None:
    known = {"value": "old_key"}
    given = context(secret=lambda _: known["value"], renew_secret=lambda _: known.update(value="new_key"))
    server = serve(lambda received: ROWS if received.headers.get("x-key") == "new_key" else Reply(status=401))
    headers = {"X-Key": {"env": "X"}, "X-Day": "Monday"}
    assert ids(server.url, given, headers=headers) == ["1"]
    assert [each.headers["x-key"] for each in server.received] == ["old_key", "new_key"]
    server = serve(lambda _: Reply(status=401))
    with pytest.raises(UserError, match="401 Unauthorized"):
        ids(server.url, given, headers=headers)
    assert len(server.received) == 1


class Tokens:
    """A token endpoint, and an API that takes the tokens that still hold.

    Attributes:
        held: The tokens that hold.
        forms: What the endpoint was asked with.
    """

    def __init__(self, expires_in: Any = 3600) -> None:
        self.held: list[str] = []
        self.forms: list[dict[str, list[str]]] = []
        self.basic: list[str] = []
        self.expires_in = expires_in
        self.secret = "client_secret_1"
        self.first: list[Reply] = []

    def __call__(self, received: Received) -> Reply:
        if received.path == "/token":
            return self._granted(received)
        number = int(received.query.get("page", 1))
        if received.headers.get("authorization") not in [f"Bearer {token}" for token in self.held]:
            return Reply(status=401)
        return Reply(body=[{"id": number}] if number < 4 else [])

    def _granted(self, received: Received) -> Reply:
        if self.first:
            return self.first.pop(0)
        self.forms.append(parse_qs(received.body.decode()))
        self.basic.append(received.headers.get("authorization", ""))
        if self.forms[-1].get("client_secret", [self.secret]) != [self.secret]:
            return Reply(status=401, body={"error": "invalid_client", "error_description": "no such\nclient"})
        self.held = [f"token-{len(self.forms)}-of-the-client"]
        return Reply(body={"access_token": self.held[0], "token_type": "Bearer", "expires_in": self.expires_in})


def oauth(server: ApiServer, **keys: Any) -> dict[str, Any]:
    return {
        "type": "oauth2",
        "token_url": f"{server.url}/token",
        "client_id": "me",
        "client_secret": {"env": "CLIENT_SECRET_1"},
        **keys,
    }


PAGES = {"type": "page", "parameter": "page"}


def test_a_token_is_fetched_once_for_all_pages(serve: Serve) -> None:
    """With scope and audience, if they are given."""
    tokens = Tokens()
    server = serve(tokens)
    auth = oauth(server, scope="read @what", audience="api")
    assert ids(server.url, context(parameters={"what": "all"}), auth=auth, pagination=PAGES) == ["1", "2", "3"]
    assert tokens.forms == [
        {
            "grant_type": ["client_credentials"],
            "client_id": ["me"],
            "client_secret": ["client_secret_1"],
            "scope": ["read all"],
            "audience": ["api"],
        }
    ]


def test_the_client_may_be_in_a_header(serve: Serve) -> None:
    """As in RFC 6749; the body then does not have the secret."""
    tokens = Tokens()
    server = serve(tokens)
    assert ids(server.url, auth=oauth(server, credentials="header"), pagination=PAGES) == ["1", "2", "3"]
    assert tokens.forms == [{"grant_type": ["client_credentials"]}]
    assert tokens.basic == ["Basic " + base64.b64encode(b"me:client_secret_1").decode()]


@pytest.mark.parametrize("expires_in", [100, "100"])
def test_a_token_is_renewed_before_it_expires(serve: Serve, expires_in: Any) -> None:
    """The rate limit makes the pages take longer than the lifetime of the token."""
    tokens, clock = Tokens(expires_in), Waits()
    server = serve(tokens)
    limit = {"per_minute": 1}
    found = ids(server.url, context(clock=clock), auth=oauth(server), pagination=PAGES, rate_limit=limit)
    assert found == ["1", "2", "3"]
    assert len(tokens.forms) >= 3


def test_a_token_that_is_refused_in_the_middle_is_replaced(serve: Serve) -> None:
    """Once for each page: the page is requested again with the new token."""
    tokens = Tokens()

    def answer(received: Received) -> Reply:
        if received.query.get("page") == "2" and len(tokens.forms) == 1:
            tokens.held = []
        return tokens(received)

    server = serve(answer)
    assert ids(server.url, auth=oauth(server), pagination=PAGES) == ["1", "2", "3"]
    assert len(tokens.forms) == 2


def test_a_token_that_is_always_refused_ends_the_run(serve: Serve) -> None:
    """After one new token."""
    tokens = Tokens()
    server = serve(lambda received: tokens(received) if received.path == "/token" else Reply(status=401))
    with pytest.raises(UserError, match="401 Unauthorized: check auth and the secrets in it and in headers"):
        ids(server.url, auth=oauth(server))
    assert len(tokens.forms) == 2


def test_a_refused_client_is_reported_without_its_secret(serve: Serve) -> None:
    """With the reason of the endpoint; a secret that was replaced is read again once."""
    tokens = Tokens()
    server = serve(tokens)
    wrong = {**oauth(server), "client_secret": {"env": "WRONG_SECRET"}}
    with pytest.raises(UserError) as caught:
        ids(server.url, auth=wrong)
    assert caught.value.message == (
        f"POST {server.url}/token gave no token, but 401 (invalid_client: no such client): check token_url, client_id, "
        f"client_secret and scope"
    )
    assert len(tokens.forms) == 1
    known = {"value": "old"}
    given = context(secret=lambda _: known["value"], renew_secret=lambda _: known.update(value=tokens.secret))
    assert ids(server.url, given, auth=wrong, pagination=PAGES) == ["1", "2", "3"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>"),
        Reply(body=[]),
        Reply(body={}),
        Reply(body={"access_token": 5}),
        Reply(body={"access_token": "two words"}),
        Reply(status=302, headers={"Location": "/elsewhere"}),
    ],
    ids=["html", "a list", "empty", "number", "blank", "redirect"],
)
def test_an_endpoint_without_a_token_is_reported(serve: Serve, reply: Reply) -> None:
    """It is probably not a token endpoint."""
    tokens = Tokens()
    tokens.first = [reply] * 2
    server = serve(tokens)
    with pytest.raises(UserError, match=r"gave no token.*check token_url"):
        ids(server.url, auth=oauth(server))


def test_a_request_to_an_unavailable_token_endpoint_is_retried(serve: Serve) -> None:
    """Like any other request."""
    tokens = Tokens()
    tokens.first = [Reply(status=503), Reply(dropped=True)]
    server = serve(tokens)
    assert ids(server.url, auth=oauth(server), pagination=PAGES) == ["1", "2", "3"]
    tokens.first = [Reply(status=503)] * 2
    with pytest.raises(RetryLater, match=r"/token failed in 2 tries"):
        ids(server.url, auth=oauth(server), retry={"attempts": 2})


def test_credentials_are_sent_only_to_their_host(serve: Serve) -> None:
    """A link to another host is refused, or followed without credentials if the host is listed."""
    other = serve(lambda _: Reply(body=[{"id": 2}]))
    link = {"Link": f'<http://localhost:{other.port}/next?x=1>; rel="next"'}
    server = serve(lambda _: Reply(body=[{"id": 1}], headers=link))
    keys: dict[str, Any] = {
        "auth": {"type": "bearer", "token": {"env": "MY_TOKEN"}},
        "headers": {"X-Secret": {"env": "SECRET_HEADER"}},
        "pagination": {"type": "link"},
    }
    with pytest.raises(UserError, match=r"127.0.0.1 names a next page on another host, localhost.*SOURCE_HOSTS"):
        ids(server.url, **keys)
    assert other.received == []
    assert ids(server.url, context(reach=ReachableHosts(hosts=("localhost",))), **keys) == ["1", "2"]
    (received,) = other.received
    assert {"authorization", "x-secret"}.isdisjoint(received.headers)
    assert "my_token" not in str(received)


def _redirecting(status: int, target: str, _: Received) -> Reply:
    return Reply(status=status, headers={"Location": target})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_within_a_host(serve: Serve, status: int) -> None:
    """With the credentials; to another host they are refused."""

    def answer(received: Received) -> Reply:
        if received.path == "/old":
            return Reply(status=status, headers={"Location": "/new?a=b"})
        return header("Bearer my_token")(received)

    auth = {"type": "bearer", "token": {"env": "MY_TOKEN"}}
    assert ids(f"{serve(answer).url}/old", auth=auth) == ["1"]
    other = serve(lambda _: ROWS)
    for target in (other.url, f"http://localhost:{other.port}", "http://[", ""):
        server = serve(partial(_redirecting, status, target))
        with pytest.raises(UserError, match="redirects to another host, or nowhere"):
            ids(server.url, context(reach=ReachableHosts(hosts=("localhost", "127.0.0.1"))), auth=auth)
    assert other.received == []


def test_the_number_of_redirects_is_limited(serve: Serve) -> None:
    """A loop ends."""
    server = serve(lambda received: Reply(status=302, headers={"Location": f"/{len(received.path)}{received.path}"}))
    with pytest.raises(UserError, match="more than 5 redirects"):
        ids(server.url)
    assert len(server.received) == 6


def test_a_body_is_not_lost_by_a_redirect(serve: Serve) -> None:
    """307 and 308 keep the body; other redirects would change the request."""

    def answer(received: Received) -> Reply:
        if received.path == "/old":
            return Reply(status=302, headers={"Location": "/new"})
        if received.path == "/moved":
            return Reply(status=308, headers={"Location": "/new"})
        return Reply(body=[received.json])

    server = serve(answer)
    assert ids(f"{server.url}/moved", method="POST", body='{"id": 7}') == ["7"]
    with pytest.raises(UserError, match="the body would be lost"):
        ids(f"{server.url}/old", method="POST", body='{"id": 7}')


def connected(server: ApiServer, **keys: Any) -> Any:
    described = {"kind": "connection", "name": "shop", "type": "rest", "url": f"{server.url}/v1/", **keys}
    connection = RestConnection.model_validate(described)
    return context(connection={"shop": connection}.__getitem__, parameters={"which": "shop", "year": "20/24"})


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (None, "/v1/"),
        ("customers", "/v1/customers"),
        ("/customers", "/v1/customers"),
        ("?year=@year", "/v1/"),
        ("@year/customers", "/v1/20%2F24/customers"),
    ],
)
def test_a_connection_gives_address_headers_and_credentials(serve: Serve, url: str | None, path: str) -> None:
    """Keys of the source are added or have precedence; a parameter may choose the connection."""
    server = serve(lambda _: ROWS)
    given = connected(
        server, auth={"type": "bearer", "token": {"env": "MY_TOKEN"}}, headers={"X-A": "1", "X-B": "1"}, timeout="5s"
    )
    assert ids(url, given, connection="@which", headers={"x-b": "2"}) == ["1"]  # type: ignore[arg-type]  # may be left out
    (received,) = server.received
    assert received.path == path
    assert received.query == ({"year": "20/24"} if url and "year=" in url else {})
    assert (received.headers["authorization"], received.headers["x-a"], received.headers["x-b"]) == (
        "Bearer my_token",
        "1",
        "2",
    )


def test_a_source_replaces_the_credentials_of_its_connection(serve: Serve) -> None:
    """And its rate limit."""
    server = serve(header("own_key", "x-key"))
    given = connected(server, auth={"type": "bearer", "token": {"env": "MY_TOKEN"}}, rate_limit={"per_minute": 1})
    auth = {"type": "api_key", "header": "X-Key", "value": {"env": "OWN_KEY"}}
    assert ids("a", given, connection="shop", auth=auth, rate_limit={"per_second": 100}) == ["1"]
    assert "authorization" not in server.received[0].headers


def test_a_connection_of_another_kind_is_refused(serve: Serve) -> None:
    """By its name."""
    database = SqlConnection.model_validate(
        {"kind": "connection", "name": "erp", "type": "sql", "url": {"env": "DATABASE"}}
    )
    with pytest.raises(UserError, match="connection erp is of type sql: one of type rest is needed"):
        ids("a", context(connection=lambda _: database), connection="erp")
    server = serve(lambda _: ROWS)
    with pytest.raises(UserError, match="with a connection, it is relative"):
        ids(
            "@whole",
            context(connection=connected(server).connection, parameters={"whole": server.url}),
            connection="shop",
        )


def test_parameters_cannot_change_the_url_or_the_body(serve: Serve) -> None:
    """They are percent-encoded in the URL, and escaped in the body."""
    server = serve(lambda received: Reply(body=[{"id": received.path}]))
    values = {"name": "a/../b?x=1&y#z@é", "text": 'say "hi"', "number": 5}
    assert ids(f"{server.url}/c/@name/d?n=@name", context(parameters=values)) == [
        "/c/a%2F..%2Fb%3Fx%3D1%26y%23z%40%C3%A9/d"
    ]
    assert server.received[0].query == {"n": values["name"]}
    ids(server.url, context(parameters=values), method="POST", body='{"q": "x @text", "n": @number, "l": [@text]}')
    assert server.received[1].json == {"q": 'x say "hi"', "n": 5, "l": ['say "hi"']}


def test_columns_may_be_headers(serve: Serve) -> None:
    """Each row has the value of its own answer; a missing header is null."""
    server = serve(
        lambda received: Reply(
            body=[{"id": received.query["page"], "x": 9}] if received.query["page"] < "3" else [],
            headers={"X-Request-Id": f"r{received.query['page']}"},
        )
    )
    columns = [{"name": "id"}, {"name": "request", "header": "x-request-ID"}, {"name": "x", "header": "X-Other"}]
    rows, errors = read(server.url, columns=columns, pagination=PAGES)
    assert errors == []
    assert [(row[0], row[1]) for row in rows] == [("1", "r1"), ("2", "r2")]
    assert {row[2] or None for row in rows} == {None}


def test_a_body_that_is_not_json_with_the_values_of_the_run_is_reported(serve: Serve) -> None:
    """Before anything is sent."""
    server = serve(lambda _: ROWS)
    with pytest.raises(UserError, match=r"source\.body is not JSON with the values of this run"):
        ids(server.url, context(parameters={"x": "text"}), method="POST", body='{"a": 1@x}')
    assert server.received == []


@pytest.mark.parametrize("secret", ["", "two\nlines", "schlüssel"])
def test_a_secret_with_invalid_characters_is_refused(serve: Serve, secret: str) -> None:
    """The message does not repeat it."""
    server = serve(lambda _: ROWS)
    with pytest.raises(UserError, match=r"a secret of source\.auth is empty, or has characters") as caught:
        ids(server.url, context(secret=lambda _: secret), auth={"type": "bearer", "token": {"env": "X"}})
    assert server.received == []
    assert not secret or secret not in caught.value.message
