"""The screens of the main commands on a terminal of 80 and of 140 columns, compared with golden files.

`RENEW_GOLDEN=1 pytest tests/acceptance/test_screens.py` writes them anew; read what changed before it is committed.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from typer import rich_utils

from emulator.testing import running
from shared.cli.boundary import run
from tests.acceptance.mistakes import CORRECT, CUSTOMERS

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (80, 140)
WRONG = (
    CORRECT.replace("type: delimited", "type: delimitd")
    .replace("sync_key:", "sync_keys:")
    .replace("\n  mappings", "\n  mapings")
)
FIRST = CUSTOMERS + "C-3,Three,5400000,04/05/2006,C-1\nC-4,Four,1,07/08/2009,\n"
SECOND = FIRST.replace("C-2,Two,2000000,", "C-2,Two & Sons,2500000,").replace("C-4,Four,1,07/08/2009,\n", "") + (
    "C-5,Five,a hundred,1996,\nC-6,Six,2,31/12/1999,C-99\nC-7,Seven,,,\n"
)
EVENTS = (
    {"type": "customer.changed", "op": "upsert", "data": [{"Customer No": "C-8", "Name": "Eight"}]},
    {"type": "customer.changed", "op": "upsert", "data": [{"Name": "Nobody"}]},
    {"type": "customer.changed", "op": "vanish", "data": [{"Customer No": "C-9"}]},
)
SCREENS = {
    "validate, with mistakes": ("validate", "wrong"),
    "plan": ("plan", "customers", "--values", "--limit", "2"),
    "run": ("run", "customers"),
    "runs": ("runs",),
    "runs, one run": ("runs", "last"),
    "errors": ("errors", "last"),
    "explain": ("explain", "customers"),
    "events": ("events", "customers", "events.jsonl"),
    "dead-letters": ("dead-letters",),
    "status": ("status",),
    "help": ("--help",),
    "plan, help": ("plan", "--help"),
    "run, help": ("run", "--help"),
}
MOST_LINES = 5  # of the SQL of all steps, which is longer than any screen


@pytest.fixture(scope="module", params=WIDTHS)
def screens(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, dict[str, str]]]:
    """The width, and title -> what the command shows, typed one after the other in a new folder."""
    folder = tmp_path_factory.mktemp("screens")
    with pytest.MonkeyPatch.context() as patch, running(in_thread=True) as emulator:
        patch.chdir(folder)
        patch.setattr(platform, "node", lambda: "host")
        # typer reads this once, from the environment of whatever imported it first.
        patch.setattr(rich_utils, "MAX_WIDTH", None)
        for name, value in {
            "DYNAMICS_URL": emulator.service_url,
            "DYNAMICS_CLIENT_ID": emulator.client_id,
            "DYNAMICS_CLIENT_SECRET": emulator.client_secret,
            "SYNC_DEFINITIONS": "syncs",
            "STATE_STORE": "sqlite:///state.db",
            "COLUMNS": str(request.param),
            "TTY_COMPATIBLE": "1",
            "NO_COLOR": "1",
        }.items():
            patch.setenv(name, value)
        Path("syncs").mkdir()
        Path("syncs/customers.yaml").write_text(CORRECT.replace('schedule: "0 */15 * * * *"\n', ""), "utf-8")
        Path("customers.csv").write_text(FIRST, "utf-8")
        Path("events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in EVENTS), "utf-8")
        assert run(["run", "customers"]) == 0
        Path("customers.csv").write_text(SECOND, "utf-8")
        yield request.param, {title: _typed(title, command) for title, command in SCREENS.items()}


def _typed(title: str, command: tuple[str, ...]) -> str:
    """What a command shows, without what differs from run to run."""
    Path("syncs/wrong.yaml").unlink(missing_ok=True)
    if "wrong" in command:
        Path("syncs/wrong.yaml").write_text(WRONG.replace("name: customers", "name: wrong"), "utf-8")
    shown = io.StringIO()
    with redirect_stdout(shown):
        run([*command])
    lines = _steady(shown.getvalue()).rstrip().splitlines()
    cut = lines[:MOST_LINES] if title == "explain" else lines
    return "".join(f"{line.rstrip()}\n" for line in cut)


MASKS = (
    (r"\x1b\[[0-9;?]*[a-zA-Z]", ""),
    (r"\b[0-9a-f]{32}\b", "0123456789abcdef0123456789abcdef"),
    (r"\b[0-9a-f]{8,10}\b", lambda found: "0123456789"[: len(found[0])]),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-01-31 10:00:00"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-01-31 10:00"),
    (r"\b[0-9a-f]{64}\b", 64 * "0"),
    (r"(?<=after )[\d.]+(?= s)", "1.0"),
    (r"(?<=00:00:)[\d.]+", "01.000"),
    (r"(?<=usage : )[\d.,]+", "100.0"),
    (r"(?<=Requests sent              : ).*", "14; 2 wrote, 0 were throttled"),
    (r"(?<=Requests:          about ).*", "14 (12 to read, 2 to write)"),
    (r"(?<=requests \(this run uses )\d+", "16"),
    (r" *[\d.,]+(?=  (Succeeded|Completed))", lambda found: "1.0".rjust(len(found[0]))),
    (r"\d+ (s|min) ago", lambda found: "0 s ago".ljust(len(found[0]))),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:50000"),
)


def _steady(text: str) -> str:
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return text


def golden(width: int) -> dict[str, str]:
    """Title -> the screen."""
    path = GOLDEN / f"screens-{width}.txt"
    parts = re.split(r"^## (.*)\n\n", path.read_text("utf-8") if path.exists() else "", flags=re.MULTILINE)[1:]
    return {title: text.rstrip() + "\n" for title, text in zip(parts[::2], parts[1::2], strict=True)}


def test_the_screens_are_those_of_the_golden_files(screens: tuple[int, dict[str, str]]) -> None:
    """Each is equal to its entry."""
    width, shown = screens
    if os.environ.get("RENEW_GOLDEN"):
        text = "\n".join(f"## {title}\n\n{screen}" for title, screen in shown.items())
        (GOLDEN / f"screens-{width}.txt").write_text(text, "utf-8")
    assert shown == golden(width)


def test_no_line_is_wider_than_the_terminal(screens: tuple[int, dict[str, str]]) -> None:
    """A longer one would be cut or continued by the terminal; SQL and commands that can be pasted are one line."""
    width, shown = screens
    wide = [
        (title, line)
        for title, screen in shown.items()
        if title != "explain"
        for line in screen.splitlines()
        if len(line) > width and not line.startswith(("Next: ", "• "))
    ]
    assert wide == []
