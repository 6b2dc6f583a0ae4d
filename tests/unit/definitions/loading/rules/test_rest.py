"""Mistakes in a source of type `rest`: each with its file, line and column."""

from __future__ import annotations

import pytest

from shared.definitions import load_definition
from shared.definitions.models import RestConnection
from shared.definitions.parameters.environment import env_references, secret_variables
from shared.errors import DefinitionError

TEXT = """\
name: orders
parameters: {{day: {{default: 5}}, key: {{formula: SECRET('api-key')}}, base: {{default: 'https://a.example'}}}}
source:
  type: rest
  columns: [{{name: number}}{columns}]
{source}
destination:
  type: dynamics
  entity: account
  service_url: https://org.api.crm.dynamics.com/api/data/v9.2/
  auth: managed_identity
  id_column: accountid
  mappings: [{{source: number, target: accountnumber}}]
sync_behaviour: {{sync_key: [accountnumber]}}
"""
URL = "url: https://a.example/orders"


def found(*lines: str, columns: str = "") -> list[str]:
    """The problems of a source with these lines, as a user sees them."""
    source = "\n".join(f"  {line}" for line in lines)
    try:
        load_definition(TEXT.format(source=source, columns=columns), file="orders.yaml")
    except DefinitionError as error:
        return [str(problem) for problem in error.problems]
    return []


GOOD = {
    "an address": [URL],
    "a parameter as base": ['url: "@base/orders?day=@day"'],
    "this machine": ["url: http://localhost:8080/orders"],
    "a connection": ["connection: shop"],
    "a connection by a parameter": ['connection: "@base"', "url: orders"],
    "a body": [URL, "method: POST", """body: '{"day": @day, "text": "on @day"}'"""],
    "a key by reference": [URL, "headers: {X-Api-Key: {env: API_KEY}, Authorization: {key_vault: token}}"],
    "a key by a parameter": [URL, 'headers: {X-Api-Key: "@key"}'],
    "a code that is no key": ["url: https://a.example/orders?code=DE&key=customers"],
    "a parameter in the query": ['url: "https://a.example/orders?day=@day"'],
    "a text in a header": [URL, 'headers: {X-Day: "@day"}'],
    "basic": [URL, 'auth: {type: basic, user: me, password: "@key"}'],
    "bearer": [URL, "auth: {type: bearer, token: {env: TOKEN}}"],
    "oauth2": [
        URL,
        "auth: {type: oauth2, token_url: https://a.example/token, client_id: me, client_secret: {env: X}, scope: all}",
    ],
    "api key": [URL, "auth: {type: api_key, query: code, value: {env: CODE}}"],
    "offset": [URL, "pagination: {type: offset, parameter: offset, size: 500}"],
    "offset in the body": [URL, "method: POST", "pagination: {type: offset, parameter: offset, in: body}"],
    "page": [URL, "pagination: {type: page, parameter: page, first: 1}"],
    "cursor": [URL, "pagination: {type: cursor, parameter: after, next: $.paging.next}"],
    "link": [URL, "pagination: {type: link}", "rate_limit: {per_minute: 100}", "retry: {attempts: 3, seconds: 2m}"],
}


@pytest.mark.parametrize("name", GOOD)
def test_what_fits_together_is_accepted(name: str) -> None:
    """Each key in one use of it."""
    assert found(*GOOD[name]) == []


BAD = {
    "no address": (
        ["method: GET"],
        "3:1: source.url: this key is missing: a rest source needs url, connection, or both",
    ),
    "not https": (
        ["url: http://a.example/"],
        "6:8: source.url: an address of an API starts with https://; http:// is only for this machine",
    ),
    "no scheme": (["url: a.example/orders"], "6:8: source.url: an address of an API starts with https:// and a host"),
    "a password": (
        ["url: https://me:pass_word@a.example/"],
        "6:8: source.url: an address of an API must not contain a user or password; write auth instead",
    ),
    "a part of a page": (["url: https://a.example/#x"], "6:8: source.url: an address of an API has no part behind #"),
    "a port": (
        ["url: https://a.example:x/"],
        "6:8: source.url: this is not a URL; write one such as https://api.example.com/v1",
    ),
    "a key in the address": (
        ["url: https://a.example/?api_key=abc123"],
        (
            "6:8: source.url: this url holds a key: write auth: {type: api_key, query: its name, value: reference to a "
            "secret}"
        ),
    ),
    "the key of a function in the address": (
        ["url: https://a.example/?code=abcDEF0123456789=="],
        (
            "6:8: source.url: this url holds a key: write auth: {type: api_key, query: its name, value: reference to a "
            "secret}"
        ),
    ),
    "the key of a subscription in the address": (
        ["url: https://a.example/?Subscription-Key=abc"],
        (
            "6:8: source.url: this url holds a key: write auth: {type: api_key, query: its name, value: reference to a "
            "secret}"
        ),
    ),
    "a parameter as a key in the address": (
        ['url: "https://a.example/?day=@day&api_key=@day"'],
        (
            "6:8: source.url: this url holds a key, and the value of @day is kept with each run: write auth: {type: "
            "api_key, query: its name, value: reference to a secret}"
        ),
    ),
    "a parameter that is no secret in a header": (
        [URL, 'headers: {Authorization: "@day"}'],
        (
            "7:28: source.headers.Authorization: this header holds a secret, and the value of @day is kept with each run: "
            "give @day the formula SECRET('…'), or write {key_vault: name} or {env: NAME}"
        ),
    ),
    "text and a parameter in a header": (
        [URL, 'headers: {Authorization: "Bearer @day"}'],
        (
            "7:28: source.headers.Authorization: this header holds a secret: write {key_vault: name} or {env: NAME} in "
            "place of its text"
        ),
    ),
    "a secret in the address": (
        ['url: "https://a.example/?code=@key"'],
        "6:8: source.url: @key is a secret, which is not allowed here",
    ),
    "whole with a connection": (
        ["connection: shop", URL],
        "7:8: source.url: with a connection, url is relative to the address there",
    ),
    "a body with GET": (
        [URL, "body: '{}'"],
        "7:3: source.body: a body is sent only with method: POST",
    ),
    "a body that is not JSON": (
        [URL, "method: POST", "body: '{a: @day}'"],
        "8:9: source.body: this is not JSON; inside quotes @name is text, elsewhere a JSON value",
    ),
    "an unknown parameter in the body": (
        [URL, "method: POST", """body: '{"a": "@dya"}'"""],
        "8:9: source.body: there is no parameter @dya; did you mean day?",
    ),
    "another method": ([URL, "method: PUT"], "7:11: source.method: one of 'GET' or 'POST' is required here"),
    "a header name": ([URL, "headers: {'X Day': a}"], "7:13: source.headers.X Day: this is not the name of a header"),
    "an own header": (
        [URL, "headers: {Host: a}"],
        "7:13: source.headers.Host: this header cannot be set: each request has its own",
    ),
    "a header twice": (
        [URL, "headers: {X-A: a, x-a: b}"],
        "7:21: source.headers.x-a: this header is already there; upper and lower case are the same",
    ),
    "a secret in a header": (
        [URL, "headers: {Authorization: Bearer abc}"],
        (
            "7:28: source.headers.Authorization: this header holds a secret: write {key_vault: name} or {env: NAME} in "
            "place of its text"
        ),
    ),
    "a key in a header": (
        [URL, "headers: {Ocp-Apim-Subscription-Key: abc}"],
        (
            "7:40: source.headers.Ocp-Apim-Subscription-Key: this header holds a secret: write {key_vault: name} or {env: NAME} in place of "
            "its text"
        ),
    ),
    "signed twice": (
        [URL, "headers: {authorization: {env: X}}", "auth: {type: bearer, token: {env: X}}"],
        "7:13: source.headers.authorization: auth sets this header; remove one of them",
    ),
    "a secret as text": (
        [URL, "auth: {type: bearer, token: abc123}"],
        (
            "7:24: source.auth.token: do not write a secret here: write {key_vault: name}, {env: NAME} or the @name of a "
            "parameter whose formula is SECRET('name') (the value is not shown)"
        ),
    ),
    "no kind of auth": (
        [URL, "auth: {token: {env: X}}"],
        "7:3: source.auth.type: this key is missing; it says which kind this is, and which other keys are allowed",
    ),
    "an unknown kind of auth": (
        [URL, "auth: {type: oauth, token: {env: X}}"],
        "7:16: source.auth.type: unknown type; did you mean oauth2?",
    ),
    "two places of a key": (
        [URL, "auth: {type: api_key, header: X-A, query: a, value: {env: X}}"],
        "7:9: source.auth: an API key needs exactly one of header and query",
    ),
    "no place of a key": (
        [URL, "auth: {type: api_key, value: {env: X}}"],
        "7:9: source.auth: an API key needs exactly one of header and query",
    ),
    "a header that is none": (
        [URL, "auth: {type: api_key, header: 'X A', value: {env: X}}"],
        "7:25: source.auth.header: this is not the name of a header that can be set",
    ),
    "an endpoint without https": (
        [URL, "auth: {type: oauth2, token_url: http://a.example, client_id: me, client_secret: {env: X}}"],
        "7:35: source.auth.token_url: an address of an API starts with https://; http:// is only for this machine",
    ),
    "two limits": (
        [URL, "rate_limit: {per_second: 1, per_minute: 2}"],
        "7:15: source.rate_limit: a rate limit needs exactly one of per_second and per_minute",
    ),
    "no limit": (
        [URL, "rate_limit: {}"],
        "7:15: source.rate_limit: a rate limit needs exactly one of per_second and per_minute",
    ),
    "no parameter": (
        [URL, "pagination: {type: offset}"],
        "7:3: source.pagination.parameter: this key is missing (name of the parameter that asks for a page)",
    ),
    "a cursor without its place": (
        [URL, "pagination: {type: cursor, parameter: a}"],
        "7:3: source.pagination.next: this key is missing (JSONPath of the mark in the answer, such as $.paging.next)",
    ),
    "a link with a parameter": (
        [URL, "pagination: {type: link, parameter: a}"],
        "7:28: source.pagination.parameter: unknown key; there are: empty_page, next, total, type",
    ),
    "a size without a number": (
        [URL, "pagination: {type: page, parameter: p, size_parameter: s}"],
        "7:42: source.pagination.size_parameter: size_parameter needs size, the number that it sends",
    ),
    "one parameter for both": (
        [URL, "pagination: {type: page, parameter: p, size: 5, size_parameter: p}"],
        "7:51: source.pagination.size_parameter: parameter has the same name",
    ),
    "parameters in no body": (
        [URL, "pagination: {type: page, parameter: p, in: body}"],
        "7:42: source.pagination.in: parameters can be in the body only with method: POST",
    ),
    "a parameter twice": (
        [f"{URL}?%70=5", "pagination: {type: page, parameter: p}"],
        "7:28: source.pagination.parameter: url has this parameter already; remove it there",
    ),
    "a path that is none": (
        [URL, "pagination: {type: link, next: '$['}"],
        "7:34: source.pagination.next: this is not a JSONPath; write one such as $.data",
    ),
    "too many tries": (
        [URL, "retry: {attempts: 1000}"],
        "7:21: source.retry.attempts: a number of at most 100 is required here",
    ),
}


@pytest.mark.parametrize(
    "lines",
    [
        ['url: "https://me:pass!@word1@a.example/"'],
        [URL, 'headers: {Authorization: "@word1"}'],
    ],
)
def test_what_may_be_a_part_of_a_secret_is_not_repeated(lines: list[str]) -> None:
    """A password with an @ is not taken for a parameter whose name may be shown."""
    problems = found(*lines)
    assert any("there is no parameter of this name; there are: base, day, key" in problem for problem in problems)
    assert not any("word1" in problem for problem in problems)


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_together_is_reported_with_its_place(name: str) -> None:
    """The message says what to do, and does not repeat what may be a secret."""
    lines, message = BAD[name]
    problems = found(*lines)
    assert problems == [f"orders.yaml:{message}"]
    assert not any(word in problems[0] for word in ("abc", "pass_word"))


COLUMNS = {
    ", {name: $.a}": "5:36: source.columns[1].name: a column with a JSONPath needs an alias",
    ", {name: '$[', alias: a}": "5:36: source.columns[1].name: this is not a JSONPath; write one such as $.data",
    ", {name: $.a, alias: a, header: X}": "5:48: source.columns[1].header: a column has a JSONPath or a header, not both",
    ", {name: a, formula: '1', header: X}": "5:50: source.columns[1].header: a calculated column is not read from a "
    "header",
    ", {name: a, header: 'X Y'}": "5:39: source.columns[1].header: this does not have the form "
    "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$",
}


@pytest.mark.parametrize("columns", COLUMNS)
def test_a_column_is_read_from_one_place(columns: str) -> None:
    """A field, a JSONPath or a header."""
    (problem,) = found(URL, columns=columns)
    assert problem.startswith("orders.yaml:5:")
    assert problem.partition(": ")[2] == COLUMNS[columns].partition(": ")[2]


def test_an_event_has_no_headers() -> None:
    """Its record would have no value in such a column, and clear what the source has written."""
    text = TEXT.format(source=f"  {URL}", columns=", {name: a, header: X-A}")
    load_definition(text)
    with pytest.raises(DefinitionError, match="with a listener, a column is not read from a header"):
        load_definition(f"{text}listener: {{name: orders}}\n")


def test_secrets_of_a_source_are_known() -> None:
    """A formula may not read the variables that hold them."""
    source = {
        "type": "rest",
        "url": "https://a.example",
        "auth": {"type": "basic", "user": {"env": "ONE"}, "password": {"env": "TWO"}},
        "headers": {"X-A": {"env": "THREE"}, "X-B": "text", "X-C": {"key_vault": "four"}},
        "columns": [{"name": "a"}],
    }
    assert env_references({"source": source}) == {"TWO", "THREE"}
    definition = load_definition(
        TEXT.format(source=f"  {URL}\n  auth: {{type: bearer, token: {{env: TOKEN_X}}}}", columns="")
    )
    assert list(secret_variables([definition])) == ["TOKEN_X"]


def test_a_connection_has_an_address() -> None:
    """It is checked like that of a source."""
    good = {"kind": "connection", "name": "shop", "type": "rest", "url": "https://a.example/v1"}
    assert RestConnection.model_validate(good).timeout is None
    with pytest.raises(ValueError, match="must not contain a user or password"):
        RestConnection.model_validate({**good, "url": "https://me:it@a.example"})
    with pytest.raises(ValueError, match="exactly one of header and query"):
        RestConnection.model_validate({**good, "auth": {"type": "api_key", "value": {"env": "X"}}})
    with pytest.raises(ValueError, match="exactly one of per_second and per_minute"):
        RestConnection.model_validate({**good, "rate_limit": {}})
