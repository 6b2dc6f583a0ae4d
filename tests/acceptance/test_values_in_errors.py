"""The values of fields in error: in the sentences that a person asked for with `--values`, and in the file to mend."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.cli.boundary import run as type_in
from tests.acceptance.world import World, accounts, world

WRONG = {
    "revenue": ("a hundred", "'a hundred' is not a number"),
    "numberofemployees": ("12345.75", "'12345.75' is not a whole number between 0 and 1,000,000,000"),
    "since": ("the nineties", "'the nineties' is not a date in dd-MM-yy, as in 31-01-24"),
    "donotphone": ("perhaps", "'perhaps' is not one of true"),
    "industry": ("Consltin", "no option of industrycode; the value is 'Consltin': did you mean 7 Consulting?"),
    "parent": ("Z-9", "no account has this accountnumber; the value is 'Z-9'"),
    "name": ("N" * 170, f"'{'N' * 39}…' is longer than 160 characters"),
}
"""Column -> a value that does not fit and is no part of a time or a port, and the beginning of what is said about it."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """One row for each mistake."""
    with world(tmp_path) as made:
        definition = accounts()
        columns = {
            "number": {},
            "name": {},
            "revenue": {"type": "number"},
            "numberofemployees": {},
            "since": {"type": "date", "input_format": "dd-MM-yy"},
            "donotphone": {"type": "bool"},
            "industry": {},
            "parent": {},
        }
        definition["source"]["columns"] = [{"name": name, **keys} for name, keys in columns.items()]
        targets = {"number": "accountnumber", "since": "new_dueon", "industry": "industrycode"}
        definition["destination"]["mappings"] = [
            {"source": name, "target": targets.get(name, name)} for name in columns if name != "parent"
        ] + [{"source": "parent", "target": "parentaccountid", "lookup": {"match": "accountnumber"}}]
        made.define(definition)
        blank = dict.fromkeys(columns, "")
        made.csv([{**blank, "number": f"A{n}", name: value} for n, (name, (value, _)) in enumerate(WRONG.items())])
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("COLUMNS", "400")
        yield made


@pytest.fixture
def typed(here: World, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints to standard output; the program ends with the code for errors of rows."""

    def words(*arguments: str, code: int = 2) -> str:
        capsys.readouterr()
        assert type_in([*arguments], open_app=lambda: here.app) == code
        return capsys.readouterr().out

    return words


def told(shown: str) -> set[str]:
    """The columns whose wrong values are in a text."""
    return {column for column, (value, _) in WRONG.items() if value[:30] in shown}


def test_the_value_is_in_the_sentence_where_it_was_asked_for(
    here: World, typed: Callable[..., str], tmp_path: Path
) -> None:
    """In the table, in JSON and in the CSV files, of `plan`, of `run`, and of `errors` behind that run."""
    outputs = [typed("plan", "accounts", "--values", "--csv", str(tmp_path / "plan"))]
    outputs.append(typed("plan", "accounts", "--values", "--json"))
    outputs += [path.read_text("utf-8") for path in (tmp_path / "plan").iterdir()]
    outputs.append(typed("run", "accounts", "--values"))
    outputs.append(typed("errors", "last", "--csv", str(tmp_path / "run"), code=0))
    outputs.append(typed("errors", "last", "--json", code=0))
    outputs += [path.read_text("utf-8") for path in (tmp_path / "run").glob("*Errors.csv")]
    assert len(outputs) == 7
    for shown in outputs:
        whole = " ".join(shown.replace("\\u2026", "…").split())
        assert [said for _, said in WRONG.values() if said not in whole] == []
    by_column = {error["column"]: error["message"] for error in json.loads(outputs[1])["errors"]}
    assert {column: by_column[column][: len(said)] for column, (_, said) in WRONG.items()} == {
        column: said for column, (_, said) in WRONG.items()
    }
    assert told(here.app.state.runs()[0].message) == set()


def test_no_value_is_shown_or_kept_where_it_was_not_asked_for(
    here: World, typed: Callable[..., str], tmp_path: Path
) -> None:
    """Also not in what the log has of the run. The file to mend has all values: it is written to be corrected."""
    outputs = [typed("run", "accounts"), typed("errors", "last", "--csv", str(tmp_path / "run"), code=0)]
    (whole,) = (tmp_path / "run").glob("*_to_mend.csv")
    assert told(whole.read_text("utf-8")) == set(WRONG)
    outputs += [path.read_text("utf-8") for path in (tmp_path / "run").iterdir() if path != whole]
    state = here.app.state
    (record,) = state.runs()
    outputs.append(repr((record, state.errors(record.run_id))))
    for shown in outputs:
        assert told(shown) == set()
