"""Requests after the sync: what is sent again, what is signed in, which hosts are reached, and what messages say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from shared.definitions.models import EnvironmentSecret, HttpStep, RestConnection
from shared.errors import SyncError, UserError
from shared.http.reach import ReachableHosts
from shared.other_systems.request import send_request
from shared.sources import SourceContext
from tests.api_server import ApiServer, Received, Reply, serving
from tests.quick_clock import QuickClock

Serve = Callable[..., ApiServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server with its first answers; after them it answers 200."""
    with ExitStack() as stack:

        def started(*replies: Reply) -> ApiServer:
            left = [*replies]
            return stack.enter_context(serving(lambda _: left.pop(0) if left else Reply()))

        yield started


def context(**parts: Any) -> SourceContext:
    """A context in which a secret's value is its name, in lower case."""

    def secret(reference: Any) -> str:
        assert isinstance(reference, EnvironmentSecret)
        return reference.env.lower()

    return SourceContext(**{"clock": QuickClock(), "secret": secret, **parts})


def send(url: Any, given: SourceContext | None = None, **keys: Any) -> int:
    step = HttpStep.model_validate({"url": url, **keys})
    return send_request(step, given or context(), left=lambda: 30.0, go_on=lambda: None)


AGAIN = [Reply(status=503), Reply(status=429, headers={"Retry-After": "0"}), Reply(status=408), Reply(status=201)]


def test_what_a_server_has_not_carried_out_is_sent_again(serve: Serve) -> None:
    """By its own words, whatever the method; with the same body each time."""
    server = serve(*AGAIN)
    assert send(server.url, body={"a": 1}) == 201
    assert [each.json for each in server.received] == [{"a": 1}] * 4


@pytest.mark.parametrize("answer", [Reply(status=500), Reply(status=502), Reply(dropped=True)])
@pytest.mark.parametrize(("method", "tries"), [("POST", 1), ("PUT", 2)])
def test_what_may_have_been_carried_out_is_repeated_only_if_that_is_safe(
    serve: Serve, answer: Reply, method: str, tries: int
) -> None:
    """A PUT may be carried out twice, a POST may not."""
    server = serve(answer)
    if tries == 1:
        with pytest.raises(SyncError):
            send(server.url, method=method, body={})
    else:
        assert send(server.url, method=method, body={}) == 200
    assert len(server.received) == tries


def test_tries_end(serve: Serve) -> None:
    """After `attempts`, with what was answered."""
    server = serve(*[Reply(status=503)] * 5)
    with pytest.raises(SyncError, match="failed in 3 tries: it answered 503"):
        send(server.url, attempts=3)
    assert len(server.received) == 3


def test_a_body_has_values_with_their_types(serve: Serve) -> None:
    """A text that is one name becomes the value; in other texts the value is text, and `@@` is the sign."""
    server = serve()
    values = {"n": 3, "text": 'a "b"', "none": None}
    body = {"n": "@n", "said": "@n of @text", "list": [True, {"x": "@none"}], "mail": "a@b.c @@n"}
    send(server.url, context(parameters=values), body=body)
    assert server.received[0].json == {"n": 3, "said": '3 of a "b"', "list": [True, {"x": None}], "mail": "a@b.c @n"}
    assert server.received[0].headers["content-type"] == "application/json"


def test_a_connection_gives_address_headers_and_sign_in(serve: Serve) -> None:
    """The step adds its path, with parameters that are percent-encoded."""
    server = serve()
    connection = RestConnection.model_validate(
        {
            "kind": "connection", "name": "shop", "type": "rest", "url": f"{server.url}/v1",
            "headers": {"X-Shop": {"env": "SHOP"}}, "auth": {"type": "basic", "user": "me", "password": {"env": "PASS"}},
        }
    )  # fmt: skip
    given = context(connection=lambda _: connection, parameters={"id": "a/b"})
    send("orders/@id", given, connection="shop", method="DELETE")
    (received,) = server.received
    assert (received.method, received.path) == ("DELETE", "/v1/orders/a%2Fb")
    assert (received.headers["x-shop"], received.headers["authorization"]) == ("shop", "Basic bWU6cGFzcw==")


def test_credentials_that_are_refused_are_read_again(serve: Serve) -> None:
    """Once: the secret may have been replaced since it was read."""
    secrets = iter(["old-secret", "new-secret", "new-secret"])
    server = serve(Reply(status=401))
    given = context(secret=lambda _: next(secrets))
    assert send(server.url, given, auth={"type": "bearer", "token": {"env": "T"}}) == 200
    assert [each.headers["authorization"] for each in server.received] == ["Bearer old-secret", "Bearer new-secret"]


@pytest.mark.parametrize("named_by", ["step", "connection"])
def test_secrets_in_headers_that_are_refused_are_read_again(serve: Serve, named_by: str) -> None:
    """As for a source, whether the step or its connection names them; if they are the same as before, the step ends."""
    headers = {"X-Api-Key": EnvironmentSecret(env="K")}
    kept = {"K": "old-key"}

    def connection(url: str) -> RestConnection:
        return RestConnection.model_validate(
            {"kind": "connection", "name": "shop", "type": "rest", "url": url, "headers": headers}
        )

    def sent(newest: str, *answers: Reply) -> list[str]:
        server = serve(*answers)
        given = context(
            secret=lambda reference: kept[reference.env],
            renew_secret=lambda reference: kept.update({reference.env: newest}),
            connection=lambda _: connection(server.url),
        )
        try:
            if named_by == "connection":
                send("orders", given, connection="shop")
            else:
                send(server.url, given, headers=headers)
        finally:
            keys = [each.headers["x-api-key"] for each in server.received]
        return keys

    assert sent("new-key", Reply(status=401)) == ["old-key", "new-key"]
    with pytest.raises(UserError, match="answered 401 Unauthorized"):
        sent("new-key", Reply(status=401), Reply(status=401))


def test_an_address_that_is_a_secret_is_not_told(serve: Serve) -> None:
    """Messages have only its host, also where the server repeats the path."""
    server = serve(Reply(status=404, body=b"there is no /hooks/s3cret-token here"))
    given = context(secret=lambda _: f"{server.url}/hooks/s3cret-token")
    with pytest.raises(UserError, match="answered 404 Not Found") as caught:
        send({"env": "HOOK"}, given)
    assert "s3cret" not in caught.value.message
    assert f"POST {server.url}/…" in caught.value.message


def test_a_deployed_app_sends_only_to_listed_hosts(serve: Serve) -> None:
    """Hosts of `POST_SYNC_HOSTS`, over TLS; an address of a token endpoint too."""
    server = serve()
    reach = ReachableHosts(
        hosts=("api.example.com",), limited=True, setting="POST_SYNC_HOSTS", what="a request", does="sends to"
    )
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1 is refused: write https://"):
        send(server.url, context(reach=reach))
    with pytest.raises(
        UserError, match=r"host other\.example is refused: a deployed app sends to the hosts in POST_SYNC"
    ):
        send("https://other.example/", context(reach=reach))
    auth = {
        "type": "oauth2", "token_url": "https://login.example/token", "client_id": "me", "client_secret": {"env": "S"}
    }  # fmt: skip
    with pytest.raises(UserError, match=r"host login\.example is refused"):
        send("https://api.example.com/", context(reach=reach), auth=auth)
    assert server.received == []


def test_no_redirect_is_followed_and_no_cookie_is_kept(serve: Serve) -> None:
    """Also not one to the same host."""
    server = serve(Reply(status=302, headers={"Location": "/other"}))
    with pytest.raises(UserError, match="a redirect; write the URL that answers"):
        send(server.url)
    assert len(server.received) == 1


def test_a_large_answer_is_refused(serve: Serve) -> None:
    """Its content is not used, and it must not fill the memory."""
    server = serve(Reply(body=b"x" * (2 << 20)))
    with pytest.raises(SyncError, match="more than 1 MB"):
        send(server.url)


def test_received_is_what_was_sent(serve: Serve) -> None:
    """GET has no body and no type of one."""
    server = serve()
    send(f"{server.url}/a?b=1", method="GET")
    received: Received = server.received[0]
    assert (received.method, received.query, received.body) == ("GET", {"b": "1"}, b"")
    assert "content-type" not in received.headers
