"""The first hour of a new user: the first part of docs/start.md, typed command by command into an empty folder.

The page is the only source of the files, the commands and what is expected of them. Its conventions:

- "Save this as `path`:", "Add this line to `path`:" and "Change the last line of `path` to:" stand before a block with
  the text.
- A `bash` block has commands; "# exit code N" behind one says how it ends (0 without it).
- A `text` block has lines that the commands of the `bash` block before it have printed.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from emulator.http.options import Options
from emulator.testing import RunningEmulator, running
from shared.cli.boundary import run
from shared.cli.setting_up.starter import LOCAL_DATAVERSE

PAGE: Final = Path("docs/start.md").read_text("utf-8")
OWN_DATA: Final = PAGE.partition("## Your own data on the emulator\n")[2].partition("\n## ")[0]
NAMES: Final = ("companies", "people", "products", "deals")
# They make the environment that this test runs in.
OF_THE_CLONE: Final = {"make setup", ". .venv/bin/activate"}
EXPECTED_BLOCKS: Final = {"csv", "yaml", "bash", "text"}


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block with the sentence before it."""

    before: str
    language: str
    text: str


def blocks() -> list[Block]:
    found = re.findall(r"([^\n]*)\n\n```(\w+)\n(.*?)^```$", OWN_DATA, re.MULTILINE | re.DOTALL)
    return [Block(*each) for each in found]


def words(text: str) -> str:
    return " ".join(text.split())


@dataclass(slots=True, kw_only=True)
class Reader:
    """A person who does what the page says.

    Attributes:
        folder: Where the next command is typed.
        printed: What the commands of the last block printed.
        runs: Each run of a sync: its name, and its line of created records.
    """

    folder: Path
    stack: ExitStack
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]
    emulator: RunningEmulator | None = None
    printed: str = ""
    runs: list[tuple[str, str]] = field(default_factory=list)

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        match block.language:
            case "bash":
                self.printed = "".join(self.type_in(line) for line in block.text.splitlines())
            case "text":
                for line in block.text.splitlines():
                    assert words(line) in words(self.printed), self.printed
            case _:
                self.write(block)

    def write(self, block: Block) -> None:
        """Write, add to or change the file that the sentence before the block names."""
        sentence = re.search(
            r"(Save this as|Add this line to|Change the last line of) `([\w./-]+)`(?: to)?:$", block.before
        )
        assert sentence, f"the page does not say what to do with this block: {block.text}"
        path = self.folder / sentence[2]
        if sentence[1] == "Save this as":
            assert not path.exists()
            path.write_text(block.text, "utf-8")
            return
        lines = path.read_text("utf-8").splitlines(keepends=True)
        kept = lines[:-1] if sentence[1].startswith("Change") else lines
        path.write_text("".join([*kept, block.text]), "utf-8")

    def type_in(self, line: str) -> str:
        """Type a command; returns what it printed."""
        command, _, comment = line.partition("#")
        program, *arguments = shlex.split(command)
        match program:
            case _ if command.strip() in OF_THE_CLONE:
                return ""
            case "cd":
                self.folder /= arguments[0]
                self.patch.chdir(self.folder)
                return ""
            case "python":
                return self.start(arguments)
            case "curl":
                return self.load(arguments)
            case "dynamics-sync":
                return self.sync(arguments, int(comment.split("exit code")[1]) if comment else 0)
        raise AssertionError(line)

    def start(self, arguments: list[str]) -> str:
        """Start the emulator with the options of the page, on a free port: that of the page may be taken."""
        assert arguments[:2] == ["-m", "emulator"]
        options = Options.parse(arguments[2:])
        assert replace(options, seeds=()) == Options.parse([]), "options that this test does not pass on"
        seeds = [f"{name}={self.folder / path}" for name, path in options.seeds]
        self.emulator = self.stack.enter_context(running(in_thread=True, seed=seeds))
        self.patch.setenv("DYNAMICS_URL", self.emulator.service_url)
        return ""

    def load(self, arguments: list[str]) -> str:
        """Send the request to the port that was free."""
        base = LOCAL_DATAVERSE["DYNAMICS_URL"].partition("/api/")[0]
        address, _, name = arguments[-1].rpartition("/")
        assert [*arguments[:-1], address] == ["-X", "POST", f"{base}/_emulator/seed"]
        assert self.emulator
        return json.dumps(self.emulator.seed(name))

    def sync(self, arguments: list[str], code: int) -> str:
        """Type a command of the program, which must end with this code."""
        self.capture.readouterr()
        ended = run(arguments)
        said = self.capture.readouterr()
        assert ended == code, said.out + said.err
        if arguments[0] == "run":
            (created,) = re.findall(r"Created: +(\d+/\d+) record", said.out)
            self.runs.append((arguments[1], created))
        return said.out


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Reader]:
    for name in ("SYNC_DEFINITIONS", "STATE_STORE", "DYNAMICS_URL", "DYNAMICS_CLIENT_ID", "DYNAMICS_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        yield Reader(folder=tmp_path, stack=stack, patch=monkeypatch, capture=capsys)


def count(path: Path) -> int:
    """The rows of a file with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return len([*csv.DictReader(file)])


def answer(reader: Reader, *arguments: str) -> Any:
    reader.capture.readouterr()
    assert run([*arguments, "--json"]) == 0
    return json.loads(reader.capture.readouterr().out)


def test_every_block_of_the_page_is_followed() -> None:
    """No block is of a kind that the test would pass over, and none is indented or has no line before it."""
    found = blocks()
    assert {block.language for block in found} == EXPECTED_BLOCKS
    assert len(found) * 2 == OWN_DATA.count("```")


def test_the_page_leads_from_an_empty_folder_to_four_related_tables(reader: Reader) -> None:
    """All rows are created; a second run does nothing; the mistake is found and mended as the page says."""
    for block in blocks():
        reader.follow(block)
    rows = {name: count(reader.folder / "data" / f"{name}.csv") for name in NAMES}
    first = {**rows, "deals": rows["deals"] - 1}  # without the row that has the mistake
    created = [(name, f"{number}/{number}") for name, number in first.items()]
    again = [(name, "0/0") for name in NAMES if name != "deals"]  # the page plans the deals
    assert reader.runs == [*created, *again, ("deals", "0/0"), ("deals", "1/1")]
    for name in NAMES:
        planned = answer(reader, "plan", name)["planned"]
        assert [planned[kind] for kind in ("created", "updated", "deleted", "unchanged")] == [0, 0, 0, rows[name]]


def test_the_wrong_row_is_reported_by_errors_until_it_is_corrected(reader: Reader) -> None:
    """`errors last` names the row by its key, column and line; the run after the mending has none."""
    told: list[list[Any]] = []
    for block in blocks():
        reader.follow(block)
        if block.language == "bash" and "dynamics-sync errors last" in block.text:
            told.append(answer(reader, "errors", "last")["errors"])
    ((wrong,), mended) = told
    assert mended == []
    line = (reader.folder / "data" / "deals.csv").read_text("utf-8").splitlines()[-1]
    (example,) = wrong["examples"]
    assert (wrong["type"], wrong["column"]) == ("Unresolved Link", "company")
    assert line.startswith(example["key"])
    assert example["line"] == example["row"] + 1


def test_a_file_of_ones_own_gets_a_definition_in_the_same_folder(reader: Reader) -> None:
    """The commands after the last block work as they are typed, and the connection can take the place of the sign-in."""
    for block in blocks():
        reader.follow(block)
    (reader.folder / "data" / "orders.csv").write_text("Name,Description\nO-1,First\nO-2,Second\n", "utf-8")
    (typed,) = re.findall(r"`(dynamics-sync new [^`]+)`", OWN_DATA)
    reader.type_in(typed)
    path = reader.folder / "syncs" / "orders.yaml"
    with_connection = re.sub(
        r"( +)service_url: .*\n +client_id: .*\n +client_secret: .*\n", r"\1connection: crm\n", path.read_text("utf-8")
    )
    for text in (path.read_text("utf-8"), with_connection):
        path.write_text(text, "utf-8")
        reader.type_in("dynamics-sync validate")
    assert "connection: crm" in with_connection
    reader.type_in("dynamics-sync options account industrycode")
