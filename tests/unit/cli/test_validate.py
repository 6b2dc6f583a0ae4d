"""`validate` refuses the expressions of a listener as it refuses all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.cli.boundary import run

LISTENER = """
name: heard
source:
  type: events
  columns: [{{name: number}}]
destination:
  type: dynamics
  entity: account
  service_url: https://contoso.crm.dynamics.com/api/data/v9.2
  client_id: {{env: CLIENT_ID}}
  client_secret: {{env: CLIENT_SECRET}}
  id_column: accountid
  mappings: [{{source: number, target: accountnumber}}]
sync_behaviour: {{sync_key: [accountnumber]}}
listener:
  name: l
  topic:
    format: json
    {place}: "{text}"
"""


@pytest.mark.parametrize("place", ["filter", "message_key"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(SELECT max(x) FROM t) -> '$'", "a subquery is not allowed: an expression can use only its own row"),
        ("new.a -> (SELECT 1)", "a subquery is not allowed: an expression can use only its own row"),
        ("TRY(duckdb_settings()) -> '$'", "duckdb_settings() is not allowed"),
        ("new.a -> sum(new.b)", "sum uses many rows"),
        ("list_transform([1], lambda x: random())", "random() returns another value at each call"),
    ],
)
def test_a_listeners_expressions_are_checked(
    place: str,
    text: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With file, line and path, before an event comes."""
    (tmp_path / "heard.yaml").write_text(LISTENER.format(place=place, text=text))
    monkeypatch.setenv("SYNC_DEFINITIONS", str(tmp_path))
    monkeypatch.setenv("STATE_STORE", f"sqlite:///{tmp_path}/state.db")
    assert run(["validate", "--offline"]) == 1
    said = capsys.readouterr().out
    assert f"listener.topic.{place}: {message}" in said
    assert "heard.yaml:19:" in said


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("missing.avsc", "the schema cannot be read: missing.avsc does not exist"),
        ("bad.avsc", "the schema bad.avsc cannot be used: the schema's type Node contains itself"),
        ("good.avsc", ""),
    ],
)
def test_the_schema_of_avro_events_is_read(
    schema: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before an event comes; without the network it is left out."""
    node = '{"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}'
    (tmp_path / "bad.avsc").write_text(node, "utf-8")
    (tmp_path / "good.avsc").write_text('{"type": "map", "values": "string"}', "utf-8")
    (tmp_path / "syncs").mkdir()
    text = LISTENER.format(place="schema", text=schema).replace("format: json", "format: avro")
    text = text.replace("https://contoso.crm.dynamics.com", "http://127.0.0.1:9")
    (tmp_path / "syncs" / "heard.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNC_DEFINITIONS", str(tmp_path / "syncs"))
    monkeypatch.setenv("STATE_STORE", f"sqlite:///{tmp_path}/state.db")
    assert run(["validate"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert ("listener.topic.schema" in said) == bool(message)
    assert message in said
    run(["validate", "--offline"])
    assert "listener.topic.schema" not in capsys.readouterr().out
