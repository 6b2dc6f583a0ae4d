"""Rules between keys, over documents of which other parts are wrong: each problem at its place, and no traceback."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from shared.definitions import load_definition
from shared.definitions.loading.rules.between_keys import between_keys
from shared.definitions.loading.rules.hidden_marks import hides
from shared.definitions.parameters.environment import env_references, secret_variables
from shared.definitions.parameters.values import logged
from shared.redaction import HIDDEN, register_secret
from tests.unit.definitions.loading.test_loading import changed, problems

CREDENTIALS = "  client_id: {key_vault: dynamics-client-id}\n  client_secret: {key_vault: dynamics-client-secret}\n"


def found(document: dict[str, Any]) -> dict[str, str]:
    """Path -> message of the rules' problems."""
    return {".".join(map(str, each.path)): each.message for each in between_keys(document)}


@pytest.mark.parametrize(
    ("replacement", "path", "message"),
    [
        (
            ("entity: account\n", "entity: TeamMembership\n"),
            "destination.entity",
            "a sync cannot write TeamMembership: only these messages of Dataverse change it: AddMembersTeam",
        ),
        (
            ("{source: Name, target: name}", "{source: [Name, number], target: name}"),
            "destination.mappings[1].source",
            "a list of columns needs a lookup that matches them",
        ),
        (
            (CREDENTIALS, "  auth: managed_identity\n  client_id: [a, b]\n"),
            "destination.client_id",
            "an app has one managed identity",
        ),
        (
            (CREDENTIALS, "  auth: client_certificate\n  client_id: a\n"),
            "destination.client_certificate",
            "this key is missing; it belongs to auth: client_certificate",
        ),
        (
            (CREDENTIALS, "  auth: client_certificate\n  client_id: [a, b]\n  client_certificate: {env: ONE}\n"),
            "destination.client_certificate",
            "give as many certificates as ids, in the same order",
        ),
        (
            (CREDENTIALS, "  client_id: a\n  client_secret: {env: ONE}\n  client_certificate: {env: ONE}\n"),
            "destination.client_certificate",
            "belongs to auth: client_certificate, and auth is client_secret: remove this key, or write auth",
        ),
        (
            (CREDENTIALS, "  auth: federated\n  client_id: a\n  client_secret: {env: ONE}\n"),
            "destination.client_secret",
            "a federated credential needs no secret: remove this key",
        ),
        (
            (CREDENTIALS, "  auth: managed_identity\n  certificate_password: {env: ONE}\n"),
            "destination.certificate_password",
            "a managed identity does not have a secret",
        ),
        ((CREDENTIALS, "  auth: federated\n"), "destination.client_id", "this key is missing"),
        ((CREDENTIALS, "  auth: [federated]\n"), "destination.auth", "is required here"),
        ((CREDENTIALS, "  client_id: []\n  client_secret: []\n"), "destination.client_id", "this is empty"),
        (
            ("sync_key: [accountnumber]", "sync_key: [accountnumber, AccountNumber]"),
            "sync_behaviour.sync_key[1]",
            "this column is already in the key",
        ),
        (
            ("strategy: full", "strategy: upsert\n  action_column: Name"),
            "sync_behaviour.action_column",
            "allowed only with strategy delta",
        ),
    ],
)
def test_a_mistake_between_keys_is_named_at_its_place(replacement: tuple[str, str], path: str, message: str) -> None:
    """With its line and what to do."""
    matching = [each for each in problems(changed(replacement)) if each.path == path and message in each.message]
    assert matching
    assert all(each.line > 1 for each in matching)


def test_a_delimiter_that_is_also_the_text_qualifier_is_refused() -> None:
    """Fields could not be distinguished from quotes."""
    found_problems = problems(changed(("text_qualifier: '\"'", "text_qualifier: ','")))
    assert any("the delimiter and the text qualifier are the same" in each.message for each in found_problems)


def test_rules_pass_over_what_has_another_form() -> None:
    """That form is a problem of its own; the rules still find the mistakes in what can be read."""
    document: dict[str, Any] = {
        "source": {"columns": ["text", {"name": 5}, {"name": "a"}, {"name": "A"}]},
        "destination": {"entity": ["account"], "mappings": [7, {"source": "b", "target": "t"}, {"target": ["x"]}]},
        "sync_behaviour": {"sync_key": [{}, "t", "u"], "strategy": [], "dropped": [], "returned": 5},
        "listener": "live",
    }
    messages = found(document)
    assert "two columns have this name" in messages["source.columns.3.name"]
    assert "no source column has this name" in messages["destination.mappings.1.source"]
    assert "a mapping needs exactly one of source and value" in messages["destination.mappings.2"]
    assert "no mapping has this column" in messages["sync_behaviour.sync_key.2"]
    for other in (None, "text", 1):
        assert found(dict.fromkeys(document, other)) == {}


def test_an_action_column_is_checked_where_the_columns_are_known() -> None:
    """A label is the alias, where there is one."""
    behaviour = {"strategy": "delta", "action_column": "op"}
    columns = [{"name": "operation", "alias": "op"}]
    assert "sync_behaviour.action_column" not in found({"source": {"columns": columns}, "sync_behaviour": behaviour})
    behaviour["action_column"] = "operation"
    unknown = found({"source": {"columns": columns}, "sync_behaviour": behaviour})
    assert "no source column has this name" in unknown["sync_behaviour.action_column"]
    assert "sync_behaviour.action_column" not in found({"sync_behaviour": behaviour})


def test_a_filter_that_cannot_be_read_is_left_to_the_service() -> None:
    """Also one that is nested without end."""
    mark = {"statecode": "1"}
    assert hides("not " * 2 + "statecode eq 0", mark)
    assert not hides("not " * 100_000 + "statecode eq 0", mark)


def test_the_variables_of_secrets_are_known_before_and_after_loading() -> None:
    """Of one application user or several, and of no other kind of secret."""
    users = "  client_id: [a, b, c]\n  client_secret: [{env: ONE}, {key_vault: two}, {env: THREE}]\n"
    definition = load_definition(changed((CREDENTIALS, users)))
    assert list(secret_variables([definition, load_definition(changed())])) == ["ONE", "THREE"]
    raw = {"destination": {"client_secret": [{"env": "ONE"}, {"key_vault": "two"}, "three", {"env": 4}]}}
    assert env_references(raw) == {"ONE"}
    assert env_references({"destination": {"client_secret": {"env": "ONE"}}}) == {"ONE"}
    assert env_references({"destination": "text"}) == frozenset()


def test_the_log_has_values_that_json_can_hold() -> None:
    """Dates as ISO texts; texts without the secrets that are known."""
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert [logged(value) for value in (moment, moment.date(), 5, True, None)] == [
        "2026-01-02T03:04:05+00:00",
        "2026-01-02",
        5,
        True,
        None,
    ]
    register_secret("q-one-two-three-q")
    assert [logged("plain"), logged("a q-one-two-three-q b")] == ["plain", f"a {HIDDEN} b"]
