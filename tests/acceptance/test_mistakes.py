"""Typical mistakes, each with all messages of the program, compared with a golden file.

`RENEW_GOLDEN=1 pytest tests/acceptance/test_mistakes.py` writes the golden file anew; read what changed before it is
committed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.testing import RunningEmulator, running
from shared.cli.boundary import run
from tests.acceptance.mistakes import CUSTOMERS, MISTAKES, Mistake

GOLDEN = Path(__file__).parent / "golden" / "mistakes.txt"


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(in_thread=True) as emulator:
        yield emulator


def said(
    mistake: Mistake, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """The complete output of a command for a mistake, in the current folder."""
    Path("syncs").mkdir()
    Path("syncs/customers.yaml").write_text(mistake.definition, "utf-8")
    for name, content in {"customers.csv": CUSTOMERS, **mistake.files}.items():
        if content is not None:
            Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    settings = {
        "DYNAMICS_URL": emulator.service_url,
        "DYNAMICS_CLIENT_ID": emulator.client_id,
        "DYNAMICS_CLIENT_SECRET": emulator.client_secret,
        "SYNC_DEFINITIONS": "syncs",
        "STATE_STORE": "sqlite:///state.db",
        "COLUMNS": "400",
        **mistake.settings,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    planned = mistake.command[0] == "plan"
    code = run([*mistake.command, *(["--json"] if planned else [])])
    out, err = capsys.readouterr()
    shown = "\n".join(_of_plan(out)) if planned else out + err
    return f"exit code {code}\n{_steady(shown, emulator)}"


def _of_plan(out: str) -> Iterator[str]:
    """What the JSON of a plan says about rows; safety limits have tests of their own."""
    value = json.loads(out)
    if "error" in value:
        yield value["error"]["message"]
    for error in value.get("errors", ()):
        rows = ", ".join(map(str, error["rows"]))
        yield f"{error['class']}, {error['type']}, {error['column']}, row {rows}: {error['message']}"


def _steady(text: str, emulator: RunningEmulator) -> str:
    """The text without what differs from run to run."""
    text = re.sub(r"(?<=Trace ID: )[0-9a-f-]+", "ID", text)
    text = text.replace(emulator.base_url, "http://ENVIRONMENT").replace(str(Path.cwd()), "FOLDER")
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"


def golden() -> dict[str, str]:
    """Title -> the messages."""
    if not GOLDEN.exists():
        return {}
    parts = re.split(r"^## (.*)\n", GOLDEN.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {title: text.strip() + "\n" for title, text in zip(parts[::2], parts[1::2], strict=True)}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.title)
def test_the_messages_are_those_of_the_golden_file(
    mistake: Mistake,
    emulator: RunningEmulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The output for each mistake is equal to its entry in the golden file."""
    emulator.reset()
    monkeypatch.chdir(tmp_path)
    found = said(mistake, emulator, monkeypatch, capsys)
    if os.environ.get("RENEW_GOLDEN"):
        entries = golden() | {mistake.title: found}
        GOLDEN.write_text(
            "\n".join(f"## {each.title}\n{entries[each.title]}" for each in MISTAKES if each.title in entries), "utf-8"
        )
    assert found == golden()[mistake.title]
