"""Shared by the tests of relations: tables with every kind of relationship, and functions to create and read rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client

__all__ = ["SCHEMA", "error", "made", "relations_emulator"]

SCHEMA = """
new_Parent:
  columns:
    new_Name: {type: String}
    new_UpId: {type: Lookup, targets: [new_parent], hierarchical: true, relationship: new_parent_parents}
    new_NextId: {type: Lookup, targets: [new_parent], relationship: new_parent_next, cascade: parental}
    new_LikeId: {type: Lookup, targets: [new_parent], relationship: new_parent_like}
new_Child:
  keys: {parent_key: [new_cascadeid, new_code]}
  columns:
    new_Name: {type: String}
    new_Code: {type: Integer}
    new_CascadeId: {type: Lookup, targets: [new_parent], relationship: new_parent_cascade, cascade: parental}
    new_RestrictId: {type: Lookup, targets: [new_parent], relationship: new_parent_restrict, cascade: restrict}
    new_LinkId: {type: Lookup, targets: [new_parent], relationship: new_parent_link}
    new_KeptId: {type: Lookup, targets: [new_parent], relationship: new_parent_kept, cascade: none}
    new_ActiveId: {type: Lookup, targets: [new_parent], relationship: new_parent_active, cascade: {assign: Active}}
    new_OwnId: {type: Lookup, targets: [new_parent], relationship: new_parent_own, cascade: {assign: UserOwned}}
    new_AnyId:
      type: Lookup
      targets: [new_parent, account]
      relationship: {new_parent: new_parent_any, account: new_account_any}
      cascade: {new_parent: parental, account: restrict}
new_Untracked:
  change_tracking: false
  columns: {new_Name: {type: String}}
many_to_many:
  new_parent_account: {tables: [new_parent, account]}
  new_parent_friends: {tables: [new_parent, new_parent]}
  new_parent_untracked: {tables: [new_parent, new_untracked]}
"""


@contextmanager
def relations_emulator(folder: Path) -> Iterator[RunningEmulator]:
    """Run an emulator with these tables."""
    file = folder / "relations.yaml"
    file.write_text(SCHEMA, encoding="utf-8")
    with running(in_thread=True, limits="none", schema=[file]) as emulator:
        yield emulator


def made(client: Client, entity_set: str, **body: Any) -> str:
    """Create a row and return its identifier."""
    answer = client.send("POST", entity_set, body)
    assert answer.status_code == 204, answer.text
    return answer.headers["OData-EntityId"][-37:-1]


def error(answer: requests.Response) -> tuple[int, str]:
    """The status and the code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]
