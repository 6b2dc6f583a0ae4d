"""Dead letters on the terminal: a table of many, and one whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from shared.counted import counted
from shared.views.dead_letters import UNCLAIMED, body_text, short_id

if TYPE_CHECKING:  # only named here: `--help` need not wait for the state store to load
    from shared.state import DeadLetter

__all__ = ["letter_table", "whole_letter"]


def letter_table(letters: Iterable[DeadLetter]) -> Table:
    """Events that could not be applied, with the whole reason; at most as wide as a terminal of 80 columns."""
    table = Table(title="Dead letters", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("Id", no_wrap=True)
    table.add_column("Sync", overflow="fold")
    table.add_column("Error")
    table.add_column("Tries", justify="right")
    table.add_column("Kept (UTC)", no_wrap=True)
    for letter in letters:
        error = Text("\n").join([Text(_error(letter)), Text(letter.message, style="dim")])
        sync = Text(letter.sync) if letter.sync else Text(UNCLAIMED, style="yellow")
        table.add_row(Text(short_id(letter.id)), sync, error, str(letter.tries), f"{letter.kept:%Y-%m-%d %H:%M}")
    return table


def whole_letter(letter: DeadLetter) -> list[RenderableType]:
    """All that is known of one event, and its body."""
    lines = [
        ("Id", f"{short_id(letter.id)}, in full {letter.id}"),
        ("Sync", letter.sync or UNCLAIMED),
        ("Error", _error(letter)),
        ("Message", letter.message),
        ("Key", str(letter.system.get("key") or "")),
        ("Place", f"partition {letter.partition}, sequence number {letter.sequence}, {letter.offset}".rstrip(", ")),
        ("Enqueued", f"{letter.enqueued:%Y-%m-%d %H:%M:%S} UTC" if letter.enqueued else ""),
        ("Kept", f"{letter.kept:%Y-%m-%d %H:%M:%S} UTC, {counted(letter.tries, 'try', 'tries')}"),
        ("Properties", json.dumps(dict(letter.properties), ensure_ascii=False) if letter.properties else ""),
    ]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, said in lines:
        if said:
            table.add_row(name, Text(said))
    return [table, Text("Body:"), Text(body_text(letter))]


def _error(letter: DeadLetter) -> str:
    return " ".join(filter(None, (letter.error, letter.code)))
