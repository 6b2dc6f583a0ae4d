"""What a person with the right `write` may not change."""

from __future__ import annotations

import pytest

from console.editor.guarding import guarded_changes

BEFORE = """\
name: customers
parameters:
  host: {default: org.crm.dynamics.com}
  day: {default: monday}
source:
  type: delimited
  path: abfs://data/customers.csv
  columns: [{name: url}, {name: name}]
destination:
  type: dynamics
  entity: account
  service_url: https://@{host}/api/data/v9.2/
  client_id: 00000000-0000-0000-0000-000000000001
  client_secret: {key_vault: secret}
  id_column: accountid
  mappings: [{source: url, target: websiteurl}]
sync_behaviour: {sync_key: [name]}
post_sync: [{name: publish, action: PublishXml}]
permissions: {write: [Editors]}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("path: abfs://data/customers.csv", "path: abfs://data/others.csv"),
        ("{name: name}", "{name: name, formula: upper(url)}"),
        ("target: websiteurl", "target: name"),
        ("sync_key: [name]", "sync_key: [websiteurl]"),
        ("{default: monday}", "{default: friday}"),
        ("entity: account", "entity: contact"),
        ("name: customers\n", "name: customers\nschedule: '0 0 * * * *'\n"),
    ],
)
def test_ordinary_changes_are_free(old: str, new: str) -> None:
    """Columns, mappings, paths on the same host, behaviour, schedule."""
    assert old in BEFORE
    assert guarded_changes(BEFORE, BEFORE.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("[Editors]", "[Everyone]", "permissions"),
        ("permissions: {write: [Editors]}\n", "", "permissions"),
        ("PublishXml", "Other", "post_sync"),
        ("key_vault: secret", "key_vault: other", "destination.client_secret"),
        ("client_secret: {key_vault: secret}", "client_secret: '@secret'", "destination.client_secret"),
        ("org.crm.dynamics.com", "evil.example", "parameters.host"),
        ("https://@{host}/", "https://evil.example/", "destination.service_url"),
        ("abfs://data/", "abfs://data@other.dfs.core.windows.net/", "source.path"),
        ("abfs://data/customers.csv", "https://evil.example/customers.csv", "source.path"),
        ("  entity: account", "  entity: account\n  connection: crm", "destination.connection"),
        ("day: {default: monday}", "day: {formula: ENV('KEY')}", "parameters.day.formula"),
        ("  id_column", "  options: {run_as: 00000000-0000-0000-0000-000000000002}\n  id_column",
         "destination.options.run_as"),
        ("0000-000000000001", "0000-000000000009", "destination.client_id"),
    ],
)  # fmt: skip
def test_rights_secrets_hosts_and_steps_need_admin(old: str, new: str, path: str) -> None:
    """The key that is refused is named."""
    assert old in BEFORE
    assert path in guarded_changes(BEFORE, BEFORE.replace(old, new))
