"""Rules between the keys of a dynamics source."""

from __future__ import annotations

import pytest

from shared.definitions import load_definition
from shared.definitions.models import DynamicsSource
from shared.definitions.parameters import in_xml
from shared.errors import DefinitionError, Problem

KEYS = "{service_url: https://org.crm.dynamics.com/, auth: managed_identity"
FETCH = "<fetch><entity name='account'><attribute name='name'/></entity></fetch>"


def text(source: str) -> str:
    return f"""\
name: accounts
parameters:
  since: {{default: 2024-01-01}}
source: {source}
destination:
  type: dynamics
  entity: account
  service_url: https://org.crm.dynamics.com/
  auth: managed_identity
  id_column: accountid
  mappings:
    - {{source: name, target: name}}
sync_behaviour:
  sync_key: [name]
"""


def problems(source: str) -> list[tuple[int, str, str]]:
    try:
        load_definition(text(source), file="a.yaml")
    except DefinitionError as error:
        return [_told(each) for each in error.problems]
    return []


def _told(problem: Problem) -> tuple[int, str, str]:
    return problem.line, problem.path, problem.message


@pytest.mark.parametrize(
    "keys",
    [
        "entity: account",
        "entity: account, filter: createdon gt @since",
        "entity: account, view: Active Accounts",
        f'fetch_xml: "{FETCH}"',
        "fetch_xml: \"<fetch><entity name='a'><filter><condition attribute='b' operator='gt' value='@since'/></filter></entity></fetch>\"",
    ],
)
def test_a_table_a_view_or_a_query_is_read(keys: str) -> None:
    """One of the three."""
    found = load_definition(text(f"{KEYS}, type: dynamics, {keys}}}"))
    assert isinstance(found.source, DynamicsSource)
    assert found.source.row_filter is None
    assert not found.source.has_all_columns


def test_a_connection_stands_for_the_keys_of_the_environment() -> None:
    """They are checked when the connection is known."""
    assert problems("{type: dynamics, connection: crm, entity: account}") == []


@pytest.mark.parametrize(
    ("source", "path", "message"),
    [
        (
            "{type: dynamics, entity: account, auth: managed_identity}",
            "source.service_url",
            "or connection with the name",
        ),
        ("{type: dynamics, entity: account, service_url: https://a.b/}", "source.client_id", "this key is missing"),
        (f"{KEYS}, type: dynamics}}", "source.entity", "write entity with the name of a table, or fetch_xml"),
        (f'{KEYS}, type: dynamics, entity: account, fetch_xml: "{FETCH}"}}', "source.entity", "remove entity"),
        (f'{KEYS}, type: dynamics, view: x, fetch_xml: "{FETCH}"}}', "source.view", "remove view"),
        (f"{KEYS}, type: dynamics, entity: a, view: x, filter: a eq 1}}", "source.filter", "remove filter"),
        (f'{KEYS}, type: dynamics, fetch_xml: "<fetch"}}', "source.fetch_xml", "not XML (line 1 of the XML"),
        (f'{KEYS}, type: dynamics, fetch_xml: "<fetch/>"}}', "source.fetch_xml", "<fetch> with one <entity"),
        (f'{KEYS}, type: dynamics, fetch_xml: "<!DOCTYPE a><fetch/>"}}', "source.fetch_xml", "DOCTYPE"),
        (
            f"{KEYS}, type: dynamics, fetch_xml: \"<fetch><entity name='a'>{'<filter>' * 60}{'</filter>' * 60}</entity></fetch>\"}}",
            "source.fetch_xml",
            "nested too deeply",
        ),
        (
            f"{KEYS}, type: dynamics, fetch_xml: \"<fetch><entity name='@sinse'/></fetch>\"}}",
            "source.fetch_xml",
            "there is no parameter @sinse; did you mean since?",
        ),
        (f"{KEYS}, type: dynamics, entity: a, filter: a eq @sinse}}", "source.filter", "did you mean since?"),
        (f"{KEYS}, type: dynamics, entity: a, options: {{}}}}", "source.options", "unknown key"),
    ],
)
def test_a_mistake_is_named_at_its_key(source: str, path: str, message: str) -> None:
    """With its line and what to do."""
    found = problems(source)
    assert [each for each in found if each[0] == 4 and each[1] == path and message in each[2]], found


def test_parameters_in_fetch_xml_are_escaped() -> None:
    """In attributes with either quote, and in text."""
    xml = "<a b='@x' c=\"@x\">@x and me@@here</a>"
    assert in_xml(xml, {"x": "<&'\">"}) == (
        "<a b='&lt;&amp;&#x27;&quot;&gt;' c=\"&lt;&amp;&#x27;&quot;&gt;\">&lt;&amp;&#x27;&quot;&gt; and me@here</a>"
    )
