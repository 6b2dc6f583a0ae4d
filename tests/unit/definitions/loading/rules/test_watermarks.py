"""Rules about the watermark of a source whose requests send it."""

from __future__ import annotations

import pytest

from shared.definitions import load_definition
from shared.definitions.models import RestSource
from shared.errors import DefinitionError

TEXT = """\
name: accounts
parameters:
  {parameter}: {{default: a}}
source:
  type: rest
  url: https://api.example.com/customers{url}
  columns:
    - {{name: number}}
    - {{name: changed, type: {column}}}
  watermark: {watermark}
  {more}
destination:
  type: dynamics
  entity: account
  service_url: https://org.crm.dynamics.com/
  auth: managed_identity
  id_column: accountid
  mappings:
    - {{source: number, target: name}}
sync_behaviour:
  sync_key: [name]
  strategy: upsert
"""
RIGHT = {
    "parameter": "region",
    "url": "?since=@watermark",
    "column": "date",
    "watermark": '{column: changed, first: "1970-01-01T00:00:00Z"}',
    "more": "timeout: 5",
}


def problems(**changes: str) -> list[tuple[int, str, str]]:
    try:
        load_definition(TEXT.format(**{**RIGHT, **changes}), file="a.yaml")
    except DefinitionError as error:
        return [(each.line, each.path, each.message) for each in error.problems]
    return []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"url": "/@watermark"},
        {"url": "", "more": "headers: {X-Since: '@watermark'}"},
        {"url": "", "more": "method: POST\n  body: '{{\"since\": @watermark}}'".replace("{{", "{").replace("}}", "}")},
        {"watermark": "{column: changed, first: 0}"},
    ],
)
def test_the_watermark_is_a_parameter_of_the_requests(changes: dict[str, str]) -> None:
    """In the URL, in a header, in the body."""
    assert problems(**changes) == []


@pytest.mark.parametrize(
    ("changes", "line", "path", "message"),
    [
        ({"url": ""}, 10, "source.watermark", "@watermark is not in url, headers or body"),
        ({"parameter": "watermark"}, 3, "parameters.watermark", "@watermark is the watermark of the source"),
        ({"watermark": "{column: changed}"}, 10, "source.watermark.first", "missing"),
        (
            {"column": "date, input_format: '%d.%m.%Y'"},
            9,
            "source.columns[1].input_format",
            "the watermark needs values such as",
        ),
        ({"column": "bool"}, 9, "source.columns[1].type", "the watermark needs a number, a date or a text"),
        ({"more": "filter: changed > @watermark"}, 11, "source.filter", "there is no parameter @watermark"),
        ({"watermark": "{column: wrong, first: 0}"}, 10, "source.watermark.column", "no column that is read"),
    ],
)
def test_a_mistake_has_its_place(changes: dict[str, str], line: int, path: str, message: str) -> None:
    """With what to do."""
    ((at, where, said),) = problems(**changes)
    assert (at, where) == (line, path)
    assert message in said


def test_without_a_watermark_its_parameter_is_unknown() -> None:
    """As any name that is not defined."""
    text = TEXT.format(**RIGHT).replace("  watermark:", "  # watermark:")
    with pytest.raises(DefinitionError, match="there is no parameter @watermark"):
        load_definition(text)


def test_the_first_value_keeps_its_type() -> None:
    """A number is sent as a number in a body."""
    source = load_definition(TEXT.format(**{**RIGHT, "watermark": "{column: changed, first: 0}"})).source
    assert isinstance(source, RestSource)
    assert source.watermark is not None
    assert source.watermark.first == 0
