"""Seeds: files that cannot be read are answered with what is wrong and where, and no row of them is created."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.testing import running
from tests.emulator.http_client import Client, error

LATIN = "name\nM\xfcller\n".encode("latin-1")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("accounts.csv", b"name,numberofemployees\nA,12\nB,abc\n", "line 3: 'abc' in numberofemployees is no value"),
        ("accounts.csv", b"name,donotphone\nA,maybe\n", "line 2: 'maybe' in donotphone is no value of type Boolean"),
        ("accounts.csv", b"name,revenue\nA," + b"x" * 500 + b"\n", f"line 2: '{'x' * 40}…' in revenue"),
        ("accounts.csv", b"name\nA,B\n", "line 2: there are more values than column names"),
        ("accounts.csv", LATIN, "can't be read: 'utf-8' codec"),
        ("rows.yaml", b"accounts: [{name: A}, just a text]", "'accounts' must be a list of rows"),
        ("rows.yaml", b"accounts:", "'accounts' must be a list of rows"),
        ("rows.yaml", b"accounts: {name: A}", "'accounts' must be a list of rows"),
        ("rows.yaml", b"accounts: [{1: A}]", "'accounts' must be a list of rows"),
        ("rows.yaml", b"accounts: [", "can't be read: "),
        ("rows.yaml", b"[]", "must map tables to lists of rows"),
        ("missing.yaml", None, "can't be read: "),
    ],
)
def test_a_seed_that_cannot_be_read_says_why(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    """All rows or none are created; the rows before a mistake are not."""
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with running(in_thread=True, seed=f"demo={file}") as emulator, Client(emulator) as client:
        answer = client.session.post(f"{emulator.base_url}/_emulator/seed/demo", timeout=60)
        assert error(answer) == (400, "0x80040203")
        assert f"The seed {file}" in answer.json()["error"]["message"]
        assert said in answer.json()["error"]["message"]
        assert client.send("GET", "accounts").json()["value"] == []


def test_texts_of_a_csv_file_are_read_by_the_types_of_their_columns(tmp_path: Path) -> None:
    """Yes and no in both ways of writing them; an empty field is null."""
    file = tmp_path / "accounts.csv"
    file.write_text("name,donotphone,donotfax,donotemail,numberofemployees,revenue\nA,Yes,0,TRUE,12,1.5\nB,no,,,,\n")
    with running(in_thread=True, seed=f"demo={file}") as emulator, Client(emulator) as client:
        assert client.session.post(f"{emulator.base_url}/_emulator/seed/demo", timeout=60).ok
        names = ("donotphone", "donotfax", "donotemail", "numberofemployees", "revenue")
        found = client.send("GET", f"accounts?$select={','.join(names)}&$orderby=name").json()["value"]
        assert [tuple(row[name] for name in names) for row in found] == [
            (True, False, True, 12, 1.5),
            (False, None, None, None, None),
        ]


@pytest.mark.parametrize("known", [("team", "user"), ("team",), ("user",), ()])
def test_both_rows_of_a_pair_exist(tmp_path: Path, known: tuple[str, ...]) -> None:
    """As when two rows are associated by a request."""
    team, user = (f"00000000-0000-0000-0000-00000000000{number}" for number in range(2))
    rows = {
        "teams": [{"teamid": team, "name": "T"}] if "team" in known else [],
        "systemusers": [{"systemuserid": user, "lastname": "U"}] if "user" in known else [],
        "teammemberships": [{"teamid": team, "systemuserid": user}],
    }
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows))
    with running(in_thread=True, seed=f"demo={file}") as emulator, Client(emulator) as client:
        answer = client.session.post(f"{emulator.base_url}/_emulator/seed/demo", timeout=60)
        if len(known) == len(("team", "user")):
            assert answer.ok
        else:
            assert error(answer) == (404, "0x80040217")
        pairs = client.send("GET", "teammemberships?$select=systemuserid").json()["value"]
        assert [pair["systemuserid"] for pair in pairs] == ([user] if answer.ok else [])


def test_a_row_may_refer_to_an_earlier_row_of_its_list(tmp_path: Path) -> None:
    """As the same bodies may, one POST after the other; a row that comes later is not there yet."""
    ids = [f"00000000-0000-0000-0000-00000000000{number}" for number in range(3)]
    rows = [{"accountid": one, "name": one[-1], "parentaccountid@odata.bind": f"/accounts({ids[0]})"} for one in ids]
    del rows[0]["parentaccountid@odata.bind"]
    file = tmp_path / "rows.json"
    for given, status in ((rows, 200), (rows[::-1], 404)):
        file.write_text(json.dumps({"accounts": given}))
        with running(in_thread=True, seed=f"demo={file}") as emulator, Client(emulator) as client:
            answer = client.session.post(f"{emulator.base_url}/_emulator/seed/demo", timeout=60)
            assert answer.status_code == status
            found = client.send("GET", "accounts?$select=_parentaccountid_value&$orderby=name").json()["value"]
            expected = [None, ids[0], ids[0]] if status == 200 else []
            assert [row["_parentaccountid_value"] for row in found] == expected
