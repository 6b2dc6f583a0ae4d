"""A first folder: settings for a local Dataverse, a first definition, and sample data that it can be run with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shared.errors import UserError

__all__ = ["LOCAL_DATAVERSE", "write_starter"]

LOCAL_DATAVERSE: Final = {
    "DYNAMICS_URL": "http://127.0.0.1:5080/api/data/v9.2/",
    "DYNAMICS_CLIENT_ID": "0b8f6c7e-2d4a-4c1b-9e3f-5a6d7c8b9e0f",
    "DYNAMICS_CLIENT_SECRET": "emulator-secret",
}
"""The address of `python -m emulator` and its default credentials, which no other environment accepts."""

_SETTINGS: Final = {
    "IsEncrypted": False,
    "Values": {
        **LOCAL_DATAVERSE,
        "SYNC_DEFINITIONS": "syncs",
        "STATE_STORE": "sqlite:///.dynamics-sync/state.db",
    },
}
_IGNORED: Final = """\
# Settings have secrets; the state belongs to this machine.
local.settings.json
.dynamics-sync/
"""
_DEFINITION: Final = """\
# yaml-language-server: $schema=../sync.schema.json
# The customers of data/customers.csv become accounts. `dynamics-sync validate` checks this file.
name: customers
description: Customers of a file become accounts

parameters:
  file_path: {default: data/customers.csv}
  service_url: {formula: "ENV('DYNAMICS_URL')"}      # from local.settings.json, or from the environment

source:
  type: delimited
  path: "@file_path"
  columns:
    # name: in the header of the file; alias: the name in this definition
    - {name: Customer No, alias: number, mandatory: true, validate: true, trim: true}
    - {name: Name, alias: name, trim: true}
    - {name: City, alias: city}
    - {name: Revenue, alias: revenue, type: number}
    - {name: Parent No, alias: parent}
    - name: segment                                  # a column that is calculated with SQL
      cases: [{when: "revenue > 1000000", then: "'Preferred Customer'"}]
      default: "'Standard'"

destination:
  type: dynamics
  entity: account
  service_url: "@service_url"
  client_id: {env: DYNAMICS_CLIENT_ID}
  client_secret: {env: DYNAMICS_CLIENT_SECRET}       # a secret is never written into a definition
  id_column: accountid
  mappings:
    - {source: number, target: accountnumber}
    - {source: name, target: name}
    - {source: city, target: address1_city}
    - {source: revenue, target: revenue}
    - {source: segment, target: accountcategorycode} # a choice, by its label
    - {source: parent, target: parentaccountid, lookup: {match: accountnumber}}

sync_behaviour:
  sync_key: [accountnumber]                          # rows and records with the same number are the same customer
  new: insert
  changed: update
  dropped: ignore                                    # delete: records that the file does not have are deleted
"""
_DATA: Final = """\
Customer No,Name,City,Revenue,Parent No
C-001,Adventure Works,Toronto,5400000,
C-002,Adventure Works Bikes,Montréal,830000,C-001
C-003,Adventure Works Service,Toronto,120500.75,C-001
C-004,Blue Yonder Airlines,Hamburg,2750000,
C-005,City Power & Light,Leeds,410000,
C-006,Coho Vineyard,Málaga,96000,
C-007,Fabrikam,München,1300000,
C-008,Fourth Coffee,Kraków,55000.5,
C-009,"Litware, Inc.",Zürich,780000,C-007
C-010,Proseware,Århus,,
"""


def write_starter(folder: Path) -> list[Path]:
    """Write the files into a folder that does not exist or is empty, and return their paths.

    Raises:
        UserError: The folder has files, or cannot be written; nothing that was there is changed.
    """
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(
                f"{folder.resolve()} has files, and nothing was written: name a folder that is empty or does not "
                f"exist, as in `dynamics-sync init my-syncs`"
            )
        return [*_written(folder)]
    except OSError as error:
        raise UserError(f"{error.filename or folder}: cannot be written: {error.strerror}") from error


def _written(folder: Path) -> Iterator[Path]:
    from shared.definitions import export_schema  # noqa: PLC0415 - builds the models: `--help` does not wait for it

    texts = {
        "local.settings.json": json.dumps(_SETTINGS, indent=2) + "\n",
        "syncs/customers.yaml": _DEFINITION,
        "data/customers.csv": _DATA,
        "sync.schema.json": json.dumps(export_schema(), indent=2, ensure_ascii=False) + "\n",
        ".gitignore": _IGNORED,
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:  # never over a file that has come meanwhile
            file.write(text)
        yield path
