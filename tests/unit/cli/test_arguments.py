"""Whatever stands on the command line: a result or a sentence, never a traceback and never "not prepared for"."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from shared.app import App
from shared.cli.boundary import run
from shared.errors import UserError

DEFINITION = """
name: customers
parameters:
  text: {default: x}
  none: {default: null}
  whole: {default: 1}
  real: {default: 1.5}
  truth: {default: true}
  day: {default: 2024-01-31}
  moment: {default: 2024-01-31T10:00:00Z}
  path: {default: syncs/a_1.csv}
  given: {}
  part: {formula: "FILENAME(@path, '_(.)')"}
source:
  type: delimited
  path: "@path"
  columns: [{name: number}, {name: name, formula: "@text || @whole || @real || @truth || @day || @moment"}]
destination:
  type: dynamics
  entity: account
  service_url: https://contoso.crm.dynamics.com/api/data/v9.2
  client_id: {env: CLIENT_ID}
  client_secret: {env: CLIENT_SECRET}
  id_column: accountid
  mappings: [{source: number, target: accountnumber}]
  filter: "name eq @text and revenue gt @real"
sync_behaviour: {sync_key: [accountnumber]}
"""
PARAMETERS = ("text", "none", "whole", "real", "truth", "day", "moment", "path", "given", "part", "nobody")


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder with a definition and a state store, and no way out."""
    folder = tmp_path_factory.mktemp("arguments")
    (folder / "syncs").mkdir()
    (folder / "syncs" / "customers.yaml").write_text(DEFINITION)

    def unreachable(*_: object, **__: object) -> None:
        raise UserError("there is no network here")

    def no_answer(*_: object, **__: object) -> None:
        raise requests.ConnectionError

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SYNC_DEFINITIONS", str(folder / "syncs"))
        patch.setenv("STATE_STORE", f"sqlite:///{folder}/state.db")
        patch.setenv("FUNCTIONS_ADMIN_KEY", "key")
        patch.setattr(App, "dataverse", unreachable)
        patch.setattr(requests.adapters.HTTPAdapter, "send", no_answer)
        yield


ODD = st.sampled_from(
    [
        "",
        " ",
        "-",
        "--",
        "=",
        "0",
        "-1",
        "99999999999999999999",
        "9" * 5000,
        "1e30000000",
        "-1e-30000000",
        "nan",
        "inf",
        "1_000",
        "٣",
        "0x10",
        "true",
        "TRUE ",
        "0001-01-01",
        "9999-12-31",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "10000-01-01",
        "2024-02-30",
        "2024-01-31T24:00:00",
        "2024-W05",
        "\udcff",
        "a\udc80b",
        "\x1b[2J",
        "\u202e",
        "a\nb",
        "'; DROP TABLE runs; --",
        "@text",
        "@{",
        "%",
        "%s",
        "{}",
        "customers",
        "last",
        "/dev/null/x",
        "x" * 300,
        "x" * 200_000,
        ".",
        "..",
        "http://[::1",
        "http://localhost:99999999",
        "http://",
        "https://a..b",
        "https://\u0660.example",
        "http://localhost",
        "abfs://x/y",
        "sqlite:///x",
    ]
)
VALUE = (
    ODD | st.text(st.characters(exclude_characters="\x00"), max_size=20) | st.integers().map(str) | st.floats().map(str)
)
FILE = VALUE.filter(lambda text: not text.startswith("/") and ".." not in text)  # nothing is written outside the folder
NAME = st.just("customers") | VALUE
PARAMETER = st.builds("{}={}".format, st.sampled_from(PARAMETERS), VALUE) | VALUE
GIVEN = PARAMETER.map(lambda text: ("-p", text))


def flag(name: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.just((name,))


def option(name: str, value: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return value.map(lambda text: (name, text))


LIMIT = option("--limit", VALUE)
JSON = flag("--json")
COMMANDS: dict[str, tuple[tuple[st.SearchStrategy[str], ...], st.SearchStrategy[tuple[str, ...]]]] = {
    "validate": ((NAME,), flag("--offline") | JSON),
    "plan": (
        (NAME,),
        GIVEN
        | LIMIT
        | JSON
        | option("--out", FILE)
        | option("--html", FILE)
        | option("--markdown", FILE)
        | option("--keep-workspace", FILE)
        | option("--csv", FILE)
        | flag("--values")
        | flag("--detailed-exit-code")
        | flag("--all"),
    ),
    "run": (
        (NAME,),
        GIVEN
        | JSON
        | flag("--force")
        | flag("--values")
        | flag("--all")
        | option("--plan", FILE)
        | option("--keep-workspace", FILE),
    ),
    "explain": ((NAME,), GIVEN | JSON),
    "status": ((), JSON),
    "runs": ((NAME,), LIMIT | JSON),
    "errors": ((VALUE,), JSON | option("--csv", FILE)),
    "schema": ((), JSON),
    "events": ((NAME, FILE.filter(lambda text: text != "-")), JSON),
    "dead-letters": ((NAME,), LIMIT | JSON | option("--id", VALUE) | flag("--unclaimed")),
    "discard": ((NAME,), JSON | option("--id", VALUE) | flag("--unclaimed") | flag("--all")),
    "replay": ((NAME,), JSON | option("--id", VALUE)),
    "start": ((NAME,), GIVEN | JSON | flag("--force") | option("--app", VALUE)),
}


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command with its arguments and options, all of them odd; now and then one too many or too few."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    arguments, options = COMMANDS[command]
    words = [draw(each) for each in arguments if draw(st.integers(0, 9))]
    given_options = [word for pair in draw(st.lists(options, max_size=3)) for word in pair]
    extra = [draw(VALUE)] if not draw(st.integers(0, 9)) else []
    return [command, *given_options, *words, *extra]


@given(command_lines())
def test_no_argument_is_unforeseen(words: list[str]) -> None:
    """Every command ends with one of the exit codes and a sentence."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = run(words)
    said = out.getvalue() + err.getvalue()
    assert code in {0, 1, 2, 3, 4}
    assert said
    assert "unexpected error" not in said, words
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runs", "--limit", "99999999999999999999"], "'--limit': Input should be less than or equal to 10000"),
        (["dead-letters", "--limit", "10001"], "Input should be less than or equal to 10000"),
        (["plan", "customers", "--limit", "99999999999999999999"], "Input should be less than or equal to 10000"),
        (["runs", "a\udcffb"], "argument 2 (a\ufffdb) holds bytes that are not valid UTF-8"),
        (["plan", "customers", "-p", "given=1", "-p", "moment=0001-01-01T00:00:00+14:00"], "parameter moment: "),
        (["plan", "customers", "-p", "given=1", "-p", "real=1e400"], "parameter real: its value is not a finite"),
        (
            ["plan", "customers", "-p", "given=1", "-p", f"whole={'9' * 39}"],
            "parameter whole: its value has more than 38",
        ),
        (["plan", "customers", "-p", f"given={'9' * 200_000}"], "parameter given: its value has 200,000 characters"),
        (["start", "customers", "--app", "http://[::1"], "--app: write the app's address"),
        (["retry", "last", "--file", ""], "the value of --file is empty: give one, or leave the option out"),
        (["start", "customers", "--app="], "the value of --app is empty: give one, or leave the option out"),
        (["plan", "customers", "-p", ""], "the value of -p is empty: give one, or leave the option out"),
    ],
)
def test_odd_arguments_are_refused_with_a_sentence(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which one it is and what is wrong with it."""
    assert run(words) == 1
    said = capsys.readouterr().err
    assert message in said.replace("\n", " ")
    assert "unexpected error" not in said


def test_the_folder_is_valid() -> None:
    """The fuzzing above reaches the definition, the parameters and the state store."""
    assert run(["validate", "customers", "--offline"]) == 0
    assert run(["runs", "customers"]) == 0
    assert Path("state.db").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "customers", "-p", "given=x", "--keep-workspace"),
        ("new", "other", "--source", "a.csv", "--entity", "account", "--out"),
    ],
)
def test_a_file_that_cannot_be_made_is_told(arguments: tuple[str, ...]) -> None:
    """Before anything is read: its name is too long, or its folder may not be entered."""
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        code = run([*arguments, "x" * 300])
    assert code == 1
    assert "cannot be written: File name too long" in said.getvalue()
