"""Parameters: their values for a run, and how they are put into texts."""

from __future__ import annotations

import datetime as dt
import json
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions import ParameterValue, SyncDefinition, in_json, in_text, in_url, load_definition, resolve
from shared.definitions.reference.example import EXAMPLE
from shared.errors import UserError

NOW = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
GUID = UUID("11111111-2222-3333-4444-555555555555")


def definition(parameters: str) -> SyncDefinition:
    before, rest = EXAMPLE.split("parameters:\n")
    _, after = rest.split("source:\n", 1)
    text = f"{before}parameters:\n{parameters}\nsource:\n{after}"
    return load_definition(
        text.replace("@file_path", "x.csv").replace("@run_tag", "1").replace("@region", "'x'"),
    )


def values(
    parameters: str, environment: dict[str, str] | None = None, **overrides: ParameterValue
) -> dict[str, ParameterValue]:
    return resolve(definition(parameters), overrides, environment=environment or {}, now=NOW, guid=lambda: GUID)


def test_formulas_and_defaults_give_values_in_the_order_of_the_definition() -> None:
    """Formulas may stand before what they refer to."""
    found = values(
        """
  day: {formula: "FILENAME(@path, '_([0-9]{8})[.]csv$')"}
  area: {formula: "FILEPATH(@path, 'in/([^/]+)/')"}
  path: {default: in/emea/sales_20240131.csv}
  tag: {formula: guid()}
  started: {formula: NOW( )}
  host: {formula: "ENV('HOST')"}
  first: {default: 2024-01-31}
  limit: {default: 10}
""",
        environment={"HOST": "example.org"},
    )

    assert list(found.items()) == [
        ("day", "20240131"),
        ("area", "emea"),
        ("path", "in/emea/sales_20240131.csv"),
        ("tag", str(GUID)),
        ("started", NOW),
        ("host", "example.org"),
        ("first", dt.date(2024, 1, 31)),
        ("limit", 10),
    ]


def test_an_override_counts_for_formulas_too_and_has_the_type_of_the_default() -> None:
    """Text from a command line becomes number, boolean or date as the default is."""
    found = values(
        """
  path: {default: a_1.csv}
  number: {formula: "FILENAME(@path, '_([0-9]+)')"}
  limit: {default: 10}
  ratio: {default: 0.5}
  dry: {default: false}
  day: {default: 2024-01-31}
  free: {}
""",
        path="b_2.csv",
        limit="20",
        ratio="1.5",
        dry="True",
        day="2024-02-01",
        free="007",
    )

    assert found == {
        "path": "b_2.csv",
        "number": "2",
        "limit": 20,
        "ratio": 1.5,
        "dry": True,
        "day": dt.date(2024, 2, 1),
        "free": "007",
    }


def test_all_problems_of_the_parameters_are_one_error() -> None:
    """Unknown, unreadable, missing and without result: all at once; what depends on them is not reported again."""
    with pytest.raises(UserError) as caught:
        values(
            """
  needed: {}
  limit: {default: 10}
  host: {formula: "ENV('HOST')"}
  day: {formula: "FILENAME('a.csv', '[0-9]')"}
  derived: {formula: "FILENAME(@needed, 'x')"}
  key: {formula: "SECRET('k')"}
""",
            limit="ten",
            limt="1",
            key="hunter2",
        )

    message = str(caught.value)
    assert message.splitlines() == [
        "there is no parameter limt; did you mean limit?",
        "parameter key is a secret; a run cannot give it another value",
        "parameter needed: it has no default and no formula, so the run must give its value",
        "parameter limit: its default is a whole number, but the given text is not",
        "parameter host: the environment variable HOST is not set",
        "parameter day: FILENAME finds nothing in 'a.csv'",
    ]


def test_an_explicit_null_is_a_value() -> None:
    """`default: null` is not the same as no default."""
    assert values("  nothing: {default: null}") == {"nothing": None}


def test_a_parameter_that_names_a_secret_has_no_value() -> None:
    """So no log of a run's parameters can show it."""
    assert values("  key: {formula: \"SECRET('k')\"}\n  a: {default: 1}") == {"a": 1}


VALUES: dict[str, ParameterValue] = {
    "name": 'O\'Neil & "Söhne"',
    "n": 5,
    "yes": True,
    "none": None,
    "day": dt.date(2024, 1, 2),
    "now": NOW,
    "url": "https://x.example/a?b=1",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in/@day/x_@{n}.csv", "in/2024-01-02/x_5.csv"),
        ("@now|@yes|@none|", "2024-05-06T07:08:09Z|true||"),
        ("someone@example.com", "someone@example.com"),
        ("a@n", "a5"),
        ("@@n and @@@n", "@n and @5"),
        ("abfs://box@account.dfs.core.windows.net/@n", "abfs://box@account.dfs.core.windows.net/5"),
        ("no names", "no names"),
        ("@", "@"),
        ("@ n", "@ n"),
    ],
)
def test_in_text_a_name_becomes_its_value(text: str, expected: str) -> None:
    """Values are written as text; addresses keep their sign."""
    assert in_text(text, VALUES) == expected


def test_a_name_without_value_is_an_error_and_no_empty_text() -> None:
    """A path must not silently lose a part."""
    with pytest.raises(UserError, match="no value for the parameter gone"):
        in_text("a/@gone", VALUES)


def test_in_a_url_values_are_escaped_except_its_base() -> None:
    """A value cannot add a parameter or leave its path segment."""
    assert in_url("@url", VALUES) == "https://x.example/a?b=1"
    assert in_url("@{url}&c=@n", VALUES) == "https://x.example/a?b=1&c=5"
    assert in_url("https://h/@name?d=@day", VALUES) == "https://h/O%27Neil%20%26%20%22S%C3%B6hne%22?d=2024-01-02"


def test_in_a_part_of_a_url_every_value_is_escaped() -> None:
    """Also the first one: the base is the other part."""
    assert in_url("@name/orders", VALUES, relative=True) == "O%27Neil%20%26%20%22S%C3%B6hne%22/orders"


@pytest.mark.parametrize("value", [".", ".."])
def test_a_value_cannot_lead_to_another_path(value: str) -> None:
    """Clients remove such parts of a path, and those before them, also where they are escaped."""
    for text, relative in (("https://h/a/@v/b", False), ("@url/@v", False), ("@v/b", True), ("a/@{v}?c=1", True)):
        with pytest.raises(UserError, match=r"a part of the path of a URL is \. or \.\., which leads elsewhere"):
            in_url(text, {**VALUES, "v": value}, relative=relative)
    assert in_url("https://h/../a@{v}?b=@v", {"v": value}) == f"https://h/../a{value}?b={value}"


@given(value=st.text())
def test_any_value_survives_a_url(value: str) -> None:
    """What is put into a query is what the server reads."""
    surrogates = any("\ud800" <= character <= "\udfff" for character in value)
    if not surrogates:
        query = urlsplit(in_url("https://h/p?q=@v", {"v": value})).query
        assert parse_qs(query, keep_blank_values=True) == {"q": [value]}


@given(value=st.text())
def test_any_value_survives_json(value: str) -> None:
    """Inside a JSON text it is escaped, elsewhere it is a JSON value."""
    assert json.loads(in_json('{"a": "<@v>", "b": @v}', {"v": value})) == {"a": f"<{value}>", "b": value}


def test_in_json_numbers_booleans_null_and_dates_are_json_values() -> None:
    """Outside of a JSON text the value's own type counts."""
    body = in_json('{"n": @n, "y": @yes, "z": @none, "d": @day, "t": "@now", "q": "\\"@n"}', VALUES)

    assert json.loads(body) == {
        "n": 5, "y": True, "z": None, "d": "2024-01-02", "t": "2024-05-06T07:08:09Z", "q": '"5'
    }  # fmt: skip


@pytest.mark.parametrize(
    ("default", "given", "said"),
    [
        (1, "9" * 39, "more than 38 digits"),
        (1, "9" * 5000, "its default is a whole number"),
        (1.5, "1e400", "not a finite number"),
        (1.5, "nan", "not a finite number"),
        ("x", "x" * 100_001, "100,001 characters; the limit is 100,000"),
        ("x", "a\udcff", "half of a surrogate pair"),
        (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "0001-01-01T00:00:00+14:00", "before the year 1"),
        (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "9999-12-31T23:59:59-14:00", "after the year 9999"),
        (dt.datetime.fromisoformat("0001-01-01T00:00:00+14:00"), None, "before the year 1"),
        (10**38, None, "more than 38 digits"),
    ],
)
def test_a_value_that_cannot_be_written_down_is_refused(default: ParameterValue, given: str | None, said: str) -> None:
    """Whether the run gives it or the definition: a sentence names the parameter."""
    document = yaml.safe_load(EXAMPLE)
    document["parameters"]["odd"] = {"default": "x"}
    loaded = load_definition(yaml.safe_dump(document, sort_keys=False))
    odd = loaded.parameters["odd"].model_copy(update={"default": default})
    definition = loaded.model_copy(update={"parameters": {"odd": odd}})
    with pytest.raises(UserError, match=f"^parameter odd: .*{said}"):
        resolve(definition, {} if given is None else {"odd": given}, environment={}, now=dt.datetime.now(dt.UTC))
